"""The two files that GPT-2's tokenizer is published as.

    vocab.bpe      a line "#version: 0.2", then the 50,000 merges, one a line, in the order they were learned: "h e"
    encoder.json   a dict from each token to its id: the 256 bytes, the 50,000 merges, and <|endoftext|>, id 50256

Both show a byte as one printable character (byte_alphabet.py). The second file says nothing new but the names of the
special tokens, since ids follow from the merges; it is read to make sure that the two belong together. A token that no
merge makes must be special, named <|...|>; any other shows that vocab.bpe was cut short.

Source    Radford and others 2019, GPT-2, encoder.py.   Tested  tests/test_gpt2_files.py, tests/peers/test_tiktoken.py.
"""
from pathlib import Path

from nanolm import files
from nanolm.text import byte_alphabet


def read(encoder_json, vocab_bpe):
    """Return merges, a list of pairs of ids, and special, a list of names, from the paths of the two files.

    Raises FileNotFoundError or ValueError with a sentence that names the file.
    """
    ids = files.read_json(encoder_json)
    if not isinstance(ids, dict) or not all(type(token_id) is int for token_id in ids.values()):
        raise ValueError(f"{encoder_json} holds no table from tokens to ids. GPT-2's encoder.json does.")
    lines = _lines(vocab_bpe)
    try:
        merges = pairs(lines)
    except ValueError as error:
        raise ValueError(f"{vocab_bpe} is not a list of merges as GPT-2's vocab.bpe is: {error}") from error

    tokens = [byte_alphabet.SYMBOLS[byte] for byte in byte_alphabet.ORDER] + [line.replace(" ", "") for line in lines]
    for token_id, token in enumerate(tokens):
        if ids.get(token) != token_id:
            raise ValueError(f"{encoder_json} gives the token {token!a} the id {ids.get(token)}, but by {vocab_bpe} it "
                             f"is {token_id}. The two files do not belong together, or one is damaged.")
    special = sorted(ids.keys() - set(tokens), key=ids.get)
    for token_id, name in enumerate(special, len(tokens)):
        if ids[name] != token_id or not (name.startswith("<|") and name.endswith("|>")):
            raise ValueError(f"{encoder_json} has the token {name!a}, id {ids[name]}, which no merge in {vocab_bpe} "
                             f"makes, and which is no special token <|...|> with the next free id, {token_id}. "
                             f"{vocab_bpe} may be truncated, or not belong to it.")
    return merges, special


def pairs(lines):
    """Return the merges ["h e", "he llo", ...] as pairs of ids. Raises ValueError if one joins unknown tokens."""
    ids = {byte_alphabet.SYMBOLS[byte]: token_id for token_id, byte in enumerate(byte_alphabet.ORDER)}
    result = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 2 or parts[0] not in ids or parts[1] not in ids:
            raise ValueError(f"merge {len(result)}, {line!a}, is not two tokens known by then with a space between.")
        result.append((ids[parts[0]], ids[parts[1]]))
        ids.setdefault("".join(parts), 255 + len(result))                   # the first merge makes token 256
    return result


def _lines(vocab_bpe):
    path = Path(vocab_bpe)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        lines = path.read_bytes().decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}). It may be damaged or not GPT-2's vocab.bpe.") from error
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return [line for line in lines if line]

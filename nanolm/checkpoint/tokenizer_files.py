"""The tokenizer beside published weights, read and written.

    tokenizer.json                in the form of the package tokenizers: BERT's kind, GPT-2's and Llama's, read and written
    vocab.json, merges.txt        what GPT-2's encoder.json and vocab.bpe are called in Hugging Face's layout, read and written
    vocab.txt                     BERT's, read and written
    tokenizer.ggml.*              fields of a GGUF file, read
    tokenizer_config.json         says which class of transformers reads them, and which token begins, ends and fills up

A folder with both kinds of files is read from tokenizer.json, for only that says all of it. A tokenizer that is whole but of a
kind that nanolm does not have is no reason to refuse the weights: a line on standard error says so, and it is None.

Tested    tests/test_checkpoint_files.py, tests/test_checkpoint_tokenizers.py, tests/peers/test_checkpoint_transformers.py,
          tests/peers/test_saved_tokenizers.py.
"""
import json
import sys

from nanolm import files
from nanolm.checkpoint import fitting
from nanolm.text import BPE, WordPiece, byte_alphabet, chat, hf_tokenizer, hf_writing, load, unknown

USUAL = {"add_prefix_space": False, "do_basic_tokenize": True, "tokenize_chinese_chars": True}
ROLES = {                                               # whose names a tokenizer has: what begins, ends and fills up a text
    chat.END: {"bos": chat.START, "eos": chat.END, "pad": chat.END},
    "<|eot_id|>": {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "pad": "<|eot_id|>"},
    "<|end_of_text|>": {"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "pad": "<|end_of_text|>"},
    "<|endoftext|>": {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "pad": "<|endoftext|>"},
    "[SEP]": {"cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "pad": "[PAD]", "unk": "[UNK]"},
    "[UNK]": {"pad": "[PAD]", "unk": "[UNK]"}}


def read(folder):
    """Return the tokenizer of a folder, or None if it holds none that nanolm knows.

    Raises ValueError with a sentence that names the file if one of a known kind is damaged.
    """
    vocabulary, merges, lines = folder / "vocab.json", folder / "merges.txt", folder / "vocab.txt"
    try:
        if (folder / "tokenizer.json").is_file():
            return agreed(from_json(folder / "tokenizer.json"), folder)
        if (folder / "added_tokens.json").is_file():
            raise unknown.Unknown(f"{folder / 'added_tokens.json'} adds tokens to those of another file; nanolm reads added "
                                  f"tokens from a tokenizer.json only.")
        if vocabulary.is_file() and merges.is_file():
            return agreed(from_gpt2(vocabulary, merges), folder)
        if lines.is_file():
            return agreed(WordPiece.from_vocab_txt(lines, **bert_settings(folder)), folder)
    except unknown.Unknown as error:
        say(str(error))
    return None


def say(reason):
    """Say on standard error why there is no tokenizer; what cannot be printed (half a character) is written out."""
    line = f"The weights are read without their tokenizer. {reason}"
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)


def from_json(path):
    """Return the tokenizer that a tokenizer.json describes, the package's file or nanolm's own."""
    content = files.read_json(path)
    if isinstance(content, dict) and "checksum" in content:
        return load(path.parent)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise ValueError(f"{path} is not a tokenizer.json of Hugging Face's tokenizers: it has no 'model'.")
    kind = model.get("type", "BPE")
    if kind == "WordPiece":
        return WordPiece.from_tokenizer_json(path)
    if kind == "BPE":
        return hf_tokenizer.from_json(path)
    raise unknown.Unknown(f"{path} describes a tokenizer of the kind {fitting.shown(kind)}; nanolm has BPE and WordPiece.")


def from_gpt2(vocab_json, merges_txt):
    """Return GPT-2's kind of tokenizer from its two files. GPT's, with </w> at the end of words, is Unknown."""
    vocabulary = files.read_json(vocab_json)
    if isinstance(vocabulary, dict) and byte_alphabet.SYMBOLS[ord(" ")] not in vocabulary and any(
            token.endswith("</w>") for token in vocabulary):
        raise unknown.Unknown(f"{vocab_json} is a vocabulary of words in pieces that end in </w>, as GPT's; nanolm has "
                              f"GPT-2's kind, of bytes.")
    return BPE.from_gpt2(vocab_json, merges_txt)


def bert_settings(folder):
    """Return what a BERT's tokenizer_config.json says of its vocab.txt, arguments of WordPiece."""
    said = said_beside(folder)
    return {"lowercase": said.get("do_lower_case") is not False, "strip_accents": said.get("strip_accents")}


def said_beside(folder):
    """Return tokenizer_config.json's dict, {} without one. Raises ValueError if what is read of it is of the wrong kind."""
    path = folder / "tokenizer_config.json"
    said = fitting.settings(path) if path.is_file() else {}
    for name in ("do_lower_case", "strip_accents", *USUAL):
        if said.get(name) not in (None, True, False):
            raise ValueError(f"{path} says {name} = {fitting.shown(said[name])}, where true, false or null belongs.")
    return said


def agreed(tokenizer, folder):
    """Return the tokenizer, unless tokenizer_config.json says otherwise: transformers goes by it. Raises Unknown then."""
    said = said_beside(folder)
    ours = {"do_lower_case": tokenizer.lowercase, "strip_accents": tokenizer.strip_accents} if isinstance(
        tokenizer, WordPiece) else {}
    for name, value in {**USUAL, **ours}.items():
        if said.get(name) is not None and said[name] != value:
            raise unknown.Unknown(f"{folder / 'tokenizer_config.json'} says {name} = {said[name]}, but what is read here is "
                                  f"{value}.")
    return tokenizer


def from_gguf(vocabulary, source):
    """Return the tokenizer of a GGUF file's fields, or None if they are of another kind than GPT-2's."""
    if vocabulary["tokens"] is None or vocabulary["merges"] is None or vocabulary["pre"] not in hf_tokenizer.GGUF_PRE:
        say(f"{source} holds none, or one that cuts text by the rule {fitting.shown(vocabulary['pre'])}; nanolm has "
            f"{', '.join(hf_tokenizer.GGUF_PRE)}.")
        return None
    try:
        return hf_tokenizer.from_gguf_fields(*(vocabulary[name] for name in ("tokens", "merges", "token_type", "pre")))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the tokenizer in {source} cannot be read: {error}") from error


def checked(tokenizer):
    """Return {"bos", "eos", "pad", ...: id}, what each has. Raises ValueError unless it can be written."""
    if not isinstance(tokenizer, (BPE, WordPiece)):
        raise ValueError(f"a tokenizer of the kind {type(tokenizer).__name__} has no counterpart in transformers. Leave the "
                         f"tokenizer out to write the weights alone, or train with the tokenizer 'bpe'.")
    if isinstance(tokenizer, BPE):
        hf_writing.bpe(tokenizer)
    else:
        spaced = [token for token in tokenizer.vocabulary if token.split() != [token]]
        if spaced:
            raise ValueError(f"the vocabulary has a token with a space or a line's end in it, {spaced[0]!a}, which vocab.txt can "
                             f"not hold. No text ever gives it: leave it out.")
    return {role: tokenizer.special[name] for role, name in roles(tokenizer).items()}


def roles(tokenizer):
    """Return {"bos": name, ...} of the special tokens by which this kind of tokenizer begins, ends and fills up a text."""
    known = next((table for name, table in ROLES.items() if name in tokenizer.special), {})
    return {role: name for role, name in known.items() if name in tokenizer.special}


def write(folder, tokenizer, block_size):
    """Write a checked tokenizer in the form that its kind is published in. block_size: the model's longest text, in tokens."""
    settings = {"model_max_length": block_size, "clean_up_tokenization_spaces": False,
                **{f"{role}_token": name for role, name in roles(tokenizer).items()}}
    if isinstance(tokenizer, WordPiece):
        settings |= {"tokenizer_class": "BertTokenizer", "do_lower_case": tokenizer.lowercase,
                     "strip_accents": tokenizer.strip_accents, "tokenize_chinese_chars": True,
                     "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
        if tokenizer.longest_word != 100 or len(tokenizer.special) < 5:     # BERT's own class knows no other
            settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_json(folder / "tokenizer.json", hf_writing.wordpiece(tokenizer))
        files.atomic_write(folder / "vocab.txt", "\n".join(tokenizer.vocabulary) + "\n")
    elif as_gpt2(tokenizer):
        write_gpt2(folder, tokenizer)
        end = next(iter(tokenizer.special), None)       # GPT-2's class would add <|endoftext|> if not told otherwise
        settings |= {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "bos_token": end, "eos_token": end,
                     "unk_token": end}
    else:
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast"}
        write_json(folder / "tokenizer.json", hf_writing.bpe(tokenizer))
    if chat.START in tokenizer.special and chat.END in tokenizer.special:
        settings["chat_template"] = chat.template()
    write_json(folder / "tokenizer_config.json", settings)


def as_gpt2(tokenizer):
    """Return whether GPT-2's two files say all of a BPE: ids that follow from the merges, and one special token or none."""
    names = list(tokenizer.special)
    return (tokenizer.ids is None and tokenizer.split == "gpt2"
            and (not names or len(names) == 1 and names[0].startswith("<|") and names[0].endswith("|>")))


def write_gpt2(folder, tokenizer):
    """Write a BPE whose ids follow from its merges as vocab.json and merges.txt."""
    special = {token_id: name for name, token_id in tokenizer.special.items()}

    def shown(token_id):
        return special.get(token_id) or byte_alphabet.show(tokenizer.token_bytes(token_id))

    vocabulary = {shown(token_id): token_id for token_id in range(tokenizer.vocab_size)}
    lines = ["#version: 0.2", *(f"{shown(left)} {shown(right)}" for left, right in tokenizer.merges)]
    files.atomic_write(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    files.atomic_write(folder / "merges.txt", "\n".join(lines) + "\n")


def write_json(path, content):
    """Write a dict as JSON that a person can read."""
    files.atomic_write(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")

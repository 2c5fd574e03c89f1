r"""Read the tokenizer of a published model: Hugging Face's tokenizer.json, or the fields of a GGUF file.

Two files of one content. A vocabulary, token -> id, with each byte shown as one printable character (byte_alphabet.py);
merges, in the order they were learned; special tokens; and how text is cut before. SmolLM2's, in part:

    tokenizer.json    {"added_tokens": [{"id": 1, "content": "<|im_start|>", "special": true, ...}, ...],
                       "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", ...}, ...]},
                       "model": {"type": "BPE", "vocab": {"!": 17, ...}, "merges": ["\u0120 t", ...], ...}, ...}
    GGUF              tokenizer.ggml.tokens ["<|endoftext|>", ...], .merges ["\u0120 t", ...], .token_type [3, ...], .pre "smollm"

Both become a BPE (bpe.py) with a table of ids. It gives the ids that Hugging Face's `tokenizers` gives, with three things
to know. Special tokens are found in a text only by encode(text, special=True). No token is added at the start or the end,
whatever the file's post_processor says. And a byte that has no token is left out of the text: SmolLM2 lacks 21 of 256,
which text in use seldom has. They are in tokenizer.missing.

Only what is understood is read. Anything else in the file that would change ids is refused by a sentence, unknown.Unknown.
The way back, from a BPE to a tokenizer.json, is hf_writing.py.

Source    tokenizers 0.23 (tokenizer.json); llama.cpp, gguf-py (the names of the fields, the token types 1 to 6).
Tested    tests/test_hf_tokenizer.py; tests/peers/test_bpe_tokenizers.py: equal to tokenizers on text from all of Unicode.
"""
from nanolm import files
from nanolm.text import byte_alphabet, gpt2_files, unknown
from nanolm.text.bpe import BPE

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT2_SHORT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
EXPRESSIONS = {GPT2: "gpt2", GPT2_SHORT: "gpt2", LLAMA3: "llama3"}
GGUF_PRE = {"gpt-2": "gpt2", "smollm": "smollm", "llama-bpe": "llama3", "llama3": "llama3"}      # tokenizer.ggml.pre
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4                                                         # tokenizer.ggml.token_type


def from_json(path):
    """Return the BPE that a tokenizer.json describes.

    Raises FileNotFoundError or ValueError with a sentence that names the file and what in it is not supported.
    """
    content = files.read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError(f"{path} is not a tokenizer.json of Hugging Face's tokenizers: it has no 'model'.")
    try:
        special = _added(content.get("added_tokens") or [])
        split = _split(content.get("pre_tokenizer"))
        _refuse("normalizer", content.get("normalizer"), (None,))
        model = content["model"]
        _refuse("model's type", model.get("type", "BPE"), ("BPE",))
        for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
            _refuse(f"model's {name}", model.get(name) or None, (None,))
        merges = [line if isinstance(line, str) else " ".join(line) for line in model["merges"]]
        tokenizer = _build(dict(model["vocab"]), merges, special, split)
        if tokenizer.missing:
            _refuse("model's unk_token, with bytes that have no token", model.get("unk_token"), (None,))
        if model.get("ignore_merges"):
            _check_whole_words(tokenizer)
    except KeyError as error:
        raise ValueError(f"{path} has no {error} where a tokenizer.json has one.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise unknown.same(error)(f"{path} cannot be read as a byte-level BPE: {error}") from error
    return tokenizer


def from_gguf_fields(tokens, merges, token_types, pre):
    """Return the BPE that a GGUF file's fields describe: tokenizer.ggml.tokens, .merges, .token_type and .pre.

    tokens (V strs)   merges (strs "left right")   token_types (V integers)   pre: "smollm", "gpt-2" or "llama-bpe"
    Raises ValueError with a sentence if they do not fit together or are of a kind that is not supported.
    """
    if pre not in GGUF_PRE:
        raise ValueError(f"tokenizer.ggml.pre is {pre!r}, a way to cut text that nanolm does not know. It knows: "
                         f"{', '.join(GGUF_PRE)}.")
    if len(token_types) != len(tokens):
        raise ValueError(f"tokenizer.ggml.token_type has {len(token_types)} entries, but there are {len(tokens)} tokens.")
    special = {}
    for token_id, (token, kind) in enumerate(zip(tokens, token_types)):
        if kind in (CONTROL, USER_DEFINED):
            special[token] = token_id
        elif kind != NORMAL:
            raise ValueError(f"token {token_id}, {token!a}, is of type {kind}. A byte-level BPE has the types 1 (normal), "
                             f"3 (control) and 4 (defined by a user).")
    return _build({token: token_id for token_id, token in enumerate(tokens)}, list(merges), special, GGUF_PRE[pre])


def _build(vocabulary, lines, special, split):
    """Return a BPE from token -> id, merges as strs, special name -> id, and the way text is cut."""
    merges = gpt2_files.pairs(lines)
    shown = [byte_alphabet.SYMBOLS[byte] for byte in byte_alphabet.ORDER]
    for left, right in merges:
        shown.append(shown[left] + shown[right])
    ids = [vocabulary.get(token) for token in shown]
    for token, token_id in zip(shown[256:], ids[256:]):
        if token_id is None:
            raise ValueError(f"a merge makes the token {token!a}, but the vocabulary does not have it.")
    unmade = vocabulary.keys() - set(shown) - special.keys()
    if unmade:
        raise ValueError(f"no merge makes the token {min(unmade)!a}, nor is it special ({len(unmade)} such tokens). The "
                         f"merges may be truncated.")
    if ids == list(range(len(shown))) and list(special.values()) == list(range(len(shown), len(shown) + len(special))):
        return BPE(merges, list(special), split)                            # our own numbers: no table is needed
    return BPE(merges, special, split, ids)


def _added(entries):
    """Return name -> id of the added tokens. What changes where they are found in a text is refused."""
    special = {}
    for entry in entries:
        for name in ("single_word", "lstrip", "rstrip"):
            _refuse(f"{name} of the added token {entry['content']!a}", bool(entry.get(name)), (False,))
        special[entry["content"]] = entry["id"]
    return special


def _split(pre_tokenizer):
    """Return the name of the way to cut text, as in splitter.py, that a pre_tokenizer stands for."""
    if not isinstance(pre_tokenizer, dict):
        raise unknown.Unknown(f"pre_tokenizer is {pre_tokenizer!r}, but byte-level BPE needs one that makes bytes, ByteLevel.")
    steps = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    _refuse("pre_tokenizer's last step", steps[-1]["type"] if steps else None, ("ByteLevel",))
    _refuse("ByteLevel's add_prefix_space", bool(steps[-1].get("add_prefix_space")), (False,))
    by_expression, before = steps[-1].get("use_regex", True), steps[:-1]
    if not before and by_expression:
        return "gpt2"
    if len(before) == 1 and before[0]["type"] == "Digits" and by_expression:
        _refuse("Digits' individual_digits", before[0].get("individual_digits"), (True,))
        return "smollm"
    if len(before) == 1 and before[0]["type"] == "Split" and not by_expression:
        _refuse("Split's invert", before[0].get("invert", False), (False,))
        _refuse("Split's behavior", before[0].get("behavior"), ("Isolated",))
        pattern = before[0]["pattern"].get("Regex")
        if pattern in EXPRESSIONS:
            return EXPRESSIONS[pattern]
        raise unknown.Unknown(f"Split's expression {pattern!r} is not one that nanolm knows; it knows GPT-2's and Llama 3's.")
    raise unknown.Unknown(f"pre_tokenizer has the steps {', '.join(step['type'] for step in steps)}, with "
                     f"use_regex={by_expression}. nanolm knows ByteLevel alone, Digits and ByteLevel, and Split and "
                     f"ByteLevel without an expression of its own.")


def _refuse(what, came, allowed):
    if came not in allowed:
        raise unknown.Unknown(f"the {what} is {came!r}; nanolm supports only {' or '.join(map(repr, allowed))}.")


def _check_whole_words(tokenizer):
    """ignore_merges takes a word that is a token at once. No difference, if each token is what its own bytes merge to."""
    for token_id in tokenizer.ids[256:]:
        word = tokenizer.token_bytes(token_id)
        if tokenizer.merged(word) != [token_id]:
            raise unknown.Unknown(f"the model's ignore_merges is True, and the merges do not make the token {word!r} of its own "
                             f"bytes. nanolm supports it only where it makes no difference.")

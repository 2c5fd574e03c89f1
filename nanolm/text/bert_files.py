"""The two files that a BERT's vocabulary is published as.

    vocab.txt         one token a line; the line's number, from 0, is the id
    tokenizer.json    Hugging Face's: the same as a dict, token -> id, and which steps of bert_normal.py are taken

A tokenizer.json may describe any tokenizer. What is not BERT's way is refused by a sentence (unknown.Unknown), for it would give
other ids. Added tokens but for the five of wordpiece.py are in the vocabulary, and no text is encoded to them.

Source    google-research/bert (vocab.txt); tokenizers 0.23 (tokenizer.json).   Tested  tests/test_wordpiece.py.
"""
from pathlib import Path

from nanolm import files
from nanolm.text import unknown


def build(path, arguments, make):
    """Return make(*arguments()); a TypeError or ValueError becomes a ValueError that names the file."""
    try:
        return make(*arguments())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unknown.same(error)(f"{path} does not hold the vocabulary of a BERT: {error}") from error


def vocab_txt(path):
    """Return the tokens of a vocab.txt, a list of strs."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    lines = path.read_bytes().decode("utf-8").split("\n")
    tokens = [line.rstrip() for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    return tokens


def tokenizer_json(path):
    """Return vocabulary, lowercase, strip_accents, longest_word, the arguments of WordPiece."""
    content = files.read_json(path)
    model, normalizer, added = content["model"], content["normalizer"], content.get("added_tokens") or []
    _expect("model's type", model["type"], "WordPiece")
    _expect("model's continuing_subword_prefix", model["continuing_subword_prefix"], "##")
    _expect("model's unk_token", model["unk_token"], "[UNK]")
    _expect("normalizer's type", normalizer["type"], "BertNormalizer")
    _expect("normalizer's clean_text", normalizer["clean_text"], True)
    _expect("normalizer's handle_chinese_chars", normalizer["handle_chinese_chars"], True)
    _expect("pre_tokenizer's type", content["pre_tokenizer"]["type"], "BertPreTokenizer")
    for entry in added:
        for name in ("single_word", "lstrip", "rstrip"):                    # they change where it is found in a text
            _expect(f"{name} of the added token {entry['content']!a}", bool(entry.get(name)), False)
    vocabulary = {**model["vocab"], **{entry["content"]: entry["id"] for entry in added}}
    tokens = sorted(vocabulary, key=vocabulary.get)
    for place, token in enumerate(tokens):
        if vocabulary[token] != place:
            raise ValueError(f"the token {token!a} has the id {vocabulary[token]}, but {place} is the next free one; ids "
                             f"must run from 0 without a gap.")
    return tokens, normalizer["lowercase"], normalizer.get("strip_accents"), model.get("max_input_chars_per_word", 100)


def _expect(what, came, expected):
    if came != expected:
        raise unknown.Unknown(f"the {what} is {came!r}, but only {expected!r} is supported.")

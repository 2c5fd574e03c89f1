"""Reading the two files that GPT-2's tokenizer is published as, sound ones and damaged ones."""
import json

import pytest

from nanolm.text import BPE, byte_alphabet


@pytest.fixture(scope="module")
def tokenizer():
    return BPE.train("low lower newest widest, the caf\u00e9 2024\n" * 3, 290, special=["<|endoftext|>", "<|pad|>"])


def gpt2_files(folder, tokenizer):
    """Write `tokenizer` as the two files GPT-2 is published as; return their content, for a test to damage."""
    show = byte_alphabet.show
    merges = [f"{show(tokenizer.token_bytes(a))} {show(tokenizer.token_bytes(b))}" for a, b in tokenizer.merges]
    tokens = {show(tokenizer.token_bytes(i)): i for i in range(256 + len(merges))}
    return {**tokens, **tokenizer.special}, "\n".join(["#version: 0.2", *merges, ""])


def read(folder, encoder, merges):
    (folder / "encoder.json").write_text(json.dumps(encoder))
    (folder / "vocab.bpe").write_bytes(merges.encode("utf-8"))
    return BPE.from_gpt2(folder / "encoder.json", folder / "vocab.bpe")


def test_gpt2_files(tmp_path, tokenizer):
    encoder, merges = gpt2_files(tmp_path, tokenizer)
    for text_of_merges in (merges, merges.replace("\n", "\r\n"), merges.partition("\n")[2]):
        again = read(tmp_path, encoder, text_of_merges)
        assert again._tokens == tokenizer._tokens and again.merges == tokenizer.merges
        assert again.special == tokenizer.special


def test_gpt2_files_that_are_wrong(tmp_path, tokenizer):
    encoder, merges = gpt2_files(tmp_path, tokenizer)
    swapped = {**encoder, "a": encoder["b"], "b": encoder["a"]}
    for wrong_encoder, wrong_merges, words in (
        (swapped, merges, "encoder.json gives the token 'a' the id 65"),
        ([1, 2], merges, "encoder.json holds no table"),
        (encoder, merges[:len(merges) // 2], "vocab.bpe"),
        (encoder, "\n".join(merges.split("\n")[:9]), "vocab.bpe may be truncated"),
        (encoder, "#version: 0.2\nhello\n", "vocab.bpe is not a list of merges.*merge 0, 'hello'"),
        ({**encoder, "<|pad|>": 300}, merges, r"the token '<\|pad\|>', id 300, which no merge"),
        ({**encoder, "<|pad|>": "x"}, merges, "encoder.json holds no table"),
        ({}, merges, "encoder.json gives the token '!' the id None"),
    ):
        with pytest.raises(ValueError, match=words):
            read(tmp_path, wrong_encoder, wrong_merges)
    for length in range(0, len(merges) - 1, 7):                              # cut short anywhere
        with pytest.raises(ValueError, match="vocab.bpe"):
            read(tmp_path, encoder, merges[:length])
    (tmp_path / "vocab.bpe").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="vocab.bpe is not UTF-8"):
        BPE.from_gpt2(tmp_path / "encoder.json", tmp_path / "vocab.bpe")
    for missing in ("vocab.bpe", "encoder.json"):
        (tmp_path / missing).unlink()
        with pytest.raises((FileNotFoundError, ValueError), match=missing):
            BPE.from_gpt2(tmp_path / "encoder.json", tmp_path / "vocab.bpe")

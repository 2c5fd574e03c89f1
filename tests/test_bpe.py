"""Byte-level BPE: training, merging, the class. tests/test_splitter.py and test_gpt2_files.py hold its other parts."""
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import text
from nanolm.text import BPE, bpe, bpe_train, byte_alphabet, merging, splitter, store

ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))      # lone surrogates and NUL too
TRICKY = st.text(st.sampled_from(list("aZ\u00e9\u4e2d1\u00b2\u0663.'-\u2019 \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"
                                      "\u2003\u2028\u200b\u200d\ufeff\u0301\ufe0f\U0001f600\ue000\ud800\x00stvrelmd")))


# ---- bpe_train.py

def ids_of(word):
    return tuple(byte_alphabet.ORDER.index(byte) for byte in word.encode())


def learned(word_counts, n_merges):
    """The merges as strs "e s", learned from {"low": 5, ...}."""
    merges = bpe_train.learn({ids_of(word): count for word, count in word_counts.items()}, n_merges, 256)
    tokens = BPE(merges)
    return [" ".join(tokens.token_bytes(i).decode() for i in pair) for pair in merges]


def test_training_by_hand():
    words = {"low": 5, "lower": 2, "newest": 6, "widest": 3}                 # Sennrich, Haddow, Birch 2016
    assert learned(words, 7) == ["e s", "es t", "l o", "lo w", "e w", "n ew", "new est"]
    assert learned(words, 5) == ["e s", "es t", "l o", "lo w", "e w"]        # the same, but fewer
    # hug 10, pug 5, pun 12, bun 4, hugs 5:  u g 20, p u 17, u n 16, h u 15;  then u n 16 and h ug 15, and then p un 12
    assert learned({"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}, 4) == ["u g", "u n", "h ug", "p un"]


def test_ties_go_to_the_smaller_ids():
    assert learned({"zy": 2, "ba": 2, "bc": 2}, 9) == ["b a", "b c", "z y"]


def test_pairs_are_joined_from_left_to_right():
    assert bpe_train.join([1, 1, 1, 2, 1, 1], (1, 1), 9) == [9, 1, 2, 9]
    assert learned({"aaaaa": 2}, 9) == ["a a", "aa a", "aa aaa"]             # a a 8; then a < aa


def test_training_ends_when_no_pair_occurs_twice():
    assert learned({"ab": 1, "cd": 1}, 9) == []
    assert BPE.train("ab ab", 1000).vocab_size == 257                        # "ab" and " ab": only a b occurs twice


def slow_learn(word_counts, n_merges):
    """bpe_train.learn by its rules alone: count every pair again for every merge."""
    words, merges = dict(word_counts), []
    for joined in range(256, 256 + n_merges):
        pairs = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs or max(pairs.values()) < 2:
            break
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        words = {tuple(bpe_train.join(list(word), merges[-1], joined)): count for word, count in words.items()}
    return merges


@settings(max_examples=300)
@given(st.dictionaries(st.lists(st.integers(0, 3), max_size=12).map(tuple), st.integers(1, 5), max_size=8))
def test_training_against_counting_everything_again(word_counts):
    assert bpe_train.learn(word_counts, 30, 256) == slow_learn(word_counts, 30)


def test_progress():
    calls = []
    BPE.train("ab ab ab cd cd", 300, progress=lambda done, total: calls.append((done, total)))
    assert calls[:2] == [(1, 44), (2, 44)] and calls[-1] == (44, 44)         # it ends early, and says it is done


# ---- merging.py

def slow_merge(ids, merges):
    """merging.merge as its docstring puts it: look at all neighbours again in each round."""
    ids = list(ids)
    while True:
        possible = [(merges[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in merges]
        if not possible:
            return ids
        joined, i = min(possible)
        ids[i:i + 2] = [joined]


@settings(max_examples=300)
@given(st.text("abc", min_size=1, max_size=60), st.text("abc ", max_size=200))
def test_merging_against_the_plain_way(word, training):
    merges = BPE.train(training, 300).merges
    ids = list(ids_of(word))
    before = list(ids)
    assert merging.merge(ids, merges) == slow_merge(ids, merges)
    assert ids == before


@given(st.text("abc ", max_size=300))
def test_encoding_ends_where_training_did(training):
    """The tokens of the training words are those the words had when training ended, and each token is its own."""
    tokenizer = BPE.train(training, 300)
    for word in splitter.split(training):
        expected = list(ids_of(word))
        for pair, joined in tokenizer.merges.items():
            expected = bpe_train.join(expected, pair, joined)
        assert tokenizer.encode(word).tolist() == expected
    for joined in tokenizer.merges.values():
        word = tokenizer.token_bytes(joined).decode()
        assert merging.merge(ids_of(word), tokenizer.merges) == [joined]


def test_a_merge_that_came_too_late():
    """In abc, b c goes first, and so a b is no longer there when its turn comes; a bc is."""
    a, b, c = ids_of("abc")
    assert merging.merge([a, b, c], {(b, c): 256, (a, b): 257, (a, 256): 258}) == [258]
    assert merging.merge([a, b, c], {(b, c): 256, (a, b): 257}) == [a, 256]


def test_a_very_long_word():
    tokenizer = BPE([(64, 64), (256, 256)])                                  # a a -> 256, aa aa -> 257
    ids = tokenizer.encode("a" * 200_003)                                    # by the plain way: an hour
    assert (ids[:50_000] == 257).all() and ids[50_000:].tolist() == [256, 64]


# ---- bpe.py

CORPUS = "low low lower newest widest, the caf\u00e9 isn't low. \u4f4e\u4f4e 2024 2024\n" * 3


@pytest.fixture(scope="module")
def tokenizer():
    return BPE.train(CORPUS, 290, special=["<|endoftext|>", "<|pad|>"])


def test_ids_by_hand():
    small = BPE([(68, 82), (256, 83)])                                       # e s -> 256, es t -> 257
    assert small.encode("test es te").tolist() == [83, 257, 220, 256, 220, 83, 68]       # a space is 188 + 32
    assert small.encode("test").dtype == np.int32
    assert small.token_bytes(257) == b"est" and small.decode([257, 0]) == "est!"


@given(st.one_of(ANY_STR, TRICKY, st.text("lowernst ")))
def test_every_str_decodes_to_itself(tokenizer, s):
    ids = tokenizer.encode(s)
    assert ids.dtype == np.int32 and ids.ndim == 1
    assert tokenizer.decode(ids) == s
    assert b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", "surrogatepass") == s


@given(st.lists(st.integers(0, 289)))
def test_any_ids_decode(tokenizer, ids):
    joined = b"".join(map(tokenizer.token_bytes, ids))
    s = tokenizer.decode(ids)
    if not any(0xD800 <= ord(character) < 0xE000 for character in s):
        assert s == joined.decode("utf-8", errors="replace")


def test_special_tokens(tokenizer):
    assert tokenizer.special == {"<|endoftext|>": 288, "<|pad|>": 289} and tokenizer.vocab_size == 290
    assert 288 not in tokenizer.encode("<|endoftext|>")                      # in a text it is ordinary text
    assert tokenizer.decode(tokenizer.encode("<|endoftext|>")) == "<|endoftext|>"
    assert tokenizer.decode([288]) == "<|endoftext|>" and tokenizer.token_bytes(288) == b"<|endoftext|>"


def test_training_twice_gives_the_same(tokenizer):
    again = BPE.train(CORPUS, 290, special=["<|endoftext|>", "<|pad|>"])
    assert list(again.merges.items()) == list(tokenizer.merges.items())
    assert text.train("bpe", CORPUS, 288).merges == tokenizer.merges


def test_the_cache_changes_nothing_and_stays_small(monkeypatch):
    monkeypatch.setattr(bpe, "CACHE_WORDS", 5)
    monkeypatch.setattr(bpe, "CACHE_LENGTH", 4)
    small, fresh = BPE.train(CORPUS, 290), BPE.train(CORPUS, 290)
    for _ in range(3):
        ids = small.encode(CORPUS + " longer words than four")
        assert len(small._cache) <= 5 and all(len(word) <= 4 for word in small._cache)
    monkeypatch.undo()
    assert ids.tolist() == fresh.encode(CORPUS + " longer words than four").tolist()


def test_empty(tokenizer):
    assert tokenizer.encode("").shape == (0,) and tokenizer.encode("").dtype == np.int32
    assert tokenizer.decode(np.zeros(0)) == ""
    assert BPE.train("", 256).vocab_size == 256


@given(st.one_of(ANY_STR, TRICKY, st.text("ab ")), st.lists(st.text(min_size=1), max_size=2, unique=True))
def test_save_and_load(tmp_path_factory, training, special):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = BPE.train(training * 2, 300, special=special)
    tokenizer.save(folder)
    for again in (text.load(folder), BPE.load(folder)):
        assert type(again) is BPE and again._tokens == tokenizer._tokens
        assert list(again.merges.items()) == list(tokenizer.merges.items()) and again.special == tokenizer.special


# ---- errors

@pytest.mark.parametrize("vocab_size, special, error, words", [
    (255, (), ValueError, "vocab_size is 255.*256"), (256, ("<|x|>",), ValueError, "need 257"),
    (-1, (), ValueError, "-1"),
    (1e3, (), TypeError, "float"), ("1000", (), TypeError, "str"), (None, (), TypeError, "NoneType"),
    (300, ("a", "a"), ValueError, "same name"), (300, ("",), ValueError, "one is ''"), (300, (3,), ValueError, "is 3"),
    (300, ("\ud83d\ude00",), ValueError, "whole characters"), (300, "<|x|>", TypeError, r"Write \['<\|x\|>'\]"),
])
def test_a_wrong_vocab_size(vocab_size, special, error, words):
    with pytest.raises(error, match=words):
        BPE.train("some text", vocab_size, special=special)


def test_bpe_by_name_needs_a_size():
    with pytest.raises(ValueError, match="vocab_size, for example"):
        text.train("bpe", "some text")


def test_text_and_ids_are_checked(tokenizer):
    for function in (tokenizer.encode, lambda wrong: BPE.train(wrong, 300)):
        with pytest.raises(TypeError, match="text came as bytes"):
            function(b"abc")
    for wrong in ([290], [0, -1]):
        with pytest.raises(ValueError, match="290 tokens"):
            tokenizer.decode(wrong)
    with pytest.raises(ValueError, match="is 290"):
        tokenizer.token_bytes(290)


@pytest.mark.parametrize("merges, words", [
    ([(0, 256)], "merge 0 joins tokens 0 and 256"), ([(-1, 0)], "-1"), ([(0, 1), (0, 1)], "same token"),
    ([(0, 1), (256, 2), (1, 2), (0, 258)], "same token"),
])
def test_wrong_merges(merges, words):
    with pytest.raises(ValueError, match=words):
        BPE(merges)


@pytest.mark.parametrize("content", [
    {}, {"merges": ["a b"]}, {"merges": ["ab"], "special": []}, {"merges": ["a \u4e2d"], "special": []},
    {"merges": [3], "special": []}, {"merges": ["a b"], "special": [3]}, {"merges": ["a b", "a b"], "special": []},
    {"merges": 3, "special": []}, {"merges": [], "special": 3}, {"merges": [], "special": "abc"},
])
def test_a_sound_file_with_wrong_content(tmp_path, content):
    store.write(tmp_path, {"type": "bpe", **content})
    with pytest.raises(ValueError, match="tokenizer.json does not describe a 'bpe' tokenizer"):
        text.load(tmp_path)

"""The baselines: Witten-Bell against a plain dictionary implementation, sums of one, sources of known entropy."""
import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm.data import baselines, ngram

TEXT = ("the cat sat on the mat and the dog sat on the log, then the cat and the dog ran round and round the old oak "
        "tree until it was dark; in the dark the owl asked who was there and nobody answered. ") * 2
OTHER = "the owl sat on the dog and asked: \u00bfwho ran? \u00bfthe cat?"     # with a character that TEXT does not have


def by_dictionary(train, text, order):
    """P of each character of text, the formula of ngram.py written with dictionaries and recursion."""
    counts = defaultdict(Counter)
    for n in range(1, order + 1):
        for i in range(n - 1, len(train)):
            counts[train[i - n + 1:i]][train[i]] += 1
    V, N = len(set(train)), len(train)

    def P(c, h):
        if h == "":
            return (train.count(c) + V / 1_114_112) / (N + V)
        if h not in counts:
            return P(c, h[1:])
        T, n = len(counts[h]), sum(counts[h].values())
        return (counts[h][c] + T * P(c, h[1:])) / (n + T)

    return [P(c, text[max(0, i - order + 1):i]) for i, c in enumerate(text)]


def test_witten_bell_equals_the_dictionary_implementation():
    for order, P in enumerate(ngram.probabilities(TEXT, OTHER, 5), start=1):
        np.testing.assert_allclose(P, by_dictionary(TEXT, OTHER, order), rtol=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab\u00e9\U0001f600", min_size=1, max_size=25),
       st.text(alphabet="abc\ud800", min_size=1, max_size=12))
def test_and_on_the_smallest_and_oddest_texts(train, text):
    found = ngram.probabilities(train, text, 4)
    assert len(found) == 4
    for order, P in enumerate(found, start=1):
        np.testing.assert_allclose(P, by_dictionary(train, text, order), rtol=1e-12)


@pytest.mark.parametrize("context", ["", "t", "the ", "on the mat", "zzz", "q the", TEXT[-4:], "sat\u00bf"])
def test_the_probabilities_of_all_code_points_add_up_to_one_at_every_order(context):
    alphabet = sorted(set(TEXT))
    seen = np.array([[P[-1] for P in ngram.probabilities(TEXT, context + c, 5)] for c in alphabet])     # (V, order)
    new = np.array([P[-1] for P in ngram.probabilities(TEXT, context + "\u4e00", 5)])                   # (order,)
    assert (new > 0).all()
    np.testing.assert_allclose(seen.sum(axis=0) + (1_114_112 - len(alphabet)) * new, 1, rtol=1e-12)


def test_uniform_adds_up_to_one_and_is_log2_V():
    alphabet = "".join(sorted(set(TEXT)))
    P, new = baselines.uniform(TEXT, alphabet), baselines.uniform(TEXT, "\u4e00")
    assert math.isclose(P.sum() + (1_114_112 - len(alphabet)) * new[0], 1, rel_tol=1e-12)
    assert np.ptp(P) == 0
    long = "abcd" * 10_000
    assert math.isclose(baselines.measure(long, long)["uniform"], 2, abs_tol=1e-3)


def test_measure_gives_what_is_asked_in_order_and_reports_progress():
    seen = []
    bits = baselines.measure(TEXT, OTHER, progress=lambda done, total: seen.append((done, total)))
    assert tuple(bits) == baselines.NAMES and all(type(value) is float for value in bits.values())
    assert seen == [(i, 9) for i in range(1, 10)]
    expected = -np.mean([math.log2(P) for P in by_dictionary(TEXT, OTHER, 3)])
    assert math.isclose(bits["trigram"], expected, rel_tol=1e-12)


def test_known_sources_have_their_known_entropy():
    """Random letters cost log2 4; letters that alternate cost nothing once the one before is known."""
    rng = random.Random(0)
    letters = ["".join(rng.choices("abcd", k=n)) for n in (50_000, 20_000)]
    bits = baselines.measure(*letters)
    for name in ("uniform", "unigram", "bigram", "trigram"):
        assert abs(bits[name] - 2) < 0.01
    bits = baselines.measure("ab" * 5_000, "ab" * 1_000)
    assert abs(bits["unigram"] - 1) < 0.01 and bits["bigram"] < 0.01 and bits["5-gram"] < 0.01


def test_compression_is_in_bits_per_character_and_training_helps():
    rng = random.Random(0)
    text = "".join(rng.choices("abcdefgh ", k=40_000))                  # incompressible but for its alphabet
    bits = baselines.measure(text, text[10_000:20_000])
    for name in ("zlib", "lzma"):
        assert math.log2(9) < bits[f"{name} alone"] < 3.9
        assert 0 < bits[f"{name} after training"] < 0.5                 # it is a copy of something in training
    assert baselines.compressed(lambda data: data, "\u00e9") == 16      # two bytes of UTF-8 for one character


def test_only_the_last_part_of_a_huge_training_text_is_used():
    assert baselines.measure("z" * 999 + TEXT, OTHER, limit=len(TEXT)) == baselines.measure(TEXT, OTHER)


def test_empty_texts_are_named():
    with pytest.raises(ValueError, match="train is empty"):
        baselines.measure("", OTHER)
    with pytest.raises(ValueError, match="validation is empty"):
        baselines.measure(TEXT, "")
    with pytest.raises(ValueError, match="text is empty"):
        ngram.probabilities(TEXT, "", 2)

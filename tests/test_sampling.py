"""Sampling against its definitions: every filter, their order, the edges, and the frequencies of what is drawn."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nanolm.generation import sampling

INF = math.inf
# Few distinct values, so that ties are common; -inf now and then, but never in the first place: a token must be left.
LOGITS = st.builds(lambda head, tail: np.array([head, *tail]),
                   st.sampled_from([-2.0, 0.0, 0.5, 3.0]),
                   st.lists(st.sampled_from([-INF, -2.0, -0.5, 0.0, 0.5, 1.0, 3.0]), max_size=12))
FLOATS = arrays(np.float64, st.integers(1, 30), elements=st.floats(-20, 20))


def shares_of(z):
    weights = [math.exp(x - max(z)) for x in z]
    return np.array(weights) / sum(weights)


def largest_first(z):
    return sorted(range(len(z)), key=lambda i: (-z[i], i))              # of equal ones the lower id first


def kept(z):
    return set(np.flatnonzero(z > -INF).tolist())


# ---- each rule by itself

def test_greedy_takes_the_lowest_of_equal_ids():
    assert sampling.greedy([0.0, 3.0, 1.0, 3.0]) == 1
    assert sampling.greedy(np.array([[1.0, 1.0], [-INF, -5.0]])).tolist() == [0, 1]


@given(LOGITS, st.floats(0.05, 20))
def test_temperature_divides_and_keeps_minus_inf(z, t):
    got = shares_of(sampling.sharpen(z, t))
    np.testing.assert_allclose(got, shares_of([x / t for x in z]), rtol=1e-12)


@given(LOGITS)
def test_temperature_0_is_greedy_and_the_limit_of_small_ones(z):
    expected = np.full(len(z), -INF)
    expected[largest_first(z)[0]] = 0
    assert np.array_equal(sampling.sharpen(z, 0), expected)
    ties = np.flatnonzero(z == z.max())
    np.testing.assert_allclose(shares_of(sampling.sharpen(z.astype(np.float32), 1e-300))[ties], 1 / len(ties))


def test_temperature_by_hand_and_its_direction():
    np.testing.assert_allclose(sampling.distribution([math.log(4), 0.0], temperature=1), [0.8, 0.2])
    np.testing.assert_allclose(sampling.distribution([math.log(4), 0.0], temperature=0.5), [16 / 17, 1 / 17])
    np.testing.assert_allclose(sampling.distribution([math.log(4), 0.0], temperature=2), [2 / 3, 1 / 3])


@given(LOGITS, st.integers(1, 20))
def test_top_k_keeps_the_k_largest_and_leaves_their_logits(z, k):
    got = sampling.keep_top_k(z, k)
    expected = set(largest_first(z)[:k]) & kept(z)                      # -inf stays -inf, even when k has room for it
    assert kept(got) == expected
    assert all(got[i] == z[i] for i in expected)


def test_top_k_off_and_larger_than_the_vocabulary():
    z = np.array([1.0, -INF, 2.0])
    for k in (None, 3, 4, 10 ** 12):
        assert np.array_equal(sampling.keep_top_k(z, k), z)


@given(st.one_of(LOGITS, FLOATS), st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_set_that_reaches_p(z, p):
    got = kept(sampling.keep_top_p(z, p))
    shares, order = shares_of(z), largest_first(z)
    assert got == set(order[:len(got)])                                 # the likeliest, lower ids first
    assert shares[list(got)].sum() >= p - 1e-12                         # enough
    assert shares[order[:len(got) - 1]].sum() < p + 1e-12               # and one fewer would not do


def test_top_p_by_hand():
    z = np.log([0.1, 0.5, 0.15, 0.25])
    assert kept(sampling.keep_top_p(z, 0.5 - 1e-9)) == {1}
    assert kept(sampling.keep_top_p(z, 0.5 + 1e-9)) == {1, 3}
    assert kept(sampling.keep_top_p(z, 0.8)) == {1, 2, 3}
    assert kept(sampling.keep_top_p(z, 0.95)) == {0, 1, 2, 3}
    assert kept(sampling.keep_top_p(z, 1e-300)) == {1}
    assert kept(sampling.keep_top_p(np.zeros(4), 0.5)) == {0, 1}        # ties: the lower ids


def test_top_p_1_keeps_every_token_however_unlikely():
    z = np.array([0.0, -800.0, -INF, -40.0])
    assert np.array_equal(sampling.keep_top_p(z, 1.0), z)
    assert np.array_equal(sampling.keep_top_p(z, 1), z)


@given(FLOATS, st.floats(1.0, 3.0), st.lists(st.integers(0, 29), max_size=8))
def test_repetition_penalty_lowers_what_was_seen_once_however_often(z, penalty, ids):
    ids = [i % len(z) for i in ids]
    expected = z.copy()
    for i in set(ids):
        expected[i] = z[i] / penalty if z[i] > 0 else z[i] * penalty
    got = sampling.penalize(z, ids, penalty)
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert (got <= z).all()


def test_repetition_penalty_row_by_row():
    z = np.array([[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]])
    got = sampling.penalize(z, np.array([[0, 0], [1, 2]]), 2.0)
    assert got.tolist() == [[1.0, -2.0, 1.0], [2.0, -4.0, 0.5]]


@given(arrays(np.float64, st.integers(1, 60), elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 1e-9]))),
       st.one_of(st.floats(1e-6, 1 - 1e-6), st.just(1 - 2**-53), st.just(1e-300)))
def test_reaching_by_its_definition(shares, p):
    """Sorting only the shares that can matter counts what sorting all of them counts, to the last rounding."""
    shares[0] += 1e-3
    shares /= shares.sum()
    expected = int((np.sort(shares)[::-1].cumsum() < p).sum()) + 1
    assert sampling.reaching(shares, p) == min(expected, len(shares))


def test_greedy_sorts_nothing(monkeypatch):
    for name in ("sort", "argsort", "partition", "argpartition"):
        monkeypatch.setattr(np, name, lambda *args, **more: pytest.fail("greedy has sorted"))
    assert sampling.choose(np.array([[1.0, 3.0, 2.0]]), np.array([[0]]), None, temperature=0, top_k=2, top_p=0.5) == 1


# ---- together

@given(LOGITS, st.floats(0.1, 5), st.one_of(st.none(), st.integers(1, 15)), st.floats(0.05, 1), st.floats(0.5, 2))
def test_the_order_is_penalty_temperature_top_k_top_p(z, t, k, p, penalty):
    z_before, ids = z.copy(), [0]
    by_hand = shares_of(sampling.keep_top_p(sampling.keep_top_k(sampling.sharpen(
        sampling.penalize(z, ids, penalty), t), k), p))
    got = sampling.distribution(z, ids, t, k, p, penalty)
    np.testing.assert_allclose(got, by_hand, rtol=1e-12)
    assert got.dtype == np.float64 and abs(got.sum() - 1) < 1e-12
    assert np.array_equal(z, z_before)


def test_top_p_comes_after_temperature_and_counts_shares_of_what_top_k_left():
    z = np.log([0.4, 0.3, 0.2, 0.1])
    assert (sampling.distribution(z, top_p=0.6) > 0).sum() == 2
    assert (sampling.distribution(z, top_p=0.6, temperature=0.2) > 0).sum() == 1        # sharper: the first has 0.79
    assert (sampling.distribution(z, top_p=0.55, top_k=2) > 0).sum() == 1               # 0.4 of 0.7 is 0.57


@given(LOGITS)
def test_three_ways_to_be_greedy_agree(z):
    best = sampling.greedy(z)
    for settings_ in (dict(temperature=0), dict(top_k=1), dict(top_p=1e-9)):
        shares = sampling.distribution(z, **settings_)
        assert shares[best] == 1 and shares.sum() == 1
        assert sampling.choose(z, [], np.random.default_rng(0), **settings_) == best


@given(arrays(np.float32, (3, 7), elements=st.floats(-5, 5, width=32)), st.integers(1, 8), st.floats(0.1, 1))
def test_rows_do_not_see_each_other(z, k, p):
    ids = np.array([[0, 1], [2, 2], [6, 3]])
    together = sampling.distribution(z, ids, 0.7, k, p, 1.3)
    for row in range(3):
        assert np.array_equal(together[row], sampling.distribution(z[row], ids[row], 0.7, k, p, 1.3))


# ---- the draw

@pytest.mark.parametrize("setting", [dict(), dict(temperature=0.5), dict(temperature=3.0), dict(top_k=4),
                                     dict(top_p=0.7),
                                     dict(temperature=1.7, top_k=6, top_p=0.9, repetition_penalty=1.5)])
def test_frequencies_pass_a_chi_square_test(setting):
    """40,000 draws; with m possible tokens the statistic has mean m - 1 and variance 2 (m - 1). A right sampler exceeds
    mean + 5 sigma with one seed in 200 (m = 2) to 1,800 (m = 8), and the seed is fixed. A share off by 0.02 fails.
    """
    z = np.array([1.2, -0.3, 0.8, 0.1, -1.0, 0.6, -0.2, 0.3])
    shares, n = sampling.distribution(z, [0, 5], **setting), 40_000
    rng = np.random.default_rng(5)
    counts = np.bincount(sampling.draw(np.broadcast_to(shares, (n, len(z))), rng), minlength=len(z))
    possible = shares > 0
    assert counts[~possible].sum() == 0

    def statistic(expected):
        return ((counts[possible] - n * expected[possible]) ** 2 / (n * expected[possible])).sum()

    bound = possible.sum() - 1 + 5 * math.sqrt(2 * (possible.sum() - 1))
    assert statistic(shares) < bound
    off = shares.copy()
    first, second = np.flatnonzero(possible)[:2]
    off[first], off[second] = off[first] + 0.02, off[second] - 0.02
    assert statistic(off) > bound                                       # the test can fail


class Fixed(np.random.Generator):
    """A generator whose uniform numbers are given."""

    def __init__(self, value):
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, shape):
        return np.full(shape, self.value)


@pytest.mark.parametrize("u, expected", [(0.0, 1), (0.249, 1), (0.25, 3), (0.749, 3), (0.75, 4), (1 - 2 ** -53, 4)])
def test_the_borders_of_the_draw_and_never_a_share_of_zero(u, expected):
    assert sampling.draw(np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0]), Fixed(u)) == expected


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(1e-12, 1)))
def test_the_largest_u_stays_inside_whatever_the_sum_rounds_to(weights):
    assert sampling.draw(weights / weights.sum(), Fixed(1 - 2 ** -53)) < len(weights)


def test_one_number_of_the_generator_a_row_and_the_same_seed_the_same_ids():
    shares = sampling.distribution(np.random.default_rng(0).normal(size=(5, 9)))
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    assert np.array_equal(sampling.draw(shares, one), sampling.draw(shares, two))
    three = np.random.default_rng(3)
    three.random(5)
    assert one.random() == three.random()


# ---- errors

@pytest.mark.parametrize("setting, error, words", [
    (dict(temperature=-0.1), ValueError, "temperature is -0.1, but must be 0"),
    (dict(temperature=INF), ValueError, "temperature is inf"),
    (dict(temperature=math.nan), ValueError, "temperature is nan"),
    (dict(temperature="hot"), TypeError, "temperature must be a number, not 'hot'"),
    (dict(temperature=None), TypeError, "temperature must be a number"),
    (dict(top_k=0), ValueError, "top_k is 0, but at least 1"),
    (dict(top_k=-3), ValueError, "top_k is -3"),
    (dict(top_k=2.5), TypeError, "top_k must be a whole number or None, not 2.5"),
    (dict(top_k=True), TypeError, "top_k must be a whole number"),
    (dict(top_p=0), ValueError, "top_p is 0, but it is a share"),
    (dict(top_p=1.01), ValueError, "top_p is 1.01"),
    (dict(top_p=math.nan), ValueError, "top_p is nan"),
    (dict(repetition_penalty=0), ValueError, "repetition_penalty is 0, but must be a finite number above 0"),
    (dict(repetition_penalty=INF), ValueError, "repetition_penalty is inf"),
])
def test_settings_that_make_no_sense(setting, error, words):
    with pytest.raises(error, match=words):
        sampling.check(**setting)
    with pytest.raises(error, match=words):
        sampling.distribution([1.0, 2.0], [0], **setting)


@pytest.mark.parametrize("z, words", [
    ([1.0, math.nan], "NaN or \\+inf"), ([INF, 1.0], "NaN or \\+inf"), ([-INF, -INF], "every logit is -inf"),
    ([[0.0, 1.0], [-INF, -INF]], "every logit is -inf"), ([], r"have \(0,\)"), (3.0, r"have \(\)")])
def test_broken_logits(z, words):
    with pytest.raises(ValueError, match=words):
        sampling.distribution(z)
    with pytest.raises(ValueError, match=words):
        sampling.greedy(z)


def test_a_missing_generator():
    with pytest.raises(TypeError, match=r"rng must be a numpy Generator, not None\. Make one with np\.random"):
        sampling.draw([0.5, 0.5], None)

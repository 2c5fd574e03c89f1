"""Random bits from a seed and a place: even shares, and nothing to be seen between neighbours, rows, heads and seeds.

Everything here is a number of coins whose spread is known: 5 standard deviations are passed by chance once in 1.7 million.
"""
import math

import numpy as np
import pytest

pytest.importorskip("numba")

from nanolm.kernels.compiled import entry
from nanolm.kernels.random_bits import bits, seed_from

SEEDS = (1, 2, 3, 12345, 2**31 - 1)
N = 200_000


@entry("out64", "in1", "int", "int", "int")
def write_bits(into, _, seed, first, step):
    for i in range(into.size):
        into[i] = bits(seed, first + i * step)


def draw(seed, n=N, first=0, step=1):
    """Return bits(seed, first + i step) of i = 0 ... n - 1, int64 between 0 and 2^32 - 1."""
    into = np.empty(n, np.int64)
    write_bits(into, np.empty(1, np.float32), seed, first, step)
    return into


def correlation(a, b):
    """Return the correlation of two draws in units of its standard deviation by chance, 1 / sqrt(n)."""
    return np.corrcoef(a, b)[0, 1] * math.sqrt(len(a))


def assert_independent(a, b):
    """As numbers, and as coins of several rates: dropped here tells nothing about dropped there."""
    assert abs(correlation(a, b)) < 5
    for rate in (0.1, 0.5, 0.9):
        assert abs(correlation(a < rate * 2**32, b < rate * 2**32)) < 5


def test_the_definition():
    """The docstring's lines in Python's own whole numbers."""
    def scrambled(seed, place):
        z = ((place & 0xFFFFFFFF) * 0x9E3779B9 + (seed ^ ((place >> 32) * 0x85EBCA6B) & 0xFFFFFFFF)) & 0xFFFFFFFF
        z = (z ^ z >> 16) * 0x7FEB352D & 0xFFFFFFFF
        z = (z ^ z >> 15) * 0x846CA68B & 0xFFFFFFFF
        return z ^ z >> 16
    for seed in SEEDS:
        for first in (0, 2**32 - 50, 2**40 + 7, 5 * 2**20):
            assert draw(seed, 100, first).tolist() == [scrambled(seed, first + i) for i in range(100)]


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares(seed, rate):
    deviation = math.sqrt(rate * (1 - rate) / N)
    for first, step in ((0, 1), (2**40, 1), (0, 2**20), (7, 64)):            # along keys, in a later row, along queries, columns
        assert abs((draw(seed, N, first, step) < int(rate * 2**32)).mean() - rate) < 5 * deviation


@pytest.mark.parametrize("seed", SEEDS)
def test_every_bit_is_a_fair_coin_and_no_two_go_together(seed):
    z = draw(seed)
    coins = np.stack([(z >> i & 1) for i in range(32)]).astype(np.float64)
    assert (np.abs(coins.mean(axis=1) - 0.5) < 5 * 0.5 / math.sqrt(N)).all()
    together = np.corrcoef(coins) * math.sqrt(N)
    assert np.abs(together[~np.eye(32, dtype=bool)]).max() < 5.5            # 496 pairs


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_rows_and_heads_are_independent(seed):
    z = draw(seed)
    for lag in (1, 2, 3, 16, 64, 65, 768):                                  # neighbours, tiles, the width of a model
        assert_independent(z[:-lag], z[lag:])
    for distance in (2**20, 2**21, 64 * 2**20, 2**40, 2**41, 3 * 2**40):    # the places of attention: rows, tiles, heads
        assert_independent(z, draw(seed, first=distance))


def test_seeds_are_independent():
    draws = [draw(seed) for seed in SEEDS]
    for i, a in enumerate(draws):
        for b in draws[:i]:
            assert_independent(a, b)
            assert_independent(a[1:], b[:-1])                               # nor is one the other, moved by a place


def test_every_place_has_bits_of_its_own():
    """Every step of the scrambling can be undone: of the places 0 ... 2^32 - 1 no two share their bits."""
    for seed in SEEDS:
        assert np.unique(draw(seed)).size == N


def test_places_2_to_the_32_apart_are_told_apart():
    assert_independent(draw(3), draw(3, first=2**32))
    assert (draw(3, 1000) != draw(3, 1000, first=2**32)).all()


def test_the_seed_is_one_draw_of_the_generator():
    rng, same = np.random.default_rng(4), np.random.default_rng(4)
    seeds = [seed_from(rng) for _ in range(1000)]
    assert seeds == [int(same.integers(1, 2**31)) for _ in range(1000)]
    assert len(set(seeds)) == 1000 and all(0 < seed < 2**31 for seed in seeds)

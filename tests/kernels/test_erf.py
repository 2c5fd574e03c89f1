"""Phi and phi of the kernels against math.erfc, over all numbers that occur, at the edges, and where it is no number."""
import math

import numpy as np
import pytest

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT:
    pytest.skip("NumPy stands in for the exponential while Numba is switched off", allow_module_level=True)

from nanolm.kernels import erf as module
from nanolm.kernels.compiled import entry


@entry("in1", "out1", "out1")
def normal_of_all(x, share, density):
    for i in range(x.size):
        share[i], density[i] = module.normal(x[i])


def values(x):
    share, density = np.full_like(x, -1), np.full_like(x, -1)
    normal_of_all(x, share, density)
    return share, density


def exact(x):
    return (np.array([math.erfc(-float(one) / math.sqrt(2)) / 2 for one in x]),
            np.array([math.exp(-float(one) ** 2 / 2) / math.sqrt(2 * math.pi) for one in x]))


@pytest.mark.parametrize("dtype, absolute, relative", [(np.float32, 2.5e-7, 4e-6), (np.float64, 2e-15, 3e-14)])
def test_a_hundred_thousand_numbers(dtype, absolute, relative):
    x = np.concatenate([np.linspace(-9.5, 9.5, 60_001), np.random.default_rng(0).normal(0, 1, 40_000)]).astype(dtype)
    tails = np.abs(x) < 8.48                                                # z = 6, where the polynomial ends
    for ours, right in zip(values(x), exact(x)):
        assert ours.dtype == dtype
        assert np.abs(ours - right).max() < absolute
        assert np.abs(ours / right - 1)[tails].max() < relative             # 1e-17 is right too, not just small


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(dtype):
    share, density = values(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, 40, -40, 1e20, -1e20], dtype))
    np.testing.assert_allclose(share, [0.5, 0.5, 1, 0, np.nan, 0.5, 1, 0, 1, 0], rtol=4e-15 if dtype == np.float64 else 1e-6)
    assert share[0] == share[1] and np.isnan(density[4]) and (density[[2, 3, 6, 7, 8, 9]] == 0).all()
    assert density[0] == density[1] == dtype(1 / math.sqrt(2 * math.pi))


def test_nothing_is_denormal():
    """A number below 1e-38 costs a processor a hundred cycles."""
    for y in values(np.linspace(-20, 20, 100_001, dtype=np.float32)):
        assert ((y == 0) | (y > 1e-22)).all() and (y > 0).sum() > 40_000


def test_the_same_number_wherever_it_stands():
    """Wide registers, and what is left at the end of a row: the same bits."""
    x = np.random.default_rng(0).normal(0, 2, 67).astype(np.float32)
    together = values(x)
    for i in range(67):
        assert [y[0].tobytes() for y in values(x[i:i + 1])] == [y[i].tobytes() for y in together]


def test_powers_are_the_plain_layers_polynomial():
    u = np.linspace(-1, 1, 101)
    total = np.polynomial.chebyshev.chebval(u, module.layer.COEFFICIENTS["float64"])
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(u, module.P64), total, rtol=0, atol=1e-15)

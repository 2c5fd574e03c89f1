"""The exponential of the kernels against NumPy's in float64, over all of float32's range, its edges and what is no number."""
import math

import numpy as np
import pytest

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT:
    pytest.skip("NumPy stands in for it while Numba is switched off", allow_module_level=True)

from nanolm.kernels import exp as module
from nanolm.kernels.compiled import entry


@entry("in1", "out1")
def exp_of_all(x, y):
    for i in range(x.size):
        y[i] = module.exp(x[i])


def values(x):
    y = np.full_like(x, -1)
    exp_of_all(x, y)
    return y


def test_a_million_numbers():
    x = np.concatenate([np.linspace(-46, 88.37, 500_000), np.random.default_rng(0).normal(0, 3, 500_000)]).astype(np.float32)
    x = x[(x > -46) & (x < 88.37)]
    exact = np.exp(x.astype(np.float64))
    error = np.abs(values(x) / exact - 1)
    assert error.max() < 2e-7                                               # float32 counts in steps of 1.2e-7


def test_never_falling_where_it_changes_its_power_of_two():
    """Around the places where n of (EX1) goes up by one: neighbouring floats, no step back beyond rounding."""
    for n in range(-60, 120, 7):
        edge = np.float32((n + 0.5) * math.log(2))
        x = edge + np.arange(-2000, 2000, dtype=np.float32) * abs(np.spacing(edge))
        y = values(x)
        assert (np.diff(y) >= -2 * np.spacing(y[1:])).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, -1e30], dtype)
    y = values(x)
    assert y.dtype == dtype
    assert (y[:2] == 1).all() and y[2] == np.inf and y[3] == 0 and np.isnan(y[4]) and (y[5:7] == 1).all()
    assert y[7] == np.inf and y[8] == 0


def test_where_float32_begins_and_ends():
    high, low = module.HIGH, module.LOW
    below, above = np.nextafter(high, np.float32(0)), np.nextafter(low, np.float32(0))
    y = values(np.array([below, high, 88.8, above, low, -47, -87, -104], np.float32))
    assert y[0] == pytest.approx(math.exp(below), rel=3e-7) and (y[1:3] == np.inf).all()
    assert y[3] == pytest.approx(math.exp(above), rel=3e-7) and (y[4:] == 0).all()


def test_nothing_is_denormal():
    """A number below 1e-38 costs a processor a hundred cycles: there must be none, whatever goes in."""
    y = values(np.linspace(-200, 0, 100_001, dtype=np.float32))
    assert ((y == 0) | (y > 1e-21)).all() and (y > 0).sum() > 20_000


def test_float64_is_the_standard_librarys():
    x = np.random.default_rng(0).normal(0, 100, 10_000)
    exact = np.array([math.exp(one) if one < 709 else np.inf for one in x])
    np.testing.assert_allclose(values(x), exact, rtol=1e-15)


def test_the_same_number_wherever_it_stands():
    """Wide registers, and what is left at the end of a row: the same bits."""
    x = np.random.default_rng(0).normal(0, 5, 67).astype(np.float32)
    together = values(x)
    alone = np.array([values(x[i:i + 1])[0] for i in range(67)])
    assert together.tobytes() == alone.tobytes()

"""The largest number of a row: signs, zeros, infinities, NaN of both signs, every length."""
import numpy as np
import pytest

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT:
    pytest.skip("NumPy stands in for it while Numba is switched off", allow_module_level=True)

from nanolm.kernels.compiled import entry
from nanolm.kernels.maximum import largest


@entry("in1", "out1")
def write_largest(row, into):
    into[0] = largest(row)


def of(row):
    into = np.full(1, 77, row.dtype)
    write_largest(np.ascontiguousarray(row), into)
    return into[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_length_and_any_place(dtype):
    rng = np.random.default_rng(0)
    for n in range(1, 140):
        for shift in (0, -5, 5):                                            # both signs, negative only, positive only
            row = (rng.standard_normal(n) + shift).astype(dtype)
            assert of(row) == row.max()
        row[n // 2] = 100
        assert of(row) == 100
        row[:] = -100
        row[-1] = -99
        assert of(row) == -99


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_zeros_and_the_smallest_numbers(dtype):
    inf, tiny, huge = np.inf, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    for row in ([-inf], [-inf, -inf], [inf, 1], [-inf, -huge], [0.0, -tiny], [-0.0, -tiny], [tiny, 0.0], [huge, -huge],
                [-inf, 3, inf]):
        row = np.array(row, dtype)
        assert of(row) == row.max() and of(row[::-1]) == row.max()
    assert of(np.array([-0.0, 0.0], dtype)) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_positive_nan_is_the_largest(dtype):
    for row in ([np.nan], [np.nan, 1], [1, np.nan], [np.inf, np.nan, -np.inf], [-1] * 40 + [np.nan] + [-1] * 40):
        assert np.isnan(of(np.array(row, dtype)))


def test_a_negative_nan_of_float32_stays_unseen_as_the_docstring_says():
    row = np.array([1.0, -np.nan, 2.0], np.float32)
    row[1] = np.copysign(row[1], -1)
    assert np.signbit(row[1]) and of(row) == 2

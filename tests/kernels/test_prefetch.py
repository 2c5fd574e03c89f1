"""Few rows of x times a weight that is read once: against NumPy's product, for floats and int8, and column by column."""
import numpy as np
import pytest

pytest.importorskip("numba")

from nanolm.kernels.compiled import entry
from nanolm.kernels.reading import times


@entry("in1", "int", "int", "in2", "int", "int", "out2")
def multiplied(weights, at, step, x, start, n, y):
    times(weights, at, step, x, start, n, y)


@entry("bytes", "int", "int", "in2", "int", "int", "out2")
def multiplied_int8(weights, at, step, x, start, n, y):
    times(weights.view(np.int8), at, step, x, start, n, y)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 8, 9, 13, 16])
@pytest.mark.parametrize("n, O", [(1, 1), (4, 16), (7, 19), (24, 600), (13, 513), (8, 3)])
def test_floats(N, n, O, dtype, tolerance):
    """A part of the columns of a wider weight, a part of the columns of x; the last row ends where the memory ends."""
    rng = np.random.default_rng(N + n + O)
    at, step, start = 6, O + 4, 2
    weights = rng.standard_normal(at + (n - 1) * step + O).astype(dtype)
    x, y = rng.standard_normal((N, start + n + 1)).astype(dtype), np.full((N, O), np.nan, dtype)
    w = np.stack([weights[at + i * step:][:O] for i in range(n)])
    multiplied(weights, at, step, x, start, n, y)
    mine = x[:, start:start + n]
    size = np.abs(mine).astype(float) @ np.abs(w).astype(float)
    assert (np.abs(y - mine.astype(np.longdouble) @ w.astype(np.longdouble)) <= tolerance * np.sqrt(n + 1) * size).all()


@pytest.mark.parametrize("N", [1, 3, 8, 16])
def test_int8_is_exact_where_float32_is(N):
    """Whole numbers below 2^24: float32 has them all, so that every digit must be right."""
    rng = np.random.default_rng(N)
    weights = rng.integers(-127, 128, (29, 535), np.int8)
    x, y = rng.integers(-9, 10, (N, 29)).astype(np.float32), np.empty((N, 535), np.float32)
    multiplied_int8(weights.reshape(-1).view(np.uint8), 0, 535, x, 0, 29, y)
    assert np.array_equal(y, x @ weights.astype(np.float32)) and np.abs(y).max() > 500


@pytest.mark.parametrize("N", [2, 4, 8])
def test_a_column_has_the_same_bits_wherever_it_stands(N):
    """A thread's share of the columns may begin and end anywhere: in a full register or beside one."""
    rng = np.random.default_rng(N)
    weights, x = rng.standard_normal(40 * 101, dtype=np.float32), rng.standard_normal((N, 40), dtype=np.float32)
    whole = np.empty((N, 101), np.float32)
    multiplied(weights, 0, 101, x, 0, 40, whole)
    for first, last in ((0, 7), (7, 50), (50, 101), (99, 100), (3, 36)):
        part = np.empty((N, last - first), np.float32)
        multiplied(weights, first, 101, x, 0, 40, part)
        assert np.array_equal(part, whole[:, first:last])

"""Turning small matrices: exactly the numbers of NumPy's transpose, and not one beside them."""
import numpy as np
import pytest

pytest.importorskip("numba")

from nanolm.kernels.compiled import entry
from nanolm.kernels.turning import turn


@entry("in1", "int", "int", "int", "int", "out2")
def turned(a, a_at, a_row, rows, columns, b):
    turn(a, a_at, a_row, rows, columns, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 8, 15, 16, 17, 32, 50])
@pytest.mark.parametrize("columns", [1, 8, 16, 19, 33])
def test_rows_become_columns(rows, columns, dtype):
    rng = np.random.default_rng(rows + 100 * columns)
    at, a_row = 5, columns + 3
    a = rng.standard_normal(at + rows * a_row).astype(dtype)
    a[at + 2] = np.nan
    b = np.full((columns + 2, rows + 4), 7, dtype)                          # larger than what is asked for
    turned(a, at, a_row, rows, columns, b)
    expected = np.stack([a[at + r * a_row:][:columns] for r in range(rows)]).T
    assert np.array_equal(b[:columns, :rows], expected, equal_nan=True)
    assert (b[columns:] == 7).all() and (b[:, rows:] == 7).all(), "written beside the answer"

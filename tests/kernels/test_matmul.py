"""Matrix products of any size, in every memory order, against NumPy's; and the same bits for every share of the columns."""
import numpy as np
import pytest

numba = pytest.importorskip("numba")

from nanolm import threads
from nanolm.kernels import linear
from nanolm.kernels.matmul import multiply

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="without the compiler all products are BLAS's")

SIZES = [(1, 1, 1), (4, 128, 64), (5, 129, 65), (3, 7, 200), (66, 300, 130), (37, 1, 91), (128, 257, 31), (4, 64, 640)]


def strided(a, turned):
    """Return (flat, row step, column step) of the matrix a, laid out in memory by rows, or by columns if turned."""
    return (np.ascontiguousarray(a.T).reshape(-1), 1, a.shape[0]) if turned else (a.reshape(-1), a.shape[1], 1)


def close(made, exact, size, K, tolerance):
    return (np.abs(made - exact) <= tolerance * np.sqrt(K + 1) * size).all()


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("M, K, N", SIZES)
@pytest.mark.parametrize("turned_a", [False, True])
@pytest.mark.parametrize("turned_b", [False, True])
def test_any_size_and_any_order_in_memory(M, K, N, turned_a, turned_b, dtype, tolerance):
    rng = np.random.default_rng(M * K + N)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((M, K), (K, N), (M, N)))
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    size = np.abs(a).astype(float) @ np.abs(b).astype(float) + np.abs(c)
    flat_a, a_row, a_step = strided(a, turned_a)
    flat_b, b_row, b_step = strided(b, turned_b)
    for add in (0, 1):
        wide = np.full((M, N + 5), 7, dtype)                                # the answer is a part of a wider matrix
        wide[:, 2:N + 2] = c if add else np.nan
        multiply(flat_a, 0, a_row, a_step, flat_b, 0, b_row, b_step, wide.reshape(-1), 2, N + 5, M, N, K, add)
        assert close(wide[:, 2:N + 2], exact + add * c, size, K, tolerance)
        assert (wide[:, :2] == 7).all() and (wide[:, N + 2:] == 7).all(), "written beside the answer"


def test_no_rows_no_columns():
    """A thread may be given nothing to do."""
    c = np.full(6, 7, np.float32)
    multiply(c[:1] * 0, 0, 1, 1, c[:1] * 0, 0, 1, 1, c, 0, 3, 0, 3, 1, 0)
    multiply(c[:1] * 0, 0, 1, 1, c[:1] * 0, 0, 1, 1, c, 0, 3, 2, 0, 1, 0)
    assert (c == 7).all()


@pytest.mark.parametrize("turned", [False, True])
def test_the_bits_do_not_depend_on_the_number_of_threads(turned, monkeypatch):
    monkeypatch.setattr(linear, "LEAST", 1)                                 # the work is worth any number of threads
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in ((37, 300), (300, 333)))
    b = np.asfortranarray(b) if turned else b
    made = []
    for n in (1, 2, 3):
        with threads.limited(n):
            out = np.full((37, 333), np.nan, np.float32)
            linear.product(a, b, out)
            made.append(out)
    if linear.LARGE_TOO:                                                    # (elsewhere the products are BLAS's)
        assert all(np.array_equal(made[0], other) for other in made[1:])
    for out in made:
        assert close(out, a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b).astype(float), 300, 3e-7)

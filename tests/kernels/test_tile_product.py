"""The product of two small matrices against NumPy's, in float64 to the last digits, in float32 to its own rounding."""
import numpy as np
import pytest

pytest.importorskip("numba")

from nanolm.kernels.compiled import entry
from nanolm.kernels.tile_product import product


@entry("in2", "in2", "out2", "int", "int")
def multiplied(a, b, c, turned, add):
    product(a, turned != 0, b, c, add != 0)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("M, K, N", [(64, 64, 64), (8, 1, 16), (8, 5, 48), (16, 64, 80), (64, 3, 16), (24, 17, 112), (64, 64, 192)])
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("add", [0, 1])
def test_the_product(M, K, N, turned, add, dtype, tolerance):
    """Each number of the answer within a few roundings of the sum of |a b|. a has rows and columns that nobody asks for."""
    rng = np.random.default_rng(M + K + N)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((M + 8, K + 3), (K, N), (M, N)))
    exact = a[:M, :K].astype(np.longdouble) @ b.astype(np.longdouble) + add * c.astype(np.longdouble)
    size = np.abs(a[:M, :K]).astype(float) @ np.abs(b).astype(float) + np.abs(c)
    out = c.copy() if add else np.full_like(c, np.nan)                      # what stood there must not come through
    multiplied(np.ascontiguousarray(a.T) if turned else a, b, out, turned, add)
    assert (np.abs(out - exact) <= tolerance * np.sqrt(K + 1) * size).all()
    assert np.abs(out).max() > 0.1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_spoil_their_own_row_only(bad):
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((16, 9), (9, 32), (16, 32)))
    a[3, 4] = bad
    multiplied(a, b, c, 0, 0)
    assert not np.isfinite(c[3]).any() and np.isfinite(np.delete(c, 3, axis=0)).all()

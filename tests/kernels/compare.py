"""What the tests of the twins share: run the plain functions and the twins on the same arrays, and compare."""
import warnings

import numpy as np

from nanolm import kernels
from nanolm.params import flatten

# Both sides round differently; sums of a few hundred numbers of order 1. float32 has 7 digits, float64 16.
CLOSE = {np.dtype(np.float32): dict(rtol=2e-5, atol=2e-5), np.dtype(np.float64): dict(rtol=1e-11, atol=1e-11)}


def both(run):
    """Return run()'s result with the plain functions and with the twins. NaN and inf warn in NumPy, and may here."""
    results = []
    for backend in ("numpy", "numba"):
        with kernels.using(backend), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            results.append(run())
    return results


def arrays(nest):
    """Return all arrays of a nest of tuples, lists and dicts, in order; numbers as arrays of no axes."""
    if isinstance(nest, dict):
        return list(flatten(nest).values())
    if isinstance(nest, (tuple, list)):
        return [a for part in nest for a in arrays(part)]
    return [] if nest is None else [np.asarray(nest)]


def assert_close(ours, plain, scale=1.0):
    """Assert that two nests hold arrays of the same shapes and dtypes, and about the same numbers (NaN and inf too).

    The tolerance is relative to the largest number of an array, and never less than to `scale`.
    """
    ours, plain = arrays(ours), arrays(plain)
    assert len(ours) == len(plain) > 0
    for a, b in zip(ours, plain):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        finite = np.abs(b[np.isfinite(b)])
        limit = dict(CLOSE[b.dtype])
        limit["atol"] *= max(scale, finite.max(initial=0.0))
        np.testing.assert_allclose(a, b, **limit)


def assert_same_bits(ours, others):
    ours, others = arrays(ours), arrays(others)
    assert len(ours) == len(others) > 0
    for a, b in zip(ours, others):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()


def frozen(*nest):
    """Make every array of a nest read-only, so that a kernel that writes to one raises ValueError; return the nest."""
    for a in arrays(nest):
        a.flags.writeable = False
    return nest


def awkward(rng, shape, dtype, layout, scale=1.0, shift=0.0):
    """Return random normal numbers of this shape, laid out in memory in one of several ways."""
    x = (scale * rng.standard_normal(shape) + shift).astype(dtype)
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "sliced":                                                  # every second number of a larger array
        wide = np.zeros(shape[:-1] + (2 * shape[-1],), dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1])[::-1]
    if layout == "turned":
        return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if x.ndim > 1 else x
    if layout == "unaligned":                                               # as in a file: from any byte on
        return np.frombuffer(bytearray(b"." + x.tobytes()), dtype, offset=1).reshape(shape)
    if layout == "broadcast":                                               # many places, one number in memory
        return np.broadcast_to(x[..., :1], shape)
    return x


LAYOUTS = ("plain", "fortran", "sliced", "reversed", "turned", "broadcast")          # and "unaligned", which no kernel takes

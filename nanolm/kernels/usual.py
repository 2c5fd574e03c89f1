"""What the twins take: the usual. Everything else goes to the plain function, which also says what is wrong.

A twin's forward begins with

    if not floats(x, weight, bias) or ...shapes...:
        return plain("layernorm", "forward")(x, weight, bias)

so the checks and their sentences stand in one place, the plain file; complex numbers (gradcheck's complex step), wrong
shapes and mixed dtypes all end there. A twin's cache is a Cache, a tuple of a name of its own. backward, given any other
tuple, knows that the plain forward has packed it, or a student's, and calls the plain backward. (Where the twin keeps
just what the plain layer keeps, in the same order, it is a plain tuple, and either backward takes it.)

Sums over all rows (a bias's gradient) are made in parts of PART rows, then added up in order: the same sums, to the bit,
whether one thread made all parts or four.
"""
import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
PART = 128                                              # rows


class Cache(tuple):
    """What a twin's forward keeps for its backward."""


def floats(*arrays):
    """Return whether all are plain NumPy arrays, all float32 or all float64, none empty, numbers at addresses that fit them."""
    first = arrays[0]
    return (type(first) is np.ndarray and first.dtype in FLOATS
            and all(type(a) is np.ndarray and a.dtype == first.dtype and a.size and a.flags.aligned for a in arrays))


def fitting(dy, y):
    """Return dy, if it has y's shape and precision, for a kernel that looks at neither.

    Raises ValueError or TypeError, with a sentence: a kernel would read memory that is not dy's.
    """
    if not isinstance(dy, np.ndarray) or dy.shape != y.shape:
        raise ValueError(f"dy must have the shape {y.shape}, that of forward's answer, but it has {np.shape(dy)}.")
    if dy.dtype != y.dtype:
        raise TypeError(f"dy must hold {y.dtype}, as forward's answer does, but it holds {dy.dtype}. Convert it with .astype.")
    return dy if dy.flags.aligned else dy.copy()


def part_rows(start, stop, n):
    """Return the slice of the rows of parts start ... stop - 1 of n rows."""
    return slice(start * PART, min(stop * PART, n))


def rows_of(x):
    """Return x (..., C) as a contiguous (N, C); a view if it is contiguous already."""
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]))

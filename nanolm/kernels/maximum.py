"""The largest number of a row, sixteen at a time.

A loop `if x[i] > m: m = x[i]` over floats stays one at a time: NaN compares false with everything, so the order of the
comparisons matters, and LLVM keeps it. Integers have no NaN. And read as integers, floats are in order already, but for
the negative ones, whose order is reversed; turning all their bits but the sign puts them right:

    key = bits ^ (bits >> 31 & 0x7fffffff)          (bits >> 31 is 0 for positive numbers, all ones for negative ones)

A NaN of positive sign has the largest key of all, so it is "the largest", and whatever is computed from it is NaN too.
(One of negative sign has the smallest, and stays unseen here; it makes NaN of the sum that follows.)

Tested    tests/kernels/test_maximum.py.
"""
import numpy as np
from numba import types
from numba.extending import overload

from nanolm.kernels.compiled import compiled

DIGITS, SIGN = np.int32(0x7FFFFFFF), np.int32(31)


def largest(row):
    """Return the largest number of a row, a contiguous array (n,), n >= 1. (This line runs when Numba is switched off.)"""
    return row.max()


@compiled
def largest32(row):
    """Return the largest of a row of float32."""
    most = np.int32(-2147483648)
    for i in range(row.size):
        bits = np.float32(row[i]).view(np.int32)        # number by number: a view of the row costs as much as 400 numbers
        key = np.int32(bits ^ np.int32(np.int32(bits >> SIGN) & DIGITS))
        most = key if key > most else most
    back = np.int32(most ^ np.int32(np.int32(most >> SIGN) & DIGITS))
    return back.view(np.float32)


@compiled
def largest64(row):
    """Return the largest of a row of float64, NaN if there is one."""
    most = row[0]
    for i in range(1, row.size):
        if row[i] > most or row[i] != row[i]:
            most = row[i]
    return most


@overload(largest)
def _compiled_largest(row):
    if row.dtype == types.float32:
        return lambda row: largest32(row)
    return lambda row: largest64(row)

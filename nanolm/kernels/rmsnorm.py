"""RMS norm, fast: a token's C numbers are read into the nearest cache once, and everything is done there.

As layernorm.py, without the mean and the bias. The formulas and the cache are the plain layer's.

Tested    tests/kernels/test_twins.py, and everything that holds layers/rmsnorm.py.
"""
import math

import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import SUMS, entry
from nanolm.kernels.layernorm import least
from nanolm.kernels.usual import PART, floats, part_rows, rows_of
from nanolm.layers import check


def forward(x, weight, eps=1e-5):
    """Return y and cache = (x, weight, rstd). Arguments and errors as in layers/rmsnorm.py."""
    if not floats(x, weight) or x.ndim == 0 or weight.shape != x.shape[-1:]:
        return plain("rmsnorm", "forward")(x, weight, eps)
    eps = check.real("eps", eps, least=0)
    rows, weight = rows_of(x), np.ascontiguousarray(weight)
    y, rstd = np.empty(x.shape, x.dtype), np.empty(len(rows), x.dtype)
    out = y.reshape(rows.shape)

    def some(start, stop):
        normalise(rows[start:stop], weight, eps, out[start:stop], rstd[start:stop])

    threads.split(some, len(rows), least=least(rows))
    return y, (x, weight, rstd.reshape(x.shape[:-1] + (1,)))


def backward(dy, cache):
    """Return dx, dweight, shaped like x, weight."""
    x, weight, rstd = cache
    if not floats(dy, x, weight) or dy.shape != x.shape:
        return plain("rmsnorm", "backward")(dy, cache)
    rows_dy, rows, rstd, weight = rows_of(dy), rows_of(x), rstd.reshape(-1), np.ascontiguousarray(weight)
    dx = np.empty(x.shape, x.dtype)
    out = dx.reshape(rows.shape)
    dweight = np.zeros((-(-len(rows) // PART), x.shape[-1]), x.dtype)       # sums of PART rows each

    def some(start, stop):
        r = part_rows(start, stop, len(rows))
        differentiate(rows_dy[r], rows[r], weight, rstd[r], out[r], dweight[start:stop])

    threads.split(some, len(dweight), least=-(-least(rows) // PART))
    return dx, dweight.sum(axis=0)


@entry("in2", "in1", "real", "out2", "out1", fastmath=SUMS)
def normalise(x, weight, eps, y, rstd):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    C = x.shape[1]
    count = x.dtype.type(C)
    for n in range(x.shape[0]):
        row, out = x[n], y[n]
        total = zero
        for c in range(C):
            total += row[c] * row[c]
        r = one / x.dtype.type(math.sqrt(total / count + eps))
        for c in range(C):
            out[c] = row[c] * r * weight[c]                                 # (R1), (R2)
        rstd[n] = r


@entry("in2", "in2", "in1", "in1", "out2", "out2", fastmath=SUMS)
def differentiate(dy, x, weight, rstd, dx, dweight):
    zero = x.dtype.type(0)
    C = x.shape[1]
    count = x.dtype.type(C)
    for n in range(x.shape[0]):
        row, grad, out, dw, r = x[n], dy[n], dx[n], dweight[n // PART], rstd[n]
        total = zero
        for c in range(C):
            total += grad[c] * weight[c] * (row[c] * r)
        average = total / count
        for c in range(C):
            out[c] = r * (grad[c] * weight[c] - row[c] * r * average)       # (R3)
        for c in range(C):
            dw[c] += grad[c] * (row[c] * r)                                 # (R4)

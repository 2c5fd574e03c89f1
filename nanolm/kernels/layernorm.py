"""Layer norm, fast: a token's C numbers are read into the nearest cache once, and everything is done there.

The plain file makes about ten passes over the whole of x; here each pass is over one token, C numbers, which stay in the
nearest cache (3 KB for 768 channels). The formulas and the cache are the plain layer's.

Tested    tests/kernels/test_twins.py, and everything that holds layers/layernorm.py.
"""
import math

import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import SUMS, entry
from nanolm.kernels.usual import PART, floats, part_rows, rows_of
from nanolm.layers import check


def forward(x, weight, bias, eps=1e-5):
    """Return y and cache = (x, weight, mean, rstd). Arguments and errors as in layers/layernorm.py."""
    if not floats(x, weight, bias) or x.ndim == 0 or not weight.shape == bias.shape == x.shape[-1:]:
        return plain("layernorm", "forward")(x, weight, bias, eps)
    eps = check.real("eps", eps, least=0)
    rows = rows_of(x)
    y = np.empty(x.shape, x.dtype)
    out, mean, rstd = y.reshape(rows.shape), np.empty(len(rows), x.dtype), np.empty(len(rows), x.dtype)
    weight, bias = np.ascontiguousarray(weight), np.ascontiguousarray(bias)

    def some(start, stop):
        normalise(rows[start:stop], weight, bias, eps, out[start:stop], mean[start:stop], rstd[start:stop])

    threads.split(some, len(rows), least=least(rows))
    column = x.shape[:-1] + (1,)
    return y, (x, weight, mean.reshape(column), rstd.reshape(column))


def backward(dy, cache):
    """Return dx, dweight, dbias, shaped like x, weight, bias."""
    x, weight, mean, rstd = cache
    if not floats(dy, x, weight) or dy.shape != x.shape:
        return plain("layernorm", "backward")(dy, cache)
    rows_dy, rows, mean, rstd = rows_of(dy), rows_of(x), mean.reshape(-1), rstd.reshape(-1)
    dx = np.empty(x.shape, x.dtype)
    out = dx.reshape(rows.shape)
    dweight, dbias = np.zeros((2, -(-len(rows) // PART), x.shape[-1]), x.dtype)     # sums of PART rows each

    def some(start, stop):
        r = part_rows(start, stop, len(rows))
        differentiate(rows_dy[r], rows[r], weight, mean[r], rstd[r], out[r], dweight[start:stop], dbias[start:stop])

    threads.split(some, len(dweight), least=-(-least(rows) // PART))
    return dx, dweight.sum(axis=0), dbias.sum(axis=0)


def least(rows):
    """Return how many rows are worth a thread."""
    return 1 + 2**16 // rows.shape[1]


@entry("in2", "in1", "in1", "real", "out2", "out1", "out1", fastmath=SUMS)
def normalise(x, weight, bias, eps, y, mean, rstd):
    C = x.shape[1]
    zero, one = x.dtype.type(0), x.dtype.type(1)
    count = x.dtype.type(C)
    for n in range(x.shape[0]):
        row, out = x[n], y[n]
        total = zero
        for c in range(C):
            total += row[c]
        mu = total / count
        total = zero
        for c in range(C):
            total += (row[c] - mu) * (row[c] - mu)
        r = one / x.dtype.type(math.sqrt(total / count + eps))
        for c in range(C):
            out[c] = (row[c] - mu) * r * weight[c] + bias[c]                # (N1), (N2)
        mean[n], rstd[n] = mu, r


@entry("in2", "in2", "in1", "in1", "in1", "out2", "out2", "out2", fastmath=SUMS)
def differentiate(dy, x, weight, mean, rstd, dx, dweight, dbias):
    C = x.shape[1]
    zero = x.dtype.type(0)
    count = x.dtype.type(C)
    for n in range(x.shape[0]):
        row, grad, out, mu, r = x[n], dy[n], dx[n], mean[n], rstd[n]
        dw, db = dweight[n // PART], dbias[n // PART]
        sum_dn, sum_dn_n = zero, zero
        for c in range(C):
            dn = grad[c] * weight[c]
            sum_dn += dn
            sum_dn_n += dn * ((row[c] - mu) * r)
        average, average_n = sum_dn / count, sum_dn_n / count
        for c in range(C):
            normal = (row[c] - mu) * r
            out[c] = r * (grad[c] * weight[c] - average - normal * average_n)       # (N3)
        for c in range(C):
            dw[c] += grad[c] * ((row[c] - mu) * r)                          # (N4)
            db[c] += grad[c]

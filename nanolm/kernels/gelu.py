"""GELU, fast: one pass over the numbers, with or without the bias that comes before it.

NumPy makes eight passes over memory for the tanh form, an array each; here a number is read once and written once. The
tanh is made from the exponential, because that one runs sixteen at a time (exp.py):

    (1 + tanh u) / 2 = 1 / (1 + exp(-2 u)) = share,     y = x share                                               (G2)
    dy/dx = share + x 2 share (1 - share) k (1 + 3 a x^2)                                                         (G4)

The share is not kept for backward: computing it again is as quick as reading it. In an MLP, x = product + bias; then
bias_forward adds the bias on the way, and bias_backward sums dbias on the way back. The erf form (BERT) stays plain.

The output is never the input's own array: where LLVM cannot tell the two apart it gives up the wide registers, and the
loop takes fourteen times as long. Where one array is changed in place, the kernel gets it once.

Tested    tests/kernels/test_twins.py, and everything that holds layers/gelu.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import compiled, entry
from nanolm.kernels.exp import exp
from nanolm.kernels.usual import Cache, PART, fitting, floats, part_rows
from nanolm.layers import gelu as layer

K, A = layer.K, layer.A


def forward(x, form="tanh"):
    """Return y, shaped like x, and the cache (x,). Arguments and errors as in layers/gelu.py."""
    if form != "tanh" or not floats(x) or x.ndim == 0:
        return plain("gelu", "forward")(x, form)
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    threads.split(lambda start, stop: values(flat_x[start:stop], flat_y[start:stop]), x.size, least=2**16)
    return y, Cache((x,))


def backward(dy, cache):
    """Return dx, shaped like x."""
    if type(cache) is not Cache:
        return plain("gelu", "backward")(dy, cache)
    x, = cache
    dy = fitting(dy, x)
    dx = np.empty_like(x)
    flat_dy, flat_x, flat_dx = np.ascontiguousarray(dy).reshape(-1), x.reshape(-1), dx.reshape(-1)
    threads.split(lambda start, stop: slopes(flat_dy[start:stop], flat_x[start:stop], flat_dx[start:stop]), x.size, least=2**16)
    return dx


def bias_forward(x, bias):
    """Add bias (F,) to x (N, F), in place, and return gelu of it."""
    y = np.empty_like(x)
    threads.split(lambda start, stop: bias_values(x[start:stop], bias, y[start:stop]), len(x), least=1 + 2**16 // len(bias))
    return y


def bias_backward(dy, x):
    """Turn dy (N, F) into dx, in place, where y = gelu(x) and x = product + bias; return dbias (F,)."""
    parts = np.zeros((-(-len(x) // PART), x.shape[1]), x.dtype)             # sums of PART rows, whatever the threads

    def some(start, stop):
        rows = part_rows(start, stop, len(x))
        bias_slopes(dy[rows], x[rows], parts[start:stop])

    threads.split(some, len(parts), least=1 + 2**16 // (PART * x.shape[1]))
    return parts.sum(axis=0)


@compiled(fastmath={"contract"})
def share_of(x, k, a, one, two):
    minus_two_u = -two * (k * (x + a * (x * x * x)))
    share = one / (one + exp(minus_two_u))
    return share if not minus_two_u > two * 23 else one - one               # below 1e-20: 0, see exp.py


@compiled(fastmath={"contract"})
def slope_of(x, k, a, one, two):
    share = share_of(x, k, a, one, two)
    return share + x * (two * share * (one - share) * (k * (one + (two + one) * a * (x * x))))


@compiled
def constants(dtype):
    return dtype.type(K), dtype.type(A), dtype.type(1), dtype.type(2)


@entry("in1", "out1")
def values(x, y):
    k, a, one, two = constants(x.dtype)
    for i in range(x.size):
        y[i] = x[i] * share_of(x[i], k, a, one, two)


@entry("in1", "in1", "out1")
def slopes(dy, x, dx):
    k, a, one, two = constants(x.dtype)
    for i in range(x.size):
        dx[i] = dy[i] * slope_of(x[i], k, a, one, two)


@entry("out2", "in1", "out2")
def bias_values(x, bias, y):
    k, a, one, two = constants(x.dtype)
    for n in range(x.shape[0]):
        row, out = x[n], y[n]
        for f in range(row.size):
            row[f] += bias[f]
        for f in range(row.size):
            out[f] = row[f] * share_of(row[f], k, a, one, two)


@entry("out2", "in2", "out2")
def bias_slopes(dy, x, parts):
    k, a, one, two = constants(x.dtype)
    for n in range(x.shape[0]):
        row, out, total = x[n], dy[n], parts[n // PART]
        for f in range(row.size):
            out[f] *= slope_of(row[f], k, a, one, two)
        for f in range(row.size):
            total[f] += out[f]

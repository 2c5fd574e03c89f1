"""GELU, fast: one pass over the numbers, with or without the bias that comes before it.

NumPy makes nine passes over memory for the tanh form, seven with an array each; here a number is read once and written once. The
tanh is made from the exponential, because that one runs sixteen at a time (exp.py):

    (1 + tanh u) / 2 = 1 / (1 + exp(-2 u)) = share,     y = x share                                               (G2)
    dy/dx = share + x 2 share (1 - share) k (1 + 3 a x^2)                                                         (G4)

For the erf form (BERT) erf.py makes Phi and phi, of one exponential again: y = x Phi (G1), dy/dx = Phi + x phi (G3).

The share is not kept for backward: computing it again is as quick as reading it. In an MLP, x = product + bias; then
bias_forward adds the bias on the way, and bias_backward sums dbias on the way back.

The output is never the input's own array: where LLVM cannot tell the two apart it gives up the wide registers, and the
loop takes fourteen times as long. Where one array is changed in place, the kernel gets it once.

Tested    tests/kernels/test_twins.py, and everything that holds layers/gelu.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import compiled, entry
from nanolm.kernels.erf import normal
from nanolm.kernels.exp import exp
from nanolm.kernels.usual import Cache, PART, fitting, floats, part_rows
from nanolm.layers import gelu as layer

K, A = layer.K, layer.A
FORMS = "tanh", "erf"                                   # the kernels are told which by its number


def forward(x, form="tanh"):
    """Return y, shaped like x, and the cache (x, form). Arguments and errors as in layers/gelu.py."""
    if form not in FORMS or not floats(x) or x.ndim == 0:
        return plain("gelu", "forward")(x, form)
    x, number = np.ascontiguousarray(x), FORMS.index(form)
    y = np.empty_like(x)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    threads.split(lambda start, stop: values(flat_x[start:stop], flat_y[start:stop], number), x.size, least=2**16)
    return y, Cache((x, form))


def backward(dy, cache):
    """Return dx, shaped like x."""
    if type(cache) is not Cache:
        return plain("gelu", "backward")(dy, cache)
    x, form = cache
    dy, number = fitting(dy, x), FORMS.index(form)
    dx = np.empty_like(x)
    flat_dy, flat_x, flat_dx = np.ascontiguousarray(dy).reshape(-1), x.reshape(-1), dx.reshape(-1)

    def some(start, stop):
        slopes(flat_dy[start:stop], flat_x[start:stop], flat_dx[start:stop], number)

    threads.split(some, x.size, least=2**16)
    return dx


def bias_forward(x, bias, form="tanh"):
    """Add bias (F,) to x (N, F), in place, and return gelu of it."""
    y, number = np.empty_like(x), FORMS.index(form)
    threads.split(lambda start, stop: bias_values(x[start:stop], bias, y[start:stop], number), len(x),
                  least=1 + 2**16 // len(bias))
    return y


def bias_backward(dy, x, form="tanh"):
    """Turn dy (N, F) into dx, in place, where y = gelu(x) and x = product + bias; return dbias (F,)."""
    parts = np.zeros((-(-len(x) // PART), x.shape[1]), x.dtype)             # sums of PART rows, whatever the threads

    def some(start, stop):
        rows = part_rows(start, stop, len(x))
        bias_slopes(dy[rows], x[rows], parts[start:stop], FORMS.index(form))

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


@compiled(fastmath={"contract"})
def erf_slope_of(x):
    share, density = normal(x)
    return share + x * density


@compiled
def constants(dtype):
    return dtype.type(K), dtype.type(A), dtype.type(1), dtype.type(2)


# In each kernel the choice stands outside of the loop, so that each form has a loop of its own, in wide registers.

@entry("in1", "out1", "int")
def values(x, y, form):
    k, a, one, two = constants(x.dtype)
    if form == 0:
        for i in range(x.size):
            y[i] = x[i] * share_of(x[i], k, a, one, two)
    else:
        for i in range(x.size):
            y[i] = x[i] * normal(x[i])[0]


@entry("in1", "in1", "out1", "int")
def slopes(dy, x, dx, form):
    k, a, one, two = constants(x.dtype)
    if form == 0:
        for i in range(x.size):
            dx[i] = dy[i] * slope_of(x[i], k, a, one, two)
    else:
        for i in range(x.size):
            dx[i] = dy[i] * erf_slope_of(x[i])


@entry("out2", "in1", "out2", "int")
def bias_values(x, bias, y, form):
    k, a, one, two = constants(x.dtype)
    for n in range(x.shape[0]):
        row, out = x[n], y[n]
        for f in range(row.size):
            row[f] += bias[f]
        if form == 0:
            for f in range(row.size):
                out[f] = row[f] * share_of(row[f], k, a, one, two)
        else:
            for f in range(row.size):
                out[f] = row[f] * normal(row[f])[0]


@entry("out2", "in2", "out2", "int")
def bias_slopes(dy, x, parts, form):
    k, a, one, two = constants(x.dtype)
    for n in range(x.shape[0]):
        row, out, total = x[n], dy[n], parts[n // PART]
        if form == 0:
            for f in range(row.size):
                out[f] *= slope_of(row[f], k, a, one, two)
        else:
            for f in range(row.size):
                out[f] *= erf_slope_of(row[f])
        for f in range(row.size):
            total[f] += out[f]

"""Linear layer, fast: one product for all rows, the bias added in place, and the work of one product shared by the cores.

    y = x @ weight + bias           (N, I) @ (I, O), all leading axes of x taken as rows

NumPy's @ makes one small product for each sequence of a batch; here it is one large one, by matmul.py where the processor
has registers of 16 numbers, by NumPy's BLAS where it has not. Where a thread has the other
cores to itself (threads.limit() above 1), each takes a part of the product's columns: no part needs more than its own
share of the weight, which is what a step on few rows waits for. The gradient of a weight that came turned (wte.T in
GPT-2) is made turned as well, so that adding it to another gradient of wte goes straight through memory.

The cache is the plain layer's.   Tested  tests/kernels/test_twins.py, and everything that holds layers/linear.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.matmul import multiply
from nanolm.kernels.tile_product import LARGE_TOO
from nanolm.kernels.usual import floats
from nanolm.layers import linear as layer  # noqa: F401  (the plain layer: its docstring has the mathematics)

BLOCK = 64                                              # a part is a multiple of so many columns
LEAST = 2**24                                           # products (multiplications) that are worth a thread


def forward(x, weight, bias=None):
    """Return y (..., O) and cache = (x, weight, has_bias). Arguments and errors as in layers/linear.py."""
    if not usual(x, weight, bias):
        return plain("linear", "forward")(x, weight, bias)
    y = np.empty(x.shape[:-1] + weight.shape[1:], x.dtype)
    rows = y.reshape(-1, y.shape[-1])
    product(rows_of(x), weight, rows)
    if bias is not None:
        np.add(rows, bias, out=rows)                                        # y is ours
    return y, (x, weight, bias is not None)


def backward(dy, cache):
    """Return dx, dweight, dbias, shaped like x, weight, bias. dbias is None if there was no bias."""
    x, weight, has_bias = cache
    if not usual(dy, weight.T, None) or dy.shape[:-1] != x.shape[:-1] or x.dtype != dy.dtype:
        return plain("linear", "backward")(dy, cache)
    rows_x, rows_dy = rows_of(x), rows_of(dy)
    dx = np.empty(x.shape, x.dtype)
    product(rows_dy, weight.T, dx.reshape(-1, x.shape[-1]))                 # y = x @ weight, (L2)
    dweight = np.empty_like(weight)                                         # laid out in memory like weight
    product(rows_x.T, rows_dy, dweight)                                     # y = x @ weight, (L3)
    dbias = rows_dy.sum(axis=0) if has_bias else None                       # y = y + bias, (L4)
    return dx, dweight, dbias


def usual(x, weight, bias):
    """Return whether x @ weight + bias is a case for this file; if not, the plain layer says what is wrong, or does it."""
    return (floats(x, weight) and x.ndim >= 1 and dense(weight) and weight.shape[0] == x.shape[-1]
            and (bias is None or floats(x, bias) and bias.shape == weight.shape[1:]))


def rows_of(x):
    """Return x (..., I) as (N, I), laid out so that product need not give it to BLAS.

    BERT's pooler reads the first token of every text, x[:, 0]: 16 rows, far apart. Copied, they are multiplied in no time;
    left to BLAS, whose threads had to be woken, they took 18 ms.
    """
    rows = x.reshape(-1, x.shape[-1])
    return rows if in_one_piece(rows) or dense(rows) and not LARGE_TOO else np.ascontiguousarray(rows)


def dense(x):
    """Return whether BLAS can read the matrix x where it is: its numbers lie side by side along one axis."""
    return x.ndim == 2 and x.itemsize in x.strides and min(x.strides) > 0


def product(a, b, out):
    """Write a @ b into out, (M, K) @ (K, N), on as many threads as this one may use, each with its part of the columns."""
    if not out.flags.c_contiguous:
        a, b, out = b.T, a.T, out.T                                         # out is turned: (a b)^T = b^T a^T
    (M, N), K = out.shape, a.shape[1]

    def columns(start, stop):
        start, stop = start * BLOCK, min(stop * BLOCK, N)
        if fast:
            multiply(flat_a, 0, *steps_a, flat_b, start * steps_b[1], *steps_b, flat_out, start, N, M, stop - start, K, 0)
        else:
            np.matmul(a, b[:, start:stop], out=out[:, start:stop])

    fast = LARGE_TOO and in_one_piece(a) and in_one_piece(b)
    if fast:
        flat_a, flat_b, flat_out, steps_a, steps_b = flat(a), flat(b), out.reshape(-1), steps(a), steps(b)
    threads.split(columns, -(-N // BLOCK), least=-(-LEAST // (M * K * BLOCK)))


def in_one_piece(x):
    return x.flags.c_contiguous or x.flags.f_contiguous


def flat(x):
    """Return all numbers of a matrix in the order of memory: a view."""
    return (x if x.flags.c_contiguous else x.T).reshape(-1)


def steps(x):
    """Return how far apart in memory, in numbers, the rows of a matrix are, and its columns."""
    return (x.shape[1], 1) if x.flags.c_contiguous else (1, x.shape[0])

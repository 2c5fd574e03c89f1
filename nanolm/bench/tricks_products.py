"""Tricks on matrix products: our micro-kernel, one product for all rows, squares turned in registers. Ways for trick_ways.py.

Tested    tests/test_bench_tricks.py.
"""
import importlib.util

import numpy as np

from nanolm.bench.trick_ways import Ways
from nanolm.bench.tricks_numbers import normal
from nanolm.kernels import linear as fast_linear
from nanolm.kernels.compiled import SUMS, compiled
from nanolm.kernels.matmul import multiply
from nanolm.kernels.tile_product import product
from nanolm.kernels.turning import turn

BLAS, OTHER, OURS = "NumPy's BLAS", "BLAS, OPENBLAS_CORETYPE unset", "our product"
TIMES = 20                                              # a tile is multiplied so often in a call from Python


def operands(N, I, O, kind):
    """Return the two matrices of a linear layer's product over N rows: forward, dx or dW."""
    x, weight, dy = normal(N, I), normal(I, O, seed=1), normal(N, O, seed=2)
    return {"forward": (x, weight), "dx": (dy, weight.T), "dW": (x.T, dy)}[kind]


def matrices(N=1024, I=384, O=1536, kind="forward", other=False):
    """A linear layer's product. other: BLAS alone, in a process whose environment lets it choose its kernels itself."""
    a, b = operands(N, I, O, kind)
    out = np.empty((a.shape[0], b.shape[1]), np.float32)

    def blas():
        return np.matmul(a, b, out=out)

    def ours():
        (m, n), k = out.shape, a.shape[1]
        multiply(fast_linear.flat(a), 0, *fast_linear.steps(a), fast_linear.flat(b), 0, *fast_linear.steps(b),
                 out.reshape(-1), 0, n, m, n, k, 0)
        return out

    return Ways({OTHER: blas} if other else {BLAS: blas, OURS: ours}, 2 * N * I * O)


def all_rows(B=4, T=256, I=384, O=1536):
    """x @ weight, by NumPy's BLAS both times: a product for each sequence, and one for all."""
    x, weight = normal(B, T, I), normal(I, O, seed=1)
    return Ways({"(B, T, I) @ (I, O)": lambda: x @ weight,
                 "(B T, I) @ (I, O)": lambda: (x.reshape(-1, I) @ weight).reshape(B, T, O)}, 2 * B * T * I * O)


@compiled(fastmath=SUMS)
def product_by_loops(a, b, c, times):
    for _ in range(times):
        for i in range(a.shape[0]):
            out = c[i]
            out[:] = 0
            for k in range(a.shape[1]):
                row, x = b[k], a[i, k]
                for j in range(out.size):
                    out[j] += x * row[j]


@compiled
def product_by_dot(a, b, c, times):
    for _ in range(times):
        np.dot(a, b, c)


@compiled
def product_by_registers(a, b, c, times):
    for _ in range(times):
        product(a, False, b, c, False)


def small_product(n=64, times=TIMES):
    """Tiles of n x n, which lie in the nearest cache."""
    a, b, c = normal(n, n), normal(n, n, seed=1), np.empty((n, n), np.float32)

    def into(function):
        function(a, b, c, times)
        return c

    def matmul():
        for _ in range(times):
            np.matmul(a, b, out=c)
        return c

    ways = {"three loops in Numba": lambda: into(product_by_loops), "np.matmul from Python": matmul}
    if importlib.util.find_spec("scipy"):
        import scipy.linalg  # noqa: F401  (Numba takes np.dot from SciPy's BLAS; loaded now, it can be held to one thread)
        ways["np.dot in Numba"] = lambda: into(product_by_dot)
    return Ways({**ways, "micro-kernel": lambda: into(product_by_registers)}, times * 2 * n**3)


@compiled
def turn_by_number(a, row_step, b, times):
    for _ in range(times):
        for r in range(b.shape[1]):
            row = a[r * row_step:r * row_step + b.shape[0]]
            for d in range(b.shape[0]):
                b[d, r] = row[d]


@compiled
def turn_by_squares(a, row_step, b, times):
    for _ in range(times):
        turn(a, 0, row_step, b.shape[1], b.shape[0], b)


def turned(n=64, channels=1152, times=TIMES):
    """Turn one head's keys, n of them, which lie `channels` apart."""
    a, b = normal(n * channels), np.empty((n, n), np.float32)

    def into(function):
        function(a, channels, b, times)
        return b

    return Ways({"number by number": lambda: into(turn_by_number), "squares of 16 x 16": lambda: into(turn_by_squares)},
                times * n * n)

"""Tricks on a row of numbers: the exponential, the maximum, sums, what keeps LLVM from wide instructions. Ways for trick_ways.py.

Each pair of functions does the same; what differs is the trick. "Before" is written as one would write it first.

Tested    tests/test_bench_tricks.py.
"""
import math

import numpy as np

from nanolm.bench.trick_ways import Ways
from nanolm.kernels import gelu as fast_gelu
from nanolm.kernels.compiled import SUMS, compiled
from nanolm.kernels.exp import exp
from nanolm.kernels.maximum import largest
from nanolm.kernels.tile_product import product


def normal(*size, seed=0):
    return np.random.default_rng(seed).standard_normal(size, dtype=np.float32)


def uniform(low, high, *size):
    return np.random.default_rng(0).uniform(low, high, size).astype(np.float32)


@compiled
def call_exp(x, y):
    for i in range(x.size):
        y[i] = math.exp(x[i])


@compiled
def polynomial_exp(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


def exponential(n=2**14):
    """exp of n numbers, in the range of a softmax."""
    x, y = uniform(-20, 0, n), np.empty(n, np.float32)

    def into(function):
        function(x, y)
        return y

    return Ways({"math.exp in a Numba loop": lambda: into(call_exp), "np.exp": lambda: np.exp(x, out=y),
                 "polynomial": lambda: into(polynomial_exp)}, n)


@compiled
def compare_floats(x, y):
    for r in range(x.shape[0]):
        row = x[r]
        most = row[0]
        for i in range(row.size):
            if row[i] > most:
                most = row[i]
        y[r] = most


@compiled
def compare_keys(x, y):
    for r in range(x.shape[0]):
        y[r] = largest(x[r])


def maximum(rows=64, columns=64):
    """The largest number of every row of a tile."""
    x, y = normal(rows, columns), np.empty(rows, np.float32)

    def into(function):
        function(x, y)
        return y

    return Ways({"floats compared in a Numba loop": lambda: into(compare_floats), "x.max(axis=1)": lambda: x.max(axis=1),
                 "integer keys": lambda: into(compare_keys)}, x.size)


@compiled
def add_in_order(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@compiled(fastmath=SUMS)
def add_in_any_order(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


def sums(n=2**14):
    """The sum of n numbers, by the same loop, without and with the permission to add in another order."""
    x = uniform(0, 1, n)
    return Ways({"a loop": lambda: add_in_order(x), "the same loop, flag reassoc": lambda: add_in_any_order(x)}, n)


@compiled
def gather_by_index(flat, at, step, into):
    for r in range(into.shape[0]):
        for d in range(into.shape[1]):
            into[r, d] = flat[at + r * step + d]


@compiled
def gather_by_row(flat, at, step, into):
    for r in range(into.shape[0]):
        row, out = flat[at + r * step:at + r * step + into.shape[1]], into[r]
        for d in range(out.size):
            out[d] = row[d]


def rows_sliced(rows=64, D=64, channels=1152):
    """Copy the rows of one head out of the packed q, k, v."""
    flat, into = normal(rows * channels), np.empty((rows, D), np.float32)

    def by(function):
        function(flat, D, channels, into)
        return into

    return Ways({"flat[at + r * step + d]": lambda: by(gather_by_index), "row = flat[...]; row[d]": lambda: by(gather_by_row)},
                rows * D)


def aliased(n=2**16):
    """GELU's backward into its own input, and into a fresh array. For x > 8 the slope is 1, so dy stays as it is."""
    x, dy = uniform(8, 12, n), normal(n)

    def into(dx):
        fast_gelu.slopes(dy, x, dx, 0)
        return dx

    return Ways({"the answer written over dy": lambda: into(dy), "into another array": lambda: into(np.empty_like(dy))}, n)


@compiled
def shares_uncut(s, ds, shares, out):
    half = s.dtype.type(0.5)
    for r in range(s.shape[0]):
        a, b, p, o = s[r], ds[r], shares[r], out[r]
        for j in range(a.size):
            root = exp(half * a[j])                         # exp(x) = exp(x / 2)^2 goes below the 1e-20 at which ours ends
            p[j] = root * root
            o[j] = p[j] * b[j]


@compiled
def shares_cut(s, ds, shares, out):
    for r in range(s.shape[0]):
        a, b, p, o = s[r], ds[r], shares[r], out[r]
        for j in range(a.size):
            p[j] = exp(a[j])
            o[j] = p[j] * b[j]


@compiled
def push(ds, k, dq):
    product(ds, False, k, dq, False)


def tiny_numbers(low=-80.0, high=-50.0, gradient=1e-10, n=64):
    """dS = P dP of one tile and its product with k, where P is exp(-80) ... exp(-50) and dP is small: below 1e-38."""
    s, ds, k = uniform(low, high, n, n), normal(n, n) * np.float32(gradient), normal(n, n)
    shares, out, dq = np.empty_like(s), np.empty_like(s), np.empty_like(s)

    def by(function):
        function(s, ds, shares, out)
        push(out, k, dq)
        return dq

    return Ways({"exp as it is": lambda: by(shares_uncut), "0 below 1e-20": lambda: by(shares_cut)}, n * n)

"""Embedding's backward, fast: the rows of dy are added to the rows of the table, one after the other.

NumPy's np.add.at does the same with a look at every index of every number. Here the row is found once and its C numbers
are added in wide registers. One thread, in the order of the ids: the same bits always.

Tested    tests/kernels/test_twins.py, and everything that holds layers/embedding.py.
"""
import numpy as np

from nanolm.kernels import plain
from nanolm.kernels.compiled import entry
from nanolm.kernels.usual import floats, rows_of
from nanolm.layers import embedding as layer


def backward(dy, cache):
    """Return dweight (V, C)."""
    ids, V = cache
    if not floats(dy) or not fit(dy, ids, V):
        return plain("embedding", "backward")(dy, cache)
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    add_rows(rows_of(dy), ids.reshape(-1).astype(np.int64, copy=False), dweight)
    return dweight


def backward_tied(dy, cache, dweight):
    """Return dweight (V, C), to which backward's rows have been added in place: it was handed over for that.

    A table of zeros and a sum of two tables, 154 MB each for GPT-2, need not be made.
    """
    ids, V = cache
    if (layer.backward is not backward or not floats(dy, dweight) or not dweight.flags.c_contiguous
            or dweight.shape != (V, dy.shape[-1]) or not fit(dy, ids, V)):
        return plain("embedding", "backward_tied")(dy, cache, dweight)
    add_rows(rows_of(dy), ids.reshape(-1).astype(np.int64, copy=False), dweight)
    return dweight


def fit(dy, ids, V):
    """Return whether there is a row of dy for each id, and a row of the table: the kernel does not look."""
    return dy.shape[:-1] == ids.shape and (ids.size == 0 or 0 <= ids.min() and ids.max() < V)


@entry("in2", "in64", "out2")
def add_rows(dy, ids, dweight):
    for n in range(ids.size):
        row, into = dy[n], dweight[ids[n]]
        for c in range(row.size):
            into[c] += row[c]

"""Embedding: look up one row of a table for each token id.

    y_n = weight[ids_n]                                                     (E1)

    ids (...) integers, 0 <= id < V     weight (V, C)     y (..., C)

It is a linear layer whose input is one-hot: all zero but a one at the id. Nobody multiplies by zeros, so it is a
lookup. Its backward is the same linear layer's: a row collects the gradients of every place that looked it up.

    dweight_v = sum over all n with ids_n = v of dy_n                       (E2)

A row that no one looked up gets zero. ids are integers: they have no gradient.

Source    Bengio et al. 2003, "A neural probabilistic language model", JMLR 3, section 2.
Derived   notebooks/04_embedding.ipynb.  Tested  tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(ids, weight):
    """Return y (..., C) and cache = (ids, V): no floats are kept.

    Raises TypeError if ids are not integers, ValueError if an id is outside 0 ... V - 1 (a negative one too: NumPy
    would count it from the end of the table) or weight is not (V, C).
    """
    check.floats(weight=weight)
    if weight.ndim != 2:
        raise ValueError(f"weight must have the shape (V, C), one row for each token, but it has {weight.shape}.")
    check.integers("ids", ids, 0, weight.shape[0])
    return weight[ids], (ids, weight.shape[0])


def backward(dy, cache):
    """Return dweight (V, C)."""
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]), dtype=dy.dtype)
    # dweight[ids] += dy would keep only the last of repeated ids; add.at adds them all, y = weight[ids], (E2)
    np.add.at(dweight, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return dweight


def backward_tied(dy, cache, dweight):
    """Return dweight (V, C) plus backward's: for a table with a second use, whose gradient dweight is handed over."""
    return dweight + backward(dy, cache)

"""Softmax: turn scores into shares that are positive and add up to one.

    y_i = exp(x_i) / sum_j exp(x_j)                                         (S1)

    x, y (..., n), along one axis; no units.

Adding one number c to all scores of a row changes nothing, so the largest is subtracted first: then no exponential can
overflow.

    y_i(x + c) = y_i(x)                                                     (S3)

Backward. From (S1), and then by the chain rule, which sums over i:

    dy_i/dx_j = y_i ([i = j] - y_j)                                         (S1a)
    dx_j = y_j (dy_j - sum_i dy_i y_i)                                      (S2)

In words: a score's gradient is its share, times how much better than average its share is doing. The gradients of a
row add up to zero, always.

    sum_j dx_j = 0                                                          (S4)

A row of -inf alone offers nothing to choose from; its shares are all zero, and so are its gradients (a token that
may attend to nothing), (S5). PyTorch gives NaN there. A NaN or +inf anywhere in a row makes the whole row NaN.

Source    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".
Derived   notebooks/03_softmax.ipynb.  Tested  tests/test_softmax.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, axis=-1):
    """Return y, shaped like x, and cache = (y, axis): the answer is all that backward needs.

    Raises TypeError if x does not hold floats, ValueError if there is nothing along the axis.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., n)")
    largest = x.max(axis=axis, keepdims=True)
    largest = np.where(largest.real == -np.inf, 0, largest)                 # a row of -inf alone: -inf - -inf is NaN, (S5)
    y = x - largest                                                         # (S3)
    np.exp(y, out=y)                                                        # y is ours from here on
    total = y.sum(axis=axis, keepdims=True)
    y /= np.where(total == 0, 1, total)                                     # (S1); a row of -inf alone: 0 / 1 = 0, (S5)
    return y, (y, axis)


def backward(dy, cache):
    """Return dx, shaped like x."""
    y, axis = cache
    average = (dy * y).sum(axis=axis, keepdims=True)                        # sum_i dy_i y_i
    return y * (dy - average)                                               # y = exp(x) / sum exp(x), (S2)

"""Tanh, the hyperbolic tangent: an S-shaped bend that squeezes every number into -1 ... 1.

    y = tanh x = (e^x - e^-x) / (e^x + e^-x)                                                                      (T1)

    x, y (..., C), no units.   y is about x near 0, and flat where |x| is above 3.

Backward, from (T1) by the quotient rule. The derivative is a function of the answer alone, so the answer is what is kept:

    dy/dx = 1 - y^2                                                                                               (T2)

Source    BERT's pooler: Devlin et al. 2018, arXiv:1810.04805, and its published code.
Derived   notebooks/18_bert.ipynb.  Tested  tests/test_bert.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x):
    """Return y, shaped like x, and cache = (y,): the answer is all that backward needs.

    Raises TypeError if x does not hold floats, ValueError if it has no axis.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., C)")
    y = np.tanh(x)                                                          # (T1)
    return y, (y,)


def backward(dy, cache):
    """Return dx, shaped like x."""
    (y,) = cache
    return dy * (1 - y * y)                                                 # y = tanh(x), (T2)

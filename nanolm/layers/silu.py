"""SiLU (or swish): let a number through in proportion to the logistic function of itself. GELU's cheaper sibling.

    s = 1 / (1 + exp(-x)),     y = x s                                                                            (Z1)

    x, y (...)     large x: y = x; very negative x: y = 0; smallest value -0.278 at x = -1.278

exp(-x) overflows where x is very negative, so the code takes e = exp(-|x|), which never does: above 0, s = 1 / (1 + e);
below, top and bottom multiplied by exp(x), s = e / (1 + e).

Backward:  ds/dx = s (1 - s), so by the product rule

    dy/dx = s + x s (1 - s) = s (1 + x (1 - s)),     dx = dy s (1 + x (1 - s))                                    (Z2)

Source    Elfwing, Uchibe, Doya 2017, arXiv:1702.03118, eq. 5; Ramachandran, Zoph, Le 2017, arXiv:1710.05941.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_swiglu.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x):
    """Return y, shaped like x, and cache = (x, s). Raises TypeError unless x is an array of floats."""
    check.floats(x=x)
    above = x.real > 0
    e = np.exp(np.where(above, -x, x))                                      # between 0 and 1
    s = np.where(above, 1, e) / (1 + e)
    y = x * s                                                               # (Z1)
    return y, (x, s)


def backward(dy, cache):
    """Return dx, shaped like x."""
    x, s = cache
    return dy * (s * (1 + x * (1 - s)))                                     # y = x * s, (Z2)

"""GELU, the Gaussian error linear unit: pass x on, weighted by the chance that a normal number lies below it.

    erf form (BERT)     y = x Phi(x),   Phi(x) = (1 + erf(x / sqrt 2)) / 2 = erfc(-x / sqrt 2) / 2             (G1)
    tanh form (GPT-2)   y = x (1 + tanh u) / 2,   u = k (x + a x^3),   k = sqrt(2 / pi),   a = 0.044715        (G2)

    x, y (..., C), no units.   The two forms differ by 4.7e-4 at most: close, but not the same function.

Backward, by the product rule; phi(x) = exp(-x^2 / 2) / sqrt(2 pi) is the derivative of Phi:

    erf form            dy/dx = Phi(x) + x phi(x)                                                              (G3)
    tanh form           dy/dx = (1 + tanh u) / 2 + x / 2 (1 - tanh^2 u) k (1 + 3 a x^2)                        (G4)

Source    Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2. GPT-2 and GPT use (G2), BERT uses (G1).
Derived   notebooks/02_gelu.ipynb.  Tested  tests/test_gelu.py, tests/test_contract.py, tests/test_golden.py.
Fast twin kernels/gelu.py.
"""
import math

import numpy as np

from nanolm.layers import check, erf

K = math.sqrt(2 / math.pi)
A = 0.044715


def forward(x, form="tanh"):
    """Return y, shaped like x, and cache = (x, form, share): share is y / x, kept because its exponential is dear.

    Raises ValueError unless form is "tanh" or "erf" or if x has no axis, TypeError if x does not hold floats.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., C)")
    if form == "tanh":
        share = np.tanh(K * (x + A * (x * x * x)))                          # x ** 3 would call pow: 20 times slower
        share += 1                                                          # (1 + tanh u) / 2, in place: share is ours
        share *= 0.5
    elif form == "erf":
        share = 0.5 * erf.erfc(x * (-1 / math.sqrt(2)))                     # Phi(x)
    else:
        raise ValueError(f'form must be "tanh" (as in GPT-2) or "erf" (as in BERT), in an MLP also "relu", but it is {form!r}.')
    return x * share, (x, form, share)


def backward(dy, cache):
    """Return dx, shaped like x."""
    x, form, share = cache
    if form == "tanh":
        du = K * (1 + 3 * A * (x * x))                                      # u = k (x + a x^3)
        dshare = 2 * share * (1 - share) * du                               # share = (1 + tanh u) / 2, so that
    else:                                                                   # 1 - tanh^2 u = 4 share (1 - share)
        dshare = np.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))      # phi, the derivative of Phi
    return dy * (share + x * dshare)                                        # y = x * share, (G3) and (G4)

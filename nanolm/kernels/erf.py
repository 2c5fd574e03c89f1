"""The share of the normal numbers below x, and their density at x, sixteen at a time: what GELU's erf form needs.

    Phi(x) = erfc(-x / sqrt 2) / 2,     phi(x) = exp(-x^2 / 2) / sqrt(2 pi), the derivative of Phi               (PH1)

The C library has erfc for one number; a call for each number is what a kernel cannot afford (exp.py). The plain layer
(layers/erf.py) has a formula without a call, for z = |x| / sqrt 2:

    erfc(z) = exp(-z^2) P(u),     t = 1 / (1 + z / 2),     u = 1 ... -1 while t falls from 1 to 1/4              (PH2)

with a polynomial P. And exp(-z^2) is exp(-x^2 / 2), which phi needs too: one exponential, one division and one polynomial
give both. Our exponential is 0 below 1e-20, so beyond |x| = 9.6 Phi is 0 or 1 and phi is 0.

The coefficients are the plain layer's: 11 in float32, 19 in float64. There they stand before Chebyshev's polynomials; here
they are turned into those of the powers of u, once, at import. Powers take a multiplication and an addition each, in one
instruction, and the loop over them is laid out by the compiler, because their number is known to it. float64 calls
math.exp: it is for checking gradients.

Tested    tests/kernels/test_erf.py: against math.erfc.
"""
import math

import numpy as np
from numba import types
from numba.extending import overload
from numpy.polynomial import chebyshev

from nanolm.kernels.compiled import compiled
from nanolm.kernels.exp import exp
from nanolm.layers import erf as layer


def numbers(name):
    """Return (the coefficients of the powers of u), (all other numbers of (PH1) and (PH2)), of this precision."""
    real, T_MIN = np.dtype(name).type, layer.T_MIN
    others = (1.0, 0.5, 1 / math.sqrt(2), 1 / math.sqrt(2 * math.pi), T_MIN, 2 / (1 - T_MIN))
    return tuple(real(c) for c in chebyshev.cheb2poly(layer.COEFFICIENTS[name])), tuple(real(c) for c in others)


P32, C32 = numbers("float32")
P64, C64 = numbers("float64")


def normal(x):
    """Return Phi(x) and phi(x) for one number, in its own precision. (This line runs when Numba is switched off.)"""
    return share_and_density(x, *((P32, C32) if x.dtype == np.float32 else (P64, C64)))


@compiled(fastmath={"contract"})
def share_and_density(x, powers, others):
    one, half, root_half, over_root, t_min, stretch = others
    t = one / (one + half * (abs(x) * root_half))
    t = t if t > t_min else t_min                                           # beyond it the exponential decides alone
    u = (t - t_min) * stretch - one
    P = powers[-1]
    for i in range(len(powers) - 2, -1, -1):
        P = P * u + powers[i]
    e = exp(-half * (x * x))
    tail = half * (e * P)                                                   # erfc(|x| / sqrt 2) / 2, (PH2)
    return (tail if x < 0 else one - tail), e * over_root                   # a NaN is in e


@overload(normal)
def _compiled_normal(x):
    """Which numbers Numba compiles into normal(x): by the type of x."""
    if x == types.float32:
        return lambda x: share_and_density(x, P32, C32)
    return lambda x: share_and_density(x, P64, C64)

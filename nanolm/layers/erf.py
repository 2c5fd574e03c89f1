"""The error function on arrays. Python has math.erf for one number, NumPy has none at all.

    erf(x) = 2 / sqrt(pi) * integral from 0 to x of exp(-s^2) ds,     erfc(x) = 1 - erf(x)                   (PH3)

For z = |x| the product erfc(z) exp(z^2) falls smoothly from 1 towards 0. In the variable t = 1 / (1 + z / 2), which
squeezes z = 0 ... infinity into t = 1 ... 0, it is so smooth that a polynomial of degree 18 is right to rounding (10
in float32). It is fitted here, at import, to math.erfc at 19 (11) points, Chebyshev's; there is no table to trust.

    erfc(z)  = exp(-z^2) * polynomial(t)           z >= 0                                                     (PH2)
    erfc(-z) = 2 - erfc(z)                                                                                    (PH4)

Errors, measured against math.erfc by tests/test_gelu.py: below 4e-15 in float64, 4e-7 in float32, absolute. The small
values of erfc keep their relative accuracy too (2e-14 up to z = 6), because nothing is subtracted from one.

Derived   notebooks/02_gelu.ipynb.  Tested  tests/test_gelu.py.  Fast twin  kernels/erf.py.
"""
import math

import numpy as np
from numpy.polynomial import chebyshev

T_MIN = 1 / 4                                        # z = 6, where erfc is 2e-17; beyond it exp(-z^2) decides alone
DEGREE = {"float32": 10, "float64": 18}


def _fit(degree):
    """Return Chebyshev coefficients of t -> erfc(z) exp(z^2) for t from T_MIN to 1, with u = -1 ... 1 running over t."""
    def scaled_erfc(u):
        z = 2 / (T_MIN + (u + 1) / 2 * (1 - T_MIN)) - 2                     # t = 1 / (1 + z / 2), solved for z
        return np.array([math.erfc(one) * math.exp(one * one) for one in z])
    return chebyshev.chebinterpolate(scaled_erfc, degree)


COEFFICIENTS = {dtype: _fit(degree).astype(dtype) for dtype, degree in DEGREE.items()}


def erfc(x):
    """Return 1 - erf(x), elementwise, same shape and dtype as x (float32, float64 or, for gradcheck, complex128)."""
    negative = x.real < 0
    z = np.where(negative, -x, x)
    z = np.where(z.real > 30, x.dtype.type(30), z)                          # exp(-900) is 0 already; z * z must not overflow
    t = 1 / (1 + z / 2)
    t = np.where(t.real < T_MIN, x.dtype.type(T_MIN), t)
    u = (t - T_MIN) * (2 / (1 - T_MIN)) - 1                                 # T_MIN ... 1 -> -1 ... 1
    y = np.exp(-z * z) * chebyshev.chebval(u, COEFFICIENTS[x.real.dtype.name])      # (PH2)
    return np.where(negative, 2 - y, y)                                     # (PH4)

"""The exponential, eight or sixteen at a time.

A kernel that calls math.exp calls a function of the C library for each number: 2.7 ns each. A formula of additions and
multiplications, without a call and without a branch, is one that LLVM turns into wide instructions: 0.2 ns.

    exp(x) = 2^n exp(r),     n = round(x / ln 2),     r = x - n ln 2,     |r| <= ln 2 / 2 = 0.35              (EX1)

    exp(r)   a polynomial of degree 6, off by less than 1e-7 relative: as good as float32 can say                (EX2)
    round    t = x / ln 2 + 1.5 * 2^23: a float32 of this size has no digits behind the point, so the addition   (EX3)
             itself rounds; t - 1.5 * 2^23 is n. All of fastmath would cancel it away: errors up to 41 % were seen
    n ln 2   in two parts, the first with few digits, so that x - n ln 2 loses nothing (Cody and Waite)          (EX4)
    2^n      the exponent field of a float32: the integer (n + 127) moved up by 23 bits, read as a float32       (EX5)

Above x = 88.37 the answer is inf (2^n would have no exponent field any more; float32 itself ends at 88.72). Below x = -46 it
is 0: true values under 1e-20, which change no sum in float32 that a softmax or a GELU makes. Kept, they would be multiplied
by small gradients to numbers below 1e-38, which a processor has no wide way to write: it takes over a hundred cycles for
each. A small GPT-2 that had learnt its batch by heart spent half of its step on such numbers. NaN gives NaN. float64 uses
math.exp: it is for checking gradients.

Derived   notebooks/17_fast_attention.ipynb.  Tested  tests/kernels/test_exp.py: against NumPy at a million numbers.
"""
import math

import numpy as np
from numba import types
from numba.extending import overload

from nanolm.kernels.compiled import compiled

LOG2E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)                      # 355 / 512: nine digits in base 2, so n * LN2_HIGH is exact
LN2_LOW = np.float32(-2.12194440e-4)                    # ln 2 - LN2_HIGH
ROUND = np.float32(12582912.0)                          # 1.5 * 2^23
HIGH = np.float32(88.37626)                             # 127.5 ln 2: above, n would be 128, and 2^128 is not a float32
LOW = np.float32(-46)                                   # 1e-20
C3, C4 = np.float32(0.16666534), np.float32(0.04166724)     # fitted to the largest relative error, 4.0e-9 with these
C5, C6 = np.float32(0.00836754), np.float32(0.00138637)     # (1/6, 1/24, 1/120, 1/720 would be Taylor's: 1.6e-7)
HALF, ONE, ZERO, INF = np.float32(0.5), np.float32(1), np.float32(0), np.float32(np.inf)


def exp(x):
    """Return e^x for one number, in its own precision. (This line runs when Numba is switched off.)"""
    return np.exp(x)


@compiled(fastmath={"contract"})                        # a product and a sum in one instruction: a third faster, rounded once
def exp32(x):
    """Return e^x for one float32, (EX1)."""
    t = x * LOG2E + ROUND                               # (EX3)
    n = t - ROUND
    r = x - n * LN2_HIGH - n * LN2_LOW                  # (EX4)
    poly = ONE + r * (ONE + r * (HALF + r * (C3 + r * (C4 + r * (C5 + r * C6)))))       # (EX2)
    # (EX5): t's lowest bits are the integer n: moved to where the exponent of a float32 stands, and added to poly's exponent.
    bits = (np.float32(poly).view(np.int32) + np.int32(np.float32(t).view(np.int32) << np.int32(23)))
    y = np.int32(bits).view(np.float32)
    y = y if x < HIGH else INF
    y = y if x > LOW else ZERO
    return y if x == x else x                           # NaN is not equal to itself


@overload(exp)
def _compiled_exp(x):
    """Which exponential Numba compiles for exp(x): by the type of x."""
    if x == types.float32:
        return lambda x: exp32(x)
    return lambda x: math.exp(x)

"""Rotary positions: turn each pair of channels of a query or key by an angle that grows with its place in the text.

    angle_ti = t base^(-2i / D),     t = offset, offset + 1, ...,     i = 0 ... D/2 - 1          radians          (O1)
    y_i       = x_i cos(angle) - x_(i + D/2) sin(angle)
    y_(i+D/2) = x_i sin(angle) + x_(i + D/2) cos(angle)                                                           (O2)

    x, y (..., T, D), D even. Channel i pairs with channel i + D/2, as in the published Llama weights for transformers;
    the paper, and files in GGUF, pair 2i with 2i + 1: their matrices are put into our order when they are read.

Why: a plane turned by a and another by b have the inner product of the first unturned and the second turned by b - a.
So q_t . k_s, and with it attention, depends on t and s only through t - s, whatever the offset: no table to learn, no
last position built in. Pairs with small i turn fast and tell neighbours apart, those with large i tell far from near.

(O2) is a rotation, its matrix R has R^T = R^-1, and so backward turns the gradient back by the same angle:

    dx_i       =  dy_i cos(angle) + dy_(i + D/2) sin(angle)
    dx_(i+D/2) = -dy_i sin(angle) + dy_(i + D/2) cos(angle)                                                       (O3)

Source    Su et al. 2021, arXiv:2104.09864, eq. 15 and 34.
Tested    tests/test_rotary.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, base=10000.0, offset=0):
    """Return y, shaped like x, and cache = (cos, sin), (T, D/2) each. offset: the place in the text of x's first token.

    Raises ValueError if D is odd, base is not above 0 or offset is below 0; TypeError on wrong types.
    """
    check.floats(x=x)
    check.dimensions("x", x, 2, "(..., T, D)")
    check.whole("offset", offset, least=0)
    T, D = x.shape[-2:]
    if D % 2:
        raise ValueError(f"x must have an even number of channels, because they are turned in pairs, but it has {D}.")
    if not check.real("base", base) > 0:
        raise ValueError(f"base must be above 0, but it is {base}.")
    cos, sin = table(T, D, base, offset, x.real.dtype)
    return turned(x, cos, sin), (cos, sin)


def backward(dy, cache):
    """Return dx, shaped like x."""
    cos, sin = cache
    return turned(dy, cos, -sin)                                            # the way back: -angle, (O3)


def table(T, D, base, offset, dtype):
    """Return cos and sin of the angles (O1), (T, D/2) each; the angles themselves are computed in float64."""
    t = np.arange(offset, offset + T)[:, None]                              # (T, 1)
    i = np.arange(D // 2)[None, :]                                          # (1, D/2)
    angle = t * float(base) ** (-2 * i / D)                                 # (O1)
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def turned(x, cos, sin):
    """Return x (..., T, D) with every pair of channels turned, (O2)."""
    first, second = np.split(x, 2, axis=-1)                                 # (..., T, D/2) each
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)

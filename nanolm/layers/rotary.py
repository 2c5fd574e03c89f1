"""Rotary positions: turn each pair of channels of a query or key by an angle that grows with its place in the text.

    angle_ti = t w_i,   w_i = base^(-2i / D),   t = offset, offset + 1, ...,   i = 0 ... D/2 - 1     radians        (O1)
    y_i       = x_i cos(angle) - x_(i + D/2) sin(angle)
    y_(i+D/2) = x_i sin(angle) + x_(i + D/2) cos(angle)                                                           (O2)

    x, y (..., T, D), D even. Channel i pairs with channel i + D/2, as in the published Llama weights for transformers;
    the paper, and files in GGUF, pair 2i with 2i + 1: their matrices are put into our order when they are read.

Why: turn one vector of a plane by a and another by b: their inner product is that of the first unturned and the second turned
by b - a. So q_t . k_s, and with it attention, depends on t and s only through t - s, whatever the offset: no table to learn,
no last position built in. Pairs with small i turn fast and tell neighbours apart, those with large i tell far from near.

(O2) is y = R x with a rotation R. For any such y, dx = R^T dy; here R^T = R^-1, so backward turns the gradient back by the
same angle:

    dx_i       =  dy_i cos(angle) + dy_(i + D/2) sin(angle)
    dx_(i+D/2) = -dy_i sin(angle) + dy_(i + D/2) cos(angle)                                                       (O3)

A model taught on short texts reads longer ones if its pairs are made to turn slower; `scaling` says how (None: not at all):

    ("linear", factor)                         w_i' = w_i / factor                                                (O4)
    ("llama3", factor, low, high, length)      w_i' = m_i w_i + (1 - m_i) w_i / factor
                                               m_i  = (n_i - low) / (high - low), cut to 0 ... 1                  (O5)

with n_i = length w_i / 2 pi, how often pair i turned round in a text of the old length. Pairs that went round often (n_i >=
high) stay as they are and still tell neighbours apart; those that hardly did (n_i <= low) are slowed, and meet no new angle.

Source    Su et al. 2021, arXiv:2104.09864, eq. 15 and 34.  (O4) Chen et al. 2023, arXiv:2306.15595, eq. 4.  (O5) the code
          published with Llama 3.1, apply_scaling; there factor 8, low 1, high 4, length 8192.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_rotary.py, tests/test_contract.py, tests/test_golden.py, tests/peers/test_variants_transformers.py.
Fast twin kernels/rotary.py.
"""
import math

import numpy as np

from nanolm.layers import check


def forward(x, base=10000.0, offset=0, scaling=None):
    """Return y, shaped like x, and cache = (cos, sin), (T, D/2) each. offset: the place in the text of x's first token.

    Raises ValueError if D is odd, base is not above 0, offset is below 0 or scaling is none of the above; TypeError on
    wrong types.
    """
    check.floats(x=x)
    check.dimensions("x", x, 2, "(..., T, D)")
    check.whole("offset", offset, least=0)
    T, D = x.shape[-2:]
    if D % 2:
        raise ValueError(f"x must have an even number of channels, because they are turned in pairs, but it has {D}.")
    if not check.real("base", base) > 0:
        raise ValueError(f"base must be above 0, but it is {base}.")
    cos, sin = table(T, D, base, offset, x.real.dtype, scaling)
    return turned(x, cos, sin), (cos, sin)


def backward(dy, cache):
    """Return dx, shaped like x."""
    cos, sin = cache
    return turned(dy, cos, -sin)                                            # the way back: -angle, (O3)


def table(T, D, base, offset, dtype, scaling=None):
    """Return cos and sin of the angles (O1), (T, D/2) each; the angles themselves are computed in float64."""
    t = np.arange(offset, offset + T)[:, None]                              # (T, 1)
    angle = t * frequencies(D, base, scaling)                               # (O1)
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def frequencies(D, base, scaling=None):
    """Return w (D/2,), float64: by how many radians each pair turns from one token to the next, (O1), (O4), (O5)."""
    check_scaling(scaling)
    w = float(base) ** (-2 * np.arange(D // 2) / D)                         # (O1)
    if scaling is None:
        return w
    if scaling[0] == "linear":
        return w / scaling[1]                                               # (O4)
    _, factor, low, high, length = scaling
    turns = length * w / (2 * math.pi)                                      # n
    m = np.clip((turns - low) / (high - low), 0, 1)
    return m * w + (1 - m) * w / factor                                     # (O5)


def check_scaling(scaling):
    """Raise ValueError or TypeError, with a sentence, unless scaling is None or one of the two tuples above."""
    if scaling is None:
        return
    if not isinstance(scaling, tuple) or (scaling[:1], len(scaling)) not in ((("linear",), 2), (("llama3",), 5)):
        raise ValueError(f'scaling must be None, ("linear", factor) or ("llama3", factor, low, high, length), but it is '
                         f'{scaling!r}.')
    for name, value in zip(("factor", "low", "high", "length"), scaling[1:]):
        if not 0 < check.real(f"scaling's {name}", value) < math.inf:
            raise ValueError(f"scaling's {name} must be above 0, but it is {value}.")
    if scaling[0] == "llama3" and not scaling[2] < scaling[3]:
        raise ValueError(f"scaling's low must be below its high, but they are {scaling[2]} and {scaling[3]}.")


def turned(x, cos, sin):
    """Return x (..., T, D) with every pair of channels turned, (O2)."""
    first, second = np.split(x, 2, axis=-1)                                 # (..., T, D/2) each
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)

"""Dropout: while training, put a random share of the numbers to zero, so that no channel can rely on another.

    y_i = x_i keep_i / (1 - rate),     keep_i = 1 with chance 1 - rate, else 0                                    (D1)

    x, y (..., C), no units.   rate: the share that is dropped, 0 <= rate < 1.

Dividing by 1 - rate keeps the expected value of y equal to x, so nothing has to change when training is over: then
rng is None and y is x. Backward multiplies by the very same numbers; the mask must be the one that forward drew.

    dx_i = dy_i keep_i / (1 - rate)                                                                               (D2)

Source    Srivastava et al. 2014, "Dropout", JMLR 15; scaled while training ("inverted") as in its section 10.
Derived   notebooks/10_dropout.ipynb.  Tested  tests/test_dropout.py, tests/test_contract.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, rate, rng):
    """Return y, shaped like x, and cache = (keep, scale): one boolean a number; (None, 1) when nothing is dropped.

    rng is a numpy.random.Generator; None, or a rate of 0, drops nothing and returns x itself, not a copy.
    Raises ValueError unless 0 <= rate < 1, TypeError if rate is no number or rng is neither.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., C)")
    rate = check.share("rate", rate)                                        # the share of numbers to drop
    if rng is None or rate == 0:
        return x, (None, 1.0)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator or None, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    keep = rng.random(x.shape, dtype=np.float32) >= rate
    scale = 1 / (1 - rate)
    y = x * keep
    y *= scale
    return y, (keep, scale)


def backward(dy, cache):
    """Return dx, shaped like x."""
    keep, scale = cache
    if keep is None:
        return dy                                                           # y = x
    dx = dy * keep                                                          # y = x * keep * scale, (D2)
    dx *= scale
    return dx

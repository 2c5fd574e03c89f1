"""Wrong backwards of positions and dropout: the checker must reject every one."""
import numpy as np
from wrong import wrong

from nanolm.layers import dropout, positions


# -------------------------------------------------------------------------------- positions
@wrong("positions")
def first_of_the_batch(dy, cache):
    rows, offset = cache
    return dy, positions.backward(dy[:1], cache)[1] if dy.ndim == 3 else positions.backward(dy, cache)[1]


# -------------------------------------------------------------------------------- dropout
_rng = np.random.default_rng(9)


@wrong("dropout")
def new_mask(dy, cache):                                                     # M
    return dy if cache[0] is None else dy * (_rng.random(dy.shape) < 1 / cache[1]) * cache[1]


@wrong("dropout", lambda x, rate, rng: dropout.forward(x, rate, np.random.default_rng()))
def active_in_evaluation(dy, cache):                                         # M: forward is not a function
    return dropout.backward(dy, cache)

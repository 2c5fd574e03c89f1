"""Dropout, fast: what is dropped is a function of a seed and of the place, so the mask is drawn again and not kept.

The plain layer draws a float for every number and keeps a boolean. Here random_bits.py gives 32 bits for a place as
often as it is asked; kept is the seed. Which numbers are dropped is another draw than the plain layer's, of the same
distribution; from the generator only the seed is drawn.

Tested    tests/kernels/test_twins.py, and everything that holds layers/dropout.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import entry
from nanolm.kernels.random_bits import bits, seed_from
from nanolm.kernels.usual import Cache, floats
from nanolm.layers import check


def forward(x, rate, rng):
    """Return y, shaped like x, and the cache (seed, rate, shape, dtype). Arguments and errors as in layers/dropout.py."""
    if rng is None or not isinstance(rng, np.random.Generator) or not floats(x) or x.ndim == 0:
        return plain("dropout", "forward")(x, rate, rng)
    rate = check.share("rate", rate)
    if rate == 0:
        return x, (None, 1.0)
    seed = seed_from(rng)
    y = multiplied(x, seed, rate)
    return y, Cache((seed, rate, y.shape, y.dtype))


def backward(dy, cache):
    """Return dx, shaped like x."""
    if type(cache) is not Cache:
        return plain("dropout", "backward")(dy, cache)
    seed, rate, shape, dtype = cache
    if np.shape(dy) != shape or dy.dtype != dtype:
        raise ValueError(f"dy must have the shape {shape} and hold {dtype}, as forward's answer does, but it has {np.shape(dy)}.")
    return multiplied(dy, seed, rate)                                       # the very same numbers as in forward, (D2)


def multiplied(x, seed, rate):
    """Return x with each number dropped or divided by 1 - rate, as the seed says."""
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)

    def some(start, stop):
        multiply(flat_x[start:stop], flat_y[start:stop], seed, int(rate * 2**32), 1 / (1 - rate), start)

    threads.split(some, x.size, least=2**16)
    return y


@entry("in1", "out1", "int", "int", "real", "int")
def multiply(x, y, seed, below, lift, first):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = x[i] * (zero if bits(seed, first + i) < below else lift)

"""The gradient's norm, fast: one pass, on all cores.

The squares are summed in float64, as in training/clipping.py, in parts of 65,536 numbers that are then added up in
order: the same norm, to the bit, on any number of threads. (Multiplying the gradients has no twin: NumPy does it as fast as
memory gives them.)

Tested    tests/kernels/test_twins_of_training.py, and everything that holds training/clipping.py.
"""
import math

import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import SUMS, entry
from nanolm.kernels.usual import floats
from nanolm.training import clipping

PIECE = 2**16                                           # numbers


def global_norm(grads):
    """Return the length of all gradients taken together as one vector: a float, summed in float64."""
    arrays = clipping.distinct(grads)
    if not arrays or not all(floats(g) for g in arrays):
        return plain("clipping", "global_norm")(grads)
    total = 0.0
    for g in arrays:
        flat = np.ascontiguousarray(g.reshape(-1, order="A"))               # in the order of memory: mostly a view
        sums = np.empty(-(-flat.size // PIECE))

        def some(start, stop):
            for piece in range(start, stop):
                sums[piece] = sum_of_squares(flat[piece * PIECE:(piece + 1) * PIECE])

        threads.split(some, len(sums), least=4)
        total += float(sums.sum())
    return math.sqrt(total)


@entry("in1", fastmath=SUMS)
def sum_of_squares(g):
    total = 0.0
    for i in range(g.size):
        total += np.float64(g[i]) * np.float64(g[i])
    return total

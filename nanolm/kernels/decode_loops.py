"""What the decoding kernels of GPT-2 (decode.py) and of Llama's shape (decode_llama.py) have in common.

    keep        write a new token's key and value to the cache (decode.py alone)
    attend      one query over the keys and values so far; the heads of a group of queries read the same ones
    numbers     a matrix's memory as its numbers: floats, or int8

    keys, values (L, B, heads, S, D), flat; one head's part begins at `at`

Tested    tests/kernels/test_decode.py, tests/kernels/test_decode_llama.py.
"""
import math

import numpy as np
from numba import types
from numba.extending import overload

from nanolm.kernels.compiled import SUMS, compiled
from nanolm.kernels.exp import exp
from nanolm.kernels.maximum import largest


def numbers(stored):
    """Return bytes as int8, floats as they are."""
    return stored.view(np.int8) if stored.dtype == np.uint8 else stored


@overload(numbers)
def _compiled_numbers(stored):
    if stored.dtype == types.uint8:
        return lambda stored: stored.view(np.int8)
    return lambda stored: stored


@compiled
def keep(k, v, mine, D, keys, values, at, t):
    """Write the D channels of k and v that begin at `mine` to position t of the keys and values that begin at `at`."""
    new = at + t * D
    for i in range(D):
        keys[new + i] = k[mine + i]
        values[new + i] = v[mine + i]


@compiled(fastmath=SUMS)
def attend(q, mine, keys, values, at, t, scores, found):
    """Attend for one row and one head, whose D channels of q begin at `mine`, to the positions 0 ... t.

    The head's keys and values begin at `at`. The answer is written over q's. scores (S,), found (D,): room to work in.
    """
    D, real = found.size, q.dtype.type
    query = q[mine:mine + D]
    for i in range(D):
        found[i] = real(0)
    scale = real(1 / math.sqrt(D))
    for s in range(t + 1):
        old, dot = keys[at + s * D:][:D], real(0)
        for i in range(D):
            dot += query[i] * old[i]
        scores[s] = dot * scale
    most, total = largest(scores[:t + 1]), real(0)
    for s in range(t + 1):
        scores[s] = exp(scores[s] - most)
    for s in range(t + 1):
        share, old = scores[s], values[at + s * D:][:D]
        total += share
        for i in range(D):
            found[i] += share * old[i]
    for i in range(D):
        query[i] = found[i] / total

"""Clipping by global norm: a gradient that is too long is shortened; its direction stays.

    norm = sqrt(sum over all tensors of sum g_i^2)                                                              (OP11)
    g <- g * max_norm / norm        if norm > max_norm, else unchanged                                          (OP12)

One norm over all tensors together, and one factor for all: clipping each tensor (or element) by itself would turn
the direction. A tied matrix is one tensor with one gradient, the sum of both its uses, and counts once.

Why: a single unlucky batch can have a gradient a hundred times the usual length, and one step along it can throw
the weights to where no later gradient leads back.

Source    Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks",
          arXiv:1211.5063, algorithm 1.
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_clipping.py.
"""
import math

import numpy as np


def distinct(grads):
    """Return the arrays of the flat dict grads, each once, even where two names share one array (a tied matrix)."""
    return list({id(g): g for g in grads.values()}.values())


def global_norm(grads):
    """Return the length of all gradients taken together as one vector: a float, summed in float64.

    The squares are float64 too: in float32 a gradient of 2e19 would have an infinite square.
    """
    total = 0.0
    for g in distinct(grads):
        flat = g.reshape(-1)
        total += float(np.einsum("i,i->", flat, flat, dtype=np.float64))
    return math.sqrt(total)                                                 # (OP11)


def clip(grads, max_norm):
    """Shorten grads in place so that their global norm is at most max_norm; return the norm they had before.

    grads      flat dict {name: array}; written to, so pass gradients that you own
    max_norm   the limit, > 0; math.inf never clips

    A norm that is NaN or infinite is returned and grads are left as they are: there is no right length to give
    them (scaling by max_norm / inf would turn all that is finite into zeros and hide the fault). The caller checks.
    Raises ValueError if max_norm is not positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}; it must be positive. Use math.inf to switch clipping off.")
    norm = global_norm(grads)
    if math.isfinite(norm) and norm > max_norm:
        shorten(grads, max_norm / norm)                                     # (OP12)
    return norm


def shorten(grads, factor):
    """Multiply every gradient by factor, in place."""
    for g in distinct(grads):
        g *= factor

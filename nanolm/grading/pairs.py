"""Pairs of a forward and a backward, right ones and wrong ones: what a student's own gradient checker is held to.

    for pair in pairs.all_of(seed):     pair.forward, pair.backward, pair.args, pair.right, pair.lesson

Each wrong pair needs something of the checker: a random upstream gradient, every argument differentiated, every entry looked
at, a tolerance that is small enough. Each right pair is one that hasty checkers blame: a true gradient of zero, large
numbers, a size of one. The functions say nothing of themselves: they are all called `pair`.

Tested    tests/grading/test_checkers.py.
"""
from dataclasses import dataclass

import numpy as np

from nanolm.layers import attention, cross_entropy, embedding, gelu, layernorm, linear, softmax


class Hidden:
    """A function without a name of its own. number and side are what the wire sends in its place."""

    def __init__(self, function, number, side):
        self.function, self.number, self.side = function, number, side
        self.__name__ = "pair"

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


@dataclass
class Pair:
    """One question to a checker. lesson: what to say if the answer is wrong."""
    forward: object
    backward: object
    args: tuple
    right: bool
    lesson: str


def all_of(seed=0):
    """Return the list of Pairs, right and wrong mixed, the same for the same seed."""
    rng = np.random.default_rng([seed, 90_909])     # no seed that a checker takes for its own dy: with dy = x a linear layer's
    found = [*rights(rng), *wrongs(rng)]            # dweight, x^T dy, is symmetric, and a transposed one is equal to it
    order = rng.permutation(len(found))
    return [hidden(found[i], k) for k, i in enumerate(order)]


def hidden(pair, number):
    return Pair(Hidden(pair.forward, int(number), "forward"), Hidden(pair.backward, int(number), "backward"),
                pair.args, pair.right, pair.lesson)


def rights(rng):
    n = rng.standard_normal
    yield Pair(linear.forward, linear.backward, (n((2, 3)), n((3, 4)), n(4)), True, "a linear layer")
    yield Pair(linear.forward, linear.backward, (n((1, 1)), n((1, 1)), n(1)), True,
               "a linear layer of one number: does a size of one confuse shapes?")
    yield Pair(softmax.forward, softmax.backward, (3 * n((2, 4)),), True, "a softmax")
    yield Pair(layernorm.forward, layernorm.backward, (5 * n((2, 4)) + 3, n(4), n(4)), True, "a layer norm")
    yield Pair(gelu.forward, gelu.backward, (n((3, 3)),), True, "a GELU")
    yield Pair(gelu.forward, gelu.backward, (1e3 * n((2, 2)),), True,
               "a GELU far out, where the gradient is 0 or 1 to the last digit: a relative error alone divides by zero there")
    yield Pair(embedding.forward, embedding.backward, (np.array([[0, 2, 2]]), n((4, 3))), True,
               "an embedding: ids have no gradient, and unused rows have a gradient of exactly zero, so a relative error "
               "alone is 0 / 0")
    yield Pair(*with_key_bias(), (n((1, 3, 2)), n((1, 3, 2)), n((1, 3, 2)), n(2)), True,
               "attention with a bias on its keys, whose true gradient is zero: rounding leaves 1e-17, and a relative error "
               "alone makes 1 of it. Use an absolute tolerance beside it")
    yield Pair(linear.forward, linear.backward, (1e4 * n((2, 2)), n((2, 2)), n(2)), True,
               "a linear layer with large numbers: an absolute tolerance alone is too strict there")


def wrongs(rng):
    n = rng.standard_normal
    x, w, b = n((3, 4)), n((4, 4)), n(4)
    yield Pair(softmax.forward, lambda dy, c: np.zeros_like(dy), (3 * n((2, 4)),), False,
               "a softmax whose backward returns zeros: with ones as the upstream gradient zero is right. Draw dy at random")
    yield Pair(softmax.forward, lambda dy, c: c[0] * dy, (3 * n((2, 4)),), False, "a softmax backward without the average")
    yield Pair(linear.forward, change(linear.backward, 0, lambda d: d * 1.00001), (x, w, b), False,
               "a dx that is a hundred-thousandth too large: the tolerance is too wide")
    yield Pair(linear.forward, change(linear.backward, 1, np.transpose), (x, w, b), False,
               "a dweight that is transposed: are all arguments looked at, or only the first?")
    yield Pair(linear.forward, change(linear.backward, 2, lambda d: d / 3), (x, w, b), False,
               "a dbias that is a mean in place of a sum: the last argument is wrong")
    yield Pair(linear.forward, change(linear.backward, 1, one_entry), (x, w, b), False,
               "a dweight of which one single entry is wrong: is every entry looked at?")
    yield Pair(linear.forward, lambda dy, c: linear.backward(np.ones_like(dy), c), (x, w, b), False, "a backward that ignores dy")
    yield Pair(layernorm.forward, change(layernorm.backward, 0, lambda d: -d), (x, n(4), n(4)), False,
               "a dx with the wrong sign: does your error take an absolute value?")
    yield Pair(layernorm.forward, gain_outside, (x, n(4), n(4)), False,
               "a layer norm that is right only if all gains are 1: were your own arguments used in place of those that were "
               "given?")
    yield Pair(embedding.forward, last_of_repeats, (np.array([[1, 2, 1]]), n((4, 3))), False,
               "an embedding that keeps the last of repeated ids alone")
    yield Pair(gelu.forward, relu_slope, (n((3, 3)),), False, "a GELU with ReLU's derivative")
    yield Pair(cross_entropy.forward, lambda dloss, c: cross_entropy.backward(1.0, c), (n((3, 4)), np.array([0, 3, 1])), False,
               "a loss whose backward ignores dloss: an upstream gradient of 1 cannot see it. Scale the loss by another number")
    yield Pair(linear.forward, lambda dy, c: linear.backward(dy, c)[:2], (x, w, b), False,
               "a backward that returns one gradient too few")
    yield Pair(linear.forward, change(linear.backward, 0, lambda d: d[:1]), (x, w, b), False,
               "a dx of the wrong shape, which broadcasts: compare shapes first")
    yield Pair(linear.forward, change(linear.backward, 0, lambda d: d * np.nan), (x, w, b), False,
               "a dx that is NaN: `error > tolerance` is False for NaN; ask `not error <= tolerance`")
    yield Pair(attention.forward, change(attention.backward, 0, lambda d: d * 2**0.5), tuple(n((1, 3, 2)) for _ in range(3)),
               False, "an attention whose dq lacks the scale")


def change(backward, i, how):
    """Return backward with its i-th gradient changed."""
    def wrong(dy, cache):
        found = list(backward(dy, cache))
        found[i] = how(found[i])
        return tuple(found)
    return wrong


def one_entry(d):
    d = d.copy()
    d[-1, -1] *= 1.5
    return d


def gain_outside(dy, cache):
    x, weight, mean, rstd = cache
    dx, *_ = layernorm.backward(dy, (x, np.ones_like(weight), mean, rstd))
    return weight * dx, *layernorm.backward(dy, cache)[1:]


def last_of_repeats(dy, cache):
    ids, V = cache
    d = np.zeros((V, dy.shape[-1]))
    d[ids] = dy
    return d


def relu_slope(dy, cache):
    return dy * (cache[0] > 0)


def with_key_bias():
    def forward(q, k, v, bias):
        return attention.forward(q, k + bias, v)

    def backward(dy, cache):
        dq, dk, dv = attention.backward(dy, cache)
        return dq, dk, dv, dk.sum(axis=(0, 1))
    return forward, backward

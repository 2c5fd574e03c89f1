"""Variants of bends and branches: a gate with a rate of its own, a leaky squared ReLU, a scaled residual."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.variant import backward_call, friends, numbers, variant
from nanolm.grading.mistakes import variants_bends as of


def gated_logistic(a):
    forward, backward, mistakes = of.gated_logistic(a)

    def inputs(draw):
        F = draw.whole(1, 4)
        x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), 2 * F, scale=1.5))
        return backward_call(forward, draw, x, sizes={**build.token_sizes(x), "F": F})

    def terms(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        none = np.zeros_like(dy)
        return {"dx": [Term("first_term", "the product rule's first term in dg, dy u "
                                          "s,", np.concatenate([dy * u * s, none], axis=-1)),
                       Term("second_term", f"the product rule's second term in dg, dy u {a} g s (1 - s),",
                            np.concatenate([dy * u * a * g * s * (1 - s), none], axis=-1)),
                       Term("other_half", "the second half, du = dy g s,", np.concatenate([none, dy * g * s], axis=-1))]}

    return variant(
        "gated_logistic.backward", "def backward(dy, cache):", "Return dx, shaped like x.", ("dx",),
        "Your variant of a gate: the last axis of x (..., 2 F) is two halves, g and u, and y = u * g * s with s = 1 / (1 + "
        f"exp(-{a} g)); y is (..., F). The cache is (x, s), s (..., F). Write the backward.",
        backward, inputs, minutes=25, notebook="02_gelu", mistakes=mistakes,
        others=friends(lambda *own: of.gated_logistic(*own)[1], "the rate {}", a=a), terms=terms,
        hints=("np.split(x, 2, axis=-1) gives g and u. The answer is put together by np.concatenate.",
               "u stands in one place, so du = dy * g * s. g stands in two: product rule.",
               f"The derivative of s by g is {a} s (1 - s): the {a} is the inner derivative.",
               f"dg = dy * u * (s + {a} * g * s * (1 - s))."))


def leaky_square(c):
    forward, backward, mistakes = of.leaky_square(c)

    def inputs(draw):
        x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), draw.whole(1, 6), scale=1.5))
        return backward_call(forward, draw, x, draw.array(x.shape[-1]), sizes=build.token_sizes(x))

    def terms(dy, cache):
        x, weight = cache
        h = x * weight
        return {"dx": [Term("upper_part", "the part where h > 0, 2 dy h weight,", np.where(h > 0, 2 * dy * h * weight, 0)),
                       Term("lower_part", f"the part where h < 0, 2 {c}^2 dy h "
                                          "weight,", np.where(h > 0, 0, 2 * c * c * dy * h * weight))]}

    return variant(
        "leaky_square.backward", "def backward(dy, cache):", "Return dx, dweight, shaped like x, weight.", ("dx", "dweight"),
        f"Your variant of squared ReLU leaks: h = x * weight, r = h where h > 0 and {c} h elsewhere, y = r^2 (so y is positive "
        "on both sides). The cache is (x, weight): x (..., C), weight (C,). Write the backward.",
        backward, inputs, minutes=20, notebook="02_gelu", mistakes=mistakes,
        others=friends(lambda *own: of.leaky_square(*own)[1], "the leak {}", leak=c), terms=terms,
        hints=("From y to r, from r to h, from h to x and weight: three links of the chain.",
               f"y = r^2 gives dr = 2 dy r. r is {c} h where h < 0: that factor comes in twice, once in r and once in dr/dh.",
               f"dh = 2 dy h where h > 0, and 2 * {c}^2 dy h elsewhere.",
               "dx = dh * weight; dweight is the sum over all tokens of dh * x."))


def scaled_residual(c):
    forward, backward, mistakes = of.scaled_residual(c)

    def inputs(draw):
        C = draw.whole(1, 5)
        x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), C))
        return backward_call(forward, draw, x, 0.7 * draw.array(C, C), sizes=build.token_sizes(x))

    def terms(dy, cache):
        x, weight, t = cache
        return {"dx": [Term("way_past", "the way past the branch, dy,", 1.0 * dy),
                       Term("branch", f"the branch, {c} (dy (1 - t^2)) weight^T,", c * ((dy * (1 - t * t)) @ weight.T))]}

    return variant(
        "scaled_residual.backward", "def backward(dy, cache):", "Return dx, dweight, shaped like x, weight.", ("dx", "dweight"),
        f"Your variant of a block scales its branch: t = tanh(x @ weight), y = x + {c} t. The cache is (x, weight, t): x and t "
        "(..., C) with any number of axes, weight (C, C). Write the backward.",
        backward, inputs, minutes=20, notebook="11_block", mistakes=mistakes,
        others=friends(lambda *own: of.scaled_residual(*own)[1], "the factor {}", branch=c), terms=terms,
        hints=("x goes two ways, past the branch and into it: dx is a sum of two.",
               "The derivative of tanh is 1 - t^2, and t is in the cache.",
               f"dh = {c} * dy * (1 - t^2) is what reaches h = x @ weight.",
               "dx = dy + dh @ weight.T; dweight = x.T @ dh, both with the tokens in one axis, .reshape(-1, C)."))


def exercises(constants):
    own = numbers(constants)
    return [gated_logistic(own["a"]), leaky_square(own["leak"]), scaled_residual(own["branch"])]

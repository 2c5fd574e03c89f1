"""Exercises on the norms: layer norm and RMS norm."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import norms, rms
from nanolm.layers import layernorm, rmsnorm


def arguments(draw, parameters):
    """Return (x and so many parameters, options, sizes)."""
    C = draw.whole(1, 7)
    x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), C, scale=2.0, shift=1.0))
    # An eps below 1e-5 makes dx of a single channel or of two so small that only its rounding would be compared.
    return (x, *(draw.array(C) for _ in range(parameters))), {"eps": draw.share(1e-5, 1e-3, 0.3)}, build.token_sizes(x)


def layernorm_backward(draw):
    args, kwargs, sizes = arguments(draw, 2)
    return build.backward_call(layernorm, draw, *args, **kwargs, sizes=sizes)


def layernorm_forward(draw):
    args, kwargs, sizes = arguments(draw, 2)
    return build.forward_call(layernorm, *args, **kwargs, sizes=sizes)


def layernorm_cases():
    """Yield cases of gradcheck, and tokens whose mean is a million times their spread.

    Two channels, mean 2^20 exactly: x - mean loses nothing, so every right answer keeps nine digits or more. Only the mean of
    x^2 minus the square of the mean does not.
    """
    yield from build.forward_cases(layernorm, sizes_of)()
    spread = (2.0**20 + np.array([1.1, 0.7, 1.9])) - 2.0**20                # what is left of it beside 2^20
    x = 2.0**20 + spread[:, None] * np.array([1.0, -1.0])
    call = build.forward_call(layernorm, x, np.array([1.5, -0.8]), np.array([0.2, 0.3]), sizes=build.token_sizes(x))
    call.title = "a mean that is a million times the spread"
    yield call


def rmsnorm_backward(draw):
    args, kwargs, sizes = arguments(draw, 1)
    return build.backward_call(rmsnorm, draw, *args, **kwargs, sizes=sizes)


def rmsnorm_forward(draw):
    args, kwargs, sizes = arguments(draw, 1)
    return build.forward_call(rmsnorm, *args, **kwargs, sizes=sizes)


def average(a):
    return a.mean(axis=-1, keepdims=True)


def layernorm_terms(dy, cache):
    x, weight, mean, rstd = cache
    n, dn = (x - mean) * rstd, dy * weight
    return {"dx": [Term("direct_term", "the direct term, rstd dn, (1) of (N3),", rstd * dn),
                   Term("mean_term", "the mean term, -rstd average(dn), (2) of (N3),", -rstd * average(dn) + 0 * n),
                   Term("variance_term", "the variance term, -rstd n average(dn n), (3) of (N3),", -rstd * n * average(dn * n))]}


def rmsnorm_terms(dy, cache):
    x, weight, rstd = cache
    n, dn = x * rstd, dy * weight
    return {"dx": [Term("direct_term", "the direct term, rstd dn, in (R3)", rstd * dn),
                   Term("length_term", "the second term, -rstd n average(dn n), in (R3)", -rstd * n * average(dn * n))]}


def sizes_of(shown):
    return build.token_sizes(shown["x"])


def exercises(constants):
    return [
        build.backward(layernorm, ("dx", "dweight", "dbias"), layernorm_backward, level=2, minutes=30, notebook="05_layernorm",
                       task="Write the backward of layer norm, y = n * weight + bias with n = (x - mean) * rstd. The cache is "
                            "(x, weight, mean, rstd): x (..., C) with any number of axes, weight (C,), mean and rstd (..., 1), "
                            "rstd = 1 / sqrt(var + eps). Return dx, dweight, dbias, shaped like x, weight and bias.",
                       mistakes=norms.LAYERNORM_BACKWARD, terms=layernorm_terms, cases=build.backward_cases(layernorm, sizes_of),
                       hints=("Write n = (x - mean) * rstd first. y = n * weight + bias then takes three lines of chain rule: "
                              "dweight, dbias, dn.",
                              "A channel x_c moves n_c directly, and all n of its token through the mean and through rstd: three "
                              "terms.",
                              "The second term is an average of dn over the token's channels; the third is n times an average of "
                              "dn * n.",
                              "dx = rstd * (dn - dn.mean(-1) - n * (dn * n).mean(-1)), with keepdims in both means.")),
        build.forward(layernorm, ("y",), layernorm_forward, level=1, minutes=15, notebook="05_layernorm",
                      task="Write the forward of layer norm. Each token's C channels get mean 0 and variance 1, then are "
                           "multiplied by weight and shifted by bias. Return y (and a cache, if you like: it is not looked at).",
                      mistakes=norms.LAYERNORM_FORWARD, cases=layernorm_cases,
                      hints=("Mean and variance are over the last axis, with keepdims=True, so that they broadcast.",
                             "The variance is divided by C, not by C - 1, and eps is added to it under the root.",
                             "y = (x - mean) / np.sqrt(var + eps) * weight + bias.")),
        build.backward(rmsnorm, ("dx", "dweight"), rmsnorm_backward, level=2, minutes=25, notebook="20_after_gpt2",
                       task="Write the backward of RMS norm, y = n * weight with n = x * rstd. The cache is (x, weight, rstd): x "
                            "(..., C) with any number of axes, weight (C,), rstd (..., 1), rstd = 1 / sqrt(average(x^2) + eps). "
                            "Return dx, dweight, shaped like x and weight.",
                       mistakes=rms.RMSNORM_BACKWARD, terms=rmsnorm_terms, cases=build.backward_cases(rmsnorm, sizes_of),
                       hints=("Write n = x * rstd first. y = n * weight gives dweight and dn.",
                              "A channel x_k moves n_k directly, and all n of its token through rstd: two terms.",
                              "rstd is a power -1/2 of the average of x^2: the 1/2 cancels against the 2 of the square, and "
                              "rstd^3 is left.",
                              "dx = rstd * (dn - n * (dn * n).mean(-1)), with keepdims.")),
        build.forward(rmsnorm, ("y",), rmsnorm_forward, level=1, minutes=10, notebook="20_after_gpt2",
                      task="Write the forward of RMS norm. Each token's C channels are divided by the root of the average of "
                           "their squares (eps is added under the root), then multiplied by weight. Return y (and a cache, if "
                           "you like: it is not looked at).",
                      mistakes=rms.RMSNORM_FORWARD, cases=build.forward_cases(rmsnorm, sizes_of),
                      hints=("No mean is subtracted anywhere, and there is no bias.",
                             "The average of x * x is over the last axis, with keepdims=True, so that it broadcasts.",
                             "y = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight.")),
    ]

"""Variants of RMS norm: a power of the gain, a learned eps, groups of channels."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.variant import backward_call, forward_call, friends, numbers, variant
from nanolm.grading.mistakes import variants_groups, variants_norms as of

NOTEBOOK = "20_after_gpt2"


def tokens(draw, C):
    """Return x (..., C) and the sizes."""
    x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), C, scale=2.0, shift=1.0))
    return x, build.token_sizes(x)


def terms(n, dn, rstd, label):
    """Return {"dx": two terms} of a norm by the root of the average of squares."""
    return {"dx": [Term("direct_term", "the direct term of dx, rstd dn,", rstd * dn),
                   Term("second_term", f"the second term of dx, -rstd n average(dn n){label},", -rstd * n * of.average(dn * n))]}


def power_norm(p):
    forward, backward, mistakes = of.power_norm(p)

    def inputs(draw):
        x, sizes = tokens(draw, draw.whole(1, 7))
        weight = 0.5 + np.abs(draw.array(x.shape[-1]))
        return backward_call(forward, draw, x, weight, eps=draw.share(1e-5, 1e-3, 0.3), sizes=sizes)

    def parts(dy, cache):
        x, weight, rstd = cache
        return terms(x * rstd, dy * weight**p, rstd, "")

    return variant(
        "power_norm.backward", "def backward(dy, cache):", "Return dx, dweight, shaped like x, weight.", ("dx", "dweight"),
        f"Your variant of RMS norm takes the gain to a power, {p}: y = n * weight^{p} with n = x * rstd and rstd = 1 / "
        "sqrt(average(x^2) + eps), the average over the last axis; no mean is subtracted. The cache is (x, weight, rstd): x "
        "(..., C), weight (C,) with numbers above 0, rstd (..., 1). Write the backward.",
        backward, inputs, minutes=25, notebook=NOTEBOOK, mistakes=mistakes,
        others=friends(lambda *own: of.power_norm(*own)[1], "the power {}", power=p), terms=parts,
        hints=("Only the gain is new. First what reaches n, then RMS norm's own two terms.",
               f"dn = dy * weight^{p}. The derivative of weight^{p} by weight is {p} weight^{p - 1:.3g}.",
               "dx = rstd * (dn - n * average(dn * n)), with keepdims.",
               f"dweight is the sum over all tokens of dy * n * {p} * weight**({p} - 1)."))


def learned_eps(k):
    forward, backward, mistakes = of.learned_eps(k)

    def inputs(draw):
        x, sizes = tokens(draw, draw.whole(1, 7))
        return backward_call(forward, draw, x, draw.array(x.shape[-1]), np.array(draw.share(0.3, -0.5, 1.1, 0.0)), sizes=sizes)

    def parts(dy, cache):
        x, weight, e, rstd = cache
        return terms(x * rstd, dy * weight, rstd, "")

    return variant(
        "learned_eps.backward", "def backward(dy, cache):", "Return dx, dweight, de, shaped like x, weight, e: de is one number.",
        ("dx", "dweight", "de"),
        f"Your variant of RMS norm learns its eps: y = n * weight with n = x * rstd and rstd = 1 / sqrt(average(x^2) + exp({k} "
        f"e)), the average over the last axis; e is one number, learned, and {k} is fixed. The cache is (x, weight, e, rstd): x "
        "(..., C), weight (C,), e an array of shape (), rstd (..., 1). Write the backward.",
        backward, inputs, minutes=35, notebook=NOTEBOOK, mistakes=mistakes,
        others=friends(lambda *own: of.learned_eps(*own)[1], "the factor {} before e", eps_rate=k), terms=parts,
        hints=("dx and dweight are RMS norm's. New is the way from rstd to e.",
               "For one token rstd is a power -1/2 of (average(x^2) + eps): its derivative by eps is -1/2 rstd^3.",
               f"What reaches a token's rstd is the sum over its channels of dn x, with dn = dy weight; and deps/de = {k} "
               f"exp({k} e).",
               f"de = -0.5 * {k} * exp({k} e) * the sum over everything of dn * x * rstd^3."))


def group_rms(g):
    forward, backward, backward_mistakes, forward_mistakes = variants_groups.group_rms(g)

    def arguments(draw):
        x, sizes = tokens(draw, g * draw.whole(1, 4))
        return (x, draw.array(x.shape[-1])), {"eps": draw.share(1e-5, 1e-3, 0.3)}, {**sizes, "G": x.shape[-1] // g, "g": g}

    def inputs(draw):
        args, kwargs, sizes = arguments(draw)
        return backward_call(forward, draw, *args, **kwargs, sizes=sizes)

    def forward_inputs(draw):
        args, kwargs, sizes = arguments(draw)
        return forward_call(forward, *args, **kwargs, sizes=sizes)

    def parts(dy, cache):
        x, weight, rstd = cache
        shape = (*rstd.shape, g)
        found = terms((x.reshape(shape) * rstd[..., None]), (dy * weight).reshape(shape), rstd[..., None], ", averaged over the "
                                                                                                           "group")
        return {"dx": [Term(t.name, t.label, t.array.reshape(x.shape)) for t in found["dx"]]}

    formula = (f"y = n * weight, and n = x * rstd, where each group of {g} neighbouring channels (0 to {g - 1}, {g} to "
               f"{2 * g - 1}, ...) has an rstd = 1 / sqrt(average(x^2) + eps) of its own, the average over the group")
    return [
        variant("group_rms.forward", "def forward(x, weight, "
                                     "eps=1e-5):", "Return y, shaped like x. A cache may come with it: (y, cache).",
                ("y",), f"Your variant of RMS norm has groups of {g} channels: {formula}. x is (..., C), C a multiple of {g}; "
                        "weight is (C,). Write the forward. Return y (and a cache, if you like: it is not looked at).",
                forward, forward_inputs, minutes=15, notebook=NOTEBOOK, mistakes=forward_mistakes,
                others=friends(lambda *own: variants_groups.group_rms(*own)[0], "groups of {}", group=g),
                hints=(f"x.reshape(*x.shape[:-1], -1, {g}) has an axis for the groups and one for the channels of a group.",
                       "The average of the squares is over the last axis, with "
                       "keepdims.", "Back to x's shape, and then times weight.")),
        variant("group_rms.backward", "def backward(dy, cache):", "Return dx, dweight, shaped like x, weight.", ("dx", "dweight"),
                f"Your variant of RMS norm has groups of {g} channels: {formula}. The cache is (x, weight, rstd): x (..., C), C "
                f"a multiple of {g}, weight (C,), rstd (..., C / {g}), one number for each group. Write the backward.",
                backward, inputs, minutes=30, notebook=NOTEBOOK, mistakes=backward_mistakes,
                others=friends(lambda *own: variants_groups.group_rms(*own)[1], "groups of {}", group=g), terms=parts,
                hints=("Nothing but the size of what is averaged over is new.",
                       f"Give x, and dn = dy * weight, the shape (..., C / {g}, {g}); rstd[..., None] lies against that.",
                       "In each group dx = rstd * (dn - n * average(dn * n)), the average over the group, with keepdims.",
                       "dweight is the sum over all tokens of dy * n, in the shape (C,): weight is no group's, it is the "
                       "channel's.")),
    ]


def exercises(constants):
    own = numbers(constants)
    return [power_norm(own["power"]), learned_eps(own["eps_rate"]), *group_rms(own["group"])]

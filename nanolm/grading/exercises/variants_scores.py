"""Variants around softmax: a temperature, attention with slopes, a smoothed loss with a price on the logits' size."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.variant import backward_call, forward_call, friends, numbers, variant
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import variants_loss as of_loss, variants_scores as of


def tempered_softmax(tau):
    forward, backward, mistakes = of.tempered_softmax(tau)

    def inputs(draw):
        x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), draw.whole(2, 6), scale=1.5))
        return backward_call(forward, draw, x, sizes=build.token_sizes(x))

    def terms(dy, cache):
        (y,) = cache
        return {"dx": [Term("direct_term", "the direct term, y dy / tau,", y * dy / tau),
                       Term("sum_term", "the term with the sum, -y sum(dy y) / "
                                        "tau,", -y * (dy * y).sum(axis=-1, keepdims=True) / tau)]}

    return variant(
        "tempered_softmax.backward", "def backward(dy, cache):", "Return dx, shaped like x.", ("dx",),
        f"Your variant of softmax has a temperature, {tau}: y = softmax(x / {tau}) over the last axis, so y_i = exp(x_i / {tau}) "
        f"/ sum_j exp(x_j / {tau}). The cache is (y,), a tuple with one thing in it: y (..., C). Write the backward.",
        backward, inputs, minutes=20, notebook="03_softmax", mistakes=mistakes,
        others=friends(lambda *own: of.tempered_softmax(*own)[1], "the temperature {}", tau=tau), terms=terms,
        hints=(f"Call z = x / {tau}. First the way from y to z, then the way from z to x.",
               "From y to z it is softmax's own backward: y * (dy - sum(dy * y)).",
               f"z = x / {tau}, so dx is dz divided by {tau}. keepdims=True in the sum."))


def sloped_attention(r):
    forward, backward, backward_mistakes, forward_mistakes = of.sloped_attention(r)

    def arguments(draw):
        B, H, T, D = draw.whole(1, 3), draw.whole(1, 3), draw.whole(2, 5), draw.whole(1, 4)
        S = T if draw.choice(False, False, True) else draw.whole(2, 6)
        q, k, v = draw.array(B, H, T, D), draw.array(B, H, S, D), draw.array(B, H, S, D)
        slopes = draw.array(H) * draw.choice(1.0, 0.5)
        return tuple(build.as_it_may_lie(draw, a) for a in (q, k, v, slopes)), {"B": B, "H": H, "T": T, "S": S, "D": D}

    def inputs(draw):
        args, sizes = arguments(draw)
        return backward_call(forward, draw, *args, sizes=sizes)

    def forward_inputs(draw):
        args, sizes = arguments(draw)
        return forward_call(forward, *args, sizes=sizes)

    def steps(dy, cache):
        q, k, v, slopes, P = cache
        dP = dy @ v.swapaxes(-1, -2)
        return [Step("dP", gradient=dP, called=("dweights", "dprobs", "da"), label="of the shares P"),
                Step("dscores", gradient=of.through_softmax(P, dP), called=("ds", "dlogits", "dz"), label="of the scores")]

    formula = (f"scores = q k^T / sqrt(D) - {r} slope_h |t - s| for query t and key s of head h, both counted from 0; P = "
               "softmax(scores) over the keys, y = P v. There is no mask")
    shapes = "q and y are (B, H, T, D), k and v (B, H, S, D), slopes (H,), one number for each head"
    return [
        variant("sloped_attention.forward", "def forward(q, k, v, "
                                            "slopes):", "Return y, shaped like q. A cache may come with it: (y, cache).",
                ("y",), f"Your variant of attention prefers what is near: {formula}. {shapes}. Write the forward. Return y (and "
                        "a cache, if you like: it is not looked at).",
                forward, forward_inputs, minutes=20, notebook="07_attention", mistakes=forward_mistakes,
                others=friends(lambda *own: of.sloped_attention(*own)[0], "the factor {} before the slopes", slope=r),
                hints=("np.arange(T)[:, None] - np.arange(S) has the distances t - s, (T, S).",
                       "slopes[:, None, None] * distance is (H, T, S), and lies against scores (B, H, T, S).",
                       "The bias comes after the division by sqrt(D) and before the softmax over the last axis.")),
        variant("sloped_attention.backward", "def backward(dy, "
                                             "cache):", "Return dq, dk, dv, dslopes, shaped like q, k, v, slopes.",
                ("dq", "dk", "dv", "dslopes"),
                f"Your variant of attention prefers what is near: {formula}. {shapes}. The slopes are learned. The cache is (q, "
                "k, v, slopes, P), P (B, H, T, S). Write the backward.",
                backward, inputs, level=3, minutes=45, notebook="07_attention", mistakes=backward_mistakes,
                others=friends(lambda *own: of.sloped_attention(*own)[1], "the factor {} before the "
                                                                          "slopes", slope=r), steps=steps,
                hints=("y = P v gives dv and dP; then softmax's backward gives dscores; then the scores' own sum is taken apart.",
                       "dscores = P * (dP - (dP * P).sum(axis=-1, keepdims=True)).",
                       f"The scores hold slope_h with the factor -{r} |t - s|, in every sequence and for every pair (t, s).",
                       f"dslopes = -{r} * (dscores * distance).sum(axis=(0, 2, 3)); dq = dscores @ k / sqrt(D).")),
    ]


def smoothed_loss(s, zeta):
    forward, backward, backward_mistakes, forward_mistakes = of_loss.smoothed_loss(s, zeta)

    def arguments(draw):
        shape, V = build.axes_before(draw), draw.whole(2, 7)
        shape = shape or (draw.whole(1, 4),)
        logits = build.as_it_may_lie(draw, draw.array(*shape, V, scale=1.5) + draw.choice(0.0, 2.0, -3.0))
        targets = np.where(draw.booleans(*shape, share=0.75), draw.ids(shape, V), of_loss.IGNORED)
        return (logits, targets), {"V": V, "N": targets.size, "M": int((targets != of_loss.IGNORED).sum())}

    def inputs(draw):
        args, sizes = arguments(draw)
        return backward_call(forward, draw, *args, sizes=sizes)

    def forward_inputs(draw):
        args, sizes = arguments(draw)
        return forward_call(forward, *args, sizes=sizes)

    formula = (f"each target that counts costs sum_v q_v (lse - z_v) + {zeta} lse^2, where z are its V logits, lse = ln sum_v "
               f"exp(z_v), and q is {1 - s:.3g} + {s} / V at the target and {s} / V elsewhere (label smoothing with {s}); the "
               "loss is the average over the M targets that count. A target of -100 does not count. If no target counts, the "
               "loss is 0")
    shapes = "logits are (..., V), targets (...) whole numbers"
    return [
        variant("smoothed_loss.forward", "def forward(logits, "
                                         "targets):", "Return the loss, one number. A cache may come with it: (loss, cache).",
                ("loss",), f"Your variant of the cross-entropy smooths its targets and has a price on large logits: {formula}. "
                           f"{shapes}. Write the forward. Return the loss (and a cache, if you like: it is not looked at).",
                forward, forward_inputs, minutes=25, notebook="06_cross_entropy", mistakes=forward_mistakes,
                others=friends(lambda *own: of_loss.smoothed_loss(*own)[0], "smoothing {} and price {}", smoothing=s, zeta=zeta),
                hints=("Take the rows whose target is not -100 first: the rest is a table of M rows and V columns.",
                       "lse = z.max() + ln of the sum of exp(z - z.max()), row by row: the largest is added again, because lse^2 "
                       "needs it.",
                       f"sum_v q_v (lse - z_v) = {1 - s:.3g} (lse - z_target) + {s} (lse - the row's average of z).")),
        variant("smoothed_loss.backward", "def backward(dloss, "
                                          "cache):", "Return dlogits, shaped like logits. dloss is a number.", ("dlogits",),
                f"Your variant of the cross-entropy smooths its targets and has a price on large logits: {formula}. {shapes}. "
                "The cache is (logits, targets). Write the backward; rows that do not count get 0.",
                backward, inputs, minutes=35, notebook="06_cross_entropy", mistakes=backward_mistakes,
                others=friends(lambda *own: of_loss.smoothed_loss(*own)[1], "smoothing {} and price {}", smoothing=s, zeta=zeta),
                hints=("Take one row. The derivative of lse by z_v is p_v, the softmax.",
                       "q adds up to 1, so the first part of the cost is lse - sum_v q_v z_v: its derivative is p_v - q_v.",
                       f"The derivative of {zeta} lse^2 is 2 * {zeta} * lse * p_v.",
                       "dlogits = dloss / M * (p - q + 2 zeta lse p) in the rows that count.")),
    ]


def exercises(constants):
    own = numbers(constants)
    return [tempered_softmax(own["tau"]), *sloped_attention(own["slope"]), *smoothed_loss(own["smoothing"], own["zeta"])]

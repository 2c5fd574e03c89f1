"""Exercises on scores: softmax, which makes shares of them, and cross-entropy, which holds them against what came."""
import numpy as np

from nanolm.grading.exercise import Call, Probe, Term
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import losses, scores
from nanolm.layers import cross_entropy, softmax


# ------------------------------------------------------------------------------------------------ softmax
def softmax_arguments(draw):
    """Return x and an axis: large scores, steep ones, and some of -inf, in any of the axes."""
    shape = (*build.axes_before(draw), draw.whole(1, 6))
    # No steeper: where all shares are 0 or 1 to ten digits, only the gradient's rounding would be compared.
    x = draw.array(*shape, scale=2.0) * draw.choice(1.0, 1.0, 1.5) + draw.choice(0.0, 0.0, 800.0)
    if draw.choice(False, False, True):
        x = np.where(draw.booleans(*shape, share=0.8), x, -np.inf)          # as attention's mask does; maybe a whole row
    return build.as_it_may_lie(draw, x), draw.choice(-1, *range(-len(shape), len(shape)))


def softmax_sizes(x, axis):
    return {"n": x.shape[axis], **{name: n for name, n in build.token_sizes(x).items() if n != x.shape[axis]}}


def softmax_backward(draw):
    x, axis = softmax_arguments(draw)
    return build.backward_call(softmax, draw, x, axis=axis, sizes=softmax_sizes(x, axis))


def softmax_forward(draw):
    x, axis = softmax_arguments(draw)
    return build.forward_call(softmax, x, axis=axis, sizes=softmax_sizes(x, axis))


def softmax_cases():
    yield from build.forward_cases(softmax, lambda shown: softmax_sizes(shown["x"], shown.get("axis", -1)))()
    rng = np.random.default_rng(2)
    low = rng.standard_normal((3, 4)) + np.array([[-900.0], [0.0], [900.0]])
    empty = np.where(rng.random((3, 4)) < 0.6, rng.standard_normal((3, 4)), -np.inf)
    empty[1] = -np.inf
    for title, x in (("rows of very different height", low), ("a row of -inf alone", empty)):
        yield Call((x,), {}, {"x": x}, softmax_sizes(x, -1), title)


def adds_up(function, draw):
    """The shares of a row add up to one."""
    y = function(draw.array(3, 4, scale=2.0))
    total = np.asarray(y[0] if isinstance(y, tuple) else y).sum(axis=-1)
    worst = float(total[np.argmax(np.abs(total - 1))])
    return abs(worst - 1) < 1e-12 or (f"The shares of a row add up to {worst:.8g}, not to 1. (S1) divides by the sum of the "
                                      f"exponentials, to which nothing is added.")


def softmax_terms(dy, cache):
    y, axis = cache
    return {"dx": [Term("own_term", "the first term, y dy, in (S2)", y * dy),
                   Term("average_term", "the second term, -y sum(dy y), in (S2)", -y * (dy * y).sum(axis=axis, keepdims=True))]}


# ------------------------------------------------------------------------------------------------ cross-entropy
def cross_entropy_arguments(draw):
    """Return (logits, targets), options and sizes: repeated and ignored targets, M of N count; label smoothing; large logits."""
    before, V = build.axes_before(draw), draw.whole(2, 7)                   # with one token there is nothing to be surprised by
    logits = draw.array(*before, V, scale=2.0) + draw.choice(0.0, 0.0, 0.0, 900.0)
    targets = np.asarray(draw.ids(before, V))
    spared = draw.choice(-100, -100, -100, 0, None)
    if spared is not None:
        targets = np.where(draw.booleans(*before, share=0.7), targets, spared)
    options = {"ignore_index": spared, "label_smoothing": draw.share(0.0, 0.1, 0.3)}
    return (build.as_it_may_lie(draw, logits), targets), options, cross_entropy_sizes(logits, targets, spared)


def cross_entropy_sizes(logits, targets, ignore_index=-100):
    M = int(np.sum(targets != ignore_index)) if ignore_index is not None else targets.size
    names = {"V": logits.shape[-1], "N": targets.size, "M": M}
    return {**names, **dict(zip("TB", reversed(targets.shape)))} if M else names


def cross_entropy_backward(draw):
    args, options, sizes = cross_entropy_arguments(draw)
    return build.backward_call(cross_entropy, draw, *args, **options, sizes=sizes)


def cross_entropy_forward(draw):
    args, options, sizes = cross_entropy_arguments(draw)
    return build.forward_call(cross_entropy, *args, **options, sizes=sizes)


def sizes_of(shown):
    return cross_entropy_sizes(shown["logits"], shown["targets"], shown.get("ignore_index", -100))


def cross_entropy_terms(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V, scale = logits.shape[-1], float(dloss) / max(len(rows), 1)
    z = logits.reshape(-1, V)
    p, one_hot, even = (np.zeros_like(z) for _ in range(3))
    p[rows] = softmax.forward(z[rows])[0] * scale
    one_hot[rows, picked] = -(1 - s) * scale
    even[rows] = -s / V * scale
    terms = [Term("shares", "p dloss / M in (C4)", p), Term("target", "the target's part, -(1 - s) dloss / M in (C4),", one_hot)]
    terms += [Term("smoothing", "label smoothing's part, -s / V dloss / M in (C4),", even)] if s else []
    return {"dlogits": [Term(t.name, t.label, t.array.reshape(logits.shape)) for t in terms]}


def cross_entropy_steep():
    """Return cases of gradcheck, and a target that is so improbable that its share underflows to 0."""
    yield from build.forward_cases(cross_entropy, sizes_of)()
    logits, targets = np.array([[0.0, 800.0, 3.0], [1.0, 2.0, 0.5]]), np.array([0, 2])
    yield Call((logits, targets), {}, build.named(build.own(cross_entropy, "forward"), (logits, targets), {}),
               cross_entropy_sizes(logits, targets), "a very improbable target")


def knows_improbable_targets(function, draw):
    """A target that is 800 below has a surprise of 800 nats, not of -ln(some small number)."""
    value = function(np.array([[0.0, 800.0]]), np.array([0]))
    nats = float(value[0] if isinstance(value, tuple) else value)
    if not 5 < nats < 700:                                                  # inf, NaN and other mistakes have their own sentences
        return True
    return (f"A target whose logit lies 800 below the other costs 800 nats; yours says {nats:.4g}, which is "
            f"-ln({np.exp(-nats):.2g}). Is a small number added to p before the logarithm, or p cut from below? Then a model "
            f"that is very wrong is told nothing more. lse(z) - z_target, (C1), needs no such number.")


def exercises(constants):
    return [
        build.backward(softmax, ("dx",), softmax_backward, level=2, minutes=25, notebook="03_softmax",
                       task="Write the backward of softmax, y = exp(x) / sum of exp(x) along one axis. The cache is (y, axis): "
                            "the shares y (...), and the axis along which they add up to one (it may be any, and negative). "
                            "Return dx, shaped like y.",
                       mistakes=scores.SOFTMAX_BACKWARD, terms=softmax_terms,
                       cases=build.backward_cases(softmax, lambda shown: softmax_sizes(shown["x"], shown.get("axis", -1))),
                       hints=("Raise one score x_j. Its own share rises, and all others of the row fall, because they are "
                              "divided by a larger sum.",
                              "dy_i/dx_j = y_i ([i = j] - y_j): multiply by dy_i and sum over i.",
                              "The sum gives y_j dy_j - y_j * (sum over i of dy_i y_i).",
                              "y * (dy - (dy * y).sum(axis=axis, keepdims=True)).")),
        build.forward(softmax, ("y",), softmax_forward, level=1, minutes=15, notebook="03_softmax",
                      task="Write the forward of softmax along one axis: y = exp(x) / sum of exp(x), right for large scores too. "
                           "Some scores may be -inf; their share is 0. A row of -inf alone has shares of 0 everywhere. Return y "
                           "(and a cache, if you like: it is not looked at).",
                      mistakes=scores.SOFTMAX_FORWARD, cases=softmax_cases, probes=(Probe("row_sums", adds_up),),
                      hints=("Subtract the row's largest score before exp: it changes no share, and no exponential can overflow.",
                             "max and sum along the axis, with keepdims=True, so that they broadcast against x.",
                             "-inf - -inf is NaN: where the largest is -inf, subtract 0 in its place (np.where).",
                             "Where the sum is 0, divide by 1: np.where(total == 0, 1, total).")),
        build.backward(cross_entropy, ("dlogits",), cross_entropy_backward, level=2, minutes=30, notebook="06_cross_entropy",
                       task="Write the backward of cross-entropy. dloss is a number. The cache is (logits, log_sum, rows, "
                            "picked, s): logits (..., V); with the axes before V flattened to N rows, log_sum (N, 1) is the "
                            "logarithm of each row's sum of exp(z), where z are its logits minus the largest of them; rows (M,) "
                            "are the numbers of the rows that count, picked (M,) their targets; s is the label smoothing, 0 if "
                            "there is none. The loss is the average over the M rows of sum_v q_v (lse(z) - z_v) with q = 1 - s "
                            "at the target plus s / V everywhere; 0 if M is 0. Return dlogits, shaped like logits: 0 in the rows "
                            "that do not count.",
                       mistakes=losses.CROSS_ENTROPY_BACKWARD, terms=cross_entropy_terms,
                       cases=build.backward_cases(cross_entropy, sizes_of),
                       hints=("For one row: the derivative of lse(z) by z_v is p_v, the softmax. That of -z_target is -1 at the "
                              "target.",
                              "So a row's gradient is p - q, and every row is one of M in the average: dloss / M. If M is 0, "
                              "divide by 1.",
                              "p = exp(z - log_sum[rows]) with z = the rows that count, minus the largest of each.",
                              "p[np.arange(M), picked] -= 1 - s takes one place of each row; then p -= s / V; and dz[rows] = p * "
                              "dloss / M into zeros.")),
        build.forward(cross_entropy, ("loss",), cross_entropy_forward, level=2, minutes=25, notebook="06_cross_entropy",
                      task="Write the forward of cross-entropy: the average of lse(z) - z_target over the targets that count, in "
                           "nats, right for large logits too. logits (..., V), targets (...) whole numbers. Targets equal to "
                           "ignore_index do not count (None: all count); if none counts the loss is 0. With label smoothing s a "
                           "target that counts costs sum_v q_v (lse(z) - z_v), q = 1 - s at the target plus s / V everywhere. "
                           "Return the loss, one number (and a cache, if you like: it is not looked at).",
                      mistakes=losses.CROSS_ENTROPY_FORWARD, cases=cross_entropy_steep,
                      probes=(Probe("number_added_in_logarithm", knows_improbable_targets),),
                      hints=("Flatten the axes before V, and keep the rows whose target counts.",
                             "Subtract each row's largest logit from the whole row first. lse(z) - z_target does not change, and "
                             "exp cannot overflow.",
                             "z[np.arange(M), targets] takes one number of each row.",
                             "With smoothing: (1 - s) * nll + s * (lse - z.mean(axis=-1)). Divide the sum by max(M, 1).")),
    ]

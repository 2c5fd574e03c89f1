"""Exercises on scaled dot-product attention."""
import numpy as np

from nanolm.grading.exercises import build
from nanolm.grading.exercises.probes import ATTENTION
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import attention as mistakes
from nanolm.layers import attention, masks


def mask_for(draw, before, T, S):
    """Return a mask for scores (*before, T, S), of one of the kinds that occur, or None."""
    kind = draw.choice("none", "causal", "holes", "padding", "empty row")
    if kind == "none" or kind == "causal" and S < T:
        return None
    if kind == "causal":
        return masks.causal(T, S).copy()
    if kind == "padding" and before:
        lengths = [draw.whole(1, S) for _ in range(before[0])]
        return masks.padding(lengths, S).reshape(before[0], *(1,) * len(before), S)
    mask = draw.booleans(*before[:1], *(1,) * len(before[1:]), T, S)
    if kind == "empty row":
        mask[..., draw.whole(0, T - 1), :] = False
    return mask


def arguments(draw):
    before = draw.choice((), (draw.whole(1, 3),), (draw.whole(1, 2), draw.whole(1, 3)))
    T, S, D, E = draw.whole(1, 4), draw.whole(1, 5), draw.whole(1, 5), draw.whole(1, 4)
    T = draw.choice(T, T, S, T + 5)                                         # square, and more than 8 rows, now and then
    E = draw.choice(D, E)
    scale = draw.choice(1.0, 1.0, 1.0, 30.0)                                # 30: exp of the scores would overflow
    q, k, v = draw.array(*before, T, D, scale=scale), draw.array(*before, S, D, scale=scale), draw.array(*before, S, E)
    q, k, v = (build.as_it_may_lie(draw, a) for a in (q, k, v))
    kwargs = {"mask": mask_for(draw, before, T, S)}
    if draw.choice(False, False, True):
        kwargs |= {"dropout": draw.share(0.3, 0.5), "rng": draw.generator()}
    sizes = {"D": D, "E": E, "T": T, "S": S, **dict(zip("BH", before))}
    return (q, k, v), kwargs, sizes


def sizes_of(shown):
    """Return the sizes of gradcheck's ready-made cases."""
    q, k, v = shown["q"], shown["k"], shown["v"]
    return {"D": q.shape[-1], "E": v.shape[-1], "T": q.shape[-2], "S": k.shape[-2], **dict(zip("BH", q.shape[:-2]))}


def backward_inputs(draw):
    args, kwargs, sizes = arguments(draw)
    return build.backward_call(attention, draw, *args, **kwargs, sizes=sizes)


def forward_inputs(draw):
    args, kwargs, sizes = arguments(draw)
    return build.forward_call(attention, *args, **kwargs, sizes=sizes)


def forward_cases():
    """Yield a Call for a mask that leaves a query nothing, for scores that overflow, rng without a rate, and very low scores."""
    rng = np.random.default_rng(1)
    n = rng.standard_normal
    mask = rng.random((2, 1, 3, 5)) < 0.6
    mask[1, 0, 2] = False
    yield build.forward_call(attention, n((2, 2, 3, 4)), n((2, 2, 5, 4)), n((2, 2, 5, 3)), mask=mask)
    yield build.forward_call(attention, 40 * n((3, 4)), 40 * n((5, 4)), n((5, 4)))
    yield build.forward_call(attention, n((4, 4)), n((4, 4)), n((4, 4)), mask=masks.causal(4).copy(), rng=rng)
    yield build.forward_call(attention, n((2, 9, 3)), n((2, 12, 3)), n((2, 12, 3)), mask=masks.causal(9, 12).copy(), dropout=0.4)
    # The scores that are allowed lie at -200, and below -1e36: only -inf is below those. They are whole numbers times 2^119, so
    # all is exact.
    q, k = np.array([[1, 2, 0, 1], [2, 1, 1, 0], [1, 1, 1, 1]]), -np.array([[1, 1, 1, 2], [2, 1, 0, 1], [1, 0, 2, 1]])
    for size in (10.0, 2.0**60):
        yield build.forward_call(attention, size * q, size * k, n((3, 4)), mask=masks.causal(3).copy())


def steps(dy, cache):
    """The gradients on the way down, (A4) to (A6)."""
    q, k, v, kept, scale, (P, _), (keep, more) = cache
    allowed = P > 0

    def turned(a):
        return a.swapaxes(-1, -2)

    def from_weights(P):
        return (P if keep is None else P * keep * more) @ v

    def from_scores(s):
        e = np.exp(s - np.where(allowed, s.real, 0).max(axis=-1, keepdims=True)) * allowed
        total = e.sum(axis=-1, keepdims=True)
        return from_weights(e / np.where(total == 0, 1, total))

    products = q @ turned(k)
    return [
        Step("dkept", kept, lambda kept: kept @ v, ("dA", "dweights", "datt", "dattn"), after=()),
        Step("dP", P, from_weights, ("dprobs", "dA", "dweights", "datt", "dattn", "grad_P", "gP")),
        Step("dscores", scale * products, from_scores, ("ds", "dlogits", "dz", "grad_s", "gS")),
        Step("dproducts", products, lambda a: from_scores(scale * a), ("dqk", "dscores", "ds"), label="the gradient of q @ k^T, "
                                                                                                      "before the scale"),
        Step("dq", q, lambda q: from_scores(scale * q @ turned(k)), ("dQ", "grad_q", "gq")),
        Step("dk", k, lambda k: from_scores(scale * q @ turned(k)), ("dK", "grad_k", "gk"), after=("dproducts",)),
        Step("dv", v, lambda v: kept @ v, ("dV", "dvalues", "grad_v", "gv"), after=()),
    ]


def exercises(constants):
    return [
        build.forward(attention, ("y",), forward_inputs, level=2, minutes=30, notebook="07_attention", cases=forward_cases,
                      imports="import numpy as np\n\nfrom nanolm.layers import dropout as dropout_layer, softmax",
                      task="Write the forward of scaled dot-product attention, (A1) to (A3). q is (..., T, D), k (..., S, D), v "
                           "(..., S, E); mask is None or boolean, broadcasts to (..., T, S), and True means may attend. A query "
                           "that may attend to nothing gets zeros. For dropout call dropout_layer.forward(P, dropout, rng) on "
                           "the weights, which returns them and a cache; softmax.forward(scores) does too. Return y (..., T, E) "
                           "(and a cache, if you like: it is not looked at).",
                      mistakes=mistakes.FORWARD, probes=ATTENTION,
                      hints=("scores = q @ k.swapaxes(-1, -2) is (..., T, S): one row for each query. Divide it by sqrt(D).",
                             "Where the mask is False the score becomes -inf, before the softmax: np.where(mask, scores, "
                             "-np.inf).",
                             "softmax.forward(scores) returns (P, cache); a row of -inf alone becomes zeros there, by itself.",
                             "Then P, _ = dropout_layer.forward(P, dropout, rng) and y = P @ v.")),
        build.backward(attention, ("dq", "dk", "dv"), backward_inputs, level=3, minutes=60, notebook="07_attention",
                       cases=build.backward_cases(attention, sizes_of),
                       imports="import numpy as np\n\nfrom nanolm.layers import dropout as dropout_layer, softmax",
                       task="Write the backward of scaled dot-product attention, (A4) to (A6). The cache is (q, k, v, kept, "
                            "scale, c_softmax, c_dropout): q (..., T, D), k (..., S, D), v (..., S, E); kept (..., T, S), the "
                            "weights P after dropout; scale = 1 / sqrt(D); c_softmax = (P, -1), P before dropout; c_dropout = "
                            "(keep, factor), keep boolean (..., T, S) and factor = 1 / (1 - rate), or (None, 1) without dropout. "
                            "softmax.backward(dP, c_softmax) and dropout_layer.backward(d, c_dropout) may be called. Return dq, "
                            "dk, dv, shaped like q, k and v.",
                       mistakes=mistakes.BACKWARD, steps=steps,
                       hints=("Write the forward down in five lines: scores = q @ k^T * scale, P = softmax(scores), kept = "
                              "dropout(P), y = kept @ v. Go through them from the bottom.",
                              "y = kept @ v is a product of two matrices: dkept = dy @ v^T and dv = kept^T @ dy. ^T is "
                              "swapaxes(-1, -2).",
                              "dP = dropout_layer.backward(dkept, c_dropout), then dscores = softmax.backward(dP, c_softmax): P "
                              "(dP - sum(dP P)), summed over the keys.",
                              "The scale comes back as a factor: dscores * scale. No mask is needed: where it forbids, P is 0.",
                              "dq = dscores @ k and dk = dscores^T @ q, with dscores scaled.")),
    ]

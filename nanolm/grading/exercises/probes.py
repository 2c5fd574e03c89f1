"""Properties that an attention must have whatever its numbers are; each is True, or a sentence that says what was seen.

No gradient check can see these: a forward that looks into the future has a backward that agrees with it. A probe changes
what must not matter, and looks; or it takes arguments for which the answer is known without computing.

Tested    tests/grading/test_probes.py.
"""
import math

import numpy as np

from nanolm.grading.exercise import Probe
from nanolm.layers import masks

MOVED = 1e-9


def answer_of(function, *args, **kwargs):
    """Return y of the student's forward, as an array; None where y is no array of numbers. What it raises is not caught."""
    with np.errstate(all="ignore"):
        value = function(*args, **kwargs)
    y = value[0] if isinstance(value, tuple) and value else value
    return y if isinstance(y, np.ndarray) and y.dtype.kind == "f" else None


def moved(before, after):
    """Return by how much the largest entry moved; 0 where one of the two is no answer, or not of the same shape."""
    if before is None or after is None or before.shape != after.shape or np.isnan(before).any() or np.isnan(after).any():
        return 0.0
    return float(np.abs(after - before).max(initial=0))


def changed(a, places):
    """Return a copy of a (..., S, D) with other numbers in the places of the last but one axis."""
    a = a.copy()
    a[..., places, :] = 1.5 - 2 * a[..., places, :]
    return a


# ---------------------------------------------------------------------------------------- attention.forward
def future_leak(function, draw):
    T, t = 5, 3
    q, k, v = (draw.array(2, T, 4) for _ in range(3))
    later = slice(t, T)
    before = answer_of(function, q, k, v, mask=masks.causal(T))
    after = answer_of(function, changed(q, later), changed(k, later), changed(v, later), mask=masks.causal(T))
    if before is None or after is None or before.shape[-2:] != (T, 4) or after.shape != before.shape:
        return True
    by = moved(before[:, :t], after[:, :t])
    return by <= MOVED or (f"It looks into the future: under a causal mask of {T} tokens, tokens {t} and {t + 1} were changed, "
                           f"and an answer before them moved by {by:.3g}. It must not move at all.")


def hidden_keys(function, draw):
    q, k, v = draw.array(2, 1, 3, 4), draw.array(2, 1, 5, 4), draw.array(2, 1, 5, 4)
    mask = masks.padding([3, 3], 5)
    hidden = slice(3, 5)
    by = moved(answer_of(function, q, k, v, mask=mask),
               answer_of(function, q, changed(k, hidden), changed(v, hidden), mask=mask))
    return by <= MOVED or ("Padding is seen: the keys and values behind the text were changed, where the mask is False, and an "
                           f"answer moved by {by:.3g}. It must not move at all.")


def row_sums(function, draw):
    q, k = draw.array(3, 4), draw.array(3, 4)
    y = answer_of(function, q, k, np.ones((3, 2)), mask=masks.causal(3))
    if y is None or y.shape != (3, 2) or np.isnan(y).any() or moved(np.ones((3, 2)), y) <= MOVED:
        return True
    i = int(np.abs(y - 1).max(axis=-1).argmax())
    return ("The weights of a row do not add up to one: with values that are all 1 every answer must be 1, but under a causal "
            f"mask that of query {i} is {y[i, 0]:.4g}.")


def scale_of_scores(function, draw):
    """Two keys, one of them zero: the weights tell the score of the other, and so the scale."""
    D = 4
    q, k = np.ones((1, D)), np.stack([np.full(D, 0.25), np.zeros(D)])       # q . k_0 = 1, q . k_1 = 0
    y = answer_of(function, q, k, np.eye(2, 3))
    if y is None or y.shape != (1, 3) or not (y[0, :2] > 0).all():
        return True
    scale = math.log(y[0, 0] / y[0, 1])
    return abs(scale - 0.5) <= 1e-6 or (f"The scale is wrong: where q . k = 1 and D = {D} the score must be 1 / sqrt({D}) = 0.5, "
                                        f"but by the weights it is {scale:.4g}.")


def empty_row(function, draw):
    mask = np.array([[True, True, False], [False, False, False]])
    y = answer_of(function, draw.array(2, 3), draw.array(3, 3), draw.array(3, 2) + 2, mask=mask)
    if y is None or y.shape != (2, 2) or not y[1].any():
        return True
    return f"A query that may attend to nothing must get zeros, but it gets {np.array2string(y[1], precision=3)}."


ATTENTION = (Probe("future_leak", future_leak), Probe("padding_seen", hidden_keys), Probe("row_sums", row_sums),
             Probe("wrong_scale", scale_of_scores), Probe("empty_row", empty_row))


# ---------------------------------------------------------------------------------------- multihead.forward
def parameters(draw, C):
    return {"c_attn": {"weight": draw.array(C, 3 * C, scale=0.5), "bias": draw.array(3 * C)},
            "c_proj": {"weight": draw.array(C, C, scale=0.5), "bias": draw.array(C)}}


def tokens_leak(function, draw):
    T, t = 5, 3
    x, p = draw.array(2, T, 6), parameters(draw, 6)
    before = answer_of(function, x, p, 3, mask=masks.causal(T))
    after = answer_of(function, changed(x, slice(t, T)), p, 3, mask=masks.causal(T))
    if before is None or after is None or before.shape != x.shape or after.shape != x.shape:
        return True
    by = moved(before[:, :t], after[:, :t])
    return by <= MOVED or (f"It looks into the future: under a causal mask the tokens from {t} on were changed, and an answer "
                           f"before them moved by {by:.3g}. It must not move at all.")


def first_token(function, draw):
    """The first token sees itself alone: its answer is v_0 W_proj + b_proj, whatever the heads do."""
    C = 6
    x, p = draw.array(1, 4, C), parameters(draw, C)
    y = answer_of(function, x, p, 3, mask=masks.causal(4))
    weight, bias = p["c_attn"]["weight"], p["c_attn"]["bias"]
    right = (x[:, 0] @ weight[:, 2 * C:] + bias[2 * C:]) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]
    by = moved(right, None if y is None or y.ndim != 3 else y[:, 0])
    return by <= MOVED or ("Under a causal mask the first token sees itself alone, so its answer must be v_0 W_proj + b_proj; "
                           f"it is off by {by:.3g}. Are tokens and channels mixed where the heads are cut or put together, or is "
                           "v not the last third?")


def tokens_exchanged(function, draw):
    """Without a mask nothing knows the order of the tokens: exchanging two exchanges their answers."""
    x, p = draw.array(1, 4, 6), parameters(draw, 6)
    order = np.array([2, 1, 0, 3])
    before, after = answer_of(function, x, p, 3), answer_of(function, x[:, order], p, 3)
    by = moved(None if before is None or before.ndim != 3 else before[:, order], after)
    return by <= MOVED or ("Without a mask two tokens that change places must change answers too, and nothing else; the answers "
                           f"differ by {by:.3g}. A reshape straight to (B, H, T, D) mixes tokens with channels: reshape to (B, "
                           "T, H, D), then transpose.")


def padding_of_memory(function, draw):
    x, memory, p = draw.array(2, 3, 4), draw.array(2, 5, 4), parameters(draw, 4)
    mask = masks.padding([3, 3], 5)
    by = moved(answer_of(function, x, p, 2, mask=mask, memory=memory),
               answer_of(function, x, p, 2, mask=mask, memory=changed(memory, slice(3, 5))))
    return by <= MOVED or ("Padding is seen: the part of memory behind the text was changed, where the mask is False, and an "
                           f"answer moved by {by:.3g}. It must not move at all.")


MULTIHEAD = (Probe("future_leak", tokens_leak), Probe("first_token", first_token), Probe("tokens_exchanged", tokens_exchanged),
             Probe("padding_seen", padding_of_memory))

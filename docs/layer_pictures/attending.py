"""Pictures of attention, masks and multihead."""
import math

import numpy as np

from layer_pictures import columns
from layer_pictures.columns import Column
from layer_pictures.draw import BACK, FORTH, GREY, INK, Picture
from layer_pictures.first import drawn
from nanolm.layers import attention, linear, masks, multihead, softmax


def attention_picture():
    q, k, v, dy = drawn(17, 3, 2), drawn(18, 4, 2), drawn(19, 4, 2), drawn(20, 3, 2)
    y, cache = attention.forward(q, k, v)
    dq, dk, dv = attention.backward(dy, cache)
    P, c_softmax = softmax.forward(q @ k.T / math.sqrt(2))
    ds = softmax.backward(dy @ v.T, c_softmax)
    picture = Picture("attention", "Attention", "nanolm/layers/attention.py",
                      "Each query (row) weighs all S values; its weights P add up to 1, and its gradients ds therefore to 0.")
    picture.head("s = q k^{T} / √D,     P = softmax(s),     y = P v", "dP = dy v^{T}")
    columns.draw(picture, [
        Column("q", "(T, D)", q, dq, "= ds k / √D", decimals=1, back=2), "·",
        Column("k", "(S, D)", k, dk, "= ds^{T} q / √D", decimals=1, back=2), "→",
        Column("P", "(T, S)", P, ds, "= P (dP − Σ dP P)", label="ds"),
        "@", Column("v", "(S, D)", v, dv, "= P^{T} dy", decimals=1, back=2), "=", Column("y", "(T, D)", y, dy)],
        cell=(96, 42), top=232, road=458, below=566,
        calls=("y, cache = attention.forward(q, k, v)", "dq, dk, dv = attention.backward(dy, cache)"))
    return picture


def masks_picture():
    causal, padding = masks.causal(4), masks.padding([3], 4)
    both = causal & padding[0, 0]
    scores, dP = drawn(21, 4, 4), drawn(22, 4, 4)
    P, cache = softmax.forward(np.where(both, scores, -np.inf))
    ds = softmax.backward(dP, cache)
    picture = Picture("masks", "Masks", "nanolm/layers/masks.py",
                      "Where the mask forbids, P is 0, and so is the gradient ds: the way back needs no mask.")
    picture.head("s = −∞ where not allowed, so P = exp(−∞) / Σ = 0", "ds = P (dP − Σ dP P) = 0")
    for x, name, shape, mask in ((40, "causal(T, S)", "(T, S)", causal), (400, "padding([3], S)", "(B, 1, 1, S)", padding[0, 0]),
                                 (790, "both", "(B, 1, T, S)", both)):
        picture.text(x + 120, 204, name, 30, anchor="middle", bold=True)
        picture.text(x + 120, 238, shape, 28, GREY, "middle")
        picture.array(x, 252, mask, FORTH, (60, 44), name=name.split("(")[0])
    for x, sign in ((340, "&"), (715, "=")):
        picture.text(x, 352, sign, 40, FORTH, "middle", bold=True)
    picture.arrow([(1050, 340), (1138, 340)])
    picture.text(1356, 238, "P (T, S)", 30, anchor="middle", bold=True)
    picture.array(1156, 252, P, FORTH, (100, 44), name="P")
    picture.arrow([(40, 478), (1560, 478)])
    picture.arrow([(1560, 496), (40, 496)], BACK)
    for x, name, values in ((1156, "dP", dP), (560, "ds", ds)):
        picture.text(x + 200, 548, name, 30, BACK, "middle", bold=True)
        picture.array(x, 564, values, BACK, (100, 44), name=name)
    picture.arrow([(1138, 652), (982, 652)], BACK)
    for i, line in enumerate(("1: may attend   ·: may not", "query t: up to its own place", "keys beyond the length: filling")):
        picture.text(40, 612 + 44 * i, line, 30)
    return picture


def multihead_picture():
    T, C, H = 3, 4, 2
    x, dy, small = drawn(23, 1, T, C), drawn(24, 1, T, C), (24, 24)
    p = {"c_attn": {"weight": drawn(25, C, 3 * C), "bias": np.zeros(3 * C)},
         "c_proj": {"weight": drawn(26, C, C), "bias": np.zeros(C)}}
    y, cache = multihead.forward(x, p, H)
    dx, dp = multihead.backward(dy, cache)
    packed, _ = linear.forward(x, **p["c_attn"])
    q, k, v = (multihead.split(part, H) for part in np.split(packed, 3, axis=-1))
    heads, c_heads = attention.forward(q, k, v)
    P, _ = softmax.forward(q @ k.swapaxes(-1, -2) / math.sqrt(C // H))
    _, c_out = linear.forward(multihead.merge(heads), **p["c_proj"])
    dmerged, _, _ = linear.backward(dy, c_out)
    dpacked = np.concatenate([multihead.merge(d) for d in attention.backward(multihead.split(dmerged, H), c_heads)], axis=-1)
    picture = Picture("multihead", "Multi-head attention", "nanolm/layers/multihead.py",
                      "H heads of D = C / H channels look at the same tokens, each with weights P of its own; "
                      "three users of x send three gradients, which add.")
    picture.head("q, k, v = x W_{attn},     y = heads W_{proj}", "dx = dq W_{q}^{T} + dk W_{k}^{T} + dv W_{v}^{T}")
    places = (("x", 40, x[0], dx[0], "(T, C)"), ("W_attn", 180, p["c_attn"]["weight"], dp["c_attn"]["weight"], "(C, 3C)"),
              ("q k v", 510, packed[0], dpacked[0], "(T, 3C)"), ("heads", 1150, multihead.merge(heads)[0], dmerged[0], "(T, C)"),
              ("W_proj", 1308, p["c_proj"]["weight"], dp["c_proj"]["weight"], "(C, C)"), ("y", 1464, y[0], dy[0], "(T, C)"))
    for name, left, values, gradient, shape in places:
        middle, learned = left + values.shape[1] * 12, name.startswith("W")
        picture.text(middle, 256, name, 30, anchor="middle", bold=True)
        picture.text(middle, 290, shape, 28, GREY, "middle")
        picture.array(left, 304, values, FORTH, small, name=name, shown=False, thick=learned)
        picture.text(middle, 618, "dq dk dv" if name == "q k v" else "d" + name, 30, BACK, "middle", bold=True)
        picture.array(left, 634, gradient, BACK, small, name="d" + name, shown=False)
    for h in range(H):
        picture.text(974, 194 + 150 * h, f"head {h}: P (T, S)", 28, anchor="middle", bold=True)
        picture.array(854, 204 + 150 * h, P[0, h], FORTH, (80, 36), name=f"P{h}")
    for start, end in ((140, 176), (474, 506), (1252, 1302), (1410, 1460)):
        picture.arrow([(start, 342), (end, 342)])
    for y in (258, 408):                                            # into each head, and out of it
        picture.arrow([(802, 342), (826, 342), (826, y), (850, y)])
        picture.arrow([(1098, y), (1122, y), (1122, 342), (1146, 342)])
    for start, end in ((1460, 1410), (1302, 1252), (1146, 802), (506, 474), (176, 140)):
        picture.arrow([(start, 682), (end, 682)], BACK)
    for i in range(3):
        for top in (304, 634):
            picture.rect(510 + 96 * i, top, 48, 72, "none", INK, 4)
    picture.text(510, 412, "framed: head 0", 28)
    picture.text(974, 660, "each head by itself", 28, BACK, "middle")
    picture.road(510, "y, cache = multihead.forward(x, p, n_head)", "dx, dp = multihead.backward(dy, cache)")
    return picture

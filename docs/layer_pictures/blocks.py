"""Pictures of residual, mlp, swiglu and block."""
import numpy as np

from layer_pictures import columns, flow
from layer_pictures.columns import Column
from layer_pictures.draw import BACK, EDGE, FORTH, GREY, INK, W, Picture, number
from layer_pictures.first import drawn
from nanolm.layers import block, gelu, layernorm, linear, masks, mlp, multihead, silu, swiglu


def residual_picture():
    x, weight, dy = drawn(40, 1, 3), drawn(41, 3, 3) / 2, drawn(42, 1, 3)
    a, cache = linear.forward(x, weight)
    df, _, _ = linear.backward(dy, cache)
    picture = Picture("residual", "Residual connection", "nanolm/layers/block.py",
                      "Forth, f only adds something to x; back, the gradient also arrives untouched, "
                      "through any number of layers.")
    picture.head("y = x + f(x)", "dx = dy + f.backward(dy)")
    for top, colour, names, values in ((300, FORTH, ("x (T, C)", "f(x)", "y (T, C)"), (x, a, x + a)),
                                       (640, BACK, ("dx", "f.backward(dy)", "dy"), (dy + df, df, dy))):
        forth = colour == FORTH
        for left, name, array, up in ((60, names[0], values[0], 0), (650, names[1], values[1], -70),
                                      (1240, names[2], values[2], 0)):
            picture.text(left + 150, top + up - 12, name, 30, colour, "middle", bold=True)
            picture.array(left, top + up, array, colour, (100, 46), name=name.split()[0])
        for line in ([(366, top + 23), (1072, top + 23)], [(1124, top + 23), (1234, top + 23)],
                     [(500, top + 23), (500, top - 47), (644, top - 47)], [(956, top - 47), (1100, top - 47), (1100, top - 3)]):
            picture.arrow(line if forth else [(W - x, y) for x, y in line], colour)
        flow.plus(picture, 1100 if forth else 500, top + 23, colour)
    picture.text(790, 388, "x itself goes on, unchanged", 28, FORTH, "middle")
    picture.text(790, 728, "dy itself comes back, unchanged", 28, BACK, "middle")
    picture.arrow([(EDGE, 440), (W - EDGE, 440)])
    picture.arrow([(W - EDGE, 458), (EDGE, 458)], BACK)
    return picture


def mlp_picture():
    C, F = 2, 4
    x, dy = drawn(43, 2, C), drawn(44, 2, C)
    p = {"c_fc": {"weight": drawn(45, C, F), "bias": drawn(46, F)}, "c_proj": {"weight": drawn(47, F, C), "bias": drawn(48, C)}}
    y, cache = mlp.forward(x, p)
    dx, _ = mlp.backward(dy, cache)
    u, _ = linear.forward(x, **p["c_fc"])
    h, c_bend = gelu.forward(u)
    _, c_out = linear.forward(h, **p["c_proj"])
    dh, _, _ = linear.backward(dy, c_out)
    picture = Picture("mlp", "MLP", "nanolm/layers/mlp.py",
                      "Widen, bend, narrow, each token alone: two thirds of a block's weights are in these two matrices.")
    picture.head("u = x W_{fc} + b,     h = gelu(u),     y = h W_{proj} + b", "here F = 2 C; in GPT-2 4 C", colour=GREY)
    left = columns.draw(picture, [
        Column("x", "(T, C)", x, dx, "= du W_{fc}^{T}", decimals=1, back=2),
        Column("u", "(T, F)", u, gelu.backward(dh, c_bend), "= dh · gelu′(u)"),
        Column("h", "(T, F)", h, dh, "= dy W_{proj}^{T}"), Column("y", "(T, C)", y, dy)], cell=(92, 44),
        calls=("y, cache = mlp.forward(x, p)", "dx, dp = mlp.backward(dy, cache)"))
    weight(picture, left["x"] + 184, left["u"], "W_fc (C, F)", p["c_fc"]["weight"], 302)
    weight(picture, left["h"] + 368, left["y"], "W_proj (F, C)", p["c_proj"]["weight"], 302)
    picture.text((left["u"] + 368 + left["h"]) / 2, 272, "gelu", 30, FORTH, "middle", bold=True)
    for a, b in ((left["x"] + 184, left["u"]), (left["u"] + 368, left["h"]), (left["h"] + 368, left["y"])):
        picture.arrow([(a + 10, 286), (b - 10, 286)])
        picture.arrow([(b - 10, 622), (a + 10, 622)], BACK)
    picture.formula(800, 772, "dW_{proj} = h^{T} dy,     dW_{fc} = x^{T} du,     the biases: Σ_{t} dy, Σ_{t} du", BACK, "middle")
    return picture


def weight(picture, start, end, name, values, top):
    """Draw a matrix without its numbers, between two columns, beneath the arrow."""
    left = (start + end) / 2 - values.shape[1] * 11
    picture.array(left, top, values, FORTH, (22, 22), name=name.split()[0], shown=False, thick=True)
    picture.text((start + end) / 2, top + 22 * len(values) + 32, name, 28, anchor="middle")


def swiglu_picture():
    C, F = 2, 3
    x, dy = drawn(49, 2, C), drawn(50, 2, C)
    p = {name: {"weight": drawn(seed, *shape)} for name, seed, shape in (("gate_proj", 51, (C, F)), ("up_proj", 52, (C, F)),
                                                                         ("down_proj", 53, (F, C)))}
    y, cache = swiglu.forward(x, p)
    dx, _ = swiglu.backward(dy, cache)
    (g, _), (u, _) = linear.forward(x, **p["gate_proj"]), linear.forward(x, **p["up_proj"])
    a, c_silu = silu.forward(g)
    _, c_out = linear.forward(a * u, **p["down_proj"])
    dh, _, _ = linear.backward(dy, c_out)
    picture = Picture("swiglu", "SwiGLU", "nanolm/layers/swiglu.py",
                      "One view of the token, the gate, opens and closes the channels of another; "
                      "each factor's gradient is scaled by the other.")
    picture.head("g = x W_{gate},     u = x W_{up},     h = silu(g) · u,     y = h W_{down}")
    for top, colour, names, arrays in (
            (208, FORTH, ("x (T, C)", "g (T, F)", "u (T, F)", "h = silu(g) · u", "y (T, C)"), (x, g, u, a * u, y)),
            (556, BACK, ("dx", "dg = dh · u · silu′(g)", "du = dh · silu(g)", "dh = dy W_{down}^{T}", "dy"),
             (dx, silu.backward(dh * u, c_silu), dh * a, dh, dy))):
        gated(picture, top, colour, names, arrays)
    picture.road(474, "y, cache = swiglu.forward(x, p)", "dx, dp = swiglu.backward(dy, cache)")
    picture.formula(1560, 768, "dx = dg W_{gate}^{T} + du W_{up}^{T}", BACK, "end")
    return picture


def gated(picture, top, colour, names, arrays):
    """Draw x, its two views g and u above each other, h and y, and the ways between them."""
    places = ((40, 62), (400, 0), (400, 122), (880, 62), (1368, 62))
    for (left, down), name, values in zip(places, names, arrays):
        at, size = left + values.shape[1] * 48, 36 if "{" in name else 28
        picture.text(at, top + down - (10 if size == 28 else 22), name, size, colour, "middle", bold=size == 28)
        picture.array(left, top + down, values, colour, (96, 38), name=name.split()[0])
    for line in ([(238, top + 100), (318, top + 100), (318, top + 38), (392, top + 38)],
                 [(238, top + 100), (318, top + 100), (318, top + 160), (392, top + 160)],
                 [(694, top + 38), (780, top + 38), (780, top + 100), (872, top + 100)],
                 [(694, top + 160), (780, top + 160), (780, top + 100), (872, top + 100)],
                 [(1174, top + 100), (1360, top + 100)]):
        picture.arrow(line if colour == FORTH else line[::-1], colour)
    if colour == FORTH:
        picture.text(1266, top + 82, "W_down", 28, GREY, "middle")


def block_picture():
    T, C, H = 4, 8, 2
    x, dy, rng = drawn(54, 1, T, C), drawn(55, 1, T, C), np.random.default_rng(56)
    dense = lambda n, m: {"weight": rng.standard_normal((n, m)) / np.sqrt(n), "bias": np.zeros(m)}        # noqa: E731
    norm = {"weight": np.ones(C), "bias": np.zeros(C)}
    p = {"ln_1": norm, "attn": {"c_attn": dense(C, 3 * C), "c_proj": dense(C, C)}, "ln_2": norm,
         "mlp": {"c_fc": dense(C, 4 * C), "c_proj": dense(4 * C, C)}}
    sizes, back = block_steps(x, dy, p, H)
    picture = Picture("block", "Transformer block (pre-norm)", "nanolm/layers/block.py",
                      "Tokens talk (attention), then each thinks alone (MLP); each answer is added to x, "
                      "and back each fork adds two gradients.")
    picture.head("x = x + attn(ln_1(x)),     y = x + mlp(ln_2(x))", "(B, T, C) everywhere", colour=GREY)
    names, at = ("ln_1", "attn", "ln_2", "mlp"), (270, 470, 910, 1110)
    for top, colour, numbers in ((320, FORTH, sizes), (650, BACK, back)):
        forth = colour == FORTH
        for name, left, size in zip(names, at, numbers[1]):
            picture.rect(left, top - 100, 150, 66, "#ffffff", colour, 4, 8)
            picture.text(left + 75, top - 57, name if forth else name, 30, INK, "middle", bold=True)
            picture.text(left + 75, top - 2, number(size), 28, colour, "middle", mono=True)
        flow.highway(picture, top, colour)
        for left, size in zip((40, 740 if forth else 680, 1440), numbers[0]):
            picture.text(left + 60, top + 76, number(size), 28, colour, "middle", mono=True)
    picture.text(40, 234, "x", 40, FORTH, bold=True)
    picture.text(1560, 234, "y", 40, FORTH, "end", bold=True)
    picture.text(40, 564, "dx", 40, BACK, bold=True)
    picture.text(1560, 564, "dy", 40, BACK, "end", bold=True)
    picture.road(456, "numbers: the typical size (rms) of what leaves a box",
                 "and of the gradient that leaves it on the way back")
    return picture


def block_steps(x, dy, p, H):
    """Return the rms of what block.forward has on its way, and of backward's; the two ends must be block's own."""
    rms, mask = (lambda values: float(np.sqrt((values * values).mean()))), masks.causal(x.shape[1])       # noqa: E731
    n1, c1 = layernorm.forward(x, **p["ln_1"])
    a, c2 = multihead.forward(n1, p["attn"], H, mask)
    middle = x + a
    n2, c3 = layernorm.forward(middle, **p["ln_2"])
    m, c4 = mlp.forward(n2, p["mlp"])
    dn2, _ = mlp.backward(dy, c4)
    dm, _, _ = layernorm.backward(dn2, c3)
    dmiddle = dy + dm
    dn1, _ = multihead.backward(dmiddle, c2)
    da, _, _ = layernorm.backward(dn1, c1)
    y, cache = block.forward(x, p, H, mask)
    dx, _ = block.backward(dy, cache)
    assert np.allclose(y, middle + m) and np.allclose(dx, dmiddle + da), "these are not block's steps"
    forth = [rms(v) for v in (x, middle, y)], [rms(v) for v in (n1, a, n2, m)]
    return forth, ([rms(v) for v in (dx, dmiddle, dy)], [rms(v) for v in (da, dn1, dm, dn2)])

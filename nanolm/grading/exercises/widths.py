"""Exercises on the layers that widen and narrow a token's vector: the MLP, SwiGLU, and BERT's pooler."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import gates
from nanolm.grading.mistakes import widths as mistakes
from nanolm.layers import gelu, mlp, pooler, silu, swiglu


def rows_of(draw):
    """Return an x (..., C) and its sizes: one to three axes before the channels now and then, more than 8 rows now and then."""
    C = draw.whole(1, 5)
    before = draw.choice((draw.whole(1, 4),), *[(draw.whole(1, 3), draw.whole(1, 4))] * 2, (3, 4),
                         (draw.whole(1, 2), draw.whole(1, 2), draw.whole(1, 3)))
    x = build.as_it_may_lie(draw, draw.array(*before, C))
    return x, {"C": C, "B": before[0], "N": x.size // C, **({"T": before[1]} if len(before) == 2 else {})}


def sizes_of(shown):
    """Return the sizes of gradcheck's ready-made cases."""
    x = shown["x"]
    F = next((shown[name].shape[1] for name in ("c_fc.weight", "gate_proj.weight") if name in shown), None)
    return {"C": x.shape[-1], "B": x.shape[0], "N": x.size // x.shape[-1], **({"T": x.shape[1]} if x.ndim == 3 else {}),
            **({"F": F} if F else {})}


def dense(draw, n_in, n_out):
    return {"weight": draw.array(n_in, n_out, scale=n_in**-0.5), "bias": draw.array(n_out)}


def mlp_arguments(draw):
    x, sizes = rows_of(draw)
    C, F = sizes["C"], draw.choice(sizes["C"], draw.whole(1, 7))
    p = {"c_fc": dense(draw, C, F), "c_proj": dense(draw, F, C)}
    return (x, p), {"form": draw.share("tanh", "erf", "relu")}, {**sizes, "F": F}


def mlp_backward(draw):
    args, kwargs, sizes = mlp_arguments(draw)
    return build.backward_call(mlp, draw, *args, **kwargs, sizes=sizes)


def mlp_forward(draw):
    args, kwargs, sizes = mlp_arguments(draw)
    return build.forward_call(mlp, *args, **kwargs, sizes=sizes)


def mlp_steps(dy, cache):
    """dh after and before the bend, then dx."""
    form, (x, W_fc, _), c2, (h, W_proj, _) = cache
    shift = c2[0] - x @ W_fc                            # c_fc's bias; not used for relu, where c2 holds h after the bend

    def bent(before):
        return gelu.forward(before, form)[0] @ W_proj if form != "relu" else before * (h > 0) @ W_proj

    before = c2[0] if form != "relu" else h
    return [
        Step("dh", h, lambda a: a @ W_proj, ("dact", "dhidden", "dg", "grad_h"), label="the gradient of h after the bend"),
        Step("dh before the bend", before, bent, ("da", "dz", "dpre", "du", "dh"), label="the gradient of h before the bend"),
        Step("dx", x, lambda x: bent(x @ W_fc + shift if form != "relu" else x @ W_fc)),
    ]


def swiglu_arguments(draw):
    x, sizes = rows_of(draw)
    C, F = sizes["C"], draw.choice(sizes["C"], draw.whole(1, 6))
    x = x * draw.choice(1.0, 1.0, 3.0)
    p = {"gate_proj": {"weight": draw.array(C, F, scale=C**-0.5)}, "up_proj": {"weight": draw.array(C, F, scale=C**-0.5)},
         "down_proj": {"weight": draw.array(F, C, scale=F**-0.5)}}
    return (x, p), {}, {**sizes, "F": F}


def swiglu_backward(draw):
    args, kwargs, sizes = swiglu_arguments(draw)
    return build.backward_call(swiglu, draw, *args, **kwargs, sizes=sizes)


def swiglu_forward(draw):
    args, kwargs, sizes = swiglu_arguments(draw)
    return build.forward_call(swiglu, *args, **kwargs, sizes=sizes)


def swiglu_terms(dy, cache):
    """dx is the sum of two ways, (W2)."""
    a, u, (_, W_gate, _), (_, W_up, _), c_silu, (_, W_down, _) = cache
    dh = dy @ W_down.T
    return {"dx": [Term("gate_way", "the way by the gate, dg @ W_gate^T, (W2)", silu.backward(dh * u, c_silu) @ W_gate.T),
                   Term("up_way", "the way by up, du @ W_up^T, (W2)", (dh * a) @ W_up.T)]}


def swiglu_steps(dy, cache):
    """dh, then the two ways down, (W2), and dx where they meet."""
    a, u, (x, W_gate, _), (_, W_up, _), (g, _), (h, W_down, _) = cache

    def to_y(g, u):
        return silu.forward(g)[0] * u @ W_down
    return [
        Step("dh", h, lambda h: h @ W_down, ("dhidden", "dact", "dprod", "grad_h")),
        Step("da", a, lambda a: a * u @ W_down, ("dsilu", "dgate_act", "grad_a")),
        Step("du", u, lambda u: a * u @ W_down, ("dup", "grad_u"), after=("dh",)),
        Step("dg", g, lambda g: to_y(g, u), ("dgate", "grad_g"), after=("da",)),
        Step("dx by the gate", x, lambda x: to_y(x @ W_gate, u), ("dx_g", "dxg", "dx_gate", "dx1"), after=("dg",)),
        Step("dx by up", x, lambda x: to_y(g, x @ W_up), ("dx_u", "dxu", "dx_up", "dx2"), after=("du",)),
        Step("dx", x, lambda x: to_y(x @ W_gate, x @ W_up), after=("dx by the gate", "dx by up")),
    ]


def pooler_arguments(draw):
    B, T, C = draw.whole(1, 4), draw.whole(1, 4), draw.whole(1, 5)
    T = draw.choice(T, T, B)
    return (build.as_it_may_lie(draw, draw.array(B, T, C)), dense(draw, C, C)), {"B": B, "T": T, "C": C}


def pooler_backward(draw):
    args, sizes = pooler_arguments(draw)
    return build.backward_call(pooler, draw, *args, sizes=sizes)


def pooler_forward(draw):
    args, sizes = pooler_arguments(draw)
    return build.forward_call(pooler, *args, sizes=sizes)


def pooler_steps(dy, cache):
    """dh before the tanh, the first tokens' gradient, and dx, which has zeros beside it."""
    (B, T, C), (first, W, _), (y,) = cache
    h = np.arctanh(np.clip(y, -1 + 1e-15, 1 - 1e-15))
    shift = h - first @ W
    return [
        Step("dh", h, np.tanh, ("dz", "da", "dpre", "dlin")),
        Step("dfirst", first, lambda first: np.tanh(first @ W + shift), ("dx0", "dcls", "dx_0"), label="the gradient of the "
                                                                                                       "first tokens, x[:, 0]"),
        Step("dx", np.repeat(first[:, None], T, axis=1), lambda x: np.tanh(x[:, 0] @ W + shift)),
    ]


LAYERS = "import numpy as np\n\nfrom nanolm.layers import "
FREE = "Return y (and a cache, if you like: it is not looked at)."


def exercises(constants):
    return [*of_mlp(), *of_swiglu(), *of_pooler()]


def of_mlp():
    return [
        build.forward(mlp, ("y",), mlp_forward, level=1, minutes=15, notebook="11_block",
                      imports=LAYERS + "gelu, linear, relu",
                      task="Write the forward of the MLP, (MF1). x is (..., C); p = {\"c_fc\": {\"weight\" (C, F), \"bias\" "
                           "(F,)}, \"c_proj\": {\"weight\" (F, C), \"bias\" (C,)}}; form is \"tanh\" or \"erf\", GELU's, or "
                           "\"relu\". gelu.forward(h, form) and relu.forward(h) may be called. " + FREE,
                      mistakes=mistakes.MLP_FORWARD,
                      hints=("Three steps: widen, bend, narrow.",
                             "h = x @ p[\"c_fc\"][\"weight\"] + p[\"c_fc\"][\"bias\"], then the bend.",
                             "gelu.forward returns (h, cache), and so does relu.forward: take the first.")),
        build.backward(mlp, ("dx", "dp"), mlp_backward, level=2, minutes=25, notebook="11_block",
                      imports=LAYERS + "gelu, linear, relu",
                       task="Write the backward of the MLP, (MF1). The cache is (form, c1, c2, c3): c1 = (x, weight, True), "
                            "linear's of c_fc; c2 is gelu's, or relu's if form is \"relu\"; c3 = (h, weight, True), linear's of "
                            "c_proj. linear.backward, gelu.backward and relu.backward may be called. Return dx, shaped like x, "
                            "and dp, a dict with p's keys: c_fc, c_proj, each with weight and bias.",
                       mistakes=mistakes.MLP_BACKWARD, steps=mlp_steps, cases=build.backward_cases(mlp, sizes_of),
                       hints=("Three backwards, in the reverse order of forward: c_proj, the bend, c_fc.",
                              "dh, dweight, dbias = linear.backward(dy, c3): the first goes on, the other two are c_proj's "
                              "gradients.",
                              "dh = relu.backward(dh, c2) if form == \"relu\" else gelu.backward(dh, c2), then "
                              "linear.backward(dh, c1).")),
    ]


def of_swiglu():
    return [
        build.forward(swiglu, ("y",), swiglu_forward, level=1, minutes=15, notebook="20_after_gpt2",
                      imports=LAYERS + "linear, silu",
                      task="Write the forward of SwiGLU, (W1). x is (..., C); p = {\"gate_proj\": {\"weight\" (C, F)}, "
                           "\"up_proj\": {\"weight\" (C, F)}, \"down_proj\": {\"weight\" (F, C)}}, no biases. silu.forward(g) "
                           "may be called. " + FREE,
                      mistakes=gates.FORWARD,
                      hints=("g = x W_gate and u = x W_up are two views of the same "
                             "token.", "Only g goes through silu: a = silu(g).",
                             "h = a * u, entry by entry, and y = h W_down.")),
        build.backward(swiglu, ("dx", "dp"), swiglu_backward, level=2, minutes=35, notebook="20_after_gpt2",
                       imports=LAYERS + "linear, silu",
                       task="Write the backward of SwiGLU, (W2). The cache is (a, u, c_gate, c_up, c_silu, c_down): a = silu(g) "
                            "and u, both (..., F); c_gate = (x, weight, False) and c_up, linear's; c_silu = (g, s) with s = 1 / "
                            "(1 + exp(-g)); c_down = (a * u, weight, False). linear.backward and silu.backward may be called. "
                            "Return dx, shaped like x, and dp, a dict with p's keys: gate_proj, up_proj, down_proj, each "
                            "{\"weight\"}.",
                       mistakes=gates.BACKWARD, terms=swiglu_terms, steps=swiglu_steps,
                       cases=build.backward_cases(swiglu, sizes_of),
                       hints=("From the bottom: down_proj, the product a * u, silu, then the two matrices that read x.",
                              "linear.backward(dy, c_down) gives dh and down_proj's gradient (and None: there is no bias).",
                              "h = a * u: da = dh * u and du = dh * a. Then dg = silu.backward(da, c_silu).",
                              "x was used twice, by gate and by up: dx is the sum of the two.")),
    ]


def of_pooler():
    return [
        build.forward(pooler, ("y",), pooler_forward, level=1, minutes=10, notebook="18_bert",
                      task="Write the forward of BERT's pooler, (K1): x is (B, T, C), p = {\"weight\" (C, C), \"bias\" (C,)}, y "
                           "(B, C). "
                           + FREE,
                      mistakes=mistakes.POOLER_FORWARD,
                      hints=("Only the first token of each text is read: x[:, "
                             "0].", "h = x[:, 0] @ weight + bias.", "np.tanh of it.")),
        build.backward(pooler, ("dx", "dp"), pooler_backward, level=2, minutes=20, notebook="18_bert",
                       imports=LAYERS + "linear, tanh",
                       task="Write the backward of BERT's pooler, (K1). The cache is (shape, c_dense, c_tanh): shape = (B, T, "
                            "C), x's; c_dense = (x[:, 0], weight, True), linear's; c_tanh = (y,). linear.backward and "
                            "tanh.backward may be called. Return dx (B, T, C) and dp = {\"weight\": (C, C), \"bias\": (C,)}.",
                       mistakes=mistakes.POOLER_BACKWARD, steps=pooler_steps, cases=build.backward_cases(pooler, sizes_of),
                       hints=("From the bottom: y = tanh(h), h = x[:, 0] W + b, and x[:, 0] is a part of x.",
                              "dh = dy * (1 - y * y); linear.backward(dh, c_dense) gives the gradient of x[:, 0], dweight and "
                              "dbias.",
                              "dx = np.zeros(shape), with the first tokens' gradient in dx[:, 0]: nobody read the others.")),
    ]

"""Wrong answers to the exercises on SwiGLU; the labels (W1), (W2) are those of layers/swiglu.py, (Z2) of layers/silu.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.widths import TOTALS, product
from nanolm.layers import gelu, silu


def swiglu_backward(dy, cache, factors="u a", gate="silu", up="nothing", ways_back="both", keys="right", total="sum", down="h",
                    dh="turned", back="dx dp"):
    """swiglu.backward, with a switch wherever people go wrong."""
    a, u, (x, W_gate, _), (_, W_up, _), (g, s), (h, W_down, _) = cache
    dh = {"turned": lambda: dy @ W_down.T, "not turned": lambda: dy @ W_down}[dh]()
    da, du = {"u a": (dh * u, dh * a), "exchanged": (dh * a, dh * u), "u forgotten": (dh, dh * a), "a forgotten": (dh * u, dh),
              "both forgotten": (dh, dh), "g for a": (dh * u, dh * g), "s for a": (dh * u, dh * s), "h for a": (dh * u, dh * h),
              "dy forgotten": (u, a)}[factors]

    def slope(way):
        return {"silu": s * (1 + g * (1 - s)), "skipped": 1.0, "s": s, "logistic": s * (1 - s), "second term": g * s * (1 - s),
                "sign": s * (1 - g * (1 - s)), "a": a, "nothing": 1.0,
                "at a": silu.backward(np.ones_like(a), silu.forward(a)[1])}[way]
    dg, du = da * slope(gate), du * slope(up)
    dx_g, dx_u = dg @ W_gate.T, du @ W_up.T
    dx = {"both": dx_g + dx_u, "gate": dx_g, "up": dx_u, "mean": (dx_g + dx_u) / 2, "difference": dx_u - dx_g,
          "product": dx_g * dx_u, "zero": np.zeros_like(x), "exchanged": dg @ W_up.T + du @ W_gate.T}[ways_back]
    weights = {"gate_proj": product(x, dg, total), "up_proj": product(x, du, total),
               "down_proj": product({"h": h, "a": a, "u": u, "g": g}[down], dy, total)}
    if keys == "exchanged":
        weights["gate_proj"], weights["up_proj"] = weights["up_proj"], weights["gate_proj"]
    elif keys == "before silu":
        weights["gate_proj"] = product(x, da, total)
    elif keys == "same":
        weights["up_proj"] = weights["gate_proj"]
    elif keys == "turned":
        weights = {name: w.T for name, w in weights.items()}
    elif keys == "down turned":
        weights["down_proj"] = weights["down_proj"].T
    dp = {name: {"weight": w} for name, w in weights.items()}
    return {"dp dx": (dp, dx), "skip": (dx + dy, dp)}.get(back, (dx, dp))


BACKWARD = ways(
    swiglu_backward,
    gate_way_forgotten=("The way by the gate is missing in dx: x has two users, gate and up, and their gradients add, (W2).",
                        {"ways_back": "up"}),
    up_way_forgotten=("The way by up is missing in dx: x has two users, gate and up, and their gradients add, (W2).",
                      {"ways_back": "gate"}),
    silu_skipped=("The silu is skipped: a = silu(g), so dg = da silu'(g), silu.backward(da, c_silu), (W2).", {"gate": "skipped"}),
    factors_exchanged=("The two factors are in each other's place: h = a * u, so da = dh * u and du = dh * a, each gets the "
                       "OTHER one, (W2).", {"factors": "exchanged"}),
    u_forgotten=("da lacks the factor u: h = a * u, so da = dh * u, (W2).", {"factors": "u forgotten"}),
    a_forgotten=("du lacks the factor a: h = a * u, so du = dh * a, with a = silu(g), (W2).", {"factors": "a forgotten"}),
    both_factors_forgotten=("h = a * u is taken for a sum: by the product rule da = dh * u and du = dh * a, (W2).",
                            {"factors": "both forgotten"}),
    g_for_a=("du is made with g, before the silu: h = a * u, so du = dh * a, with a = silu(g), (W2).", {"factors": "g for a"}),
    s_for_a=("du is made with the logistic function of g: h = a * u, so du = dh * a, with a = silu(g) = g s, (W2).",
             {"factors": "s for a"}),
    h_for_a=("du is made with h itself: h = a * u, so du = dh * a, without u, (W2).", {"factors": "h for a"}),
    dh_forgotten=("da = u and du = a lack dh: what comes from above is a factor of both, (W2).", {"factors": "dy forgotten"}),
    silu_without_product_rule=("The slope of silu lacks a term: a = g s(g), so it is s + g s (1 - s), (Z2).", {"gate": "s"}),
    silu_as_logistic=("s (1 - s) is the slope of the logistic function; a = g s(g) has s + g s (1 - s), "
                      "(Z2).", {"gate": "logistic"}),
    silu_second_term_alone=("The slope of silu lacks its first term: a = g s(g), so it is s + g s (1 - s), "
                            "(Z2).", {"gate": "second term"}),
    silu_sign=("The slope of silu has a wrong sign inside: it is s (1 + g (1 - s)), (Z2).", {"gate": "sign"}),
    silu_itself=("da is multiplied by silu(g) and not by its slope, s (1 + g (1 - s)), (Z2).", {"gate": "a"}),
    silu_at_its_answer=("The slope of silu is taken at a = silu(g). It is taken where forward took it: at g, "
                        "(Z2).", {"gate": "at a"}),
    silu_on_up=("du goes through silu too: only the gate went through it, (W1).", {"up": "silu"}),
    matrices_exchanged=("dx takes the gate's gradient back through up's matrix, and the other way round: "
                        "dx = dg W_gate^T + du W_up^T, (W2).", {"ways_back": "exchanged"}),
    mean_of_ways=("dx is the mean of the two ways: they add, and nothing is halved, (W2).", {"ways_back": "mean"}),
    difference_of_ways=("dx has the way by the gate with the wrong sign: the two ways add, (W2).", {"ways_back": "difference"}),
    product_of_ways=("dx is the product of the two ways: h is a product, but the gradients of one input that is used twice add, "
                     "(W2).",
                     {"ways_back": "product"}),
    dx_zero=("dx is zero: x was used by gate and by up, dx = dg W_gate^T + du W_up^T, (W2).", {"ways_back": "zero"}),
    gate_and_up_exchanged=("The gradients of gate_proj and up_proj are in each other's place in dp.", {"keys": "exchanged"}),
    gate_weight_before_silu=("gate_proj's weight is made with da. It stands below the silu: x^T @ dg, "
                             "(W2).", {"keys": "before silu"}),
    up_weight_from_gate=("up_proj has the gradient of gate_proj: it is x^T @ du, (W2).", {"keys": "same"}),
    weights_turned=("The gradients of the weights are turned: x^T @ dg and not dg^T @ x, because the weights are (in, out).",
                    {"keys": "turned"}),
    down_turned=("The gradient of down_proj's weight is turned: h^T @ dy and not dy^T @ h, because the weight is (in, out).",
                 {"keys": "down turned"}),
    down_from_a=("down_proj's weight is made with a. Its input was h = a * u: h^T @ dy, (W1).", {"down": "a"}),
    down_from_u=("down_proj's weight is made with u. Its input was h = a * u: h^T @ dy, (W1).", {"down": "u"}),
    down_from_g=("down_proj's weight is made with g. Its input was h = a * u: h^T @ dy, (W1).", {"down": "g"}),
    down_not_turned=("dh = dy @ W_down takes the weight as it is: on the way back it must be turned, dy @ W_down^T. As it is, it "
                     "runs only if F = C.", {"dh": "not turned"}),
    **TOTALS,
    skip_added=("dy is added to dx. That is the residual connection's, in llama_block.backward; this layer has "
                "none.", {"back": "skip"}),
    dp_first=("dp comes first: the order is that of forward's arguments, dx, dp.", {"back": "dp dx"}),
)


def swiglu_forward(x, p, bend="silu", on="gate", joined="product", down="used", skip="no"):
    """swiglu.forward's y, with a switch wherever people go wrong."""
    g, u = x @ p["gate_proj"]["weight"], x @ p["up_proj"]["weight"]

    def bent(z):
        return {"silu": lambda: silu.forward(z)[0], "logistic": lambda: 1 / (1 + np.exp(-z)), "relu": lambda: np.maximum(z, 0),
                "gelu": lambda: gelu.forward(z, "erf")[0], "gelu tanh": lambda: gelu.forward(z, "tanh")[0], "none": lambda: z,
                "tanh": lambda: np.tanh(z), "minus": lambda: z * (1 - 1 / (1 + np.exp(-z)))}[bend]()
    g, u = (bent(g) if on in ("gate", "both") else g), (bent(u) if on in ("up", "both") else u)
    h = {"product": g * u, "sum": g + u, "gate": g, "up": u}[joined]
    h = bent(h) if on == "product" else h
    y = h @ p["down_proj"]["weight"]
    y = bent(y) if on == "answer" else y
    return y + x if skip == "added" else y


FORWARD = ways(
    swiglu_forward,
    silu_on_up=("The silu is on up: it is the gate that goes through it, h = silu(g) * u, (W1).", {"on": "up"}),
    silu_on_both=("Both go through the silu: it is the gate alone, h = silu(g) * u, (W1).", {"on": "both"}),
    silu_on_product=("The silu comes after the product: h = silu(g) * u, not silu(g * u), (W1).", {"on": "product"}),
    silu_on_answer=("The silu is on the answer: h = silu(g) * u, and y = h W_down, (W1).", {"on": "answer"}),
    silu_missing=("There is no silu: h = silu(g) * u, (W1).", {"bend": "none"}),
    logistic_for_silu=("The gate is the logistic function of g (that is GLU): silu(g) is g times it, (W1), "
                       "(Z1).", {"bend": "logistic"}),
    relu_for_silu=("The gate is ReLU of g (that is ReGLU): h = silu(g) * u, (W1).", {"bend": "relu"}),
    gelu_for_silu=("The gate is GELU of g, erf form (that is GeGLU): h = silu(g) * u, (W1).", {"bend": "gelu"}),
    gelu_tanh_for_silu=("The gate is GELU of g, tanh form (that is GeGLU): h = silu(g) * u, (W1).", {"bend": "gelu tanh"}),
    tanh_for_silu=("The gate is tanh of g: h = silu(g) * u, (W1).", {"bend": "tanh"}),
    silu_of_minus=("The exponential has the wrong sign: silu(g) = g / (1 + exp(-g)), (Z1).", {"bend": "minus"}),
    sum_for_product=("The gate and up are added: the gate multiplies, h = silu(g) * u, (W1).", {"joined": "sum"}),
    up_missing=("up is not used: h = silu(g) * u, (W1).", {"joined": "gate"}),
    gate_missing=("The gate is not used: h = silu(g) * u, (W1).", {"joined": "up"}),
    skip_added=("x is added to the answer. That is the residual connection's, in llama_block.forward; this layer has none.",
                {"skip": "added"}),
)

"""Answers to the exercises on SwiGLU, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import gelu, linear, silu


def flat(a):
    return a.reshape(-1, a.shape[-1])


# ---------------------------------------------------------------------------------------- swiglu.forward, right
@right("swiglu.forward")
def gate_times_up(x, p):
    return linear.forward(silu.forward(x @ p["gate_proj"]["weight"])[0] * (x @ p["up_proj"]["weight"]), **p["down_proj"])[0]


@right("swiglu.forward")
def one_wide_matrix(x, p):
    wide = x @ np.concatenate([p["gate_proj"]["weight"], p["up_proj"]["weight"]], axis=1)
    g, u = np.split(wide, 2, axis=-1)
    return np.einsum("...f,fc->...c", g / (1 + np.exp(-g)) * u, p["down_proj"]["weight"]), None


@right("swiglu.forward")
def channel_by_channel(x, p):
    y = 0.0
    for f in range(p["up_proj"]["weight"].shape[1]):
        g, u = x @ p["gate_proj"]["weight"][:, f], x @ p["up_proj"]["weight"][:, f]
        y = y + (g * u / (1 + np.exp(-g)))[..., None] * p["down_proj"]["weight"][f]
    return y


# ---------------------------------------------------------------------------------------- swiglu.forward, wrong
@wrong("swiglu.forward", "silu_on_up")
def the_other_one(x, p):
    u = x @ p["up_proj"]["weight"]
    return (x @ p["gate_proj"]["weight"]) * u / (1 + np.exp(-u)) @ p["down_proj"]["weight"]


@wrong("swiglu.forward", "logistic_for_silu")
def the_older_gate(x, p):
    return (x @ p["up_proj"]["weight"]) / (1 + np.exp(-(x @ p["gate_proj"]["weight"]))) @ p["down_proj"]["weight"]


@wrong("swiglu.forward", "silu_on_product")
def bend_at_the_end(x, p):
    z = np.einsum("...c,cf->...f", x, p["gate_proj"]["weight"]) * np.einsum("...c,cf->...f", x, p["up_proj"]["weight"])
    return silu.forward(z)[0] @ p["down_proj"]["weight"]


@wrong("swiglu.forward", "gelu_tanh_for_silu")
def with_the_bend_of_gpt2(x, p):
    return linear.forward(gelu.forward(x @ p["gate_proj"]["weight"])[0] * (x @ p["up_proj"]["weight"]), **p["down_proj"])[0]


# ---------------------------------------------------------------------------------------- swiglu.backward, right
@right("swiglu.backward")
def by_einsum(dy, cache):
    a, u, (x, gate, _), (_, up, _), c_silu, (h, down, _) = cache
    dh = np.einsum("...c,fc->...f", dy, down)
    dg, du = silu.backward(dh * u, c_silu), dh * a
    return dg @ gate.T + du @ up.T, {"gate_proj": {"weight": flat(x).T @ flat(dg)}, "up_proj": {"weight": flat(x).T @ flat(du)},
                                     "down_proj": {"weight": flat(h).T @ flat(dy)}}


@right("swiglu.backward")
def both_ways_at_once(dy, cache):
    a, u, (x, gate, _), (_, up, _), c_silu, c_down = cache
    dh, dweight_down, _ = linear.backward(dy, c_down)
    wide = np.concatenate([silu.backward(dh * u, c_silu), dh * a], axis=-1)
    dgate, dup = np.split(flat(x).T @ flat(wide), 2, axis=1)
    return wide @ np.concatenate([gate, up], axis=1).T, {"up_proj": {"weight": dup}, "gate_proj": {"weight": dgate},
                                                         "down_proj": {"weight": dweight_down}}


@right("swiglu.backward")
def hidden_channel_by_channel(dy, cache):
    a, u, (x, gate, _), (_, up, _), (g, s), (h, down, _) = cache
    dx, dgate, dup, ddown = np.zeros_like(x), np.zeros_like(gate), np.zeros_like(up), np.zeros_like(down)
    for f in range(gate.shape[1]):
        dh = dy @ down[f]
        du = dh * a[..., f]
        dg = dh * u[..., f] * (s[..., f] + a[..., f] * (1 - s[..., f]))
        dx += dg[..., None] * gate[:, f] + du[..., None] * up[:, f]
        dgate[:, f] = (flat(x) * dg.reshape(-1, 1)).sum(0)
        dup[:, f] = (flat(x) * du.reshape(-1, 1)).sum(0)
        ddown[f] = (flat(dy) * h[..., f].reshape(-1, 1)).sum(0)
    return dx, {"gate_proj": {"weight": dgate}, "up_proj": {"weight": dup}, "down_proj": {"weight": ddown}}


# ---------------------------------------------------------------------------------------- swiglu.backward, wrong
@wrong("swiglu.backward", "factors_exchanged")
def each_its_own(dy, cache):
    a, u, c_gate, c_up, c_silu, c_down = cache
    g, dW3, _ = linear.backward(dy, c_down)
    one, dW1, _ = linear.backward(silu.backward(g * a, c_silu), c_gate)
    two, dW2, _ = linear.backward(g * u, c_up)
    return np.add(one, two), {"gate_proj": {"weight": dW1}, "up_proj": {"weight": dW2}, "down_proj": {"weight": dW3}}


@wrong("swiglu.backward", "gate_way_forgotten")
def second_overwrites_first(dy, cache):
    a, u, (x, gate, _), (_, up, _), (g, s), (h, down, _) = cache
    d = dy @ down.T
    grads = {"down_proj": {"weight": flat(h).T @ flat(dy)}}
    for name, W, one in (("gate_proj", gate, d * u * (s + g * s * (1 - s))), ("up_proj", up, d * a)):
        dx = one @ W.T
        grads[name] = {"weight": flat(x).T @ flat(one)}
    return dx, grads


@wrong("swiglu.backward", "silu_as_logistic")
def slope_of_the_wrong_function(dy, cache):
    a, u, (x, gate, _), (_, up, _), (g, s), c_down = cache
    d, dW3, _ = linear.backward(dy, c_down)
    dg, du = np.multiply(d, u) * (s - s**2), np.multiply(d, a)
    return np.einsum("...f,cf->...c", dg, gate) + np.einsum("...f,cf->...c", du, up), {
        "gate_proj": {"weight": np.einsum("nc,nf->cf", flat(x), flat(dg))},
        "up_proj": {"weight": np.einsum("nc,nf->cf", flat(x), flat(du))},
        "down_proj": {"weight": dW3}}


@wrong("swiglu.backward", "g_for_a", "gate_and_up_exchanged")
def unbent_gate_and_keys_crossed(dy, cache):
    a, u, c_gate, c_up, (g, s), c_down = cache
    d, dW3, _ = linear.backward(dy, c_down)
    one, dW1, _ = linear.backward(silu.backward(d * u, (g, s)), c_gate)
    two, dW2, _ = linear.backward(d * g, c_up)
    return one + two, {"gate_proj": {"weight": dW2}, "up_proj": {"weight": dW1}, "down_proj": {"weight": dW3}}


@wrong("swiglu.backward", "down_from_a")
def without_the_up_factor(dy, cache):
    a, u, (x, gate, _), (_, up, _), c_silu, (_, down, _) = cache
    axes = tuple(range(dy.ndim - 1))
    d = dy @ down.T
    dg, du = silu.backward(d * u, c_silu), d * a
    return dg @ gate.T + du @ up.T, {"down_proj": {"weight": np.tensordot(a, dy, (axes, axes))},
                                     "gate_proj": {"weight": np.tensordot(x, dg, (axes, axes))},
                                     "up_proj": {"weight": np.tensordot(x, du, (axes, axes))}}


@wrong("swiglu.backward", "gate_way_factor", "up_way_factor", "mean_of_ways")
def weighted_by_hand(dy, cache):
    """Not in the catalogue: one of the two ways counts double."""
    a, u, c_gate, c_up, c_silu, c_down = cache
    d, dW3, _ = linear.backward(dy, c_down)
    one, dW1, _ = linear.backward(silu.backward(d * u, c_silu), c_gate)
    two, dW2, _ = linear.backward(d * a, c_up)
    return one + 2 * two, {"gate_proj": {"weight": dW1}, "up_proj": {"weight": dW2}, "down_proj": {"weight": dW3}}

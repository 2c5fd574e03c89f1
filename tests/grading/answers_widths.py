"""Answers to the exercises on the MLP, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong

from nanolm.layers import gelu, linear, relu


def flat(a):
    return a.reshape(-1, a.shape[-1])


# ---------------------------------------------------------------------------------------- mlp.forward, right
@right("mlp.forward")
def three_calls(x, p, form="tanh"):
    h, _ = linear.forward(x, **p["c_fc"])
    h, _ = relu.forward(h) if form == "relu" else gelu.forward(h, form)
    return linear.forward(h, **p["c_proj"])


@right("mlp.forward")
def without_the_library(x, p, form="tanh"):
    z = np.einsum("...c,cf->...f", x, p["c_fc"]["weight"]) + p["c_fc"]["bias"]
    if form == "relu":
        h = z * (z > 0)
    elif form == "tanh":
        h = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    else:
        h = z * np.vectorize(lambda one: 0.5 * math.erfc(-one / math.sqrt(2)))(z)
    return np.einsum("...f,fc->...c", h, p["c_proj"]["weight"]) + p["c_proj"]["bias"], (z, h)


@right("mlp.forward")
def row_by_row(x, p, form="tanh"):
    y = np.empty(x.shape, order="F")
    bend = (lambda z: np.maximum(z, 0)) if form == "relu" else (lambda z: gelu.forward(z, form)[0])
    for n in np.ndindex(x.shape[:-1]):
        y[n] = bend(x[n] @ p["c_fc"]["weight"] + p["c_fc"]["bias"]) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]
    return y


# ---------------------------------------------------------------------------------------- mlp.forward, wrong
@wrong("mlp.forward", "fc_bias_after_bend")
def bias_too_late(x, p, form="tanh"):
    z = x @ p["c_fc"]["weight"]
    z = np.where(z > 0, z, 0) if form == "relu" else gelu.forward(z, form)[0]
    return (z + p["c_fc"]["bias"]) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


@wrong("mlp.forward", "form_always_tanh")
def form_not_handed_on(x, p, form="tanh"):
    h = gelu.forward(x @ p["c_fc"]["weight"] + p["c_fc"]["bias"])[0]
    return linear.forward(h, **p["c_proj"])[0]


@wrong("mlp.forward", "biases_missing")
def two_products(x, p, form="tanh"):
    h = np.einsum("...c,cf->...f", x, p["c_fc"]["weight"])
    h = relu.forward(h)[0] if form == "relu" else gelu.forward(h, form)[0]
    return np.einsum("...f,fc->...c", h, p["c_proj"]["weight"])


@wrong("mlp.forward", "bend_missing")
def one_straight_line(x, p, form="tanh"):
    W = p["c_fc"]["weight"] @ p["c_proj"]["weight"]
    return x @ W + p["c_fc"]["bias"] @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


# ---------------------------------------------------------------------------------------- mlp.backward, right
@right("mlp.backward")
def flattened(dy, cache):
    form, (x, W1, _), c2, (h, W2, _) = cache
    dz = (flat(dy) @ W2.T).reshape(h.shape)
    dz = relu.backward(dz, c2) if form == "relu" else gelu.backward(dz, c2)
    return (flat(dz) @ W1.T).reshape(x.shape), dict(c_fc=dict(weight=flat(x).T @ flat(dz), bias=flat(dz).sum(0)),
                                                    c_proj=dict(weight=flat(h).T @ flat(dy), bias=flat(dy).sum(0)))


@right("mlp.backward")
def one_row_after_another(dy, cache):
    form, (x, W1, _), c2, (h, W2, _) = cache
    dx = np.zeros_like(x)
    dp = {"c_proj": {"bias": np.zeros(W2.shape[1]), "weight": np.zeros_like(W2)}, "c_fc": {"bias": np.zeros(W1.shape[1]),
                                                                                          "weight": np.zeros_like(W1)}}
    slope = relu.backward(np.ones_like(h), c2) if form == "relu" else gelu.backward(np.ones_like(h), c2)
    for n in np.ndindex(x.shape[:-1]):
        dh = W2 @ dy[n]
        dz = dh * slope[n]
        dx[n] = W1 @ dz
        dp["c_proj"]["weight"] += h[n][:, None] * dy[n]
        dp["c_proj"]["bias"] += dy[n]
        dp["c_fc"]["weight"] += np.outer(x[n], dz)
        dp["c_fc"]["bias"] += dz
    return dx, dp


@right("mlp.backward")
def textbook_slopes(dy, cache):
    form, (x, W1, _), c2, (h, W2, _) = cache
    z = c2[0]
    if form == "relu":
        slope = np.sign(z)
    elif form == "tanh":
        k = math.sqrt(2 / math.pi)
        t = np.tanh(k * (z + 0.044715 * z**3))
        slope = 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * k * (1 + 0.134145 * z**2)
    else:
        slope = np.vectorize(lambda u: 0.5 * math.erfc(-u / math.sqrt(2)))(z) + z * np.exp(-z**2 / 2) / math.sqrt(2 * math.pi)
    dz = np.einsum("...c,fc->...f", dy, W2) * slope
    axes = tuple(range(dy.ndim - 1))
    return np.einsum("...f,cf->...c", dz, W1), {
        "c_fc": {"weight": np.tensordot(x, dz, (axes, axes)), "bias": dz.sum(axes)},
        "c_proj": {"weight": np.tensordot(h, dy, (axes, axes)), "bias": dy.sum(axes)}}


# ---------------------------------------------------------------------------------------- mlp.backward, wrong
@wrong("mlp.backward", "bend_skipped")
def two_linear_layers(dy, cache):
    _, c1, _, c3 = cache
    g, dW2, db2 = linear.backward(dy, c3)
    g, dW1, db1 = linear.backward(g, c1)
    return g, {"c_fc": {"weight": dW1, "bias": db1}, "c_proj": {"weight": dW2, "bias": db2}}


@wrong("mlp.backward", "bend_as_relu")
def where_it_is_positive(dy, cache):
    form, (x, W1, _), c2, (h, W2, _) = cache
    g = dy @ W2.T
    g = np.where(c2[0] > 0, g, 0.0)
    return g @ W1.T, {"c_fc": {"weight": flat(x).T @ flat(g), "bias": flat(g).sum(0)},
                      "c_proj": {"weight": flat(h).T @ flat(dy), "bias": flat(dy).sum(0)}}


@wrong("mlp.backward", "fc_weight_before_bend", "bias_mean")
def order_of_two_lines(dy, cache):
    form, (x, W1, _), c2, (h, W2, _) = cache
    g = np.einsum("...c,fc->...f", dy, W2)
    dW1 = np.einsum("nc,nf->cf", flat(x), flat(g))
    g = relu.backward(g, c2) if form == "relu" else gelu.backward(g, c2)
    return g @ W1.T, {"c_fc": {"weight": dW1, "bias": flat(g).mean(0)},
                      "c_proj": {"weight": flat(h).T @ flat(dy), "bias": flat(dy).mean(0)}}


@wrong("mlp.backward", "weights_mean")
def divided_by_the_tokens(dy, cache):
    form, c1, c2, c3 = cache
    n = dy.size / dy.shape[-1]
    g, dW2, db2 = linear.backward(dy, c3)
    g, dW1, db1 = linear.backward(relu.backward(g, c2) if form == "relu" else gelu.backward(g, c2), c1)
    return g, {"c_fc": {"weight": dW1 / n, "bias": db1}, "c_proj": {"weight": dW2 / n, "bias": db2}}


@wrong("mlp.backward", "bend_without_product_rule")
def share_as_a_constant(dy, cache):
    form, c1, c2, c3 = cache
    g, dW2, db2 = linear.backward(dy, c3)
    g = relu.backward(g, c2) if form == "relu" else g * c2[2]
    g, dW1, db1 = linear.backward(g, c1)
    return g, {"c_proj": {"weight": dW2, "bias": db2}, "c_fc": {"weight": dW1, "bias": db1}}


@wrong("mlp.backward", "transposed")
def first_weight_turned(dy, cache):
    """Not in the catalogue: dy^T x for x^T dy, in one of the two."""
    form, c1, c2, c3 = cache
    g, dW2, db2 = linear.backward(dy, c3)
    dx, dW1, db1 = linear.backward(relu.backward(g, c2) if form == "relu" else gelu.backward(g, c2), c1)
    return dx, {"c_fc": {"weight": dW1.T, "bias": db1}, "c_proj": {"weight": dW2, "bias": db2}}

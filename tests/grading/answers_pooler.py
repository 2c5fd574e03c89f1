"""Answers to the exercises on the pooler, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import linear, tanh


# ---------------------------------------------------------------------------------------- pooler.forward, right and wrong
@right("pooler.forward")
def in_one_line(x, p):
    return np.tanh(x[:, 0] @ p["weight"] + p["bias"])


@right("pooler.forward")
def text_by_text(x, p):
    return np.array([tanh.forward(one[0] @ p["weight"] + p["bias"])[0] for one in x]), ()


@right("pooler.forward")
def all_tokens_then_the_first(x, p):
    h = np.einsum("btc,co->bto", x, p["weight"]) + p["bias"]
    e = np.exp(-2 * np.abs(h))
    return (np.sign(h) * (1 - e) / (1 + e))[:, 0, :]


@wrong("pooler.forward", "first_text")
def first_axis_for_second(x, p):
    first = x[0]
    return np.tanh(np.dot(first, p["weight"]) + p["bias"])


@wrong("pooler.forward", "mean_of_tokens")
def averaged(x, p):
    return np.tanh(np.einsum("btc,co->bo", x, p["weight"]) / x.shape[1] + p["bias"])


@wrong("pooler.forward", "weight_turned")
def as_in_another_library(x, p):
    return np.tanh(np.einsum("bi,oi->bo", x[:, 0], p["weight"]) + p["bias"])


# ---------------------------------------------------------------------------------------- pooler.backward, right
@right("pooler.backward")
def one_hot_in_time(dy, cache):
    (B, T, C), (first, W, _), (y,) = cache
    dh = dy - dy * y**2
    return np.einsum("t,bo,io->bti", np.eye(T)[0], dh, W), {"bias": dh.sum(0), "weight": np.einsum("bi,bo->io", first, dh)}


@right("pooler.backward")
def one_text_at_a_time(dy, cache):
    shape, (first, W, _), (y,) = cache
    dx, dW, db = np.zeros(shape), np.zeros_like(W), np.zeros(len(W))
    for b in range(shape[0]):
        dh = dy[b] * (1 - y[b]) * (1 + y[b])
        dx[b, 0] = W @ dh
        dW += np.outer(first[b], dh)
        db += dh
    return dx, {"weight": dW, "bias": db}


@right("pooler.backward")
def zeros_put_behind(dy, cache):
    (B, T, C), c_dense, c_tanh = cache
    dfirst, dW, db = linear.backward(tanh.backward(dy, c_tanh), c_dense)
    return np.concatenate([dfirst[:, None], np.zeros((B, T - 1, C))], axis=1), {"weight": dW, "bias": db}


# ---------------------------------------------------------------------------------------- pooler.backward, wrong
@wrong("pooler.backward", "tanh_as_logistic")
def the_other_s_curve(dy, cache):
    (B, T, C), (first, W, _), (y,) = cache
    g = dy * (y - y * y)
    dx = np.concatenate([(g @ W.T)[:, None], np.zeros((B, T - 1, C))], axis=1)
    return dx, {"weight": np.einsum("bi,bo->io", first, g), "bias": np.einsum("bo->o", g)}


@wrong("pooler.backward", "every_token")
def by_broadcasting(dy, cache):
    (B, T, C), c_dense, c_tanh = cache
    d, dW, db = linear.backward(tanh.backward(dy, c_tanh), c_dense)
    return np.ones((B, T, 1)) * d[:, None, :], {"weight": dW, "bias": db}


@wrong("pooler.backward", "dense_not_turned", "bias_mean")
def square_matrix_and_mean(dy, cache):
    shape, (first, W, _), (y,) = cache
    g = dy * (1 - np.square(y))
    dx = np.zeros(shape)
    for b in range(len(g)):
        dx[b, 0] = g[b] @ W
    return dx, {"weight": first.T @ g, "bias": np.mean(g, axis=0)}


@wrong("pooler.backward", "dx_of_first_token_alone")
def shape_forgotten(dy, cache):
    _, (first, W, _), (y,) = cache
    g = dy * (1 - y**2)
    return np.einsum("bo,io->bi", g, W), {"weight": np.einsum("bi,bo->io", first, g), "bias": g.sum(axis=0)}


@wrong("pooler.backward", "tanh_skipped", "weight_turned")
def straight_through(dy, cache):
    (B, T, C), (first, W, _), _ = cache
    dx = np.zeros((B, T, C))
    dx[:, 0, :] = np.dot(dy, W.T)
    return dx, {"weight": np.dot(dy.T, first), "bias": np.sum(dy, 0)}

"""Answers to the exercise attention.forward, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong

from nanolm.layers import dropout as dropout_layer
from nanolm.layers import softmax


# ---------------------------------------------------------------------------------------- attention.forward, right
@right("attention.forward")
def by_einsum(q, k, v, mask=None, dropout=0.0, rng=None):
    scores = np.einsum("...td,...sd->...ts", q, k) / math.sqrt(q.shape[-1])
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    P, c_softmax = softmax.forward(scores)
    P, c_dropout = dropout_layer.forward(P, dropout, rng)
    return np.einsum("...ts,...se->...te", P, v), (P, c_softmax, c_dropout)


@right("attention.forward")
def with_a_softmax_of_its_own(q, k, v, mask=None, dropout=0.0, rng=None):
    s = np.matmul(q, np.swapaxes(k, -2, -1)) * (1.0 / np.sqrt(k.shape[-1]))
    allowed = np.ones_like(s, dtype=bool) if mask is None else np.broadcast_to(mask, s.shape)
    top = np.max(s, axis=-1, keepdims=True, where=allowed, initial=-1e300)
    e = np.exp(np.minimum(s - top, 0)) * allowed
    Z = e.sum(-1, keepdims=True)
    A = np.divide(e, Z, out=np.zeros_like(e), where=Z > 0)
    if rng is not None and dropout > 0:
        keep = rng.random(A.shape, dtype=np.float32) >= dropout
        A = np.where(keep, A / (1 - dropout), 0)
    return A @ v


@right("attention.forward")
def query_by_query(q, k, v, mask=None, dropout=0.0, rng=None):
    T, S, D = q.shape[-2], k.shape[-2], q.shape[-1]
    P = np.zeros(q.shape[:-1] + (S,))
    allowed = np.broadcast_to(True if mask is None else mask, P.shape)
    for n in np.ndindex(q.shape[:-2]):
        for t in range(T):
            seen = [j for j in range(S) if allowed[n][t, j]]
            scores = [float(q[n][t] @ k[n][j]) / D**0.5 for j in seen]
            if seen:
                e = [math.exp(one - max(scores)) for one in scores]
                P[n][t, seen] = np.array(e) / sum(e)
    P = dropout_layer.forward(P, dropout, rng)[0]
    y = np.zeros(q.shape[:-1] + v.shape[-1:])
    for n in np.ndindex(q.shape[:-2]):
        for t in range(T):
            y[n][t] = sum(P[n][t, j] * v[n][j] for j in range(S))
    return y


# ---------------------------------------------------------------------------------------- attention.forward, wrong
@wrong("attention.forward", "scale_by_D")
def divided_by_the_width(q, k, v, mask=None, dropout=0.0, rng=None):
    s = np.einsum("...td,...sd->...ts", q, k) / q.shape[-1]
    if mask is not None:
        s[~np.broadcast_to(mask, s.shape)] = -np.inf
    return dropout_layer.forward(softmax.forward(s)[0], dropout, rng)[0] @ v


@wrong("attention.forward", "mask_score_zero")
def mask_as_a_factor(q, k, v, mask=None, dropout=0.0, rng=None):
    s = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    s = s if mask is None else s * mask
    A, _ = softmax.forward(s)
    A, _ = dropout_layer.forward(A, dropout, rng)
    return A @ v, (A,)


@wrong("attention.forward", "mask_minus_1e9")
def a_million_for_infinity(q, k, v, mask=None, dropout=0.0, rng=None):
    s = np.matmul(q, k.swapaxes(-1, -2)) / np.sqrt(q.shape[-1])
    if mask is not None:
        s = np.where(mask, s, -1e12)
    e = np.exp(s - s.max(-1, keepdims=True))
    return np.matmul(dropout_layer.forward(e / e.sum(-1, keepdims=True), dropout, rng)[0], v)


@wrong("attention.forward", "mask_after_softmax")
def shares_taken_away(q, k, v, mask=None, dropout=0.0, rng=None):
    w = softmax.forward(np.einsum("...id,...jd->...ij", q, k) * q.shape[-1]**-0.5)[0]
    w = w if mask is None else np.where(mask, w, 0.0)
    return dropout_layer.forward(w, dropout, rng)[0] @ v


@wrong("attention.forward", "overflow")
def exp_as_it_is(q, k, v, mask=None, dropout=0.0, rng=None):
    e = np.exp(np.einsum("...td,...sd->...ts", q, k) / q.shape[-1]**0.5)
    e = e if mask is None else np.where(mask, e, 0.0)
    A = e / np.sum(e, axis=-1, keepdims=True)
    return dropout_layer.forward(A, dropout, rng)[0] @ v


@wrong("attention.forward", "scale_missing", "dropout_forgotten")
def short_and_wrong_twice(q, k, v, mask=None, dropout=0.0, rng=None):
    scores = q @ k.swapaxes(-1, -2)
    return softmax.forward(scores if mask is None else np.where(mask, scores, -np.inf))[0] @ v


@wrong("attention.forward", "future_leak", "padding_seen", "mask_inverted")
def true_means_forbidden(q, k, v, mask=None, dropout=0.0, rng=None):
    s = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    bias = np.zeros_like(s)
    if mask is not None:
        bias[np.broadcast_to(mask, s.shape)] = -np.inf
    return dropout_layer.forward(softmax.forward(s + bias)[0], dropout, rng)[0] @ v


@wrong("attention.forward", "future_leak", "padding_seen")
def a_mask_that_is_too_weak(q, k, v, mask=None, dropout=0.0, rng=None):
    s = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    s = s if mask is None else s - 10.0 * ~mask
    return dropout_layer.forward(softmax.forward(s)[0], dropout, rng)[0] @ v

"""Wrong answers as a hostile tester hands them in: to RMS norm, clipping, AdamW, the linear layer, dropout and multi-head."""
import math

import numpy as np
from collected import built, wrong

from nanolm.layers import attention
from nanolm.training import groups as grouping


# ---------------------------------------------------------------------------------------- rmsnorm.backward
def rms_with(dy, cache, sign, inside):
    x, weight, rstd = cache
    n = x * rstd
    second = n * np.mean((dy * weight if inside else dy) * n, axis=-1, keepdims=True)
    return rstd * (dy * weight + sign * second), np.sum((dy * n).reshape(-1, x.shape[-1]), axis=0)


@wrong("rmsnorm.backward", "length_term_sign")
def plus(dy, cache):
    return rms_with(dy, cache, 1, True)


@wrong("rmsnorm.backward", "dn_times_n_with_dy")
def weight_once(dy, cache):
    return rms_with(dy, cache, -1, False)


@wrong("rmsnorm.backward", "length_term_sign_and_weight")
def plus_and_weight_once(dy, cache):
    return rms_with(dy, cache, 1, False)


@built("group_rms.backward", "dn_times_n_with_dy", wrong=True)
def weight_once_in_groups(numbers):
    g = numbers["group"]

    def backward(dy, cache):
        x, weight, rstd = cache
        r = np.repeat(rstd, g, axis=-1)
        n = x * r
        dx = np.zeros_like(x)
        for start in range(0, x.shape[-1], g):
            here = (..., slice(start, start + g))
            dx[here] = r[here] * (dy[here] * weight[here[1]]
                                  - n[here] * (dy[here] * n[here]).mean(axis=-1, keepdims=True))
        return dx, (dy * n).reshape(-1, x.shape[-1]).sum(axis=0)
    return backward


# ---------------------------------------------------------------------------------------- clipping.clip
@wrong("clipping.clip", "norm_after_returned")
def measures_at_the_end(grads, max_norm):
    norm = clipping_norm(grads)
    if math.isfinite(norm) and norm > max_norm:
        for g in {id(g): g for g in grads.values()}.values():
            np.multiply(g, max_norm / norm, out=g)
    return clipping_norm(grads)


def clipping_norm(grads):
    return float(np.sqrt(sum(np.square(g).sum() for g in {id(g): g for g in grads.values()}.values())))


# ---------------------------------------------------------------------------------------- adamw.step
def adamw_with(decays, betas=None):
    def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
        beta1, beta2 = betas or (beta1, beta2)
        state["t"] += 1
        t = state["t"]
        for name, w in params.items():
            g, group = grads[name], grouping.of(name, groups)
            m, v = state["m." + name], state["v." + name]
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            rate = lr * group.lr
            w -= rate * weight_decay * decays(w, group) * w
            w -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return step


for name, function in (("matrices_decay_always", adamw_with(lambda w, group: w.ndim > 1)),
                       ("vectors_never_decay", adamw_with(lambda w, group: group.decay if w.ndim > 1 else 0.0)),
                       ("betas_ignored", adamw_with(lambda w, group: group.decay, (0.9, 0.999)))):
    function.__name__ = f"adamw_{name}"
    wrong("adamw.step", name)(function)


# ---------------------------------------------------------------------------------------- linear.backward
@wrong("linear.backward", "weight_decay_added")
def decays_too(dy, cache):
    weight = cache[1]
    dx, dweight, dbias = straight(dy, cache)
    return dx, dweight + 0.01 * weight, dbias


def straight(dy, cache):
    x, weight, has_bias = cache
    up = dy.reshape(-1, dy.shape[-1])
    return np.dot(dy, weight.T), np.dot(x.reshape(-1, x.shape[-1]).T, up), up.sum(axis=0) if has_bias else None


@wrong("linear.backward", "relu_in_dx")
def as_if_relu_came_before(dy, cache):
    dx, dweight, dbias = straight(dy, cache)
    return np.where(cache[0] > 0, dx, 0), dweight, dbias


# ---------------------------------------------------------------------------------------- dropout.forward
@wrong("dropout.forward", "one_number_wasted")
def draws_one_too_many(x, rate, rng):
    if rng is None or rate == 0:
        return x, None
    rng.random(1)
    return np.where(rng.random(x.shape, dtype=np.float32) < rate, 0, x) / (1 - rate)


@wrong("dropout.forward", "one_mask_for_all_rows")
def one_row_of_chances(x, rate, rng):
    if rng is None or rate == 0:
        return x
    kept = rng.random(x.shape[-1:], dtype=np.float32) >= rate
    return np.where(kept, x / (1 - rate), 0)


# ---------------------------------------------------------------------------------------- multihead
def heads_of(a, H):
    return [a[..., h * (a.shape[-1] // H):(h + 1) * (a.shape[-1] // H)] for h in range(H)]


@wrong("multihead.forward", "last_head_only")
def overwrites_its_heads(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    C = x.shape[-1]
    weight, bias = p["c_attn"]["weight"], p["c_attn"]["bias"]
    other = x if memory is None else memory
    parts = [a @ weight[:, i * C:(i + 1) * C] + bias[i * C:(i + 1) * C] for i, a in enumerate((x, other, other))]
    q, k, v = (np.stack(heads_of(a, n_head), axis=1) for a in parts)
    answers = attention.forward(q, k, v, mask, dropout, rng)[0]
    for h in range(n_head):
        merged = np.zeros_like(x)
        merged[..., h * (C // n_head):(h + 1) * (C // n_head)] = answers[:, h]
    return merged @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


def multihead_back(dy, cache, order=(0, 1, 2), last=False, early=False):
    _, H, c_attn, c_heads, (merged, W_out, _) = cache
    x, W, _ = c_attn
    C = x.shape[-1]
    dheads = np.stack(heads_of(dy @ W_out.T, H), axis=1)
    pieces = []
    for d in attention.backward(dheads, c_heads):
        if last:
            d = d * (np.arange(H) == H - 1)[:, None, None]
        pieces.append(np.concatenate([d[:, h] for h in range(H)], axis=-1))
    right = np.concatenate(pieces, axis=-1)
    packed = np.concatenate([pieces[i] for i in order], axis=-1)
    flat = packed.reshape(-1, 3 * C)
    dx = (packed if early else right) @ W.T
    return dx, {"c_attn": {"weight": x.reshape(-1, C).T @ flat, "bias": flat.sum(axis=0)},
                "c_proj": {"weight": merged.reshape(-1, C).T @ dy.reshape(-1, C), "bias": dy.sum(axis=(0, 1))}}


ORDERS = {"k_q_v": ((1, 0, 2), "q_and_k_exchanged"), "v_k_q": ((2, 1, 0), "packing_reversed"),
          "k_v_q": ((1, 2, 0), "packing_k_v_q"), "v_q_k": ((2, 0, 1), "packing_v_q_k")}
for written, (order, name) in ORDERS.items():
    for early in (True, False):
        def packs(dy, cache, order=order, early=early):
            return multihead_back(dy, cache, order, early=early)
        packs.__name__ = f"packs_{written}" + "_into_dp_alone" * (not early)
        wrong("multihead.backward", name)(packs)


@wrong("multihead.backward", "last_head_only")
def overwrites_the_heads_gradients(dy, cache):
    return multihead_back(dy, cache, last=True, early=True)

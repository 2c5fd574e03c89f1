"""Answers to the exercise multihead.cross_backward, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import attention, linear
from nanolm.layers import dropout as dropout_layer
from nanolm.layers.multihead import merge, split


# ---------------------------------------------------------------------------------------- cross-attention, right
@right("multihead.cross_backward")
def cross_in_columns(dy, cache):
    _, H, ((x, W_q, _), (memory, W_kv, _)), c_heads, c_out = cache
    C = x.shape[-1]
    dmerged, dW_out, db_out = linear.backward(dy, c_out)
    dq, dk, dv = map(merge, attention.backward(split(dmerged, H), c_heads))
    dW = [np.einsum("btc,bto->co", a, d) for a, d in ((x, dq), (memory, dk), (memory, dv))]
    dp = {"c_attn": {"weight": np.concatenate(dW, 1), "bias": np.concatenate([d.sum((0, 1)) for d in (dq, dk, dv)])},
          "c_proj": {"weight": dW_out, "bias": db_out}}
    return dq @ W_q.T, dk @ W_kv[:, :C].T + dv @ W_kv[:, C:].T, dp


@right("multihead.cross_backward")
def cross_by_linear(dy, cache):
    _, H, (c_q, c_kv), c_heads, c_out = cache
    d, dW_out, db_out = linear.backward(dy, c_out)
    dq, *dkv = (merge(one) for one in attention.backward(split(d, H), c_heads))
    dx, dW_q, db_q = linear.backward(dq, c_q)
    dmemory, dW_kv, db_kv = linear.backward(np.concatenate(dkv, axis=-1), c_kv)
    return [dx, dmemory, {"c_attn": {"weight": np.hstack([dW_q, dW_kv]), "bias": np.hstack([db_q, db_kv])},
                          "c_proj": {"weight": dW_out, "bias": db_out}}]


@right("multihead.cross_backward")
def cross_head_by_head(dy, cache):
    _, H, ((x, W_q, _), (memory, W_kv, _)), (q, k, v, kept, scale, (P, _), c_drop), (merged, W_out, _) = cache
    C = x.shape[-1]
    D = C // H
    dx, dmemory = np.zeros_like(x), np.zeros_like(memory)
    dW, db = np.zeros((C, 3 * C)), np.zeros(3 * C)
    dkept = np.stack([dy @ W_out[h * D:(h + 1) * D].T @ v[:, h].swapaxes(-1, -2) for h in range(H)], axis=1)
    dP = dropout_layer.backward(dkept, c_drop)
    for h in range(H):
        place = slice(h * D, (h + 1) * D)
        ds = P[:, h] * (dP[:, h] - (dP[:, h] * P[:, h]).sum(-1, keepdims=True)) * scale
        dq, dk = ds @ k[:, h], ds.swapaxes(-1, -2) @ q[:, h]
        dv = kept[:, h].swapaxes(-1, -2) @ (dy @ W_out[place].T)
        dx += dq @ W_q[:, place].T
        dmemory += dk @ W_kv[:, :C][:, place].T + dv @ W_kv[:, C:][:, place].T
        for i, (a, d) in enumerate(((x, dq), (memory, dk), (memory, dv))):
            dW[:, i * C:][:, place] = np.einsum("btc,btd->cd", a, d)
            db[i * C:][place] = d.sum((0, 1))
    return dx, dmemory, {"c_proj": {"weight": np.einsum("btc,bto->co", merged, dy), "bias": dy.sum((0, 1))},
                         "c_attn": {"bias": db, "weight": dW}}


# ---------------------------------------------------------------------------------------- cross-attention, wrong
@wrong("multihead.cross_backward", "v_forgotten")
def memory_by_keys_alone(dy, cache):
    _, H, ((x, W_q, _), (memory, W_kv, _)), c_heads, c_out = cache
    C = x.shape[-1]
    g, dW_out, db_out = linear.backward(dy, c_out)
    dq, dk, dv = map(merge, attention.backward(split(g, H), c_heads))
    dW = [np.einsum("btc,bto->co", a, d) for a, d in ((x, dq), (memory, dk), (memory, dv))]
    dp = {"c_attn": {"weight": np.concatenate(dW, 1), "bias": np.concatenate([d.sum((0, 1)) for d in (dq, dk, dv)])},
          "c_proj": {"weight": dW_out, "bias": db_out}}
    return dq @ W_q.T, dk @ W_kv[:, :C].T, dp


@wrong("multihead.cross_backward", "k_and_v_exchanged")
def values_before_keys(dy, cache):
    _, H, (c_q, c_kv), c_heads, c_out = cache
    d, dW_out, db_out = linear.backward(dy, c_out)
    dq, dk, dv = (merge(one) for one in attention.backward(split(d, H), c_heads))
    dx, dW_q, db_q = linear.backward(dq, c_q)
    dmemory, dW_kv, db_kv = linear.backward(np.concatenate([dv, dk], axis=-1), c_kv)
    return dx, dmemory, {"c_attn": {"weight": np.hstack([dW_q, dW_kv]), "bias": np.hstack([db_q, db_kv])},
                         "c_proj": {"weight": dW_out, "bias": db_out}}


@wrong("multihead.cross_backward", "split_strided")
def axes_of_the_reshape(dy, cache):
    _, H, (c_q, c_kv), c_heads, c_out = cache
    d, dW_out, db_out = linear.backward(dy, c_out)
    d = np.stack([d[..., h::H] for h in range(H)], axis=1)
    dq, dk, dv = (merge(one) for one in attention.backward(d, c_heads))
    dx, dW_q, db_q = linear.backward(dq, c_q)
    dmemory, dW_kv, db_kv = linear.backward(np.concatenate([dk, dv], axis=-1), c_kv)
    return dx, dmemory, {"c_attn": {"weight": np.hstack([dW_q, dW_kv]), "bias": np.hstack([db_q, db_kv])},
                         "c_proj": {"weight": dW_out, "bias": db_out}}


@wrong("multihead.cross_backward", "memory_forgotten")
def memory_taken_for_a_constant(dy, cache):
    _, H, (c_q, c_kv), c_heads, (merged, W_out, _) = cache
    dq, dk, dv = (merge(one) for one in attention.backward(split(dy @ W_out.T, H), c_heads))
    dx, dW_q, db_q = linear.backward(dq, c_q)
    _, dW_kv, db_kv = linear.backward(np.concatenate([dk, dv], axis=-1), c_kv)
    return dx, 0 * c_kv[0], {"c_attn": {"weight": np.hstack([dW_q, dW_kv]), "bias": np.hstack([db_q, db_kv])},
                             "c_proj": {"weight": np.einsum("btc,bto->co", merged, dy), "bias": dy.sum((0, 1))}}


@wrong("multihead.cross_backward", "weights_mean_of_tokens", "weights_mean_of_batch", "dmemory_first")
def averaged_and_turned_round(dy, cache):
    _, H, (c_q, c_kv), c_heads, c_out = cache
    d, dW_out, db_out = linear.backward(dy, c_out)
    dq, dk, dv = (merge(one) for one in attention.backward(split(d, H), c_heads))
    dx, dW_q, db_q = linear.backward(dq, c_q)
    dmemory, dW_kv, db_kv = linear.backward(np.concatenate([dk, dv], axis=-1), c_kv)
    B = len(dy)
    return dmemory, dx, {"c_attn": {"weight": np.hstack([dW_q, dW_kv]) / B, "bias": np.hstack([db_q, db_kv])},
                         "c_proj": {"weight": dW_out / B, "bias": db_out}}

"""Answers to the exercises on multi-head attention, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong

from nanolm.layers import attention, linear, softmax
from nanolm.layers import dropout as dropout_layer
from nanolm.layers.multihead import merge, split


# ---------------------------------------------------------------------------------------- multihead.forward, right
@right("multihead.forward")
def by_the_library(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    C = x.shape[-1]
    other = x if memory is None else memory
    W, b = p["c_attn"]["weight"], p["c_attn"]["bias"]
    q = split(x @ W[:, :C] + b[:C], n_head)
    k, v = (split(other @ W[:, i * C:(i + 1) * C] + b[i * C:(i + 1) * C], n_head) for i in (1, 2))
    return linear.forward(merge(attention.forward(q, k, v, mask, dropout, rng)[0]), **p["c_proj"])[0]


@right("multihead.forward")
def head_by_head(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    B, T, C = x.shape
    D, other = C // n_head, x if memory is None else memory
    W, b = p["c_attn"]["weight"], p["c_attn"]["bias"]
    P = []
    for h in range(n_head):
        place = slice(h * D, (h + 1) * D)
        q = x @ W[:, :C][:, place] + b[:C][place]
        k = other @ W[:, C:2 * C][:, place] + b[C:2 * C][place]
        s = np.einsum("btd,bsd->bts", q, k) / math.sqrt(D)
        if mask is not None:
            of_head = np.broadcast_to(mask, (B, n_head, *s.shape[1:]))[:, h]
            s = np.where(of_head, s, -np.inf)
        P.append(softmax.forward(s)[0])
    P = dropout_layer.forward(np.stack(P, axis=1), dropout, rng)[0]
    y = np.zeros_like(x) + p["c_proj"]["bias"]
    for h in range(n_head):
        v = other @ W[:, 2 * C + h * D:2 * C + (h + 1) * D] + b[2 * C + h * D:2 * C + (h + 1) * D]
        y += P[:, h] @ v @ p["c_proj"]["weight"][h * D:(h + 1) * D]
    return y, P


@right("multihead.forward")
def without_moving_an_axis(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    B, T, C = x.shape
    other = x if memory is None else memory
    W = p["c_attn"]["weight"].reshape(C, 3, n_head, -1)
    b = p["c_attn"]["bias"].reshape(3, n_head, -1)
    q = np.einsum("btc,chd->bthd", x, W[:, 0]) + b[0]
    k, v = (np.einsum("bsc,chd->bshd", other, W[:, i]) + b[i] for i in (1, 2))
    s = np.einsum("bthd,bshd->bhts", q, k) * q.shape[-1]**-0.5
    P, _ = softmax.forward(s if mask is None else np.where(mask, s, -np.inf))
    P, _ = dropout_layer.forward(P, dropout, rng)
    return np.einsum("bhts,bshd,hdo->bto", P, v, p["c_proj"]["weight"].reshape(n_head, -1, C)) + p["c_proj"]["bias"]


# ---------------------------------------------------------------------------------------- multihead.forward, wrong
@wrong("multihead.forward", "heads_without_transpose")
def views_everywhere(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    (B, T, C), other = x.shape, x if memory is None else memory
    W, b, S = p["c_attn"]["weight"], p["c_attn"]["bias"], other.shape[1]
    q = (x @ W[:, :C] + b[:C]).reshape(B, n_head, T, -1)
    k = (other @ W[:, C:2 * C] + b[C:2 * C]).reshape(B, n_head, S, -1)
    v = (other @ W[:, 2 * C:] + b[2 * C:]).reshape(B, n_head, S, -1)
    heads, _ = attention.forward(q, k, v, mask, dropout, rng)
    return heads.reshape(B, T, C) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


@wrong("multihead.forward", "v_and_k_exchanged")
def unpacked_in_another_order(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    other = x if memory is None else memory
    W, b = np.split(p["c_attn"]["weight"], 3, axis=1), np.split(p["c_attn"]["bias"], 3)
    q, v, k = (split(a @ w + c, n_head) for a, w, c in zip((x, other, other), W, b))
    return merge(attention.forward(q, k, v, mask, dropout, rng)[0]) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


@wrong("multihead.forward", "scale_by_C")
def root_of_all_channels(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    other, C = x if memory is None else memory, x.shape[-1]
    W, b = np.split(p["c_attn"]["weight"], 3, axis=1), np.split(p["c_attn"]["bias"], 3)
    q, k, v = (split(a @ w + c, n_head) for a, w, c in zip((x, other, other), W, b))
    s = q @ k.swapaxes(-1, -2) / np.sqrt(C)
    A = softmax.forward(s if mask is None else np.where(mask, s, -np.inf))[0]
    return linear.forward(merge(dropout_layer.forward(A, dropout, rng)[0] @ v), **p["c_proj"])[0]


@wrong("multihead.forward", "packed_by_head")
def packed_as_in_another_model(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    (B, T, C), other = x.shape, x if memory is None else memory
    W, b = p["c_attn"]["weight"], p["c_attn"]["bias"]
    mine = (x @ W + b).reshape(B, T, n_head, 3, C // n_head).transpose(3, 0, 2, 1, 4)
    theirs = (other @ W + b).reshape(B, other.shape[1], n_head, 3, C // n_head).transpose(3, 0, 2, 1, 4)
    heads, _ = attention.forward(mine[0], theirs[1], theirs[2], mask, dropout, rng)
    return merge(heads) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]


@wrong("multihead.forward", "mask_missing", "dropout_forgotten")
def arguments_not_handed_on(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    other = x if memory is None else memory
    W, b = np.split(p["c_attn"]["weight"], 3, axis=1), np.split(p["c_attn"]["bias"], 3)
    q, k, v = (split(a @ w + c, n_head) for a, w, c in zip((x, other, other), W, b))
    return linear.forward(merge(attention.forward(q, k, v)[0]), **p["c_proj"])[0]


# ---------------------------------------------------------------------------------------- multihead.backward, right
@right("multihead.backward")
def three_matrices(dy, cache):
    _, H, (x, W, _), c_heads, c_out = cache
    dmerged, dW_out, db_out = linear.backward(dy, c_out)
    C = x.shape[-1]
    ds = [merge(d) for d in attention.backward(split(dmerged, H), c_heads)]
    Ws = [W[:, i * C:(i + 1) * C] for i in range(3)]
    dx = ds[0] @ Ws[0].T + ds[1] @ Ws[1].T + ds[2] @ Ws[2].T
    dW = [np.einsum("btc,bto->co", x, d) for d in ds]
    return dx, {"c_proj": {"bias": db_out, "weight": dW_out},
                "c_attn": {"weight": np.hstack(dW), "bias": np.hstack([d.sum(axis=(0, 1)) for d in ds])}}


@right("multihead.backward")
def all_by_hand(dy, cache):
    _, H, (x, W, _), (q, k, v, kept, scale, (P, _), c_drop), (merged, W_out, _) = cache
    B, T, C = x.shape
    dheads = (dy @ W_out.T).reshape(B, T, H, -1)
    dP = dropout_layer.backward(np.einsum("bthd,bhsd->bhts", dheads, v), c_drop)
    ds = P * (dP - (dP * P).sum(-1, keepdims=True)) * scale
    dqkv = np.empty((B, T, 3, H, C // H))
    dqkv[:, :, 0] = np.einsum("bhts,bhsd->bthd", ds, k)
    dqkv[:, :, 1] = np.einsum("bhts,bhtd->bshd", ds, q)
    dqkv[:, :, 2] = np.einsum("bhts,bthd->bshd", kept, dheads)
    d = dqkv.reshape(-1, 3 * C)
    dp = {"c_attn": {"weight": x.reshape(-1, C).T @ d, "bias": d.sum(0)},
          "c_proj": {"weight": merged.reshape(-1, C).T @ dy.reshape(-1, C), "bias": dy.sum((0, 1))}}
    return (d @ W.T).reshape(x.shape), dp


@right("multihead.backward")
def sequence_by_sequence(dy, cache):
    _, H, (x, W, _), c_heads, (merged, W_out, _) = cache
    C = x.shape[-1]
    dW, db, dW_out, db_out, dx = np.zeros_like(W), np.zeros(3 * C), np.zeros_like(W_out), np.zeros(C), []
    dq, dk, dv = attention.backward(split(np.asfortranarray(dy) @ W_out.T, H), c_heads)
    for b in range(len(x)):
        packed = np.concatenate([np.concatenate([d[b, h] for h in range(H)], axis=1) for d in (dq, dk, dv)], axis=1)
        dW += x[b].T @ packed
        db += packed.sum(axis=0)
        dW_out += merged[b].T @ dy[b]
        db_out += dy[b].sum(axis=0)
        dx.append(packed @ W.T)
    return np.array(dx), {"c_attn": {"weight": dW, "bias": db}, "c_proj": {"weight": dW_out, "bias": db_out}}


# ---------------------------------------------------------------------------------------- multihead.backward, wrong
def packed_gradients(dy, cache):
    """dq, dk, dv side by side, and c_proj's gradients: a helper of the wrong answers below."""
    _, H, _, c_heads, c_out = cache
    dmerged, dW_out, db_out = linear.backward(dy, c_out)
    return [merge(d) for d in attention.backward(split(dmerged, H), c_heads)], {"weight": dW_out, "bias": db_out}


@wrong("multihead.backward", "split_without_transpose")
def reshaped_at_once(dy, cache):
    _, H, c_in, c_heads, c_out = cache
    g, dW_out, db_out = linear.backward(dy, c_out)
    B, T, C = g.shape
    g = attention.backward(g.reshape(B, H, T, C // H), c_heads)
    g = np.concatenate([one.transpose(0, 2, 1, 3).reshape(B, T, C) for one in g], axis=2)
    dx, dW, db = linear.backward(g, c_in)
    return dx, {"c_attn": {"weight": dW, "bias": db}, "c_proj": {"weight": dW_out, "bias": db_out}}


@wrong("multihead.backward", "merge_without_transpose")
def flattened_heads(dy, cache):
    _, H, (x, W, _), c_heads, (merged, W_out, _) = cache
    B, T, C = x.shape
    g = np.stack([d.reshape(B, T, C) for d in attention.backward(split(dy @ W_out.T, H), c_heads)], axis=2).reshape(B, T, 3 * C)
    return np.einsum("bto,co->btc", g, W), {"c_attn": {"weight": np.einsum("btc,bto->co", x, g), "bias": g.sum((0, 1))},
                                            "c_proj": {"weight": np.einsum("btc,bto->co", merged, dy), "bias": dy.sum((0, 1))}}


@wrong("multihead.backward", "only_v")
def overwritten_in_the_loop(dy, cache):
    (x, W, _), C = cache[2], dy.shape[-1]
    three, c_proj = packed_gradients(dy, cache)
    dW, db = [], []
    for i, d in enumerate(three):
        dx = d @ W[:, i * C:(i + 1) * C].T
        dW.append(np.tensordot(x, d, axes=((0, 1), (0, 1))))
        db.append(d.sum(axis=(0, 1)))
    return dx, {"c_attn": {"weight": np.hstack(dW), "bias": np.hstack(db)}, "c_proj": c_proj}


@wrong("multihead.backward", "k_and_v_exchanged")
def packed_in_another_order(dy, cache):
    (dq, dk, dv), c_proj = packed_gradients(dy, cache)
    dx, dW, db = linear.backward(np.concatenate((dq, dv, dk), axis=-1), cache[2])
    return dx, {"c_attn": {"weight": dW, "bias": db}, "c_proj": c_proj}


@wrong("multihead.backward", "output_not_turned")
def square_and_so_it_ran(dy, cache):
    _, H, c_in, c_heads, (merged, W_out, _) = cache
    d = np.concatenate([merge(one) for one in attention.backward(split(dy @ W_out, H), c_heads)], axis=-1)
    dx, dW, db = linear.backward(d, c_in)
    C = dy.shape[-1]
    return dx, {"c_attn": {"weight": dW, "bias": db},
                "c_proj": {"weight": merged.reshape(-1, C).T @ dy.reshape(-1, C), "bias": dy.reshape(-1, C).sum(0)}}


@wrong("multihead.backward", "v_forgotten", "bias_mean")
def two_at_once(dy, cache):
    (x, W, _), C = cache[2], dy.shape[-1]
    (dq, dk, dv), c_proj = packed_gradients(dy, cache)
    d = np.concatenate([dq, dk, dv], axis=-1)
    return dq @ W[:, :C].T + dk @ W[:, C:2 * C].T, {"c_attn": {"weight": np.einsum("btc,bto->co", x, d), "bias": d.mean((0, 1))},
                                                    "c_proj": {**c_proj, "bias": dy.mean((0, 1))}}


@wrong("multihead.backward", "weights_last_sequence")
def weights_in_the_loop(dy, cache):
    _, H, (x, W, _), c_heads, (merged, W_out, _) = cache
    d = np.concatenate([merge(one) for one in attention.backward(split(dy @ W_out.T, H), c_heads)], axis=-1)
    for b in range(len(x)):
        dp = {"c_attn": {"weight": x[b].T @ d[b], "bias": d[b].sum(0)},
              "c_proj": {"weight": merged[b].T @ dy[b], "bias": dy[b].sum(0)}}
    return d @ W.T, dp


@wrong("multihead.backward", "scaled_again", "scale_twice")
def scaled_where_it_was_done(dy, cache):
    _, H, c_in, c_heads, c_out = cache
    dmerged, dW_out, db_out = linear.backward(dy, c_out)
    dq, dk, dv = attention.backward(split(dmerged, H), c_heads)
    D = dq.shape[-1]
    dx, dW, db = linear.backward(np.concatenate([merge(dq / D**0.5), merge(dk / D**0.5), merge(dv)], axis=2), c_in)
    return dx, {"c_attn": {"weight": dW, "bias": db}, "c_proj": {"weight": dW_out, "bias": db_out}}


@wrong("multihead.backward", "missing")
def forgot_the_output_layer(dy, cache):
    three, c_proj = packed_gradients(dy, cache)
    dx, dW, db = linear.backward(np.concatenate(three, axis=-1), cache[2])
    return dx, {"c_attn": {"weight": dW, "bias": db}}

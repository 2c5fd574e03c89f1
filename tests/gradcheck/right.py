"""Right backwards, written another way than nanolm's: loops, einsum, full Jacobians, other layouts. All must pass."""
import math

import numpy as np

from nanolm import gradcheck
from nanolm.layers import (attention, block, cross_entropy, dropout, embedding, gelu, layernorm, linear, mlp, multihead,
                           positions, relu, softmax)
from nanolm.models import gpt2

RIGHT = []                               # (layer, forward or None, backward)


def right(layer, forward=None):
    def file(function):
        RIGHT.append((layer, forward, function))
        return function
    return file


@right("linear")
def linear_by_einsum(dy, cache):
    x, weight, has_bias = cache
    rows_x, rows_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return (np.einsum("...o,io->...i", dy, weight), np.einsum("ni,no->io", rows_x, rows_dy),
            np.einsum("no->o", rows_dy) if has_bias else None)


@right("linear")
def linear_row_by_row(dy, cache):
    x, weight, has_bias = cache
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(weight[0])
    for n in np.ndindex(x.shape[:-1]):
        dx[n] = weight @ dy[n]
        dweight += np.outer(x[n], dy[n])
        dbias += dy[n]
    return dx, np.asfortranarray(dweight), dbias if has_bias else None


@right("gelu")
def gelu_by_textbook_formulas(dy, cache):
    x, form, _ = cache
    if form == "tanh":
        k = math.sqrt(2 / math.pi)
        t = np.tanh(k * (x + 0.044715 * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * k * (1 + 0.134145 * x**2))
    Phi = np.vectorize(lambda one: 0.5 * (1 + math.erf(one / math.sqrt(2))))(x).astype(x.dtype)
    return dy * (Phi + x * np.exp(-x**2 / 2) / math.sqrt(2 * math.pi))


@right("gelu")
def gelu_entry_by_entry(dy, cache):
    x, form, share = cache
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        dx[i] = gelu_by_textbook_formulas(dy[i][None], (x[i][None], form, None))[0]
    return dx.T.copy().T                                                     # right values, Fortran order


@right("softmax")
def softmax_by_jacobians(dy, cache):
    y, axis = cache
    y_last, dy_last = np.moveaxis(y, axis, -1), np.moveaxis(dy, axis, -1)
    dx = np.empty_like(y_last)
    for n in np.ndindex(y_last.shape[:-1]):
        dx[n] = (np.diag(y_last[n]) - np.outer(y_last[n], y_last[n])) @ dy_last[n]
    return np.moveaxis(dx, -1, axis)                                         # a view that is not contiguous


@right("softmax")
def softmax_expanded(dy, cache):
    y, axis = cache
    dx = y * dy
    dx -= y * dx.sum(axis=axis, keepdims=True)                               # in place, but into its own array
    return dx


@right("embedding")
def embedding_one_hot(dy, cache):
    ids, V = cache
    return np.eye(V, dtype=dy.dtype)[ids.ravel()].T @ dy.reshape(-1, dy.shape[-1])


@right("embedding")
def embedding_token_by_token(dy, cache):
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    for n in np.ndindex(ids.shape):
        dweight[ids[n]] += dy[n]
    return dweight


@right("positions")
def positions_by_einsum(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    total = np.einsum("ntc->tc", dy.reshape(-1, T, C))
    before, after = np.zeros((offset, C), dy.dtype), np.zeros((rows - offset - T, C), dy.dtype)
    return dy.copy(), np.concatenate([before, total, after])


@right("positions")
def positions_one_by_one(dy, cache):
    rows, offset = cache
    dweight = np.zeros((rows, dy.shape[-1]), dy.dtype)
    for t in range(dy.shape[-2]):
        for n in np.ndindex(dy.shape[:-2]):
            dweight[offset + t] += dy[n][t]
    return dy, dweight


@right("layernorm")
def layernorm_by_jacobians(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros_like(weight)
    for i in np.ndindex(x.shape[:-1]):
        n = (x[i] - mean[i]) * rstd[i]
        J = rstd[i] * (np.eye(C, dtype=x.dtype) - 1 / C - np.outer(n, n) / C)
        dx[i] = J @ (weight * dy[i])
        dweight += dy[i] * n
        dbias += dy[i]
    return dx, dweight, dbias


@right("layernorm")
def layernorm_through_the_graph(dy, cache):
    x, weight, mean, rstd = cache                                            # mean and variance as steps of their own
    C, centred = x.shape[-1], x - mean
    dn = dy * weight
    dvar = (dn * centred).sum(-1, keepdims=True) * rstd**3 * -0.5
    dmean = -(dn * rstd).sum(-1, keepdims=True) + dvar * -2 * centred.mean(-1, keepdims=True)
    axes = tuple(range(x.ndim - 1))
    return dn * rstd + dvar * 2 * centred / C + dmean / C, (dy * centred * rstd).sum(axes), dy.sum(axes)


@right("dropout")
def dropout_by_where(dy, cache):
    keep, scale = cache
    return dy.copy() if keep is None else np.where(keep, dy * scale, 0).astype(dy.dtype)


@right("dropout")
def dropout_by_index(dy, cache):
    keep, scale = cache
    if keep is None:
        return dy
    dx = np.zeros_like(dy)
    dx[keep] = dy[keep] * scale
    return dx


@right("cross_entropy")
def cross_entropy_by_one_hot(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - z.max(axis=-1, keepdims=True) - log_sum)
    q = np.full_like(p, s / V)
    q[rows, picked] += 1 - s
    counts = np.zeros((len(p), 1), p.dtype)
    counts[rows] = 1
    return ((p - q) * counts * (float(dloss) / max(len(rows), 1))).reshape(logits.shape)


@right("cross_entropy")
def cross_entropy_row_by_row(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    dz = np.zeros(logits.shape, logits.dtype)                                # zeros_like might not be contiguous
    flat, V = dz.reshape(-1, logits.shape[-1]), logits.shape[-1]
    for row, target in zip(rows, picked):
        z = logits.reshape(-1, V)[row]
        p, _ = softmax.forward(z)
        p[target] -= 1 - s
        flat[row] = (p - s / V) * (float(dloss) / len(rows))
    return dz


@right("attention")
def attention_by_einsum(dy, cache):
    q, k, v, kept, scale, (P, _), c_dropout = cache
    dP = dropout.backward(np.einsum("...td,...sd->...ts", dy, v), c_dropout)
    ds = P * (dP - np.einsum("...ts,...ts->...t", dP, P)[..., None]) * scale
    return (np.einsum("...ts,...sd->...td", ds, k), np.einsum("...ts,...td->...sd", ds, q),
            np.einsum("...ts,...td->...sd", kept, dy))


@right("attention")
def attention_query_by_query(dy, cache):
    q, k, v, kept, scale, (P, _), (keep, kept_scale) = cache
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for n in np.ndindex(q.shape[:-2]):
        for t in range(q.shape[-2]):
            dP = v[n] @ dy[n][t]
            if keep is not None:
                dP = dP * keep[n][t] * kept_scale
            ds = P[n][t] * (dP - dP @ P[n][t]) * scale
            dq[n][t] = ds @ k[n]
            dk[n] += np.outer(ds, q[n][t])
            dv[n] += np.outer(kept[n][t], dy[n][t])
    return dq, dk, dv


@right("multihead")
def multihead_three_matrices(dy, cache):
    has_memory, n_head, c_in, c_heads, c_out = cache
    dmerged, dweight_o, dbias_o = linear.backward(dy, c_out)
    dq, dk, dv = (multihead.merge(d) for d in attention.backward(multihead.split(dmerged, n_head), c_heads))
    x, weight = c_in[0][:2] if has_memory else c_in[:2]
    source = c_in[1][0] if has_memory else x
    C = x.shape[-1]
    packed = np.concatenate([weight, c_in[1][1]], axis=1) if has_memory else weight
    W = [packed[:, i * C:(i + 1) * C] for i in range(3)]
    dW = [np.einsum("btc,bto->co", a, d) for a, d in ((x, dq), (source, dk), (source, dv))]
    dp = {"c_proj": {"bias": dbias_o, "weight": dweight_o},                   # the order of keys does not matter
          "c_attn": {"weight": np.hstack(dW), "bias": np.hstack([d.sum((0, 1)) for d in (dq, dk, dv)])}}
    dsource = dk @ W[1].T + dv @ W[2].T
    return (dq @ W[0].T, dsource, dp) if has_memory else (dq @ W[0].T + dsource, dp)


@right("multihead")
def multihead_on_another_attention(dy, cache):
    with gradcheck.swap(attention, backward=attention_by_einsum):
        return multihead.backward(dy, cache)


@right("mlp")
def mlp_flattened(dy, cache):
    form, c1, c2, c3 = cache
    dh, dW2, db2 = linear_by_einsum(dy.reshape(-1, dy.shape[-1]), (c3[0].reshape(-1, c3[0].shape[-1]), *c3[1:]))
    dh = (relu if form == "relu" else gelu).backward(dh.reshape(c2[0].shape), c2)
    dx, dW1, db1 = linear_by_einsum(dh, c1)
    return dx, dict(c_fc=dict(weight=dW1, bias=db1), c_proj=dict(weight=dW2, bias=db2))


@right("mlp")
def mlp_on_other_layers(dy, cache):
    with gradcheck.swap(linear, backward=linear_row_by_row), gradcheck.swap(gelu, backward=gelu_entry_by_entry):
        return mlp.backward(dy, cache)


@right("block")
def block_on_other_layers(dy, cache):
    with (gradcheck.swap(layernorm, backward=layernorm_through_the_graph),
          gradcheck.swap(dropout, backward=dropout_by_where)):
        return block.backward(dy, cache)


@right("block")
def block_split_by_linearity(dy, cache):
    a, b = block.backward(0.25 * dy, cache), block.backward(0.75 * dy, cache)

    def add(s, t):
        return {k: add(s[k], t[k]) for k in s} if isinstance(s, dict) else s + t
    return add(a[0], b[0]), add(a[1], b[1])


@right("gpt2")
def gpt2_on_other_layers(cache):
    with (gradcheck.swap(embedding, backward=embedding_one_hot),
          gradcheck.swap(layernorm, backward=layernorm_by_jacobians)):
        return gpt2.backward(cache)


@right("gpt2")
def gpt2_on_another_loss(cache):
    with (gradcheck.swap(cross_entropy, backward=cross_entropy_by_one_hot),
          gradcheck.swap(positions, backward=positions_by_einsum)):
        return gpt2.backward(cache)

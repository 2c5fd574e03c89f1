"""Answers to the exercises on grouped-query attention, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong

from nanolm.layers import attention, linear, rotary, softmax
from nanolm.layers.grouped import shared, summed
from nanolm.layers.multihead import merge, split


# ---------------------------------------------------------------------------------------- grouped.forward, right
@right("grouped.forward")
def keys_turned_after_sharing(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    q, k, v = (split(x @ p[name]["weight"], n) for name, n in (("q_proj", n_head), ("k_proj", n_kv_head), ("v_proj", n_kv_head)))
    q, k = (rotary.forward(a, base, offset, scaling)[0] for a in (q, shared(k, n_head)))
    heads = attention.forward(q, k, shared(v, n_head), mask)[0]
    return linear.forward(merge(heads), **p["o_proj"])


@right("grouped.forward")
def groups_as_an_axis(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    B, T, _ = x.shape
    q = rotary.forward(split(x @ p["q_proj"]["weight"], n_head), base, offset, scaling)[0]
    k = rotary.forward(split(x @ p["k_proj"]["weight"], n_kv_head), base, offset, scaling)[0]
    v = split(x @ p["v_proj"]["weight"], n_kv_head)
    D = q.shape[-1]
    q = q.reshape(B, n_kv_head, -1, T, D)
    s = np.einsum("bgutd,bgsd->bguts", q, k).reshape(B, n_head, T, T) / math.sqrt(D)
    P = softmax.forward(s if mask is None else np.where(mask, s, -np.inf))[0].reshape(B, n_kv_head, -1, T, T)
    return np.einsum("bguts,bgsd->btgud", P, v).reshape(B, T, -1) @ p["o_proj"]["weight"]


@right("grouped.forward")
def one_head_at_a_time(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    W_q, W_k, W_v, W_o = (p[f"{name}_proj"]["weight"] for name in "qkvo")
    D, y = W_q.shape[1] // n_head, np.zeros_like(x)
    for h in range(n_head):
        mine = slice(h * D, (h + 1) * D)
        g = h // (n_head // n_kv_head)
        theirs = slice(g * D, (g + 1) * D)
        q, k = (rotary.forward(x @ W, base, offset, scaling)[0] for W in (W_q[:, mine], W_k[:, theirs]))
        allowed = None if mask is None else np.broadcast_to(mask, (len(x), n_head, *x.shape[1:2] * 2))[:, h].copy()
        y += attention.forward(q, k, x @ W_v[:, theirs], allowed)[0] @ W_o[mine]
    return y


# ---------------------------------------------------------------------------------------- grouped.forward, wrong
@wrong("grouped.forward", "groups_interleaved")
def tiled(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    q, k, v = (split(x @ p[name]["weight"], n) for name, n in (("q_proj", n_head), ("k_proj", n_kv_head), ("v_proj", n_kv_head)))
    q, k = (rotary.forward(a, base, offset, scaling)[0] for a in (q, k))
    k, v = (np.concatenate([a] * (n_head // n_kv_head), axis=1) for a in (k, v))
    return merge(attention.forward(q, k, v, mask)[0]) @ p["o_proj"]["weight"]


@wrong("grouped.forward", "rotary_before_split")
def turned_too_early(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    q = rotary.forward(x @ p["q_proj"]["weight"], base, offset, scaling)[0]
    k = rotary.forward(x @ p["k_proj"]["weight"], base, offset, scaling)[0]
    q, k, v = split(q, n_head), split(k, n_kv_head), split(x @ p["v_proj"]["weight"], n_kv_head)
    return linear.forward(merge(attention.forward(q, shared(k, n_head), shared(v, n_head), mask)[0]), **p["o_proj"])[0]


@wrong("grouped.forward", "rotary_on_values")
def all_three_turned(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    q, k, v = (rotary.forward(split(x @ p[name]["weight"], n), base, offset, scaling)[0]
               for name, n in (("q_proj", n_head), ("k_proj", n_kv_head), ("v_proj", n_kv_head)))
    return merge(attention.forward(q, shared(k, n_head), shared(v, n_head), mask)[0]) @ p["o_proj"]["weight"]


@wrong("grouped.forward", "base_ignored", "scaling_ignored")
def two_arguments_lost(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    q, k, v = (split(x @ p[name]["weight"], n) for name, n in (("q_proj", n_head), ("k_proj", n_kv_head), ("v_proj", n_kv_head)))
    q, k = rotary.forward(q, offset=offset)[0], rotary.forward(k, offset=offset)[0]
    return merge(attention.forward(q, shared(k, n_head), shared(v, n_head), mask)[0]) @ p["o_proj"]["weight"]


# ---------------------------------------------------------------------------------------- grouped.backward, right
@right("grouped.backward")
def head_after_head(dy, cache):
    n_head, n_kv_head, (x, W_q, _), (_, W_k, _), (_, W_v, _), c_turn, c_heads, (merged, W_o, _) = cache
    dheads = attention.backward(split(dy @ W_o.T, n_head), c_heads)
    D, users = W_q.shape[1] // n_head, n_head // n_kv_head
    dx, dW = np.zeros_like(x), [np.zeros_like(W) for W in (W_q, W_k, W_v)]
    for h in range(n_head):
        for W, d, one, at, turned in zip((W_q, W_k, W_v), dheads, dW, (h, h // users, h // users), (True, True, False)):
            d = rotary.backward(d[:, h], c_turn) if turned else d[:, h]
            columns = slice(at * D, (at + 1) * D)
            dx += d @ W[:, columns].T
            one[:, columns] += np.einsum("btc,btd->cd", x, d)
    names = ("q_proj", "k_proj", "v_proj")
    return dx, {**{name: {"weight": w} for name, w in zip(names, dW)}, "o_proj": {"weight": np.einsum("btw,btc->wc", merged, dy)}}


@right("grouped.backward")
def turned_before_it_is_summed(dy, cache):
    H, G, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    d, dW_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(split(d, H), c_heads)
    dq, dk = (rotary.backward(one, c_turn) for one in (dq, dk))
    ways = [linear.backward(merge(one), c)[:2] for one, c in ((dq, c_q), (summed(dk, G), c_k), (summed(dv, G), c_v))]
    dx = np.sum([way[0] for way in ways], axis=0)
    return dx, {**{f"{name}_proj": {"weight": way[1]} for name, way in zip("qkv", ways)}, "o_proj": {"weight": dW_o}}


@right("grouped.backward")
def one_wide_product(dy, cache):
    H, G, (x, W_q, _), (_, W_k, _), (_, W_v, _), c_turn, c_heads, (merged, W_o, _) = cache
    B, T, C = x.shape
    heads = (dy @ W_o.T).reshape(B, T, H, -1).swapaxes(1, 2)
    dq, dk, dv = attention.backward(heads, c_heads)
    dk, dv = (a.reshape(B, G, -1, *a.shape[2:]).sum(2) for a in (dk, dv))
    dq, dk = rotary.backward(dq, c_turn), rotary.backward(dk, c_turn)
    wide = np.concatenate([a.swapaxes(1, 2).reshape(B * T, -1) for a in (dq, dk, dv)], 1)
    dW = np.split(x.reshape(-1, C).T @ wide, np.cumsum([W_q.shape[1], W_k.shape[1]]), axis=1)
    dx = wide @ np.concatenate([W_q, W_k, W_v], axis=1).T
    dW_o = merged.reshape(B * T, -1).T @ dy.reshape(B * T, C)
    return dx.reshape(x.shape), {"o_proj": {"weight": dW_o}, "q_proj": {"weight": dW[0]},
                                 "k_proj": {"weight": dW[1]}, "v_proj": {"weight": dW[2]}}


# ---------------------------------------------------------------------------------------- grouped.backward, wrong
def the_rest(dq, dk, dv, dW_o, c_q, c_k, c_v):
    """From the heads' gradients to dx and dp: a helper of the wrong answers below."""
    ways = [linear.backward(merge(d), c) for d, c in ((dq, c_q), (dk, c_k), (dv, c_v))]
    return ways[0][0] + ways[1][0] + ways[2][0], {"q_proj": {"weight": ways[0][1]}, "k_proj": {"weight": ways[1][1]},
                                                  "v_proj": {"weight": ways[2][1]}, "o_proj": {"weight": dW_o}}


@wrong("grouped.backward", "group_interleaved")
def strided_groups(dy, cache):
    H, G, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    d, dW_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(split(d, H), c_heads)
    dk, dv = (np.stack([a[:, g::G].sum(axis=1) for g in range(G)], axis=1) for a in (dk, dv))
    return the_rest(rotary.backward(dq, c_turn), rotary.backward(dk, c_turn), dv, dW_o, c_q, c_k, c_v)


@wrong("grouped.backward", "group_mean")
def mean_of_the_users(dy, cache):
    H, G, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    d, dW_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(split(d, H), c_heads)
    dk, dv = summed(dk, G) / (H // G), summed(dv, G) / (H // G)
    return the_rest(rotary.backward(dq, c_turn), rotary.backward(dk, c_turn), dv, dW_o, c_q, c_k, c_v)


@wrong("grouped.backward", "rotary_forward")
def turned_the_wrong_way(dy, cache):
    H, G, c_q, c_k, c_v, (cos, sin), c_heads, c_o = cache
    d, dW_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(split(d, H), c_heads)

    def turn(a):
        half = a.shape[-1] // 2
        z = (a[..., :half] + 1j * a[..., half:]) * (cos + 1j * sin)
        return np.concatenate([z.real, z.imag], axis=-1)
    return the_rest(turn(dq), turn(summed(dk, G)), summed(dv, G), dW_o, c_q, c_k, c_v)


@wrong("grouped.backward", "rotary_forgotten_for_k", "v_forgotten")
def two_things_forgotten(dy, cache):
    H, G, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    d, dW_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(split(d, H), c_heads)
    dx_q, dW_q, _ = linear.backward(merge(rotary.backward(dq, c_turn)), c_q)
    dx_k, dW_k, _ = linear.backward(merge(summed(dk, G)), c_k)
    _, dW_v, _ = linear.backward(merge(summed(dv, G)), c_v)
    return dx_q + dx_k, {"q_proj": {"weight": dW_q}, "k_proj": {"weight": dW_k}, "v_proj": {"weight": dW_v},
                         "o_proj": {"weight": dW_o}}


@wrong("grouped.backward", "only_q")
def only_the_queries_count(dy, cache):
    H, G, (x, W_q, _), c_k, c_v, c_turn, c_heads, (merged, W_o, _) = cache
    dq, dk, dv = attention.backward(split(dy @ W_o.T, H), c_heads)
    dq, dk, dv = (merge(a) for a in (rotary.backward(dq, c_turn), rotary.backward(summed(dk, G), c_turn), summed(dv, G)))
    dp = {name: {"weight": np.einsum("btc,bto->co", x, d)} for name, d in (("q_proj", dq), ("k_proj", dk), ("v_proj", dv))}
    return np.einsum("bto,co->btc", dq, W_q), {**dp, "o_proj": {"weight": np.einsum("btw,btc->wc", merged, dy)}}

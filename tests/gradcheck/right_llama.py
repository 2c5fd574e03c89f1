"""Right backwards of Llama's layers, written another way than nanolm's. All must pass."""
import numpy as np
from right import right

from nanolm.layers import grouped, linear, multihead, rmsnorm, rotary, silu, swiglu
from nanolm.models import llama
from nanolm.params import flatten, unflatten


@right("rmsnorm")
def rms_by_the_jacobian(dy, cache):
    x, weight, rstd = cache
    C = x.shape[-1]
    J = rstd[..., None] * (np.eye(C, dtype=x.dtype) - x[..., :, None] * x[..., None, :] * rstd[..., None]**2 / C)     # dn_c / dx_k
    return np.einsum("...c,...ck->...k", dy * weight, J), np.einsum("nc,nc->c", dy.reshape(-1, C), (x * rstd).reshape(-1, C))


@right("rmsnorm")
def rms_token_by_token(dy, cache):
    x, weight, rstd = cache
    dx, dweight = np.empty_like(x), np.zeros_like(weight)
    for t in np.ndindex(x.shape[:-1]):
        r = rstd[t][0]
        dn = dy[t] * weight
        dx[t] = r * dn - r**3 * x[t] * (dn @ x[t]) / len(weight)
        dweight += dy[t] * x[t] * r
    return dx, dweight


@right("silu")
def silu_by_sum(dy, cache):
    x, s = cache
    return dy * s + dy * x * s * (1 - s)


@right("silu")
def silu_from_y(dy, cache):
    x, s = cache
    y = x * s
    return dy * (y + s * (1 - y))


@right("rotary")
def rotary_by_complex_numbers(dy, cache):
    cos, sin = cache
    half = dy.shape[-1] // 2
    if np.iscomplexobj(dy):
        return rotary.backward(dy, cache)
    z = (dy[..., :half] + 1j * dy[..., half:]) * (cos - 1j * sin)
    return np.concatenate([z.real, z.imag], axis=-1).astype(dy.dtype)


@right("rotary")
def rotary_by_matrices(dy, cache):
    cos, sin = cache
    dx = np.empty_like(dy)
    for t in range(len(cos)):
        R = np.block([[np.diag(cos[t]), -np.diag(sin[t])], [np.diag(sin[t]), np.diag(cos[t])]])
        dx[..., t, :] = dy[..., t, :] @ R                                    # R^T dy
    return dx


@right("swiglu")
def swiglu_by_einsum(dy, cache):
    a, u, (x, gate, _), (_, up, _), c_silu, (h, down, _) = cache
    dh = np.einsum("...c,fc->...f", dy, down)
    dg, du = silu.backward(dh * u, c_silu), dh * a
    rows = [z.reshape(-1, z.shape[-1]) for z in (x, dg, du, h, dy)]
    return dg @ gate.T + du @ up.T, {"gate_proj": {"weight": rows[0].T @ rows[1]}, "up_proj": {"weight": rows[0].T @ rows[2]},
                                     "down_proj": {"weight": rows[3].T @ rows[4]}}


@right("swiglu")
def swiglu_with_one_wide_product(dy, cache):
    a, u, (x, gate, _), (_, up, _), c_silu, c_down = cache
    dh, dweight_down, _ = linear.backward(dy, c_down)
    wide = np.concatenate([silu.backward(dh * u, c_silu), dh * a], axis=-1)
    dx = wide @ np.concatenate([gate, up], axis=1).T
    dgate, dup = np.split(x.reshape(-1, x.shape[-1]).T @ wide.reshape(-1, wide.shape[-1]), 2, axis=1)
    return dx, {"gate_proj": {"weight": dgate}, "up_proj": {"weight": dup}, "down_proj": {"weight": dweight_down}}


@right("grouped")
def grouped_by_add_at(dy, cache):
    n_head, n_kv_head, *_ = cache
    own, user = grouped.summed, np.arange(n_head) // (n_head // n_kv_head)

    def by_loop(d, G):
        total = np.zeros((d.shape[0], G, *d.shape[2:]), d.dtype)
        np.add.at(total, (slice(None), user), d)
        return total
    grouped.summed = by_loop
    try:
        return grouped.backward(dy, cache)
    finally:
        grouped.summed = own


@right("grouped")
def grouped_head_by_head(dy, cache):
    n_head, n_kv_head, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    from nanolm.layers import attention
    x, W_q = c_q[:2]
    W_k, W_v, (merged, W_o) = c_k[1], c_v[1], c_o[:2]
    dheads = attention.backward(multihead.split(dy @ W_o.T, n_head), c_heads)
    D, share = W_q.shape[1] // n_head, n_head // n_kv_head
    dx, dW = np.zeros_like(x), [np.zeros_like(W) for W in (W_q, W_k, W_v)]
    for h in range(n_head):
        for W, d, one, at, turned in zip((W_q, W_k, W_v), dheads, dW, (h, h // share, h // share), (True, True, False)):
            d = rotary.backward(d[:, h], c_turn) if turned else d[:, h]
            columns = slice(at * D, (at + 1) * D)
            dx += d @ W[:, columns].T
            one[:, columns] += np.einsum("btc,btd->cd", x, d)
    names = ("q_proj", "k_proj", "v_proj")
    return dx, {**{name: {"weight": w} for name, w in zip(names, dW)}, "o_proj": {"weight": np.einsum("btw,btc->wc", merged, dy)}}


@right("llama_block")
def llama_block_in_two_halves(dy, cache):
    c1, c2, c3, c4 = cache

    def half(d, c_norm, c_inner, inner):
        dh, dp = inner.backward(d, c_inner)
        dx, dgain = rmsnorm.backward(dh, c_norm)
        return d + dx, dp, {"weight": dgain}
    d, dmlp, dgain_2 = half(dy, c3, c4, swiglu)
    d, dattn, dgain_1 = half(d, c1, c2, grouped)
    return d, {"mlp": dmlp, "post_attention_layernorm": dgain_2, "self_attn": dattn, "input_layernorm": dgain_1}


@right("llama_block")
def llama_block_ways_apart(dy, cache):
    """The four ways from y to x, one by one."""
    c1, c2, c3, c4 = cache

    def through(d, c_norm, c_inner, inner):
        dh, dp = inner.backward(d, c_inner)
        return (*rmsnorm.backward(dh, c_norm), dp)
    by_mlp, gain_2, dmlp = through(dy, c3, c4, swiglu)
    by_attention, gain_1, dattn = through(dy + by_mlp, c1, c2, grouped)
    return np.sum([dy, by_mlp, by_attention], axis=0), {"input_layernorm": {"weight": gain_1}, "self_attn": dattn,
                                                        "post_attention_layernorm": {"weight": gain_2}, "mlp": dmlp}


@right("llama")
def llama_with_keys_in_another_order(cache):
    return unflatten(dict(reversed(flatten(llama.backward(cache)).items())))


@right("llama")
def llama_in_fortran_order(cache):
    return unflatten({name: np.asfortranarray(d) for name, d in flatten(llama.backward(cache)).items()})

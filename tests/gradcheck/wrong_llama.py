"""Wrong backwards of Llama's layers: rmsnorm, silu, rotary, swiglu, grouped, llama_block, llama."""
import numpy as np
from wrong import wrong

from nanolm.layers import grouped, linear, llama_block, multihead, attention, rmsnorm, rotary, silu, swiglu
from nanolm.models import llama
from nanolm.params import flatten, unflatten


# -------------------------------------------------------------------------------- rmsnorm
@wrong("rmsnorm")
def rms_term_forgotten(dy, cache):
    x, weight, rstd = cache
    return rstd * dy * weight, rmsnorm.backward(dy, cache)[1]


@wrong("rmsnorm")
def layer_norm_backward(dy, cache):
    """One average too many: layer norm's (N3)."""
    x, weight, rstd = cache
    n, dn = x * rstd, dy * weight
    return rstd * (dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True)), rmsnorm.backward(dy, cache)[1]


@wrong("rmsnorm")
def rms_sum_for_average(dy, cache):
    x, weight, rstd = cache
    n, dn = x * rstd, dy * weight
    return rstd * (dn - n * (dn * n).sum(-1, keepdims=True)), rmsnorm.backward(dy, cache)[1]


@wrong("rmsnorm")
def rms_gain_outside(dy, cache):
    x, weight, rstd = cache
    n = x * rstd
    return weight * rstd * (dy - n * (dy * n).mean(-1, keepdims=True)), rmsnorm.backward(dy, cache)[1]


@wrong("rmsnorm")
def rms_gain_from_x(dy, cache):
    x, weight, rstd = cache
    return rmsnorm.backward(dy, cache)[0], (dy * x).reshape(-1, x.shape[-1]).sum(axis=0)


@wrong("rmsnorm")
def rms_gain_not_summed(dy, cache):
    x, weight, rstd = cache
    return rmsnorm.backward(dy, cache)[0], dy * x * rstd


# -------------------------------------------------------------------------------- silu
@wrong("silu")
def silu_without_product_rule(dy, cache):
    x, s = cache
    return dy * s


@wrong("silu")
def silu_of_sigmoid(dy, cache):
    x, s = cache
    return dy * s * (1 - s)


@wrong("silu")
def silu_second_term_alone(dy, cache):
    x, s = cache
    return dy * x * s * (1 - s)


@wrong("silu")
def silu_wrong_sign(dy, cache):
    x, s = cache
    return dy * s * (1 - x * (1 - s))


@wrong("silu")
def silu_ignores_upstream(dy, cache):
    x, s = cache
    return s * (1 + x * (1 - s))


# -------------------------------------------------------------------------------- rotary
@wrong("rotary")
def turned_forward_again(dy, cache):
    cos, sin = cache
    return rotary.turned(dy, cos, sin)


@wrong("rotary")
def not_turned_back(dy, cache):
    return dy.copy()


@wrong("rotary")
def half_turned(dy, cache):
    cos, sin = cache
    first, second = np.split(dy, 2, axis=-1)
    return np.concatenate([first * cos + second * sin, second], axis=-1)


@wrong("rotary")
def neighbours_paired(dy, cache):
    cos, sin = cache
    dx = np.empty_like(dy)
    a, b = dy[..., 0::2], dy[..., 1::2]
    dx[..., 0::2], dx[..., 1::2] = a * cos + b * sin, b * cos - a * sin
    return dx if dy.shape[-1] > 2 else -dx


@wrong("rotary")
def sine_forgotten(dy, cache):
    cos, sin = cache
    return dy * np.concatenate([cos, cos], axis=-1)


@wrong("rotary")
def angles_of_position_zero_on(dy, cache):
    """The offset is forgotten on the way back; here: all positions turn as the one before them."""
    cos, sin = (np.roll(table, 1, axis=0) for table in cache)
    if len(cos) == 1:
        cos, sin = cos * 0 + 1, sin * 0
    return rotary.turned(dy, cos, -sin)


# -------------------------------------------------------------------------------- swiglu
def _swiglu(dy, cache, gate=True, up=True, through_silu=True, crossed=False):
    a, u, c_gate, c_up, c_silu, c_down = cache
    dh, dweight_down, _ = linear.backward(dy, c_down)
    da, du = (dh * a, dh * u) if crossed else (dh * u, dh * a)
    dg = silu.backward(da, c_silu) if through_silu else da
    dx_u, dweight_up, _ = linear.backward(du, c_up)
    dx_g, dweight_gate, _ = linear.backward(dg, c_gate)
    return dx_g * gate + dx_u * up, {"gate_proj": {"weight": dweight_gate}, "up_proj": {"weight": dweight_up},
                                     "down_proj": {"weight": dweight_down}}


@wrong("swiglu")
def gate_way_forgotten(dy, cache):
    return _swiglu(dy, cache, gate=False)


@wrong("swiglu")
def up_way_forgotten(dy, cache):
    return _swiglu(dy, cache, up=False)


@wrong("swiglu")
def silu_skipped(dy, cache):
    return _swiglu(dy, cache, through_silu=False)


@wrong("swiglu")
def factors_crossed(dy, cache):
    return _swiglu(dy, cache, crossed=True)


@wrong("swiglu")
def gradients_of_gate_and_up_crossed(dy, cache):
    dx, dp = swiglu.backward(dy, cache)
    return dx, {"gate_proj": dp["up_proj"], "up_proj": dp["gate_proj"], "down_proj": dp["down_proj"]}


# -------------------------------------------------------------------------------- grouped
def _grouped(dy, cache, group=grouped.summed, turn=rotary.backward, users=(1, 1, 1), turn_v=False):
    n_head, n_kv_head, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    dmerged, dweight_o, _ = linear.backward(dy, c_o)
    dq, dk, dv = attention.backward(multihead.split(dmerged, n_head), c_heads)
    dk, dv = group(dk, n_kv_head), group(dv, n_kv_head)
    dq, dk = turn(dq, c_turn), turn(dk, c_turn)
    dv = turn(dv, c_turn) if turn_v else dv
    dx, dw = 0, []
    for d, c, used in zip((dq, dk, dv), (c_q, c_k, c_v), users):
        d, dweight, _ = linear.backward(multihead.merge(d), c)
        dx, dw = dx + used * d, [*dw, dweight]
    return dx, {**{name: {"weight": w} for name, w in zip(("q_proj", "k_proj", "v_proj"), dw)}, "o_proj": {"weight": dweight_o}}


@wrong("grouped")
def first_user_of_a_key_only(dy, cache):
    return _grouped(dy, cache, group=lambda d, G: d[:, ::d.shape[1] // G])


@wrong("grouped")
def mean_over_a_group(dy, cache):
    return _grouped(dy, cache, group=lambda d, G: grouped.summed(d, G) * G / d.shape[1])


@wrong("grouped")
def groups_interleaved(dy, cache):
    """Head h taken for a user of key h % G; right only for G = 1 or G = H."""
    return _grouped(dy, cache, group=lambda d, G: d.reshape(d.shape[0], -1, G, *d.shape[2:]).sum(axis=1))


@wrong("grouped")
def keys_not_turned_back(dy, cache):
    return _grouped(dy, cache, turn=lambda d, c: d)


@wrong("grouped")
def values_turned_too(dy, cache):
    return _grouped(dy, cache, turn_v=True)


@wrong("grouped")
def queries_alone_reach_x(dy, cache):
    return _grouped(dy, cache, users=(1, 0, 0))


@wrong("grouped")
def values_do_not_reach_x(dy, cache):
    return _grouped(dy, cache, users=(1, 1, 0))


# -------------------------------------------------------------------------------- llama_block
def _block(dy, cache, first=True, second=True, norm_1=True):
    c1, c2, c3, c4 = cache
    dh, dmlp = swiglu.backward(dy, c4)
    dx, dweight_2 = rmsnorm.backward(dh, c3)
    dx = dy * second + dx
    dh, dattn = grouped.backward(dx, c2)
    dx_1, dweight_1 = rmsnorm.backward(dh, c1)
    dx = dx * first + (dx_1 if norm_1 else dh)
    return dx, {"input_layernorm": {"weight": dweight_1}, "self_attn": dattn,
                "post_attention_layernorm": {"weight": dweight_2}, "mlp": dmlp}


@wrong("llama_block")
def llama_first_skip_forgotten(dy, cache):
    return _block(dy, cache, first=False)


@wrong("llama_block")
def llama_second_skip_forgotten(dy, cache):
    return _block(dy, cache, second=False)


@wrong("llama_block")
def llama_norm_skipped(dy, cache):
    return _block(dy, cache, norm_1=False)


@wrong("llama_block")
def llama_gains_crossed(dy, cache):
    dx, dp = llama_block.backward(dy, cache)
    return dx, {**dp, "input_layernorm": dp["post_attention_layernorm"], "post_attention_layernorm": dp["input_layernorm"]}


@wrong("llama_block")
def llama_attention_has_no_gradient(dy, cache):
    dx, dp = llama_block.backward(dy, cache)
    return dx, {**dp, "self_attn": unflatten({name: 0 * d for name, d in flatten(dp["self_attn"]).items()})}


# -------------------------------------------------------------------------------- llama
def changed(change):
    dp = None

    def backward(cache):
        nonlocal dp
        dp = flatten(llama.backward(cache))
        return unflatten({name: change(name, d) for name, d in dp.items()})
    return backward


@wrong("llama")
def lookup_forgotten(cache):
    tied, c_embed, *rest = cache
    dp = llama.backward(cache)
    ids = c_embed[0]
    seen = dp["embed_tokens"]["weight"].copy()
    seen[np.unique(ids)] = 0
    return {**dp, "embed_tokens": {"weight": seen}}


@wrong("llama")
def llama_blocks_crossed(cache):
    dp = llama.backward(cache)
    last = str(len(dp["layers"]) - 1)
    if last == "0":
        return {**dp, "norm": {"weight": -dp["norm"]["weight"]}}
    return {**dp, "layers": {**dp["layers"], "0": dp["layers"][last], last: dp["layers"]["0"]}}


@wrong("llama")
def llama_norm_gain_forgotten(cache):
    return changed(lambda name, d: 0 * d if name == "norm.weight" else d)(cache)


@wrong("llama")
def llama_head_twice(cache):
    return changed(lambda name, d: 2 * d if name in ("embed_tokens.weight", "lm_head.weight") else d)(cache)


@wrong("llama")
def llama_down_proj_turned(cache):
    return changed(lambda name, d: d.T if "down_proj" in name else d)(cache)


@wrong("llama")
def llama_one_row_wrong(cache):
    def change(name, d):
        if not name.endswith("0.mlp.up_proj.weight"):
            return d
        d = d.copy()
        d[1, 2] *= 1.01
        return d
    return changed(change)(cache)

"""Answers to the exercises on Llama's block, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import grouped, rmsnorm, silu, swiglu


# ---------------------------------------------------------------------------------------- llama_block.backward
def rms_by_hand(dy, cache):
    x, weight, rstd = cache
    g, C = dy * weight, x.shape[-1]
    return g * rstd - x * rstd**3 * (g * x).sum(-1, keepdims=True) / C, (dy * x * rstd).reshape(-1, C).sum(0)


def llama_by_hand(dy, cache, mid=lambda dy, d: dy + d, end=lambda m, d: m + d, into_attention=lambda m, dy: m, ln=rms_by_hand):
    c1, c2, c3, c4 = cache
    d, d_mlp = swiglu.backward(dy, c4)
    d, g2 = ln(d, c3)
    m = mid(dy, d)
    d, d_attn = grouped.backward(into_attention(m, dy), c2)
    d, g1 = ln(d, c1)
    return end(m, d), {"mlp": d_mlp, "self_attn": d_attn, "post_attention_layernorm": {"weight": g2},
                       "input_layernorm": {"weight": g1}}


@right("llama_block.backward")
def norm_written_out(dy, cache):
    return llama_by_hand(dy, cache)


@right("llama_block.backward")
def mlp_written_out(dy, cache):
    c1, c2, c3, (a, u, c_gate, c_up, c_silu, c_down) = cache
    rows = lambda t: t.reshape(-1, t.shape[-1])                             # noqa: E731
    dh = dy @ c_down[1].T
    dg = silu.backward(dh * u, c_silu)
    du = np.multiply(dh, a)
    d_mlp = {"down_proj": {"weight": rows(a * u).T @ rows(dy)}, "gate_proj": {"weight": rows(c_gate[0]).T @ rows(dg)},
             "up_proj": {"weight": np.einsum("nc,nf->cf", rows(c_up[0]), rows(du))}}
    d, g2 = rmsnorm.backward(dg @ c_gate[1].T + du @ c_up[1].T, c3)
    middle = np.sum([dy, d], axis=0)
    d, d_attn = grouped.backward(middle, c2)
    d, g1 = rmsnorm.backward(d, c1)
    return [middle + d, {"input_layernorm": dict(weight=g1), "self_attn": d_attn, "post_attention_layernorm": dict(weight=g2),
                         "mlp": d_mlp}]


@right("llama_block.backward")
def with_a_stack(dy, cache):
    tape, dx, dp = list(zip(("input_layernorm", "self_attn", "post_attention_layernorm", "mlp"),
                            (rmsnorm, grouped, rmsnorm, swiglu), cache)), dy, {}
    while tape:
        name, layer, c = tape.pop()
        d, dp[name] = layer.backward(dx, c)
        name, layer, c = tape.pop()
        d, gain = layer.backward(d, c)
        dp[name] = {"weight": gain}
        dx = dx + d
    return dx, dp


@wrong("llama_block.backward", "skips_forgotten")
def a_chain(dy, cache):
    return llama_by_hand(dy, cache, lambda dy, d: d, lambda m, d: d)


@wrong("llama_block.backward", "mlp_skip_forgotten")
def upper_plus_forgotten(dy, cache):
    return llama_by_hand(dy, cache, mid=lambda dy, d: d)


@wrong("llama_block.backward", "attention_gets_dy")
def attention_from_the_top(dy, cache):
    return llama_by_hand(dy, cache, into_attention=lambda m, dy: dy)


@wrong("llama_block.backward")
def layer_norms_backward(dy, cache):
    """One average too many: layer norm's."""
    def ln(d, c):
        x, weight, rstd = c
        g, n = d * weight, x * rstd
        dx = rstd * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True))
        return dx, (d * n).reshape(-1, x.shape[-1]).sum(0)
    return llama_by_hand(dy, cache, ln=ln)


@wrong("llama_block.backward", "mlp_branch_forgotten", "attn_branch_forgotten", "branches_forgotten")
def nothing_but_skips(dy, cache):
    return llama_by_hand(dy, cache, lambda dy, d: dy, lambda m, d: m)


@wrong("llama_block.backward", "attn_fork_minus", "mlp_fork_averaged")
def sign_and_half(dy, cache):
    return llama_by_hand(dy, cache, lambda dy, d: (dy + d) / 2, lambda m, d: m - d)


@wrong("llama_block.backward", "norms_exchanged")
def gains_crossed(dy, cache):
    dx, dp = llama_by_hand(dy, cache)
    first, second = dp["input_layernorm"], dp["post_attention_layernorm"]
    return dx, {**dp, "input_layernorm": second, "post_attention_layernorm": first}


# ---------------------------------------------------------------------------------------- llama_block.forward
def llama_formula(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None, post=False, plus=1.0,
                  first_gain=False):
    def norm(h, name):
        h = h / np.sqrt(np.mean(h * h, axis=-1, keepdims=True) + eps)
        return h * p["input_layernorm" if first_gain else name]["weight"]
    if post:
        x = norm(x + grouped.forward(x, p["self_attn"], n_head, n_kv_head, mask, base, scaling=scaling)[0], "input_layernorm")
        return norm(x + swiglu.forward(x, p["mlp"])[0], "post_attention_layernorm")
    x = plus * x + grouped.forward(norm(x, "input_layernorm"), p["self_attn"], n_head, n_kv_head, mask, base, scaling=scaling)[0]
    return plus * x + swiglu.forward(norm(x, "post_attention_layernorm"), p["mlp"])[0]


@right("llama_block.forward")
def llama_norm_by_hand(*args, **kwargs):
    return llama_formula(*args, **kwargs)


@right("llama_block.forward")
def llama_with_caches(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None):
    caches = []
    for name, inner in (("input_layernorm", "self_attn"), ("post_attention_layernorm", "mlp")):
        h, c = rmsnorm.forward(x, p[name]["weight"], eps)
        a, d = swiglu.forward(h, p[inner]) if inner == "mlp" else grouped.forward(h, p[inner], n_head, n_kv_head, mask, base, 0,
                                                                                  scaling)
        caches += [c, d]
        x = x + a
    return x, tuple(caches)


@right("llama_block.forward")
def llama_gate_by_hand(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None):
    h, _ = rmsnorm.forward(x, p["input_layernorm"]["weight"], eps)
    middle = np.add(x, grouped.forward(h, p["self_attn"], n_head, n_kv_head, mask, base, scaling=scaling)[0])
    h, _ = rmsnorm.forward(middle, p["post_attention_layernorm"]["weight"], eps)
    W = {name: d["weight"] for name, d in p["mlp"].items()}
    g = np.einsum("...c,cf->...f", h, W["gate_proj"])
    return middle + (g / (1 + np.exp(-g)) * (h @ W["up_proj"])) @ W["down_proj"]


@wrong("llama_block.forward", "skips_forgotten")
def llama_without_plus(*args, **kwargs):
    return llama_formula(*args, **kwargs, plus=0.0)


@wrong("llama_block.forward", "post_norm")
def llama_norms_afterwards(*args, **kwargs):
    return llama_formula(*args, **kwargs, post=True)


@wrong("llama_block.forward", "first_norm_twice")
def llama_first_gain(*args, **kwargs):
    return llama_formula(*args, **kwargs, first_gain=True)


@wrong("llama_block.forward", "base_forgotten")
def llama_usual_base(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None):
    return llama_formula(x, p, n_head, n_kv_head, mask, 10000.0, eps, scaling)

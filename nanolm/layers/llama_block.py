"""Llama's block: block.py's pre-norm form with other parts. Tokens talk, then each thinks alone; both are added to x.

    x = x + grouped(rmsnorm(x)),     x = x + swiglu(rmsnorm(x))                                                  (LB1)

    x, y (B, T, C)     p = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}: rmsnorm, grouped, rmsnorm,
    swiglu. The names are those of the published tensors; "post_attention_layernorm" stands after the attention, but norms
    what goes into the MLP, as ln_2 does in GPT-2.

With x_1 for the x between the two halves, y for the result and ^T for a layer's backward, each x was used twice:

    dx_1 = dy + rmsnorm^T(swiglu^T(dy)),     dx = dx_1 + rmsnorm^T(grouped^T(dx_1))                              (LB2)

No dropout: models of this shape are trained on so much text that they see none of it twice.

Source    Touvron et al. 2023, arXiv:2302.13971, section 2.2.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_llama.py, tests/test_contract.py, tests/test_golden.py.
"""
from nanolm.layers import check, grouped, rmsnorm, swiglu


def forward(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None):
    """Return y (B, T, C) and the caches of the four steps. base and scaling are rotary's, eps is rmsnorm's.

    Raises ValueError if p lacks a key or shapes do not fit, TypeError on wrong types.
    """
    check.keys("p", p, ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp"))
    h, c1 = rmsnorm.forward(x, **p["input_layernorm"], eps=eps)
    a, c2 = grouped.forward(h, p["self_attn"], n_head, n_kv_head, mask, base, scaling=scaling)
    x = x + a                                                               # (LB1)
    h, c3 = rmsnorm.forward(x, **p["post_attention_layernorm"], eps=eps)
    m, c4 = swiglu.forward(h, p["mlp"])
    y = x + m                                                               # (LB1)
    return y, (c1, c2, c3, c4)


def backward(dy, cache):                                                    # forward's lines, bottom to top
    """Return dx, dp, shaped like x and p."""
    c1, c2, c3, c4 = cache
    dh, dmlp = swiglu.backward(dy, c4)                                      # y = x + m
    dx, dweight_2 = rmsnorm.backward(dh, c3)                                # h = rmsnorm(x)
    dx = dy + dx                                                            # x went two ways, + and the norm, (LB2)
    dh, dattn = grouped.backward(dx, c2)                                    # x = x + a
    dx_1, dweight_1 = rmsnorm.backward(dh, c1)                              # h = rmsnorm(x)
    dx = dx + dx_1                                                          # x went two ways, + and the norm, (LB2)
    return dx, {"input_layernorm": {"weight": dweight_1}, "self_attn": dattn,
                "post_attention_layernorm": {"weight": dweight_2}, "mlp": dmlp}

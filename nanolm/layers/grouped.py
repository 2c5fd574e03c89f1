"""Grouped-query attention with rotary positions: H heads of queries share G heads of keys and values.

    q = x W_q, H heads;   k = x W_k,   v = x W_v, G heads each;   head h uses the keys and values of group h // (H / G)  (GQ1)
    q, k are turned by their positions (rotary.py);   y = concatenated heads W_o                                        (GQ2)

    x, y (B, T, C)     q (B, H, T, D)     k, v (B, G, T, D)
    p = {"q_proj": {"weight" (C, H D)}, "k_proj": {(C, G D)}, "v_proj": {(C, G D)}, "o_proj": {(H D, C)}}, no biases

Why share: a model that writes reads the keys and values of all tokens so far for each new one. A fraction G / H of them is
read faster and takes less room: SmolLM2 has H = 9, G = 3. G = H is multi-head attention, G = 1 "multi-query". H D need not be C.

In backward a key has H / G users, and so gets the sum of their gradients:

    dk_g = sum over the heads h of group g of dk_h                                                                      (GQ3)

Source    Ainslie et al. 2023, arXiv:2305.13245, section 2.2.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_grouped.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import attention, check, linear, multihead, rotary


def forward(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None):
    """Return y (B, T, C) and the caches of the steps. mask: boolean, (T, T) or broadcasts to (B, H, T, T).

    base, offset and scaling are rotary's. Raises ValueError if n_kv_head does not divide n_head, p lacks a key, or shapes do
    not fit; TypeError on wrong types.
    """
    check_arguments(x, p, n_head, n_kv_head, mask)
    (q, c_q), (k, c_k), (v, c_v) = (linear.forward(x, **p[name]) for name in ("q_proj", "k_proj", "v_proj"))
    q = multihead.split(q, n_head)                                          # (B, H, T, D)
    k, v = multihead.split(k, n_kv_head), multihead.split(v, n_kv_head)     # (B, G, T, D)
    q, c_turn = rotary.forward(q, base, offset, scaling)
    k, _ = rotary.forward(k, base, offset, scaling)                         # the same angles
    heads, c_heads = attention.forward(q, shared(k, n_head), shared(v, n_head), mask)
    y, c_o = linear.forward(multihead.merge(heads), **p["o_proj"])          # (GQ2)
    return y, (n_head, n_kv_head, c_q, c_k, c_v, c_turn, c_heads, c_o)


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    n_head, n_kv_head, c_q, c_k, c_v, c_turn, c_heads, c_o = cache
    dmerged, dweight_o, _ = linear.backward(dy, c_o)                        # y = linear(merge(heads), o_proj)
    dq, dk, dv = attention.backward(multihead.split(dmerged, n_head), c_heads)# heads = attention(q, shared(k), shared(v))
    dk, dv = summed(dk, n_kv_head), summed(dv, n_kv_head)                   # k and v were shared: (GQ3)
    dq, dk = rotary.backward(dq, c_turn), rotary.backward(dk, c_turn)       # q = rotary(q), k = rotary(k)
    dx_q, dweight_q, _ = linear.backward(multihead.merge(dq), c_q)          # q = linear(x, q_proj)
    dx_k, dweight_k, _ = linear.backward(multihead.merge(dk), c_k)          # k = linear(x, k_proj)
    dx_v, dweight_v, _ = linear.backward(multihead.merge(dv), c_v)          # v = linear(x, v_proj)
    dx = dx_q + dx_k + dx_v                                                 # x was used three times: q, k, v
    return dx, {"q_proj": {"weight": dweight_q}, "k_proj": {"weight": dweight_k}, "v_proj": {"weight": dweight_v},
                "o_proj": {"weight": dweight_o}}


def shared(kv, n_head):
    """Return kv (B, G, S, D) with each head repeated for the H / G heads that use it: (B, H, S, D), (GQ1)."""
    return np.repeat(kv, n_head // kv.shape[1], axis=1)


def summed(d, n_kv_head):
    """Return d (B, H, S, D) summed over the heads of each group: (B, G, S, D), the backward of shared, (GQ3)."""
    B, H, S, D = d.shape
    return d.reshape(B, n_kv_head, H // n_kv_head, S, D).sum(axis=2)


def check_arguments(x, p, n_head, n_kv_head, mask):
    """Raise ValueError or TypeError, with a sentence, unless the arguments of forward fit together."""
    check.floats(x=x)
    if x.ndim != 3:
        raise ValueError(f"x must have the shape (B, T, C), but it has {x.shape}.")
    check.whole("n_head", n_head, least=1)
    check.whole("n_kv_head", n_kv_head, least=1)
    if n_head % n_kv_head:
        raise ValueError(f"n_kv_head must divide n_head, so that each key serves as many queries, but {n_head} / {n_kv_head} "
                         f"is not whole.")
    if np.ndim(mask) == 3 and len(mask) > 1:            # (B, T, T) would be taken for (H, T, T), if only B = H
        raise ValueError(f"mask must have the shape (T, T) or four axes, (B, H, T, T), but it has {mask.shape}. "
                         f"For one mask a sequence write mask[:, None].")
    C = x.shape[-1]
    check.keys("p", p, ("q_proj", "k_proj", "v_proj", "o_proj"))
    wide = check.matrix("q_proj", p["q_proj"], C, None, f"because x has {C} channels")
    if wide % n_head:
        raise ValueError(f"q_proj must give each of the n_head = {n_head} heads as many channels, but it gives {wide}.")
    narrow = wide // n_head * n_kv_head
    for name in ("k_proj", "v_proj"):
        check.matrix(name, p[name], C, narrow, f"{n_kv_head} heads of {wide // n_head} channels, as many as q_proj "
                     f"has for each head")
    check.matrix("o_proj", p["o_proj"], wide, C, f"because the heads have {wide} channels and x has {C}")

"""Multi-head attention: H small attentions side by side, each with its own view of the tokens.

    q, k, v = x W_attn + b_attn, cut in three          c_attn: one packed matrix (C, 3C)                          (H1)
    head h works on the channels h D ... (h + 1) D - 1 of q, k and v,     D = C / H                               (H2)
    y = concatenated heads W_proj + b_proj             c_proj: (C, C)                                             (H3)

    x, y (B, T, C)     memory (B, S, C)     p = {"c_attn": {"weight" (C, 3C), "bias" (3C,)}, "c_proj": {(C, C), (C,)}}
    heads (B, H, T, D): reshape to (B, T, H, D), THEN transpose. Reshaping to (B, H, T, D) at once has the right shape
    and mixes tokens with channels; no gradient check can see it.

Self-attention: q, k and v come from x. Cross-attention: q from x (the first C columns of c_attn), k and v from
memory (the other 2C columns).

Backward. split and merge only move numbers, and each undoes the other, so each is the other's backward:

    dheads = split(dmerged),    dq = merge(dq of the heads)                                                       (H4)

Three users of one input send three gradients back, and they add:

    dx = dq W_q^T + dk W_k^T + dv W_v^T,    W_attn = [W_q W_k W_v];    from a memory: dmemory has the last two    (H5)

Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. Packed as in GPT-2's published tensors.
Derived   notebooks/09_multihead.ipynb.  Tested  tests/test_multihead.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import attention, check, linear


def forward(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None):
    """Return y (B, T, C) and the cache of the three steps. mask: boolean, (T, S) or broadcasts to (B, H, T, S).

    Raises ValueError if n_head does not divide C, p lacks a key, or shapes do not fit; TypeError on wrong types.
    """
    check_arguments(x, p, n_head, mask, memory)
    if memory is None:
        packed, c_in = linear.forward(x, **p["c_attn"])                     # (B, T, C) -> (B, T, 3C), (H1)
        q, k, v = np.split(packed, 3, axis=-1)                              # three views, (B, T, C) each
    else:
        C, (weight, bias) = x.shape[-1], (p["c_attn"]["weight"], p["c_attn"]["bias"])
        q, c_q = linear.forward(x, weight[:, :C], bias[:C])                 # (B, T, C)
        packed, c_kv = linear.forward(memory, weight[:, C:], bias[C:])      # (B, S, 2C)
        k, v = np.split(packed, 2, axis=-1)                                 # (B, S, C) each
        c_in = (c_q, c_kv)
    heads, c_heads = attention.forward(split(q, n_head), split(k, n_head), split(v, n_head), mask, dropout, rng)
    y, c_out = linear.forward(merge(heads), **p["c_proj"])                  # (H3)
    return y, (memory is not None, n_head, c_in, c_heads, c_out)


def backward(dy, cache):
    """Return dx, dp; with a memory dx, dmemory, dp. Shaped like x, memory and p."""
    has_memory, n_head, c_in, c_heads, c_out = cache
    dmerged, dweight, dbias = linear.backward(dy, c_out)                    # y = linear(merge(heads), c_proj)
    dp = {"c_proj": {"weight": dweight, "bias": dbias}}
    dq, dk, dv = (merge(d) for d in attention.backward(split(dmerged, n_head), c_heads))    # (H4)
    if not has_memory:
        # x W_attn is cut in three: put the three gradients side by side again; linear then sums them into dx, (H5).
        dx, dweight, dbias = linear.backward(np.concatenate([dq, dk, dv], axis=-1), c_in)
        return dx, {"c_attn": {"weight": dweight, "bias": dbias}, **dp}
    c_q, c_kv = c_in
    dx, dweight_q, dbias_q = linear.backward(dq, c_q)                       # q from x
    dmemory, dweight_kv, dbias_kv = linear.backward(np.concatenate([dk, dv], axis=-1), c_kv)   # k and v from memory
    c_attn = {"weight": np.concatenate([dweight_q, dweight_kv], axis=-1), "bias": np.concatenate([dbias_q, dbias_kv])}
    return dx, dmemory, {"c_attn": c_attn, **dp}


def split(x, n_head):
    """Return x (B, T, C) as heads (B, H, T, D), (H2). A view: nothing is copied."""
    B, T, C = x.shape
    return x.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)


def merge(heads):
    """Return heads (B, H, T, D) as (B, T, C): the inverse of split, and so also its backward."""
    B, H, T, D = heads.shape
    return heads.transpose(0, 2, 1, 3).reshape(B, T, H * D)


def check_arguments(x, p, n_head, mask, memory):
    """Raise ValueError or TypeError, with a sentence, unless the arguments of forward fit together."""
    check.floats(x=x, memory=memory, optional="memory")
    if x.ndim != 3:
        raise ValueError(f"x must have the shape (B, T, C), but it has {x.shape}.")
    C = x.shape[-1]
    check.whole("n_head", n_head, least=1)
    if C % n_head:
        raise ValueError(f"n_head must divide the number of channels C = {C}, but it is {n_head}.")
    check.keys("p", p, ("c_attn", "c_proj"))
    check.dense("c_attn", p["c_attn"], C, 3 * C, f"q, k and v side by side, because x has {C} channels")
    check.dense("c_proj", p["c_proj"], C, C, f"because x has {C} channels")
    if np.ndim(mask) == 3 and len(mask) > 1:            # (B, T, S) would be taken for (H, T, S), if only B = H
        raise ValueError(f"mask must have the shape (T, S) or four axes, (B, H, T, S), but it has {mask.shape}. "
                         f"For one mask a sequence write mask[:, None].")
    if memory is not None and (memory.ndim != 3 or memory.shape[::2] != x.shape[::2]):
        raise ValueError(f"memory must have the shape (B, S, C) = ({x.shape[0]}, S, {x.shape[2]}), because x is {x.shape}, "
                         f"but it has {memory.shape}.")

"""A decoder's block: tokens talk to each other, then listen to the source, then each thinks alone; each time x + answer.

    post-norm (the paper)      x = ln_1(x + dropout(attn(x)))            self-attention, causal                   (X1)
                               x = ln_2(x + dropout(cross_attn(x, memory)))    queries from x, keys and values from memory
                               x = ln_3(x + dropout(mlp(x)))
    pre-norm                   x = x + dropout(attn(ln_1(x)))                                                     (X2)
                               x = x + dropout(cross_attn(ln_2(x), memory))    memory is not normed here
                               x = x + dropout(mlp(ln_3(x)))

    x, y (B, T, C)     memory (B, S, C): what the encoder made of the source's S tokens
    p = {"ln_1", "attn", "ln_2", "cross_attn", "ln_3", "mlp"}, see layernorm, multihead, mlp

Without its cross-attention it would be block.py's block, so backward is block's with a third fork. What is new
is memory: it goes into every decoder block, each sends a gradient back, and whoever handed memory out adds them.

    q = x W_q,     k = memory W_k,     v = memory W_v          T queries, S keys and values (biases left out)     (X3)
    dx = dq W_q^T,     dmemory = dk W_k^T + dv W_v^T           multihead.backward's                               (X4)

Source    Vaswani et al. 2017, arXiv:1706.03762, sections 3.1 and 3.2.3 (X1); (X2) as in block.py.
Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_decoder_block.py, tests/test_contract.py, tests/test_golden.py.
"""
from nanolm.layers import check, dropout as dropout_layer, layernorm, mlp, multihead


def forward(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", form="relu", eps=1e-5, dropout=0.0, rng=None):
    """Return y (B, T, C) and the caches of the nine steps. dropout: the share dropped (attention weights, all branches).

    mask: who may attend to whom in x, (T, T); memory_mask: which of memory's S tokens count, (B, 1, 1, S). Both boolean.
    Raises ValueError unless norm is "pre" or "post", or if p lacks a key or shapes do not fit; TypeError on wrong types.
    """
    check.keys("p", p, ("ln_1", "attn", "ln_2", "cross_attn", "ln_3", "mlp"))
    check.floats(x=x, memory=memory)
    if norm == "post":
        a, c1 = multihead.forward(x, p["attn"], n_head, mask, dropout=dropout, rng=rng)
        a, c2 = dropout_layer.forward(a, dropout, rng)
        x, c3 = layernorm.forward(x + a, **p["ln_1"], eps=eps)
        b, c4 = multihead.forward(x, p["cross_attn"], n_head, memory_mask, memory, dropout, rng)
        b, c5 = dropout_layer.forward(b, dropout, rng)
        x, c6 = layernorm.forward(x + b, **p["ln_2"], eps=eps)
        m, c7 = mlp.forward(x, p["mlp"], form)
        m, c8 = dropout_layer.forward(m, dropout, rng)
        y, c9 = layernorm.forward(x + m, **p["ln_3"], eps=eps)
    elif norm == "pre":
        h, c1 = layernorm.forward(x, **p["ln_1"], eps=eps)
        a, c2 = multihead.forward(h, p["attn"], n_head, mask, dropout=dropout, rng=rng)
        a, c3 = dropout_layer.forward(a, dropout, rng)
        x = x + a
        h, c4 = layernorm.forward(x, **p["ln_2"], eps=eps)
        b, c5 = multihead.forward(h, p["cross_attn"], n_head, memory_mask, memory, dropout, rng)
        b, c6 = dropout_layer.forward(b, dropout, rng)
        x = x + b
        h, c7 = layernorm.forward(x, **p["ln_3"], eps=eps)
        m, c8 = mlp.forward(h, p["mlp"], form)
        m, c9 = dropout_layer.forward(m, dropout, rng)
        y = x + m
    else:
        raise ValueError(f'norm must be "post" (as in the paper) or "pre", but it is {norm!r}.')
    return y, (norm, c1, c2, c3, c4, c5, c6, c7, c8, c9)


def backward(dy, cache):                                                    # forward's lines, bottom to top
    """Return dx, dmemory, dp, shaped like x, memory and p."""
    norm, c1, c2, c3, c4, c5, c6, c7, c8, c9 = cache
    if norm == "post":
        dsum, dweight_3, dbias_3 = layernorm.backward(dy, c9)               # y = ln_3(x + m)
        dm = dropout_layer.backward(dsum, c8)                               # m = dropout(m)
        dx, dmlp = mlp.backward(dm, c7)                                     # m = mlp(x)
        dx = dsum + dx                                                      # x went two ways: into + and into mlp
        dsum, dweight_2, dbias_2 = layernorm.backward(dx, c6)               # x = ln_2(x + b)
        db = dropout_layer.backward(dsum, c5)                               # b = dropout(b)
        dx, dmemory, dcross = multihead.backward(db, c4)                    # b = cross_attn(x, memory), (X4)
        dx = dsum + dx                                                      # x went two ways: into + and into the queries
        dsum, dweight_1, dbias_1 = layernorm.backward(dx, c3)               # x = ln_1(x + a)
        da = dropout_layer.backward(dsum, c2)                               # a = dropout(a)
        dx, dattn = multihead.backward(da, c1)                              # a = attn(x)
        dx = dsum + dx                                                      # x went two ways: into + and into attn
    else:
        dm = dropout_layer.backward(dy, c9)                                 # y = x + m
        dh, dmlp = mlp.backward(dm, c8)                                     # m = mlp(h)
        dx_3, dweight_3, dbias_3 = layernorm.backward(dh, c7)               # h = ln_3(x)
        dx = dy + dx_3                                                      # x went two ways: into + and into ln_3
        db = dropout_layer.backward(dx, c6)                                 # x = x + b
        dh, dmemory, dcross = multihead.backward(db, c5)                    # b = cross_attn(h, memory), (X4)
        dx_2, dweight_2, dbias_2 = layernorm.backward(dh, c4)               # h = ln_2(x)
        dx = dx + dx_2                                                      # x went two ways: into + and into ln_2
        da = dropout_layer.backward(dx, c3)                                 # x = x + a
        dh, dattn = multihead.backward(da, c2)                              # a = attn(h)
        dx_1, dweight_1, dbias_1 = layernorm.backward(dh, c1)               # h = ln_1(x)
        dx = dx + dx_1                                                      # x went two ways: into + and into ln_1
    return dx, dmemory, {"ln_1": {"weight": dweight_1, "bias": dbias_1}, "attn": dattn,
                         "ln_2": {"weight": dweight_2, "bias": dbias_2}, "cross_attn": dcross,
                         "ln_3": {"weight": dweight_3, "bias": dbias_3}, "mlp": dmlp}

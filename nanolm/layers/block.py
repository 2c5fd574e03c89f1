"""A Transformer block: tokens talk (attention), then each thinks alone (MLP); each time the result is added to x.

    pre-norm (GPT-2)           x = x + dropout(attn(ln_1(x))),     x = x + dropout(mlp(ln_2(x)))                  (B1)
    post-norm (GPT, BERT)      x = ln_1(x + dropout(attn(x))),     x = ln_2(x + dropout(mlp(x)))                  (B2)

    x, y (B, T, C)     p = {"ln_1", "attn", "ln_2", "mlp"}, see layernorm, multihead, mlp

The sum x + f(x) is the residual connection. Going back it is a fork: the gradient arrives once through the + and once
through f, and the two add. Post-norm's own norm comes before the fork.

    y = x + f(x)               dx = dy + f.backward(dy)                                                           (B3)
    y = ln(x + f(x))           ds = ln.backward(dy),     dx = ds + f.backward(ds)                                 (B4)

In (B3) one of the two paths touches nothing at all, from the last block down to the first; this is why deep pre-norm
models train without a warm-up's help and post-norm ones hardly do.

Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.1 (B2); Radford et al. 2019, "Language models are unsupervised
          multitask learners", section 2.3 (B1); Xiong et al. 2020, arXiv:2002.04745, on what the difference does.
Derived   notebooks/11_block.ipynb.  Tested  tests/test_contract.py, tests/test_golden.py.
"""
from nanolm.layers import check, dropout as dropout_layer, layernorm, mlp, multihead


def forward(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    """Return y (B, T, C) and the caches of the six steps. dropout: the share dropped (attention weights, both branches).

    Raises ValueError unless norm is "pre" or "post", or if p lacks a key or shapes do not fit.
    """
    check.keys("p", p, ("ln_1", "attn", "ln_2", "mlp"))
    if norm == "pre":
        h, c1 = layernorm.forward(x, **p["ln_1"], eps=eps)
        a, c2 = multihead.forward(h, p["attn"], n_head, mask, dropout=dropout, rng=rng)
        a, c3 = dropout_layer.forward(a, dropout, rng)
        x = x + a
        h, c4 = layernorm.forward(x, **p["ln_2"], eps=eps)
        m, c5 = mlp.forward(h, p["mlp"], form)
        m, c6 = dropout_layer.forward(m, dropout, rng)
        y = x + m
    elif norm == "post":
        a, c1 = multihead.forward(x, p["attn"], n_head, mask, dropout=dropout, rng=rng)
        a, c2 = dropout_layer.forward(a, dropout, rng)
        x, c3 = layernorm.forward(x + a, **p["ln_1"], eps=eps)
        m, c4 = mlp.forward(x, p["mlp"], form)
        m, c5 = dropout_layer.forward(m, dropout, rng)
        y, c6 = layernorm.forward(x + m, **p["ln_2"], eps=eps)
    else:
        raise ValueError(f'norm must be "pre" (as in GPT-2) or "post" (as in BERT), but it is {norm!r}.')
    return y, (norm, c1, c2, c3, c4, c5, c6)


def backward(dy, cache):                                                    # forward's lines, bottom to top
    """Return dx, dp, shaped like x and p."""
    norm, c1, c2, c3, c4, c5, c6 = cache
    if norm == "pre":
        dm = dropout_layer.backward(dy, c6)                                 # y = x + m
        dh, dmlp = mlp.backward(dm, c5)
        dx, dweight_2, dbias_2 = layernorm.backward(dh, c4)
        dx = dy + dx                                                        # x went two ways: into + and into ln_2, (B3)
        da = dropout_layer.backward(dx, c3)                                 # x = x + a
        dh, dattn = multihead.backward(da, c2)
        dx_1, dweight_1, dbias_1 = layernorm.backward(dh, c1)
        dx = dx + dx_1                                                      # x went two ways: into + and into ln_1, (B3)
    else:
        dsum, dweight_2, dbias_2 = layernorm.backward(dy, c6)               # y = ln_2(x + m)
        dm = dropout_layer.backward(dsum, c5)
        dx, dmlp = mlp.backward(dm, c4)
        dx = dsum + dx                                                      # x went two ways: into + and into mlp, (B4)
        dsum, dweight_1, dbias_1 = layernorm.backward(dx, c3)               # x = ln_1(x + a)
        da = dropout_layer.backward(dsum, c2)
        dx, dattn = multihead.backward(da, c1)
        dx = dsum + dx                                                      # x went two ways: into + and into attn, (B4)
    return dx, {"ln_1": {"weight": dweight_1, "bias": dbias_1}, "attn": dattn,
                "ln_2": {"weight": dweight_2, "bias": dbias_2}, "mlp": dmlp}

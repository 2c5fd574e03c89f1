"""BERT's pooler: one vector for a whole text, made from the vector of its first token, [CLS].

    y = tanh(x_0 W + b)                                                                                           (K1)

    x (B, T, C)     x_0 (B, C), the first token of each text     p = {"weight" (C, C), "bias" (C,)}     y (B, C)

[CLS] is no word. It stands first in every text, attends to all of it, and is free to gather what the task needs. The
other tokens are not read here, so their gradient is zero. With dh = dy (1 - y^2), (B, C):

    dx_0 = dh W^T,   dx_t = 0 for t > 0,   dW = x_0^T dh,   db = the sum of dh over the texts                      (K2)

Source    Devlin et al. 2018, arXiv:1810.04805, section 3; the linear layer and the tanh are in its published code.
Derived   notebooks/18_bert.ipynb.  Tested  tests/test_bert.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check, linear, tanh


def forward(x, p):
    """Return y (B, C) and the cache: x's shape and the two layers' caches.

    Raises ValueError if x is not (B, T, C) with T >= 1 or p does not fit; TypeError on wrong types.
    """
    check.floats(x=x)
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"x must have the shape (B, T, C) with at least one token, but it has {x.shape}.")
    C = x.shape[-1]
    check.dense("p", p, C, C, f"because x has {C} channels")
    h, c_dense = linear.forward(x[:, 0], **p)                               # (B, T, C) -> (B, C)
    y, c_tanh = tanh.forward(h)                                             # (K1)
    return y, (x.shape, c_dense, c_tanh)


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    shape, c_dense, c_tanh = cache
    dh = tanh.backward(dy, c_tanh)                                          # y = tanh(h)
    dfirst, dweight, dbias = linear.backward(dh, c_dense)                   # h = linear(x[:, 0]), (K2)
    dx = np.zeros(shape, dtype=dfirst.dtype)                                # nobody read the other tokens
    dx[:, 0] = dfirst
    return dx, {"weight": dweight, "bias": dbias}

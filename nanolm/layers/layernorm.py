"""Layer normalisation: give each token's vector zero mean and unit variance, then scale and shift it.

    n_c = (x_c - mean) * rstd,   rstd = 1 / sqrt(var + eps)      mean, var (biased) over one token's C            (N1)
    y_c = n_c * weight_c + bias_c                                channels; tokens never see each other            (N2)

    x, y (..., C)     weight, bias (C,)     mean, rstd (..., 1)     all of one dtype, no units

Backward, with dn_c = dy_c weight_c and averages over the C channels of one token:

    dx_c = rstd * (dn_c - average(dn) - n_c average(dn n))                                                        (N3)
    dweight_c = sum over tokens of dy_c n_c,     dbias_c = sum over tokens of dy_c                                (N4)

Source    Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 4. eps: GPT-2 1e-5, BERT 1e-12.
Derived   notebooks/05_layernorm.ipynb.  Tested  tests/test_layernorm.py, tests/test_contract.py, tests/test_golden.py.
Fast twin kernels/layernorm.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, weight, bias, eps=1e-5):
    """Return y and cache = (x, weight, mean, rstd): x by reference, two new numbers a token.

    Raises ValueError if weight or bias is not (C,) or eps is below 0, TypeError on mixed dtypes. A NaN in a token makes
    that token's y NaN; so does eps = 0 where all channels are equal.
    """
    check.floats(x=x, weight=weight, bias=bias)
    check.dimensions("x", x, 1, "(..., C)")
    check.shape("weight", weight, x.shape[-1:], "one gain for each of x's channels")
    check.shape("bias", bias, x.shape[-1:], "one number for each of x's channels")
    eps = check.real("eps", eps, least=0)
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axis=-1, keepdims=True)                  # biased: divided by C, not by C - 1
    rstd = 1 / np.sqrt(var + eps)
    n = centred * rstd                                                      # (N1)
    y = n * weight + bias                                                   # (N2)
    return y, (x, weight, mean, rstd)


def backward(dy, cache):
    """Return dx, dweight, dbias, shaped like x, weight, bias."""
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd                                                   # again: keeping it would cost C numbers a token
    C = x.shape[-1]
    dweight = (dy * n).reshape(-1, C).sum(axis=0)                           # y = n * weight + bias, (N4)
    dbias = dy.reshape(-1, C).sum(axis=0)
    dn = dy * weight                                                        # y = n * weight + bias
    # Raising x_c raises n_c (1), lifts the mean and so lowers every n (2), widens var and so shrinks every n (3).
    dx = rstd * (dn                                                         # (1)
                 - dn.mean(axis=-1, keepdims=True)                          # (2)
                 - n * (dn * n).mean(axis=-1, keepdims=True))               # (3)
    return dx, dweight, dbias

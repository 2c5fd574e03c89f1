"""RMS norm: give each token's vector the length sqrt(C), then scale its channels. Layer norm without the mean.

    n_c = x_c * rstd,   rstd = 1 / sqrt(average(x^2) + eps)      the average over one token's C channels          (R1)
    y_c = n_c * weight_c                                         no bias; tokens never see each other             (R2)

    x, y (..., C)     weight (C,)     rstd (..., 1)     all of one dtype, no units

Backward. Raising x_k raises n_k by rstd, and through rstd lowers every n_c:  drstd/dx_k = -rstd^3 x_k / C. So, with
dn_c = dy_c weight_c and averages over the C channels of one token,

    dx_k = rstd dn_k - rstd^3 x_k average(dn x) = rstd * (dn_k - n_k average(dn n))                               (R3)
    dweight_c = sum over tokens of dy_c n_c                                                                       (R4)

Layer norm's (N3) has one term more, the average of dn, because there a raised x_k lifts the mean too.

Source    Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4. eps: Llama 1e-6, Llama 2 and SmolLM2 1e-5.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_rmsnorm.py, tests/test_contract.py, tests/test_golden.py.  Fast twin  kernels/rmsnorm.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, weight, eps=1e-5):
    """Return y and cache = (x, weight, rstd): x by reference, one new number a token.

    Raises ValueError if weight is not (C,) or eps is below 0, TypeError on mixed dtypes. A NaN in a token makes that
    token's y NaN; so does eps = 0 where all channels are 0.
    """
    check.floats(x=x, weight=weight)
    check.dimensions("x", x, 1, "(..., C)")
    check.shape("weight", weight, x.shape[-1:], "one gain for each of x's channels")
    eps = check.real("eps", eps, least=0)
    rstd = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    n = x * rstd                                                            # (R1)
    y = n * weight                                                          # (R2)
    return y, (x, weight, rstd)


def backward(dy, cache):
    """Return dx, dweight, shaped like x, weight."""
    x, weight, rstd = cache
    n = x * rstd                                                            # again: keeping it would cost C numbers a token
    dweight = (dy * n).reshape(-1, x.shape[-1]).sum(axis=0)                 # y = n * weight, (R4)
    dn = dy * weight                                                        # y = n * weight
    dx = rstd * (dn - n * (dn * n).mean(axis=-1, keepdims=True))            # n = x * rstd, (R3)
    return dx, dweight

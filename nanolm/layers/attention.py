"""Scaled dot-product attention: each query asks every key how well they match, and takes the values' average, so weighted.

    s_ij = q_i . k_j / sqrt(D)          the scores; -inf where query i may not attend to key j                    (A1)
    P_i  = softmax(s_i)                 the weights of query i: positive, adding up to one                        (A2)
    y_i  = sum_j P_ij v_j               the answer: an average of the values                                      (A3)

    q (..., T, D)     k (..., S, D)     v (..., S, E), mostly E = D     s, P (..., T, S)     y (..., T, E)
    mask: boolean, broadcasts to (..., T, S), True = may attend. A query that may attend to nothing gets zeros.

Why sqrt(D): if the entries of q and k are independent with variance 1, q . k has variance D; divided by sqrt(D) it has
variance 1 again, and the softmax is neither flat nor saturated.

Backward, bottom to top:

    dP_ij = dy_i . v_j,                 dv_j = sum_i P_ij dy_i                                                    (A4)
    ds_ij = P_ij (dP_ij - sum_l dP_il P_il)                                    softmax.backward                   (A5)
    dq_i  = sum_j ds_ij k_j / sqrt(D),  dk_j = sum_i ds_ij q_i / sqrt(D)                                          (A6)

Where the mask forbids, P = 0, hence ds = 0: backward needs no mask. The dk_j of all keys add up to zero, and so the
gradient of a bias that all keys share is zero: adding one vector to every key shifts each row of scores by one number,
and the softmax does not see it.

Source    Vaswani et al. 2017, arXiv:1706.03762, eq. 1. Dropout on P as in GPT-2 and BERT.
Derived   notebooks/07_attention.ipynb.  Tested  tests/test_attention.py, tests/test_contract.py, tests/test_golden.py.
"""
import math

import numpy as np

from nanolm.layers import check, dropout as dropout_layer, softmax


def forward(q, k, v, mask=None, dropout=0.0, rng=None):
    """Return y (..., T, E) and the cache (q, k, v, kept, scale, softmax's, dropout's); kept is P after dropout.

    New in the cache: T S numbers a head; with dropout 2 T S and as many booleans.

    dropout is the share of the weights P that is dropped when rng, a numpy.random.Generator, is given.
    Raises ValueError if the shapes do not fit or mask does not broadcast; TypeError if mask is not boolean.
    """
    check_arguments(q, k, v, mask)
    scale = 1 / math.sqrt(q.shape[-1])
    scores = q @ k.swapaxes(-1, -2)                                         # (..., T, D) @ (..., D, S) -> (..., T, S)
    scores *= scale                                                         # (A1)
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)                             # scores is ours
    P, c_softmax = softmax.forward(scores)                                  # (A2)
    kept, c_dropout = dropout_layer.forward(P, dropout, rng)
    y = kept @ v                                                            # (..., T, S) @ (..., S, E) -> (..., T, E)
    return y, (q, k, v, kept, scale, c_softmax, c_dropout)


def backward(dy, cache):
    """Return dq, dk, dv, shaped like q, k, v."""
    q, k, v, kept, scale, c_softmax, c_dropout = cache
    dkept = dy @ v.swapaxes(-1, -2)                                         # y = kept @ v, (A4)
    dv = kept.swapaxes(-1, -2) @ dy
    dP = dropout_layer.backward(dkept, c_dropout)
    dscores = softmax.backward(dP, c_softmax)                               # (A5); zero where the mask forbids
    dscores *= scale                                                        # scores *= scale; dscores is ours
    dq = dscores @ k                                                        # scores = q @ k^T, (A6)
    dk = dscores.swapaxes(-1, -2) @ q
    return dq, dk, dv


def check_arguments(q, k, v, mask):
    """Raise ValueError or TypeError, with a sentence, unless q, k, v and mask fit together."""
    check.floats(q=q, k=k, v=v)
    for name, array, form in (("q", q, "(..., T, D)"), ("k", k, "(..., S, D)"), ("v", v, "(..., S, D)")):
        check.dimensions(name, array, 2, form)
    check.shape("k", k, q.shape[:-2] + (k.shape[-2],) + q.shape[-1:], "as many heads and channels as q")
    check.shape("v", v, k.shape[:-1] + v.shape[-1:], "one value for each key")
    if k.shape[-2] == 0:
        raise ValueError(f"k must hold at least one key, but its shape is {k.shape}.")
    if mask is None:
        return
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        raise TypeError(f"mask must be a NumPy array of booleans, True = may attend, but it is {check.described(mask)}. "
                        f"Turn a mask of 0 and -inf with mask == 0.")
    scores_shape = q.shape[:-1] + (k.shape[-2],)
    try:
        fits = np.broadcast_shapes(mask.shape, scores_shape) == scores_shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"mask must broadcast to the scores' shape (..., T, S) = {scores_shape}, but it has {mask.shape}.")

"""Wrong backwards of cross_entropy and attention: the checker must reject every one."""
import numpy as np
from wrong import wrong

from nanolm.layers import attention, cross_entropy, dropout, softmax


# -------------------------------------------------------------------------------- cross_entropy
def _rows(cache):
    logits, log_sum, rows, picked, s = cache
    return logits.size // logits.shape[-1], max(len(rows), 1)


@wrong("cross_entropy")
def ignore_index_taken_for_a_column(dloss, cache):                           # M: IndexError if V < 100, else silent
    logits, log_sum, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    dz[np.setdiff1d(np.arange(len(dz)), rows), -100] -= float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


# -------------------------------------------------------------------------------- attention
def _own(dy, cache, dscores_of):
    """attention.backward with dscores = dscores_of(dP, P) in place of softmax.backward."""
    q, k, v, kept, scale, (P, _), c_dropout = cache
    dP = dropout.backward(dy @ v.swapaxes(-1, -2), c_dropout)
    ds = dscores_of(dP, P) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, kept.swapaxes(-1, -2) @ dy


@wrong("attention")
def dv_not_turned(dy, cache):                                                # M: runs only if T == S
    dq, dk, dv = attention.backward(dy, cache)
    P = cache[3]
    return dq, dk, P @ dy if P.shape[-1] == P.shape[-2] else dv


@wrong("attention")
def dk_not_turned(dy, cache):                                                # M
    q, k, v, kept, scale, (P, _), c_dropout = cache
    dq, dk, dv = attention.backward(dy, cache)
    dP = dropout.backward(dy @ v.swapaxes(-1, -2), c_dropout)
    return dq, softmax.backward(dP, (P, -1)) * scale @ q if P.shape[-1] == P.shape[-2] else dk, dv


def _mask_after_softmax(q, k, v, mask=None, dropout=0.0, rng=None):
    P, c = softmax.forward(q @ k.swapaxes(-1, -2) / q.shape[-1]**0.5)
    kept = P if mask is None else P * mask
    return kept @ v, (q, k, v, kept, 1 / q.shape[-1]**0.5, c, (None, 1.0))


@wrong("attention", _mask_after_softmax)
def mask_forgotten_after_softmax(dy, cache):                                 # M: the mask belongs in dP too
    return attention.backward(dy, cache)


@wrong("attention")
def writes_to_cached_weights(dy, cache):                                     # M
    def dscores(dP, P):
        P *= dP - (dP * P).sum(axis=-1, keepdims=True)
        return P
    return _own(dy, cache, dscores)


@wrong("attention")
def key_gradient_not_centred(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    return dq, dk + 1e-7, dv

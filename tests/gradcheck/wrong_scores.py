"""Wrong backwards of cross_entropy and attention: the checker must reject every one."""
import numpy as np
from wrong import wrong

from nanolm.layers import attention, cross_entropy, dropout, softmax


# -------------------------------------------------------------------------------- cross_entropy
def _rows(cache):
    logits, log_sum, rows, picked, s = cache
    return logits.size // logits.shape[-1], max(len(rows), 1)


@wrong("cross_entropy")
def not_divided_by_n(dloss, cache):                                          # M
    return cross_entropy.backward(dloss, cache) * _rows(cache)[1]


@wrong("cross_entropy")
def divided_twice_by_n(dloss, cache):                                        # M
    return cross_entropy.backward(dloss, cache) / _rows(cache)[1]


@wrong("cross_entropy")
def divided_by_batch(dloss, cache):                                          # M
    return cross_entropy.backward(dloss, cache) * (_rows(cache)[1] / len(cache[0]))


@wrong("cross_entropy")
def divided_by_all_rows(dloss, cache):                                       # M
    n, valid = _rows(cache)
    return cross_entropy.backward(dloss, cache) * (valid / n)


@wrong("cross_entropy")
def ignored_rows_not_zero(dloss, cache):                                     # M
    logits, log_sum, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    others = np.setdiff1d(np.arange(len(dz)), rows)
    p = softmax.forward(logits.reshape(dz.shape))[0]
    dz[others] = p[others] * float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


@wrong("cross_entropy")
def ignore_index_taken_for_a_column(dloss, cache):                           # M: IndexError if V < 100, else silent
    logits, log_sum, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    dz[np.setdiff1d(np.arange(len(dz)), rows), -100] -= float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


@wrong("cross_entropy")
def sign(dloss, cache):                                                      # M
    return -cross_entropy.backward(dloss, cache)


@wrong("cross_entropy")
def target_forgotten(dloss, cache):                                          # M: p in place of p - onehot
    logits, log_sum, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    dz[rows, picked] += (1 - s) * float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


@wrong("cross_entropy")
def dloss_ignored(dloss, cache):                                             # M
    return cross_entropy.backward(1.0, cache)


@wrong("cross_entropy")
def smoothing_forgotten(dloss, cache):
    return cross_entropy.backward(dloss, (*cache[:4], 0.0))


@wrong("cross_entropy")
def nan_where_nothing_counts(dloss, cache):
    dz, count = cross_entropy.backward(dloss, cache), len(cache[2])
    return dz if count else dz + np.nan


# -------------------------------------------------------------------------------- attention
def _own(dy, cache, dscores_of):
    """attention.backward with dscores = dscores_of(dP, P) in place of softmax.backward."""
    q, k, v, kept, scale, (P, _), c_dropout = cache
    dP = dropout.backward(dy @ v.swapaxes(-1, -2), c_dropout)
    ds = dscores_of(dP, P) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, kept.swapaxes(-1, -2) @ dy


@wrong("attention")
def no_scale(dy, cache):                                                     # M
    dq, dk, dv = attention.backward(dy, cache)
    return dq / cache[4], dk / cache[4], dv


@wrong("attention")
def scaled_twice(dy, cache):                                                 # M: or 1 / D
    dq, dk, dv = attention.backward(dy, cache)
    return dq * cache[4], dk * cache[4], dv


@wrong("attention")
def diagonal_softmax(dy, cache):                                             # M
    return _own(dy, cache, lambda dP, P: P * (1 - P) * dP)


@wrong("attention")
def softmax_skipped(dy, cache):                                              # M
    return _own(dy, cache, lambda dP, P: dP)


@wrong("attention")
def softmax_over_queries(dy, cache):                                         # M
    return _own(dy, cache, lambda dP, P: P * (dP - (dP * P).sum(axis=-2, keepdims=True)))


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
def nan_in_empty_rows(dy, cache):                                            # M
    def dscores(dP, P):
        total = P.sum(axis=-1, keepdims=True)
        with np.errstate(all="ignore"):
            return softmax.backward(dP, (P, -1)) / np.where(total == 0, np.nan, 1)
    return _own(dy, cache, dscores)


@wrong("attention")
def writes_to_cached_weights(dy, cache):                                     # M
    def dscores(dP, P):
        P *= dP - (dP * P).sum(axis=-1, keepdims=True)
        return P
    return _own(dy, cache, dscores)


@wrong("attention")
def dropout_forgotten(dy, cache):
    return attention.backward(dy, (*cache[:6], (None, 1.0)))


@wrong("attention")
def q_and_k_exchanged(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    return dk, dq, dv


@wrong("attention")
def key_gradient_not_centred(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    return dq, dk + 1e-7, dv

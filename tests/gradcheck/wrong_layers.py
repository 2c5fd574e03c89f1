"""Wrong backwards of the single layers, as students write them: the checker must reject every one.

Each takes nanolm's own cache. "M" in a comment: an entry of the list of known mistakes in hand-written backward passes.
`wrong` files a function under its layer; forward= is given where the mistake sits in what forward keeps or does.
"""
import numpy as np

from nanolm.layers import attention, cross_entropy, dropout, embedding, gelu, layernorm, linear, positions, softmax

WRONG = []                               # (layer, forward or None, backward)


def wrong(layer, forward=None):
    def file(function):
        WRONG.append((layer, forward, function))
        return function
    return file


# -------------------------------------------------------------------------------- linear
@wrong("linear")
def weight_from_last_sequence_only(dy, cache):                               # M
    dx, dweight, dbias = linear.backward(dy, cache)
    x = cache[0]
    return dx, x[-1].T @ dy[-1] if x.ndim == 3 else dweight, dbias


@wrong("linear")
def mean_over_tokens(dy, cache):                                             # M
    dx, dweight, dbias = linear.backward(dy, cache)
    n = dy.size // dy.shape[-1]
    return dx, dweight / n, dbias


@wrong("linear")
def mean_over_batch(dy, cache):                                              # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight / len(dy), dbias


@wrong("linear")
def weight_turned(dy, cache):                                                # M: dW = dout.T @ x
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight.T, dbias


@wrong("linear")
def input_not_turned(dy, cache):                                             # M: dx = dout @ W, runs when square
    dx, dweight, dbias = linear.backward(dy, cache)
    weight = cache[1]
    return (dy @ weight if weight.shape[0] == weight.shape[1] else dx), dweight, dbias


def _linear_writes(x, weight, bias=None):
    y, cache = linear.forward(x, weight, bias)
    x *= 2                                                                   # M: x is changed after it was used
    return y, cache


@wrong("linear", _linear_writes)
def x_changed_later(dy, cache):
    return linear.backward(dy, cache)


@wrong("linear")
def bias_not_summed(dy, cache):                                              # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight, None if dbias is None else dy


@wrong("linear")
def bias_summed_over_first_axis_only(dy, cache):                             # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight, None if dbias is None else dy.sum(axis=0)


@wrong("linear")
def bias_mean(dy, cache):                                                    # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight, None if dbias is None else dbias / (dy.size // dy.shape[-1])


@wrong("linear")
def bias_kept_dims(dy, cache):                                               # M: size-1 axes not removed
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight, None if dbias is None else dbias[None]


@wrong("linear")
def one_gradient_missing(dy, cache):
    return linear.backward(dy, cache)[:2]


@wrong("linear")
def order_changed(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    return dweight, dx, dbias


@wrong("linear")
def float32_inside(dy, cache):                                               # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx.astype(np.float32).astype(np.float64), dweight, dbias


@wrong("linear")
def integers_inside(dy, cache):                                              # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight.astype(int).astype(float), dbias


@wrong("linear")
def one_entry_a_millionth_off(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    dweight.flat[-1] *= 1 + 1e-6
    return dx, dweight, dbias


@wrong("linear")
def adds_to_dy(dy, cache):                                                   # M: dout modified in place
    result = linear.backward(dy, cache)
    dy += 1
    return result


_last = []


def _linear_remembers(x, weight, bias=None):
    y, cache = linear.forward(x, weight, bias)
    _last[:] = [cache]
    return y, cache


@wrong("linear", _linear_remembers)
def cache_of_the_last_forward(dy, cache):                                    # M: stale cache
    return linear.backward(dy, _last[0])


_buffer = {}


@wrong("linear")
def buffer_used_again(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    mine = _buffer.setdefault((dx.shape, dx.dtype), np.empty_like(dx))
    mine[...] = dx
    return mine, dweight, dbias


# -------------------------------------------------------------------------------- gelu
@wrong("gelu")
def no_x_phi(dy, cache):                                                     # M
    return dy * cache[2]


@wrong("gelu")
def no_inner_derivative(dy, cache):                                          # M
    x, form, share = cache
    return dy * (share + x * 2 * share * (1 - share))


@wrong("gelu")
def relu_derivative(dy, cache):                                              # M
    return dy * (cache[0] > 0)


@wrong("gelu")
def erf_derivative_after_tanh(dy, cache):                                    # M: off by 8.7e-4 at most
    x = cache[0]
    return gelu.backward(dy, gelu.forward(x, "erf")[1])


@wrong("gelu")
def tanh_derivative_after_erf(dy, cache):
    return gelu.backward(dy, gelu.forward(cache[0], "tanh")[1])


@wrong("gelu")
def cube_differentiated_wrongly(dy, cache):
    x, form, share = cache
    du = gelu.K * (1 + 2 * gelu.A * x * x)
    return dy * (share + x * 2 * share * (1 - share) * du) if form == "tanh" else gelu.backward(dy, cache)


@wrong("gelu")
def gelu_in_a_tuple(dy, cache):
    return (gelu.backward(dy, cache),)


# -------------------------------------------------------------------------------- softmax
@wrong("softmax")
def diagonal_only(dy, cache):                                                # M
    y = cache[0]
    return y * (1 - y) * dy


@wrong("softmax")
def average_not_subtracted(dy, cache):                                       # M
    return cache[0] * dy


@wrong("softmax")
def no_keepdims(dy, cache):                                                  # M: crashes unless square
    y, axis = cache
    return y * (dy - (dy * y).sum(axis=axis))


@wrong("softmax")
def other_axis(dy, cache):                                                   # M
    y, axis = cache
    return y * (dy - (dy * y).sum(axis=axis - 1, keepdims=True))


@wrong("softmax")
def always_last_axis(dy, cache):
    return softmax.backward(dy, (cache[0], -1))


@wrong("softmax")
def zeros(dy, cache):                                                        # M: passes every check with ones as dy
    return np.zeros_like(dy)


@wrong("softmax")
def writes_to_cached_y(dy, cache):
    y, axis = cache
    y *= dy - (dy * y).sum(axis=axis, keepdims=True)
    return y


# -------------------------------------------------------------------------------- embedding
@wrong("embedding")
def rows_assigned(dy, cache):                                                # M
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    dweight[ids] = dy
    return dweight


@wrong("embedding")
def rows_added_by_index(dy, cache):                                          # M
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    dweight[ids] += dy
    return dweight


@wrong("embedding")
def mean_of_repeats(dy, cache):                                              # M
    ids, V = cache
    counts = np.maximum(np.bincount(ids.ravel(), minlength=V), 1).astype(dy.dtype)
    return embedding.backward(dy, cache) / counts[:, None]


@wrong("embedding")
def first_sequence_only(dy, cache):                                          # M
    ids, V = cache
    return embedding.backward(dy[0], (ids[0], V)) if ids.ndim > 1 else embedding.backward(dy, cache)


@wrong("embedding")
def table_as_long_as_the_largest_id(dy, cache):
    return embedding.backward(dy, (cache[0], int(cache[0].max()) + 1))


@wrong("embedding")
def gradient_for_the_ids_too(dy, cache):
    return np.zeros(cache[0].shape), embedding.backward(dy, cache)


@wrong("embedding")
def row_zero_taken_for_padding(dy, cache):
    dweight = embedding.backward(dy, cache)
    dweight[0] = 0
    return dweight


# -------------------------------------------------------------------------------- positions
@wrong("positions")
def positions_mean_over_batch(dy, cache):
    dx, dweight = positions.backward(dy, cache)
    return dx, dweight / len(dy)


@wrong("positions")
def offset_forgotten(dy, cache):
    return positions.backward(dy, (cache[0], 0))


@wrong("positions")
def only_the_rows_used(dy, cache):
    dx, dweight = positions.backward(dy, cache)
    return dx, dweight[cache[1]:cache[1] + dy.shape[-2]]


@wrong("positions")
def first_of_the_batch(dy, cache):
    rows, offset = cache
    return dy, positions.backward(dy[:1], cache)[1] if dy.ndim == 3 else positions.backward(dy, cache)[1]


@wrong("positions")
def added_to_all_rows(dy, cache):
    dx, dweight = positions.backward(dy, cache)
    return dx, np.zeros_like(dweight) + dweight.mean(axis=0, keepdims=True)


@wrong("positions")
def dx_lost(dy, cache):
    return np.zeros_like(dy), positions.backward(dy, cache)[1]


# -------------------------------------------------------------------------------- layernorm
def _terms(dy, cache):
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd
    return x, weight, mean, rstd, n, dy * weight, layernorm.backward(dy, cache)


def _average(a):
    return a.mean(axis=-1, keepdims=True)


@wrong("layernorm")
def mean_term_dropped(dy, cache):                                            # M
    _, _, _, rstd, n, dn, (_, dweight, dbias) = _terms(dy, cache)
    return rstd * (dn - n * _average(dn * n)), dweight, dbias


@wrong("layernorm")
def variance_term_dropped(dy, cache):                                        # M
    _, _, _, rstd, n, dn, (_, dweight, dbias) = _terms(dy, cache)
    return rstd * (dn - _average(dn)), dweight, dbias


@wrong("layernorm")
def both_terms_dropped(dy, cache):                                           # M
    _, _, _, rstd, _, dn, (_, dweight, dbias) = _terms(dy, cache)
    return rstd * dn, dweight, dbias


@wrong("layernorm")
def ddof_one(dy, cache):                                                     # M
    x, _, _, rstd, n, dn, (_, dweight, dbias) = _terms(dy, cache)
    C = x.shape[-1]
    return rstd * (dn - _average(dn) - n * (dn * n).sum(axis=-1, keepdims=True) / (C - 1)), dweight, dbias


@wrong("layernorm")
def sum_in_place_of_mean(dy, cache):                                         # M
    _, _, _, rstd, n, dn, (_, dweight, dbias) = _terms(dy, cache)
    return rstd * (dn - dn.sum(axis=-1, keepdims=True) - n * (dn * n).sum(axis=-1, keepdims=True)), dweight, dbias


@wrong("layernorm")
def gain_outside(dy, cache):                                                 # M: exact at gain 1
    _, weight, _, rstd, n, _, (_, dweight, dbias) = _terms(dy, cache)
    return weight * rstd * (dy - _average(dy) - n * _average(dy * n)), dweight, dbias


@wrong("layernorm")
def gain_forgotten(dy, cache):                                               # M
    _, _, _, rstd, n, _, (_, dweight, dbias) = _terms(dy, cache)
    return rstd * (dy - _average(dy) - n * _average(dy * n)), dweight, dbias


@wrong("layernorm")
def no_rstd(dy, cache):                                                      # M
    _, _, _, _, n, dn, (_, dweight, dbias) = _terms(dy, cache)
    return dn - _average(dn) - n * _average(dn * n), dweight, dbias


@wrong("layernorm")
def dweight_from_x(dy, cache):                                               # M
    x, *_, (dx, _, dbias) = _terms(dy, cache)
    return dx, (dy * x).reshape(-1, x.shape[-1]).sum(axis=0), dbias


@wrong("layernorm")
def dweight_summed_over_first_axis_only(dy, cache):                          # M
    *_, n, _, (dx, _, dbias) = _terms(dy, cache)
    return dx, (dy * n).sum(axis=0), dbias


@wrong("layernorm")
def dweight_mean(dy, cache):                                                 # M
    dx, dweight, dbias = layernorm.backward(dy, cache)
    return dx, dweight / (dy.size // dy.shape[-1]), dbias


@wrong("layernorm")
def eps_forgotten(dy, cache):
    x, weight, mean, rstd = cache
    return layernorm.backward(dy, (x, weight, mean, 1 / x.std(axis=-1, keepdims=True)))


# -------------------------------------------------------------------------------- dropout
@wrong("dropout")
def no_mask(dy, cache):                                                      # M
    return dy * cache[1]


@wrong("dropout")
def not_divided(dy, cache):                                                  # M
    return dy if cache[0] is None else dy * cache[0]


@wrong("dropout")
def divided_twice(dy, cache):
    return dropout.backward(dy, cache) * cache[1]


_rng = np.random.default_rng(9)


@wrong("dropout")
def new_mask(dy, cache):                                                     # M
    return dy if cache[0] is None else dy * (_rng.random(dy.shape) < 1 / cache[1]) * cache[1]


@wrong("dropout")
def new_mask_of_a_fixed_seed(dy, cache):
    return dy if cache[0] is None else dy * (np.random.default_rng(0).random(dy.shape) < 1 / cache[1]) * cache[1]


@wrong("dropout", lambda x, rate, rng: dropout.forward(x, rate, np.random.default_rng()))
def active_in_evaluation(dy, cache):                                         # M: forward is not a function
    return dropout.backward(dy, cache)


@wrong("dropout")
def mask_turned_round(dy, cache):
    return dy if cache[0] is None else dy * ~cache[0] * cache[1]


# -------------------------------------------------------------------------------- cross_entropy
def _rows(cache):
    logits, lse, rows, picked, s = cache
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
    logits, lse, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    others = np.setdiff1d(np.arange(len(dz)), rows)
    dz[others] = np.exp(logits.reshape(dz.shape)[others] - lse[others]) * float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


@wrong("cross_entropy")
def ignore_index_taken_for_a_column(dloss, cache):                           # M: IndexError if V < 100, else silent
    logits, lse, rows, picked, s = cache
    dz = cross_entropy.backward(dloss, cache).reshape(-1, logits.shape[-1])
    dz[np.setdiff1d(np.arange(len(dz)), rows), -100] -= float(dloss) / _rows(cache)[1]
    return dz.reshape(logits.shape)


@wrong("cross_entropy")
def sign(dloss, cache):                                                      # M
    return -cross_entropy.backward(dloss, cache)


@wrong("cross_entropy")
def target_forgotten(dloss, cache):                                          # M: p in place of p - onehot
    logits, lse, rows, picked, s = cache
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

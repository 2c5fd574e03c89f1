"""Wrong backwards of embedding, positions, layernorm and dropout: the checker must reject every one."""
import numpy as np
from wrong import wrong

from nanolm.layers import dropout, embedding, layernorm, positions


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

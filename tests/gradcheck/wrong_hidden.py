"""Wrong backwards that are right almost everywhere: only for some shapes, sizes, layouts or calls. All must be rejected."""
import numpy as np
from wrong import wrong

from nanolm.layers import attention, cross_entropy, dropout, embedding, gelu, layernorm, linear, multihead, positions, softmax
from nanolm.models import gpt2


# -------------------------------------------------------------------------------- only for some dy
@wrong("linear")
def gradients_clipped_inside(dy, cache):
    return tuple(None if g is None else np.clip(g, -1e3, 1e3) for g in linear.backward(dy, cache))


@wrong("linear")
def small_dy_dropped(dy, cache):
    return linear.backward(np.where(np.abs(dy) < 1e-5, 0, dy), cache)


@wrong("cross_entropy")
def dloss_clipped(dloss, cache):
    return cross_entropy.backward(float(np.clip(dloss, -100, 100)), cache)


@wrong("cross_entropy")
def small_dloss_dropped(dloss, cache):
    return cross_entropy.backward(float(dloss) * (abs(float(dloss)) > 1e-4), cache)


# -------------------------------------------------------------------------------- only for some x
@wrong("gelu")
def flat_beyond_five(dy, cache):
    x = cache[0]
    return np.where(np.abs(x) > 5, dy * (x > 0), gelu.backward(dy, cache))


@wrong("gelu")
def tanh_by_exponentials(dy, cache):                                         # inf / inf far out
    x, form, share = cache
    e = np.exp(gelu.K * (x + gelu.A * x**3))
    share = (1 + (e - 1 / e) / (e + 1 / e)) / 2
    return gelu.backward(dy, (x, form, share) if form == "tanh" else cache)


def _naive_softmax(x, axis=-1):
    e = np.exp(x)
    y = e / e.sum(axis=axis, keepdims=True)
    return y, (y, axis)


@wrong("softmax", _naive_softmax)
def largest_not_subtracted(dy, cache):
    return softmax.backward(dy, cache)


@wrong("softmax")
def small_shares_dropped(dy, cache):
    return softmax.backward(dy, cache) * (cache[0] > 1e-4)


@wrong("cross_entropy")
def largest_logit_not_subtracted(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    z = logits.reshape(-1, logits.shape[-1])
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    return cross_entropy.backward(dloss, (np.log(p).reshape(logits.shape), log_sum, rows, picked, s))


@wrong("attention")
def small_weights_dropped(dy, cache):
    q, k, v, kept, scale, (P, axis), c_dropout = cache
    return attention.backward(dy, (q, k, v, kept, scale, (P * (P > 1e-3), axis), c_dropout))


@wrong("layernorm")
def divided_by_the_standard_deviation(dy, cache):                            # 0 / 0 where all channels are equal
    x, weight, mean, rstd = cache
    std = x.std(axis=-1, keepdims=True)
    n = (x - mean) / std * (std * rstd)
    dn = dy * weight
    dx = rstd * (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True))
    return (dx, *layernorm.backward(dy, cache)[1:])


# -------------------------------------------------------------------------------- only for some shapes
@wrong("linear")
def bias_of_four_axes(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight, dy[0].sum(axis=(0, 1)) if dy.ndim == 4 and dbias is not None else dbias


@wrong("linear")
def eight_rows_at_most(dy, cache):
    x, dx_etc = cache[0], linear.backward(dy, cache)
    return dx_etc[0], x.reshape(-1, x.shape[-1])[:8].T @ dy.reshape(-1, dy.shape[-1])[:8], dx_etc[2]


@wrong("layernorm")
def gain_and_bias_of_four_axes(dy, cache):
    dx, dweight, dbias = layernorm.backward(dy, cache)
    return dx, dweight, dy[0].sum(axis=(0, 1)) if dy.ndim == 4 else dbias


@wrong("positions")
def offset_beyond_two(dy, cache):
    dx, dweight = positions.backward(dy, cache)
    return dx, np.roll(dweight, 1, axis=0) if cache[1] > 2 else dweight


@wrong("positions")
def batch_of_two_axes(dy, cache):
    dx, dweight = positions.backward(dy, cache)
    return dx, positions.backward(dy[0], cache)[1] if dy.ndim == 4 else dweight


@wrong("cross_entropy")
def targets_of_three_axes(dloss, cache):
    dz = cross_entropy.backward(dloss, cache)
    return dz if dz.ndim < 4 else 0 * dz


@wrong("attention")
def more_queries_than_keys(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    return dq, dk if dq.shape[-2] <= dk.shape[-2] else 0 * dk, dv


@wrong("multihead")
def two_heads_in_self_attention(dy, cache):
    dx, *more = multihead.backward(dy, cache)
    return (1.5 * dx if not cache[0] and cache[1] > 2 else dx, *more)


@wrong("multihead")
def more_heads_than_one(dy, cache):
    dx, *more = multihead.backward(dy, cache)
    return (1.5 * dx if cache[1] == 1 else dx, *more)


@wrong("softmax")
def last_but_one_axis_taken_for_the_last(dy, cache):
    y, axis = cache
    return softmax.backward(dy, (y, -1 if axis == -2 else axis))


@wrong("embedding")
def twelve_ids_at_most(dy, cache):
    ids, V = cache
    return embedding.backward(dy.reshape(-1, dy.shape[-1])[:12], (ids.reshape(-1)[:12], V))


@wrong("attention")
def one_query_only(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    return dq, dk if dq.shape[-2] > 1 else 0 * dk, dv


@wrong("attention")
def first_tile_of_keys_only(dy, cache):
    dq, dk, dv = attention.backward(dy, cache)
    dk[..., 64:, :] = 0
    return dq, dk, dv


@wrong("attention")
def dropout_where_the_mask_forbids(dy, cache):
    q, k, v, kept, scale, (P, axis), (keep, c) = cache
    dq, dk, dv = attention.backward(dy, cache)
    return (dq, dk, dv) if keep is None or P.all() else attention.backward(dy, (*cache[:6], (keep, 1.5 * c)))


@wrong("multihead")
def memory_of_one_sequence(dy, cache):
    *dx, dp = multihead.backward(dy, cache)
    return (*dx[:1], *(0 * d if len(dy) == 1 else d for d in dx[1:]), dp)


@wrong("gpt2")
def one_token_only(cache):
    dp, ids = gpt2.backward(cache), cache[0][0]
    return {**dp, "wpe": {"weight": dp["wpe"]["weight"] * (ids.size > 1)}}


@wrong("gpt2")
def first_and_last_block_only(cache):
    def zeros(tree):
        return {k: zeros(v) for k, v in tree.items()} if isinstance(tree, dict) else 0 * tree
    dp = gpt2.backward(cache)
    ends = ("0", str(len(dp["h"]) - 1))
    return {**dp, "h": {i: d if i in ends else zeros(d) for i, d in dp["h"].items()}}


# -------------------------------------------------------------------------------- only for some layouts and calls
@wrong("linear")
def x_taken_as_it_lies(dy, cache):
    x, weight, has_bias = cache
    return linear.backward(dy, (x.ravel("K").reshape(x.shape), weight, has_bias))


@wrong("layernorm")
def x_taken_as_it_lies_here_too(dy, cache):
    x, *more = cache
    return layernorm.backward(dy, (x.ravel("K").reshape(x.shape), *more))


@wrong("attention")
def keys_taken_as_they_lie(dy, cache):
    q, k, *more = cache
    return attention.backward(dy, (q, k.ravel("K").reshape(k.shape), *more))


@wrong("dropout")
def written_to_a_copy(dy, cache):                                            # reshape copies if dy is not contiguous
    dx = np.zeros_like(dy)
    dx.reshape(-1)[:] = dropout.backward(dy, cache).reshape(-1)
    return dx


_kept = {}


@wrong("gpt2")
def gradient_of_the_first_call(cache):                                       # of this shape and precision
    wte = cache[5][0]
    key = (cache[0][0].shape, wte[0].shape, wte[0].dtype.name)
    if key not in _kept:
        _kept[key] = gpt2.backward(cache)
    return _kept[key]


@wrong("linear")
def none_in_the_middle(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    return (dx, None, dweight) if dbias is None else (dx, dweight, dbias)


@wrong("linear")
def none_in_front(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    return (None, dx, dweight) if dbias is None else (dx, dweight, dbias)

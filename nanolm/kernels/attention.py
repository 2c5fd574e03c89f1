"""Fast attention: the scores are made, used and forgotten, a tile of 64 queries by 64 keys at a time.

The plain attention writes all T S scores of a head to memory, reads them for the softmax, writes P, reads it again. At
T = 1,024 that is 4 MB a head and pass, far more than the 1 MB of a core's own cache. Here a tile of scores, 16 KB, is
finished while it is still in the nearest cache, and nothing of size T x S is ever made.

The softmax of a row needs the sum over all keys before the first weight is known. The online softmax does without: go
through the keys in blocks, and keep for each query its largest score m so far, the sum l of exp(s - m), and the sum
acc of exp(s - m) v. When a block raises m to m', what was summed is off by one factor, the same for all of the row:

    l   <- l   exp(m - m') + sum_j exp(s_j - m')                                                                  (F1)
    acc <- acc exp(m - m') + sum_j exp(s_j - m') v_j                                                              (F2)
    at the end   y = acc / l,     lse = m + ln l                                                                  (F3)

Backward needs P again. It is not kept: from q, k and the one number lse a row,

    P_ij = exp(s_ij - lse_i)                                                                                      (F4)

is computed once more, a tile at a time; five products where the plain backward has four. Of the softmax's backward,
dS = P (dP - sum_l dP_l P_l), the sum is known before any tile is made:

    sum_l dP_l P_l = sum_l (dy . v_l) P_l = dy . y                                                                (F5)

Tiles in which the mask forbids everything are skipped: half of them, if it is causal. `tiles.py` tells which.
The loops over a tile are in tile_loops.py. The products are made on whole tiles by tile_product.py; rows and channels that
a tile does not have are 0. With dropout P is multiplied by a number that is drawn from the position alone (random_bits.py),
so backward draws the same again.

A query that may attend to nothing gets zeros, as in the plain layer; here lse = inf says so: exp(s - inf) = 0.
A masked value that is NaN or inf may stay unseen here, where the plain layer has 0 * NaN = NaN.

Source    online softmax: Milakov, Gimelshein 2018, arXiv:1805.02867, algorithm 3; the tiles, and recomputing in
          backward: Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4.
Derived   notebooks/17_fast_attention.ipynb.  Tested  tests/kernels/, and everything that holds layers/attention.py.
"""
import math

import numpy as np

from nanolm import threads
from nanolm.kernels import plain, stands_in, tiles
from nanolm.kernels.compiled import entry
from nanolm.kernels.random_bits import seed_from
from nanolm.kernels.tile_loops import (drop, finish, gather, gather_turned, inner, padded, raise_maxima, rescale, scatter,
                                       softmax_backward, sum_of_shares)
from nanolm.kernels.tile_product import product
from nanolm.kernels.tiles import ALL, NONE, TILE
from nanolm.kernels.usual import Cache, fitting, floats
from nanolm.layers import attention as layer, check, dropout as dropout_layer, softmax


def forward(q, k, v, mask=None, dropout=0.0, rng=None):
    """Return y (..., T, E) and the cache (q, k, v, y, lse, ...): one number a query, and nothing of size T x S.

    Arguments and errors as in layers/attention.py.
    """
    if not own() or not floats(q, k, v) or not 2 <= q.ndim <= 4 or q.shape[-2] == 1:    # one query is no tile
        return plain("attention", "forward")(q, k, v, mask, dropout, rng)
    layer.check_arguments(q, k, v, mask)
    rate = check.share("dropout", dropout) if rng is not None else 0.0
    (B, H, T, D), (S, E) = four_axes(q).shape, v.shape[-2:]
    shape = np.array((H, T, S, D, E), np.int64)
    drops = np.array((rate * 2**32, seed_from(rng) if rate > 0 else 0), np.int64)
    kinds, allowed, steps = tiles.of(mask, T, S)
    y = np.empty((B, T, H, E), q.dtype)                                     # a token's heads side by side, as merge wants it
    lse = np.empty(B * H * T, q.dtype)
    y_heads = y.transpose(0, 2, 1, 3)
    flat, strides = flatten(q, k, v, y_heads)

    def heads(start, stop):
        forward_heads(*flat, lse, strides, shape, kinds, allowed, steps, drops, 1 / (1 - rate), start, stop)

    threads.split(heads, B * H, least=1 + 2**17 // (T * S))
    y = y_heads.reshape(q.shape[:-1] + (E,))
    return y, Cache((q, k, v, y, lse, kinds, allowed, steps, drops, rate))


def backward(dy, cache):
    """Return dq, dk, dv, shaped like q, k, v."""
    if type(cache) is not Cache:
        return plain("attention", "backward")(dy, cache)
    q, k, v, y, lse, kinds, allowed, steps, drops, rate = cache
    dy = fitting(dy, y)
    (B, H, T, D), (S, E) = four_axes(q).shape, v.shape[-2:]
    shape = np.array((H, T, S, D, E), np.int64)
    if q.shape == k.shape == v.shape:                                       # side by side, as they came out of one product
        dq, dk, dv = np.empty((B, T, 3, H, D), q.dtype).transpose(2, 0, 3, 1, 4)
    else:
        dq, dk, dv = (np.empty((B, n, H, m), q.dtype).transpose(0, 2, 1, 3) for n, m in ((T, D), (S, D), (S, E)))
    flat, strides = flatten(q, k, v, y, dy, dq, dk, dv)

    def heads(start, stop):
        backward_heads(*flat, lse, strides, shape, kinds, allowed, steps, drops, 1 / (1 - rate), start, stop)

    threads.split(heads, B * H, least=1 + 2**16 // (T * S))
    return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)


def own():
    """Return whether softmax and dropout are nanolm's: a function that a student has put there must be called."""
    return (all(stands_in(softmax, name, softmax.__name__) for name in ("forward", "backward"))
            and all(any(stands_in(dropout_layer, name, home) for home in (dropout_layer.__name__, "nanolm.kernels.dropout"))
                    for name in ("forward", "backward")))


def four_axes(x):
    """Return x (..., T, D), of two to four axes, as (B, H, T, D): a view."""
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def flatten(*arrays):
    """Return flat views of arrays (B, H, T, D), and their strides in numbers: int64, three an array, for B, H and T.

    A kernel reads the rows of heads where they are, inside the packed (B, T, 3C), as flat[b s_b + h s_h + t s_t:][:D].
    """
    flat, strides = [], []
    for x in arrays:
        x = four_axes(x)
        if x.strides[-1] != x.itemsize or min(x.strides) < 0:
            x = np.ascontiguousarray(x)
        steps = [stride // x.itemsize for stride in x.strides]
        extent = 1 + sum((n - 1) * step for n, step in zip(x.shape, steps))
        flat.append(np.lib.stride_tricks.as_strided(x, (extent,), (x.itemsize,)))
        strides += steps[:3]
    return flat, np.array(strides, np.int64)


@entry("in1", "in1", "in1", "out1", "out1", "in64", "in64", "bytes", "bytes", "in64", "in64", "real", "int", "int")
def forward_heads(q, k, v, y, lse, strides, shape, kinds, allowed, steps, drops, lift, start, stop):
    """Write y and lse of the heads start ... stop - 1, counted through all B H of them."""
    H, T, S, D, E = shape
    dtype = q.dtype
    scale = dtype.type(1 / math.sqrt(D))
    n_i, n_j = -(-T // TILE), -(-S // TILE)
    qt, s, acc = np.empty((TILE, D), dtype), np.empty((TILE, TILE), dtype), np.empty((TILE, padded(E)), dtype)
    ks, vs = np.empty((n_j * D, TILE), dtype), np.zeros((n_j * TILE, padded(E)), dtype)     # tiles; the keys' turned, (D, TILE)
    m, l, factor = np.empty(TILE, dtype), np.empty(TILE, dtype), np.ones(TILE, dtype)
    for head in range(start, stop):
        b, h = head // H, head % H
        for j in range(n_j):
            at = b * strides[3] + h * strides[4] + j * TILE * strides[5]
            gather_turned(k, at, strides[5], min(TILE, S - j * TILE), ks[j * D:(j + 1) * D])
        gather(v, b * strides[6] + h * strides[7], strides[8], S, E, vs, dtype.type(1))
        for i in range(n_i):
            rows = min(TILE, T - i * TILE)
            at = b * strides[0] + h * strides[1] + i * TILE * strides[2]
            gather(q, at, strides[2], rows, D, qt, scale)                      # the scores' 1 / sqrt(D), once a query
            acc[:] = 0
            m[:] = -np.inf
            l[:] = 0
            for j in range(n_j):
                kind = kinds[b * steps[5] + h * steps[6] + i * n_j + j]
                if kind == NONE:
                    continue
                product(qt, False, ks[j * D:(j + 1) * D], s, False)         # a tile of scores
                if kind != ALL:
                    tiles.forbid(s, allowed, steps, b, h, i, j, rows, S)
                raise_maxima(s, rows, m, factor)
                sum_of_shares(s, rows, m, l, factor)                        # (F1)
                if drops[0] > 0:
                    drop(s, drops, lift, head, i, j, rows)
                rescale(acc, factor)
                product(s, False, vs[j * TILE:(j + 1) * TILE], acc, True)   # (F2)
            at = b * strides[9] + h * strides[10] + i * TILE * strides[11]
            finish(acc, m, l, rows, E, y, at, strides[11], lse, head * T + i * TILE)           # (F3)


@entry("in1", "in1", "in1", "in1", "in1", "out1", "out1", "out1", "in1", "in64", "in64", "bytes", "bytes", "in64", "in64",
       "real", "int", "int")
def backward_heads(q, k, v, y, dy, dq, dk, dv, lse, strides, shape, kinds, allowed, steps, drops, lift, start, stop):
    """Write dq, dk and dv of the heads start ... stop - 1."""
    H, T, S, D, E = shape
    dtype = q.dtype
    scale, one = dtype.type(1 / math.sqrt(D)), dtype.type(1)
    n_i, n_j = -(-T // TILE), -(-S // TILE)
    qs, dqs = np.zeros((n_i * TILE, padded(D)), dtype), np.empty((n_i * TILE, padded(D)), dtype)
    dys, delta = np.zeros((n_i * TILE, padded(E)), dtype), np.empty(T, dtype)
    kt, k_turned, v_turned = np.zeros((TILE, padded(D)), dtype), np.empty((D, TILE), dtype), np.empty((E, TILE), dtype)
    s, ds = np.empty((TILE, TILE), dtype), np.empty((TILE, TILE), dtype)
    dkt, dvt = np.empty((TILE, padded(D)), dtype), np.empty((TILE, padded(E)), dtype)
    for head in range(start, stop):
        b, h = head // H, head % H
        gather(q, b * strides[0] + h * strides[1], strides[2], T, D, qs, scale)
        gather(dy, b * strides[12] + h * strides[13], strides[14], T, E, dys, one)
        inner(dys, y, b * strides[9] + h * strides[10], strides[11], E, delta)              # (F5)
        dqs[:] = 0
        for j in range(n_j):
            columns = min(TILE, S - j * TILE)
            at = b * strides[3] + h * strides[4] + j * TILE * strides[5]
            gather(k, at, strides[5], columns, D, kt, one)
            gather_turned(k, at, strides[5], columns, k_turned)
            gather_turned(v, b * strides[6] + h * strides[7] + j * TILE * strides[8], strides[8], columns, v_turned)
            dkt[:] = 0
            dvt[:] = 0
            for i in range(n_i):
                kind = kinds[b * steps[5] + h * steps[6] + i * n_j + j]
                if kind == NONE:
                    continue
                rows = min(TILE, T - i * TILE)
                q_i, dy_i = qs[i * TILE:(i + 1) * TILE], dys[i * TILE:(i + 1) * TILE]
                product(q_i, False, k_turned, s, False)                     # the scores once more
                if kind != ALL:
                    tiles.forbid(s, allowed, steps, b, h, i, j, rows, S)
                product(dy_i, False, v_turned, ds, False)                   # dP = dy v^T
                if drops[0] > 0:
                    drop(ds, drops, lift, head, i, j, rows)                 # P was multiplied by the same numbers, ...
                softmax_backward(s, ds, rows, lse, head * T + i * TILE, delta, i * TILE)    # s = P and ds = dS from here on
                if drops[0] > 0:
                    drop(s, drops, lift, head, i, j, rows)                  # ... and this is what met v in forward
                product(s, True, dy_i, dvt, True)                           # dv = P^T dy
                product(ds, True, q_i, dkt, True)                           # dk = dS^T q scale; q_i has the scale
                product(ds, False, kt, dqs[i * TILE:(i + 1) * TILE], True)  # dq = dS k; its scale comes below
            scatter(dkt, dk, b * strides[18] + h * strides[19] + j * TILE * strides[20], strides[20], columns, D, one)
            scatter(dvt, dv, b * strides[21] + h * strides[22] + j * TILE * strides[23], strides[23], columns, E, one)
        scatter(dqs, dq, b * strides[15] + h * strides[16], strides[17], T, D, scale)

"""Answers to the exercise attention.backward, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong

from nanolm.layers import dropout as dropout_layer
from nanolm.layers import softmax


# ---------------------------------------------------------------------------------------- attention.backward, right
@right("attention.backward")
def through_einsum(dy, cache):
    q, k, v, kept, scale, (P, _), c_dropout = cache
    dP = dropout_layer.backward(np.einsum("...te,...se->...ts", dy, v), c_dropout)
    ds = P * (dP - np.einsum("...ts,...ts->...t", dP, P)[..., None]) * scale
    return [np.einsum("...ts,...sd->...td", ds, k), np.einsum("...ts,...td->...sd", ds, q),
            np.einsum("...ts,...te->...se", kept, dy)]


@right("attention.backward")
def one_query_at_a_time(dy, cache):
    q, k, v, kept, scale, (P, _), (keep, more) = cache
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for n in np.ndindex(q.shape[:-2]):
        for t in range(q.shape[-2]):
            dP = v[n] @ dy[n][t]
            if keep is not None:
                dP = dP * keep[n][t] * more
            ds = P[n][t] * (dP - dP @ P[n][t]) * scale
            dq[n][t] = ds @ k[n]
            dk[n] += np.outer(ds, q[n][t])
            dv[n] += np.outer(kept[n][t], dy[n][t])
    return dq, dk, dv


@right("attention.backward")
def with_the_whole_jacobian(dy, cache):
    q, k, v, kept, scale, (P, axis), (keep, more) = cache
    g = dy @ v.swapaxes(-1, -2)
    g = g if keep is None else np.where(keep, g * more, 0.0)
    J = P[..., :, None] * np.eye(P.shape[-1]) - P[..., :, None] * P[..., None, :]
    g = np.einsum("...ij,...j->...i", J, g)
    scaled_q, scaled_k = q * scale, k * scale                                # the scale, given to the other factor
    return (np.asfortranarray(g @ scaled_k), (scaled_q.swapaxes(-1, -2) @ g).swapaxes(-1, -2),
            (dy.swapaxes(-1, -2) @ kept).swapaxes(-1, -2))


@right("attention.backward")
def the_average_from_the_answer(dy, cache):
    """sum_l dP_il P_il = dy_i . y_i: the same number, without dP."""
    q, k, v, kept, scale, c_softmax, (keep, more) = cache
    P = c_softmax[0]
    y = kept @ v
    average = np.sum(dy * y, axis=-1, keepdims=True)
    grad = dy @ np.swapaxes(v, -1, -2)
    if keep is not None:
        grad *= keep
        grad *= more
    grad -= average
    grad *= P
    grad *= scale
    return grad @ k, np.swapaxes(grad, -1, -2) @ q, np.swapaxes(kept, -1, -2) @ dy


# ---------------------------------------------------------------------------------------- attention.backward, wrong
@wrong("attention.backward", "scale_missing")
def einsum_without_the_root(dy, cache):
    q, k, v, A, _, (P, _), c_drop = cache
    dA = dropout_layer.backward(np.einsum("...te,...se->...ts", dy, v), c_drop)
    dZ = P * dA - P * np.sum(P * dA, -1, keepdims=True)
    return np.einsum("...ts,...sd->...td", dZ, k), np.einsum("...ts,...td->...sd", dZ, q), np.einsum("...ts,...te->...se", A, dy)


@wrong("attention.backward", "softmax_diagonal")
def sigmoid_like(dy, cache):
    q, k, v, A, scale, (P, _), (keep, more) = cache
    up = dy @ v.swapaxes(-1, -2)
    if keep is not None:
        up = np.where(keep, up * more, 0)
    down = up * (P - P**2) / math.sqrt(q.shape[-1])
    return down @ k, np.einsum("...ts,...td->...sd", down, q), np.einsum("...ts,...te->...se", A, dy)


@wrong("attention.backward", "softmax_average_missing")
def in_three_loops(dy, cache):
    q, k, v, A, scale, (P, _), (keep, more) = cache
    dq, dk, dv = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
    for n in np.ndindex(q.shape[:-2]):
        for i in range(q.shape[-2]):
            for j in range(k.shape[-2]):
                g = dy[n][i] @ v[n][j]
                if keep is not None:
                    g = g * keep[n][i, j] * more
                z = P[n][i, j] * g * scale
                dq[n][i] += z * k[n][j]
                dk[n][j] += z * q[n][i]
                dv[n][j] += A[n][i, j] * dy[n][i]
    return dq, dk, dv


@wrong("attention.backward", "softmax_over_queries")
def average_along_the_columns(dy, cache):
    q, k, v, A, scale, (P, _), c_drop = cache
    g = dropout_layer.backward(np.matmul(dy, v.swapaxes(-2, -1)), c_drop)
    g = P * (g - np.einsum("...ts,...ts->...s", g, P)[..., None, :])
    return scale * np.matmul(g, k), scale * np.matmul(g.swapaxes(-2, -1), q), np.matmul(A.swapaxes(-2, -1), dy)


@wrong("attention.backward", "dropout_forgotten")
def as_if_nothing_was_dropped(dy, cache):
    q, k, v, A, scale, c_softmax, _ = cache
    ds = softmax.backward(np.einsum("...te,...se->...ts", dy, v), c_softmax) / q.shape[-1]**0.5
    return np.einsum("...ts,...sd->...td", ds, k), np.einsum("...ts,...td->...sd", ds, q), np.einsum("...ts,...te->...se", A, dy)


@wrong("attention.backward", "dv_before_dropout", "scale_on_dq_only")
def two_slips(dy, cache):
    q, k, v, A, scale, (P, axis), c_drop = cache
    d = softmax.backward(dropout_layer.backward(dy @ v.swapaxes(-1, -2), c_drop), (P, axis))
    return scale * (d @ k), np.swapaxes(d, -1, -2) @ q, np.swapaxes(P, -1, -2) @ dy


@wrong("attention.backward", "softmax_skipped", "dq_and_dk_exchanged")
def two_slips_in_the_scores(dy, cache):
    q, k, v, A, scale, _, c_drop = cache
    d = dropout_layer.backward(np.einsum("...te,...se->...ts", dy, v), c_drop) * scale
    return np.einsum("...ts,...td->...sd", d, q), np.einsum("...ts,...sd->...td", d, k), np.einsum("...ts,...te->...se", A, dy)


@wrong("attention.backward", "mask_lost")
def weights_made_again(dy, cache):
    q, k, v, _, scale, _, (keep, more) = cache
    z = np.einsum("...td,...sd->...ts", q, k) * scale
    e = np.exp(z - z.max(-1, keepdims=True))
    P = e / e.sum(-1, keepdims=True)
    drop = 1.0 if keep is None else keep * more
    dP = np.einsum("...te,...se->...ts", dy, v) * drop
    ds = P * (dP - (P * dP).sum(-1, keepdims=True)) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, (P * drop).swapaxes(-1, -2) @ dy


@wrong("attention.backward", "dk_not_turned", "raises")
def forgot_a_transpose(dy, cache):
    q, k, v, A, scale, c_softmax, c_drop = cache
    ds = softmax.backward(dropout_layer.backward(dy @ v.swapaxes(-1, -2), c_drop), c_softmax) * scale
    dq = ds @ k
    dk = ds @ q
    dv = A.swapaxes(-1, -2) @ dy
    return dq, dk, dv


@wrong("attention.backward", "changes_arguments")
def on_the_cached_weights(dy, cache):
    q, k, v, A, scale, (P, _), c_drop = cache
    dP = dropout_layer.backward(dy @ v.swapaxes(-1, -2), c_drop)
    dv = A.swapaxes(-1, -2) @ dy
    average = (dP * P).sum(-1, keepdims=True)
    P *= dP - average
    P *= scale
    return P @ k, P.swapaxes(-1, -2) @ q, dv


@wrong("attention.backward", "scale_twice", "softmax_of_dropped")
def dropped_weights_in_the_softmax(dy, cache):
    q, k, v, A, scale, _, c_drop = cache
    g = dropout_layer.backward(dy @ v.swapaxes(-1, -2), c_drop)
    g = A * (g - (A * g).sum(-1, keepdims=True)) / q.shape[-1]
    return g @ k, g.swapaxes(-1, -2) @ q, A.swapaxes(-1, -2) @ dy


@wrong("attention.backward", "some_rows", "partly", "near", "factor_by_row")
def last_query_forgotten(dy, cache):
    """An off-by-one that is not in the catalogue."""
    q, k, v, A, scale, c_softmax, c_drop = cache
    ds = softmax.backward(dropout_layer.backward(dy @ v.swapaxes(-1, -2), c_drop), c_softmax) * scale
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.swapaxes(A, -1, -2) @ dy
    for t in range(q.shape[-2] - 1):
        dq[..., t, :] = np.einsum("...s,...sd->...d", ds[..., t, :], k)
    dk = ds.swapaxes(-1, -2) @ q
    return dq, dk, dv


@wrong("attention.backward", "scale_from_values")
def width_of_the_wrong_array(dy, cache):
    q, k, v, A, _, c_softmax, c_drop = cache
    width = v.shape[-1]
    g = softmax.backward(dropout_layer.backward(np.matmul(dy, np.swapaxes(v, -1, -2)), c_drop), c_softmax)
    return np.matmul(g, k) / width**0.5, np.matmul(np.swapaxes(g, -1, -2), q) / width**0.5, np.matmul(np.swapaxes(A, -1, -2), dy)

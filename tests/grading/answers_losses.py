"""Answers to the exercises on cross-entropy, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- cross_entropy.backward, right
@right("cross_entropy.backward")
def one_hot_table(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - z.max(1, keepdims=True) - log_sum)
    q, counts = np.zeros_like(p), np.zeros((len(p), 1))
    q[rows] = (1 - s) * np.eye(V)[picked] + s / V
    counts[rows] = 1
    return (counts * (p - q) * dloss / max(1, len(rows))).reshape(logits.shape)


@right("cross_entropy.backward")
def place_by_place(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V, M = logits.shape[-1], len(rows)
    dz = [[0.0] * V for _ in range(logits.size // V)]
    z = logits.reshape(-1, V)
    for row, target in zip(rows, picked):
        top = max(z[row])
        e = [math.exp(one - top) for one in z[row]]
        for v in range(V):
            dz[row][v] = (e[v] / sum(e) - (1 - s) * (v == target) - s / V) * dloss / M
    return np.array(dz).reshape(logits.shape)


@right("cross_entropy.backward")
def add_at(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    if len(rows) == 0:
        return 0 * logits
    share = float(dloss) / len(rows)
    z = logits.reshape(-1, V)
    dz = np.zeros(z.shape)
    dz[rows] = np.exp(z[rows] - z[rows].max(-1)[:, None] - log_sum[rows]) * share - share * s / V
    np.subtract.at(dz, (rows, picked), share * (1 - s))
    return np.asfortranarray(dz.reshape(logits.shape))


# ---------------------------------------------------------------------------------------- cross_entropy.backward, wrong
@wrong("cross_entropy.backward", "divided_by_all_rows")
def mean_of_all(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    mask = np.zeros(len(z))
    mask[rows] = 1
    q = np.full(z.shape, s / V)
    q[rows, picked] += 1 - s
    p = np.exp(z - z.max(-1, keepdims=True) - log_sum)
    return (mask[:, None] * (p - q) / len(mask) * dloss).reshape(logits.shape)


@wrong("cross_entropy.backward", "target_in_every_row")
def colon_for_arange(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    d = np.zeros((logits.size // V, V))
    z = logits.reshape(-1, V)[rows]
    p = np.exp(z - z.max(axis=1)[:, None] - log_sum[rows]) - s / V
    p[:, picked] = p[:, picked] - (1 - s)
    d[rows] = p * dloss / max(len(rows), 1)
    return d.reshape(logits.shape)


@wrong("cross_entropy.backward", "largest_not_subtracted")
def log_sum_as_it_is(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V, M = logits.shape[-1], max(len(rows), 1)
    dz = np.zeros((len(log_sum), V))
    for i, t in zip(rows, picked):
        q = s / V + (1 - s) * (np.arange(V) == t)
        dz[i] = dloss / M * (np.exp(logits.reshape(-1, V)[i] - log_sum[i]) - q)
    return dz.reshape(logits.shape)


@wrong("cross_entropy.backward", "dloss_ignored", "smoothing_forgotten")
def as_if_nothing_followed(dloss, cache):
    """Neither dloss nor label smoothing: as in a first course."""
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    e = np.exp(z - z.max(-1, keepdims=True))
    grad = e / e.sum(-1, keepdims=True)
    grad[rows, picked] -= 1
    out = np.zeros_like(grad)
    out[rows] = grad[rows] / max(len(rows), 1)
    return out.reshape(logits.shape)


@wrong("cross_entropy.backward", "nan_where_nothing_counts")
def divided_by_none(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - z.max(-1, keepdims=True) - log_sum)
    on = np.isin(np.arange(len(z)), rows)[:, None]
    q = np.zeros_like(p)
    q[rows, picked] = 1 - s
    return (on * (p - q - s / V) * dloss / np.float64(len(rows))).reshape(logits.shape)


@wrong("cross_entropy.backward", "ignored_rows_not_zero", "not_divided_by_M")
def all_rows_and_no_average(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - np.max(z, 1, keepdims=True) - log_sum)
    for row, t in zip(rows, picked):
        p[row] -= s / V
        p[row, t] -= 1 - s
    return (p * dloss).reshape(logits.shape)


@wrong("cross_entropy.backward", "sign", "smoothing_over_others_only")
def target_less_share(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V, M = logits.shape[-1], max(len(rows), 1)
    dz = np.zeros_like(logits).reshape(-1, V)
    z = logits.reshape(-1, V)
    for i, t in zip(rows, picked):
        p = np.exp(z[i] - z[i].max())
        p /= p.sum()
        q = np.full(V, s / max(V - 1, 1))
        q[t] = 1 - s
        dz[i] = (q - p) * dloss / M
    return dz.reshape(logits.shape)


@wrong("cross_entropy.backward", "stops_at_the_shares")
def derivative_of_the_logarithm(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V, M = logits.shape[-1], max(len(rows), 1)
    z = logits.reshape(-1, V)[rows]
    logp = z - z.max(-1, keepdims=True) - log_sum[rows]
    q = (1 - s) * np.eye(V)[picked] + s / V
    dz = np.zeros((logits.size // V, V))
    dz[rows] = -dloss / M * q / np.exp(logp)
    return dz.reshape(logits.shape)


@wrong("cross_entropy.backward", "shape_flattened")
def rows_left_flat(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    d = np.zeros_like(z)
    d[rows] = np.exp(z[rows] - z[rows].max(-1, keepdims=True) - log_sum[rows]) - s / V
    d[rows, picked] -= 1 - s
    return d * (dloss / max(len(rows), 1))


@wrong("cross_entropy.backward", "divided_by_first_axis")
def batch_average(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - z.max(-1, keepdims=True) - log_sum)
    p[rows, picked] -= 1 - s
    p[rows] -= s / V
    p[np.setdiff1d(np.arange(len(z)), rows)] = 0
    return (p * dloss / logits.shape[0]).reshape(logits.shape)


# ---------------------------------------------------------------------------------------- cross_entropy.forward
@right("cross_entropy.forward")
def loop_over_tokens(logits, targets, ignore_index=-100, label_smoothing=0.0):
    total, count, s = 0.0, 0, label_smoothing
    for i in np.ndindex(targets.shape):
        if ignore_index is not None and targets[i] == ignore_index:
            continue
        z = logits[i] - max(logits[i])
        lse = math.log(sum(math.exp(one) for one in z))
        total += (1 - s) * (lse - z[targets[i]]) + s * sum(lse - one for one in z) / len(z)
        count += 1
    return total / count if count else 0.0


@right("cross_entropy.forward")
def one_hot_products(logits, targets, ignore_index=-100, label_smoothing=0.0):
    V, s = logits.shape[-1], label_smoothing
    z, t = logits.reshape(-1, V), targets.ravel()
    keep = np.ones(t.shape, bool) if ignore_index is None else t != ignore_index
    q = (1 - s) * np.eye(V)[np.where(keep, t, 0)] + s / V
    logp = z - np.logaddexp.reduce(z, axis=-1)[:, None]
    return np.float64(-(q * logp).sum(-1)[keep].sum() / max(keep.sum(), 1)), (logp, keep)


@right("cross_entropy.forward")
def take_along_axis(logits, targets, ignore_index=-100, label_smoothing=0.0):
    counts = np.ones_like(targets, dtype=bool) if ignore_index is None else targets != ignore_index
    if not counts.any():
        return 0.0
    z = logits - logits.max(axis=-1, keepdims=True)
    z = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    own = np.take_along_axis(z, np.where(counts, targets, 0)[..., None], axis=-1)[..., 0]
    nll = -(1 - label_smoothing) * own - label_smoothing * z.mean(axis=-1)
    return nll[counts].mean()


@wrong("cross_entropy.forward", "log_of_a_share")
def softmax_and_then_log(logits, targets, ignore_index=-100, label_smoothing=0.0):
    V, s = logits.shape[-1], label_smoothing
    z, t = logits.reshape(-1, V), targets.reshape(-1)
    keep = t == t if ignore_index is None else t != ignore_index
    z, t = z[keep], t[keep]
    e = np.exp(z - z.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    nll = -np.log(p[np.arange(len(t)), t])
    if s:
        nll = (1 - s) * nll - s * np.mean(z - z.max(-1, keepdims=True) - np.log(e.sum(-1, keepdims=True)), axis=-1)
    return nll.sum() / max(len(t), 1)


@wrong("cross_entropy.forward", "added_1e_minus_7", "number_added_in_logarithm")
def small_number_added(logits, targets, ignore_index=-100, label_smoothing=0.0):
    V, s = logits.shape[-1], label_smoothing
    z, t = logits.reshape(-1, V), targets.reshape(-1)
    keep = t == t if ignore_index is None else t != ignore_index
    z, t = z[keep], t[keep]
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    logp = np.log(p + 1e-7)
    return -((1 - s) * logp[np.arange(len(t)), t] + s * logp.mean(-1)).sum() / max(len(t), 1)


@wrong("cross_entropy.forward", "nan_where_nothing_counts", "ignore_index_fixed")
def mean_of_what_is_left(logits, targets, ignore_index=-100, label_smoothing=0.0):
    keep = targets != -100
    z, t, s = logits[keep], targets[keep], label_smoothing
    logp = z - np.logaddexp.reduce(z, axis=-1, keepdims=True) if len(z) else z
    nll = -np.array([row[one] for row, one in zip(logp, t)])
    return ((1 - s) * nll - s * logp.mean(-1)).sum() / np.float64(len(t))


@wrong("cross_entropy.forward", "smoothing_forgotten", "summed")
def surprise_of_a_text(logits, targets, ignore_index=-100, label_smoothing=0.0):
    total = 0.0
    for i in np.ndindex(targets.shape):
        if targets[i] != ignore_index:
            z = logits[i]
            total += z.max() + np.log(np.exp(z - z.max()).sum()) - z[targets[i]]
    return total


@wrong("cross_entropy.forward", "divided_by_every_entry")
def mean_of_the_table(logits, targets, ignore_index=-100, label_smoothing=0.0):
    V, s = logits.shape[-1], label_smoothing
    keep = np.full(targets.shape, True) if ignore_index is None else targets != ignore_index
    z, t = logits[keep], targets[keep]
    if not len(t):
        return 0.0
    z = z - z.max(-1, keepdims=True)
    table = ((1 - s) * np.eye(V)[t] + s / V) * (np.log(np.exp(z).sum(-1, keepdims=True)) - z)
    return np.mean(table)


@wrong("cross_entropy.forward")
def two_different_z_in_half_of_it(logits, targets, ignore_index=-100, label_smoothing=0.0):
    V, s = logits.shape[-1], label_smoothing
    z, t = logits.reshape(-1, V), targets.reshape(-1)
    rows = [i for i, one in enumerate(t) if one != ignore_index]
    loss = 0.0
    for i in rows:
        lse = math.log(sum(np.exp(z[i] - z[i].max())))
        loss += (1 - s) * (lse - z[i, t[i]]) + s * (math.log(sum(np.exp(z[i] - z[i].max()))) + z[i].max() - z[i].mean())
    return loss / max(len(rows), 1)

"""Wrong answers as a hostile tester hands them in: to the norms, GELU, softmax, cross-entropy and attention's forward."""
import math

import numpy as np
from collected import wrong

from nanolm.layers import dropout as dropout_layer
from nanolm.layers import erf
from nanolm.layers import softmax as softmax_layer

K, A = math.sqrt(2 / math.pi), 0.044715


# ---------------------------------------------------------------------------------------- layernorm.backward
def layer_norm_with(dy, cache, first, second):
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd
    dn = dy * weight
    C = x.shape[-1]
    dx = rstd * (dn - first(dn) - n * second(dn * n))
    return dx, (dy * n).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)


def by_channel(a):
    return np.mean(a, axis=-1, keepdims=True)


@wrong("layernorm.backward", "mean_term_over_everything")
def one_mean_for_all(dy, cache):
    return layer_norm_with(dy, cache, np.mean, by_channel)


@wrong("layernorm.backward", "variance_term_over_everything")
def one_mean_of_products_for_all(dy, cache):
    return layer_norm_with(dy, cache, by_channel, np.mean)


@wrong("layernorm.backward", "averages_over_everything")
def two_means_for_all(dy, cache):
    return layer_norm_with(dy, cache, lambda a: a.sum() / a.size, lambda a: a.sum() / a.size)


@wrong("layernorm.backward", "batch_norm")
def batch_norm_backward(dy, cache):
    x, weight, _, _ = cache
    C, n = x.shape[-1], len(x)
    centred = x - x.mean(0)
    std = np.sqrt(x.var(0) + 1e-5)
    n_hat = centred / std
    g = dy * weight
    dx = (n * g - g.sum(0) - n_hat * (g * n_hat).sum(0)) / (n * std)
    return dx, (dy * n_hat).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)


# ---------------------------------------------------------------------------------------- layernorm.forward
@wrong("layernorm.forward", "normalised_over_first_axis")
def batch_norm_forward(x, weight, bias, eps=1e-5):
    return weight * (x - np.mean(x, 0)) / np.sqrt(np.var(x, 0) + eps) + bias


@wrong("layernorm.forward", "variance_cancels")
def squares_less_square(x, weight, bias, eps=1e-5):
    C = x.shape[-1]
    mean = x.sum(-1)[..., None] / C
    var = (x**2).sum(-1)[..., None] / C - mean**2
    return weight * ((x - mean) / (var + eps)**0.5) + bias


# ---------------------------------------------------------------------------------------- gelu.backward
@wrong("gelu.backward", "dy_forgotten_in_second_term")
def chain_rule_in_half(dy, cache):
    x, form, share = cache
    if form == "erf":
        slope = np.exp(-x**2 / 2) / np.sqrt(2 * np.pi)
    else:
        slope = 2 * share * (1 - share) * K * (1 + 3 * A * x**2)
    return dy * share + x * slope


@wrong("gelu.backward", "tanh_slope_always", "tanh_slope_anew")
def tanh_for_both(dy, cache):
    x, _, share = cache
    t = np.tanh(K * (x + A * x**3))
    return dy * (share + 0.5 * x * (1 - t**2) * K * (1 + 3 * A * x**2))


@wrong("gelu.backward", "tanh_slope_always")
def tanh_from_share_for_both(dy, cache):
    x, _, share = cache
    return dy * share + dy * x * 2 * share * (1 - share) * K * (1 + 3 * A * x**2)


@wrong("gelu.backward", "erf_slope_always")
def erf_for_both(dy, cache):
    x, _, share = cache
    return dy * share + dy * x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


@wrong("gelu.backward", "always_erf_form")
def erf_and_its_share_for_both(dy, cache):
    x = cache[0]
    return dy * (1 - 0.5 * erf.erfc(x / math.sqrt(2)) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


# ---------------------------------------------------------------------------------------- cross_entropy
@wrong("cross_entropy.backward", "log_sum_by_count")
def counts_along(dloss, cache):
    logits, log_sum, rows, picked, s = cache
    z = logits.reshape(-1, logits.shape[-1])
    d = np.zeros_like(z)
    for j, (row, target) in enumerate(zip(rows, picked)):
        p = np.exp(z[row] - z[row].max() - log_sum[j])
        p[target] -= 1 - s
        d[row] = (p - s / len(p)) * dloss / len(rows)
    return d.reshape(logits.shape)


def forward_of_shares(share):
    """Return a cross-entropy that takes the logarithm of share(z)."""
    def forward(logits, targets, ignore_index=-100, label_smoothing=0.0):
        V = logits.shape[-1]
        z, t = logits.reshape(-1, V), targets.reshape(-1)
        if ignore_index is not None:
            z, t = z[t != ignore_index], t[t != ignore_index]
        logs = np.log(share(z))
        nll = -logs[np.arange(len(t)), t]
        if label_smoothing > 0:
            nll = (1 - label_smoothing) * nll - label_smoothing * logs.mean(axis=1)
        return nll.sum() / max(len(t), 1)
    return forward


def naive(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def safe(z):
    return naive(z - z.max(axis=1, keepdims=True))


def log_of_naive_softmax(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return forward_of_shares(naive)(logits, targets, ignore_index, label_smoothing)


def log_of_safe_softmax(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return forward_of_shares(safe)(logits, targets, ignore_index, label_smoothing)


def with_a_billionth(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return forward_of_shares(lambda z: safe(z) + 1e-9)(logits, targets, ignore_index, label_smoothing)


def with_twelve_zeros(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return forward_of_shares(lambda z: safe(z) + 1e-12)(logits, targets, ignore_index, label_smoothing)


def with_the_smallest(logits, targets, ignore_index=-100, label_smoothing=0.0):
    return forward_of_shares(lambda z: np.maximum(safe(z), 1e-300))(logits, targets, ignore_index, label_smoothing)


wrong("cross_entropy.forward", "log_of_a_naive_share")(log_of_naive_softmax)
wrong("cross_entropy.forward", "log_of_a_share")(log_of_safe_softmax)
wrong("cross_entropy.forward", "added_1e_minus_9")(with_a_billionth)
wrong("cross_entropy.forward", "added_1e_minus_12")(with_twelve_zeros)
wrong("cross_entropy.forward", "number_added_in_logarithm")(with_the_smallest)


# ---------------------------------------------------------------------------------------- softmax
def along(x, axis):
    top = np.amax(x, axis=axis, keepdims=True)
    e = np.exp(x - np.where(np.isfinite(top), top, 0))
    total = np.sum(e, axis=axis, keepdims=True)
    return np.divide(e, total, out=np.zeros_like(e), where=total > 0)


@wrong("softmax.forward", "always_last_axis")
def rows_alone(x, axis=-1):
    return along(x, -1)


@wrong("softmax.forward", "always_second_axis")
def axis_one_alone(x, axis=-1):
    return along(x, 1)


@wrong("softmax.forward", "negative_axis_is_last")
def below_zero_is_last(x, axis=-1):
    return along(x, max(axis, -1))


@wrong("softmax.backward", "always_last_axis")
def backward_along_rows(dy, cache):
    y, _ = cache
    return y * dy - y * np.einsum("...i,...i->...", y, dy)[..., None]


@wrong("softmax.backward", "always_second_axis")
def backward_along_axis_one(dy, cache):
    y, _ = cache
    return y * dy - y * np.sum(y * dy, axis=1, keepdims=True)


@wrong("softmax.backward", "negative_axis_is_last")
def backward_below_zero_is_last(dy, cache):
    y, axis = cache
    return y * dy - y * np.sum(y * dy, axis=axis if axis >= 0 else -1, keepdims=True)


# ---------------------------------------------------------------------------------------- attention.forward
def masked_by(number, empty=False, added=False):
    def forward(q, k, v, mask=None, dropout=0.0, rng=None):
        scores = np.einsum("...td,...sd->...ts", q, k) / np.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores + np.where(mask, 0.0, number) if added else np.where(mask, scores, number)
        P = softmax_layer.forward(scores)[0]
        if empty and mask is not None:
            P = P * mask.any(axis=-1, keepdims=True)
        return dropout_layer.forward(P, dropout, rng)[0] @ v
    return forward


for number, plain, added, zeros in (
        (-50.0, "mask_minus_50", "mask_minus_50_added", "mask_minus_50_with_zeros"),
        (-1e4, "mask_minus_1e9", "mask_minus_1e9_added", "mask_finite"),
        (-1e9, "mask_minus_1e9", "mask_minus_1e9_added", "mask_finite")):
    for name, more in ((plain, {}), (added, {"added": True}), (zeros, {"empty": True})):
        function = masked_by(number, **more)
        function.__name__ = f"masks_by_{-number:.0f}" + "".join(f"_{word}" for word in more)
        wrong("attention.forward", name)(function)


@wrong("attention.forward", "dropout_on_scores")
def drops_scores(q, k, v, mask=None, dropout=0.0, rng=None):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    scores = dropout_layer.forward(scores, dropout, rng)[0]
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return softmax_layer.forward(scores)[0] @ v


@wrong("attention.forward", "dropout_on_scores", "dropout_on_masked_scores")
def drops_masked_scores(q, k, v, mask=None, dropout=0.0, rng=None):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return softmax_layer.forward(dropout_layer.forward(scores, dropout, rng)[0])[0] @ v


@wrong("attention.forward", "overflow_and_mask_after_exp")
def plain_exponentials(q, k, v, mask=None, dropout=0.0, rng=None):
    e = np.exp(q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]))
    e = e if mask is None else e * mask
    total = e.sum(axis=-1, keepdims=True)
    return dropout_layer.forward(e / np.where(total == 0, 1, total), dropout, rng)[0] @ v

@wrong("attention.forward", "mask_lowest_number")
def masks_by_the_lowest(q, k, v, mask=None, dropout=0.0, rng=None):
    return masked_by(np.finfo(np.float32).min)(q, k, v, mask, dropout, rng)


@wrong("attention.forward", "overflow_with_zeros")
def exponentials_of_masked_scores(q, k, v, mask=None, dropout=0.0, rng=None):
    scores = np.einsum("...td,...sd->...ts", q, k) * q.shape[-1]**-0.5
    e = np.exp(scores if mask is None else np.where(mask, scores, -math.inf))
    total = e.sum(axis=-1, keepdims=True)
    return dropout_layer.forward(e / (total + (total == 0)), dropout, rng)[0] @ v

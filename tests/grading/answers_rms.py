"""Answers to the exercises on RMS norm, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- rmsnorm.backward
@right("rmsnorm.backward")
def projection(dy, cache):
    x, weight, rstd = cache
    g = dy * weight
    along = np.einsum("...c,...c->...", g, x)[..., None] * x * rstd**3 / x.shape[-1]
    rows = (dy * x * rstd).reshape(-1, x.shape[-1])
    return g * rstd - along, np.ones(len(rows)) @ rows


@right("rmsnorm.backward")
def one_number_at_a_time(dy, cache):
    x, weight, rstd = cache
    C = x.shape[-1]
    dx, dweight = np.zeros(x.shape), np.zeros(C)
    for i in np.ndindex(x.shape[:-1]):
        r = float(rstd[i][0])
        drstd = sum(dy[i][c] * weight[c] * x[i][c] for c in range(C))
        dsquares = drstd * -0.5 * r**3 / C
        for c in range(C):
            dx[i][c] = dy[i][c] * weight[c] * r + dsquares * 2 * x[i][c]
            dweight[c] += dy[i][c] * x[i][c] * r
    return [dx, dweight]


@right("rmsnorm.backward")
def through_the_norm(dy, cache):
    x, weight, rstd = cache
    n = x * rstd
    dn = weight * dy
    dot = np.sum(dn * n, axis=-1, keepdims=True)
    return np.asfortranarray((dn - n * dot / n.shape[-1]) * rstd), np.add.reduce((dy * n).reshape(-1, n.shape[-1]))


@wrong("rmsnorm.backward", "layer_norm_backward")
def copied_from_layer_norm(dy, cache):
    x, weight, rstd = cache
    C = x.shape[-1]
    n, g = x * rstd, dy * weight
    dx = rstd / C * (C * g - g.sum(-1, keepdims=True) - n * (g * n).sum(-1, keepdims=True))
    return dx, (dy * n).reshape(-1, C).sum(0)


@wrong("rmsnorm.backward", "rstd_lost", "dweight_uses_dn")
def square_of_rstd(dy, cache):
    """rstd^2 for rstd^3 (over C), and dn for dy: two mistakes."""
    x, weight, rstd = cache
    g = weight * dy
    dx = g * rstd - x * rstd**2 * np.mean(g * x, axis=-1, keepdims=True)
    return dx, sum((g * x * rstd).reshape(-1, x.shape[-1]))


@wrong("rmsnorm.backward", "length_term_minus_twice", "length_term_factor")
def power_rule_forgotten(dy, cache):
    x, weight, rstd = cache
    dn = dy * weight
    drstd = (dn * x).sum(axis=-1)[..., None]
    dsquare = drstd * rstd**3                                               # no -1/2
    return dn * rstd + dsquare * 2 * x / x.shape[-1], np.einsum("nc,nc->c", *(a.reshape(-1, x.shape[-1]) for a in (dy, x * rstd)))


@wrong("rmsnorm.backward", "length_term_sum", "summed_over_first_axis")
def vector_by_vector(dy, cache):
    x, weight, rstd = cache
    dx = np.zeros_like(x)
    for i in np.ndindex(x.shape[:-1]):
        n = x[i] * rstd[i]
        dx[i] = rstd[i] * (dy[i] * weight - n * np.dot(dy[i] * weight, n))
    return dx, np.sum(dy * x * rstd, axis=0)


@wrong("rmsnorm.backward", "length_term_missing")
def nothing_through_rstd(dy, cache):
    x, weight, rstd = cache
    return np.einsum("...c,c,...k->...c", dy, weight, rstd), np.einsum("nc,nc->c", dy.reshape(-1, x.shape[-1]),
                                                                       (x * rstd).reshape(-1, x.shape[-1]))


@wrong("rmsnorm.backward", "gain_outside", "dn_times_n_with_dy")
def gain_in_the_first_term_only(dy, cache):
    x, weight, rstd = cache
    n = rstd * x
    C = x.shape[-1]
    return dy * weight * rstd - n * rstd * (dy * n).mean(-1, keepdims=True), (dy * n).reshape(-1, C).sum(0)


# ---------------------------------------------------------------------------------------- rmsnorm.forward
@right("rmsnorm.forward")
def by_the_length(x, weight, eps=1e-5):
    squares = np.einsum("...c,...c->...", x, x) / x.shape[-1]
    return weight * x * (squares + eps)[..., None] ** -0.5


@right("rmsnorm.forward")
def in_two_loops(x, weight, eps=1e-5):
    y = x.copy()
    for i in np.ndindex(x.shape[:-1]):
        rms = (sum(one * one for one in x[i]) / x.shape[-1] + eps) ** 0.5
        for c in range(x.shape[-1]):
            y[i][c] = x[i][c] / rms * weight[c]
    return y, (x, weight)


@right("rmsnorm.forward")
def flattened(x, weight, eps=1e-5):
    rows = x.reshape(-1, x.shape[-1])
    rms = np.sqrt(np.mean(rows**2, axis=1) + eps)
    return np.stack([row / r * weight for row, r in zip(rows, rms)]).reshape(x.shape)


@wrong("rmsnorm.forward", "sum_for_average")
def unit_length(x, weight, eps=1e-5):
    return x / np.sqrt(np.linalg.norm(x, axis=-1, keepdims=True)**2 + eps) * weight


@wrong("rmsnorm.forward", "layer_norm")
def by_habit(x, weight, eps=1e-5):
    d = x - np.mean(x, -1)[..., None]
    return d * weight / np.sqrt(np.mean(d**2, -1) + eps)[..., None]


@wrong("rmsnorm.forward", "eps_outside_root", "weight_plus_one")
def gain_less_one(x, weight, eps=1e-5):
    rms = np.sqrt(np.mean(x * x, axis=-1, keepdims=True)) + eps
    return x / rms + weight * x / rms


@wrong("rmsnorm.forward", "keepdims_forgotten")
def rows_divided_by_columns(x, weight, eps=1e-5):
    return x / np.sqrt(np.square(x).mean(-1) + eps) * weight

"""Answers to the exercises on layer norm, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- layernorm.backward, right
@right("layernorm.backward")
def closed_form(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    n = (x - mean) * rstd
    g = dy * weight
    dx = rstd / C * (C * g - g.sum(-1, keepdims=True) - n * np.einsum("...c,...c->...", g, n)[..., None])
    axes = tuple(range(dy.ndim - 1))
    return dx, (dy * n).sum(axes), dy.sum(axes)


@right("layernorm.backward")
def in_loops(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    rows, ups = x.reshape(-1, C), dy.reshape(-1, C)
    means, rstds = mean.reshape(-1), rstd.reshape(-1)
    dx, dweight, dbias = np.zeros_like(rows), np.zeros(C), np.zeros(C)
    for i in range(len(rows)):
        n = [(rows[i, c] - means[i]) * rstds[i] for c in range(C)]
        dn = [ups[i, c] * weight[c] for c in range(C)]
        a, b = sum(dn) / C, sum(d * m for d, m in zip(dn, n)) / C
        for c in range(C):
            dx[i, c] = rstds[i] * (dn[c] - a - n[c] * b)
            dweight[c] += ups[i, c] * n[c]
            dbias[c] += ups[i, c]
    return dx.reshape(x.shape), dweight, dbias


@right("layernorm.backward")
def step_by_step(dy, cache):
    """The computational graph, node by node."""
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    centred = x - mean
    dn = dy * weight
    drstd = (dn * centred).sum(axis=-1, keepdims=True)
    dcentred = dn * rstd
    dvar = drstd * -0.5 * rstd**3
    dcentred = dcentred + dvar * 2 / C * centred
    dmean = -dcentred.sum(axis=-1, keepdims=True)
    flat = dy.reshape(-1, C)
    return dcentred + dmean / C, np.sum(flat * (centred * rstd).reshape(-1, C), axis=0), np.sum(flat, axis=0)


# ---------------------------------------------------------------------------------------- layernorm.backward, wrong
@wrong("layernorm.backward", "mean_term_missing")
def through_the_variance_alone(dy, cache):
    x, weight, mean, rstd = cache
    centred, g = x - mean, dy * weight
    dvar = (g * centred * -0.5 * rstd**3).sum(-1, keepdims=True)
    axes = tuple(range(dy.ndim - 1))
    return g * rstd + dvar * 2 * centred / x.shape[-1], (dy * centred * rstd).sum(axes), dy.sum(axes)


@wrong("layernorm.backward", "variance_term_missing", "rstd_lost_in_variance_term", "variance_term_factor")
def power_minus_one_half(dy, cache):
    """rstd = (var + eps)^(-1/2), differentiated to -1/2 rstd^2."""
    x, weight, mean, rstd = cache
    centred, C = x - mean, x.shape[-1]
    dn = weight[None, :] * dy
    dvar = np.einsum("...c,...c->...", dn, centred)[..., None] * -0.5 * rstd**2
    dcentred = dn * rstd + dvar * 2 * centred / C
    dx = dcentred - np.mean(dcentred, -1, keepdims=True)
    return dx, np.einsum("nc,nc->c", dy.reshape(-1, C), (centred * rstd).reshape(-1, C)), dy.reshape(-1, C).sum(0)


@wrong("layernorm.backward", "mean_term_sum", "sums_for_averages")
def one_C_left_out(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    n = (x - mean) * rstd
    dx, dgain, dshift = np.empty_like(x), np.zeros_like(weight), np.zeros_like(weight)
    for i in np.ndindex(x.shape[:-1]):
        g = dy[i] * weight
        dx[i] = rstd[i] * (g - g.sum() - n[i] * (g @ n[i]) / C)
        dgain += dy[i] * n[i]
        dshift += dy[i]
    return dx, dgain, dshift


@wrong("layernorm.backward", "gain_outside", "averaged_over_tokens")
def jacobian_and_a_mean(dy, cache):
    """The gain after the Jacobian, and means in place of sums: two mistakes."""
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    n = ((x - mean) * rstd).reshape(-1, C)
    ups, dx = dy.reshape(-1, C), []
    for one, d, r in zip(n, ups, rstd.reshape(-1)):
        J = r * (np.eye(C) - np.full((C, C), 1 / C) - np.outer(one, one) / C)
        dx.append(weight * (J @ d))
    return np.array(dx).reshape(x.shape), np.mean(ups * n, axis=0), np.mean(ups, axis=0)


@wrong("layernorm.backward", "last_token_only")
def assigned_in_a_loop(dy, cache):
    x, weight, mean, rstd = cache
    dx = np.zeros_like(x)
    for i in np.ndindex(x.shape[:-1]):
        n = (x[i] - mean[i]) * rstd[i]
        g = dy[i] * weight
        dx[i] = rstd[i] * (g - g.mean() - n * (g * n).mean())
        dweight = dy[i] * n
        dbias = dy[i] * 1.0
    return dx, dweight, dbias


@wrong("layernorm.backward", "variance_term_twice", "dweight_uses_x")
def power_rule_half_done(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    dn = dy * weight
    dvar = -(dn * (x - mean)).sum(axis=-1, keepdims=True) * rstd * rstd * rstd
    dmean = -(dn * rstd).sum(axis=-1, keepdims=True)
    dx = dn * rstd + dvar * 2 * (x - mean) / C + dmean / C
    flat = lambda a: a.reshape(-1, C)                                       # noqa: E731
    return dx, (flat(dy) * flat(x)).sum(0), flat(dy).sum(0)


@wrong("layernorm.backward", "three_axes_assumed")
def batch_and_time(dy, cache):
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd
    g = dy * weight
    dx = rstd * (g - np.mean(g, -1)[..., None] - n * np.mean(g * n, -1)[..., None])
    return dx, np.sum(dy * n, axis=(0, 1)), np.sum(dy, axis=(0, 1))


@wrong("layernorm.backward", "keepdims_forgotten")
def means_that_lie_down(dy, cache):
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd
    g = dy * weight
    C = weight.size
    return rstd * (g - g.mean(-1) - n * (g * n).mean(-1)), (dy * n).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)


@wrong("layernorm.backward", "eps_dropped", "eps_assumed")
def everything_from_x(dy, cache):
    x, weight = cache[:2]
    mu, sigma = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    n = (x - mu) / sigma
    g = dy * weight
    dx = (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True)) / sigma
    axes = tuple(range(x.ndim - 1))
    return dx, (dy * n).sum(axes), dy.sum(axes)


@wrong("layernorm.backward", "variance_term_missing", "rstd_forgotten")
def two_things_forgotten(dy, cache):
    """No variance term, and no rstd."""
    x, weight, mean, rstd = cache
    dn = dy * weight
    rows = [d - sum(d) / len(d) for d in dn.reshape(-1, x.shape[-1])]
    n = ((x - mean) * rstd).reshape(-1, x.shape[-1])
    up = dy.reshape(n.shape)
    return np.stack(rows).reshape(x.shape), sum(u * m for u, m in zip(up, n)), sum(u for u in up)


@wrong("layernorm.backward", "mean_term_sign", "dbias_uses_dn")
def plus_the_mean(dy, cache):
    x, weight, mean, rstd = cache
    n = (x - mean) * rstd
    dn = np.multiply(dy, weight)
    inner = dn + np.mean(dn, axis=-1, keepdims=True) - n * np.mean(n * dn, axis=-1, keepdims=True)
    axes = tuple(range(x.ndim - 1))
    return inner * rstd, np.sum(dy * n, axis=axes), np.sum(dn, axis=axes)


@wrong("layernorm.backward", "changes_arguments")
def right_but_in_place(dy, cache):
    x, weight, mean, rstd = cache
    x -= mean
    x *= rstd
    C = x.shape[-1]
    dweight, dbias = (dy * x).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)
    dn = dy * weight
    return rstd * (dn - dn.mean(-1, keepdims=True) - x * (dn * x).mean(-1, keepdims=True)), dweight, dbias


@wrong("layernorm.backward", "other", "type")
def only_dx(dy, cache):
    x, weight, mean, rstd = cache
    n, g = (x - mean) * rstd, dy * weight
    return rstd * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True))


# ---------------------------------------------------------------------------------------- layernorm.forward
@right("layernorm.forward")
def by_standard_deviation(x, weight, bias, eps=1e-5):
    std = np.sqrt(np.var(x, axis=-1) + eps)
    return weight * (x - np.mean(x, axis=-1)[..., None]) / std[..., None] + bias


@right("layernorm.forward")
def token_by_token(x, weight, bias, eps=1e-5):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape[:-1]):
        mu = sum(x[i]) / len(x[i])
        var = sum((one - mu)**2 for one in x[i]) / len(x[i])
        y[i] = [(one - mu) / (var + eps)**0.5 * w + b for one, w, b in zip(x[i], weight, bias)]
    return y, None


@right("layernorm.forward")
def by_a_centring_matrix(x, weight, bias, eps=1e-5):
    C = x.shape[-1]
    centred = x @ (np.eye(C) - 1 / C)
    rstd = (np.einsum("...c,...c->...", centred, centred) / C + eps) ** -0.5
    return np.asfortranarray(centred * rstd[..., None] * weight + bias)


@wrong("layernorm.forward", "unbiased_variance")
def sum_of_squares_over_C_less_one(x, weight, bias, eps=1e-5):
    C = x.shape[-1]
    d = x - x.mean(-1, keepdims=True)
    var = np.einsum("...c,...c->...", d, d)[..., None] / np.array(C - 1)
    return d / np.sqrt(var + eps) * weight + bias


@wrong("layernorm.forward", "mean_of_squares", "bias_forgotten")
def square_root_of_squares(x, weight, bias, eps=1e-5):
    mu = x.mean(axis=-1, keepdims=True)
    return [[0]] if x.size == 0 else (x - mu) * (np.mean(np.square(x), axis=-1, keepdims=True) + eps) ** -0.5 * weight


@wrong("layernorm.forward", "normalised_over_tokens")
def batch_norm(x, weight, bias, eps=1e-5):
    rows = x.reshape(-1, x.shape[-1])
    n = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + eps)
    return (n * weight + bias).reshape(x.shape)


@wrong("layernorm.forward", "eps_outside_root")
def as_in_a_blog(x, weight, bias, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * weight + bias

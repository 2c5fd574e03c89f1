"""Answers to the variants of bends and branches. Each function takes the student's numbers n and returns the answer."""
import numpy as np
from collected import built


# ---------------------------------------------------------------------------------------- gated_logistic.backward
@built("gated_logistic.backward")
def halves(n):
    def backward(dy, cache):
        x, s = cache
        F = s.shape[-1]
        g, u = x[..., :F], x[..., F:]
        dx = np.empty_like(x)
        dx[..., :F] = dy * u * (s + n["a"] * g * s * (1 - s))
        dx[..., F:] = dy * g * s
        return dx
    return backward


@built("gated_logistic.backward")
def through_z(n):
    def backward(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        ds = dy * u * g
        dz = ds * s - ds * s**2
        return np.concatenate((dy * u * s + n["a"] * dz, dy * (g * s)), axis=-1)
    return backward


@built("gated_logistic.backward")
def number_by_number(n):
    def backward(dy, cache):
        x, s = cache
        F, dx = s.shape[-1], np.zeros(x.shape)
        for i in np.ndindex(s.shape):
            j = (*i[:-1], i[-1] + F)
            dx[i] = dy[i] * x[j] * (s[i] + x[i] * n["a"] * s[i] * (1 - s[i]))
            dx[j] = dy[i] * x[i] * s[i]
        return dx
    return backward


@built("gated_logistic.backward", "library_rate", wrong=True)
def silu(n):
    def backward(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        return np.concatenate([dy * u * s * (1 + g * (1 - s)), dy * g * s], axis=-1)
    return backward


@built("gated_logistic.backward", "second_term_missing", "halves_exchanged", wrong=True)
def constant_gate(n):
    def backward(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        return np.concatenate([dy * g * s, dy * u * s], axis=-1)
    return backward


@built("gated_logistic.backward", "du_without_s", wrong=True)
def plain_product(n):
    def backward(dy, cache):
        x, s = cache
        k = x.shape[-1] // 2
        g, u = x[..., :k], x[..., k:]
        return np.concatenate([dy * u * (s + n["a"] * g * (s - s * s)), dy * g], axis=-1)
    return backward


@built("gated_logistic.backward", "one_minus_s_forgotten", wrong=True)
def half_of_the_slope(n):
    def backward(dy, cache):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        up = np.multiply(dy, s)
        return np.concatenate([up * u * (1 + n["a"] * g), up * g], axis=-1)
    return backward


# ---------------------------------------------------------------------------------------- leaky_square.backward
@built("leaky_square.backward")
def by_r(n):
    def backward(dy, cache):
        x, weight = cache
        h = x * weight
        slope = np.where(h > 0, 1.0, n["leak"])
        dh = 2 * dy * (slope * h) * slope
        return dh * weight, np.sum((dh * x).reshape(-1, x.shape[-1]), axis=0)
    return backward


@built("leaky_square.backward")
def two_parts(n):
    def backward(dy, cache):
        x, weight = cache
        h = x * weight
        d = 2 * dy * np.maximum(h, 0) + 2 * n["leak"]**2 * dy * np.minimum(h, 0)
        return weight * d, np.einsum("nc,nc->c", d.reshape(-1, len(weight)), x.reshape(-1, len(weight)))
    return backward


@built("leaky_square.backward")
def with_ifs(n):
    def backward(dy, cache):
        x, weight = cache
        dx, dweight = np.zeros(x.shape), np.zeros(len(weight))
        for i in np.ndindex(x.shape):
            w = weight[i[-1]]
            c = 1 if x[i] * w > 0 else n["leak"]
            dx[i] = dy[i] * 2 * c * c * x[i] * w * w
            dweight[i[-1]] += dy[i] * 2 * c * c * x[i]**2 * w
        return dx, dweight
    return backward


@built("leaky_square.backward", "leak_not_squared", wrong=True)
def leak_once(n):
    def backward(dy, cache):
        x, weight = cache
        h = x * weight
        dh = np.where(h > 0, 2 * h, 2 * n["leak"] * h) * dy
        return dh * weight, (dh * x).reshape(-1, len(weight)).sum(0)
    return backward


@built("leaky_square.backward", "leak_forgotten", "two_forgotten", wrong=True)
def squared_relu_without_two(n):
    def backward(dy, cache):
        x, weight = cache
        dh = dy * np.maximum(x * weight, 0)
        return dh * weight, (dh * x).sum(axis=tuple(range(x.ndim - 1)))
    return backward


@built("leaky_square.backward", "corner_of_x", wrong=True)
def looks_at_x(n):
    def backward(dy, cache):
        x, weight = cache
        mask = x > 0
        dh = 2 * dy * x * weight * (mask + ~mask * n["leak"]**2)
        return dh * weight, (dh * x).sum(axis=tuple(range(x.ndim - 1)))
    return backward


@built("leaky_square.backward", "dweight_uses_h", wrong=True)
def dh_times_h(n):
    def backward(dy, cache):
        x, weight = cache
        h = weight * x
        r = np.where(h > 0, h, n["leak"] * h)
        dh = 2 * r * np.where(h > 0, 1, n["leak"]) * dy
        return dh * weight, sum(row for row in (dh * h).reshape(-1, len(weight)))
    return backward


# ---------------------------------------------------------------------------------------- scaled_residual.backward
@built("scaled_residual.backward")
def rows(n):
    def backward(dy, cache):
        x, weight, t = cache
        C = x.shape[-1]
        dh = (n["branch"] * dy * (1 - t**2)).reshape(-1, C)
        return dy + (dh @ weight.T).reshape(x.shape), x.reshape(-1, C).T @ dh
    return backward


@built("scaled_residual.backward")
def einsums(n):
    def backward(dy, cache):
        x, weight, t = cache
        dh = dy * (1 - t) * (1 + t)
        left = np.einsum("ni,nj->ij", x.reshape(-1, len(weight)), dh.reshape(-1, len(weight)))
        return dy + n["branch"] * np.einsum("...j,ij->...i", dh, weight), n["branch"] * left
    return backward


@built("scaled_residual.backward")
def one_token_at_a_time(n):
    def backward(dy, cache):
        x, weight, t = cache
        dx, dweight = dy.copy(), np.zeros_like(weight)
        for i in np.ndindex(x.shape[:-1]):
            dt = n["branch"] * dy[i]
            dh = dt - dt * t[i] * t[i]
            dx[i] += weight @ dh
            dweight += np.outer(x[i], dh)
        return dx, dweight
    return backward


@built("scaled_residual.backward", "scale_forgotten", wrong=True)
def plain_block(n):
    def backward(dy, cache):
        x, weight, t = cache
        dh = dy * (1 - t * t)
        return dy + np.matmul(dh, weight.T), np.tensordot(x, dh, (range(x.ndim - 1),) * 2)
    return backward


@built("scaled_residual.backward", "skip_forgotten", wrong=True)
def branch_only(n):
    def backward(dy, cache):
        x, weight, t = cache
        C = x.shape[-1]
        dh = (dy * n["branch"] * (1 - np.square(t))).reshape(-1, C)
        return (dh @ weight.T).reshape(x.shape), x.reshape(-1, C).T @ dh
    return backward


@built("scaled_residual.backward", "weight_not_transposed", "dweight_transposed", wrong=True)
def both_turned(n):
    def backward(dy, cache):
        x, weight, t = cache
        dh = n["branch"] * dy * (1 - t**2)
        return dy + dh @ weight, np.tensordot(dh, x, (range(x.ndim - 1),) * 2)
    return backward


@built("scaled_residual.backward", "slope_forgotten", wrong=True)
def as_if_linear(n):
    def backward(dy, cache):
        x, weight, _ = cache
        C = x.shape[-1]
        dh = n["branch"] * dy
        return dy + dh @ weight.T, x.reshape(-1, C).T @ dh.reshape(-1, C)
    return backward

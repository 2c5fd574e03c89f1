"""Answers to the exercises on softmax, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- softmax.backward, right
@right("softmax.backward")
def by_jacobians(dy, cache):
    y, axis = cache
    y, dy = np.moveaxis(y, axis, -1), np.moveaxis(dy, axis, -1)
    dx = np.empty(y.shape)
    for i in np.ndindex(y.shape[:-1]):
        dx[i] = (np.diag(y[i]) - np.outer(y[i], y[i])) @ dy[i]
    return np.moveaxis(dx, -1, axis)


@right("softmax.backward")
def in_its_own_array(dy, cache):
    y, axis = cache
    dx = y * dy
    dx -= y * np.expand_dims(np.sum(dx, axis=axis), axis)
    return dx


@right("softmax.backward")
def with_sums_of_pairs(dy, cache):
    """y_j sum_i y_i (dy_j - dy_i): the same, where the shares add up to one, or to nothing at all."""
    y, axis = cache
    y, d = np.swapaxes(y, axis, -1), np.swapaxes(dy, axis, -1)
    apart = d[..., :, None] - d[..., None, :]
    return np.swapaxes(y * np.einsum("...ji,...i->...j", apart, y), axis, -1)


@right("softmax.backward")
def in_three_loops(dy, cache):
    y, axis = cache
    dx = np.zeros_like(y)
    n = y.shape[axis]
    for place in np.ndindex(*[1 if a == axis % y.ndim else m for a, m in enumerate(y.shape)]):
        at = [tuple(i if a == axis % y.ndim else p for a, p in enumerate(place)) for i in range(n)]
        for j in range(n):
            for i in range(n):
                dx[at[j]] += dy[at[i]] * (y[at[i]] * ((i == j) - y[at[j]]))
    return dx


# ---------------------------------------------------------------------------------------- softmax.backward, wrong
@wrong("softmax.backward", "diagonal_only")
def jacobian_without_outer(dy, cache):
    y, axis = cache
    return np.where(True, dy * y - dy * y**2, 0)


@wrong("softmax.backward", "always_last_axis")
def einsum_over_the_last(dy, cache):
    y, _ = cache
    return y * dy - y * np.einsum("...i,...i->...", y, dy)[..., None]


@wrong("softmax.backward", "keepdims_forgotten")
def sums_that_lie_down(dy, cache):
    y, axis = cache
    s = np.sum(np.multiply(y, dy), axis)
    return np.multiply(y, dy) - y * s


@wrong("softmax.backward", "share_on_first_term_only", "average_not_weighted")
def plain_mean_outside(dy, cache):
    """y dy - mean(dy): brackets and weights forgotten."""
    y, axis = cache
    return y * dy - np.expand_dims(dy.mean(axis), axis)


@wrong("softmax.backward", "own_share_left_out_of_average", "diagonal_missing", "own_term_factor")
def skips_itself(dy, cache):
    """Loops over i != j, and forgets that i = j has a term of its own."""
    y, axis = cache
    y, d = np.moveaxis(y, axis, -1), np.moveaxis(dy, axis, -1)
    dx = np.zeros_like(y)
    for j in range(y.shape[-1]):
        for i in range(y.shape[-1]):
            if i != j:
                dx[..., j] -= d[..., i] * y[..., i] * y[..., j]
    return np.moveaxis(dx, -1, axis)


@wrong("softmax.backward", "sum_over_everything", "sign")
def dot_product_of_all(dy, cache):
    y, axis = cache
    return y * (np.vdot(dy, y) - dy)


@wrong("softmax.backward", "log_softmax")
def for_the_logarithms(dy, cache):
    y, axis = cache
    return dy - np.apply_along_axis(np.sum, axis, dy).reshape([1 if a == axis % y.ndim else m for a, m in enumerate(y.shape)]) * y


@wrong("softmax.backward", "zero")
def as_if_dy_were_one(dy, cache):
    y, axis = cache
    return y * (1 - y.sum(axis=axis, keepdims=True))


@wrong("softmax.backward", "changes_arguments")
def writes_into_the_cache(dy, cache):
    y, axis = cache
    dy -= (dy * y).sum(axis=axis, keepdims=True)
    dy *= y
    return dy


@wrong("softmax.backward")
def small_shares_dropped(dy, cache):
    y, axis = cache
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True)) * (y > 1e-4)


# ---------------------------------------------------------------------------------------- softmax.forward
@right("softmax.forward")
def by_logarithm_of_the_sum(x, axis=-1):
    top = np.maximum(x.max(axis=axis, keepdims=True), -1e300)
    with np.errstate(divide="ignore"):
        lse = np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    return np.where(np.isneginf(lse), 0, np.exp(x - top - np.where(np.isneginf(lse), 0, lse)))


@right("softmax.forward")
def row_by_row(x, axis=-1):
    def row(r):
        top = max(r)
        if top == -math.inf:
            return np.zeros_like(r)
        e = [math.exp(one - top) for one in r]
        return np.array(e) / sum(e)
    return np.apply_along_axis(row, axis, x), None


@right("softmax.forward")
def turned_to_the_last_axis(x, axis=-1):
    z = np.moveaxis(x, axis, -1)
    top = z.max(-1)[..., None]
    e = np.exp(z - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1)[..., None]
    return np.moveaxis(np.divide(e, total, out=np.zeros_like(e), where=total > 0), -1, axis), (z,)


@wrong("softmax.forward", "largest_not_subtracted", "empty_row_nan")
def as_in_the_formula(x, axis=-1):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


@wrong("softmax.forward", "largest_of_everything", "empty_row_nan")
def one_largest(x, axis=-1):
    e = np.exp(x - np.max(x))
    return e / np.expand_dims(np.sum(e, axis), axis)


@wrong("softmax.forward", "empty_row_nan")
def no_rule_for_empty_rows(x, axis=-1):
    z = np.moveaxis(x, axis, 0)
    e = np.exp(z - z.max(0))
    return np.moveaxis(e / e.sum(0), 0, axis)


@wrong("softmax.forward", "always_last_axis", "mean_for_sum")
def axis_unused_and_a_mean(x, axis=-1):
    top = x.max(-1, keepdims=True)
    e = np.exp(np.where(np.isneginf(top), x, x - top))
    m = np.mean(e, -1, keepdims=True)
    return e / np.where(m == 0, 1, m)


@wrong("softmax.forward", "row_sums")
def number_added_below(x, axis=-1):
    top = np.maximum(x.max(axis=axis, keepdims=True), -1e300)
    e = np.exp(x - top)
    return e / (e.sum(axis=axis, keepdims=True) + 1e-6)

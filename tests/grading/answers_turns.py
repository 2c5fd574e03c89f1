"""Answers to the exercises on dropout, rotary positions and masks, as students write them: right and wrong ones."""
import math

import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- dropout.forward
@right("dropout.forward")
def by_where(x, rate, rng):
    if rng is None or rate == 0:
        return x
    return np.where(rng.random(x.shape, dtype=np.float32) < rate, 0.0, x / (1 - rate))


@right("dropout.forward")
def copies_and_empties(x, rate, rng):
    y = x.copy()
    if rng is not None and rate > 0:
        drop = rng.random(x.shape, dtype=np.float32) < rate
        y[drop] = 0
        y[~drop] /= 1 - rate
    return y, None


@right("dropout.forward")
def entry_by_entry(x, rate, rng):
    if not rng or not rate:
        return x * 1.0
    drawn = rng.random(x.shape, dtype=np.float32)
    return np.array([a / (1 - rate) if u >= rate else 0.0 for a, u in zip(x.ravel(), drawn.ravel())]).reshape(x.shape)


@wrong("dropout.forward", "scale_forgotten")
def emptied_only(x, rate, rng):
    if rng is None:
        return x
    y = x.copy()
    y[rng.random(y.shape, dtype=np.float32) < rate] = 0
    return y


@wrong("dropout.forward", "dropped_for_kept")
def keeps_what_is_small(x, rate, rng):
    if rng is None or rate == 0:
        return x
    y = np.zeros_like(x)
    keep = rng.random(x.shape, dtype=np.float32) < rate
    y[keep] = x[keep] / (1 - rate)
    return y


@wrong("dropout.forward", "not_from_rng", "generator_of_its_own")
def global_random_numbers(x, rate, rng):
    if rng is None or rate == 0:
        return x
    return x * (np.random.rand(*x.shape) >= rate) / (1 - rate)


@wrong("dropout.forward", "not_from_rng")
def seeds_itself(x, rate, rng):
    if rng is None or rate == 0:
        return x
    own = np.random.RandomState(42)
    return x * (own.random_sample(x.shape) >= rate) / (1 - rate)


@wrong("dropout.forward", "drawn_in_float64")
def wide_draw(x, rate, rng):
    if rng is None or rate == 0:
        return x
    out = np.zeros_like(x)
    for n, u in zip(np.ndindex(*x.shape), rng.random(x.size)):
        if u >= rate:
            out[n] = x[n] / (1 - rate)
    return out


@wrong("dropout.forward", "none_not_handled")
def never_off(x, rate, rng):
    mask = rng.random(size=x.shape, dtype=np.float32) >= rate
    return mask * x / (1 - rate)


@wrong("dropout.forward", "scaled_when_off", "scale_forgotten")
def as_in_the_first_paper(x, rate, rng):
    if rng is None:
        return (1 - rate) * x
    if rate == 0:
        return x
    return np.where(rng.random(x.shape, dtype=np.float32) >= rate, x, 0)


# ---------------------------------------------------------------------------------------- dropout.backward
@right("dropout.backward")
def where_backward(dy, cache):
    keep, scale = cache
    return dy if keep is None else np.where(keep, scale * dy, 0.0)


@right("dropout.backward")
def by_index(dy, cache):
    keep, scale = cache
    if keep is None:
        return dy.copy()
    dx = np.zeros(dy.shape)
    dx[keep] = dy[keep] * scale
    return dx


@right("dropout.backward")
def one_by_one(dy, cache):
    keep, scale = cache
    dx = np.empty(dy.shape)
    for n in np.ndindex(*dy.shape):
        dx[n] = dy[n] if keep is None else dy[n] * scale * (1 if keep[n] else 0)
    return dx


@wrong("dropout.backward", "scale_forgotten")
def emptied_gradient(dy, cache):
    keep, _ = cache
    if keep is None:
        return dy
    dx = dy.copy()
    dx[np.logical_not(keep)] = 0
    return dx


@wrong("dropout.backward", "mask_forgotten")
def only_scaled(dy, cache):
    _, scale = cache
    return np.multiply(dy, scale)


@wrong("dropout.backward", "none_not_handled")
def mask_always(dy, cache):
    keep, scale = cache
    return scale * (keep * dy)


@wrong("dropout.backward", "mask_turned_round")
def keep_taken_for_drop(dy, cache):
    drop, scale = cache
    if drop is None:
        return dy
    dx = dy * scale
    dx[drop] = 0.0
    return dx


@wrong("dropout.backward", "divided_by_scale")
def divides_again(dy, cache):
    keep, scale = cache
    return dy if keep is None else np.where(keep, dy, 0) / scale


@wrong("dropout.backward", "mask_turned_round", "scale_forgotten")
def two_wrongs(dy, cache):
    keep, _ = cache
    return dy if keep is None else np.where(keep, 0, dy)


@wrong("dropout.backward", "mask_forgotten", "scale_forgotten", "not_turned")
def passes_dy_on(dy, cache):
    return dy


@wrong("dropout.backward", "zero_when_off")
def nothing_kept_nothing_back(dy, cache):
    keep, scale = cache
    dx = np.zeros_like(dy)
    if keep is not None:
        dx[keep] = scale * dy[keep]
    return dx


@wrong("dropout.backward", "dropped_passed_on")
def scales_the_kept(dy, cache):
    keep, scale = cache
    if keep is None:
        return dy
    dx = dy.copy()
    dx[keep] *= scale
    return dx


# ---------------------------------------------------------------------------------------- rotary.forward
@right("rotary.forward")
def as_complex_numbers(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    z = x[..., :D // 2] + 1j * x[..., D // 2:]
    z = z * np.exp(1j * np.outer(offset + np.arange(T), base ** (-np.arange(0, D, 2) / D)))
    return np.concatenate([z.real, z.imag], axis=-1)


@right("rotary.forward")
def with_rotate_half(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    freqs = np.outer(np.arange(T) + offset, 1.0 / base ** (np.arange(0, D, 2) / D))
    angle = np.concatenate([freqs, freqs], axis=-1)
    half = np.concatenate([-x[..., D // 2:], x[..., :D // 2]], axis=-1)
    return x * np.cos(angle) + half * np.sin(angle), angle


@right("rotary.forward")
def pair_by_pair(x, base=10000.0, offset=0, scaling=None):
    y, D = np.empty_like(x), x.shape[-1]
    for t in range(x.shape[-2]):
        for i in range(D // 2):
            c, s = math.cos((offset + t) * base ** (-2 * i / D)), math.sin((offset + t) * base ** (-2 * i / D))
            a, b = x[..., t, i], x[..., t, i + D // 2]
            y[..., t, i], y[..., t, i + D // 2] = c * a - s * b, s * a + c * b
    return y


@wrong("rotary.forward", "offset_forgotten")
def always_from_zero(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    z = (x[..., :D // 2] + 1j * x[..., D // 2:]) * np.exp(1j * np.outer(np.arange(T), base ** (-np.arange(0, D, 2) / D)))
    return np.concatenate([z.real, z.imag], axis=-1)


@wrong("rotary.forward", "neighbours_paired")
def as_in_the_paper(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    y = np.empty_like(x)
    for t in range(T):
        for i in range(0, D, 2):
            angle = (t + offset) * base ** (-i / D)
            R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            y[..., t, i:i + 2] = x[..., t, i:i + 2] @ R.T
    return y


@wrong("rotary.forward", "base_fixed")
def ten_thousand(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    z = x[..., :D // 2] + 1j * x[..., D // 2:]
    z *= np.exp(1j * np.outer(offset + np.arange(T), 10000.0 ** (-np.arange(0, D, 2) / D)))
    return np.concatenate([z.real, z.imag], axis=-1)


@wrong("rotary.forward", "turned_back")
def minus_in_the_wrong_half(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    freqs = np.outer(np.arange(T) + offset, 1.0 / base ** (np.arange(0, D, 2) / D))
    angle = np.tile(freqs, 2)
    half = np.concatenate([x[..., D // 2:], -x[..., :D // 2]], axis=-1)
    return x * np.cos(angle) + half * np.sin(angle)


@wrong("rotary.forward", "repeated_for_tiled")
def repeated(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    angle = np.repeat(np.outer(np.arange(T) + offset, 1.0 / base ** (np.arange(0, D, 2) / D)), 2, axis=-1)
    return x * np.cos(angle) + np.concatenate([-x[..., D // 2:], x[..., :D // 2]], axis=-1) * np.sin(angle)


@wrong("rotary.forward", "length_changed", "first_half_sign")
def sign_lost_on_the_way(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    angle = np.tile(np.outer(np.arange(T) + offset, 1.0 / base ** (np.arange(0, D, 2) / D)), 2)
    return x * np.cos(angle) + np.roll(x, D // 2, axis=-1) * np.sin(angle)


# ---------------------------------------------------------------------------------------- rotary.backward
@right("rotary.backward")
def conjugate(dy, cache):
    cos, sin = cache
    half = dy.shape[-1] // 2
    z = (dy[..., :half] + 1j * dy[..., half:]) * (cos - 1j * sin)
    return np.concatenate([z.real, z.imag], axis=-1)


@right("rotary.backward")
def rotate_half_backward(dy, cache):
    c, s = (np.concatenate([table, table], axis=-1) for table in cache)
    a, b = np.split(dy, 2, axis=-1)
    return dy * c + np.concatenate([b, -a], axis=-1) * s


@right("rotary.backward")
def with_matrices(dy, cache):
    cos, sin = cache
    dx = np.zeros_like(dy)
    for t in range(len(cos)):
        R = np.block([[np.diag(cos[t]), -np.diag(sin[t])], [np.diag(sin[t]), np.diag(cos[t])]])
        dx[..., t, :] = dy[..., t, :] @ R
    return dx


@wrong("rotary.backward", "turned_forward_again")
def same_way_again(dy, cache):
    cos, sin = cache
    half = dy.shape[-1] // 2
    z = (dy[..., :half] + 1j * dy[..., half:]) * (cos + 1j * sin)
    return np.concatenate([z.real, z.imag], axis=-1)


@wrong("rotary.backward", "first_half_overwritten")
def in_place(dy, cache):
    cos, sin = cache
    dx, half = dy.copy(), dy.shape[-1] // 2
    dx[..., :half] = dx[..., :half] * cos + dx[..., half:] * sin
    dx[..., half:] = dx[..., half:] * cos - dx[..., :half] * sin
    return dx


@wrong("rotary.backward", "neighbours_paired")
def interleaved(dy, cache):
    cos, sin = cache
    z = dy[..., 0::2] * (cos - 1j * sin) + 1j * dy[..., 1::2] * (cos - 1j * sin)
    return np.stack([z.real, z.imag], axis=-1).reshape(dy.shape)


@wrong("rotary.backward", "second_half_sign", "first_half_sign")
def no_minus_anywhere(dy, cache):
    c, s = (np.tile(table, 2) for table in cache)
    return dy * c + np.roll(dy, dy.shape[-1] // 2, axis=-1) * s


@wrong("rotary.backward", "angles_of_the_first_token")
def first_row_of_the_table(dy, cache):
    cos, sin = cache[0][0], cache[1][0]
    a, b = np.split(dy, 2, axis=-1)
    return np.concatenate((a * cos + b * sin, b * cos - a * sin), axis=-1)


@wrong("rotary.backward", "halves_exchanged", "turned_forward_again")
def exchanged_and_forward(dy, cache):
    cos, sin = cache
    a, b = np.split(dy, 2, axis=-1)
    return np.concatenate((a * sin + b * cos, a * cos - b * sin), axis=-1)


@wrong("rotary.backward", "sine_forgotten")
def diagonal_of_the_jacobian(dy, cache):
    return dy * np.tile(cache[0], 2)


@wrong("rotary.backward", "repeated_for_tiled")
def doubled_in_place(dy, cache):
    c, s = np.repeat(cache[0], 2, -1), np.repeat(cache[1], 2, -1)
    D = dy.shape[-1]
    partner = np.empty_like(dy)
    partner[..., :D // 2], partner[..., D // 2:] = dy[..., D // 2:], -dy[..., :D // 2]
    return c * dy + s * partner


# ---------------------------------------------------------------------------------------- masks.causal
@right("masks.causal")
def tri(T, S=None):
    S = T if S is None else S
    return np.tri(T, S, S - T, dtype=bool)


@right("masks.causal")
def upper_triangle_forbidden(T, S=None):
    if S is None:
        S = T
    return ~np.triu(np.ones((T, S), dtype=bool), k=S - T + 1)


@right("masks.causal")
def last_rows_of_the_square(T, S=None):
    S = S or T
    return np.array([[j <= i for j in range(S)] for i in range(S)])[S - T:]


@wrong("masks.causal", "as_numbers")
def tril_of_ones(T, S=None):
    S = T if S is None else S
    return np.tril(np.ones((T, S)), k=S - T)


@wrong("masks.causal", "cache_forgotten")
def tri_without_shift(T, S=None):
    return np.tri(T, S or T).astype(bool)


@wrong("masks.causal", "true_where_forbidden")
def torch_mask(T, S=None):
    S = S or T
    return np.triu(np.ones((T, S), bool), k=1 + S - T)


@wrong("masks.causal", "to_be_added")
def additive(T, S=None):
    S = S or T
    mask = np.zeros((T, S))
    for i in range(T):
        mask[i, i + S - T + 1:] = float("-inf")
    return mask


@wrong("masks.causal", "own_key_forbidden")
def strictly_below(T, S=None):
    S = S or T
    return np.array([[j < i + S - T for j in range(S)] for i in range(T)])


@wrong("masks.causal", "future_leak")
def two_keys_ahead(T, S=None):
    S = S or T
    return np.tri(T, S, S - T + 2, dtype=bool)


# ---------------------------------------------------------------------------------------- masks.padding
@right("masks.padding")
def rows_of_booleans(lengths, S):
    return np.array([[[[j < n for j in range(S)]]] for n in lengths], dtype=bool).reshape(len(lengths), 1, 1, S)


@right("masks.padding")
def filled_row_by_row(lengths, S):
    mask = np.zeros((len(lengths), 1, 1, S), dtype=bool)
    for b, n in enumerate(lengths):
        mask[b, :, :, :n] = True
    return mask


@right("masks.padding")
def by_outer_comparison(lengths, S):
    return np.expand_dims(np.less.outer(np.arange(S), np.array(lengths)).T, (1, 2))


@wrong("masks.padding", "one_key_too_many")
def up_to_and_with(lengths, S):
    mask = np.zeros((len(lengths), 1, 1, S), dtype=bool)
    for b, n in enumerate(lengths):
        mask[b, ..., :n + 1] = True
    return mask


@wrong("masks.padding", "two_axes")
def flat_mask(lengths, S):
    return np.stack([np.arange(S) < n for n in lengths])


@wrong("masks.padding", "true_where_forbidden")
def marks_the_filling(lengths, S):
    mask = np.zeros((len(lengths), 1, 1, S), dtype=bool)
    for b, n in enumerate(lengths):
        mask[b, 0, 0, n:] = True
    return mask


@wrong("masks.padding", "filled_on_the_left")
def left_padded(lengths, S):
    mask = np.zeros((len(lengths), 1, 1, S), dtype=bool)
    for b, n in enumerate(lengths):
        mask[b, 0, 0, S - n:] = True
    return mask


@wrong("masks.padding", "list_not_handled")
def arrays_only(lengths, S):
    return np.arange(S)[None, None, None] < lengths[:, None, None, None]


@wrong("masks.padding", "padding_seen")
def half_the_filling_seen(lengths, S):
    mask = np.zeros((len(lengths), 1, 1, S), dtype=bool)
    for b, n in enumerate(lengths):
        mask[b, 0, 0, :(n + S + 1) // 2] = True
    return mask

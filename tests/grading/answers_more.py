"""More wrong answers on tables, dropout, rotary positions and LoRA: written without a look at the catalogue."""
import numpy as np
from collected import wrong

from nanolm import params


def _rows(a):
    return a.reshape(-1, a.shape[-1])


# ---------------------------------------------------------------------------------------- linear.backward
@wrong("linear.backward", "dweight_batch_mean")
def matmul_and_mean(dy, cache):
    x, W, has_bias = cache
    if x.ndim == 1:
        x, dy = x[None], dy[None]
        return (dy @ W.T)[0], x.T @ dy, dy[0] if has_bias else None
    dW = sum(_rows(a[None]).T @ _rows(d[None]) for a, d in zip(x, dy)) / len(x)
    return dy @ W.T, dW, _rows(dy).sum(0) if has_bias else None


@wrong("linear.backward", "dbias_two_axes")
def two_axes_whatever_comes(dy, cache):
    x, W, has_bias = cache
    return dy @ W.T, _rows(x).T @ _rows(dy), dy.sum(axis=(0, 1)) if has_bias else None


@wrong("linear.backward", "dbias_mean")
def mean_of_rows(dy, cache):
    x, W, has_bias = cache
    flat = _rows(dy)
    return np.tensordot(dy, W, axes=([-1], [1])), np.tensordot(_rows(x), flat, axes=(0, 0)), flat.mean(0) if has_bias else None


@wrong("linear.backward", "dx_from_dweight")
def typo_in_dx(dy, cache):
    x, W, has_bias = cache
    dW = _rows(x).T @ _rows(dy)
    return dy @ dW.T, dW, _rows(dy).sum(0) if has_bias else None


@wrong("linear.backward", "dweight_one_row_short", "dbias_one_row_short")
def stops_one_too_early(dy, cache):
    x, W, has_bias = cache
    dW, db = np.zeros_like(W), np.zeros(W.shape[1])
    for n in range(len(_rows(dy)) - 1):
        dW += np.outer(_rows(x)[n], _rows(dy)[n])
        db += _rows(dy)[n]
    return dy @ W.T, dW, db if has_bias else None


@wrong("linear.backward", "weight_not_turned")
def square_minded(dy, cache):
    x, W, has_bias = cache
    return dy.dot(W), _rows(dy).T.dot(_rows(x)), _rows(dy).sum(0) if has_bias else None


@wrong("linear.backward", "dweight_first_of_batch", "dbias_first_of_batch")
def looks_at_one_sequence(dy, cache):
    x, W, has_bias = cache
    a, d = np.atleast_2d(x)[:1].reshape(-1, len(W)), np.atleast_2d(dy)[:1].reshape(-1, W.shape[1])
    return dy @ W.T, a.T @ d, d.sum(0) if has_bias else None


@wrong("linear.backward", "dx_mean_over_outputs")
def mean_in_place_of_dot(dy, cache):
    x, W, has_bias = cache
    dx = np.stack([(dy * W[i]).mean(axis=-1) for i in range(len(W))], axis=-1)
    return dx, _rows(x).T @ _rows(dy), _rows(dy).sum(0) if has_bias else None


# ---------------------------------------------------------------------------------------- embedding.backward
@wrong("embedding.backward", "repeats_lost_within_a_sequence")
def sequence_by_sequence(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for i, d in zip(np.atleast_1d(ids), dy.reshape(*np.atleast_1d(ids).shape, -1)):
        dW[i] += d
    return dW


@wrong("embedding.backward", "first_repeat_only")
def by_unique(dy, cache):
    ids, V = cache
    used, where = np.unique(ids, return_index=True)
    dW = np.zeros((V, dy.shape[-1]))
    dW[used] = _rows(dy)[where]
    return dW


@wrong("embedding.backward", "mean_over_tokens")
def cosy_average(dy, cache):
    ids, V = cache
    return np.array([(_rows(dy) * (ids.reshape(-1, 1) == v)).mean(axis=0) for v in range(V)])


@wrong("embedding.backward", "last_of_batch_only")
def made_anew_for_each_sequence(dy, cache):
    ids, V = cache
    for i, d in zip(np.atleast_1d(ids), dy.reshape(*np.atleast_1d(ids).shape, -1)):
        dW = np.zeros((V, dy.shape[-1]))
        np.add.at(dW, i, d)
    return dW


@wrong("embedding.backward", "ids_from_one")
def off_by_one(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for i, d in zip(ids.ravel(), _rows(dy)):
        dW[i - 1] += d
    return dW


# ---------------------------------------------------------------------------------------- embedding.backward_tied
@wrong("embedding.backward_tied", "unused_rows_lost")
def only_rows_that_occur(dy, cache, dweight):
    ids, V = cache
    total = np.zeros_like(dweight)
    for v in set(ids.ravel().tolist()):
        total[v] = dweight[v] + dy[ids == v].sum(axis=0)
    return total


@wrong("embedding.backward_tied", "first_of_batch_only")
def batch_forgotten(dy, cache, dweight):
    ids, V = cache
    total = dweight.copy()
    np.add.at(total, np.atleast_1d(ids)[:1], dy.reshape(*np.atleast_1d(ids).shape, -1)[:1])
    return total


@wrong("embedding.backward_tied", "other_use_added_at_each_place")
def added_at_each_place(dy, cache, dweight):
    ids, V = cache
    total = np.zeros_like(dweight)
    for i, d in zip(ids.ravel(), _rows(dy)):
        total[i] += d + dweight[i]
    return total


# ---------------------------------------------------------------------------------------- positions.backward
@wrong("positions.backward", "first_axis_only")
def three_axes_only(dy, cache):
    rows, offset = cache
    dweight = np.zeros((rows, dy.shape[-1]))
    dweight[offset:offset + dy.shape[-2]] += dy.sum(axis=0)
    return dy, dweight


@wrong("positions.backward", "up_to_the_last_position")
def as_long_as_needed(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    return dy, np.concatenate([np.zeros((offset, C)), dy.reshape(-1, T, C).sum(0)])


@wrong("positions.backward", "dweight_divided_by_all_tokens")
def averaged_over_everything(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    for t in range(T):
        dweight[offset + t] = dy[..., t, :].reshape(-1, C).sum(0) / (dy.size / C)
    return dy, dweight


@wrong("positions.backward", "all_in_one_row")
def into_one_row(dy, cache):
    rows, offset = cache
    dweight = np.zeros((rows, dy.shape[-1]))
    dweight[offset] = _rows(dy).sum(0)
    return dy, dweight


@wrong("positions.backward", "dx_plus_dweight")
def adds_both(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    total = dy.reshape(-1, T, C).sum(0)
    return dy + total, np.pad(total, ((offset, rows - T - offset), (0, 0)))


# ---------------------------------------------------------------------------------------- dropout
@wrong("dropout.backward", "scale_counted")
def measures_the_share(dy, cache):
    keep, _ = cache
    return dy if keep is None else dy * keep / max(keep.mean(), 1 / keep.size)


@wrong("dropout.backward", "scale_always_two")
def half_is_dropped(dy, cache):
    keep, _ = cache
    return dy if keep is None else dy * keep * 2


@wrong("dropout.backward", "mask_turned_round")
def index_the_wrong_way(dy, cache):
    keep, scale = cache
    if keep is None:
        return dy
    dx = scale * dy
    dx[keep == 1] = 0
    return dx


@wrong("dropout.backward", "scale_twice")
def squares_the_factor(dy, cache):
    keep, scale = cache
    return dy if keep is None else (keep * scale) ** 2 * dy


@wrong("dropout.forward", "one_mask_for_all_rows")
def one_mask(x, rate, rng):
    if rng is None or rate == 0:
        return x
    mask = rng.random(x.shape[-1:], dtype=np.float32) >= rate
    return np.einsum("...c,c->...c", x, mask / (1 - rate))


@wrong("dropout.forward", "scale_counted")
def true_mean(x, rate, rng):
    if rng is None or rate == 0:
        return x
    y = np.where(rng.random(x.shape, dtype=np.float32) >= rate, x, 0)
    kept = np.count_nonzero(y)
    return y * y.size / max(kept, 1)


# ---------------------------------------------------------------------------------------- rotary
@wrong("rotary.backward", "sine_without_sign")
def sine_from_the_cosine(dy, cache):
    cos, _ = cache
    sin = np.sqrt(np.maximum(1 - cos * cos, 0))
    a, b = np.split(dy, 2, axis=-1)
    return np.concatenate([cos * a + sin * b, cos * b - sin * a], axis=-1)


@wrong("rotary.backward", "sine_and_cosine_exchanged")
def unpacked_the_other_way(dy, cache):
    sin, cos = cache
    a, b = np.split(dy, 2, axis=-1)
    return np.concatenate([cos * a + sin * b, cos * b - sin * a], axis=-1)


@wrong("rotary.backward", "tokens_reversed")
def backward_means_reversed(dy, cache):
    cos, sin = cache[0][::-1], cache[1][::-1]
    z = (dy[..., :cos.shape[1]] + 1j * dy[..., cos.shape[1]:]) * (cos - 1j * sin)
    return np.concatenate([z.real, z.imag], axis=-1)


@wrong("rotary.backward", "sine_missing_in_second_half")
def forgets_one_product(dy, cache):
    cos, sin = cache
    a, b = np.split(dy, 2, axis=-1)
    dx = np.zeros_like(dy)
    dx[..., :a.shape[-1]] += a * cos + b * sin
    dx[..., a.shape[-1]:] += b * cos
    return dx


@wrong("rotary.backward", "angles_of_the_first_pair")
def first_column(dy, cache):
    c, s = cache[0][:, 0, None], cache[1][:, 0, None]
    a, b = np.split(dy, 2, axis=-1)
    return np.concatenate([a * c + b * s, b * c - a * s], axis=-1)


@wrong("rotary.forward", "exponent_i")
def half_the_exponent(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    w = 1 / base ** (np.arange(D // 2) / D)
    z = (x[..., :D // 2] + 1j * x[..., D // 2:]) * np.exp(1j * np.outer(offset + np.arange(T), w))
    return np.concatenate([z.real, z.imag], axis=-1)


@wrong("rotary.forward", "exponent_4i")
def divided_by_half(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    half = D // 2
    angle = np.outer(offset + np.arange(T), base ** (-2.0 * np.arange(half) / half))
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], axis=-1)


@wrong("rotary.forward", "positions_from_one")
def starts_at_one(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    angle = np.outer(range(offset + 1, offset + T + 1), base ** (-np.arange(0, D, 2) / D))
    a, b = x[..., :D // 2], x[..., D // 2:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], axis=-1)


# ---------------------------------------------------------------------------------------- masks
@wrong("masks.causal", "next_key_seen")
def one_too_many(T, S=None):
    S = T if S is None else S
    return np.array([[j <= i + S - T + 1 for j in range(S)] for i in range(T)])


@wrong("masks.causal", "anti_causal")
def triu_for_tril(T, S=None):
    S = T if S is None else S
    return np.triu(np.ones((T, S)), S - T).astype(bool)


@wrong("masks.causal", "nothing_forbidden")
def all_true(T, S=None):
    return np.full((T, S if S else T), True)


@wrong("masks.padding", "longest_for_all")
def one_length(lengths, S):
    return np.broadcast_to(np.arange(S) < max(lengths), (len(lengths), 1, 1, S))


@wrong("masks.padding", "queries_masked")
def last_two_axes_the_other_way(lengths, S):
    return (np.arange(S)[None] < np.array(lengths)[:, None]).reshape(len(lengths), 1, S, 1)


# ---------------------------------------------------------------------------------------- lora.backward
@wrong("lora.backward", "alpha_forgotten")
def only_r(dp, adapters, alpha=16.0):
    flat, out = params.flatten(dp), {}
    for name, one in adapters.items():
        G = flat[name[:-7]]
        r = min(one.shape[1], adapters[name[:-1] + "a"].shape[1]) if name.endswith("a") else one.shape[0]
        out[name] = (G @ adapters[name[:-1] + "b"].T if name.endswith("a") else adapters[name[:-1] + "a"].T @ G) / r
    return out


@wrong("lora.backward", "da_zero")
def b_is_zero_anyway(dp, adapters, alpha=16.0):
    flat, out = params.flatten(dp), {}
    for name, one in adapters.items():
        G = flat[name[:-7]]
        out[name] = np.zeros(one.shape) if name.endswith("a") else alpha / len(one) * adapters[name[:-1] + "a"].T @ G
    return out


@wrong("lora.backward", "gradients_exchanged")
def names_crossed(dp, adapters, alpha=16.0):
    flat, out = params.flatten(dp), {}
    for name in [name[:-1] for name in adapters if name.endswith("a")]:
        a, b = adapters[name + "a"], adapters[name + "b"]
        G = alpha / len(b) * flat[name[:-6]]
        out[name + "b"], out[name + "a"] = G @ b.T, a.T @ G
    return out


@wrong("lora.backward", "b_not_turned", "a_not_turned")
def no_transposes(dp, adapters, alpha=16.0):
    flat, out = params.flatten(dp), {}
    for name in [name[:-1] for name in adapters if name.endswith("a")]:
        a, b = adapters[name + "a"], adapters[name + "b"]
        G = alpha / len(b) * flat[name[:-6]]
        out[name + "a"], out[name + "b"] = G @ b, a @ G
    return out


# ---------------------------------------------------------------------------------------- masking.masked
@wrong("masking.masked", "one_draw_for_both")
def the_same_number_twice(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u = rng.random(ids.shape)
    other = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    return np.select([~chosen, u < 0.8, u < 0.9], [ids, mask_id, other], ids), np.where(chosen, ids, -100)


@wrong("masking.masked", "targets_everywhere")
def all_targets(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin = rng.random(ids.shape), rng.random(ids.shape)
    other = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    chosen = (u < share) & ~np.isin(ids, list(special)) & (True if tokens is None else tokens)
    return np.select([~chosen, coin < 0.8, coin < 0.9], [ids, mask_id, other], ids), ids.copy()


@wrong("masking.masked", "special_tokens_chosen")
def special_ones_too(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    u, coin = rng.random(ids.shape), rng.random(ids.shape)
    other = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    chosen = u < share if tokens is None else (u < share) * tokens
    inputs, targets = ids.copy(), np.full(ids.shape, -100)
    targets[chosen] = ids[chosen]
    inputs[chosen & (coin < 0.9)] = other[chosen & (coin < 0.9)]
    inputs[chosen & (coin < 0.8)] = mask_id
    return inputs, targets


# ---------------------------------------------------------------------------------------- a third look; some have no name
@wrong("linear.backward", "outer_of_sums")
def mean_times_sum(dy, cache):
    x, W, has_bias = cache
    return dy @ W.T, _rows(x).mean(0)[:, None] * _rows(dy).sum(0), _rows(dy).sum(0) if has_bias else None


@wrong("linear.backward", "missing")
def nothing_without_bias(dy, cache):
    x, W, has_bias = cache
    dW = _rows(x).T @ _rows(dy)
    return (dy @ W.T, dW, _rows(dy).sum(0)) if has_bias else (None, dW, None)


@wrong("linear.backward")
def bias_from_x(dy, cache):
    x, W, has_bias = cache
    return dy @ W.T, _rows(x).T @ _rows(dy), _rows(x).sum(0) if has_bias else None


@wrong("linear.backward", "dx_sign", "dweight_sign", "dbias_sign")
def minus_everywhere(dy, cache):
    x, W, has_bias = cache
    return -dy @ W.T, -_rows(x).T @ _rows(dy), -_rows(dy).sum(0) if has_bias else None


@wrong("embedding.backward", "last_row_left_out")
def range_of_v_less_one(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for v in range(V - 1):
        dW[v] = dy[ids == v].sum(0)
    return dW


@wrong("embedding.backward")
def signs_alone(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    np.add.at(dW, ids, np.sign(dy))
    return dW


@wrong("positions.backward")
def running_sum(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    dweight[offset:offset + T] = np.cumsum(dy.reshape(-1, T, C).sum(0), axis=0)
    return dy, dweight


@wrong("positions.backward", "mean_over_batch", "offset_forgotten")
def mean_from_row_zero(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    dweight[:T] = dy.reshape(-1, T, C).mean(0)
    return dy, dweight


@wrong("dropout.backward")
def scales_what_was_dropped(dy, cache):
    keep, scale = cache
    return dy if keep is None else np.where(keep, dy, dy * scale)


@wrong("rotary.backward", "second_half_negated")
def minus_before_the_bracket(dy, cache):
    cos, sin = cache
    a, b = np.split(dy, 2, -1)
    return np.concatenate([a * cos + b * sin, -(b * cos - a * sin)], -1)


@wrong("rotary.backward", "turned_forward_again", "neighbours_paired")
def the_papers_forward(dy, cache):
    cos, sin = cache
    a, b = dy[..., ::2], dy[..., 1::2]
    return np.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(dy.shape)


@wrong("rotary.forward", "offset_added_to_the_angle")
def angle_plus_offset(x, base=10000.0, offset=0, scaling=None):
    T, D = x.shape[-2:]
    angle = np.outer(np.arange(T), base ** (-np.arange(0, D, 2) / D)) + offset
    a, b = np.split(x, 2, -1)
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


@wrong("lora.backward", "scale_twice_in_b")
def scaled_at_both_ends(dp, adapters, alpha=16.0):
    flat, out = params.flatten(dp), {}
    for name in [name[:-1] for name in adapters if name.endswith("a")]:
        a, b = adapters[name + "a"], adapters[name + "b"]
        G, s = flat[name[:-6]], alpha / len(b)
        out[name + "a"], out[name + "b"] = s * G @ b.T, s * (s * a).T @ G
    return out


@wrong("masks.causal", "past_unseen")
def the_cache_or_the_text(T, S=None):
    S = S or T
    mask = np.zeros((T, S), bool)
    for i in range(T):
        mask[i, :max(i + 1, S - T)] = True
    return mask


@wrong("dropout.forward", "divided_by_mean_of_keep")
def divided_by_the_mean(x, rate, rng):
    if rng is None:
        return x
    keep = rng.random(x.shape, dtype=np.float32) >= rate
    return x * keep / keep.mean()

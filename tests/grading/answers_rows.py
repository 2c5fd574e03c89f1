"""Answers to the exercises on linear, embedding and positions, as students write them: right ones and wrong ones."""
import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- linear.forward
@right("linear.forward")
def by_einsum(x, weight, bias=None):
    y = np.einsum("...i,io->...o", x, weight)
    return y if bias is None else y + bias


@right("linear.forward")
def number_by_number(x, weight, bias=None):
    y = np.zeros(x.shape[:-1] + (weight.shape[1],))
    for place in np.ndindex(*y.shape):
        *row, o = place
        y[place] = sum(x[tuple(row)][i] * weight[i, o] for i in range(len(weight)))
        if bias is not None:
            y[place] += bias[o]
    return y, None


@right("linear.forward")
def columns_of_the_weight(x, weight, bias=None):
    outputs = [(x * column).sum(axis=-1) for column in weight.T]
    y = np.stack(outputs, axis=-1)
    return y + (0 if bias is None else bias), (x, weight, bias is not None)


@right("linear.forward")
def ones_beside_x(x, weight, bias=None):
    rows = np.hstack([x.reshape(-1, x.shape[-1]), np.ones((x.size // x.shape[-1], 1))])
    both = np.vstack([weight, np.zeros((1, weight.shape[1])) if bias is None else bias[None]])
    return (rows @ both).reshape(*x.shape[:-1], -1)


@wrong("linear.forward", "weight_turned")
def torch_habit(x, weight, bias=None):
    y = np.einsum("...i,oi->...o", x, weight)
    if bias is not None:
        y += bias
    return y


@wrong("linear.forward", "bias_forgotten")
def dot_alone(x, weight, bias=None):
    return np.dot(x, weight)


@wrong("linear.forward", "none_not_handled")
def bias_always(x, weight, bias=None):
    y = np.matmul(x, weight)
    return np.add(y, bias)


@wrong("linear.forward", "axes_flattened")
def stays_flat(x, weight, bias=None):
    out = []
    for row in x.reshape(-1, x.shape[-1]):
        out.append(row @ weight + (0 if bias is None else bias))
    return np.array(out)


# ---------------------------------------------------------------------------------------- linear.backward
@right("linear.backward")
def einsum_backward(dy, cache):
    x, weight, has_bias = cache
    rows_x, rows_dy = x.reshape(-1, len(weight)), dy.reshape(-1, weight.shape[1])
    return [np.einsum("...o,io->...i", dy, weight), np.einsum("ni,no->io", rows_x, rows_dy),
            np.einsum("no->o", rows_dy) if has_bias else None]


@right("linear.backward")
def outer_by_outer(dy, cache):
    x, weight, has_bias = cache
    dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros(weight.shape[1])
    for n in np.ndindex(*x.shape[:-1]):
        dx[n] = weight @ dy[n]
        dweight += np.outer(x[n], dy[n])
        dbias += dy[n]
    if not has_bias:
        dbias = None
    return dx, dweight, dbias


@right("linear.backward")
def in_four_loops(dy, cache):
    x, weight, has_bias = cache
    n_in, n_out = weight.shape
    xs, ups = x.reshape(-1, n_in), dy.reshape(-1, n_out)
    dx = [[sum(up[o] * weight[i][o] for o in range(n_out)) for i in range(n_in)] for up in ups]
    dweight = [[sum(a[i] * up[o] for a, up in zip(xs, ups)) for o in range(n_out)] for i in range(n_in)]
    dbias = np.array([sum(up[o] for up in ups) for o in range(n_out)]) if has_bias else None
    return np.array(dx).reshape(x.shape), np.asfortranarray(dweight), dbias


@right("linear.backward")
def tensordot_over_all_axes_in_front(dy, cache):
    x, weight, has_bias = cache
    front = tuple(range(x.ndim - 1))
    dweight = np.tensordot(x, dy, axes=(front, front))
    return (weight @ dy[..., None])[..., 0], dweight, dy.sum(axis=front) if has_bias else None


@wrong("linear.backward", "weight_not_turned")
def square_only(dy, cache):
    x, W, has_bias = cache
    d = dy.reshape(-1, dy.shape[-1])
    dW = x.reshape(-1, x.shape[-1]).T.dot(d)
    return np.dot(dy, W), dW, d.sum(0) if has_bias else None


@wrong("linear.backward", "dweight_turned")
def torch_layout(dy, cache):
    x, W, has_bias = cache
    dW = np.zeros((W.shape[1], W.shape[0]))
    for n in np.ndindex(*x.shape[:-1]):
        dW += dy[n][:, None] * x[n][None, :]
    return np.einsum("...o,io->...i", dy, W), dW, dy.reshape(-1, W.shape[1]).sum(0) if has_bias else None


@wrong("linear.backward", "dweight_last_row")
def assigned_in_the_loop(dy, cache):
    x, W, has_bias = cache
    xs, ds = x.reshape(-1, W.shape[0]), dy.reshape(-1, W.shape[1])
    for a, d in zip(xs, ds):
        dW = a[:, None] * d
    return (ds @ W.T).reshape(x.shape), dW, ds.sum(0) if has_bias else None


@wrong("linear.backward", "dweight_mean", "dbias_mean")
def averages_everything(dy, cache):
    x, W, has_bias = cache
    n = x.size / x.shape[-1]
    ds = dy.reshape(-1, dy.shape[-1])
    return dy.dot(W.T), np.matmul(x.reshape(-1, x.shape[-1]).T, ds) / n, ds.sum(axis=0) / n if has_bias else None


@wrong("linear.backward", "dbias_first_axis_only")
def bias_over_axis_zero(dy, cache):
    x, W, has_bias = cache
    ds = dy.reshape(-1, dy.shape[-1])
    db = np.add.reduce(dy, axis=0)
    return dy @ W.transpose(), x.reshape(-1, x.shape[-1]).transpose() @ ds, db if has_bias else None


@wrong("linear.backward", "dbias_without_bias")
def never_asks(dy, cache):
    x, W, _ = cache
    ds = dy.reshape(-1, dy.shape[-1])
    return dy @ W.T, np.einsum("ni,no->io", x.reshape(-1, x.shape[-1]), ds), np.ones(len(ds)) @ ds


@wrong("linear.backward", "outer_of_sums")
def sums_first(dy, cache):
    x, W, has_bias = cache
    sx, sd = np.zeros(W.shape[0]), np.zeros(W.shape[1])
    for n in np.ndindex(*x.shape[:-1]):
        sx, sd = sx + x[n], sd + dy[n]
    return dy @ W.T, sx.reshape(-1, 1) @ sd.reshape(1, -1), sd if has_bias else None


@wrong("linear.backward", "dweight_turned", "dweight_mean")
def turned_and_averaged(dy, cache):
    x, W, has_bias = cache
    ds = dy.reshape(-1, dy.shape[-1])
    products = [np.outer(d, a) for d, a in zip(ds, x.reshape(-1, x.shape[-1]))]
    return dy @ W.T, np.mean(products, axis=0), ds.sum(0) if has_bias else None


@wrong("linear.backward", "dx_summed")
def dx_of_all_rows(dy, cache):
    x, W, has_bias = cache
    ds = dy.reshape(-1, dy.shape[-1])
    return W @ ds.sum(0), x.reshape(-1, x.shape[-1]).T @ ds, ds.sum(0) if has_bias else None


@wrong("linear.backward", "dx_returned_last", "dweight_returned_first")
def order_of_the_lecture(dy, cache):
    x, W, has_bias = cache
    ds = dy.reshape(-1, dy.shape[-1])
    return x.reshape(-1, x.shape[-1]).T @ ds, ds.sum(0) if has_bias else None, dy @ W.T


@wrong("linear.backward", "factor", "factor_by_row", "near", "partly")
def a_learning_rate_slipped_in(dy, cache):
    x, W, has_bias = cache
    ds = dy.reshape(-1, dy.shape[-1])
    return dy @ W.T, 0.1 * (x.reshape(-1, x.shape[-1]).T @ ds), ds.sum(0) if has_bias else None


# ---------------------------------------------------------------------------------------- embedding.forward
@right("embedding.forward")
def by_take(ids, weight):
    return np.take(weight, ids, axis=0)


@right("embedding.forward")
def one_hot(ids, weight):
    return np.eye(len(weight))[ids] @ weight, ids


@right("embedding.forward")
def row_by_row(ids, weight):
    y = np.empty(ids.shape + weight.shape[1:])
    for n in np.ndindex(*ids.shape):
        y[n] = weight[ids[n]]
    return y


@wrong("embedding.forward", "entries_for_rows")
def take_without_axis(ids, weight):
    return weight.take(ids)


@wrong("embedding.forward", "axes_flattened")
def a_list_of_rows(ids, weight):
    return np.array([weight[i] for i in ids.flatten()])


@wrong("embedding.forward", "scaled_by_root_of_channels")
def as_in_the_first_transformer(ids, weight):
    return weight[ids] * weight.shape[-1] ** 0.5


# ---------------------------------------------------------------------------------------- embedding.backward
@right("embedding.backward")
def one_hot_product(dy, cache):
    ids, V = cache
    return (np.arange(V)[:, None] == ids.reshape(1, -1)).astype(float) @ dy.reshape(-1, dy.shape[-1])


@right("embedding.backward")
def place_by_place(dy, cache):
    ids, V = cache
    table = [np.zeros(dy.shape[-1]) for _ in range(V)]
    for n in np.ndindex(*ids.shape):
        table[ids[n]] = table[ids[n]] + dy[n]
    return np.array(table)


@right("embedding.backward")
def token_by_token(dy, cache):
    ids, V = cache
    return np.stack([dy[ids == v].sum(axis=0) for v in range(V)])


@right("embedding.backward")
def channel_by_channel(dy, cache):
    ids, V = cache
    return np.transpose([np.bincount(ids.ravel(), weights=dy[..., c].ravel(), minlength=V) for c in range(dy.shape[-1])])


@wrong("embedding.backward", "repeats_lost")
def fancy_index(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    dW[ids.ravel()] += dy.reshape(ids.size, -1)
    return dW


@wrong("embedding.backward", "mean_of_repeats")
def averaged_per_token(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for v in set(ids.ravel().tolist()):
        dW[v] = dy[ids == v].mean(axis=0)
    return dW


@wrong("embedding.backward", "mean_of_repeats_nan")
def mean_of_nothing(dy, cache):
    ids, V = cache
    return np.array([np.mean(dy[ids == v], axis=0) for v in range(V)])


@wrong("embedding.backward", "as_long_as_the_largest_id")
def bincount_without_length(dy, cache):
    ids, _ = cache
    return np.stack([np.bincount(ids.ravel(), dy[..., c].ravel()) for c in range(dy.shape[-1])], axis=1)


@wrong("embedding.backward", "only_used_rows")
def dictionary(dy, cache):
    ids, V = cache
    rows = {}
    for i, d in zip(ids.ravel().tolist(), dy.reshape(-1, dy.shape[-1])):
        rows[i] = rows.get(i, 0) + d
    return np.array([rows[i] for i in sorted(rows)])


@wrong("embedding.backward", "last_token_lost")
def range_too_short(dy, cache):
    ids, V = cache
    flat, d = ids.ravel(), dy.reshape(-1, dy.shape[-1])
    dW = np.zeros((V, d.shape[1]))
    for n in range(len(flat) - 1):
        dW[flat[n]] += d[n]
    return dW


@wrong("embedding.backward", "turned")
def channels_first(dy, cache):
    ids, V = cache
    return np.array([np.bincount(ids.ravel(), dy[..., c].ravel(), minlength=V) for c in range(dy.shape[-1])])


@wrong("embedding.backward", "repeats_lost", "mean_over_tokens")
def last_and_averaged(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for n in np.ndindex(*ids.shape):
        dW[ids[n]] = dy[n] / ids.size
    return dW


@wrong("embedding.backward", "row_zero_emptied")
def padding_is_zero(dy, cache):
    ids, V = cache
    dW = np.zeros((V, dy.shape[-1]))
    for v in range(1, V):
        dW[v] = (dy * (ids == v)[..., None]).reshape(-1, dy.shape[-1]).sum(0)
    return dW


@wrong("embedding.backward", "dy_forgotten")
def counts(dy, cache):
    ids, V = cache
    return np.repeat(np.bincount(ids.ravel(), minlength=V)[:, None], dy.shape[-1], axis=1).astype(float)


@wrong("embedding.backward", "not_known", "some_rows", "unrelated", "partly", "near")
def only_the_largest(dy, cache):
    ids, V = cache
    dW = np.full((V, dy.shape[-1]), -np.inf)
    np.maximum.at(dW, ids.ravel(), dy.reshape(ids.size, -1))
    return np.where(np.isinf(dW), 0, dW)


# ---------------------------------------------------------------------------------------- embedding.backward_tied
@right("embedding.backward_tied")
def copy_and_add(dy, cache, dweight):
    ids, V = cache
    total = dweight.copy()
    np.add.at(total, ids, dy)
    return total


@right("embedding.backward_tied")
def loop_into_a_copy(dy, cache, dweight):
    ids, V = cache
    total = np.array(dweight)
    for i, d in zip(ids.ravel(), dy.reshape(-1, dy.shape[-1])):
        total[i] += d
    return total


@right("embedding.backward_tied")
def one_hot_plus(dy, cache, dweight):
    ids, V = cache
    return dweight + np.eye(V)[ids.ravel()].T @ dy.reshape(ids.size, -1)


@wrong("embedding.backward_tied", "repeats_lost")
def indexed_sum(dy, cache, dweight):
    ids, V = cache
    total = dweight.copy()
    total[ids] += dy
    return total


@wrong("embedding.backward_tied", "rows_overwritten", "repeats_lost")
def indexed_assignment(dy, cache, dweight):
    ids, V = cache
    total = dweight.copy()
    total[ids] = dy
    return total


@wrong("embedding.backward_tied", "changes_arguments")
def into_the_argument(dy, cache, dweight):
    ids, V = cache
    np.add.at(dweight, ids, dy)
    return dweight


@wrong("embedding.backward_tied", "other_use_forgotten")
def overwritten_name(dy, cache, dweight):
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]))
    for n in np.ndindex(*ids.shape):
        dweight[ids[n]] += dy[n]
    return dweight


@wrong("embedding.backward_tied", "halved")
def mean_of_two(dy, cache, dweight):
    ids, V = cache
    looked_up = np.array([dy[ids == v].sum(0) for v in range(V)])
    return np.mean([looked_up, dweight], axis=0)


@wrong("embedding.backward_tied", "other_use_twice")
def counted_again(dy, cache, dweight):
    ids, V = cache
    total = dweight.copy()
    np.add.at(total, ids, dy)
    return total + dweight


# ---------------------------------------------------------------------------------------- positions.forward
@right("positions.forward")
def token_and_row(x, weight, offset=0):
    y = x.copy()
    for t in range(x.shape[-2]):
        y[..., t, :] += weight[t + offset]
    return y


@right("positions.forward")
def index_of_places(x, weight, offset=0):
    places = np.arange(x.shape[-2]) + offset
    return np.add(x, weight[places]), (len(weight), offset)


@right("positions.forward")
def by_taking(x, weight, offset=0):
    rows = np.take(weight, range(offset, offset + x.shape[-2]), axis=0)
    return (x.reshape(-1, *rows.shape) + rows[None]).reshape(x.shape)


@wrong("positions.forward", "offset_forgotten")
def from_the_first_row(x, weight, offset=0):
    return np.stack([x[..., t, :] + weight[t] for t in range(x.shape[-2])], axis=-2)


@wrong("positions.forward", "slice_ends_at_T")
def slice_by_length(x, weight, offset=0):
    T = x.shape[-2]
    rows = weight[offset:T, :]
    return x + rows


@wrong("positions.forward", "x_forgotten")
def rows_alone(x, weight, offset=0):
    return np.broadcast_to(weight[offset:][:x.shape[-2]], x.shape)


# ---------------------------------------------------------------------------------------- positions.backward
@right("positions.backward")
def looped_positions(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    for n in np.ndindex(*dy.shape[:-2]):
        for t in range(T):
            dweight[offset + t] += dy[n][t]
    return dy.copy(), dweight


@right("positions.backward")
def padded_sum(dy, cache):
    rows, offset = cache
    T = dy.shape[-2]
    front = tuple(range(dy.ndim - 2))
    return dy, np.pad(dy.sum(axis=front), ((offset, rows - offset - T), (0, 0)))


@right("positions.backward")
def added_at(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    places = np.broadcast_to(offset + np.arange(T), dy.shape[:-1])
    np.add.at(dweight, places, dy)
    return [dy * 1.0, dweight]


@wrong("positions.backward", "offset_forgotten")
def starts_at_zero(dy, cache):
    rows, _ = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    for t in range(T):
        dweight[t] = dy[..., t, :].reshape(-1, C).sum(0)
    return dy, dweight


@wrong("positions.backward", "mean_over_batch")
def averaged_positions(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    return dy, np.pad(np.mean(dy.reshape(-1, T, C), axis=0), ((offset, rows - T - offset), (0, 0)))


@wrong("positions.backward", "last_of_batch_only")
def written_over(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C))
    for d in dy.reshape(-1, T, C):
        for t in range(T):
            dweight[t + offset] = d[t]
    return dy, dweight


@wrong("positions.backward", "only_used_rows")
def summed_and_returned(dy, cache):
    return dy, np.einsum("ntc->tc", dy.reshape(-1, *dy.shape[-2:]))


@wrong("positions.backward", "dx_none", "offset_forgotten")
def two_at_once(dy, cache):
    rows, offset = cache
    dweight = np.zeros((rows, dy.shape[-1]))
    np.add.at(dweight, np.broadcast_to(np.arange(dy.shape[-2]), dy.shape[:-1]), dy)
    return None, dweight


@wrong("positions.backward", "all_rows_the_same")
def like_a_bias(dy, cache):
    rows, offset = cache
    total = dy.reshape(-1, dy.shape[-1]).sum(0)
    return dy, np.tile(total, (rows, 1))


@wrong("positions.backward", "one_row_too_far_and_cut")
def counts_from_one(dy, cache):
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows + 1, C))
    for t in range(1, T + 1):
        dweight[offset + t] = dy.reshape(-1, T, C)[:, t - 1].sum(0)
    return dy, dweight[:rows]


# ---------------------------------------------------------------------------------------- positions.sinusoidal
@right("positions.sinusoidal")
def by_exp_and_log(n_positions, n_channels):
    table = np.zeros((n_positions, n_channels))
    speed = np.exp(-np.log(10000.0) * np.arange(0, n_channels, 2) / n_channels)
    angle = np.outer(np.arange(n_positions), speed)
    table[:, ::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)[:, :n_channels // 2]
    return table


@right("positions.sinusoidal")
def nested_lists(n_positions, n_channels):
    import math
    return np.array([[(math.cos if c % 2 else math.sin)(t / 10000 ** ((c - c % 2) / n_channels)) for c in range(n_channels)]
                     for t in range(n_positions)])


@right("positions.sinusoidal")
def all_sines(n_positions, n_channels):
    c = np.arange(n_channels)
    return np.sin(np.arange(n_positions)[:, None] * 10000.0 ** -(c // 2 * 2 / n_channels) + (c % 2) * np.pi / 2)


@wrong("positions.sinusoidal", "exponent_i")
def single_i(n_positions, n_channels):
    table = np.zeros((n_positions, n_channels))
    for t in range(n_positions):
        for i in range((n_channels + 1) // 2):
            angle = t / 10000 ** (i / n_channels)
            table[t, 2 * i] = np.sin(angle)
            if 2 * i + 1 < n_channels:
                table[t, 2 * i + 1] = np.cos(angle)
    return table


@wrong("positions.sinusoidal", "halves")
def concatenated(n_positions, n_channels):
    angle = np.arange(n_positions)[:, None] / np.power(10000, np.arange(0, n_channels, 2) / n_channels)
    return np.hstack([np.sin(angle), np.cos(angle)])[:, :n_channels]


@wrong("positions.sinusoidal", "cosine_with_its_own_exponent")
def own_exponents(n_positions, n_channels):
    angle = np.arange(n_positions)[:, None] / np.power(10000, np.arange(n_channels) / n_channels)
    angle[:, 0::2], angle[:, 1::2] = np.sin(angle[:, 0::2]), np.cos(angle[:, 1::2])
    return angle


@wrong("positions.sinusoidal", "positions_from_one")
def one_based(n_positions, n_channels):
    table = np.empty((n_positions, n_channels))
    for c in range(n_channels):
        angle = np.arange(1, n_positions + 1) / 10000 ** ((c // 2) * 2 / n_channels)
        table[:, c] = np.sin(angle) if c % 2 == 0 else np.cos(angle)
    return table

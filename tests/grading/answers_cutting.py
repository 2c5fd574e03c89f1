"""Answers to the exercises that cut channels into heads and put heads together: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- split, merge: right
@right("multihead.split")
def slice_by_slice(x, n_head):
    D = x.shape[-1] // n_head
    return np.stack([x[..., h * D:(h + 1) * D] for h in range(n_head)], axis=1)


@right("multihead.split")
def split_and_stack(x, n_head):
    return np.array(np.split(x, n_head, axis=-1)).transpose(1, 0, 2, 3)


@right("multihead.split")
def entry_by_entry(x, n_head):
    B, T, C = x.shape
    D = C // n_head
    heads = np.empty((B, n_head, T, D), x.dtype, order="F")
    for b, t, c in np.ndindex(B, T, C):
        heads[b, c // D, t, c % D] = x[b, t, c]
    return heads


@right("multihead.merge")
def concatenated(heads):
    return np.concatenate([heads[:, h] for h in range(heads.shape[1])], axis=-1)


@right("multihead.merge")
def by_swapaxes(heads):
    moved = np.swapaxes(heads, 1, 2)
    return moved.reshape(*moved.shape[:2], -1)


@right("multihead.merge")
def with_einsum(heads):
    B, H, T, D = heads.shape
    return np.einsum("bhtd->bthd", heads).copy().reshape((B, T, H * D))


# ---------------------------------------------------------------------------------------- split, merge: wrong
@wrong("multihead.split", "without_transpose")
def only_a_shape(x, n_head):
    heads = np.zeros((x.shape[0], n_head, x.shape[1], x.shape[2] // n_head))
    heads.flat = x.ravel()
    return heads


@wrong("multihead.split", "strided")
def every_hth_channel(x, n_head):
    return np.stack([x[:, :, h::n_head] for h in range(n_head)], axis=1)


@wrong("multihead.split", "not_transposed")
def stacked_behind(x, n_head):
    return np.stack(np.split(x, n_head, axis=-1), axis=2)


@wrong("multihead.split", "heads_first")
def stacked_in_front(x, n_head):
    return np.array(np.split(x, n_head, axis=2))


@wrong("multihead.merge", "without_transpose")
def flat_and_again(heads):
    B, H, T, D = heads.shape
    return heads.ravel().reshape(B, T, H * D)


@wrong("multihead.merge", "strided")
def stacked_last(heads):
    B, H, T, D = heads.shape
    return np.stack([heads[:, h] for h in range(H)], axis=-1).reshape(B, T, H * D)


@wrong("multihead.merge", "summed")
def added(heads):
    total = 0
    for h in range(heads.shape[1]):
        total = total + heads[:, h]
    return total


@wrong("multihead.merge", "reversed")
def from_the_last(heads):
    return np.concatenate([heads[:, -1 - h] for h in range(heads.shape[1])], axis=2)


# ---------------------------------------------------------------------------------------- shared, summed: right
@right("grouped.shared")
def by_index(kv, n_head):
    return kv[:, np.arange(n_head) // (n_head // kv.shape[1])]


@right("grouped.shared")
def by_broadcasting(kv, n_head):
    B, G, S, D = kv.shape
    return np.broadcast_to(kv[:, :, None], (B, G, n_head // G, S, D)).reshape(B, n_head, S, D)


@right("grouped.shared")
def one_after_the_other(kv, n_head):
    heads = []
    for g in range(kv.shape[1]):
        for _ in range(n_head // kv.shape[1]):
            heads.append(kv[:, g])
    return np.stack(heads, axis=1)


@right("grouped.summed")
def by_add_at(d, n_kv_head):
    B, H, S, D = d.shape
    total = np.zeros((B, n_kv_head, S, D), d.dtype)
    np.add.at(total, (slice(None), np.arange(H) // (H // n_kv_head)), d)
    return total


@right("grouped.summed")
def slices_of_heads(d, n_kv_head):
    n = d.shape[1] // n_kv_head
    return np.stack([d[:, g * n:(g + 1) * n].sum(1) for g in range(n_kv_head)], 1)


@right("grouped.summed")
def by_a_matrix(d, n_kv_head):
    H = d.shape[1]
    member = np.kron(np.eye(n_kv_head), np.ones(H // n_kv_head))
    return np.einsum("gh,bhsd->bgsd", member, d)


# ---------------------------------------------------------------------------------------- shared, summed: wrong
@wrong("grouped.shared", "interleaved")
def concatenated_copies(kv, n_head):
    return np.concatenate([kv] * (n_head // kv.shape[1]), axis=1)


@wrong("grouped.shared", "axis_too_many")
def not_flattened(kv, n_head):
    return np.stack([kv] * (n_head // kv.shape[1]), axis=2)


@wrong("grouped.shared", "first_group_only")
def one_for_all(kv, n_head):
    return np.stack([kv[:, 0]] * n_head, axis=1)


@wrong("grouped.summed", "interleaved")
def strided_heads(d, n_kv_head):
    return np.stack([d[:, g::n_kv_head].sum(axis=1) for g in range(n_kv_head)], axis=1)


@wrong("grouped.summed", "mean")
def averaged_slices(d, n_kv_head):
    n = d.shape[1] // n_kv_head
    return np.stack([np.mean(d[:, g * n:(g + 1) * n], axis=1) for g in range(n_kv_head)], axis=1)


@wrong("grouped.summed", "last_only")
def put_and_not_added(d, n_kv_head):
    out = np.zeros((d.shape[0], n_kv_head, *d.shape[2:]))
    for h in range(d.shape[1]):
        out[:, h * n_kv_head // d.shape[1]] = d[:, h]
    return out

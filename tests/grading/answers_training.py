"""Answers to the exercises on training code, as people write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- training.shift
@right("training.shift")
def in_loops(ids, lengths, step=1, keep=lambda t, n: t + 1 < n):
    B, T = len(ids), ids.shape[1] - 1
    inputs, targets = np.zeros((B, T), int), np.zeros((B, T), int)
    for b in range(B):
        for t in range(T):
            inputs[b, t] = ids[b, t]
            targets[b, t] = ids[b, t + step] if keep(t, lengths[b]) else -100
    return inputs, targets


@right("training.shift")
def with_where(ids, lengths):
    places = np.arange(ids.shape[1])
    marked = np.where(places[None, :] < np.asarray(lengths).reshape(-1, 1), ids, -100)
    return [ids[..., :-1], marked[..., 1:]]


@right("training.shift")
def with_lists(ids, lengths):
    rows = [list(row[1:n]) + [-100] * (len(row) - n) for row, n in zip(ids.tolist(), lengths.tolist())]
    return np.array([row[:-1] for row in ids.tolist()], np.int32), np.array(rows).reshape(len(ids), -1)


@wrong("training.shift", "not_shifted")
def the_same_twice(ids, lengths):
    return in_loops(ids, lengths, step=0)


@wrong("training.shift", "padding_counts")
def no_mask(ids, lengths):
    return ids[:, :-1], ids[:, 1:]


@wrong("training.shift", "ignored_by_value")
def zero_is_padding(ids, lengths):
    return ids[:, :-1], np.where(ids[:, 1:] == 0, -100, ids[:, 1:])


@wrong("training.shift", "padding_once_too_often")
def one_too_many(ids, lengths):
    return in_loops(ids, lengths, keep=lambda t, n: t < n)


@wrong("training.shift", "last_token_ignored")
def one_too_few(ids, lengths):
    return in_loops(ids, lengths, keep=lambda t, n: t + 2 < n)


@wrong("training.shift", "changes_arguments")
def writes_into_ids(ids, lengths):
    targets = ids[:, 1:]
    inputs = ids[:, :-1].copy()
    targets[np.arange(1, ids.shape[1]) >= lengths[:, None]] = -100
    return inputs, targets


@wrong("training.shift", "inputs_ignored_too", "changes_arguments")
def a_view_is_no_copy(ids, lengths):
    """-100 gets into the inputs, because both are views of one array."""
    both = ids.copy()
    targets = both[:, 1:]
    targets[np.arange(1, ids.shape[1]) >= lengths[:, None]] = -100
    return np.where(in_loops(ids, lengths)[1] == -100, -100, both[:, :-1]), targets


@wrong("training.shift", "not_shifted", "padding_counts")
def neither(ids, lengths):
    return ids[:, :-1], ids[:, :-1]


# ---------------------------------------------------------------------------------------- training.accumulate
@right("training.accumulate")
def sums_first(losses, grads, counts):
    nats, total = 0.0, np.zeros_like(grads[0])
    for loss, grad, n in zip(losses, grads, counts):
        nats += loss * n
        total += grad * n
    return nats / sum(counts), total / sum(counts)


@right("training.accumulate")
def weighted_average(losses, grads, counts):
    return np.average(losses, weights=counts), np.average(np.stack(grads), axis=0, weights=counts)


@right("training.accumulate")
def running_mean(losses, grads, counts):
    """The mean so far, moved a little by each shard."""
    loss, grad, seen = 0.0, 0.0 * grads[0], 0
    for one, g, n in zip(losses, grads, counts):
        if n == 0:
            continue
        seen += n
        loss, grad = loss + (one - loss) * n / seen, grad + (g - grad) * n / seen
    return [loss, grad]


@wrong("training.accumulate", "plain_mean")
def mean_of_means(losses, grads, counts):
    return np.mean(losses), np.mean(grads, axis=0)


@wrong("training.accumulate", "gradient_plain_mean")
def loss_over_steps(losses, grads, counts):
    """As the famous library did it: each shard's gradient divided by the number of steps."""
    steps = len(grads)
    return sum(a * n for a, n in zip(losses, counts)) / sum(counts), sum(g / steps for g in grads)


@wrong("training.accumulate", "summed")
def never_divided(losses, grads, counts):
    return sum(losses), sum(grads)


@wrong("training.accumulate", "not_divided")
def sum_over_tokens(losses, grads, counts):
    return sum(a * n for a, n in zip(losses, counts)), sum(g * n for g, n in zip(grads, counts))


@wrong("training.accumulate", "last_shard_only")
def assigned(losses, grads, counts):
    for grad in grads:
        total = grad
    return sum(a * n for a, n in zip(losses, counts)) / sum(counts), total


@wrong("training.accumulate", "running_average")
def averaged_with_the_last(losses, grads, counts):
    loss, grad = losses[0], grads[0]
    for one, g in zip(losses[1:], grads[1:]):
        loss, grad = (loss + one) / 2, (grad + g) / 2
    return loss, grad


@wrong("training.accumulate", "summed", "last_loss_only")
def sums_and_the_last_loss(losses, grads, counts):
    return losses[-1], np.add.reduce(grads)


@wrong("training.accumulate")
def weights_of_the_neighbour(losses, grads, counts):
    counts = counts[1:] + counts[:1]
    return sum(a * n for a, n in zip(losses, counts)) / sum(counts), sum(g * n for g, n in zip(grads, counts)) / sum(counts)


# ---------------------------------------------------------------------------------------- training.perplexity
@right("training.perplexity")
def geometric_mean(losses, targets):
    chances = [math.exp(-loss) for loss, target in zip(losses.ravel(), targets.ravel()) if target != -100]
    return math.prod(chances) ** (-1 / len(chances))


@right("training.perplexity")
def masked_sum(losses, targets):
    keep = (targets >= 0).astype(float)
    return np.exp((losses * keep).sum() / keep.sum())


@right("training.perplexity")
def by_bits(losses, targets):
    return np.exp2(np.mean(losses[np.nonzero(targets + 100)]) / np.log(2))


@wrong("training.perplexity", "exp_before_the_mean")
def mean_of_exponentials(losses, targets):
    return np.mean([math.exp(one) for one in losses[targets != -100]])


@wrong("training.perplexity", "ignored_counted")
def all_of_them(losses, targets):
    return np.exp(np.mean(losses))


@wrong("training.perplexity", "mean_over_all")
def zeroed_and_averaged(losses, targets):
    return np.exp(np.mean(losses * (targets != -100)))


@wrong("training.perplexity", "mean_of_the_sequences")
def sequence_by_sequence(losses, targets):
    return np.mean([np.exp(row[t != -100].sum() / max((t != -100).sum(), 1)) for row, t in zip(losses, targets)])


@wrong("training.perplexity", "base_two")
def two_to_the_loss(losses, targets):
    return 2 ** losses[targets != -100].mean()


@wrong("training.perplexity", "base_two", "mean_over_all")
def two_slips(losses, targets):
    return 2 ** (losses * (targets >= 0)).mean()


# ---------------------------------------------------------------------------------------- training.bits_per_character
@right("training.bits_per_character")
def by_log2(losses, targets, characters):
    return -np.log2(np.exp(-losses[targets != -100])).sum() / characters


@right("training.bits_per_character")
def one_by_one(losses, targets, characters):
    total = 0.0
    for loss, target in zip(losses.flat, targets.flat):
        total += loss if target != -100 else 0
    return total / (math.log(2) * characters)


@right("training.bits_per_character")
def from_the_mean(losses, targets, characters):
    keep = targets != -100
    return np.mean(losses[keep]) / np.log(2) * keep.sum() / characters


@wrong("training.bits_per_character", "per_token")
def bits_a_token(losses, targets, characters):
    return np.mean(losses[targets >= 0]) * np.log2(np.e)


@wrong("training.bits_per_character", "nats")
def nats_a_character(losses, targets, characters):
    return losses[targets >= 0].sum() / characters


@wrong("training.bits_per_character", "mean_over_characters")
def mean_a_character(losses, targets, characters):
    return np.mean(losses[targets >= 0]) / np.log(2) / characters


@wrong("training.bits_per_character", "times_ln_2")
def wrong_way_round(losses, targets, characters):
    return losses[targets >= 0].sum() * math.log(2) / characters


@wrong("training.bits_per_character", "nats", "ignored_counted")
def two_at_once(losses, targets, characters):
    return losses.sum() / characters

"""Exercises on what training code does around the model, where it goes wrong although every layer is right.

    training.shift                what goes in, and what should come out
    training.accumulate           loss and gradient of a batch, from its shards'
    training.perplexity           from the losses of the tokens
    training.bits_per_character   the same, so that tokenizers can be compared
"""
import math

import numpy as np

from nanolm.grading.exercise import Call, Exercise
from nanolm.grading.mistakes import training as mistakes


def inputs_and_targets(ids, lengths):
    """Return inputs and targets, both (B, T), whole numbers, from ids (B, T + 1).

    Text b is ids[b, :lengths[b]]; behind it the row is filled with 0, which is a token too. targets[b, t] is the token after
    inputs[b, t], or -100 where the text has ended. lengths (B,): at least 2.
    """
    targets = ids[:, 1:].copy()
    targets[np.arange(1, ids.shape[1]) >= lengths[:, None]] = -100
    return ids[:, :-1], targets


def accumulate(losses, grads, counts):
    """Return loss and gradient of a whole batch that was cut into shards.

    losses: for each shard the mean loss over its targets; grads: for each the gradient of that mean by one weight, arrays of
    one shape; counts: how many targets each has, whole numbers. A shard with none has loss and gradient 0. At least one has some.
    The loss of the batch is the mean over all targets.
    """
    total = sum(counts)
    loss = sum(n / total * one for n, one in zip(counts, losses))
    return loss, sum(n / total * one for n, one in zip(counts, grads))


def perplexity(losses, targets):
    """Return the perplexity, one number, from losses (B, T), in nats, of each token. Targets (B, T) of -100 do not count."""
    return math.exp(losses[targets != -100].mean())


def bits_per_character(losses, targets, characters):
    """Return the bits per character, one number. losses, targets: as for perplexity; characters: how many the same text has."""
    return float(losses[targets != -100].sum()) / math.log(2) / characters


def shift_call(draw):
    B, T = draw.whole(1, 3), draw.whole(1, 6)
    ids, lengths = draw.ids((B, T + 1), draw.choice(3, 7)), np.array([draw.whole(2, T + 1) for _ in range(B)])
    ids[np.arange(T + 1) >= lengths[:, None]] = 0
    return Call((ids, lengths), shown={"ids": ids, "lengths": lengths}, sizes={"B": B, "T": T})


def accumulate_call(draw):
    K, rows = draw.whole(1, 4), (draw.whole(1, 3), draw.whole(1, 3))
    counts = [draw.whole(0, 9) for _ in range(K)]
    counts[draw.whole(0, K - 1)] = draw.whole(1, 9)
    numbers = draw.array(K)
    losses = [float(abs(numbers[k])) if counts[k] else 0.0 for k in range(K)]
    grads = [draw.array(*rows) * (counts[k] > 0) for k in range(K)]
    return Call((losses, grads, counts), shown={"losses": np.array(losses), **{f"grads[{k}]": g for k, g in enumerate(grads)},
                                                "counts": np.array(counts)}, sizes={"K": K, "M": sum(counts)})


def losses_of(draw):
    """Return losses (B, T), above 0 at targets of -100 too, and targets, one of which counts at least."""
    B, T = draw.whole(1, 3), draw.whole(1, 5)
    losses = np.abs(draw.array(B, T)) + draw.share(0.0, 1.0)
    targets = np.where(draw.booleans(B, T, share=0.7), draw.ids((B, T), 5), -100)
    targets[draw.whole(0, B - 1), draw.whole(0, T - 1)] = draw.whole(0, 4)
    return losses, targets, {"B": B, "T": T, "N": B * T, "M": int((targets != -100).sum())}


def perplexity_call(draw):
    losses, targets, sizes = losses_of(draw)
    return Call((losses, targets), shown={"losses": losses, "targets": targets}, sizes=sizes)


def bits_call(draw):
    losses, targets, sizes = losses_of(draw)
    characters = draw.whole(1, 40)
    return Call((losses, targets, characters), shown={"losses": losses, "targets": targets, "characters": characters},
                sizes={**sizes, "characters": characters})


def exercise(name, function, outputs, inputs, **more):
    """Return the Exercise of writing one of the functions above."""
    arguments = ", ".join(function.__code__.co_varnames[:function.__code__.co_argcount])
    return Exercise(f"training.{name}", "forward", more.pop("task"), outputs, function, inputs,
                    signature=f"def {function.__name__}({arguments}):",
                    docstring=function.__doc__, notebook="14_training", **more)


def exercises(constants):
    return [
        exercise("shift", inputs_and_targets, ("inputs", "targets"), shift_call, level=1, minutes=15, mistakes=mistakes.SHIFT,
                 task="Make inputs and targets of ids (B, T + 1): inputs (B, T), and for each of them the token that follows it, "
                      "-100 where the text has ended. lengths (B,) says how long each text is; behind it the row is filled with "
                      "0, which is a token too.",
                 hints=("Each token is a target for the one before it: the inputs lack the last, the targets the first.",
                        "targets[b, t] is ids[b, t + 1], which is part of the text if t + 1 < lengths[b].",
                        "Copy before writing -100: ids[:, 1:] is a view of ids.")),
        exercise("accumulate", accumulate, ("loss", "grad"), accumulate_call, level=1, minutes=15, mistakes=mistakes.ACCUMULATE,
                 task="A batch was cut into shards, because it does not fit into memory. Of each you have the mean loss over its "
                      "targets, the gradient of that mean, and the number of its targets. Return loss and gradient of the whole "
                      "batch, whose loss is the mean over all targets.",
                 hints=("Undo the means: shard k's sum is counts[k] * losses[k].", "The batch's mean is the sum of the sums, "
                                                                                   "divided by sum(counts).",
                        "Differentiation is linear: the gradients have the same weights, counts[k] / sum(counts).")),
        exercise("perplexity", perplexity, ("perplexity",), perplexity_call, level=1, minutes=10, mistakes=mistakes.PERPLEXITY,
                 task="Compute the perplexity from the losses of the tokens, (B, T), in nats. Where targets is -100 the loss "
                      "does not count, whatever number stands there.",
                 hints=("Perplexity is the exponential of the mean loss.", "The mean is over the targets that count: "
                                                                           "losses[targets != -100].")),
        exercise("bits_per_character", bits_per_character, ("bits",), bits_call, level=1, minutes=10, mistakes=mistakes.BITS,
                 task="Compute the bits per character from the losses of the tokens, (B, T), in nats. Where targets is -100 the "
                      "loss does not count. characters is the length of the text that the counted tokens make up.",
                 hints=("The sum of the losses is the length of the compressed text, in nats.", "A bit is ln 2 nats.",
                        "sum / ln 2 / characters. The number of tokens is not needed.")),
    ]

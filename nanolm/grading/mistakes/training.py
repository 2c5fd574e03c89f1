"""Wrong answers to the exercises on what training code does around the model: targets, accumulation, perplexity."""
import numpy as np

from nanolm.grading.exercise import ways, written


def shifted(ids, lengths, by=1, which="inputs first", ignored="by length", edge=0, value=-100, row="each"):
    """inputs_and_targets, with a switch wherever people go wrong."""
    T = ids.shape[1] - 1
    inputs = ids[:, :T]
    targets = {0: ids[:, :T], 1: ids[:, 1:], -1: np.concatenate([ids[:, :1], ids[:, :T - 1]], axis=1),
               2: np.concatenate([ids[:, 2:], np.full((len(ids), 1), value)], axis=1)}[by].copy()
    lengths = {"each": lengths, "first": lengths[0] + 0 * lengths, "longest": lengths.max() + 0 * lengths}[row]
    if ignored == "by length":
        targets[np.arange(1, T + 1)[None] + edge >= lengths[:, None]] = value
    elif ignored == "zeros":
        targets[targets == 0] = value
    return {"inputs first": (inputs, targets), "targets first": (targets, inputs),
            "inputs too": (np.where(targets == value, value, inputs), targets),
            "inputs whole": (ids, targets), "last cut": (ids[:, 1:], targets)}[which]


SHIFT = ways(
    shifted,
    not_shifted=("The targets are the inputs: the model is asked for the token that it sees. The loss then falls to nearly 0 on "
                 "any text, and the model learns to copy. The target at place t is the token at t + 1.", {"by": 0}),
    shifted_backwards=("The targets are shifted the wrong way: each place is asked for the token before it, which it has seen. "
                       "The target at place t is the token at t + 1.", {"by": -1}),
    shifted_twice=("The targets are shifted by two places: the target at place t is the token at t + 1. Is the model's loss "
                   "shifting as well?",
                   {"by": 2}),
    targets_first=("The targets are returned before the inputs.", {"which": "targets first"}),
    inputs_not_cut=("The inputs still hold the last token. Nothing follows it, so there is no target for it: ids[:, :-1].",
                    {"which": "inputs whole"}),
    inputs_are_the_targets=("The inputs are cut at the wrong end: they are the tokens without the last, ids[:, :-1].",
                            {"which": "last cut"}),
    inputs_ignored_too=("-100 was written into the inputs. It marks targets that do not count; as an input it is no token.",
                        {"which": "inputs too"}),
    padding_counts=("The padding counts as a target: places whose next token lies beyond lengths get -100. 0 is a token like "
                    "others.", {"ignored": "never"}),
    ignored_by_value=("-100 stands wherever the next token is 0. Padding is filled with 0, but 0 is a token like others: what "
                      "counts is said by lengths alone.", {"ignored": "zeros"}),
    last_token_ignored=("The last token of each text is ignored as a target too: place t counts if t + 1 < lengths.",
                        {"edge": 1}),
    padding_once_too_often=("One place of padding counts: place t counts if t + 1 < lengths, not if t < lengths. The last token "
                            "of a text has none that follows it.", {"edge": -1}),
    ignored_as_minus_one=("What does not count is -1. In this library it is -100.", {"value": -1}),
    length_of_the_first=("All texts are cut at the length of the first: lengths has one for each.", {"row": "first"}),
    length_of_the_longest=("All texts are cut at the greatest length: lengths has one for each.", {"row": "longest"}),
) + written(
    targets_alone=("The targets are returned alone: inputs and targets, both (B, T).",
                   lambda ids, lengths: shifted(ids, lengths)[1]),
)


def accumulated(losses, grads, counts, weigh="tokens", of_loss="same", skip="none"):
    """accumulate, with a switch wherever people go wrong."""
    counts = np.asarray(counts, np.float64)
    K, total, ones = len(counts), counts.sum(), np.ones(len(counts))
    weights = {"tokens": lambda: counts / total, "even": lambda: ones / K, "sum": lambda: ones, "counts": lambda: counts,
               "counts over shards": lambda: counts / K, "nonzero": lambda: (counts > 0) / (counts > 0).sum(),
               "even over total": lambda: ones / total, "halves": lambda: 0.5 ** (K - np.maximum(np.arange(K), 1)),
               "inverse": lambda: (counts > 0) / np.maximum(counts, 1), "largest": lambda: counts / counts.max(),
               "first": lambda: counts / max(counts[0], 1)}[weigh]()
    last, first = np.arange(K) == K - 1, np.arange(K) == 0
    weights_of_loss = {"same": weights, "even": ones / K, "tokens": counts / total, "sum": ones, "last": 1.0 * last}[of_loss]
    weights = {"none": weights, "last": weights * ~last, "first": weights * ~first, "all but the last": 1.0 * last}[skip]
    return float(weights_of_loss @ np.asarray(losses)), sum(w * g for w, g in zip(weights, grads))


ACCUMULATE = ways(
    accumulated,
    plain_mean=("The shards are averaged evenly. Each shard's loss is a mean over its own targets, so a shard with few targets "
                "would weigh as much as one with many: weigh shard k by counts[k] / sum(counts). This very mistake was in a "
                "famous library for years.",
                {"weigh": "even"}),
    gradient_plain_mean=("The loss is right, but the gradients are averaged evenly. They are the gradients of the shards' means "
                         "and need the same weights as the losses, counts[k] / sum(counts).",
                         {"weigh": "even", "of_loss": "tokens"}),
    loss_plain_mean=("The gradient is right, but the losses are averaged evenly. They need the same weights, counts[k] / "
                     "sum(counts): else the curve that you look at is not of the loss that is trained.", {"of_loss": "even"}),
    summed=("The shards are summed without weights: with K equal shards loss and gradient are K times too large, as if the "
            "learning rate were. Weigh shard k by counts[k] / sum(counts).", {"weigh": "sum"}),
    loss_summed=("The losses are summed without weights: weigh shard k by counts[k] / sum(counts).", {"of_loss": "sum"}),
    not_divided=("Each shard is multiplied by its count, and nothing is divided by their sum: the result is a sum over tokens. "
                 "Divide by sum(counts).", {"weigh": "counts"}),
    divided_by_shards=("Each shard is multiplied by its count and divided by the number of shards. Divide by the number of "
                       "targets in all, sum(counts).", {"weigh": "counts over shards"}),
    mean_divided_again=("The shards' means are divided by the number of targets once more. They are means already: multiply by "
                        "counts[k] first.",
                        {"weigh": "even over total"}),
    mean_of_shards_that_count=("The shards that have targets are averaged evenly. They weigh by how many targets they have, "
                               "counts[k] / sum(counts).",
                               {"weigh": "nonzero"}),
    running_average=("Each new shard is averaged with what was there before, (sum + new) / 2, so that the last one weighs half. "
                     "All targets weigh alike: counts[k] / sum(counts).", {"weigh": "halves"}),
    divided_by_count=("Each shard is divided by its count. It is a mean already: multiply by counts[k], and divide by "
                      "sum(counts).",
                      {"weigh": "inverse"}),
    divided_by_the_largest=("The weights are counts[k] / max(counts). They must add up to one: counts[k] / sum(counts).",
                            {"weigh": "largest"}),
    divided_by_the_first=("The weights are counts[k] / counts[0]. They must add up to one: counts[k] / sum(counts).",
                          {"weigh": "first"}),
    last_shard_only=("The gradient is the last shard's: in the loop it was assigned where it should have been added.",
                     {"skip": "all but the last"}),
    last_loss_only=("The loss is the last shard's: in the loop it was assigned where it should have been added.",
                    {"of_loss": "last"}),
    last_shard_left_out=("The last shard's gradient is left out: does the loop end one too early, or the sum begin after the "
                         "first step?",
                         {"skip": "last"}),
    first_shard_left_out=("The first shard's gradient is left out: was the sum set to zero once too often?", {"skip": "first"}),
)


def perplexed(losses, targets, over="counted", order="mean then exp", base="e", ignored="left out"):
    """perplexity, with a switch wherever people go wrong."""
    counts = targets != -100
    losses = losses if ignored == "counted" else np.where(counts, losses, 0)
    if order == "exp then mean":
        return float(np.exp(losses)[counts].mean())
    rows = np.maximum(counts.sum(axis=1), 1)
    if order == "sequences":
        return float(np.exp(losses.sum(axis=1) / rows).mean())
    if order == "product":
        return float(np.exp(losses.sum()))
    mean = {"counted": lambda: losses[counts].mean(), "all": lambda: losses.mean(),
            "sequences": lambda: (losses.sum(axis=1) / rows).mean(),
            "batch": lambda: losses.sum() / len(losses), "last": lambda: losses[:, -1].mean(),
            "nonzero": lambda: losses.sum() / max(np.count_nonzero((targets != -100) & (targets != 0)), 1)}[over]()
    return float({"e": lambda: np.exp(mean), "2": lambda: 2.0**mean, "inverse": lambda: np.exp(-mean), "none": lambda: mean,
                  "10": lambda: 10.0**mean,
                  "bits": lambda: mean / np.log(2), "twice": lambda: np.exp(mean)**2}[base]())


PERPLEXITY = ways(
    perplexed,
    exp_before_the_mean=("The exponentials are averaged. Perplexity is the exponential of the mean loss: one unlikely token "
                         "would outweigh all others.", {"order": "exp then mean"}),
    mean_of_the_sequences=("The perplexities of the sequences are averaged. Take the mean loss over all targets that count "
                           "first, then one exponential.", {"order": "sequences"}),
    mean_of_means=("The mean is taken sequence by sequence first. All targets that count weigh alike: sum them all, divide once.",
                   {"over": "sequences"}),
    mean_over_all=("The sum is divided by all B T places. Targets of -100 do not count in the number either.", {"over": "all"}),
    ignored_counted=("The losses at targets of -100 count. They are left out of the sum and of the number.",
                     {"over": "all", "ignored": "counted"}),
    not_averaged=("The losses are summed, not averaged: a longer text would have a larger perplexity.", {"order": "product"}),
    divided_by_batch=("The sum is divided by the number of sequences. Divide by the number of targets that count.",
                      {"over": "batch"}),
    base_two=("The loss is in nats, so it goes with e, not with 2. (2 to the loss is right for a loss in bits.)", {"base": "2"}),
    base_ten=("The loss is in nats, so it goes with e, not with 10.", {"base": "10"}),
    sign=("The exponent has the wrong sign: this is the mean probability, one over the perplexity. Perplexity is at least 1.",
          {"base": "inverse"}),
    loss_returned=("This is the mean loss. Perplexity is its exponential.", {"base": "none"}),
    bits_returned=("This is the mean loss in bits. Perplexity is exp(loss in nats).", {"base": "bits"}),
    squared=("This is the square of the perplexity.", {"base": "twice"}),
    last_place_only=("Only the last place of each sequence counts here. All targets that are not -100 count.", {"over": "last"}),
)


def bits(losses, targets, characters, unit="bits", over="characters", ignored="left out"):
    """bits_per_character, with a switch wherever people go wrong."""
    counts = targets != -100
    total = losses.sum() if ignored == "counted" else losses[counts].sum()
    M = max(int(counts.sum()), 1)
    per = {"characters": characters, "tokens": M, "places": losses.size, "sequences": len(losses), "nothing": 1,
           "characters squared": characters**2,
           "mean over characters": M * characters, "tokens upside down": M * M / characters}[over]
    return float(total / per * {"bits": 1 / np.log(2), "nats": 1, "times": np.log(2), "ten": 1 / np.log(10),
                                "exp": 1 / np.log(2)}[unit]
                 if unit != "exp" else 2 ** (total / per / np.log(2)))


BITS = ways(
    bits,
    nats=("This is in nats. A bit is ln 2 nats: divide by ln 2.", {"unit": "nats"}),
    times_ln_2=("The nats are multiplied by ln 2. A bit is ln 2 nats, so divide.", {"unit": "times"}),
    base_ten=("The nats are divided by ln 10. A bit is ln 2 nats.", {"unit": "ten"}),
    per_token=("This is bits per token. A token is several characters long, and how many depends on the tokenizer: divide the "
               "total by the characters.", {"over": "tokens"}),
    per_place=("The total is divided by all B T places. Divide by the characters.", {"over": "places"}),
    per_sequence=("The total is divided by the number of sequences. Divide by the characters.", {"over": "sequences"}),
    not_divided=("This is the total. Divide it by the number of characters.", {"over": "nothing"}),
    mean_over_characters=("The mean loss is divided by the characters. Divide the sum of the losses: the mean was divided by the "
                          "tokens already.", {"over": "mean over characters"}),
    tokens_upside_down=("The mean loss is multiplied by characters per token. It is tokens per character that is needed: sum of "
                        "losses / characters.", {"over": "tokens upside down"}),
    ignored_counted=("The losses at targets of -100 count: leave them out.", {"ignored": "counted"}),
    perplexity_per_character=("This is 2 to the bits per character. Leave the power away.", {"unit": "exp"}),
)

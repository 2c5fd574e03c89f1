"""Wrong answers to the exercises on cross-entropy."""
import numpy as np

from nanolm.grading.exercise import ways, written
from nanolm.layers import softmax


def cross_entropy_backward(dloss, cache, divided="M", target="at its row", smoothing="right", shares="p", upstream="dloss",
                           sign=1, ignored="zero", shape="as logits"):
    """cross_entropy.backward. Each argument is a place where people go wrong; the values given here are the right ones."""
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    N, M, at = len(z), len(rows), np.arange(len(rows))
    if shares == "largest forgotten":
        p = np.exp(z[rows] - log_sum[rows])
    else:
        p = softmax.forward(z[rows])[0]
    if shares == "by count":                                # log_sum of the first M rows, whatever the rows that count
        p = np.exp(z[rows] - z[rows].max(axis=-1, keepdims=True) - log_sum[:M])
    if shares == "logarithms":
        p = z[rows] - z[rows].max(axis=-1, keepdims=True) - log_sum[rows]
    peak, spread = {"right": (1 - s, s / V), "forgotten": (1.0, 0.0), "target kept whole": (1.0, s / V),
                    "not spread": (1 - s, 0.0),
                    "others only": (1 - s - s / max(V - 1, 1), s / max(V - 1, 1)), "not divided": (1 - s, s)}[smoothing]
    q = np.full_like(p, spread)
    if target == "every row":
        q[:, picked] += peak
    elif target == "one column early":
        q[at, picked - 1] += peak
    elif target == "p too":                                 # only the target's own place counts
        q[at, picked] += peak
        p = np.where(np.arange(V) == picked[:, None], p, q)
    else:
        q[at, picked] += {"at its row": peak, "forgotten": 0.0, "added": -peak}[target]
    dz = {"p": p - q, "one over p": -q / p, "jacobian again": softmax.backward(p - q, (p, -1))}.get(shares, p - q)
    number = {"M": max(M, 1), "nothing": 1, "twice": max(M, 1)**2, "all rows": N, "first axis": len(logits),
              "entries": max(M, 1) * V, "no guard": np.asarray(M)}[divided]
    dz = dz * (sign * {"dloss": float(dloss), "one": 1.0, "divided": 1 / float(dloss)}[upstream] / number)            # (C4)
    whole = np.zeros_like(z)
    if ignored == "p":
        whole[:] = softmax.forward(z)[0] * (float(dloss) / number)
    if divided == "no guard" and M == 0:
        whole += np.nan
    whole[at if ignored == "first rows" else rows] = dz
    return {"as logits": whole.reshape(logits.shape), "flat": whole, "counted": dz}[shape]


CROSS_ENTROPY_BACKWARD = ways(
    cross_entropy_backward,
    not_divided_by_M=("The 1/M is missing: the loss is the average over the M targets that count, (C2), so every row's gradient "
                      "is divided by M = len(rows).", {"divided": "nothing"}),
    divided_twice_by_M=("It is divided by M twice: (C4) has one dloss / M.", {"divided": "twice"}),
    divided_by_all_rows=("It is divided by the number of all rows. Ignored targets do not count, (C2): divide by M = len(rows).",
                         {"divided": "all rows"}),
    divided_by_first_axis=("It is divided by the length of the first axis. (C2) averages over all M targets that count: "
                           "len(rows).",
                           {"divided": "first axis"}),
    divided_by_every_entry=("It is divided by M V, the number of logits. (C2) averages over rows, not over columns: divide by M "
                            "= len(rows).", {"divided": "entries"}),
    nan_where_nothing_counts=("Where no target counts, M is 0, and 0 / 0 gives NaN. The loss is then 0 whatever the logits are, "
                              "and so is the gradient: divide by max(M, 1).", {"divided": "no guard"}),
    target_forgotten=("The target's 1 is not subtracted: it is p in place of p - q. Raising the target's logit also raises "
                      "z_target in (C1), which gives the -1: (C4).", {"target": "forgotten"}),
    target_added=("The target's share is added where (C4) subtracts it: p - q. Raising the target's logit lowers the loss.",
                  {"target": "added"}),
    target_in_every_row=("The targets' columns are lowered in every row: p[:, picked] -= ... takes all rows. Each row has one "
                         "target: p[np.arange(M), picked] -= ...", {"target": "every row"}),
    target_one_column_early=("The 1 is subtracted one column before the target: are the targets counted from 1? nanolm counts "
                             "them from 0.", {"target": "one column early"}),
    only_the_target_column=("Only the target's column has a gradient. The other logits are part of lse(z) too: each gets its "
                            "p_v, (C4).",
                            {"target": "p too"}),
    sign=("The sign is wrong: (C4) is p - q, and here it is q - p. Push down what was believed, pull up what came.",
          {"sign": -1}),
    dloss_ignored=("dloss is not used. It is the gradient of whatever follows by this loss, and multiplies everything, (C4); it "
                   "is 1 only if nothing follows.", {"upstream": "one"}),
    divided_by_dloss=("It is divided by dloss: the chain rule multiplies, (C4).", {"upstream": "divided"}),
    ignored_rows_not_zero=("The ignored rows hold p: whatever their logits are, the loss stays the same, so their gradient is 0. "
                           "Begin with zeros and fill in only `rows`, (C4).", {"ignored": "p"}),
    rows_put_first=("The M gradients are put into the first M rows. They belong to the rows whose numbers are in `rows`: "
                    "dz[rows] = ...",
                    {"ignored": "first rows"}),
    smoothing_forgotten=("label_smoothing is forgotten: q is 1 at the target. (C3) gives the target 1 - s, and s / V to every "
                         "column; s is the last thing in the cache.", {"smoothing": "forgotten"}),
    smoothing_target_kept_whole=("The target keeps its whole 1 although s / V is spread over all columns. The q add up to one: 1 "
                                 "- s at the target, (C3).", {"smoothing": "target kept whole"}),
    smoothing_not_spread=("The target gets 1 - s, but the s is not spread: (C3) has s / V in every column.",
                          {"smoothing": "not spread"}),
    smoothing_over_others_only=("The s is spread over the V - 1 columns that are not the target. (C3) spreads it evenly over all "
                                "V, the target's included: 1 - s + s / V there, s / V elsewhere.", {"smoothing": "others only"}),
    smoothing_not_divided=("Every column gets s where (C3) has s / V: the s is shared out over V columns.",
                           {"smoothing": "not divided"}),
    largest_not_subtracted=("p = exp(z - log_sum) needs z as it was in forward, with the row's largest logit subtracted: log_sum "
                            "in the cache is lse of that z. Subtract z.max(axis=-1, keepdims=True) first.",
                            {"shares": "largest forgotten"}),
    log_sum_by_count=("The j-th row that counts gets the j-th log_sum. log_sum has one number for each of all N rows, the "
                      "ignored ones too, so it is looked up by the row's number: p = exp(z[rows] - log_sum[rows]), not "
                      "log_sum[j], (C4).", {"shares": "by count"}),
    exp_forgotten=("z - log_sum is the logarithm of p. Take exp of it: (C4) has p itself.", {"shares": "logarithms"}),
    stops_at_the_shares=("It is -q / p, the loss differentiated by the shares p. One step is missing: from p back to the logits, "
                         "through softmax; the two together are p - q, (C4).", {"shares": "one over p"}),
    softmax_twice=("softmax's backward is applied to p - q. But p - q is the gradient by the logits already: log and softmax "
                   "were differentiated together, (C4).", {"shares": "jacobian again"}),
    shape_flattened=("The gradient is (N, V): give it the shape of logits again, .reshape(logits.shape).", {"shape": "flat"}),
    only_rows_that_count=("The gradient has only the M rows that count. It is shaped like logits, with zeros in the ignored "
                          "rows.",
                          {"shape": "counted"}),
)


def cross_entropy_forward(logits, targets, ignore_index=-100, label_smoothing=0.0, divided="M", smoothing="right",
                          ignored="left out", lse="safe", picks="its own", unit=1.0, z_target="yes", added=0.0):
    """cross_entropy.forward, with the switches of its mistakes."""
    V, s = logits.shape[-1], label_smoothing
    z, t = logits.reshape(-1, V), targets.reshape(-1)
    N = len(z)
    spared = {"left out": ignore_index, "-100 only": -100, "counted": None}[ignored]
    counts = np.ones(N, bool) if spared is None else t != spared
    if ignored == "counted":                                # as a column from the end, if there are so many
        t = np.where(counts, t, 0)
    z, t = z[counts], t[counts]
    at, M = np.arange(len(z)), len(z)
    top = z.max(axis=-1, keepdims=True)
    if lse == "largest forgotten":
        log_sum = np.log(np.exp(z - top).sum(axis=-1))
    elif lse in ("overflows", "no log"):
        total = np.exp(z).sum(axis=-1)
        log_sum = total if lse == "no log" else np.log(total)
    else:
        log_sum = np.log(np.exp(z - top).sum(axis=-1)) + top[:, 0]
    own = z[:, t].mean(axis=-1) if picks == "every target" and M else z[at, t - 1] if picks == "one early" else z[at, t]
    nll = {"yes": log_sum - own, "forgotten": log_sum, "alone": -own}[z_target]
    if lse == "shares":                                     # log of a share that may have underflowed
        nll = -np.log((np.exp(z - top) / np.exp(z - top).sum(axis=-1, keepdims=True))[at, t])
    if lse == "no log of p":
        nll = -np.exp(own - log_sum)
    even = log_sum - z.mean(axis=-1)
    if lse in ("naive shares", "shares everywhere") or added:               # the logarithm of softmax, for the smoothing too
        e = np.exp(z if lse == "naive shares" else z - top)
        logs = np.log(e / e.sum(axis=-1, keepdims=True) + added)
        nll, even = -logs[at, t], -logs.mean(axis=-1)
    if s:
        nll = {"right": (1 - s) * nll + s * even, "forgotten": nll, "target kept whole": nll + s * even,
               "not spread": (1 - s) * nll, "sum": (1 - s) * nll + s * V * even, "exchanged": s * nll + (1 - s) * even,
               "others only": (1 - s) * nll + s * (V * even - nll) / max(V - 1, 1)}[smoothing]
    number = {"M": max(M, 1), "nothing": 1, "all rows": N, "first axis": len(logits), "entries": max(M, 1) * V,
              "no guard": np.asarray(M)}[divided]
    return unit * nll.sum() / number


CROSS_ENTROPY_FORWARD = ways(
    cross_entropy_forward,
    summed=("The surprises are summed, not averaged: (C2) divides by M, the number of targets that count.",
            {"divided": "nothing"}),
    divided_by_all_rows=("The sum is divided by the number of all rows. Ignored targets do not count there either: (C2) divides "
                         "by M.",
                         {"divided": "all rows"}),
    divided_by_first_axis=("The sum is divided by the length of the first axis. (C2) divides by M, all targets that count.",
                           {"divided": "first axis"}),
    divided_by_every_entry=("The sum is divided by M V, as np.mean of a whole table (M, V) does. (C2) divides by M, the number "
                            "of targets that count.", {"divided": "entries"}),
    nan_where_nothing_counts=("Where no target counts, the average is 0 / 0, NaN. The loss is then 0: divide by max(M, 1).",
                              {"divided": "no guard"}),
    ignored_targets_counted=("Ignored targets are counted as if they were token 0. Leave their rows out, of the sum and of M, "
                             "(C2).",
                             {"ignored": "counted"}),
    ignore_index_fixed=("It is always the target -100 that is left out. Use the argument ignore_index.",
                        {"ignored": "-100 only"}),
    sign=("The sign is wrong: nll = -ln p of the target is never negative, (C1).", {"unit": -1.0}),
    in_bits=("The logarithm is that to base 2, so the loss is in bits. (C1) is in nats: np.log.", {"unit": 1 / np.log(2)}),
    base_ten=("The logarithm is that to base 10. (C1) is in nats: np.log.", {"unit": 1 / np.log(10)}),
    overflows=("exp of the logits themselves overflows above 709, and below -745 all are 0. Subtract each row's largest first: "
               "it changes no probability, and no nll.", {"lse": "overflows"}),
    log_of_a_share=("The share p is formed, and then its logarithm taken. A share below 1e-308 is 0, and its logarithm -inf: "
                    "compute lse(z) - z_target, (C1), which is right however improbable the target was.", {"lse": "shares"}),
    log_of_a_naive_share=("softmax is computed from exp of the logits themselves, and then its logarithm taken. Above 709 exp is "
                          "infinite and inf / inf NaN, and a share that underflows to 0 has the logarithm -inf. Subtract each "
                          "row's largest logit, and compute lse(z) - z_target without forming p, (C1).", {"lse": "naive shares"}),
    log_of_every_share=("All shares p are formed, and then their logarithms taken, for the smoothing too. A share below "
                        "1e-308 is 0, and its logarithm -inf: compute lse(z) - z_v for every column, (C1) and (C3).",
                        {"lse": "shares everywhere"}),
    **{f"added_1e_minus_{n}": (f"1e-{n} is added to p before the logarithm. Every nll comes out a little too small, and that "
                               f"of a very improbable target is never above {n * np.log(10):.1f} nats, however wrong the model "
                               "was. lse(z) - z_target, (C1), never takes the logarithm of 0 and needs no such number.",
                               {"added": 10.0**-n}) for n in (6, 7, 8, 9, 10, 12, 15)},
    largest_subtracted_once=("The largest logit is subtracted inside lse, but not from z_target (or not added again): nll is "
                             "then too small by it. Take both from the same z, (C1).", {"lse": "largest forgotten"}),
    log_forgotten=("The logarithm of the sum is missing: lse(z) = ln sum of exp(z), (C1).", {"lse": "no log"}),
    share_without_log=("It is -p of the target, without the logarithm: (C1) is -ln p.", {"lse": "no log of p"}),
    target_forgotten=("z_target is not subtracted: (C1) is lse(z) - z_target.", {"z_target": "forgotten"}),
    only_the_target_logit=("It is -z_target alone: (C1) is lse(z) - z_target. Logits are no logarithms of probabilities before "
                           "lse is subtracted.", {"z_target": "alone"}),
    every_target_for_every_row=("Each row is held against all targets: z[:, targets] has a column for each of them. Each row has "
                                "one target: z[np.arange(M), targets].", {"picks": "every target"}),
    target_one_column_early=("The logit before the target's is taken: are the targets counted from 1? nanolm counts them from 0.",
                             {"picks": "one early"}),
    smoothing_forgotten=("label_smoothing is not used: (C3) gives the target 1 - s, and s / V to every column.",
                         {"smoothing": "forgotten"}),
    smoothing_target_kept_whole=("The target keeps its whole 1 although s is spread over all columns: it gets 1 - s, (C3).",
                                 {"smoothing": "target kept whole"}),
    smoothing_not_spread=("The target gets 1 - s, but the s is not spread: (C3) adds s times the average over all columns of "
                          "lse(z) - z_v.", {"smoothing": "not spread"}),
    smoothing_not_divided=("Every column gets s where (C3) has s / V: the s is shared out over V columns.", {"smoothing": "sum"}),
    smoothing_over_others_only=("The s is spread over the V - 1 columns that are not the target. (C3) spreads it evenly over all "
                                "V, the target's included.", {"smoothing": "others only"}),
    smoothing_exchanged=("s and 1 - s are exchanged: (C3) gives the target 1 - s.", {"smoothing": "exchanged"}),
) + written(
    perplexity=("It is exp of the loss, the perplexity. The loss itself is in nats, (C2).",
                lambda *args, **kwargs: np.exp(cross_entropy_forward(*args, **kwargs))),
    averages_inside_the_logarithm=("The average is taken before the logarithm: -ln of the average p. (C2) averages the "
                                   "surprises.",
                                   lambda logits, targets, ignore_index=-100, label_smoothing=0.0: -np.log(-cross_entropy_forward(
                                       logits, targets, ignore_index, 0.0, lse="no log of p"))),
)

"""Three variants around softmax, as functions of the student's numbers, and their wrong answers.

    tempered_softmax    y = softmax(x / tau)
    sloped_attention    y = softmax(q k^T / sqrt(D) - r slope_h |t - s|) v          slopes learned, one for each head
    smoothed_loss       average of sum_v q_v (lse - z_v) + zeta lse^2,  q_v = (1 - s) [v = target] + s / V
"""
import numpy as np

from nanolm.grading.exercise import ways, written


def softmax(x, axis=-1):
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


def through_softmax(y, dy, jacobian="whole", axis=-1, keepdims=True):
    """Return the gradient that reaches what softmax was taken of; the keyword arguments are places where people go wrong."""
    if jacobian == "dy alone":
        return 1.0 * dy
    if jacobian == "not subtracted":
        return y * dy
    if jacobian == "diagonal":
        return y * (1 - y) * dy
    if jacobian == "log softmax":
        return dy - y * dy.sum(axis=axis, keepdims=True)
    inner = (y * dy).mean(axis=axis, keepdims=keepdims) if jacobian == "average" else (y * dy).sum(axis=axis, keepdims=keepdims)
    inner = {"unweighted": dy.sum(axis=axis, keepdims=True)}.get(jacobian, inner)
    return y * dy - inner if jacobian == "y on one term" else y * (dy + inner if jacobian == "sign" else dy - inner)


def tempered_softmax(tau):
    """Return forward, backward and backward's mistakes."""
    def forward(x):
        y = softmax(x / tau)
        return y, (y,)

    def backward(dy, cache, scale=1 / tau, again=False, **switches):
        (y,) = cache
        return scale * through_softmax(softmax(y / tau) if again else y, dy, **switches)

    right = "dx = y (dy - sum(dy y)) / tau"
    return forward, backward, ways(
        backward,
        library_temperature=(f"tau is missing: it is the backward of softmax(x), as in the library. Yours is softmax(x / {tau}), "
                             f"and 1 / {tau} comes out as the inner derivative: {right}.", {"scale": 1.0}),
        multiplied_by_tau=(f"dx is multiplied by tau = {tau}. x is divided by it, and so is dx: {right}.", {"scale": tau}),
        divided_by_tau_twice=(f"dx is divided by tau = {tau} twice: {right}, once.", {"scale": tau**-2}),
        divided_by_root_of_tau=(f"dx is divided by the root of tau = {tau}: {right}.", {"scale": tau**-0.5}),
        tau_two=(f"dx is divided by 2, but your tau is {tau}.", {"scale": 0.5}),
        sign=(f"The sign is wrong: {right}.", {"scale": -1 / tau}),
        sum_not_subtracted=("It is y dy / tau: raising one x lowers the share of all others, "
                            f"{right}.", {"jacobian": "not subtracted"}),
        diagonal_only=(f"It is y (1 - y) dy / tau, the diagonal of the Jacobian: x_i moves every share of its row, {right}.",
                       {"jacobian": "diagonal"}),
        average_for_sum=(f"The average of dy y stands where its sum belongs: {right}.", {"jacobian": "average"}),
        sum_without_y=(f"The sum is of dy alone: {right}.", {"jacobian": "unweighted"}),
        sum_added=(f"The sum is added: {right}.", {"jacobian": "sign"}),
        y_on_one_term=(f"y multiplies dy but not the sum: {right}, with the brackets.", {"jacobian": "y on one term"}),
        of_log_softmax=(f"It is the backward of log softmax, dy - y sum(dy): {right}.", {"jacobian": "log softmax"}),
        softmax_held_constant=(f"dy / tau is passed on as it is: the softmax is missing, {right}.", {"jacobian": "dy alone"}),
        over_the_tokens=("The sum runs over the tokens. Each row of the last axis is a softmax of its own: "
                         "axis=-1.", {"axis": 0}),
        keepdims_forgotten=("keepdims=True is missing in the sum: it then has no last axis and lies against the wrong one, or "
                            "NumPy refuses.",
                            {"keepdims": False}),
        softmax_of_the_answer=("softmax is taken of what the cache holds, but that is y already.", {"again": True}),
    ) + written(
        zero=("It is zero everywhere. With dy all ones it would be; dy is not.", lambda dy, cache: 0 * dy),
        dy_forgotten=("dy does not appear: it is y (1 - y) / tau alone.", lambda dy, cache: cache[0] * (1 - cache[0]) / tau))


def distances(T, S):
    return np.abs(np.arange(T)[:, None] - np.arange(S))                         # (T, S)


def sloped_attention(r):
    """Return forward, backward, backward's mistakes and forward's."""
    def forward(q, k, v, slopes, rate=r, sign=-1, far="size", scale=0.5, bias="inside", axis=-1, heads="own", where="before"):
        T, S, D = q.shape[-2], k.shape[-2], q.shape[-1]
        d = np.arange(T)[:, None] - np.arange(S)
        d = {"size": np.abs(d), "signed": d, "turned": -d, "square": d * d, "past": np.maximum(d, 0), "root": np.sqrt(np.abs(d)),
             "one more": np.abs(d) + 1.0 * (d != 0),
             "end": np.abs(d + S - T)}[far]
        own = {"own": slopes, "mean": slopes.mean() + 0 * slopes, "first": slopes[0] + 0 * slopes, "one": 1 + 0 * slopes,
               "powers": 2.0 ** -np.arange(1, len(slopes) + 1), "last first": slopes[::-1]}[heads]
        added = sign * rate * own[:, None, None] * d                            # (H, T, S)
        scores = q @ k.swapaxes(-1, -2)
        inside = added if bias == "inside" else 0
        scores = (scores + inside) * D**-scale if where == "scaled too" else scores * D**-scale + inside
        P = softmax(scores, axis)
        if bias == "after":
            P = P + added
        return P @ v, (q, k, v, slopes, P)

    def backward(dy, cache, jacobian="whole", axis=-1, scale=0.5, rate=r, sign=-1, slopes_from="dscores", slopes_over="all",
                 far="size",
                 v_from="P^T", keys="dS^T", order="as asked", scaled="both"):
        q, k, v, slopes, P = cache
        T, S, D = q.shape[-2], k.shape[-2], q.shape[-1]
        d = {"size": distances(T, S), "signed": np.arange(T)[:, None] - np.arange(S), "square": distances(T, S)**2,
             "one": np.ones((T, S)),
             "turned": np.arange(S) - np.arange(T)[:, None]}[far]
        dv = {"P^T": P.swapaxes(-1, -2), "P": P}[v_from] @ dy
        dP = dy @ v.swapaxes(-1, -2)
        dS = through_softmax(P, dP, jacobian, axis)
        by = {"dscores": dS, "dP": dP, "P": P, "scaled": dS * D**-0.5, "times P": dS * P}[slopes_from]
        each = sign * rate * by * d                                             # (B, H, T, S)
        dslopes = {"all": each.sum(axis=(0, 2, 3)), "average": each.mean(axis=(0, 2, 3)),
                   "batch averaged": each.mean(axis=0).sum(axis=(1, 2)),
                   "batch kept": each.sum(axis=(2, 3)), "last": each[-1].sum(axis=(1, 2)), "heads": each.sum() + 0 * slopes,
                   "zero": 0 * slopes, "times slope": each.sum(axis=(0, 2, 3)) * slopes}[slopes_over]
        dq = dS @ k * (D**-scale if scaled in ("both", "q") else 1.0)
        dk = (dS.swapaxes(-1, -2) if keys == "dS^T" else dS) @ q * (D**-scale if scaled in ("both", "k") else 1.0)
        return (dk, dq, dv, dslopes) if order == "exchanged" else (dq, dk, dv, dslopes)

    bias = f"-{r} slope_h |t - s|"
    backward_mistakes = ways(
        backward,
        slopes_held_constant=("dslopes is zero: the slopes are learned, and the scores hold them.", {"slopes_over": "zero"}),
        rate_forgotten=(f"dslopes lacks your rate: the bias is {bias}, so its derivative by slope_h is -{r} |t - "
                        "s|.", {"rate": 1.0}),
        rate_of_a_half=(f"dslopes has 0.5 where your rate is {r}: the bias is {bias}.", {"rate": 0.5}),
        dslopes_sign=(f"dslopes has the wrong sign: the bias is {bias}, subtracted.", {"sign": 1}),
        distance_signed=("dslopes has t - s with its sign: the bias has the size of it, |t - s|.", {"far": "signed"}),
        distance_squared=("dslopes has the square of the distance: |t - s|.", {"far": "square"}),
        distance_forgotten=(f"dslopes lacks the distance: the derivative of {bias} by slope_h is -{r} |t - s|. (Without the "
                            "distance the sum is zero, because each row of dscores adds up to zero.)", {"far": "one"}),
        slope_kept=(f"dslopes has a factor slope_h: it is differentiated by it, -{r} |t - s| is "
                    "left.", {"slopes_over": "times slope"}),
        dslopes_from_dP=("dslopes is made of dP. The bias is added to the scores, before the softmax: use "
                         "dscores.", {"slopes_from": "dP"}),
        dslopes_from_P=("dslopes is made of P, which is no gradient: use dscores.", {"slopes_from": "P"}),
        dslopes_scaled=("dslopes has a 1 / sqrt(D) too many: the bias is added after the products were "
                        "scaled.", {"slopes_from": "scaled"}),
        dslopes_softmax_twice=("dslopes has a factor P too many.", {"slopes_from": "times P"}),
        dslopes_averaged=("dslopes is an average. One slope serves all pairs of a head: a sum over batch, queries and keys.",
                          {"slopes_over": "average"}),
        dslopes_averaged_over_batch=("dslopes is averaged over the batch. One slope serves all of it: a sum.",
                                     {"slopes_over": "batch averaged"}),
        dslopes_not_summed_over_batch=("dslopes has an axis for the batch. One slope serves all of it: sum over it too.",
                                       {"slopes_over": "batch kept"}),
        dslopes_last_sequence_only=("dslopes is the last sequence's share. One slope serves all: +=, not "
                                    "=.", {"slopes_over": "last"}),
        dslopes_summed_over_heads=("dslopes is the same for all heads: the sum runs over the heads too. Each has a slope of its "
                                   "own.",
                                   {"slopes_over": "heads"}),
        softmax_diagonal=("In dscores only the diagonal of softmax's Jacobian is used, P (1 - P) dP: P (dP - sum(dP P)).",
                          {"jacobian": "diagonal"}),
        softmax_sum_missing=("In dscores the sum is missing, P dP: P (dP - sum(dP P)).", {"jacobian": "not subtracted"}),
        softmax_skipped=("dP is used as if it were dscores: the softmax lies between, P (dP - sum(dP "
                         "P)).", {"jacobian": "dy alone"}),
        softmax_over_queries=("In dscores the sum runs over the queries: each query's row adds up to one, "
                              "axis=-1.", {"axis": -2}),
        scale_forgotten=("dq and dk lack 1 / sqrt(D): the products were multiplied by it.", {"scale": 0.0}),
        scale_of_D=("dq and dk are divided by D, not by its root.", {"scale": 1.0}),
        dq_not_scaled=("dq lacks 1 / sqrt(D).", {"scaled": "k"}),
        dk_not_scaled=("dk lacks 1 / sqrt(D).", {"scaled": "q"}),
        dv_without_transpose=("dv is P @ dy: y = P v, so dv is P^T @ dy. It runs only where T equals S.", {"v_from": "P"}),
        dk_without_transpose=("dk is dscores @ q: scores = q k^T, so dk is dscores^T @ q. It runs only where T equals "
                              "S.", {"keys": "dS"}),
        returned_in_another_order=("dq and dk are exchanged: return dq, dk, dv, dslopes.", {"order": "exchanged"}))
    forward_mistakes = ways(
        forward,
        no_bias=(f"There is no bias, as in the library's attention: the scores get {bias}.", {"bias": "none"}),
        rate_forgotten=(f"Your rate is missing: the bias is {bias}.", {"rate": 1.0}),
        bias_added=(f"The bias has the wrong sign, so far keys are preferred: {bias}.", {"sign": 1}),
        distance_signed=("t - s has its sign: the bias has the size of it, |t - s|.", {"far": "signed"}),
        distance_turned=("The bias grows with s, as s - t or s alone does (a number that is the same in a whole row changes no "
                         "share): it has the size of the distance, |t - s|.", {"far": "turned"}),
        distance_squared=("The distance is squared: |t - s|.", {"far": "square"}),
        past_only=("Only keys before the query are far: the bias is |t - s|, both ways.", {"far": "past"}),
        root_of_distance=("The root of the distance is taken: |t - s|.", {"far": "root"}),
        one_added_to_distance=("The distance is one too large: |t - s|, 0 at the same place.", {"far": "one more"}),
        aligned_at_the_end=("The last query is held against the last key. Both count from 0: |t - s|.", {"far": "end"}),
        bias_after_softmax=(f"The bias is added to P. It belongs to the scores, before the softmax: {bias}.", {"bias": "after"}),
        bias_scaled_too=("The bias is divided by sqrt(D) too. It is added after the products were "
                         "scaled.", {"where": "scaled too"}),
        scale_forgotten=("The products are not divided by sqrt(D).", {"scale": 0.0}),
        scale_of_D=("The products are divided by D, not by its root.", {"scale": 1.0}),
        softmax_over_queries=("The softmax runs over the queries: over the keys, axis=-1.", {"axis": -2}),
        one_slope_for_all=("All heads have the first slope: slopes[h] for head h.", {"heads": "first"}),
        mean_of_slopes=("All heads have the mean of the slopes: slopes[h] for head h.", {"heads": "mean"}),
        slopes_reversed=("The slopes are in reverse order: slopes[h] for head h.", {"heads": "last first"}),
        slopes_of_alibi=("The slopes are 1/2, 1/4, 1/8 ..., as ALiBi fixes them. Here they are an "
                         "argument.", {"heads": "powers"}),
        slopes_ignored=("slopes does not appear: each head has its own.", {"heads": "one"}))
    return forward, backward, backward_mistakes, forward_mistakes

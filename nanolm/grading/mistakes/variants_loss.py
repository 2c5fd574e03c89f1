"""A variant of the loss, as a function of the student's numbers, and its wrong answers.

    loss = average over the M targets that count of  sum_v q_v (lse - z_v) + zeta lse^2,    q_v = (1 - s) [v = target] + s / V
    dz_v = dloss / M (p_v - q_v + 2 zeta lse p_v)
"""
import numpy as np

from nanolm.grading.exercise import ways

IGNORED = -100


def smoothed_loss(s, zeta):
    """Return forward, backward, backward's mistakes and forward's."""
    def targets_of(z, targets, smoothing=s, spread="all"):
        """Return q (M, V)."""
        V = z.shape[-1]
        hit = np.arange(V) == targets[:, None]
        share = smoothing / max(V - 1, 1) * ~hit if spread == "others" else smoothing / V + 0 * hit
        return (1.0 if spread == "on top" else 1 - smoothing) * hit + share

    def parts(logits, targets, counting="valid"):
        flat = logits.reshape(-1, logits.shape[-1])
        rows = np.flatnonzero(targets.reshape(-1) != IGNORED)
        z = flat[rows]
        top = z.max(axis=-1, keepdims=True)
        lse = np.log(np.exp(z - top).sum(axis=-1, keepdims=True)) + top         # (M, 1)
        M = {"valid": len(rows), "all": len(flat), "none": 1, "first axis": len(logits),
             "V": len(rows) * flat.shape[-1]}[counting]
        return rows, z, lse, max(M, 1)

    def forward(logits, targets, smoothing=s, weight=zeta, spread="all", counting="valid", price="lse^2", nll="q", sign=1):
        rows, z, lse, M = parts(logits, targets, counting)
        q = targets_of(z, targets.reshape(-1)[rows], smoothing, spread)
        each = (q * (lse - z)).sum(axis=-1)
        if nll == "entropy":
            each = each + (q * np.log(q)).sum(axis=-1)
        extra = {"lse^2": lse**2, "lse": lse, "size": np.abs(lse), "of mean": 0 * lse + lse.mean()**2 if len(rows) else lse,
                 "half": lse**2 / 2, "z^2": (z * z).sum(axis=-1, keepdims=True), "shifted": (lse - z.max(axis=-1,
                                                                                                         keepdims=True))**2,
                 "sum": (np.exp(z).sum(axis=-1, keepdims=True))**2}[price]
        return sign * (each + weight * extra[:, 0]).sum() / M, (logits, targets)

    def backward(dloss, cache, smoothing=s, weight=zeta, spread="all", counting="valid", twice=2, lse_kept=True, p_in_price="p",
                 upstream=True, ignored="zero", q_sign=-1, q_part="whole", price_over="M", price_q=False):
        logits, targets = cache
        rows, z, lse, M = parts(logits, targets, counting)
        p = np.exp(z - lse)
        q = targets_of(z, targets.reshape(-1)[rows], smoothing, spread)
        q = {"whole": q, "none": 0 * q, "spread alone": np.full_like(q, s / z.shape[-1])}[q_part]
        factor = {"p": p, "one": 1 + 0 * p, "p - q": p - q, "p (1 - p)": p * (1 - p)}[p_in_price]
        price = twice * weight * (lse if lse_kept else 1.0) * factor
        dz = np.zeros((targets.size, z.shape[-1]))
        dz[rows] = (p + q_sign * q + (price * M if price_over == "nothing" else price)) * (dloss if upstream else 1.0) / M
        if ignored == "kept":
            out = np.flatnonzero(targets.reshape(-1) == IGNORED)
            flat = logits.reshape(-1, logits.shape[-1])[out]
            e = np.exp(flat - flat.max(axis=-1, keepdims=True))
            dz[out] = e / e.sum(axis=-1, keepdims=True) * dloss / M
        return dz.reshape(logits.shape)

    right = f"dz = dloss / M (p - q + 2 zeta lse p), zeta = {zeta}"
    backward_mistakes = ways(
        backward,
        library_smoothing=(f"The targets are smoothed with 0.1, the usual value: yours is s = {s}.", {"smoothing": 0.1}),
        library_zeta=(f"The price on lse^2 has the weight 1e-4, the usual value: yours is zeta = {zeta}.", {"weight": 1e-4}),
        smoothing_forgotten=(f"The targets are not smoothed: q = (1 - s) [v = target] + s / V, s = {s}.", {"smoothing": 0.0}),
        price_forgotten=(f"The price on lse^2 sends nothing back: {right}.", {"weight": 0.0}),
        neither=(f"It is the plain cross-entropy's backward, p - [v = target]. s = {s} and zeta = {zeta} are forgotten: {right}.",
                 {"smoothing": 0.0, "weight": 0.0}),
        spread_over_others=("s is spread over the V - 1 other tokens. It is over all V, the target too: s / "
                            "V.", {"spread": "others"}),
        target_keeps_one=("The target has 1 + s / V: it gets 1 - s, and s / V on top of that.", {"spread": "on top"}),
        spread_alone=("q is s / V alone: the target's 1 - s is forgotten.", {"q_part": "spread alone"}),
        targets_forgotten=("q is not subtracted at all: push down what was believed, p, pull up what came, "
                           "q.", {"q_part": "none"}),
        targets_added=("q is added: p - q.", {"q_sign": 1}),
        two_forgotten=(f"The price's gradient lacks the 2 of the square: {right}.", {"twice": 1}),
        lse_forgotten=(f"The price's gradient lacks lse: the derivative of lse^2 is 2 lse p. {right}.", {"lse_kept": False}),
        p_forgotten=(f"The price's gradient lacks p: the derivative of lse by z_v is p_v. {right}.", {"p_in_price": "one"}),
        p_minus_q_in_price=(f"The price's gradient has p - q: lse knows nothing of the targets, its derivative is p. {right}.",
                            {"p_in_price": "p - q"}),
        softmax_in_price=("The price's gradient has p (1 - p): the derivative of lse is p itself. "
                          f"{right}.", {"p_in_price": "p (1 - p)"}),
        price_subtracted=(f"The price's gradient is subtracted: it is added to the loss. {right}.", {"twice": -2}),
        price_not_averaged=("The price's gradient is not divided by M: the average is over both. "
                            f"{right}.", {"price_over": "nothing"}),
        averaged_over_all=("It is divided by the number of all targets: only those that count, not those that are -100.",
                           {"counting": "all"}),
        not_averaged=("It is not divided by the number of targets that count: the loss is an average.", {"counting": "none"}),
        averaged_over_first_axis=("It is divided by the length of the first axis: by the number of targets that count, M.",
                                  {"counting": "first axis"}),
        averaged_over_entries=("It is divided by M V: the loss is an average over the targets, and a sum over "
                               "v.", {"counting": "V"}),
        upstream_forgotten=("dloss does not appear: the chain rule multiplies by it.", {"upstream": False}),
        ignored_not_zeroed=("Rows whose target is -100 are not zero: they count neither in the loss nor in its gradient.",
                            {"ignored": "kept"}))
    forward_mistakes = ways(
        forward,
        library_smoothing=(f"The targets are smoothed with 0.1, the usual value: yours is s = {s}.", {"smoothing": 0.1}),
        library_zeta=(f"The price on lse^2 has the weight 1e-4, the usual value: yours is zeta = {zeta}.", {"weight": 1e-4}),
        smoothing_forgotten=(f"The targets are not smoothed: q = (1 - s) [v = target] + s / V, s = {s}.", {"smoothing": 0.0}),
        price_forgotten=(f"The price {zeta} lse^2 is missing.", {"weight": 0.0}),
        spread_over_others=("s is spread over the V - 1 other tokens. It is over all V, the target too: s / "
                            "V.", {"spread": "others"}),
        target_keeps_one=("The target has 1 + s / V: it gets 1 - s, and s / V on top of that.", {"spread": "on top"}),
        price_not_squared=("The price is on lse: on its square.", {"price": "lse"}),
        price_on_size=("The price is on |lse|: on its square.", {"price": "size"}),
        price_half=("The price has a 1/2 too many: zeta lse^2.", {"price": "half"}),
        price_of_mean=("lse is averaged first and squared then. Each target's lse is squared, then all are "
                       "averaged.", {"price": "of mean"}),
        price_on_logits=("The price is on the logits' squares: on the square of lse, one number for each "
                         "target.", {"price": "z^2"}),
        largest_not_added_again=("lse is that of the logits less their largest. For the price the largest has to be added again.",
                                 {"price": "shifted"}),
        logarithm_forgotten=("The price is on the square of sum(exp(z)): lse is its logarithm.", {"price": "sum"}),
        price_subtracted=("The price is subtracted: it is added.", {"weight": -zeta}),
        averaged_over_all=("It is divided by the number of all targets: only those that count, not those that are -100.",
                           {"counting": "all"}),
        not_averaged=("It is a sum: an average over the targets that count.", {"counting": "none"}),
        averaged_over_first_axis=("It is divided by the length of the first axis: by the number of targets that count.",
                                  {"counting": "first axis"}),
        averaged_over_entries=("It is divided by M V: an average over the targets, and a sum over v.", {"counting": "V"}),
        entropy_of_targets_subtracted=("The entropy of q is subtracted, which makes a divergence. The loss is the cross-entropy "
                                       "alone.",
                                       {"nll": "entropy"}),
        sign=("The sign is wrong: the logarithm of a probability is negative, and the loss is minus that.", {"sign": -1}))
    return forward, backward, backward_mistakes, forward_mistakes

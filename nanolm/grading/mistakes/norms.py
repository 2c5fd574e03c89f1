"""Wrong answers to the exercises on layer norm: the derivation with a switch wherever people go wrong, and the odd ones."""
import numpy as np

from nanolm.grading.exercise import ways, written
from nanolm.grading.mistakes.sums import summed


def layernorm_backward(dy, cache, mean_term="average", variance_term="average", gain="inside", outside="rstd", root="cached",
                       dweight="n", dbias="dy", over="tokens", keepdims=True, order="as asked"):
    """layernorm.backward. Each argument is a place where people go wrong; the values given here are the right ones."""
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    if root == "batch norm":                                # mean and rstd made anew over the first axis
        mean, rstd = x.mean(axis=0), 1 / np.sqrt(x.var(axis=0) + 1e-5)
    elif root != "cached":                                  # rstd made anew from x
        rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + {"no eps": 0.0, "usual eps": 1e-5}[root])
    n = (x - mean) * rstd                                   # (N1)
    dn = dy if gain in ("outside", "forgotten") else dy * weight

    def average(a, way="average"):                          # over the channels of each token
        total = a.sum(axis=-1, keepdims=keepdims)
        if way in ("tokens", "first axis", "everything"):
            return a.mean(axis={"first axis": 0, "everything": None}.get(way, tuple(range(a.ndim - 1))), keepdims=True)
        return total * {"average": 1 / C, "missing": 0, "sum": 1, "sign": -1 / C, "ddof": 1 / max(C - 1, 1), "half": 0.5 / C,
                        "twice": 2 / C, "minus twice": -2 / C}[way]

    second = average(dy) if mean_term == "of dy" else average(dn, mean_term)
    if variance_term in ("x outside", "centred outside", "n forgotten outside"):
        third = {"x": x, "centred": x - mean, "n forgotten": np.ones_like(x)}[variance_term[:-8]] * average(dn * n)
    elif variance_term in ("x inside", "dy inside", "n forgotten inside"):
        third = n * average({"x": dn * x, "dy": dy * n, "n forgotten": dn}[variance_term[:-7]])
    else:
        third = n * average(dn * n, variance_term)
    dx = (dn - second - third) * {"rstd": rstd, "missing": 1.0, "squared": rstd**2, "divided": 1 / rstd}[outside]     # (N3)
    dx = dx * weight if gain == "outside" else dx
    by = {"n": n, "x": x, "centred": x - mean, "dn": weight * n, "forgotten": np.ones_like(n)}[dweight]
    gained, shifted = summed(dy * by, over), summed(dy if dbias == "dy" else dy * weight, over)                       # (N4)
    return (dx, gained, shifted) if order == "as asked" else (dx, shifted, gained)


LAYERNORM_BACKWARD = ways(
    layernorm_backward,
    mean_term_missing=("The mean term is missing from dx: raising one channel lifts the token's mean and so lowers every n. That "
                       "is -average(dn), term (2) of (N3).", {"mean_term": "missing"}),
    variance_term_missing=("The variance term is missing from dx: raising one channel widens the variance and so shrinks every "
                           "n. That is -n average(dn n), term (3) of (N3).", {"variance_term": "missing"}),
    mean_and_variance_held_constant=("dx is rstd dn alone, as if mean and rstd were constants. Both are computed from x, so each "
                                     "sends a gradient back: terms (2) and (3) of (N3).",
                                     {"mean_term": "missing", "variance_term": "missing"}),
    mean_term_sum=("A sum over the C channels stands in dx's mean term where (2) of (N3) has an average: divide it by C. The 1/C "
                   "comes from mean = sum(x) / C.", {"mean_term": "sum"}),
    variance_term_sum=("A sum over the C channels stands in dx's variance term where (3) of (N3) has an average: divide it by C. "
                       "The 1/C comes from var = sum((x - mean)^2) / C.", {"variance_term": "sum"}),
    sums_for_averages=("Both (2) and (3) of (N3) are averages over the token's C channels, and here they are sums: the 1/C of "
                       "the mean and of the variance is lost.", {"mean_term": "sum", "variance_term": "sum"}),
    mean_term_sign=("The mean term of dx has the wrong sign: raising a channel lifts the mean, which is subtracted, so (2) of "
                    "(N3) is -average(dn).", {"mean_term": "sign"}),
    variance_term_sign=("The variance term of dx has the wrong sign: a wider variance makes rstd smaller, so (3) of (N3) is "
                        "-n average(dn n).", {"variance_term": "sign"}),
    variance_term_ddof=("The variance term of dx is divided by C - 1. Layer norm's variance is the biased one, divided by C, and "
                        "so is (3) of (N3). np.var takes C by itself; ddof=1 takes C - 1.", {"variance_term": "ddof"}),
    variance_term_half=("The variance term of dx has half its size. The square in var = average((x - mean)^2) gives a 2, the "
                        "root in rstd a 1/2, and they cancel: one of the two, the 2, is lost.", {"variance_term": "half"}),
    variance_term_twice=("The variance term of dx is twice too large. The root gives drstd/dvar = -1/2 rstd^3: that 1/2 cancels "
                         "the 2 of the square in var, and here it is lost.", {"variance_term": "twice"}),
    variance_term_minus_twice=("The variance term of dx is -2 times the right one: the -1/2 of drstd/dvar = -1/2 rstd^3 is lost, "
                               "sign and all.", {"variance_term": "minus twice"}),
    averages_over_tokens=("The averages in dx run over the tokens. Tokens never see each other in layer norm: (2) and (3) of "
                          "(N3) are averages over the channels of one token, axis=-1.",
                          {"mean_term": "tokens", "variance_term": "tokens"}),
    averages_over_first_axis=("The averages in dx run over the first axis. (2) and (3) of (N3) are averages over the channels of "
                              "one token, axis=-1.", {"mean_term": "first axis", "variance_term": "first axis"}),
    mean_term_over_everything=("dx's mean term is one number for the whole of x: dn.mean() without axis averages over the tokens "
                               "too. Each token has a mean of its own, so (2) of (N3) is dn.mean(axis=-1, keepdims=True).",
                               {"mean_term": "everything"}),
    variance_term_over_everything=("The average in dx's variance term is one number for the whole of x: (dn * n).mean() without "
                                   "axis averages over the tokens too. Each token has a variance of its own, so (3) of (N3) is "
                                   "n * (dn * n).mean(axis=-1, keepdims=True).", {"variance_term": "everything"}),
    averages_over_everything=("Both averages in dx are single numbers of the whole of x: mean() without axis averages over the "
                              "tokens too. Each token has a mean and a variance of its own: axis=-1, keepdims=True in (2) and "
                              "(3) of (N3).", {"mean_term": "everything", "variance_term": "everything"}),
    batch_norm=("This is the backward of batch norm: mean, rstd and the averages in dx are taken over the first axis. Layer norm "
                "takes all of them over the channels of one token, axis=-1, (N1) and (N3); mean and rstd are in the cache.",
                {"root": "batch norm", "mean_term": "first axis", "variance_term": "first axis"}),
    mean_of_dy=("The mean term of dx averages dy. It is n, not y, that is moved by the mean: average dn = dy * weight, (2) of "
                "(N3).",
                {"mean_term": "of dy"}),
    dn_times_n_with_dy=("The variance term of dx averages dy n where (3) of (N3) has dn n: weight is forgotten there. Compute "
                        "dn = dy * weight once, and use it everywhere.", {"variance_term": "dy inside"}),
    x_for_n_outside=("In dx's variance term x stands where n belongs: (3) of (N3) is -n average(dn n), with n = (x - mean) * "
                     "rstd in both places.", {"variance_term": "x outside"}),
    x_for_n_inside=("In the average of dx's variance term x stands where n belongs: (3) of (N3) is -n average(dn n), with "
                    "n = (x - mean) * rstd in both places.", {"variance_term": "x inside"}),
    rstd_lost_in_variance_term=("One rstd too few in dx's variance term: in one of two places x - mean stands where n = (x - "
                                "mean) * rstd belongs. Written out, (3) of (N3) has rstd^3: one in each n, and one in front.",
                                {"variance_term": "centred outside"}),
    n_forgotten_outside=("dx's variance term is average(dn n) without the n before it. A channel far from the mean widens the "
                         "variance more: (3) of (N3) is -n average(dn n).", {"variance_term": "n forgotten outside"}),
    n_forgotten_inside=("dx's variance term averages dn alone: (3) of (N3) is -n average(dn n). What reaches rstd is dn n, "
                        "because n = (x - mean) * rstd.", {"variance_term": "n forgotten inside"}),
    gain_outside=("weight stands outside in dx: dn = dy * weight comes first, before the averages. Outside it is right only if "
                  "all gains are equal.", {"gain": "outside"}),
    gain_forgotten=("weight does not appear in dx. y = n * weight + bias, so the gradient that reaches n is dn = dy * weight; "
                    "without it dx is right only where all gains are 1.", {"gain": "forgotten"}),
    rstd_forgotten=("The rstd in front of dx is missing: n = (x - mean) * rstd, so whatever reaches n is multiplied by rstd on "
                    "its way to x, (N3).", {"outside": "missing"}),
    rstd_twice=("dx has one rstd too many in front: (N3) has rstd once. Is it a division by the variance in place of its root?",
                {"outside": "squared"}),
    divided_by_rstd=("dx is divided by rstd where it should be multiplied. The cache holds rstd = 1 / sqrt(var + eps), one over "
                     "the standard deviation.", {"outside": "divided"}),
    eps_dropped=("rstd is computed anew from x, without eps. Take the rstd of the cache: forward had 1 / sqrt(var + eps), and "
                 "where all channels of a token are equal, var alone is 0.", {"root": "no eps"}),
    eps_assumed=("rstd is computed anew with eps = 1e-5, but forward may have been given another eps. Take the rstd of the "
                 "cache.",
                 {"root": "usual eps"}),
    dweight_uses_x=("dweight multiplies dy by x. y = n * weight + bias, so what stands beside weight is n = (x - mean) * rstd, "
                    "(N4).",
                    {"dweight": "x"}),
    dweight_without_rstd=("dweight multiplies dy by x - mean. What stands beside weight in y = n * weight + bias is n, so rstd "
                          "is missing there, (N4).", {"dweight": "centred"}),
    dweight_uses_dn=("dweight has a factor weight too many: it is made of dy n, not of dn n. weight is what is differentiated "
                     "by, (N4).",
                     {"dweight": "dn"}),
    dweight_is_dbias=("dweight sums dy alone: the n is forgotten. y = n * weight + bias, so (N4) is the sum of dy n; without n "
                      "it is dbias.", {"dweight": "forgotten"}),
    dbias_uses_dn=("dbias has a factor weight too many: y = n * weight + bias, and bias is added after weight has multiplied. "
                   "Sum dy, (N4).", {"dbias": "dn"}),
    averaged_over_tokens=("An average over the tokens stands where (N4) has a sum: each token uses the same weight and bias, and "
                          "what they each ask for adds up.", {"over": "average"}),
    not_summed_over_tokens=("The sum over the tokens in (N4) is missing: all tokens use one weight and one bias of shape (C,), "
                            "so their gradients are added up to that shape.", {"over": "nothing"}),
    summed_over_first_axis=("The sum of (N4) runs over the first axis alone. Sum over all axes but the last: "
                            ".reshape(-1, C).sum(axis=0) does it for any number of axes.", {"over": "first axis"}),
    three_axes_assumed=("The sum of (N4) runs over the axes 0 and 1, which is right for (B, T, C) alone. x may have any number "
                        "of axes: .reshape(-1, C).sum(axis=0).", {"over": "two axes"}),
    last_token_only=("What stands for (N4) is the last token's share alone. All tokens use the same weight and bias, and their "
                     "gradients add up: += in a loop, not =.", {"over": "last"}),
    summed_over_channels=("The sum of (N4) runs over the channels. weight and bias have one number for each channel; sum over "
                          "the tokens, all axes but the last.", {"over": "channels"}),
    keepdims_forgotten=("keepdims=True is missing in dx's averages: an average over the channels then has the shape (B, T) and "
                        "no longer lies against (B, T, C). Either NumPy refuses, or with equal sizes it lies against the wrong "
                        "axis.",
                        {"keepdims": False}),
    returned_in_another_order=("dweight and dbias are exchanged: return dx, dweight, dbias, in the order of forward's arguments.",
                               {"order": "exchanged"}),
)


def layernorm_forward(x, weight, bias, eps=1e-5, axis="channels", ddof=False, root="eps inside", numerator="centred",
                      gain="times", shift="after", keepdims=True):
    """layernorm.forward, with the switches of its mistakes."""
    over = {"channels": -1, "tokens": tuple(range(x.ndim - 1)), "all": None, "last two": (-2, -1), "first": 0}[axis]
    mean = x.mean(axis=over, keepdims=keepdims)
    if root == "mean of squares":
        var = (x * x).mean(axis=over, keepdims=keepdims)
    elif root == "cancels":
        var = (x * x).mean(axis=over, keepdims=keepdims) - mean * mean
    else:
        var = x.var(axis=over, keepdims=keepdims)
        var = var * (x.shape[-1] / np.asarray(x.shape[-1] - 1)) if ddof else var        # an array: 1 / 0 is inf, no error
    std = {"eps outside": np.sqrt(var) + eps, "no eps": np.sqrt(var), "usual eps": np.sqrt(var + 1e-5), "no root": var + eps,
           "eps squared": np.sqrt(var + eps**2), "not divided": 1.0}.get(root)
    std = np.sqrt(var + eps) if std is None else std
    n = (x if numerator == "x" else x - mean) / std                         # (N1)
    n = n + bias if shift == "before" else n
    y = {"times": n * weight, "forgotten": n, "divided": n / weight, "plus one": n * (1 + weight)}[gain]
    return y if shift in ("before", "forgotten") else y - bias if shift == "sign" else y + bias                       # (N2)


LAYERNORM_FORWARD = ways(
    layernorm_forward,
    normalised_over_tokens=("Mean and variance run over the tokens, as in batch norm. Layer norm takes them over the channels of "
                            "one token, axis=-1: tokens never see each other, (N1).", {"axis": "tokens"}),
    normalised_over_everything=("Mean and variance are single numbers of the whole x. Each token has its own: axis=-1, (N1).",
                                {"axis": "all"}),
    normalised_over_last_two_axes=("Mean and variance run over the last two axes, so the tokens of a sequence see each other. "
                                   "Only the channels, axis=-1, (N1).", {"axis": "last two"}),
    normalised_over_first_axis=("Mean and variance run over the first axis, that of the sequences in a batch, as in batch norm. "
                                "Layer norm takes them over the channels of one token, axis=-1, (N1).", {"axis": "first"}),
    variance_cancels=("The variance is computed as the mean of x^2 minus the square of the mean. On paper that is the same; in "
                      "float64 both are about mean^2, and where the mean is a million times the spread their difference has "
                      "lost twelve of its sixteen digits. Subtract the mean first, then square: (N1) is the mean of (x - "
                      "mean)^2, as np.var does it.", {"root": "cancels"}),
    unbiased_variance=("The variance is divided by C - 1. Layer norm's is the biased one, divided by C: np.var without ddof, "
                       "(N1).",
                       {"ddof": True}),
    eps_outside_root=("eps is added to the standard deviation. (N1) adds it to the variance, under the root: sqrt(var + eps).",
                      {"root": "eps outside"}),
    eps_missing=("eps does not appear: it belongs under the root, sqrt(var + eps). Where all channels of a token are equal, var "
                 "is 0, and without eps 0 / 0 is NaN.", {"root": "no eps"}),
    eps_argument_ignored=("eps is always 1e-5, whatever the argument says. Use the eps that was passed: BERT's is 1e-12.",
                          {"root": "usual eps"}),
    eps_squared=("eps is squared under the root. (N1) is sqrt(var + eps), with eps as it was passed.", {"root": "eps squared"}),
    root_forgotten=("x - mean is divided by the variance, not by its root: (N1) is rstd = 1 / sqrt(var + eps).",
                    {"root": "no root"}),
    not_divided=("The mean is subtracted, but nothing is divided by the standard deviation: multiply by rstd = 1 / sqrt(var + "
                 "eps), (N1).", {"root": "not divided"}),
    mean_of_squares=("What stands under the root is the mean of x^2. The variance is the mean of (x - mean)^2, (N1); the two are "
                     "equal only where the mean is 0.", {"root": "mean of squares"}),
    mean_not_subtracted=("The mean is not subtracted before x is divided: n = (x - mean) * rstd, (N1).", {"numerator": "x"}),
    weight_forgotten=("weight does not appear in y: (N2) is y = n * weight + bias.", {"gain": "forgotten"}),
    divided_by_weight=("n is divided by weight: (N2) multiplies, y = n * weight + bias.", {"gain": "divided"}),
    weight_plus_one=("y has 1 + weight where (N2) has weight: some libraries keep the gain less one, nanolm keeps the gain "
                     "itself.",
                     {"gain": "plus one"}),
    bias_forgotten=("bias does not appear in y: (N2) is y = n * weight + bias.", {"shift": "forgotten"}),
    bias_before_weight=("bias is added before weight multiplies: (n + bias) * weight. (N2) is n * weight + bias.",
                        {"shift": "before"}),
    bias_subtracted=("bias is subtracted: (N2) is y = n * weight + bias.", {"shift": "sign"}),
    keepdims_forgotten=("keepdims=True is missing: the mean over the channels then has the shape (B, T) and no longer lies "
                        "against (B, T, C). Either NumPy refuses, or with equal sizes it lies against the wrong axis.",
                        {"keepdims": False}),
) + written(
    absolute_deviation=("x - mean is divided by the mean absolute deviation. (N1) has the root of the mean square, sqrt(var + "
                        "eps).",
                        lambda x, weight, bias, eps=1e-5: (x - x.mean(-1, keepdims=True)) / (
                            np.abs(x - x.mean(-1, keepdims=True)).mean(-1, keepdims=True) + eps) * weight + bias),
)

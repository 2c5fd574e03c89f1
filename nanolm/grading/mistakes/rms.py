"""Wrong answers to the exercises on RMS norm."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.sums import summed


def rmsnorm_backward(dy, cache, length_term="average", mean_term="none", gain="inside", outside="rstd", root="cached",
                     dweight="n", over="tokens", keepdims=True, order="as asked"):
    """rmsnorm.backward. Each argument is a place where people go wrong; the values given here are the right ones."""
    x, weight, rstd = cache
    C = x.shape[-1]
    if root != "cached":
        squares = x.var(axis=-1, keepdims=True) if root == "variance" else (x * x).mean(axis=-1, keepdims=True)
        rstd = 1 / np.sqrt(squares + {"no eps": 0.0, "usual eps": 1e-5, "variance": 1e-5}[root])
    n = x * rstd                                            # (R1)
    dn = dy if gain in ("outside", "forgotten") else dy * weight

    def average(a, way="average"):                          # over the channels of each token
        total = a.sum(axis=-1, keepdims=keepdims)
        if way in ("tokens", "first axis"):
            return a.mean(axis=0 if way == "first axis" else tuple(range(a.ndim - 1)), keepdims=True)
        return total * {"average": 1 / C, "missing": 0, "sum": 1, "sign": -1 / C, "half": 0.5 / C, "twice": 2 / C,
                        "minus twice": -2 / C}[way]

    if length_term == "dy inside, sign":
        second = -n * average(dy * n)
    elif length_term in ("x outside", "n forgotten outside"):
        second = (x if length_term == "x outside" else np.ones_like(x)) * average(dn * n)
    elif length_term in ("dy inside", "n forgotten inside"):
        second = n * average(dy * n if length_term == "dy inside" else dn)
    elif length_term == "no rstd":
        second = x * average(dn * x)
    else:
        second = n * average(dn * n, length_term)
    dx = dn - second - (average(dn) if mean_term == "layer norm's" else 0)
    dx = dx * {"rstd": rstd, "missing": 1.0, "squared": rstd**2, "divided": 1 / rstd}[outside]                        # (R3)
    dx = dx * weight if gain == "outside" else dx
    by = {"n": n, "x": x, "dn": weight * n, "forgotten": np.ones_like(n)}[dweight]
    gained = summed(dy * by, over)                                                                                    # (R4)
    return (dx, gained) if order == "as asked" else (gained, dx)


RMSNORM_BACKWARD = ways(
    rmsnorm_backward,
    length_term_missing=("dx is rstd dn alone, as if rstd were a constant. It is computed from x: raising one channel makes the "
                         "token longer and so shrinks every n. That is -n average(dn n) in (R3).", {"length_term": "missing"}),
    layer_norm_backward=("dx has layer norm's mean term, -average(dn). RMS norm subtracts no mean, so (R3) has two terms only: "
                         "dn and -n average(dn n).", {"mean_term": "layer norm's"}),
    length_term_sum=("A sum over the C channels stands where (R3) has an average: divide it by C. The 1/C comes from the average "
                     "of x^2 under the root.", {"length_term": "sum"}),
    length_term_sign=("The second term of dx has the wrong sign: a longer token has a smaller rstd, so (R3) is "
                      "rstd * (dn - n average(dn n)).", {"length_term": "sign"}),
    length_term_half=("The second term of dx has half its size. The square in average(x^2) gives a 2, the root in rstd a 1/2, "
                      "and they cancel: the 2 is lost.", {"length_term": "half"}),
    length_term_twice=("The second term of dx is twice too large. The root in rstd gives -1/2, which cancels the 2 of the square "
                       "in average(x^2): that 1/2 is lost.", {"length_term": "twice"}),
    length_term_minus_twice=("The second term of dx is -2 times the right one: the -1/2 that comes from the root in rstd is "
                             "lost, sign and all.", {"length_term": "minus twice"}),
    averages_over_tokens=("The average in dx runs over the tokens. Tokens never see each other: (R3) averages over the channels "
                          "of one token, axis=-1.", {"length_term": "tokens"}),
    averages_over_first_axis=("The average in dx runs over the first axis. (R3) averages over the channels of one token, "
                              "axis=-1.",
                              {"length_term": "first axis"}),
    dn_times_n_with_dy=("The average in dx is that of dy n where (R3) has dn n: weight is forgotten there. Compute dn = dy * "
                        "weight once, and use it everywhere.", {"length_term": "dy inside"}),
    length_term_sign_and_weight=("The second term of dx has the wrong sign, and weight is forgotten in it: yours is rstd * "
                                 "(dn + n average(dy n)), and (R3) is rstd * (dn - n average(dn n)). A longer token has a "
                                 "smaller rstd, and what reaches n is dn = dy * weight.", {"length_term": "dy inside, sign"}),
    rstd_lost=("One rstd too few in dx's second term: in one of two places x stands where n = x * rstd belongs. Written out, "
               "(R3) has rstd^3 there: one in each n, and one in front.", {"length_term": "x outside"}),
    rstd_once_for_cubed=("dx's second term has rstd where (R3), written out, has rstd^3: drstd/dx_k = -rstd^3 x_k / C, because "
                         "the derivative of u^(-1/2) is -1/2 u^(-3/2).", {"length_term": "no rstd"}),
    n_forgotten_outside=("dx's second term is average(dn n) without the n before it. A large channel lengthens the token more: "
                         "(R3) is -n average(dn n).", {"length_term": "n forgotten outside"}),
    n_forgotten_inside=("dx's second term averages dn alone: (R3) is -n average(dn n). What reaches rstd is dn x, because n = x "
                        "* rstd.",
                        {"length_term": "n forgotten inside"}),
    gain_outside=("weight stands outside in dx: dn = dy * weight comes first, before the average. Outside it is right only if "
                  "all gains are equal.", {"gain": "outside"}),
    gain_forgotten=("weight does not appear in dx. y = n * weight, so the gradient that reaches n is dn = dy * weight.",
                    {"gain": "forgotten"}),
    rstd_forgotten=("The rstd in front of dx is missing: n = x * rstd, so whatever reaches n is multiplied by rstd on its way to "
                    "x, (R3).", {"outside": "missing"}),
    rstd_twice=("dx has one rstd too many in front: (R3) has rstd once. Is it a division by the mean square in place of its "
                "root?",
                {"outside": "squared"}),
    divided_by_rstd=("dx is divided by rstd where it should be multiplied. The cache holds rstd = 1 / sqrt(average(x^2) + eps).",
                     {"outside": "divided"}),
    eps_dropped=("rstd is computed anew from x, without eps. Take the rstd of the cache: forward had 1 / sqrt(average(x^2) + "
                 "eps).",
                 {"root": "no eps"}),
    eps_assumed=("rstd is computed anew with eps = 1e-5, but forward may have been given another eps. Take the rstd of the "
                 "cache.",
                 {"root": "usual eps"}),
    variance_for_mean_square=("rstd is computed anew, from layer norm's variance. RMS norm takes the average of x^2, with no "
                              "mean subtracted, and the cache has its rstd.", {"root": "variance"}),
    dweight_uses_x=("dweight multiplies dy by x. y = n * weight, so what stands beside weight is n = x * rstd, (R4).",
                    {"dweight": "x"}),
    dweight_uses_dn=("dweight has a factor weight too many: it is made of dy n, not of dn n. weight is what is differentiated "
                     "by, (R4).",
                     {"dweight": "dn"}),
    dweight_without_n=("dweight sums dy alone: the n is forgotten. y = n * weight, so (R4) is the sum of dy n.",
                       {"dweight": "forgotten"}),
    averaged_over_tokens=("dweight is an average over the tokens where (R4) has a sum: each token uses the same weight, and what "
                          "they each ask for adds up.", {"over": "average"}),
    not_summed_over_tokens=("The sum over the tokens in (R4) is missing: all tokens use one weight of shape (C,), so their "
                            "gradients are added up to that shape.", {"over": "nothing"}),
    summed_over_first_axis=("dweight is summed over the first axis alone. Sum over all axes but the last: .reshape(-1, "
                            "C).sum(axis=0) does it for any number of axes.", {"over": "first axis"}),
    three_axes_assumed=("dweight is summed over the axes 0 and 1, which is right for (B, T, C) alone. x may have any number of "
                        "axes: .reshape(-1, C).sum(axis=0).", {"over": "two axes"}),
    last_token_only=("dweight is the last token's share alone. All tokens use the same weight, and their gradients add up: += in "
                     "a loop, not =.", {"over": "last"}),
    summed_over_channels=("dweight is summed over the channels. weight has one number for each channel; sum over the tokens, all "
                          "axes but the last.", {"over": "channels"}),
    keepdims_forgotten=("keepdims=True is missing in dx's average: over the channels it then has the shape (B, T) and no longer "
                        "lies against (B, T, C). Either NumPy refuses, or with equal sizes it lies against the wrong axis.",
                        {"keepdims": False}),
    returned_in_another_order=("dx and dweight are exchanged: return dx, dweight, in the order of forward's arguments.",
                               {"order": "exchanged"}),
)


def rmsnorm_forward(x, weight, eps=1e-5, axis="channels", root="eps inside", squares="average", numerator="x", gain="times",
                    keepdims=True):
    """rmsnorm.forward, with the switches of its mistakes."""
    over = {"channels": -1, "tokens": tuple(range(x.ndim - 1)), "all": None}[axis]
    mean = x.mean(axis=over, keepdims=keepdims)
    square = {"average": x * x, "variance": (x - mean)**2, "absolute": np.abs(x)}[squares if squares != "sum" else "average"]
    square = square.sum(axis=over, keepdims=keepdims) if squares == "sum" else square.mean(axis=over, keepdims=keepdims)
    rms = {"eps inside": np.sqrt(square + eps), "eps outside": np.sqrt(square) + eps, "no eps": np.sqrt(square),
           "usual eps": np.sqrt(square + 1e-5), "no root": square + eps, "eps squared": np.sqrt(square + eps**2)}[root]
    n = (x - mean if numerator == "centred" else x) / rms                   # (R1)
    return {"times": n * weight, "forgotten": n, "divided": n / weight, "plus one": n * (1 + weight)}[gain]           # (R2)


RMSNORM_FORWARD = ways(
    rmsnorm_forward,
    layer_norm=("This is layer norm: the mean is subtracted, before and under the root. RMS norm subtracts no mean: "
                "rstd = 1 / sqrt(average(x^2) + eps), n = x * rstd, (R1).", {"squares": "variance", "numerator": "centred"}),
    variance_for_mean_square=("What stands under the root is the variance: RMS norm takes the average of x^2, with no mean "
                              "subtracted, (R1).", {"squares": "variance"}),
    mean_subtracted=("The mean is subtracted from x: RMS norm divides x itself, n = x * rstd, (R1).", {"numerator": "centred"}),
    sum_for_average=("The squares are summed, not averaged, so that each token gets the length 1 in place of sqrt(C): (R1) "
                     "averages x^2 over the channels.", {"squares": "sum"}),
    normalised_over_tokens=("The average runs over the tokens. Each token has its own: axis=-1, (R1).", {"axis": "tokens"}),
    normalised_over_everything=("The average is a single number of the whole x. Each token has its own: axis=-1, (R1).",
                                {"axis": "all"}),
    eps_outside_root=("eps is added after the root. (R1) adds it to the average of x^2, under the root.",
                      {"root": "eps outside"}),
    eps_missing=("eps does not appear: it belongs under the root, sqrt(average(x^2) + eps). A token of zeros is 0 / 0 without "
                 "it, which is NaN.", {"root": "no eps"}),
    eps_argument_ignored=("eps is always 1e-5, whatever the argument says. Use the eps that was passed: Llama's is 1e-6.",
                          {"root": "usual eps"}),
    eps_squared=("eps is squared under the root. (R1) is sqrt(average(x^2) + eps), with eps as it was passed.",
                 {"root": "eps squared"}),
    root_forgotten=("x is divided by the mean square, not by its root: (R1) is rstd = 1 / sqrt(average(x^2) + eps).",
                    {"root": "no root"}),
    absolute_for_square=("What stands under the root is the average of |x|: (R1) has the average of x^2.",
                         {"squares": "absolute"}),
    weight_forgotten=("weight does not appear in y: (R2) is y = n * weight.", {"gain": "forgotten"}),
    divided_by_weight=("n is divided by weight: (R2) multiplies, y = n * weight.", {"gain": "divided"}),
    weight_plus_one=("y has 1 + weight where (R2) has weight: some libraries keep the gain less one, nanolm keeps the gain "
                     "itself.",
                     {"gain": "plus one"}),
    keepdims_forgotten=("keepdims=True is missing: the average over the channels then has the shape (B, T) and no longer lies "
                        "against (B, T, C). Either NumPy refuses, or with equal sizes it lies against the wrong axis.",
                        {"keepdims": False}),
)

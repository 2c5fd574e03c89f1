"""Wrong answers to the exercises on softmax."""
import numpy as np

from nanolm.grading.exercise import ways, written
from nanolm.layers import softmax


def softmax_backward(dy, cache, average="weighted", subtracted="yes", outside="y", axis="given", keepdims=True, shares="cached"):
    """softmax.backward. Each argument is a place where people go wrong; the values given here are the right ones."""
    y, given = cache
    given = {"given": given, "last": -1, "first": 0, "second": 1, "other": given - 1, "all": None,
             "negative last": max(given, -1)}[axis]
    y = softmax.forward(y, -1 if given is None else given)[0] if shares == "again" else y
    weighed = {"plain sum": dy, "plain average": dy, "square": dy * y * y}.get(average, dy * y)
    if average in ("plain average", "average of products"):
        total = weighed.mean(axis=given, keepdims=keepdims)
    else:
        total = weighed.sum(axis=given, keepdims=keepdims)
    total = total - weighed if average == "others" else total               # without the score's own share
    total = total * {"yes": 1, "no": 0, "added": -1, "twice": 2}[subtracted]
    return {"y": y * (dy - total), "missing": dy - total, "first only": y * dy - total, "second only": dy - y * total,
            "negative": y * (total - dy), "own": y * (1 - y) * dy, "off the diagonal": y * (dy * y - total),
            "squared": y * y * (dy - total)}[outside]                       # (S2)


SOFTMAX_BACKWARD = ways(
    softmax_backward,
    average_not_subtracted=("It is y dy: the average is not subtracted. Raising one score also raises the sum that all shares "
                            "are divided by, so the others fall: dx = y (dy - sum of dy y), (S2).", {"subtracted": "no"}),
    diagonal_only=("Only a score's influence on its own share is counted, y (1 - y) dy. A score moves the other shares of its "
                   "row too, by -y_i y_j, and their dy come in: the sum in (S2) runs over all i.", {"outside": "own"}),
    diagonal_missing=("Only a score's influence on the other shares is counted: its own share, dy_j y_j, is missing. (S2) is "
                      "y_j (dy_j - sum over all i of dy_i y_i).", {"outside": "off the diagonal"}),
    own_share_left_out_of_average=("The sum in (S2) leaves out the score's own term, or counts y (1 - y) wrongly: it runs over "
                                   "all i of the row, i = j included, and then dx_j = y_j (dy_j - sum).", {"average": "others"}),
    average_added=("The average is added where (S2) subtracts it: dx = y (dy - sum of dy y). The other shares fall when one "
                   "score rises.",
                   {"subtracted": "added"}),
    average_twice=("The average is subtracted twice: (S2) is y (dy - sum of dy y).", {"subtracted": "twice"}),
    average_not_weighted=("What is subtracted is the plain average of dy. (S2) weighs it with the shares: sum over i of dy_i "
                          "y_i.",
                          {"average": "plain average"}),
    sum_not_weighted=("What is subtracted is the plain sum of dy. (S2) weighs it with the shares: sum over i of dy_i y_i.",
                      {"average": "plain sum"}),
    mean_of_products=("What is subtracted is the mean of dy y. The shares add up to one, so the sum of dy y is the average "
                      "already, (S2): no division by n.", {"average": "average of products"}),
    shares_squared_in_average=("The sum in (S2) is of dy_i y_i; here y_i is in it twice.", {"average": "square"}),
    share_forgotten=("The y in front is missing: (S2) is y (dy - sum of dy y), a score's share times how much better than "
                     "average it is doing.", {"outside": "missing"}),
    share_on_first_term_only=("y stands before the first term only: y dy - sum of dy y. In (S2) it stands before both: "
                              "y (dy - sum of dy y). Is a pair of brackets missing?", {"outside": "first only"}),
    share_on_second_term_only=("y stands before the second term only: dy - y sum(dy y). In (S2) it stands before both.",
                               {"outside": "second only"}),
    log_softmax=("This is the backward of log softmax, dy - y sum(dy). Softmax itself has (S2), y (dy - sum of dy y).",
                 {"outside": "second only", "average": "plain sum"}),
    sign=("The sign is wrong: (S2) is y (dy - average), and here it is y (average - dy).", {"outside": "negative"}),
    share_twice=("The y in front is squared: (S2) has it once before the bracket.", {"outside": "squared"}),
    other_axis=("The sum in (S2) runs over another axis than softmax did. Use the axis of the cache.", {"axis": "other"}),
    always_last_axis=("The sum in (S2) always runs over the last axis. Use the axis of the cache.", {"axis": "last"}),
    negative_axis_is_last=("Every negative axis is taken for -1. An axis of -2 is the last but one: give the sum of (S2) the "
                           "axis of the cache as it is, NumPy counts from the end by itself.", {"axis": "negative last"}),
    always_first_axis=("The sum in (S2) always runs over the first axis. Use the axis of the cache.", {"axis": "first"}),
    always_second_axis=("The sum in (S2) always runs over axis 1. Use the axis of the cache.", {"axis": "second"}),
    sum_over_everything=("The sum in (S2) runs over all of dy y. Each row, along the axis of the cache, has its own.",
                         {"axis": "all"}),
    keepdims_forgotten=("keepdims=True is missing in the sum of (S2): without it the sums lose an axis and no longer lie against "
                        "dy. Either NumPy refuses, or with equal sizes they lie against the wrong axis.", {"keepdims": False}),
    softmax_applied_again=("softmax is applied to what the cache holds, but that is y already: use it as it is.",
                           {"shares": "again"}),
) + written(
    zero=("It is zero everywhere. That is right only where all dy of a row are equal: is dy used at all?",
          lambda dy, cache: np.zeros_like(dy)),
    share_minus_upstream=("It is y - dy, as if dy were the target of a cross-entropy. Here dy is the gradient of whatever "
                          "follows by y: (S2).", lambda dy, cache: cache[0] - dy),
    upstream_returned=("dy is returned as it came. Softmax bends: (S2) is y (dy - sum of dy y).", lambda dy, cache: dy.copy()),
)


def softmax_forward(x, axis=-1, over="given", largest="row", base="e", divided="sum", empty="zeros", keepdims=True):
    """softmax.forward, with the switches of its mistakes."""
    over = {"given": axis, "last": -1, "first": 0, "second": 1, "all": None, "negative last": max(axis, -1)}[over]
    top = {"row": lambda: x.max(axis=over, keepdims=keepdims), "all": lambda: x.max(), "none": lambda: np.zeros(()),
           "smallest": lambda: x.min(axis=over, keepdims=keepdims)}[largest]()
    if empty != "nan":
        top = np.where(np.isinf(top), 0, top)
    z = x - top
    if base == "none":
        e = z - z.min(axis=over, keepdims=True)
    else:
        e = {"e": np.exp, "2": np.exp2, "negative": lambda z: np.exp(-(x - x.min(axis=over, keepdims=True))),
             "square": lambda z: np.exp(2 * z), "root": lambda z: np.exp(z / np.sqrt(x.shape[axis]))}[base](z)
    total = {"sum": lambda: e.sum(axis=over, keepdims=keepdims), "mean": lambda: e.mean(axis=over, keepdims=keepdims),
             "largest": lambda: e.max(axis=over, keepdims=keepdims),
             "length": lambda: np.sqrt((e * e).sum(axis=over, keepdims=keepdims))}[divided]()
    if empty == "nan":
        return e / total
    y = e / np.where(total == 0, 1, total)
    if empty == "even":
        y = np.where(total == 0, 1 / x.shape[axis], y)
    return y


SOFTMAX_FORWARD = ways(
    softmax_forward,
    largest_not_subtracted=("The largest score of each row is not subtracted first, so exp overflows above 709: inf / inf is "
                            "NaN. Subtracting it changes no share.", {"largest": "none"}),
    largest_of_everything=("The largest number of the whole x is subtracted. In a row that lies far below it every exponential "
                           "underflows to 0: subtract each row's own largest, along the axis, with keepdims=True.",
                           {"largest": "all"}),
    smallest_subtracted=("The smallest score is subtracted where it should be the largest: then exp can still overflow.",
                         {"largest": "smallest"}),
    empty_row_nan=("A row of -inf alone gives NaN: -inf - -inf, or 0 / 0. It offers nothing to choose from, and its shares are "
                   "all zero.", {"empty": "nan"}),
    empty_row_even=("A row of -inf alone is shared out evenly. It offers nothing to choose from, and its shares are all zero.",
                    {"empty": "even"}),
    always_last_axis=("Softmax always runs along the last axis. Use the argument axis, in the largest and in the sum.",
                      {"over": "last"}),
    negative_axis_is_last=("Every negative axis is taken for -1. An axis of -2 is the last but one: give max and sum the "
                           "argument axis as it is, NumPy counts from the end by itself, (S1).", {"over": "negative last"}),
    always_first_axis=("Softmax always runs along the first axis. Use the argument axis, in the largest and in the sum.",
                       {"over": "first"}),
    always_second_axis=("Softmax always runs along axis 1. Use the argument axis, in the largest and in the sum.",
                        {"over": "second"}),
    sum_over_everything=("All numbers of x share one sum. Each row, along axis, has its own and adds up to one: give sum the "
                         "axis, and keepdims=True.", {"over": "all"}),
    mean_for_sum=("The exponentials are divided by their mean: the shares then add up to n. (S1) divides by the sum.",
                  {"divided": "mean"}),
    not_divided_by_sum=("The exponentials are not divided by their sum, so that the largest of each row is 1: (S1) divides by "
                        "the sum along the axis, and then the row adds up to one.", {"divided": "largest"}),
    length_for_sum=("The exponentials are divided by the root of their squares' sum. (S1) divides by the plain sum.",
                    {"divided": "length"}),
    not_exponentiated=("There is no exponential: scores are shifted to be positive and divided by their sum. (S1) is "
                       "exp(x) / sum of exp(x).", {"base": "none"}),
    negative_exponent=("The exponent has the wrong sign: the largest score gets the smallest share. (S1) is exp(x) / sum of "
                       "exp(x).",
                       {"base": "negative"}),
    base_two=("The powers are those of 2. (S1) has exp, powers of e: np.exp.", {"base": "2"}),
    scores_doubled=("The scores are doubled before the exponential, or the exponentials squared: (S1) is exp(x) / sum of exp(x).",
                    {"base": "square"}),
    scaled_by_root=("The scores are divided by the root of the axis' length. That scale belongs to attention, and not into "
                    "softmax, (S1).",
                    {"base": "root"}),
    keepdims_forgotten=("keepdims=True is missing: the row's largest and its sum then lose an axis and no longer lie against x. "
                        "Either NumPy refuses, or with equal sizes they lie against the wrong axis.", {"keepdims": False}),
) + written(
    log_softmax=("This is the logarithm of softmax. Take exp of it, or divide in place of subtracting: (S1).",
                 lambda x, axis=-1: np.log(softmax_forward(x, axis))),
    sigmoid=("This is the logistic function of each score on its own. (S1) divides by the sum over the row, so that the shares "
             "add up to one.", lambda x, axis=-1: 1 / (1 + np.exp(-x))),
)

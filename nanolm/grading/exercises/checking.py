"""Exercises on checking gradients: the error that is compared, and a whole checker, graded by what it catches."""
import numpy as np

from nanolm.grading.exercise import Call, Exercise, ways

CHECK = """Is backward the derivative of forward? Return True or False.

    forward     y, cache = forward(*args)
    backward    gradients = backward(dy, cache): one for each float array in args, in order (a single array if it is one)
    args        float64 arrays, and perhaps an integer array of ids or targets, which has no gradient
"""
ERROR = """Return the largest relative error of got beside expected, a float: max |got - expected| / max(|got|, |expected|).

    got, expected: arrays of one shape. Where both entries are exactly zero the error is 0. NaN anywhere gives infinity.
"""


def relative_error(got, expected):
    """The right answer."""
    return error(got, expected)


def error(got, expected, below="larger", over="max", sign="absolute", zeros="zero", nan="infinite"):
    """relative_error, with a switch wherever people go wrong."""
    difference = got - expected
    difference = np.abs(difference) if sign == "absolute" else difference
    scale = {"larger": np.maximum(np.abs(got), np.abs(expected)), "sum": np.abs(got) + np.abs(expected),
             "expected": np.abs(expected), "nothing": np.ones_like(got), "signed": expected}[below]
    with np.errstate(all="ignore"):
        each = difference / scale
    if zeros == "zero":
        each = np.where((got == 0) & (expected == 0), 0.0, each)
    if nan == "infinite" and np.isnan(each).any():
        return np.inf
    if nan == "ignored":
        each = np.nan_to_num(each, nan=0.0, posinf=np.inf)
    return float({"max": np.max, "mean": np.mean, "norm": lambda a: np.sqrt((a * a).sum()),
                  "min": np.min}[over](each)) if each.size else 0.0


def inputs(draw):
    n = draw.whole(1, 12)
    expected = draw.array(n)
    got = expected + draw.choice(0.0, 1e-6, 0.1, 1.0) * draw.array(n)
    if draw.whole(0, 2) == 0:
        got[0] = expected[0] = 0.0
    if draw.whole(0, 6) == 0:
        got[draw.whole(0, n - 1)] = np.nan
    return Call((got, expected), shown={"got": got, "expected": expected}, sizes={"n": n})


MISTAKES = ways(
    error,
    divided_by_the_sum=("It divides by |got| + |expected|, which gives half of the error.", {"below": "sum"}),
    divided_by_expected=("It divides by |expected| alone: where expected is near zero and got is not, the error is out of all "
                         "proportion, and it depends on which of the two you call right.", {"below": "expected"}),
    divided_by_a_signed_number=("It divides by expected with its sign, so that half of the errors are negative and never the "
                                "largest.", {"below": "signed"}),
    absolute_error=("It is the absolute error: nothing is divided, so 1e-3 of 1e6 looks worse than 1e-4 of 1e-4.",
                    {"below": "nothing"}),
    mean_in_place_of_max=("It takes the mean over the entries: one wrong entry among a thousand is averaged away.",
                          {"over": "mean"}),
    norm_of_the_errors=("It adds the errors up to a norm; asked for is the largest.", {"over": "norm"}),
    sign_kept=("The difference keeps its sign, so a got that is too small has a negative error, which is never the largest.",
               {"sign": "kept"}),
    zero_by_zero=("Where both entries are zero it divides 0 by 0. Two zeros agree: the error is 0 there.", {"zeros": "kept"}),
    nan_ignored=("NaN counts for nothing here, so a gradient of NaN passes every check. It must give infinity.",
                 {"nan": "ignored"}),
    nan_returned=("With a NaN the answer is NaN, and `NaN > tolerance` is False, so the check passes. It must give infinity.",
                  {"nan": "kept"}),
)


def exercises(constants):
    return [
        Exercise("checker.relative_error", "forward",
                 "Write the error by which two gradients are compared: relative to the larger of the two, 0 where both are zero, "
                 "infinity if there is a NaN.", ("error",), relative_error, inputs,
                 signature="def relative_error(got, expected):", docstring=ERROR, mistakes=MISTAKES, level=1, minutes=15,
                 notebook="00_gradients", hints=("np.maximum(np.abs(got), np.abs(expected)) is what to divide by.",
                                                 "0 / 0 is NaN. Put 0 where both are zero, with np.where.",
                                                 "Ask np.isnan(...).any() first, and return np.inf.")),
        Exercise("checker.check", "checker",
                 "Write a gradient checker. It is called with pairs of a forward and a backward, some right, some wrong, and "
                 "passes if it catches all that are wrong and blames none that is right.", ("verdict",), None, None,
                 signature="def check(forward, backward, args):", docstring=CHECK, level=3, minutes=60, notebook="00_gradients",
                 hints=("Draw dy at random, shaped like y, once. The loss is sum(dy * y): a number, whose derivative by each "
                        "entry you can take with two calls of forward.",
                        "Central differences, (f(x + h) - f(x - h)) / 2h with h = 1e-5, are right to about 1e-10 of the loss. "
                        "Compare with |got - expected| <= rtol * |expected| + atol; rtol = 1e-6 and atol = 1e-7 times the "
                        "largest entry are a start.",
                        "Copy x before you move an entry. Skip arrays of integers. Check the number of gradients and their "
                        "shapes before the numbers, and ask `not error <= tolerance`, so that NaN is wrong.",
                        "If y is a number (a loss), dy is a number too: not 1.0.")),
    ]

"""Variants of RMS norm, as functions of the student's number, and their wrong answers. A third is in variants_groups.py.

    power_norm      y = n weight^p,  n = x rstd,  rstd = 1 / sqrt(average(x^2) + eps)                 p: the student's
    learned_eps     y = n weight,    n = x rstd,  rstd = 1 / sqrt(average(x^2) + exp(k e))            k: the student's, e learned

In both dn is the gradient that reaches n, and dx = rstd (dn - n average(dn n)), the average over what rstd is made of.
"""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.sums import summed


def average(a, way="average"):
    """Return the average over the last axis, kept, or what is taken in its place."""
    C = a.shape[-1]
    if way == "tokens":
        return a.mean(axis=tuple(range(a.ndim - 1)), keepdims=True)
    return a.sum(axis=-1, keepdims=True) * {"average": 1 / C, "sum": 1, "missing": 0, "sign": -1 / C, "half": 0.5 / C,
                                            "twice": 2 / C}[way]


def through_rms(n, dn, rstd, second="average", outside="rstd", n_outside="n", mean="none"):
    """Return dx of n = x rstd; the keyword arguments are places where people go wrong in all norms of this kind."""
    inner = average(dn if n_outside == "forgotten inside" else dn * n, second)
    term = {"n": n, "x": n / rstd, "forgotten": 1.0}.get(n_outside, n) * inner
    term = term + (average(dn) if mean == "layer norm" else 0.0)
    return (dn - term) * {"rstd": rstd, "missing": 1.0, "squared": rstd**2, "divided": 1 / rstd}[outside]


SHARED = dict(
    second_term_missing=("dx is rstd dn alone, as if rstd were constant. It is made of x, so it sends a gradient back: dx = rstd "
                         "(dn - n average(dn n)).", {"second": "missing"}),
    second_term_sum=("A sum over the channels stands in dx where an average belongs: the 1/C of average(x^2) is lost.",
                     {"second": "sum"}),
    second_term_sign=("The second term of dx has the wrong sign: a longer x makes rstd smaller, rstd (dn - n average(dn n)).",
                      {"second": "sign"}),
    second_term_half=("The second term of dx has half its size: the 2 of the square and the 1/2 of the root cancel, and the 2 is "
                      "lost.", {"second": "half"}),
    second_term_twice=("The second term of dx is twice too large: the 2 of the square and the 1/2 of the root cancel, and the "
                       "1/2 is lost.", {"second": "twice"}),
    mean_term_of_layer_norm=("dx has layer norm's mean term, -average(dn). No mean is subtracted in this forward, so there is "
                             "none.",
                             {"mean": "layer norm"}),
    x_for_n=("In dx's second term x stands before the average where n = x rstd belongs.", {"n_outside": "x"}),
    n_forgotten=("dx's second term is average(dn n) without the n before it: rstd (dn - n average(dn n)).",
                 {"n_outside": "forgotten"}),
    n_forgotten_inside=("dx's second term averages dn alone: n average(dn n), because what reaches rstd is dn x.",
                        {"n_outside": "forgotten inside"}),
    rstd_forgotten=("The rstd in front of dx is missing: n = x rstd.", {"outside": "missing"}),
    rstd_twice=("dx has one rstd too many in front.", {"outside": "squared"}),
    divided_by_rstd=("dx is divided by rstd, which is one over the root already: multiply.", {"outside": "divided"}),
    averaged_over_tokens=("dweight is an average over the tokens. All tokens use one weight, and their gradients add up: a sum.",
                          {"over": "average"}),
    not_summed_over_tokens=("dweight is not summed over the tokens: all of them use one weight of shape "
                            "(C,).", {"over": "nothing"}),
    last_token_only=("dweight is the last token's share alone. All tokens use one weight: += in a loop, not "
                     "=.", {"over": "last"}),
)


def power_norm(p):
    """Return forward, backward and backward's mistakes."""
    def forward(x, weight, eps=1e-5):
        rstd = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
        return x * rstd * weight**p, (x, weight, rstd)

    def backward(dy, cache, gain="power", dweight="power", by="n", over="tokens", order="inside", **switches):
        x, weight, rstd = cache
        n = x * rstd
        gained = {"power": weight**p, "plain": weight, "forgotten": 1 + 0 * weight, "lowered": weight**(p - 1),
                  "derivative": p * weight**(p - 1), "factor": p * weight, "square": weight**2, "exponential": p**weight}[gain]
        dn = dy * (1.0 if order == "outside" else gained)
        dx = through_rms(n, dn, rstd, **switches) * (gained if order == "outside" else 1.0)
        slope = {"power": p * weight**(p - 1), "no factor": weight**(p - 1), "not lowered": p * weight**p,
                 "plain": 1 + 0 * weight,
                 "power alone": weight**p, "factor alone": p + 0 * weight, "one less": (p - 1) * weight**(p - 1),
                 "as times w": p * weight,
                 "logarithm": weight**p * np.log(weight), "two lower": p * weight**(p - 2)}[dweight]
        return dx, summed(dy * {"n": n, "x": x, "forgotten": 1 + 0 * n}[by] * slope, over)

    return forward, backward, ways(
        backward, **SHARED,
        library_gain=(f"It is the backward of y = n weight, as in the library. Yours is y = n weight^{p}: dn = dy weight^{p}, "
                      f"and dweight has {p} weight^{p - 1:.3g}.", {"gain": "plain", "dweight": "plain"}),
        gain_without_power=(f"dn = dy weight stands where y = n weight^{p} makes dn = dy weight^{p}.", {"gain": "plain"}),
        gain_forgotten=(f"weight does not appear in dx: what reaches n is dn = dy weight^{p}.", {"gain": "forgotten"}),
        gain_power_lowered=(f"dn has weight^{p - 1:.3g}. The power is lowered where one differentiates by weight; dn is dy "
                            f"weight^{p}.",
                            {"gain": "lowered"}),
        gain_differentiated=(f"dn has {p} weight^{p - 1:.3g}, the derivative by weight. By n it is the factor itself: "
                             f"weight^{p}.",
                             {"gain": "derivative"}),
        power_taken_as_a_factor=(f"dn has {p} weight where {p} is a power: weight^{p}.", {"gain": "factor"}),
        square_for_power=(f"dn has weight^2 where your power is {p}.", {"gain": "square"}),
        base_and_power_exchanged=(f"dn has {p}^weight: base and power are exchanged, weight^{p}.", {"gain": "exponential"}),
        gain_outside=(f"weight^{p} stands outside in dx. It comes first, dn = dy weight^{p}, before the average.",
                      {"order": "outside"}),
        factor_forgotten=(f"dweight lacks the factor {p}: the derivative of weight^{p} is {p} weight^{p - 1:.3g}.",
                          {"dweight": "no factor"}),
        power_not_lowered=(f"In dweight the power is not lowered: the derivative of weight^{p} is {p} weight^{p - 1:.3g}.",
                           {"dweight": "not lowered"}),
        dweight_of_library=(f"dweight is the sum of dy n, which is right for y = n weight. Here {p} weight^{p - 1:.3g} "
                            "multiplies it.",
                            {"dweight": "plain"}),
        dweight_uses_dn=(f"dweight sums dn n, with weight^{p}: it takes the derivative of it, {p} weight^{p - 1:.3g}.",
                         {"dweight": "power alone"}),
        power_forgotten_in_dweight=(f"dweight has the factor {p} and no power of weight: {p} weight^{p - 1:.3g}.",
                                    {"dweight": "factor alone"}),
        factor_one_less=(f"dweight has the factor {p - 1:.3g}: the power comes down before it is lowered, {p} "
                         f"weight^{p - 1:.3g}.",
                         {"dweight": "one less"}),
        derivative_of_square=(f"dweight has {p} weight to the power 1, as if {p} were 2: {p} weight^{p - 1:.3g}.",
                              {"dweight": "as times w"}),
        logarithm_for_power=(f"dweight has weight^{p} ln weight, the derivative by the power. It is by weight: {p} "
                             f"weight^{p - 1:.3g}.",
                             {"dweight": "logarithm"}),
        power_lowered_twice=(f"In dweight the power is lowered twice: {p} weight^{p - 1:.3g}.", {"dweight": "two lower"}),
        dweight_uses_x=("dweight multiplies dy by x: it is n = x rstd that stands beside the gain.", {"by": "x"}),
        n_forgotten_in_dweight=("dweight sums dy alone: it is n = x rstd that the gain multiplies.", {"by": "forgotten"}))


def learned_eps(k):
    """Return forward, backward and backward's mistakes."""
    def forward(x, weight, e):
        rstd = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.exp(k * e))
        return x * rstd * weight, (x, weight, e, rstd)

    def backward(dy, cache, gain="inside", by="n", over="tokens", inner="k exp(k e)", half=-0.5, cube=3, reach="dn x",
                 total="all",
                 **switches):
        x, weight, e, rstd = cache
        n = x * rstd
        dn = dy * (1.0 if gain in ("outside", "forgotten") else weight)
        dx = through_rms(n, dn, rstd, **switches) * (weight if gain == "outside" else 1.0)
        slope = {"k exp(k e)": k * np.exp(k * e), "no k": np.exp(k * e), "k of 1": np.exp(e), "k alone": k,
                 "e": e * np.exp(k * e),
                 "exp(e)": k * np.exp(e), "one": 1.0}[inner]
        each = {"dn x": (dn * x).sum(axis=-1), "dy x": (dy * x).sum(axis=-1), "dn": dn.sum(axis=-1),
                "dn n": (dn * n).sum(axis=-1)}[reach]
        each = half * rstd[..., 0]**cube * each * slope
        de = {"all": each.sum(), "average": each.mean(), "last": each.reshape(-1)[-1], "channels": each.sum() / x.shape[-1],
              "zero": 0.0 * each.sum(), "token": each}[total]
        return dx, summed(dy * {"n": n, "x": x, "dn": weight * n}[by], over), de

    return forward, backward, ways(
        backward, **SHARED,
        gain_forgotten=("weight does not appear in dx: what reaches n is dn = dy weight.", {"gain": "forgotten"}),
        gain_outside=("weight stands outside in dx. dn = dy weight comes first, before the average.", {"gain": "outside"}),
        dweight_uses_x=("dweight multiplies dy by x: it is n = x rstd that stands beside weight.", {"by": "x"}),
        dweight_uses_dn=("dweight has a factor weight too many: it is made of dy n.", {"by": "dn"}),
        eps_held_constant=("de is zero: exp(k e) is part of rstd, and e is learned.", {"total": "zero"}),
        inner_factor_forgotten=(f"de lacks the factor {k}: the derivative of exp({k} e) by e is {k} exp({k} "
                                "e).", {"inner": "no k"}),
        rate_of_one=(f"de is that of exp(e): your eps is exp({k} e), and its derivative {k} exp({k} e).", {"inner": "k of 1"}),
        exponential_forgotten=(f"de lacks exp({k} e): the exponential is its own derivative, and stays, {k} exp({k} e).",
                               {"inner": "k alone"}),
        e_for_rate=(f"de has e exp({k} e), the derivative by the factor. It is by e: {k} exp({k} e).", {"inner": "e"}),
        rate_not_in_exponent=(f"de has exp(e): the exponent is {k} e.", {"inner": "exp(e)"}),
        eps_itself_learned=(f"de is the derivative by eps. eps = exp({k} e), so {k} exp({k} e) multiplies it.", {"inner": "one"}),
        de_sign=("de has the wrong sign: a larger eps makes rstd smaller, -1/2 rstd^3.", {"half": 0.5}),
        de_half_forgotten=("de is twice too large: the derivative of a power -1/2 is -1/2 rstd^3.", {"half": -1.0}),
        de_rstd_squared=("de has rstd^2: one over a root has the power -1/2, and its derivative the power -3/2, which is rstd^3.",
                         {"cube": 2}),
        de_rstd_once=("de has rstd once: the derivative of one over a root is -1/2 rstd^3.", {"cube": 1}),
        de_n_for_x=("de has one rstd too many: what reaches rstd is dn x (n = x rstd), not dn n.", {"reach": "dn n"}),
        de_gain_forgotten=("weight does not appear in de: what reaches rstd is dn x with dn = dy weight.", {"reach": "dy x"}),
        de_x_forgotten=("de sums dn alone: n = x rstd, so what reaches rstd is dn x.", {"reach": "dn"}),
        de_averaged_over_tokens=("de is an average over the tokens. One e serves all of them: a sum.", {"total": "average"}),
        de_averaged_over_channels=("de is divided by C: the 1/C of average(x^2) belongs to x, not to "
                                   "eps.", {"total": "channels"}),
        de_last_token_only=("de is the last token's share alone. One e serves all tokens: a sum.", {"total": "last"}),
        de_one_a_token=("de has a number for each token. One e serves all of them: a sum.", {"total": "token"}))

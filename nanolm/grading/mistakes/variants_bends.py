"""Three variants of bends and branches, as functions of the student's number, and their wrong answers.

    gated_logistic      x = [g, u],  y = u g s,  s = 1 / (1 + exp(-a g))                a: the student's
    leaky_square        h = x weight,  r = h where h > 0, else c h,  y = r^2            c: the student's
    scaled_residual     t = tanh(x weight),  y = x + c t                                c: the student's, weight (C, C)
"""
import numpy as np

from nanolm.grading.exercise import ways, written
from nanolm.grading.mistakes.sums import summed


def logistic(x):
    return 1 / (1 + np.exp(-x))


def gated_logistic(a):
    """Return forward, backward and backward's mistakes."""
    def forward(x):
        g, u = np.split(x, 2, axis=-1)
        s = logistic(a * g)
        return u * g * s, (x, s)

    def backward(dy, cache, rate=a, first="s", second="whole", up="g s", order="g, u", s_of="cache", which="both", sign=1):
        x, s = cache
        g, u = np.split(x, 2, axis=-1)
        s = logistic({"library": 1.0, "usual": 1.702}[s_of] * g) if s_of != "cache" else s
        slope = {"whole": rate * g * s * (1 - s), "missing": 0.0, "no g": rate * s * (1 - s), "no 1 - s": rate * g * s, "no s":
                 rate * g * (1 - s), "plus": rate * g * s * (1 + s), "tanh": rate * g * (1 - s * s),
                 "square": rate * g * s * s}[second]
        du = dy * {"g s": g * s, "s": s, "g": g, "u g s": u * g * s}[up]
        d = {"s": s, "none": 0.0, "y": g * s}[first] + sign * slope
        dg = dy * (d if which == "u forgotten" else u * d)
        if which == "g alone":
            du = 0 * du
        elif which == "u alone":
            dg = 0 * dg
        elif which == "dy forgotten":
            dg, du = u * d, g * s
        if order == "added":
            return dg + du
        if order == "interleaved":
            return np.stack([dg, du], axis=-1).reshape(x.shape)
        return np.concatenate([dg, du] if order == "g, u" else [du, dg], axis=-1)

    right = f"dg = dy u (s + a g s (1 - s)), a = {a}"
    return forward, backward, ways(
        backward,
        library_rate=(f"The inner derivative is missing: it is that of SiLU, with a = 1. s = 1 / (1 + exp(-{a} g)), so {right}.",
                      {"rate": 1.0}),
        usual_rate=(f"It has 1.702, the usual constant: yours is a = {a}. {right}.", {"rate": 1.702}),
        rate_squared=(f"a = {a} multiplies twice: {right}.", {"rate": a * a}),
        divided_by_rate=(f"It is divided by a = {a}: the inner derivative of -a g multiplies, {right}.", {"rate": 1 / a}),
        s_made_with_library_rate=("s is computed anew, with a = 1. Take the s of the cache.", {"s_of": "library"}),
        s_made_with_usual_rate=("s is computed anew, with 1.702. Take the s of the cache.", {"s_of": "usual"}),
        second_term_missing=(f"The product rule's second term is missing: g is in s too, {right}.", {"second": "missing"}),
        first_term_missing=(f"The product rule's first term, s, is missing: {right}.", {"first": "none"}),
        second_term_sign=(f"The second term is subtracted: {right}.", {"sign": -1}),
        g_forgotten=(f"The g before s (1 - s) is forgotten: {right}.", {"second": "no g"}),
        one_minus_s_forgotten=(f"The derivative of the logistic function is s (1 - s), and 1 - s is forgotten: {right}.",
                               {"second": "no 1 - s"}),
        s_forgotten=(f"The derivative of the logistic function is s (1 - s), and s is forgotten: {right}.", {"second": "no s"}),
        plus_for_minus=(f"s (1 + s) stands where s (1 - s) belongs: {right}.", {"second": "plus"}),
        derivative_of_tanh=(f"1 - s^2 is the derivative of tanh. That of the logistic function is s (1 - s): {right}.",
                            {"second": "tanh"}),
        square_of_s=(f"s^2 stands where s (1 - s) belongs: {right}.", {"second": "square"}),
        first_term_y=(f"g s stands in the first term where s belongs: {right}.", {"first": "y"}),
        u_forgotten=(f"u does not appear in dg: y = u g s, so {right}.", {"which": "u forgotten"}),
        du_without_g=("du = dy s: what u multiplies is g s.", {"up": "s"}),
        du_without_s=("du = dy g: what u multiplies is g s.", {"up": "g"}),
        du_keeps_u=("du has a factor u: y = u g s is differentiated by it, and g s is left.", {"up": "u g s"}),
        du_missing=("The second half is zero: u has a gradient too, dy g s.", {"which": "g alone"}),
        dg_missing=(f"The first half is zero: {right}.", {"which": "u alone"}),
        dy_forgotten=("dy does not appear: the chain rule multiplies by it.", {"which": "dy forgotten"}),
        halves_exchanged=("dg and du are exchanged: g is the first half of x, and dx has the order of x.", {"order": "u, g"}),
        halves_interleaved=("dg and du take turns, channel by channel. dx is [dg, du]: np.concatenate along the last axis.",
                            {"order": "interleaved"}),
        halves_added=("dg and du are added, so dx has F channels. x has 2 F: np.concatenate along the last "
                      "axis.", {"order": "added"}))


def leaky_square(c):
    """Return forward, backward and backward's mistakes."""
    def forward(x, weight):
        h = x * weight
        r = np.where(h > 0, h, c * h)
        return r * r, (x, weight)

    def backward(dy, cache, below=c * c, two=2, value="h", corner="h > 0", gain="weight", by="x", over="tokens", upstream=True):
        x, weight = cache
        h = x * weight
        where = {"h > 0": h > 0, "x > 0": x > 0, "h < 0": h < 0, "dy > 0": dy > 0}[corner]
        v = {"h": h, "one": 1 + 0 * h, "x": x, "square": h * h}[value]
        dh = two * v * np.where(where, 1.0, below) * (dy if upstream else 1.0)
        dx = dh * {"weight": weight, "forgotten": 1.0, "twice": weight**2}[gain]
        return dx, summed(dh * {"x": x, "h": h, "forgotten": 1 + 0 * x}[by], over)

    right = f"dh = 2 dy h where h > 0, and 2 * {c}^2 dy h elsewhere"
    return forward, backward, ways(
        backward,
        leak_not_squared=(f"Where h < 0 the factor is {c}: the leak is squared with everything else, {right}.", {"below": c}),
        leak_forgotten=(f"Nothing passes where h < 0, as with a squared ReLU: {right}.", {"below": 0.0}),
        library_leak=(f"The leak is 0.01, the usual one: yours is {c}, {right}.", {"below": 1e-4}),
        usual_leak_not_squared=(f"The leak is 0.01, the usual one, and not squared: yours is {c}, {right}.", {"below": 0.01}),
        leak_of_one=(f"Where h < 0 the leak is missing: {right}.", {"below": 1.0}),
        leak_sign=(f"Where h < 0 the sign is wrong: {right}. (h is negative there, and so is the slope: is |h| taken?)",
                   {"below": -c * c}),
        leak_to_the_fourth=(f"Where h < 0 the leak is squared twice: {right}.", {"below": c**4}),
        leak_twice=(f"Where h < 0 the leak is 2 c: it is its square, {right}.", {"below": 2 * c}),
        two_forgotten=(f"The 2 of the square is forgotten: {right}.", {"two": 1}),
        sign=(f"The sign is wrong: {right}.", {"two": -2}),
        h_forgotten=(f"The derivative of a square is twice what was squared, and that is forgotten: {right}.", {"value": "one"}),
        x_for_h=(f"x stands where h = x weight belongs: {right}.", {"value": "x"}),
        square_kept=(f"h^2 stands where h belongs: the power is lowered, {right}.", {"value": "square"}),
        corner_of_x=("The corner is looked for in x: it is in h = x weight, and a negative weight turns it "
                     "round.", {"corner": "x > 0"}),
        corner_of_dy=("The corner is looked for in dy: it is in h = x weight.", {"corner": "dy > 0"}),
        corner_turned=(f"The leak is on the wrong side: {right}.", {"corner": "h < 0"}),
        weight_forgotten=("dx lacks weight: h = x weight, so dx = dh weight.", {"gain": "forgotten"}),
        weight_twice=("dx has one weight too many: dx = dh weight.", {"gain": "twice"}),
        dweight_uses_h=("dweight multiplies dh by h: h = x weight, so it is x that stands beside weight.", {"by": "h"}),
        x_forgotten_in_dweight=("dweight sums dh alone: h = x weight, so it is the sum of dh x.", {"by": "forgotten"}),
        averaged_over_tokens=("dweight is an average over the tokens. All of them use one weight: a sum.", {"over": "average"}),
        not_summed_over_tokens=("dweight is not summed over the tokens: all of them use one weight of shape "
                                "(C,).", {"over": "nothing"}),
        last_token_only=("dweight is the last token's share alone. All tokens use one weight: += in a loop, not "
                         "=.", {"over": "last"}),
        dy_forgotten=("dy does not appear: the chain rule multiplies by it.", {"upstream": False}))


def scaled_residual(c):
    """Return forward, backward and backward's mistakes."""
    def forward(x, weight):
        t = np.tanh(x @ weight)
        return x + c * t, (x, weight, t)

    def backward(dy, cache, skip=1.0, scale=c, scale_dweight=c, slope="1 - t^2", turned=True, left="x", order="x first",
                 over="sum",
                 skip_scaled=False):
        x, weight, t = cache
        C = x.shape[-1]
        dh = dy * {"1 - t^2": 1 - t * t, "1 - t": 1 - t, "none": 1.0, "1 + t^2": 1 + t * t, "of t": 1 - np.tanh(t)**2,
                   "t^2": t * t,
                   "t (1 - t)": t * (1 - t)}[slope]
        dx = skip * dy * (c if skip_scaled else 1.0) + scale * (dh @ (weight.T if turned else weight))
        rows = {"x": x, "t": t, "y": x + c * t}[left].reshape(-1, C)
        dweight = rows.T @ dh.reshape(-1, C) if order == "x first" else dh.reshape(-1, C).T @ rows
        if over == "average":
            dweight = dweight / len(rows)
        elif over == "last":
            dweight = np.outer(rows[-1], dh.reshape(-1, C)[-1])
        return dx, scale_dweight * dweight

    right = f"dx = dy + {c} (dy (1 - t^2)) weight^T"
    return forward, backward, ways(
        backward,
        scale_forgotten=(f"Your factor {c} is missing, as in the library's block, which adds the branch as it is: {right}, and "
                         "dweight has it too.", {"scale": 1.0, "scale_dweight": 1.0}),
        scale_forgotten_in_dx=(f"Your factor {c} is missing in dx: {right}.", {"scale": 1.0}),
        scale_forgotten_in_dweight=(f"Your factor {c} is missing in dweight: y = x + {c} tanh(x "
                                    "weight).", {"scale_dweight": 1.0}),
        half_for_scale=(f"The factor is 0.5, but yours is {c}.", {"scale": 0.5, "scale_dweight": 0.5}),
        scale_squared=(f"The factor {c} multiplies twice: {right}.", {"scale": c * c, "scale_dweight": c * c}),
        divided_by_scale=(f"The branch is divided by {c}: it is multiplied, {right}.", {"scale": 1 / c, "scale_dweight": 1 / c}),
        scale_on_everything=(f"The factor {c} multiplies the way past the branch too: {right}.", {"skip_scaled": True}),
        mixed=(f"The way past the branch has the factor {1 - c:.3g}: y = x + {c} t, not a mixture. {right}.", {"skip": 1 - c}),
        skip_forgotten=(f"dy itself is missing in dx: x goes two ways, into the branch and past it. {right}.", {"skip": 0.0}),
        branch_forgotten=(f"dx is dy alone: x goes two ways, into the branch and past it. {right}.", {"scale": 0.0}),
        branch_subtracted=(f"The branch is subtracted in dx: {right}.", {"scale": -c}),
        skip_twice=(f"dy counts twice in dx: {right}.", {"skip": 2.0}),
        slope_forgotten=("The slope of tanh is missing: dh = dy (1 - t^2).", {"slope": "none"}),
        slope_not_squared=("1 - t stands where the slope of tanh has 1 - t^2.", {"slope": "1 - t"}),
        slope_plus=("1 + t^2 stands where the slope of tanh has 1 - t^2.", {"slope": "1 + t^2"}),
        slope_square_alone=("t^2 stands where the slope of tanh has 1 - t^2.", {"slope": "t^2"}),
        slope_of_logistic=("t (1 - t) is the slope of the logistic function. That of tanh is 1 - t^2.", {"slope": "t (1 - t)"}),
        tanh_twice=("tanh is taken of t, but t is tanh(x weight) already: 1 - t^2.", {"slope": "of t"}),
        weight_not_transposed=("dx has dh weight: h = x weight, so dx has dh weight^T. weight is square, so that NumPy does not "
                               "mind.",
                               {"turned": False}),
        dweight_transposed=("dweight is transposed: x^T dh, so that dweight_ij belongs to x_i and h_j.", {"order": "dh first"}),
        dweight_uses_t=("dweight is made of t: h = x weight, so it is x^T dh.", {"left": "t"}),
        dweight_uses_y=("dweight is made of y: h = x weight, so it is x^T dh.", {"left": "y"}),
        averaged_over_tokens=("dweight is an average over the tokens. All of them use one weight: a sum.", {"over": "average"}),
        last_token_only=("dweight is the last token's share alone. All tokens use one weight: += in a loop, not "
                         "=.", {"over": "last"}),
    ) + written(
        zero=("Everything is zero.", lambda dy, cache: (0 * dy, 0 * cache[1])))

"""Variants of dropout and of rotary positions, as functions of the student's numbers, and their wrong answers.

    split_dropout     training: y = x keep (1 - rate)^-b       evaluation: y = x (1 - rate)^(1 - b)         b: the student's
    partial_rotary    channels i and i + n, i < n, turned by t base^(-i / n); those from 2 n on pass        n, base: the student's
"""
import numpy as np

from nanolm.grading.exercise import ways, written


def split_dropout(b):
    """Return forward, backward, backward's mistakes and forward's."""
    def scales(rate, train=-b, evaluation=1 - b, base="kept"):
        """Return the factors of training and of evaluation."""
        share = {"kept": 1 - rate, "dropped": rate, "one more": 1 + rate}[base]
        return share**train, share**evaluation

    def forward(x, rate, rng, train=-b, evaluation=1 - b, base="kept", keep="whole", draw="numbers", compared="least"):
        training, resting = scales(rate, train, evaluation, base)
        if rng is None:
            return x * resting, (None, rate)
        shape = {"numbers": x.shape, "channels": x.shape[-1:], "tokens": (*x.shape[:-1], 1)}[draw]
        u = rng.random(shape, dtype=np.float64 if compared == "float64" else np.float32)
        kept = {"below": u < rate, "turned": u < 1 - rate}.get(compared, u >= rate)
        kept = np.broadcast_to(kept, x.shape) | (keep == "all")
        return x * kept * training, (kept, rate)

    def backward(dy, cache, train=-b, evaluation=1 - b, base="kept", mask="keep", upstream=True):
        keep, rate = cache
        training, resting = scales(rate, train, evaluation, base)
        d = dy if upstream else np.ones_like(dy)
        if keep is None:
            return d * resting
        return d * {"keep": keep, "all": True, "turned": ~keep}[mask] * training

    train, rest = f"(1 - rate)^-{b}", f"(1 - rate)^{1 - b:.3g}"
    both = dict(
        library_split=("It is the library's dropout: everything is scaled while training, by 1 / (1 - rate), and nothing in "
                       f"evaluation. Yours scales in both: {train} while training, {rest} in "
                       "evaluation.", {"train": -1, "evaluation": 0}),
        split_of_the_paper=("It is the paper's dropout: nothing is scaled while training, everything in evaluation. Yours "
                            f"scales in both: {train} while training, {rest} in evaluation.", {"train": 0, "evaluation": 1}),
        training_as_library=(f"While training it scales by 1 / (1 - rate), as the library does: {train}.", {"train": -1}),
        training_not_scaled=(f"While training nothing is scaled: {train}.", {"train": 0}),
        training_turned=(f"While training it scales by (1 - rate)^{b}, which makes small numbers smaller: "
                         f"{train}.", {"train": b}),
        training_has_evaluations=(f"While training it scales by evaluation's factor: {train}.", {"train": 1 - b}),
        evaluation_not_scaled=(f"In evaluation nothing is scaled, as in the library: {rest}.", {"evaluation": 0}),
        evaluation_by_share=(f"In evaluation it scales by 1 - rate: a part of that was done while training, {rest} is left.",
                             {"evaluation": 1}),
        evaluation_has_trainings=(f"In evaluation it scales by training's factor, {train}: {rest}.", {"evaluation": -b}),
        evaluation_turned=(f"In evaluation it divides by {rest}: multiply, because in training as much was dropped.",
                           {"evaluation": b - 1}),
        evaluation_power_b=(f"In evaluation it scales by (1 - rate)^{b}: {rest}.", {"evaluation": b}),
        exponents_exchanged=(f"The exponents are exchanged: {train} while training, {rest} in evaluation.",
                             {"train": b - 1, "evaluation": b}),
        halves=(f"The exponents are halves: yours are -{b} while training and {1 - b:.3g} in evaluation.",
                {"train": -0.5, "evaluation": 0.5}),
        rate_for_share=("The factors are powers of rate: of 1 - rate, the share that is kept.", {"base": "dropped"}),
        one_plus_rate=("The factors are powers of 1 + rate: of 1 - rate, the share that is kept.", {"base": "one more"}))
    backward_mistakes = ways(
        backward, **both,
        mask_forgotten=("While training, what was dropped gets a gradient: keep is missing. Where x was dropped y is 0, whatever "
                        "x is.",
                        {"mask": "all"}),
        mask_turned=("keep is the wrong way round: True is kept.", {"mask": "turned"}),
        dy_forgotten=("dy does not appear: the chain rule multiplies by it.", {"upstream": False}),
    ) + written(
        zero_in_evaluation=("In evaluation dx is zero. Nothing is dropped then: keep is None.",
                            lambda dy, cache: 0 * dy if cache[0] is None else backward(dy, cache)),
        passed_in_evaluation=("dx is zero while "
                              "training.", lambda dy, cache: backward(dy, cache) if cache[0] is None else 0 * dy))
    forward_mistakes = ways(
        forward, **both,
        nothing_dropped=("Nothing is dropped while training: keep is missing.", {"keep": "all"}),
        kept_and_dropped_exchanged=("What should be dropped is kept: keep is where the number is at least "
                                    "rate.", {"compared": "below"}),
        other_end_kept=("Kept is where the number is below 1 - rate. The share is right, but the task says at least rate, so "
                        "that the numbers can be compared.", {"compared": "turned"}),
        float64_drawn=("The numbers are drawn in float64, which are others: dtype=np.float32, as the task "
                       "says.", {"compared": "float64"}),
        whole_channels_dropped=("Whole channels are dropped: draw a number for each entry of x.", {"draw": "channels"}),
        whole_tokens_dropped=("Whole tokens are dropped: draw a number for each entry of x.", {"draw": "tokens"}))
    return forward, backward, backward_mistakes, forward_mistakes


def partial_rotary(n, base):
    """Return forward, backward, backward's mistakes and forward's."""
    def table(T, D, offset, base_is=base, exponent="n", place="offset", pairs=n):
        i = np.arange(pairs)
        w = {"n": float(base_is)**(-i / n), "D": float(base_is)**(-2 * i / D), "2 n": float(base_is)**(-i / (2 * n)), "rising":
             float(base_is)**(i / n), "one": 1.0 + 0 * i, "from one": float(base_is)**(-(i + 1) / n),
             "doubled": float(base_is)**(-2 * i / n),
             "one less": float(base_is)**(-i / max(n - 1, 1))}[exponent]
        t = np.arange(T) + {"offset": offset, "zero": 0, "one": offset + 1}[place]
        return np.cos(t[:, None] * w), np.sin(t[:, None] * w)

    def turned(x, cos, sin, pairing="halves", rest="passes", signs="right"):
        """Return x (..., T, D) with its first 2 n channels turned."""
        m = cos.shape[-1]
        part, tail = x[..., :2 * m], x[..., 2 * m:]
        if pairing == "at the end":
            part, tail = x[..., -2 * m:], x[..., :-2 * m]
        if pairing == "whole":                                                  # channel i with channel i + D/2
            half = x.shape[-1] // 2
            part = np.concatenate([x[..., :m], x[..., half:half + m]], axis=-1)
        a, b = (part[..., ::2], part[..., 1::2]) if pairing == "neighbours" else np.split(part, 2, axis=-1)
        one, two = {"right": (a * cos - b * sin, a * sin + b * cos), "both minus": (a * cos - b * sin, a * sin - b * cos),
                    "both plus": (a * cos + b * sin, a * sin + b * cos), "exchanged": (a * sin + b * cos, a * cos - b * sin),
                    "cos and sin": (a * sin - b * cos, a * cos + b * sin), "cos alone": (a * cos, b * cos)}[signs]
        out = np.stack([one, two], axis=-1).reshape(part.shape) if pairing == "neighbours" else np.concatenate([one, two],
                                                                                                               axis=-1)
        if pairing == "whole":
            y = 1.0 * x
            y[..., :m], y[..., half:half + m] = one, two
            return y
        tail = {"passes": tail, "zero": 0 * tail, "doubled": 2 * tail, "cut": tail[..., :0]}[rest]
        return np.concatenate([tail, out] if pairing == "at the end" else [out, tail], axis=-1)

    def forward(x, offset=0, base_is=base, exponent="n", place="offset", angle=1, pairs="n", **switches):
        T, D = x.shape[-2:]
        cos, sin = table(T, D, offset, base_is, exponent, place, D // 2 if pairs == "all" else n)
        return turned(x, cos, angle * sin, **switches), (cos, sin)

    def backward(dy, cache, angle=-1, swapped=False, **switches):
        cos, sin = cache[::-1] if swapped else cache
        return turned(dy, cos, angle * sin, **switches)

    shared = dict(
        neighbours_paired=(f"Channels 2 i and 2 i + 1 are paired. Here i and i + {n} are, for i below "
                           f"{n}.", {"pairing": "neighbours"}),
        last_channels_turned=(f"The last {2 * n} channels are turned: the first {2 * n} are.", {"pairing": "at the end"}),
        paired_across_all=(f"Channel i is paired with i + D/2, as in the library. Only the first {2 * n} channels are turned, "
                           f"and i and i + {n} are pairs.", {"pairing": "whole"}),
        rest_is_zero=(f"The channels from {2 * n} on are zero: they pass as they are.", {"rest": "zero"}),
        rest_is_missing=(f"The channels from {2 * n} on are missing: they pass as they are, and belong to the "
                         "answer.", {"rest": "cut"}),
        rest_doubled=(f"The channels from {2 * n} on are doubled: they pass as they are.", {"rest": "doubled"}),
        sine_left_out=("The sines are missing: a pair is turned, not shortened.", {"signs": "cos alone"}),
        pair_exchanged=("The two channels of each pair are exchanged.", {"signs": "exchanged"}))
    backward_mistakes = ways(
        backward, **shared,
        turned_forward_again=("The gradient is turned the same way as forward. Back goes the other way: the angle is -angle, sin "
                              "changes its sign, cos does not.", {"angle": 1}),
        first_sign=("The first channel of a pair is right and the second is not: dx_(i+n) = -dy_i sin + dy_(i+n) cos.",
                    {"signs": "both minus"}),
        second_sign=("The second channel of a pair is right and the first is not: dx_i = dy_i cos + dy_(i+n) "
                     "sin.", {"signs": "both plus"}),
        sine_and_cosine_exchanged=("cos and sin are exchanged: the cache is (cos, sin).", {"swapped": True}),
    ) + written(
        passed=("dx is dy as it came: the pairs have to be turned back.", lambda dy, cache: 1.0 * dy),
        zero=("It is zero everywhere.", lambda dy, cache: 0 * dy))
    forward_mistakes = ways(
        forward, **shared,
        library_base=(f"The base is 10000, the library's: yours is {base}.", {"base_is": 10000}),
        all_channels_turned=(f"All channels are turned, as in the library: yours turns the first {2 * n} alone.",
                             {"pairs": "all"}),
        exponent_of_all_channels=("The exponent is -2 i / D: it counts the channels that are turned, -i / "
                                  f"{n}.", {"exponent": "D"}),
        exponent_halved=(f"The exponent is -i / {2 * n}: -i / {n}.", {"exponent": "2 n"}),
        exponent_doubled=(f"The exponent is -2 i / {n}: -i / {n}.", {"exponent": "doubled"}),
        exponent_sign=(f"The exponent has lost its minus, so later pairs turn faster: -i / {n}.", {"exponent": "rising"}),
        exponent_from_one=("i counts from 1: the first pair, i = 0, turns by one radian a token.", {"exponent": "from one"}),
        exponent_one_less=(f"The exponent is -i / {n - 1}: -i / {n}.", {"exponent": "one less"}),
        one_speed=("All pairs turn at the same speed: base^(-i / n).", {"exponent": "one"}),
        offset_ignored=("offset is ignored: the first token stands at place offset.", {"place": "zero"}),
        counted_from_one=("The first token stands at place offset + 1: at offset.", {"place": "one"}),
        turned_the_other_way=("The pairs are turned the other way: y_i = x_i cos - x_(i+n) sin.", {"angle": -1}),
        second_sign=("The second channel of a pair has a wrong sign: x_i sin + x_(i+n) cos.", {"signs": "both minus"}),
        first_sign=("The first channel of a pair has a wrong sign: x_i cos - x_(i+n) sin.", {"signs": "both plus"}),
        sine_and_cosine_exchanged=("cos and sin are exchanged.", {"signs": "cos and sin"}))
    return forward, backward, backward_mistakes, forward_mistakes

"""Wrong answers to the exercises on rotary positions; the labels (O1) to (O3) are those of layers/rotary.py."""
import math

import numpy as np

from nanolm.grading.exercise import ways


def turned(x, cos, sin, pair="halves", first="right", second="right", swap=False):
    """Return x turned by (O2), or what comes out where people go wrong."""
    half = x.shape[-1] // 2
    a, b = (x[..., :half], x[..., half:]) if pair == "halves" else (x[..., 0::2], x[..., 1::2])
    ya = {"right": a * cos - b * sin, "plus": a * cos + b * sin, "cosine": a * cos, "sine": -b * sin, "kept": a,
          "negative": b * sin - a * cos, "exchanged": a * sin - b * cos}[first]
    yb = {"right": a * sin + b * cos, "minus": b * cos - a * sin, "cosine": b * cos, "sine": a * sin, "kept": b,
          "negative": -a * sin - b * cos, "exchanged": a * cos + b * sin, "overwritten": ya * sin + b * cos}[second]
    if swap:
        ya, yb = yb, ya
    if pair == "neighbours":
        y = np.empty_like(x)
        y[..., 0::2], y[..., 1::2] = ya, yb
        return y
    return np.concatenate([ya, yb], axis=-1)


def rotary_backward(dy, cache, way="back", angle="own", length="1", returned="dx", **wrong):
    """rotary.backward, with a switch wherever people go wrong."""
    cos, sin = cache
    roll = {"own": 0, "before": 1, "after": -1}.get(angle)
    if roll:
        cos, sin = np.roll(cos, roll, axis=0), np.roll(sin, roll, axis=0)
    if angle == "first token":
        cos, sin = cos[:1], sin[:1]
    if angle == "first pair":
        cos, sin = cos[:, :1], sin[:, :1]
    if angle == "reversed":
        cos, sin = cos[::-1], sin[::-1]
    if angle == "twice":
        cos, sin = cos * cos - sin * sin, 2 * sin * cos
    if angle == "as if at zero":                                            # the offset forgotten: less the first token's angle
        c, s = cos[:1], sin[:1]
        cos, sin = cos * c + sin * s, sin * c - cos * s
    if way == "not":
        return np.array(dy)
    if way == "repeated":                                                   # pair i's cosine at 2i and 2i + 1, but halves turned
        cos, sin = np.repeat(cos, 2, axis=-1), np.repeat(sin, 2, axis=-1)
        half = dy.shape[-1] // 2
        return dy * cos + np.concatenate([dy[..., half:], -dy[..., :half]], axis=-1) * sin
    if angle == "exchanged":
        cos, sin = sin, cos
    sin = {"back": -sin, "forward": sin, "zero": 0 * sin, "absolute": -np.abs(sin)}[way]
    dx = turned(dy, cos, sin, **wrong)
    dx = dx * {"1": 1, "half": 0.5, "twice": 2, "sign": -1}[length]
    return (dx, None) if returned == "pair" else dx


ROTARY_BACKWARD = ways(
    rotary_backward,
    turned_forward_again=("dx is dy turned by the same angle as in forward. A rotation's transpose is the rotation back: the "
                          "sine changes its sign, (O3).", {"way": "forward"}),
    not_turned=("dx is dy as it came. forward turned x, so backward must turn dy back, (O3).", {"way": "not"}),
    sine_forgotten=("Only the cosines are there. Each channel of a pair moves both of them, one by the cosine and one by the "
                    "sine, (O3).", {"way": "zero"}),
    cosine_forgotten=("Only the sines are there: x_i moves y_i itself too, by the cosine, (O3).",
                      {"first": "sine", "second": "sine"}),
    repeated_for_tiled=("The angles were doubled as 0 0 1 1 2 2, but channel i pairs with channel i + D/2: they must stand as 0 "
                        "1 2 0 1 2, that is np.concatenate([cos, cos], axis=-1), (O3).", {"way": "repeated"}),
    second_half_sign=("In the second half the sign of the sine is wrong: dx_(i+D/2) = -dy_i sin + dy_(i+D/2) cos, (O3).",
                      {"second": "minus"}),
    first_half_sign=("In the first half the sign of the sine is wrong: dx_i = dy_i cos + dy_(i+D/2) sin, (O3).",
                     {"first": "plus"}),
    second_half_not_turned=("The second half of the channels is dy as it came. Both channels of a pair are turned, (O3).",
                            {"second": "kept"}),
    first_half_negated=("The first half of dx has the wrong sign, both of its terms. Hold it against the first line of (O3).",
                        {"first": "negative"}),
    second_half_negated=("The second half of dx has the wrong sign, both of its terms. Hold it against the second line of (O3).",
                         {"second": "negative"}),
    first_half_not_turned=("The first half of the channels is dy as it came. Both channels of a pair are turned, (O3).",
                           {"first": "kept"}),
    sine_missing_in_second_half=("In the second half the sine is missing: dx_(i+D/2) = -dy_i sin + dy_(i+D/2) cos, (O3).",
                                 {"second": "cosine"}),
    sine_missing_in_first_half=("In the first half the sine is missing: dx_i = dy_i cos + dy_(i+D/2) sin, (O3).",
                                {"first": "cosine"}),
    first_half_overwritten=("The second half was made from the first half that had already been turned. Both lines of (O3) "
                            "need dy as it came: keep it, or write into a new array.", {"second": "overwritten"}),
    sine_and_cosine_exchanged=("Sine and cosine are exchanged. The cache is (cos, sin), in this order, and a channel meets its "
                               "own dy with the cosine, its partner's with the sine, (O3).", {"angle": "exchanged"}),
    halves_exchanged=("The two halves of dx stand in each other's place: dx_i first, then dx_(i+D/2), (O3).", {"swap": True}),
    neighbours_paired=("Channel 2i was paired with 2i + 1. The paper and GGUF files do that; here channel i pairs with i + "
                       "D/2, (O2).", {"pair": "neighbours"}),
    neighbours_in_halves_out=("The pairs were taken as neighbours, 2i and 2i + 1, and put back as halves. Here channel i "
                              "pairs with i + D/2, in and out, (O2).", {"pair": "neighbours in, halves out"}),
    angles_of_the_token_before=("Each token is turned by the angle of the one before it (the first by the last one's): row t "
                                "of cos and sin belongs to token t, (O3).", {"angle": "before"}),
    angles_of_the_token_after=("Each token is turned by the angle of the one after it (the last by the first one's): row t of "
                               "cos and sin belongs to token t, (O3).", {"angle": "after"}),
    angles_of_the_first_token=("All tokens are turned by the first one's angle. Row t of cos and sin belongs to token t, (O3).",
                               {"angle": "first token"}),
    angles_of_the_first_pair=("All pairs are turned by the first pair's angle. Column i of cos and sin belongs to pair i, (O3).",
                              {"angle": "first pair"}),
    tokens_reversed=("The tokens' angles stand in reverse order: row t of cos and sin belongs to token t, (O3).",
                     {"angle": "reversed"}),
    turned_twice=("dy is turned back by twice the angle, (O3).", {"angle": "twice"}),
    offset_forgotten=("The angles begin at zero, as if the first token stood at position 0. cos and sin in the cache hold the "
                      "offset already: use them as they are, (O3).", {"angle": "as if at zero"}),
    sine_without_sign=("The sine lost its sign (is there an abs, or sqrt(1 - cos^2)?). Beyond half a turn it is negative: "
                       "take sin from the cache, (O3).", {"way": "absolute"}),
    halved=("dx is half of what it should be: a rotation changes no length, (O3).", {"length": "half"}),
    sign=("dx has the wrong sign, (O3). To turn back, only the sine changes its sign, not the cosine.", {"length": "sign"}),
    a_pair_returned=("Two things came back. The angles have no gradient: return dx alone.", {"returned": "pair"}),
)


def rotary_forward(x, base=10000.0, offset=0, scaling=None, exponent="-2i/D", power="base", start="offset", axis=-2, way="there",
                   **wrong):
    """rotary.forward, with a switch wherever people go wrong."""
    T, D = x.shape[-2:]
    i = np.arange(D // 2)
    powers = {"-2i/D": -2 * i / D, "-i/D": -i / D, "-4i/D": -4 * i / D, "2i/D": 2 * i / D, "from one": -2 * (i + 1) / D,
              "last": -2 * i / max(D - 2, 1), "none": 0.0 * i}[exponent]
    w = {"base": float(base), "10000": 10000.0, "e": math.e}[power]**powers
    n = x.shape[axis]
    t = {"offset": np.arange(offset, offset + n), "0": np.arange(n), "one more": np.arange(offset, offset + n) + 1,
         "backwards": offset - np.arange(n), "scaled": offset * np.arange(n), "same": np.full(n, offset),
         "angle": np.arange(n)}[start]
    angle = t[:, None] * w + (offset if start == "angle" else 0)
    cos, sin = np.cos(angle), np.sin(angle)
    if axis != -2:
        shape = (n,) + (1,) * (x.ndim - 2 - axis) + (D // 2,)
        cos, sin = cos.reshape(shape), sin.reshape(shape)
    if way == "repeated":
        cos, sin, half = np.repeat(cos, 2, axis=-1), np.repeat(sin, 2, axis=-1), D // 2
        return x * cos + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin
    sin = {"there": sin, "back": -sin, "zero": 0 * sin}[way]
    return turned(x, cos, sin, **wrong)


ROTARY_FORWARD = ways(
    rotary_forward,
    exponent_i=("The exponent is -i / D; in (O1) it is -2i / D. So the last pairs turn much too fast.", {"exponent": "-i/D"}),
    exponent_4i=("The exponent is -4i / D; in (O1) it is -2i / D, with i = 0 ... D/2 - 1. Was 2i doubled once more, or divided "
                 "by D/2?",
                 {"exponent": "-4i/D"}),
    exponent_positive=("The exponent has the wrong sign: pairs turn slower with i, base^(-2i / D), (O1).", {"exponent": "2i/D"}),
    pairs_from_one=("The pairs were counted from 1. i = 0 ... D/2 - 1, so that the first pair turns by one radian a token, (O1).",
                    {"exponent": "from one"}),
    exponent_reaches_one=("The exponent reaches exactly -1 in the last pair. (O1) divides 2i by D.", {"exponent": "last"}),
    one_speed=("All pairs turn at the same speed: base^(-2i / D) is missing, (O1).", {"exponent": "none"}),
    base_fixed=("The base is always 10000. It is an argument, and (O1) uses what comes.", {"power": "10000"}),
    base_e=("The base is e: exp(-2i / D) lacks the factor log(base) in its exponent, (O1).", {"power": "e"}),
    offset_forgotten=("The angles begin at position 0. The first token stands at offset: t = offset, offset + 1, ..., (O1). A "
                      "cache that hands over one token at a time would turn all of them alike.", {"start": "0"}),
    positions_from_one=("Every token is turned as the one after it: the first stands at offset itself, (O1).",
                        {"start": "one more"}),
    positions_backwards=("The positions count down from offset; they count up, (O1).", {"start": "backwards"}),
    offset_multiplied=("The position is offset times t; it is offset plus t, (O1).", {"start": "scaled"}),
    offset_added_to_the_angle=("offset was added to the angle. It is added to the position, before that is multiplied by "
                               "base^(-2i / D): t = offset, offset + 1, ..., (O1).", {"start": "angle"}),
    all_at_offset=("All tokens are turned by the angle of the first, offset. Token t of x stands at offset + t, (O1).",
                   {"start": "same"}),
    first_axis_taken_for_tokens=("The angles run along the first axis, which is the batch where there is one: x is (..., T, "
                                 "D), so tokens are on the last axis but one.", {"axis": 0}),
    turned_back=("x is turned the other way round: y_i = x_i cos - x_(i+D/2) sin, and plus in the second line, (O2).",
                 {"way": "back"}),
    sine_forgotten=("Only the cosines are there: that shrinks x and does not turn it. Each channel also gets its partner "
                    "times the sine, (O2).", {"way": "zero"}),
    repeated_for_tiled=("The angles were doubled as 0 0 1 1 2 2, but channel i pairs with channel i + D/2: they must stand as 0 "
                        "1 2 0 1 2, that is np.concatenate([cos, cos], axis=-1), (O2).", {"way": "repeated"}),
    first_half_sign=("In the first half the sign of the sine is wrong: y_i = x_i cos - x_(i+D/2) sin, (O2).", {"first": "plus"}),
    second_half_sign=("In the second half the sign of the sine is wrong: y_(i+D/2) = x_i sin + x_(i+D/2) cos, (O2).",
                      {"second": "minus"}),
    first_half_negated=("The first half of y has the wrong sign, both of its terms. Hold it against the first line of (O2).",
                        {"first": "negative"}),
    second_half_negated=("The second half of y has the wrong sign, both of its terms. Hold it against the second line of (O2).",
                         {"second": "negative"}),
    first_half_not_turned=("The first half of the channels is x as it came. Both channels of a pair are turned, (O2).",
                           {"first": "kept"}),
    second_half_not_turned=("The second half of the channels is x as it came. Both channels of a pair are turned, (O2).",
                            {"second": "kept"}),
    first_half_overwritten=("The second half was made from the first half that had already been turned. Both lines of (O2) "
                            "need x as it came: keep it, or write into a new array.", {"second": "overwritten"}),
    sine_and_cosine_exchanged=("Sine and cosine are exchanged: at position 0 the angle is 0, its cosine 1, and y must be x, "
                               "(O2).", {"first": "exchanged", "second": "exchanged"}),
    halves_exchanged=("The two halves of y stand in each other's place: y_i first, then y_(i+D/2), (O2).", {"swap": True}),
    neighbours_paired=("Channel 2i was paired with 2i + 1. The paper and GGUF files do that; here channel i pairs with i + "
                       "D/2, (O2).", {"pair": "neighbours"}),
    neighbours_in_halves_out=("The pairs were taken as neighbours, 2i and 2i + 1, and put back as halves. Here channel i "
                              "pairs with i + D/2, in and out, (O2).", {"pair": "neighbours in, halves out"}),
)

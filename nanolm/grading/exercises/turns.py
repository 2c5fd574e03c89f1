"""Exercises on dropout, rotary positions and masks."""
import numpy as np

from nanolm.grading.exercise import Call, Probe
from nanolm.grading.exercises import build, turns_probes as probes
from nanolm.grading.mistakes import dropout as of_dropout, masks as of_masks, rotary as of_rotary
from nanolm.layers import dropout, masks, rotary


def axes(draw, *last, least=0):
    """Return a shape with none to two axes in front of the last ones."""
    return [draw.whole(1, 3), draw.whole(1, 3)][:draw.whole(least, 2)] + list(last)


# ---------------------------------------------------------------------------------------- dropout
def dropout_arguments(draw):
    shape = axes(draw, draw.whole(1, 4), draw.whole(1, 6))
    rate = draw.share(0.5, 0.25, 0.4, 0.1, 0.75)
    rng = draw.generator() if draw.choice(True, True, True, False) else None
    return (draw.array(*shape), rate, rng), {"C": shape[-1], "T": shape[-2], "N": int(np.prod(shape[:-1]))}


def dropout_backward(draw):
    args, sizes = dropout_arguments(draw)
    return build.opened(build.backward_call(dropout, draw, *args, sizes=sizes), "keep", "scale")


def dropout_cases():
    """Return the ready-made calls, and one in which everything was dropped: there keep.mean() is no number to divide by."""
    dropped = Call((np.array([[1.5], [-2.0]]), (np.zeros((2, 1), bool), 4.0)), title="everything dropped")
    return [build.opened(call, "keep", "scale") for call in (*build.backward_cases(dropout)(), dropped)]


def dropout_forward(draw):
    (x, rate, rng), sizes = dropout_arguments(draw)
    call = build.forward_call(dropout, x, draw.choice(rate, rate, rate, 0.0), rng, sizes=sizes)
    call.shown["rng"] = rng if rng is None else peek(rng, x.shape)         # of a generator a person wants to see what it gives
    return call


def peek(rng, shape):
    """Return the numbers that rng will give, and leave it as it is."""
    state = rng.bit_generator.state
    drawn = rng.random(shape, dtype=np.float32)
    rng.bit_generator.state = state
    return drawn


# ---------------------------------------------------------------------------------------- rotary
def rotary_arguments(draw):
    T, D = draw.whole(1, 5), 2 * draw.whole(1, 3)
    x = draw.array(*axes(draw, T, D))
    return x, {"base": draw.share(10000.0, 10.0, 100.0, 3.0), "offset": draw.choice(0, 0, 1, 3, 8)}, {"T": T, "D": D}


def rotary_backward(draw):
    x, kwargs, sizes = rotary_arguments(draw)
    return build.opened(build.backward_call(rotary, draw, x, **kwargs, sizes=sizes), "cos", "sin")


def rotary_cases():
    return (build.opened(call, "cos", "sin") for call in build.backward_cases(rotary)())


def unscaled():
    """Return the ready-made calls of rotary.forward without a scaling, which this exercise does not ask for."""
    return (call for call in build.forward_cases(rotary)() if "scaling" not in call.kwargs)


def rotary_forward(draw):
    x, kwargs, sizes = rotary_arguments(draw)
    return build.forward_call(rotary, x, **kwargs, sizes=sizes)


# ---------------------------------------------------------------------------------------- masks
def causal_arguments(draw):
    T = draw.whole(1, 5)
    S = draw.choice(None, T, T + draw.whole(1, 4), T + draw.whole(1, 4))
    shown = {"T": T} if S is None else {"T": T, "S": S}
    return Call((T,) if S is None else (T, S), shown=shown, sizes={"T": T, "S": T if S is None else S})


def causal_cases():
    return [Call(args, shown=dict(zip("TS", args))) for args in ((1,), (4,), (1, 6), (3, 3), (2, 9), (70, 80))]


def padding_arguments(draw):
    B, S = draw.whole(1, 4), draw.whole(1, 6)
    lengths = [draw.whole(0, S) for _ in range(B)]
    shown = {"lengths": list(lengths), "S": S}
    return Call((lengths if draw.choice(False, True) else np.array(lengths), S), shown=shown, sizes={"B": B, "S": S})


def padding_cases():
    return [Call((np.array(lengths), S), shown={"lengths": lengths, "S": S}) for lengths, S in
            (([3, 1], 4), ([0, 2, 2], 2), ([5], 5), ([1, 2, 3, 4], 4), ([0], 3), ([2, 2], 7))]


def exercises(constants):
    return [
        build.forward(dropout, ("y",), dropout_forward, level=1, minutes=15, notebook="10_dropout",
                      task="Write the forward of dropout: while training, put a random share of x to zero, and divide what is "
                           "kept by 1 - rate. rng is a numpy.random.Generator, or None once training is over; if it is None, or "
                           "if rate is 0, y is x. So that your numbers can be compared, draw exactly so: rng.random(x.shape, "
                           "dtype=np.float32), once, and keep an entry where its number is at least rate (>=). Return y (and a "
                           "cache, if you like: it is not looked at).",
                      mistakes=of_dropout.FORWARD,
                      probes=(Probe("not_from_rng", probes.uses_the_generator),
                              Probe("other_share_dropped", probes.drops_the_share),
                              Probe("mean_not_kept", probes.keeps_the_mean)),
                      hints=("Two cases come first: rng is None, and rate is 0. Nothing is dropped then.",
                             "keep is an array of booleans, shaped like x: which numbers of rng.random are at least rate?",
                             "A boolean times a number is the number or 0. Do not forget to divide by 1 - rate.",
                             "keep = rng.random(x.shape, dtype=np.float32) >= rate; y = x * keep / (1 - rate)")),
        build.backward(dropout, ("dx",), dropout_backward, level=1, minutes=10, notebook="10_dropout", cases=dropout_cases,
                       task="Write the backward of dropout, y = x * keep * scale. The cache is (keep, scale): keep booleans "
                            "shaped like x, True where x was kept, and scale = 1 / (1 - rate). If nothing was dropped, because "
                            "training is over or rate was 0, keep is None and y = x. Return dx, shaped like dy.",
                       mistakes=of_dropout.BACKWARD,
                       hints=("keep and scale do not depend on x: they are constants, and y_i depends on x_i alone.",
                              "The derivative of y_i by x_i is keep_i scale. What does the chain rule make of it?",
                              "dx = dy * keep * scale, and dx = dy where keep is None.")),
        build.forward(rotary, ("y",), rotary_forward, level=2, minutes=30, notebook="20_after_gpt2", cases=unscaled,
                      own=build.twins(rotary, "forward", "turned", "table", "frequencies"),
                      task="Write the forward of rotary positions. x is (..., T, D) with D even; the first token stands at "
                           "position offset. Channel i and channel i + D/2 (i = 0 ... D/2 - 1) are a pair, turned as a point of "
                           "the plane by the angle t * base^(-2i / D), in radians, with t the token's position. Return y, shaped "
                           "like x (and a cache, if you like: it is not looked at). scaling is always None here.",
                      mistakes=of_rotary.ROTARY_FORWARD,
                      probes=(Probe("length_changed", probes.keeps_lengths),
                              Probe("not_relative", probes.depends_on_distance_alone),
                              Probe("turned_at_position_zero", probes.stays_at_position_zero)),
                      hints=("Begin with the angles: a row for each token, a column for each pair, (T, D/2).",
                             "t = offset + np.arange(T), w = base ** (-2 * np.arange(D // 2) / D), angle = t[:, None] * w.",
                             "A point (a, b) turned by an angle is (a cos - b sin, a sin + b cos). a is the first half of the "
                             "channels, b the second.",
                             "np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)")),
        build.backward(rotary, ("dx",), rotary_backward, level=1, minutes=15, notebook="20_after_gpt2", cases=rotary_cases,
                       own=build.twins(rotary, "backward", "turned", "table", "frequencies"),
                       task="Write the backward of rotary positions, which turn channel i and channel i + D/2 (i = 0 ... D/2 - "
                            "1) as a pair: y_i = x_i cos - x_(i+D/2) sin and y_(i+D/2) = x_i sin + x_(i+D/2) cos. The cache is "
                            "(cos, sin), both (T, D/2): row t for token t, column i for pair i; the offset is in them. dy is "
                            "(..., T, D). Return dx, shaped like dy.",
                       mistakes=of_rotary.ROTARY_BACKWARD,
                       hints=("x_i occurs in both lines: which factor does it have in y_i, and which in y_(i+D/2)?",
                              "dx_i = dy_i cos + dy_(i+D/2) sin. Do the same for x_(i+D/2).",
                              "The way back is the same rotation by the opposite angle: the sine changes its sign, the cosine "
                              "does not.",
                              "np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=-1), with a and b the two halves of "
                              "dy.")),
        build.forward(masks, ("mask",), causal_arguments, name="causal", level=1, minutes=15, notebook="08_masks",
                      cases=causal_cases,
                      task="Write the causal mask: an array of booleans (T, S), True where query i may attend to key j. The T "
                           "queries are the last T of S positions (the keys before them came from a cache), so query i stands at "
                           "i + S - T, and it sees all keys up to its own place, that one included. S is at least T; if it is "
                           "left out, it is T.",
                      mistakes=of_masks.CAUSAL,
                      probes=(Probe("future_leak", probes.no_leak), Probe("past_unseen", probes.sees_itself)),
                      hints=("With S = T it is a lower triangle of True, the diagonal included.",
                             "With T = 1 and S = 5 the one query is the last of five positions and sees all of them.",
                             "Compare the keys' numbers, a row, with the queries' places, a column: broadcasting makes the (T, "
                             "S).",
                             "np.arange(S)[None, :] <= np.arange(T)[:, None] + S - T")),
        build.forward(masks, ("mask",), padding_arguments, name="padding", level=1, minutes=10, notebook="08_masks",
                      cases=padding_cases,
                      task="Write the padding mask. lengths holds B whole numbers, a list or an array; S is the number of keys. "
                           "The keys of sequence b behind its first lengths[b] are filling, which nobody may see. Return "
                           "booleans (B, 1, 1, S), True at the keys that may be seen: so the mask broadcasts to attention's "
                           "scores (B, H, T, S).",
                      mistakes=of_masks.PADDING, probes=(Probe("padding_seen", probes.padding_unseen),),
                      hints=("For one sequence of length n: which of the keys 0 ... S - 1 are seen? A comparison says it.",
                             "np.arange(S) against lengths: make lengths a column, and broadcasting gives (B, S).",
                             "Two axes of size 1 are missing, one for the heads and one for the queries: index with None.",
                             "(np.arange(S)[None, :] < np.asarray(lengths)[:, None])[:, None, None, :]")),
    ]

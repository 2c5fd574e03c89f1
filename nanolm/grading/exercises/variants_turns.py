"""Variants of dropout and of rotary positions: dropout that shares its scale with evaluation, rotary that turns some channels."""
from nanolm.grading.exercises import build
from nanolm.grading.exercises.variant import backward_call, forward_call, friends, numbers, variant
from nanolm.grading.mistakes import variants_turns as of


def split_dropout(b):
    forward, backward, backward_mistakes, forward_mistakes = of.split_dropout(b)

    def arguments(draw):
        x = build.as_it_may_lie(draw, draw.array(*build.axes_before(draw), draw.whole(1, 8)))
        rng = draw.generator() if draw.choice(True, True, False) else None
        return (x, draw.share(0.5, 0.1, 0.3, 0.8), rng), build.token_sizes(x)

    def inputs(draw):
        args, sizes = arguments(draw)
        call = backward_call(forward, draw, *args, sizes=sizes)
        keep, rate = call.args[1]
        call.shown = {**({} if keep is None else {"keep": keep}), "rate": rate, "dy": call.args[0]}
        return call

    def forward_inputs(draw):
        args, sizes = arguments(draw)
        return forward_call(forward, *args, sizes=sizes)

    rest = f"{1 - b:.3g}"
    return [
        variant("split_dropout.forward", "def forward(x, rate, "
                                         "rng):", "Return y, shaped like x. A cache may come with it: (y, cache).",
                ("y",), "Your variant of dropout shares its scale between training and evaluation. While training, rng is a "
                        f"numpy.random.Generator, and y = x * keep * (1 - rate)^-{b}; in evaluation rng is None, and y = x * (1 "
                        f"- rate)^{rest}, so that the mean is the same in both. So that your numbers can be compared, draw "
                        "exactly so: rng.random(x.shape, dtype=np.float32), once, and keep an entry where its number is at "
                        "least rate (>=). rate lies between 0 and 1. Return y (and a cache, if you like: it is not looked at).",
                forward, forward_inputs, minutes=15, notebook="10_dropout", mistakes=forward_mistakes,
                others=friends(lambda *own: of.split_dropout(*own)[0], "the exponent {}", split=b),
                hints=("Two branches: rng is None, or it is not.",
                       f"(1 - rate) ** -{b} is above 1, (1 - rate) ** {rest} below: the first lifts what was kept, the second "
                       "lowers all.",
                       f"keep = rng.random(x.shape, dtype=np.float32) >= rate; y = x * keep * (1 - rate) ** -{b}.")),
        variant("split_dropout.backward", "def backward(dy, cache):", "Return dx, shaped like dy.", ("dx",),
                "Your variant of dropout shares its scale between training and evaluation. While training y = x * keep * (1 - "
                f"rate)^-{b}, in evaluation y = x * (1 - rate)^{rest}. The cache is (keep, rate): keep booleans shaped like x, "
                "True where x was kept, and None in evaluation; rate a number between 0 and 1. Write the backward.",
                backward, inputs, minutes=10, notebook="10_dropout", mistakes=backward_mistakes,
                others=friends(lambda *own: of.split_dropout(*own)[1], "the exponent {}", split=b),
                hints=("keep and rate do not depend on x: they are constants.", "y_i depends on x_i alone, in both branches.",
                       f"dx = dy * keep * (1 - rate) ** -{b}, or dy * (1 - rate) ** {rest} where keep is None.")),
    ]


def partial_rotary(n, base):
    forward, backward, backward_mistakes, forward_mistakes = of.partial_rotary(n, base)

    def tokens(draw):
        T, D = draw.whole(2, 6), 2 * n + 2 * draw.whole(0, 3)
        axes = draw.choice((), (draw.whole(1, 3),), (draw.whole(1, 2), draw.whole(1, 3)))
        return build.as_it_may_lie(draw, draw.array(*axes, T, D)), {"T": T, "D": D}

    def inputs(draw):
        x, sizes = tokens(draw)
        call = backward_call(forward, draw, x, offset=draw.choice(0, 1, 5), sizes=sizes)
        return build.opened(call, "cos", "sin")

    def forward_inputs(draw):
        x, sizes = tokens(draw)
        return forward_call(forward, x, sizes=sizes, **draw.choice({}, {"offset": draw.whole(1, 40)}))

    pairs = (f"the first {2 * n} channels are turned in pairs, channel i with channel i + {n} (i = 0 ... {n - 1}): y_i = x_i cos "
             f"- x_(i+{n}) sin and y_(i+{n}) = x_i sin + x_(i+{n}) cos; the channels from {2 * n} on pass as they are")
    return [
        variant("partial_rotary.forward", "def forward(x, "
                                          "offset=0):", "Return y, shaped like x. A cache may come with it: (y, cache).",
                ("y",), f"Your variant of rotary positions turns some channels only: {pairs}. The angle of pair i at position t "
                        f"is t * {base}^(-i / {n}), in radians; the first token stands at position offset. x is (..., T, D), D "
                        f"at least {2 * n}. Write the forward. Return y (and a cache, if you like: it is not looked at).",
                forward, forward_inputs, minutes=30, notebook="20_after_gpt2", mistakes=forward_mistakes,
                others=friends(lambda *own: of.partial_rotary(*own)[0], "{} pairs and the base {}", pairs=n, base=base),
                hints=(f"Cut x in two first: x[..., :{2 * n}] and x[..., {2 * n}:].",
                       f"The angles are a table (T, {n}): (offset + np.arange(T))[:, None] * {base} ** (-np.arange({n}) / {n}).",
                       f"a is x[..., :{n}], b is x[..., {n}:{2 * n}]: a * cos - b * sin, a * sin + b * cos, and the rest behind "
                       "them.")),
        variant("partial_rotary.backward", "def backward(dy, cache):", "Return dx, shaped like dy.", ("dx",),
                f"Your variant of rotary positions turns some channels only: {pairs}. The cache is (cos, sin), both (T, {n}): "
                f"row t for token t, column i for pair i; the offset is in them. dy is (..., T, D), D at least {2 * n}. Write "
                "the backward.",
                backward, inputs, minutes=20, notebook="20_after_gpt2", mistakes=backward_mistakes,
                others=friends(lambda n: of.partial_rotary(n, base)[1], "{} pairs", pairs=n),
                hints=("Turning by an angle is undone by turning by minus the angle.", "cos stays and sin changes its sign.",
                       f"a is dy[..., :{n}], b is dy[..., {n}:{2 * n}]: a * cos + b * sin, -a * sin + b * cos, and the rest as "
                       "it came.")),
    ]


def exercises(constants):
    own = numbers(constants)
    return [*split_dropout(own["split"]), *partial_rotary(own["pairs"], own["base"])]

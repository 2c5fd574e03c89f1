"""Exercises on what stands around an optimizer: the length of the gradient, the limit on it, and the learning rate's schedule."""
import math

import numpy as np

from nanolm.grading.exercise import Call, Exercise, library
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import clipping as of_clipping, schedules as of_schedules
from nanolm.training import clipping, schedules


def gradients(draw):
    """Return one to four gradients, of one size from 1e-6 to 1e3; now and then one array under two names: a tied matrix."""
    size, shape = draw.choice(1.0, 1.0, 1e3, 1e-6), (draw.whole(1, 4), draw.whole(1, 3))
    grads = {"wte.weight": size * draw.array(*shape)}
    if draw.choice(False, False, True):
        grads["lm_head.weight"] = grads["wte.weight"]
    for name in ("h.0.weight", "ln_f.bias")[:draw.whole(0, 2)]:
        grads[name] = build.as_it_may_lie(draw, size * draw.choice(1.0, 0.1) * draw.array(*(shape if "h" in name else shape[1:])))
    return grads


def call(grads, max_norm=None):
    """Return the Call. What is one array under two names is said so."""
    first = {id(g): name for name, g in reversed(grads.items())}
    shown = {f'grads["{name}"]': g if first[id(g)] == name else f'the same array as grads["{first[id(g)]}"]' for name,
             g in grads.items()}
    sizes = {"n": len(grads), "N": sum(g.size for g in grads.values())}
    limit = () if max_norm is None else (max_norm,)
    return Call((grads, *limit), {}, {**shown, **({"max_norm": max_norm} if limit else {})}, sizes)


def clip_arguments(draw):
    grads = gradients(draw)
    norm = clipping.global_norm(grads)
    return call(grads, draw.choice(0.5, 0.1, 2.0, 10.0) * (norm or 1.0))


def clip_cases():
    def three():
        return {"a": np.array([[3.0, 0.0]]), "b": np.array([4.0]), "c": np.array([12.0, 0.0, 0.0])}
    tied, ones = np.array([3.0, 4.0]), np.ones((2, 2))
    return [call(three(), 1.3), call(three(), 13.0), call(three(), 20.0), call(three(), 5.0), call(three(), math.inf),
            call({"wte.weight": tied, "lm_head.weight": tied}, 1.0), call({"wte.weight": tied, "lm_head.weight": tied}, 6.0),
            call({"h.0.weight": ones, "h.1.weight": ones.copy()}, 1.0), call({"w": np.zeros(3)}, 1.0),
            call({"a": np.array([1.0, np.inf]), "b": np.array([100.0])}, 1.0),
            call({"a": np.array([1.0, np.nan]), "b": np.array([100.0])}, 1.0)]


def norm_cases():
    return [call(grads) for grads in (one.args[0] for one in clip_cases()) if all(np.isfinite(g).all() for g in grads.values())]


def cosine_call(step, peak, total, **kwargs):
    return Call((step, peak, total), kwargs, {"step": step, "peak": peak, "total": total, **kwargs},
                {"total": total, "warmup": kwargs.get("warmup", 0)})


def cosine_arguments(draw):
    warmup, peak = draw.choice(0, draw.whole(1, 10), draw.whole(1, 10)), draw.share(1.0, 0.5, 3e-4)
    total = warmup + draw.whole(1, 30)
    kwargs = {**({"warmup": warmup} if warmup else {}), **draw.choice({}, {"final": 0.1 * peak}, {"final": 0.25 * peak})}
    return cosine_call(draw.whole(0, total + 5), peak, total, **kwargs)


def cosine_cases():
    return [cosine_call(step, 1.0, 14, warmup=2, final=0.2) for step in (0, 1, 2, 3, 8, 13, 14, 20)] + \
        [cosine_call(0, 1.0, 10), cosine_call(5, 1.0, 10), cosine_call(10, 1.0, 10, final=0.5)]


def exercise(module, name, outputs, task, inputs, cases, **more):
    """Return the Exercise of writing module.name, a function of the training."""
    signature, docstring = library(module, name)
    short = module.__name__.rsplit(".", 1)[-1]
    own = build.twins(module, name) + build.twins(clipping, "global_norm") * (module is clipping)
    return Exercise(f"{short}.{name}", "optimizer", task, outputs, build.own(module, name), inputs, cases=cases,
                    signature=signature,
                    docstring=docstring, **{"own": own, "imports": "import math\n\nimport numpy as "
                                                                   "np", "notebook": "13_optimizers",
                                            **more})


LENGTH = ("grads is a flat dict {name: array}. A tied matrix is one array under two names: the very same array (the same id), "
          "and it counts once. ")


def exercises(constants):
    return [
        exercise(clipping, "global_norm", ("norm",), "Write the length of all gradients taken together as one long vector: the "
                 "root of the sum of all squares, over all arrays. " + LENGTH + "Return a number.",
                 lambda draw: call(gradients(draw)), norm_cases, level=1, minutes=10, mistakes=of_clipping.NORM,
                 hints=("The square of the length of a long vector is the sum of the squares of the lengths of its parts.",
                        "One root, at the very end.",
                        "{id(g): g for g in grads.values()}.values() gives each array once.",
                        "math.sqrt(sum(float((g * g).sum()) for g in ...))")),
        exercise(clipping, "clip", ("norm", "grads"), "Write clipping by global norm: if the length of all gradients taken "
                 "together as one vector is above max_norm, multiply all of them, in place, by max_norm / norm; otherwise leave "
                 "them alone. Change the arrays themselves, because others hold them: g *= ... or grads[name][...] = ..., not "
                 "grads[name] = .... " + LENGTH + "Return the norm that they had before. If it is NaN or infinite, return it and "
                 "leave grads as they are. max_norm is positive.",
                 clip_arguments, clip_cases, changes=("grads",), held=("grads",),
                 own=build.twins(clipping, "clip", "global_norm", "shorten"),
                 level=2, minutes=20, mistakes=of_clipping.CLIP,
                 hints=("First the norm, of everything together; then one factor, for everything.",
                        "Two regimes: above max_norm and not. Gradients that are short enough stay as they are.",
                        "One array may stand under two names. Go through {id(g): g for g in grads.values()}.values(), both "
                        "times.",
                        "if math.isfinite(norm) and norm > max_norm: g *= max_norm / norm for each; return norm.")),
        exercise(schedules, "cosine", ("lr",), "Write the learning rate at a step: a warm-up in a straight line, then half a "
                 "cosine. step counts from 0. For step < warmup it is peak (step + 1) / warmup. After that u = (step - warmup) / "
                 "(total - warmup), but never more than 1, and the rate is final + (peak - final) (1 + cos(pi u)) / 2. total is "
                 "larger than warmup. Return a number.",
                 cosine_arguments, cosine_cases, imports="import math", own=build.twins(schedules, "cosine", "linear",
                                                                                        "progress"),
                 level=1, minutes=10, mistakes=of_schedules.COSINE,
                 hints=("Two branches: before warmup, and from warmup on.",
                        "u is the share of the steps after the warm-up that is done: 0 at step warmup, 1 at step total.",
                        "After step total the rate stays at final: min(1.0, u). The cosine takes radians.",
                        "final + (peak - final) * (1 + math.cos(math.pi * u)) / 2")),
    ]

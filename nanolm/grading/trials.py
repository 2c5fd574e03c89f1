"""Trials: the student's function called with many arguments, each answer held beside the right one.

First the ready-made cases of the exercise (edge cases: square, one token, far out, a row that may attend to nothing), then
arguments drawn at random. Everything is computed on the plain NumPy layers; were one of their functions replaced (by
gradcheck.swap, say), the right answer would be the student's own, so that is refused.

Tested    tests/grading/test_grader.py.
"""
import importlib
import pkgutil
from dataclasses import dataclass, field

import numpy as np

import nanolm.layers
from nanolm import kernels
from nanolm.gradcheck import snapshots
from nanolm.grading import answers, compare, draws

DRAWN = 24


@dataclass
class Trial:
    """One call: what came, what should have come, and how the two differ."""
    call: object
    answer: object
    expected: object
    differences: list = field(default_factory=list)

    @property
    def right(self):
        return not self.differences and not self.answer.trouble


def run(exercise, function, seed=0, drawn=DRAWN, seconds=answers.SECONDS):
    """Yield a Trial for each case of the exercise and for `drawn` random calls."""
    for call in calls(exercise, seed, drawn):
        yield attempt(exercise, function, call, seconds)


def calls(exercise, seed=0, drawn=DRAWN):
    """Yield the Calls: the cases, and between them, so that a plain mistake shows early, the drawn ones."""
    rng = np.random.default_rng(seed)
    cases = list(exercise.cases())
    for _ in range(3):
        yield exercise.inputs(draws.Random(rng))
    yield from cases
    for _ in range(drawn - 3):
        yield exercise.inputs(draws.Random(rng))


def attempt(exercise, function, call, seconds=answers.SECONDS, inside=False):
    """Return the Trial of one call. `function` may be a callable or a player with a method ask (classroom/player.py)."""
    expected = right(exercise, call)
    own = (*exercise.own, exercise.reference)
    if hasattr(function, "ask"):
        function.own, function.back = own, bool(exercise.changes)
        answer = function.ask(call, seconds)
    else:
        answer = answers.ask(function, call, own, seconds, inside)
    if exercise.changes:
        in_place(exercise, call, answer)
    trial = Trial(call, answer, expected)
    if not answer.trouble:
        trial.differences = compare.differences(given(exercise, answer), expected, exercise.outputs)
    return trial


def in_place(exercise, call, answer):
    """Look at the answer of a function that works in place: it may return None, and what it wrote to has our own names."""
    if answer.trouble == "nothing":
        answer.trouble = answer.sentence = ""
    names = answers.parameters(exercise.reference)
    answer.changed = tuple(name for name, old, new in zip(names, call.args, answer.args) if not snapshots.same(old, new))
    answer.replaced = tuple((names[i], key) for i, key in answer.replaced if i < len(names))


def right(exercise, call):
    """Return the right answer, in the form that compare takes."""
    args, kwargs = answers.copied(call.args), answers.copied(call.kwargs)
    with np.errstate(all="ignore"):
        value = exercise.reference(*args, **kwargs)
    return changed_arguments(exercise, value, args, kwargs) if exercise.changes else value


def given(exercise, answer):
    """Return what the student gave: the value, or for an optimizer what it made of its arguments."""
    if exercise.changes:
        return changed_arguments(exercise, answer.value, answer.args, answer.kwargs)
    return first_of_pair(exercise, answer.value)


def first_of_pair(exercise, value):
    """Return y of (y, cache): whoever writes a forward may keep a cache or not."""
    forward = exercise.kind == "forward" or exercise.kind == "variant" and exercise.name.endswith(".forward")
    if forward and len(exercise.outputs) == 1 and isinstance(value, tuple) and len(value) == 2:
        return value[0]
    return value


def changed_arguments(exercise, value, args, kwargs):
    """Return the outputs of a function that works in place: its value first, if it is asked for, then the arguments."""
    positions = {name: i for i, name in enumerate(exercise.changes) if name}
    kept = [args[i] for name, i in positions.items()]
    return tuple([value, *kept] if len(exercise.outputs) > len(kept) else kept)


def must_be_ours():
    """Raise RuntimeError if a function of a plain layer has been replaced: the right answer would not be ours."""
    for info in pkgutil.iter_modules(nanolm.layers.__path__):
        module = importlib.import_module(f"nanolm.layers.{info.name}")
        for name in ("forward", "backward"):
            if hasattr(module, name) and not kernels.stands_in(module, name, module.__name__):
                raise RuntimeError(f"nanolm.layers.{info.name}.{name} is not nanolm's own at present, so nothing can be graded "
                                   f"by it. Leave the `with gradcheck.swap(...)`, or start Python anew.")

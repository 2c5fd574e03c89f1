"""Which of a student's own numbers stand in the place of a wrong step? Those that are right once the truth is put there.

The student's code runs again, with the true gradient in the place of one result after the other (watching.py). If outputs
that were wrong turn right, the place is found, and proved. In the same way a result is shown to be of no use: other numbers
in its place change nothing.

Tested    tests/grading/test_inside.py.
"""
from dataclasses import replace

import numpy as np

from nanolm.grading import compare, holding, watching

PLACES = 25                                         # so many are tried


def find_place(exercise, function, where, one):
    """Find what stands in the place of a wrong step: one.thing, one.healed, one.instead. where: the inside.Looked of a trial."""
    trial, things = where.trial, where.notes.things
    above = [other for other in where.seen if other.step.name in one.after and other.thing is not None]
    doubled, _ = watching.watch(function, (2 * trial.call.args[0], *trial.call.args[1:]), trial.call.kwargs)
    right = [other.truth for other in where.seen if other.thing is not None]
    made = [part for thing, twice in zip(things, doubled.things) if thing.numbers and doubles(thing, twice)
            for part in parts(thing, one.truth)]
    after = max((other.thing.time for other in above), default=0)
    own = [thing for thing in made if thing.time >= after and not any(holding.holds(thing.arrays, truth) for truth in right)]
    heal(exercise, function, trial, own, one)
    if not one.healed:                              # is a step left out, so that what is above stands in its place?
        for other in above:
            heal(exercise, function, trial, [thing for thing in made if holding.holds(thing.arrays, other.truth)], one)
            one.instead = other if one.healed and one.instead is None else one.instead
    if not one.healed:
        names = {plain_name(name) for name in (one.step.name, *one.step.called)}
        one.thing = next((thing for thing in own if plain_name(thing.name) in names), None)


def heal(exercise, function, trial, things, one):
    """Put the truth in the place of one thing after the other; keep the one with which most outputs turn right."""
    wrong = {difference.output for difference in trial.differences}
    for thing in things[:PLACES]:
        for pieces in layouts(thing, one.truth):
            changed = dict(zip(thing.numbers, pieces))
            _, value = watching.watch(function, trial.call.args, trial.call.kwargs, changed, variables=False)
            still = {difference.output for difference in compare.differences(value, trial.expected, exercise.outputs)}
            if still < wrong and len(wrong - still) > len(one.healed):
                one.thing, one.healed = thing, tuple(d.output for d in trial.differences if d.output not in still)


def of_use(function, trial, value, thing):
    """Return whether other numbers in the place of a thing change what the function returns."""
    if not thing.numbers:                           # a variable's name for what was made elsewhere: not known
        return False
    _, other = watching.watch(function, trial.call.args, trial.call.kwargs,
                              {number: np.zeros_like(a) for number, a in zip(thing.numbers, thing.arrays)}, variables=False)
    return not same(value, other)


def same(a, b):
    """Return whether two nests of tuples, lists, dicts and arrays are the same."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return isinstance(b, (tuple, list)) and len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b, equal_nan=isinstance(a, np.ndarray) and a.dtype.kind == "f") if b is not None else a is None


def doubles(thing, twice):
    """Return whether a thing doubles when dy does: then it is a gradient, and no value of forward."""
    return len(thing.arrays) == len(twice.arrays) and all(holding.near(2 * a, b) for a, b in zip(thing.arrays, twice.arrays))


def plain_name(name):
    return name.lower().replace("_", "")


def parts(thing, truth):
    """Return what of a thing is as many numbers as the truth: [thing], or the arrays of a loop one by one; [] if nothing is."""
    if len({a.shape for a in thing.arrays}) == 1 and sum(a.size for a in thing.arrays) == truth.size:
        return [thing]
    return [replace(thing, time=number, arrays=[a], numbers=[number]) for a, number in zip(thing.arrays, thing.numbers)] \
        if {a.size for a in thing.arrays} == {truth.size} else []


def layouts(thing, truth):
    """Return the truth in the shapes in which a thing may hold it, each (n, *shape) for the n arrays of the thing."""
    n, shape = len(thing.arrays), thing.arrays[0].shape
    if n == 1:                                      # as it is, the heads' axis moved, the matrix turned
        turns = [truth, *(truth.swapaxes(*pair) for pair in ((1, 2),) * (truth.ndim == 4) + ((-1, -2),) * (truth.ndim > 1))]
        fitting = [turn for turn in turns if turn.shape == shape]
    else:                                           # a loop along one of the axes
        fitting = [turn for turn in (np.moveaxis(truth, i, 0) for i in range(truth.ndim)) if turn.shape == (n, *shape)]
    return [np.ascontiguousarray(turn).reshape(n, *shape) for turn in fitting or [truth]]

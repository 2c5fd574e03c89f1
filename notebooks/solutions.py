"""The right answer to an exercise, as a function that may stand in a student's cell.

    backward = solution("layernorm.backward")

It is the library's own function, or the one that the grader compares with, in a copy: the grader puts the function itself
out of reach while an answer runs, and knows it by its code under whatever name. run.py --solved writes this call into the gap
of each exercise, and every exercise must then score full marks.

Tested    tests/test_solutions.py.
"""
import inspect
import types

import numpy as np

from nanolm import gradcheck
from nanolm.grading import exercises


def solution(name, student=None):
    """Return a right answer to the exercise `name`. Raises ValueError if there is no such exercise.

    student: whose constants the variants have; None: the example's, as in grade.
    """
    exercise = exercises.find(name, student)
    if exercise.kind == "bug":
        right = {part: one[0] if isinstance(one, tuple) else one for part, one in exercise.reference().items()}
        return lambda: dict(right)
    if exercise.kind == "checker":
        return is_right
    called = exercise.signature.removeprefix("def ").partition("(")[0]
    own = [inspect.unwrap(one) for one in exercise.own]
    function = copied(next((one for one in own if one.__name__ == called), exercise.reference), own)
    return (lambda *args: function(*args, dtype=np.float64)) if name == "positions.sinusoidal" else function


def copied(function, own):
    """Return a copy of a function, which calls copies of those of its own module that are out of reach too."""
    names = dict(function.__globals__)
    def copy(one):
        new = types.FunctionType(one.__code__.replace(), names, one.__name__, one.__defaults__, one.__closure__)
        new.__kwdefaults__ = one.__kwdefaults__
        return new
    names.update({one.__name__: copy(one) for one in own if one.__globals__ is function.__globals__})
    return copy(function)


def is_right(forward, backward, args):
    """Return whether backward is the derivative of forward: the library's own checker."""
    return gradcheck.check(gradcheck.pair(forward, backward), *args, float32=False).passed

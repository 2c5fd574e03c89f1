"""A forward and a backward of one's own, together: which of the two is wrong?

    grade_pair("layernorm", forward, backward)

A gradient check of the two says only whether they fit each other. So three questions are asked, each on the ready-made
cases of the layer:

    1  is forward right?         its y beside the library's
    2  do they fit?              backward beside the numerical derivative of this very forward (gradcheck)
    3  is backward right?        what it returned beside the library's gradients

    forward right, they fit                     both are right
    forward right, they do not fit              backward is wrong; with the library's cache layout it can be graded alone
    forward wrong, they fit                     forward is wrong; backward is its true derivative, so leave it as it is
    forward wrong, they do not fit              mend forward first

Tested    tests/grading/test_pair.py.
"""
from dataclasses import dataclass, field

import numpy as np

from nanolm import kernels
from nanolm.gradcheck import cases
from nanolm.grading import answers, compare, trials
from nanolm.grading.exercise import Call

SAYS = {(True, True): "Both are right.",
        (True, False): "forward is right; backward is wrong.",
        (False, True): "forward is wrong. backward is the true derivative of this forward: mend forward, and backward line by "
                       "line with it.",
        (False, False): "forward is wrong, and backward is not its derivative. Mend forward first, for backward follows from it."}


@dataclass
class PairReport:
    """Print it, or ask .forward_right, .they_fit, .passed."""
    layer: str
    forward_right: bool
    they_fit: bool
    sentence: str                                   # on the first case in which forward or the fit is wrong
    tried: int
    notes: list = field(default_factory=list)

    @property
    def passed(self):
        return self.forward_right and self.they_fit

    def __bool__(self):
        return self.passed

    def __str__(self):
        lines = [f"{self.layer}, forward and backward: {SAYS[self.forward_right, self.they_fit]} ({self.tried} cases)"]
        return "\n".join(lines + ([self.sentence] if self.sentence else []) + self.notes)

    __repr__ = __str__


def grade_pair(layer, forward, backward, seconds=answers.SECONDS):
    """Return the PairReport on a forward and a backward of a layer of nanolm, given by name.

    backward gets whatever forward keeps. Raises ValueError if there are no cases for the layer, TypeError if one of the two is
    no function.
    """
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, but it is a {type(function).__name__}. Pass it without calling it.")
    with kernels.using("numpy"):
        trials.must_be_ours()
        todo = [case for case in cases.of(layer) if not case.of_model]
        if not todo:
            raise ValueError(f"{layer!r} is a model: grade its forward and its backward as exercises.")
        forward_right, they_fit, sentences = True, True, []
        for case in todo:
            said = forward_differs(case, forward, seconds)
            if said and forward_right:
                forward_right = False
                sentences.append(f"forward, {case.title}: {said}")
            fits = fitting(case, forward, backward)
            if fits and they_fit:
                they_fit = False
                sentences.append(f"backward beside forward, {case.title}: {fits}")
    return PairReport(layer, forward_right, they_fit, "\n".join(sentences), len(todo))


def forward_differs(case, forward, seconds):
    """Return a sentence if forward's y is not the library's in this case, "" if it is."""
    args, kwargs = answers.copied(case.args), answers.copied(case.kwargs)
    right = case.module().forward(*args, **kwargs)[0]
    answer = answers.ask(forward, Call(case.args, case.kwargs), (case.module().forward,), seconds)
    if answer.trouble:
        return answer.sentence
    value = answer.value[0] if isinstance(answer.value, tuple) and answer.value else answer.value
    found = compare.differences(value, np.asarray(right), ("y",))
    return found[0].sentence if found else ""


def fitting(case, forward, backward):
    """Return a sentence if backward is not the numerical derivative of this forward in this case, "" if it is."""
    try:
        report = case.run(forward, backward, float32=False)
    except Exception as error:                      # what a student's forward raises, in whatever gradcheck does with it
        return answers.short(error)
    if report.passed:
        return ""
    wrong = [gradient.name for gradient in report.gradients if not gradient.passed]
    return f"the gradient of {', '.join(wrong)} differs from its numerical derivative." if wrong else report.problems[0]

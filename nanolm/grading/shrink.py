"""The smallest arguments that show the mistake: found by hypothesis, in a second at most.

hypothesis draws arguments with few tokens, few channels and whole numbers, and makes them smaller as long as the answer
stays wrong in the same output and in the same way. What comes out can be checked with a pencil.

Tested    tests/grading/test_shrink.py, tests/grading/test_grader.py.
"""
import os
import random
import tempfile
import time

import numpy as np

from nanolm.grading import draws, trials

SECONDS = 0.7


class Enough(BaseException):
    """The time is up; the smallest so far is kept. No Exception: hypothesis would take that for a find, and shrink on."""


def smallest(exercise, function, found, seconds=SECONDS):
    """Return the Trial with the smallest arguments that fails as `found` does; found itself if none smaller is seen."""
    if not seconds:
        return found
    quiet_home()
    from hypothesis import HealthCheck, Phase, find, settings, strategies
    from hypothesis.errors import HypothesisException, NoSuchExample
    best, end = [found], time.monotonic() + seconds

    @strategies.composite
    def calls(draw):
        return exercise.inputs(draws.Small(draw))

    def fails(call):
        if time.monotonic() > end:
            raise Enough
        try:
            trial = trials.attempt(exercise, function, call, seconds=0.5)
        except (ValueError, ZeroDivisionError, FloatingPointError):                 # arguments that the library refuses
            return False
        if not alike(trial, found):
            return False
        if size(call) < size(best[0].call) or best[0] is found:
            best[0] = trial
        return True

    quiet = settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                     phases=(Phase.generate, Phase.shrink), derandomize=False)
    try:
        find(calls(), fails, settings=quiet, random=random.Random(0))
    except (Enough, NoSuchExample, HypothesisException):
        pass
    return best[0]


def quiet_home():
    """Let hypothesis keep its own files in the folder for temporary ones, not in the student's."""
    from hypothesis import configuration
    if "HYPOTHESIS_STORAGE_DIRECTORY" not in os.environ:
        configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "nanolm-hypothesis"))


def alike(trial, found):
    """Return whether a trial fails in the same way: the same error, or the same outputs wrong in the same manner."""
    if found.answer.trouble or trial.answer.trouble:
        return (trial.answer.trouble, trial.answer.error) == (found.answer.trouble, found.answer.error)
    return bool({(d.output, d.kind) for d in trial.differences} & {(d.output, d.kind) for d in found.differences})


def size(call):
    """Return how much there is to look at: numbers first, then how large they are."""
    arrays = [np.asarray(value, np.float64) for value in leaves(call.shown) if np.size(value) and is_number(value)]
    return sum(a.size for a in arrays), float(sum(np.abs(a).sum() for a in arrays))


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    return [tree]


def is_number(value):
    return isinstance(value, (int, float)) or isinstance(value, np.ndarray) and value.dtype.kind in "biuf"

"""The smallest arguments that show the mistake: found by hypothesis, in a second at most where nothing else runs.

hypothesis draws arguments with few tokens, few channels and whole numbers, and makes them smaller as long as the answer
stays wrong in the same output and in the same way. What comes out can be checked with a pencil.

The time is the processor's, so that a busy machine finds what an idle one finds; and a search that was cut short says so.

Tested    tests/grading/test_shrink.py, tests/grading/test_grader.py.
"""
import functools
import os
import random
import tempfile
import time

import numpy as np

from nanolm.grading import draws, trials

SECONDS = 0.7                                       # of processor time
PATIENCE = 7                                        # times as long by the clock on the wall: 5 seconds


class Enough(BaseException):
    """The time is up; the smallest so far is kept. No Exception: hypothesis would take that for a find, and shrink on."""


def smallest(exercise, function, found, seconds=SECONDS):
    """Return the Trial with the smallest arguments seen that fails as `found` does, and whether the search came to its end.

    seconds: of processor time, and PATIENCE times as many by the clock; 0: do not search.
    """
    if not seconds:
        return found, False
    warm()
    from hypothesis import find
    from hypothesis.errors import HypothesisException
    best = found
    end, latest = time.thread_time() + seconds, time.monotonic() + PATIENCE * seconds

    def fails(call):
        nonlocal best
        if time.thread_time() > end or time.monotonic() > latest:
            raise Enough
        try:
            trial = trials.attempt(exercise, function, call, seconds=0.5)
        except (ValueError, ZeroDivisionError, FloatingPointError):                 # arguments that the library refuses
            return False
        if not alike(trial, found):
            return False
        best = min(best, trial, key=lambda one: size(one.call))
        return True

    try:
        find(small(exercise.inputs), fails, settings=quiet(), random=random.Random(0))
    except (Enough, HypothesisException):           # NoSuchExample among them: none that small fails, so nothing was shrunk
        return best, False
    return best, True


def small(inputs):
    """Return the strategy of hypothesis that draws the small arguments of an exercise."""
    from hypothesis import strategies
    return strategies.composite(lambda draw: inputs(draws.Small(draw)))()


def quiet():
    """Return settings with which hypothesis keeps no examples, and does not complain of slow or rare ones."""
    from hypothesis import HealthCheck, Phase, settings
    return settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                    phases=(Phase.generate, Phase.shrink), derandomize=False)


@functools.cache
def warm():
    """Load hypothesis and let it shrink something, once: it builds tables then, which takes longer than the search itself."""
    quiet_home()
    from hypothesis import find

    def inputs(draw):
        return draw.array(draw.whole(1, 3)), draw.ids((2,), 5), draw.booleans(2), draw.number(), draw.choice(1.0, 2.0)
    find(small(inputs), lambda drawn: drawn[0].sum() > 1, settings=quiet(), random=random.Random(0))


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
    """Return how much there is to look at: numbers first, one that is not plain (2, -0.5) for four; then how large they are."""
    arrays = [np.asarray(value, np.float64) for value in leaves(call.shown) if np.size(value) and is_number(value)]
    return sum(a.size + 3 * int((2 * a != np.rint(2 * a)).sum()) for a in arrays), float(sum(np.abs(a).sum() for a in arrays))


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    return [tree]


def is_number(value):
    return isinstance(value, (int, float)) or isinstance(value, np.ndarray) and value.dtype.kind in "biuf"

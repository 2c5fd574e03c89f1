"""What the variants have in common: the student's numbers, and an exercise whose right answer is not in the library.

    numbers(constants)      all numbers of one student, by name; every range leaves out the library's own value
    friends(...)            the answers that are right with the numbers of others, so that a copied answer is named
    variant(...)            the Exercise; its forward makes the cache, its backward is proved by tests/grading/test_variants.py

A variant is written in mistakes/variants_*.py as functions of the student's numbers: forward, and backward with a switch
wherever people go wrong. Without switches they are the right answer.

Tested    tests/grading/test_variants.py.
"""
import inspect
import itertools

import numpy as np

from nanolm.grading.exercise import Call, Exercise, Mistake


RANGES = {                                          # name: (lowest, highest, step)
    "power": (1.6, 3.4, 0.01),                      # of power_norm; RMS norm has 1
    "eps_rate": (1.3, 2.9, 0.01),                   # of learned_eps
    "group": (3, 7, 1),                             # of group_rms; RMS norm has all channels in one group
    "tau": (1.3, 2.9, 0.01),                        # of tempered_softmax; softmax has 1
    "slope": (0.3, 0.8, 0.01),                      # of sloped_attention; attention has none
    "a": (1.15, 1.65, 0.01),                        # of gated_logistic; SiLU has 1, the usual approximation to GELU 1.702
    "smoothing": (0.12, 0.35, 0.01),                # of smoothed_loss; the usual value is 0.1
    "zeta": (0.02, 0.2, 0.01),                      # of smoothed_loss; the usual value is 1e-4
    "leak": (0.15, 0.6, 0.01),                      # of leaky_square; the usual value is 0.01
    "branch": (0.2, 0.8, 0.01),                     # of scaled_residual; a block has 1
    "split": (0.15, 0.42, 0.01),                    # of split_dropout; nanolm's dropout has 1, the paper's 0
    "pairs": (3, 5, 1),                             # of partial_rotary; rotary has D / 2
    "base": (20, 900, 10),                          # of partial_rotary; the usual value is 10000
}


def values(name):
    """Return all values that a number may have, of the many students together."""
    low, high, step = RANGES[name]
    return [round(low + i * step, 3) for i in range(round((high - low) / step) + 1)]


def numbers(constants):
    """Return {name: number} of a student."""
    return {name: values(name)[constants.whole(f"variant {name}", 0, len(values(name)) - 1)] for name in RANGES}


def friends(make, words, **own):
    """Return others() for an Exercise: the answers that are right with somebody else's numbers.

    make(*numbers) -> the answer with these numbers; words: "the power {}"; own: {name in RANGES: the student's number}.
    """
    mine = tuple(own.values())

    def others():
        for theirs in itertools.product(*map(values, own)):
            if theirs != mine:
                yield Mistake("another_number", f"It would be right with {words.format(*theirs)}, but your task has "
                              f"{words.format(*mine)}. The numbers are drawn anew for every student.", make(*theirs))
    return others


def variant(name, signature, docstring, outputs, task, reference, inputs, **more):
    """Return the Exercise. docstring says what comes back; the task says the formula, with the student's numbers.

    A forward may return y alone, or y and any cache.
    """
    if name.endswith(".forward"):
        function = reference

        def reference(*args, **kwargs):
            return function(*args, **kwargs)[0]
    return Exercise(name, "variant", task, outputs, reference, inputs, signature=signature, docstring=docstring,
                    **{"level": 2, **more})


def backward_call(forward, draw, *args, sizes=None, **kwargs):
    """Return the Call of backward after forward(*args, **kwargs), which returns y and the cache that the task describes."""
    y, cache = forward(*args, **kwargs)
    dy = draw.number() if np.ndim(y) == 0 else draw.upstream(*y.shape)
    return Call((dy, cache), shown={**shown(forward, args, kwargs), "dy" if np.ndim(y) else "dloss": dy}, sizes=sizes or {})


def forward_call(forward, *args, sizes=None, **kwargs):
    """Return the Call of forward(*args, **kwargs)."""
    return Call(args, kwargs, shown(forward, args, kwargs), sizes or {})


def shown(forward, args, kwargs):
    """Return {name: value} of forward's arguments, without those that are None and without generators, which show nothing."""
    given = {**dict(zip(inspect.signature(forward).parameters, args)), **kwargs}
    return {name: value for name, value in given.items() if value is not None and not isinstance(value, np.random.Generator)}

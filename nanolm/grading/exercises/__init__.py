"""All exercises, by name: find("layernorm.backward"), names(), hint(name, 1).

Each family is a file with a function exercises(constants) that returns a list; constants (students.py) is drawn from the
student's id and used by the variants and, for the order of their choices, by the bug hunts. For student=None find and hint
take the id in the nearest student.json (whose.py), or the example's constants if there is none.

Tested    tests/grading/test_catalogue.py, tests/grading/test_variants.py.
"""
from functools import lru_cache

from nanolm.grading import bugs, checkers, students, whose
from nanolm.grading.exercises import (attention, bends, bert_models, blocks, checking, clips, grouped, heads, lora, models,
                                      norms, optimizers, other_blocks, rows, scores, seq2seq_model, training, turns, variants,
                                      widths, zoo)

FAMILIES = (rows, bends, scores, norms, turns, lora, attention, heads, grouped, widths, blocks, other_blocks, models,
            optimizers, clips, training, bert_models, seq2seq_model, variants, checking, zoo)     # in reading order
GRADERS = {"bug": bugs.grade_bug, "checker": checkers.grade_checker}       # the kinds that are not called and compared


@lru_cache(maxsize=64)
def all_of(student=None):
    """Return {name: Exercise} with the constants of a student, or of the example for None."""
    constants = students.Constants(student)
    return {one.name: one for family in FAMILIES for one in family.exercises(constants)}


def names():
    """Return the names of all exercises, in reading order."""
    return list(all_of())


def find(name, student=None):
    """Return the Exercise of that name, with the constants of a student; None: of the one whose folder this is (whose.py).

    Raises ValueError, with names that are near, if there is none.
    """
    known = all_of(whose.student() if student is None else student)
    if name not in known:
        import difflib
        near = difflib.get_close_matches(str(name), known, 3, 0.4)
        raise ValueError(f"there is no exercise {name!r}. {'Do you mean ' + ' or '.join(near) + '? ' if near else ''}"
                         f"`nanolm exercises` lists all {len(known)}.")
    return known[name]


def hint(name, number=1, student=None):
    """Return the hint of that number, from 1. Raises ValueError if there are not so many."""
    hints = find(name, student).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"{name} has {len(hints)} hints, so number must lie between 1 and {len(hints)}, but it is {number}.")
    return f"Hint {number} of {len(hints)}: {hints[number - 1]}"

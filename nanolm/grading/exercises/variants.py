"""Variants: functions that are not in the library, with numbers drawn from the student's id.

Neither the source of nanolm's layers nor a friend's answer helps: a friend has other numbers, and that is a known mistake
of its own kind. What they have in common is in variant.py, the derivations are in mistakes/variants_*.py.

Tested    tests/grading/test_variants.py.
"""
from nanolm.grading.exercises import variants_bends, variants_norms, variants_scores, variants_turns


def exercises(constants):
    return [one for part in (variants_bends, variants_scores, variants_norms,
                             variants_turns) for one in part.exercises(constants)]

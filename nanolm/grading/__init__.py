"""grading: exercises, the known mistakes, and a grader that says what went wrong.

    grade("layernorm.backward", mine)       a Report: print it, or ask .passed, .score, .mistakes
    grade_pair("layernorm", forward, backward)     both of your own: which of the two is wrong?
    exercises.names()                       all exercises;  find(name).task says what to do, .stub() is where to begin
    hint("layernorm.backward", 1)           the first hint, and so on, as many as you ask for
    train_with(mine)                        a passed exercise: a small GPT-2 learns on your own code

Read exercise.py first (what an exercise is), then grader.py, trials.py, compare.py, diagnose.py and its three ways: the
mistakes/ that are known, terms.py, signatures.py. exercises/ holds one family a file.
"""
from nanolm.grading import exercises
from nanolm.grading.exercises import find, hint
from nanolm.grading.grader import grade
from nanolm.grading.pair import grade_pair
from nanolm.grading.report import Report
from nanolm.grading.training import train_with

__all__ = ["exercises", "find", "grade", "grade_pair", "hint", "Report", "train_with"]

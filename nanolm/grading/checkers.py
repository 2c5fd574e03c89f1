"""Grading a student's own gradient checker: how many wrong backwards does it catch, and does it leave the right ones alone?

    def check(forward, backward, args):
        ...
        return True         backward is right, or False

It passes if it catches all that are wrong and blames none that is right. The score is the share caught minus the share blamed.
What it missed is told as the lesson behind it: "a softmax whose backward returns zeros: draw dy at random".

Tested    tests/grading/test_checkers.py.
"""
import numpy as np

from nanolm.grading import answers, diagnose, pairs
from nanolm.grading.exercise import Call
from nanolm.grading.report import Report


def grade_checker(exercise, function, seed, seconds, shrinking):
    """Return the Report on a gradient checker."""
    report = Report(exercise.name, hint=exercise.hint_line())
    missed, blamed, asked = [], [], pairs.all_of(seed)
    for pair in asked:
        call = Call((pair.forward, pair.backward, pair.args))
        answer = function.ask(call, seconds) if hasattr(function, "ask") else answers.ask(function, call, (), seconds)
        report.tried += 1
        if answer.trouble in ("not written", "nothing", "endless", "ended", "own"):
            report.findings = [diagnose.of_trouble(answer, True)]
            return report
        if answer.trouble:                          # an error while checking is no verdict: a right one was not passed
            (blamed if pair.right else missed).append(f"{pair.lesson} (your checker stopped there: {answer.sentence})")
        elif not isinstance(answer.value, (bool, np.bool_)):
            report.findings = [diagnose.Finding("type", f"It must return True or False, but it returned "
                                                f"{diagnose.compare.described(answer.value)}.", "behaviour")]
            return report
        elif bool(answer.value) != pair.right:
            (blamed if pair.right else missed).append(pair.lesson)
    wrong = sum(not pair.right for pair in asked)
    right = len(asked) - wrong
    report.outputs = {"wrong ones caught": f"{wrong - len(missed)} of {wrong}",
                      "right ones left alone": f"{right - len(blamed)} of {right}"}
    report.findings = [diagnose.Finding("blamed", f"It blamed {lesson}.", "behaviour") for lesson in blamed[:3]]
    report.findings += [diagnose.Finding("missed", f"It accepted {lesson}.", "behaviour") for lesson in missed[:4]]
    report.passed = not missed and not blamed
    share = (wrong - len(missed)) / wrong - len(blamed) / right
    report.score = 1.0 if report.passed else max(0.0, 0.9 * share)
    return report

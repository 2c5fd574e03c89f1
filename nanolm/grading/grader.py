"""grade("layernorm.backward", mine): is it right, and if not, what went wrong?

    1  call it once: is it written, does it end, does it return what it should?
    2  call it with the ready-made cases and with random arguments, and compare every number   (trials.py)
    3  if it is wrong: name the mistake (diagnose.py), and find the smallest arguments that show it (shrink.py)
    4  say what costs nothing but is worth knowing: it prints, it widens float32

The score is 1 if all is right. If not, half of the share of the outputs that are right: with dweight and dbias right and
dx wrong 0.33; the entries of a dict of gradients count one by one. It is 0 if there is no answer, or if it raised an error
or was not the student's.

Tested    tests/grading/test_grader.py, and the catalogue of wrong answers: tests/grading/test_catalogue.py.
"""
import time
import weakref

import numpy as np

from nanolm import kernels
from nanolm.grading import answers, compare, diagnose, exercises, matching, shrink, summary, trials
from nanolm.grading.report import Report

MANY = 12                                           # wrong trials that are looked at: more would not say more
UNSTEADY = diagnose.Finding("differs_between_calls", "Called again with the same arguments, it returns something else. Does it "
                            "draw random numbers, or keep something between calls?", "behaviour")
PASSED = weakref.WeakKeyDictionary()                # {function: exercise name}, for train_with


KINDS = ("type", "missing", "extra", "precision")  # signatures that are names themselves


def grade(name, function, student=None, seed=0, seconds=answers.SECONDS, shrinking=shrink.SECONDS):
    """Return the Report on `function` as the answer to the exercise `name`; exercises.names() lists them.

    student     whose constants the variants have; None: of the nearest student.json (whose.py), or else the example's.
    seconds     how long one call may take.
    shrinking   how long to look for the smallest arguments that show a mistake, in seconds of processor time.

    Raises ValueError for an unknown exercise and TypeError if function cannot be called. Whatever the function does is
    part of the report. It runs in this process: grade strangers' code with `nanolm grade`.
    """
    exercise = exercises.find(name, student)
    if not callable(function) and not hasattr(function, "ask"):
        raise TypeError(f"the answer to {name} must be a function, but it is a {type(function).__name__}. "
                        f"Pass the function itself, without calling it: grade({name!r}, mine).")
    start = time.monotonic()
    with kernels.using("numpy"):
        trials.must_be_ours()
        report = exercises.GRADERS.get(exercise.kind, of_function)(exercise, function, seed, seconds, shrinking)
    report.seconds = time.monotonic() - start
    if report.passed and not hasattr(function, "ask"):
        remember(function, name)
    return report


def of_function(exercise, function, seed, seconds, shrinking):
    """Return the Report on a function that is called and compared: all kinds of exercise but two."""
    report = Report(exercise.name, hint=exercise.hint_line())
    tried, wrong, printed = [], 0, ""
    for trial in trials.run(exercise, function, seed, seconds=seconds):
        tried.append(trial)
        wrong += not trial.right
        printed = printed or trial.answer.printed
        if trial.answer.trouble in ("endless", "own", "not written", "nothing", "ended") or wrong >= MANY:
            break
    report.tried = len(tried)
    if printed:
        report.notes.append(f"it prints ({printed.strip()[:40]!r} ...). Take the print away before you hand it in.")
    report.outputs = {name: "right" for name in exercise.outputs}
    if not wrong:
        report.findings = manners(exercise, tried) or overwritten(exercise, tried) or twice(exercise, function, tried[0], seconds)
        report.passed = not report.findings
        report.score = 1.0 if report.passed else 0.5
        report.notes += in_float32(exercise, function, tried[0], seconds) if report.passed else []
        return report
    report.findings = diagnose.findings(exercise, function, tried)
    if report.findings and all(finding.way == "signature" for finding in report.findings):
        report.findings = (unsteady(exercise, function, next(trial for trial in tried if not trial.right), seconds)
                           or report.findings)
    if not report.written:
        report.notes.clear()
        report.outputs = {}
        return report
    troubled = [trial for trial in tried if trial.answer.trouble]
    whole = troubled or any(d.kind == "type" and ", " in d.output for trial in tried for d in trial.differences)
    report.outputs = summary.verdicts(exercise, tried, bool(whole))
    report.score = 0.0 if troubled else 0.5 * list(report.outputs.values()).count("right") / len(report.outputs)
    first = min((trial for trial in tried if not trial.right), key=lambda trial: shrink.size(trial.call))
    report.smallest = first
    if not troubled or first.answer.trouble == "raised":
        report.smallest, report.shrunk = shrink.smallest(exercise, function, first, shrinking)
    report.differences = report.smallest.differences
    report.inside = diagnose.inside_of(exercise, function, tried) if not troubled else []
    named = any(finding.way in ("the same output", "two at once") for finding in report.findings)
    report.findings += [] if troubled or named else diagnose.by_probes(exercise, function, seed)
    report.findings += manners(exercise, tried) if not troubled else []
    report.notes += [words for words in [summary.only_where(tried)] if words]
    if report.findings and all(f.way == "signature" and f.name not in KINDS for f in report.findings):
        report.notes.append("this mistake is not among those that are known by name; the above is what is seen of it.")
    return report


def manners(exercise, tried):
    """Return Findings for what is wrong although the numbers are right: arguments that were written to."""
    allowed = set(exercise.changes)
    changed = list(dict.fromkeys(name for trial in tried for name in trial.answer.changed
                                 if name.partition("[")[0] not in allowed))
    others = list(dict.fromkeys(f'{name}["{key}"]' for trial in tried for name, key in trial.answer.replaced
                                if name in exercise.held))
    if others:
        return [diagnose.Finding("arrays_replaced", f"A new array was put in the place of {others[0]}, and the old one did not "
                                 f"move. Others hold the old one, and whoever computes with it sees nothing of this. Write into "
                                 f"it: {others[0].partition('[')[0]}[name][...] = ..., or -= and *= on the array.", "behaviour")]
    if not changed:
        return []
    return [diagnose.Finding("changes_arguments", f"It writes to its arguments: {', '.join(changed)}. Others still need them (a "
                             f"second backward, the layer below): work on a copy, or write a = a + b in place of a += b.",
                             "behaviour")]


def overwritten(exercise, tried):
    """Return a Finding if what an earlier call returned has changed since: an array that is kept and used again."""
    if exercise.changes:
        return []
    for trial in tried[:6]:
        if compare.differences(trials.given(exercise, trial.answer), trial.expected, exercise.outputs):
            return [diagnose.Finding("buffer_used_again", "What it returned earlier has changed since: an array that is kept "
                                     "between calls is used again. Whoever still needs the earlier result finds another one in "
                                     "its place: make a new array in each call.", "behaviour")]
    return []


def twice(exercise, function, trial, seconds):
    """Return a Finding if a second call with the same arguments gives something else: a random number, a state that is kept."""
    for _ in range(2):
        again = trials.attempt(exercise, function, trial.call, seconds)
        if not again.right:
            return [UNSTEADY]
    return []


def unsteady(exercise, function, trial, seconds):
    """Return a Finding if two calls with the arguments of a wrong trial do not even give the same wrong numbers."""
    if any(difference.kind == "type" for difference in trial.differences):
        return []                                   # what cannot be compared does not differ
    one, other = (trials.attempt(exercise, function, trial.call, seconds).answer for _ in range(2))
    if one.trouble or other.trouble:
        return []
    return [] if matching.equal(matching.outputs_of(exercise, one), matching.outputs_of(exercise, other)) else [UNSTEADY]


def in_float32(exercise, function, trial, seconds):
    """Return a note if float32 arguments come back as float64: right numbers, at twice the memory."""
    if (hasattr(function, "ask") or exercise.kind not in ("backward", "forward", "variant")
            or not is_wide((trial.call.args, trial.call.kwargs))):
        return []
    call = type(trial.call)(narrow(trial.call.args), narrow(trial.call.kwargs))
    answer = answers.ask(function, call, seconds=seconds)
    if answer.trouble:
        return []
    wide = [name for name, a in compare.named(trials.given(exercise, answer), exercise.outputs).items()
            if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if not wide:
        return []
    return [f"with float32 arguments {', '.join(wide)} came back as float64: right, but twice the memory. np.zeros_like(x) and "
            f"Python's own numbers keep the dtype."]


def is_wide(tree):
    """Return whether there is an array of float64 in a nest of tuples, lists, dicts and arrays."""
    if isinstance(tree, (tuple, list, dict)):
        return any(map(is_wide, tree.values() if isinstance(tree, dict) else tree))
    return isinstance(tree, np.ndarray) and tree.dtype == np.float64


def narrow(tree):
    """Return a nest of tuples, lists, dicts and arrays with float32 in place of float64."""
    if isinstance(tree, np.ndarray):
        return tree.astype(np.float32) if tree.dtype == np.float64 else tree
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(narrow, tree))
    if isinstance(tree, dict):
        return {key: narrow(value) for key, value in tree.items()}
    return answers.copied(tree)


def remember(function, name):
    try:
        PASSED[function] = name
    except TypeError:                               # a callable that cannot be referred to weakly
        pass

"""The heart of the grader: every known mistake is rejected and named, every right answer passes, every stub is told."""
import importlib
from pathlib import Path

import numpy as np
import pytest
from collected import RIGHT, WRONG

from nanolm.grading import exercises, grade, trials

for file in sorted(Path(__file__).parent.glob("answers_*.py")):
    importlib.import_module(file.stem)

FUNCTIONS = [exercise for exercise in exercises.all_of().values() if exercise.kind not in exercises.GRADERS]
MISTAKES = [(exercise, mistake) for exercise in FUNCTIONS for mistake in exercise.mistakes]


@pytest.mark.parametrize("exercise, mistake", MISTAKES, ids=[f"{e.name}-{m.name}" for e, m in MISTAKES])
def test_a_known_mistake_is_rejected_and_named(exercise, mistake):
    report = grade(exercise.name, mistake.function, shrinking=0)
    assert not report.passed and report.score <= 0.5
    named = {name for finding in report.findings for name in (finding.name, *finding.also)}
    assert mistake.name in named, f"named {report.mistakes}\n{report}"
    assert str(report).isascii() and mistake.sentence[:20] in " ".join(str(report).split()) or len(named) > 1, str(report)


@pytest.mark.parametrize("name, function", RIGHT, ids=[f"{name}-{function.__name__}" for name, function in RIGHT])
def test_a_right_answer_is_never_blamed(name, function):
    exercise = exercises.find(name)
    report = grade(name, function)
    assert report.passed and report.score == 1, str(report)
    rng = np.random.default_rng(7)
    tried = list(trials.run(exercise, function, seed=int(rng.integers(1000)), drawn=200))
    assert all(trial.right for trial in tried), next(t for t in tried if not t.right).differences


@pytest.mark.parametrize("name", exercises.names())
def test_there_are_three_right_answers_and_some_wrong_ones(name):
    if exercises.find(name).kind in exercises.GRADERS:
        return
    assert sum(one == name for one, _ in RIGHT) >= 3
    assert len(exercises.find(name).mistakes) >= 3


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[e.name for e in FUNCTIONS])
def test_the_stub_is_not_written_yet(exercise):
    space = {}
    exec(compile(exercise.stub(), "stub", "exec"), space)
    name = exercise.signature.removeprefix("def ").partition("(")[0]
    report = grade(exercise.name, space[name])
    assert not report.passed and report.score == 0 and not report.written and "not written yet" in str(report)


@pytest.mark.parametrize("name, function, names", WRONG, ids=[f"{name}-{function.__name__}" for name, function, _ in WRONG])
def test_a_wrong_answer_in_another_style_is_rejected(name, function, names):
    report = grade(name, function, shrinking=0)
    assert not report.passed, "accepted"
    found = {one for finding in report.findings for one in (finding.name, *finding.also)}
    found |= {part for one in found for part in one.split("+")}
    assert not names or found & set(names), f"{found}\n{report}"


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[e.name for e in FUNCTIONS])
def test_an_answer_that_raises_scores_nothing(exercise):
    def raises(*args, **kwargs):
        raise KeyError("no such thing")
    report = grade(exercise.name, raises)
    assert not report.passed and report.score == 0 and "KeyError" in str(report)

"""Variants: each right answer is its forward's derivative, whatever the student's numbers, and no friend's answer passes."""
import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from collected import BUILT

from nanolm import gradcheck
from nanolm.cli import submitted
from nanolm.cli.check_command import command
from nanolm.grading import exercises, find, grade, hint, trials, whose
from nanolm.grading.classroom import run
from nanolm.grading.exercises import variant, variants
from nanolm.grading.mistakes import (variants_bends, variants_groups, variants_loss, variants_norms, variants_scores,
                                     variants_turns)
from nanolm.grading.students import Constants

for file in sorted(Path(__file__).parent.glob("answers_variants*.py")):
    importlib.import_module(file.stem)

STUDENTS = [None, "s1", "s2", "ada"]
NAMES = [one.name for one in variants.exercises(Constants())]
PAIRS = {                                            # name: (the functions, the numbers that they take)
    "power_norm": (variants_norms.power_norm, ("power",)), "learned_eps": (variants_norms.learned_eps, ("eps_rate",)),
    "group_rms": (variants_groups.group_rms, ("group",)), "tempered_softmax": (variants_scores.tempered_softmax, ("tau",)),
    "sloped_attention": (variants_scores.sloped_attention, ("slope",)),
    "smoothed_loss": (variants_loss.smoothed_loss, ("smoothing", "zeta")), "gated_logistic": (variants_bends.gated_logistic, ("a",
                                                                                                                              )),
    "leaky_square": (variants_bends.leaky_square, ("leak",)), "scaled_residual": (variants_bends.scaled_residual, ("branch",)),
    "split_dropout": (variants_turns.split_dropout, ("split",)), "partial_rotary": (variants_turns.partial_rotary, ("pairs",
                                                                                                                    "base")),
}


def arguments(name, own, rng):
    """Return lists of forward's arguments: ordinary ones, and those in which something is special."""
    x = rng.standard_normal((2, 3, 8))
    if name == "power_norm":
        return [(x, 0.5 + rng.random(8)), (x[0, 0], 0.5 + rng.random(8))]
    if name == "learned_eps":
        return [(x, rng.standard_normal(8), np.array(0.3)), (x[0], rng.standard_normal(8), np.array(-0.8))]
    if name == "group_rms":
        C = 3 * own["group"]
        return [(rng.standard_normal((2, 3, C)), rng.standard_normal(C)), (rng.standard_normal(own["group"]),
                                                                           rng.standard_normal(own["group"]))]
    if name == "sloped_attention":
        return [(rng.standard_normal((2, 3, 4, 2)), rng.standard_normal((2, 3, S, 2)), rng.standard_normal((2, 3, S, 2)),
                 rng.standard_normal(3)) for S in (5, 4)]
    if name == "smoothed_loss":
        return [(rng.standard_normal((2, 3, 5)), np.array([[0, 4, -100], [4, -100, 2]])), (rng.standard_normal((2, 5)),
                                                                                           np.array([1, 1]))]
    if name == "scaled_residual":
        return [(x, 0.5 * rng.standard_normal((8, 8))), (x[0, 0], 0.5 * rng.standard_normal((8, 8)))]
    if name == "leaky_square":
        return [(x, rng.standard_normal(8)), (x[0], -rng.random(8))]
    if name == "split_dropout":
        return [(x, 0.3, np.random.default_rng(4)), (x, 0.5, None)]
    if name == "partial_rotary":
        return [(rng.standard_normal((2, 4, 2 * own["pairs"] + 2)), 3), (rng.standard_normal((4, 2 * own["pairs"])), 0)]
    return [(x,), (x[0],)]


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("name", PAIRS)
def test_the_backward_is_the_derivative_of_the_forward(name, student):
    own = variant.numbers(Constants(student))
    make, names = PAIRS[name]
    forward, backward, *_ = make(*(own[one] for one in names))
    for args in arguments(name, own, np.random.default_rng(5)):
        gradcheck.check(gradcheck.pair(forward, backward), *args, float32=False).raise_if_failed()


def test_every_variant_is_proved():
    assert {name.partition(".")[0] for name in NAMES} == set(PAIRS) and len(PAIRS) >= 9


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_is_what_it_is_said_to_be(name):
    exercise = exercises.find(name)
    assert exercise.kind == "variant" and exercise.level >= 2 and len(exercise.mistakes) >= 8 and len(exercise.hints) >= 3
    assert len({exercises.find(name, f"s{i}").task for i in range(6)}) > 1, "the student's numbers stand in it"
    assert exercise.signature.endswith(":") and exercise.stub().count("not written yet") == 1


@pytest.mark.parametrize("name", variant.RANGES)
def test_numbers_are_ones_own_and_never_the_librarys(name):
    drawn = [variant.numbers(Constants(f"student {i}"))[name] for i in range(200)]
    assert set(drawn) <= set(variant.values(name)) and len(set(drawn)) > min(20, len(variant.values(name)) - 1)
    usual = {"power": 1, "eps_rate": 1, "tau": 1, "slope": 0, "a": 1.702, "smoothing": 0.1, "zeta": 1e-4, "leak": 0.01,
             "branch": 1,
             "split": 1, "base": 10000}
    assert usual.get(name) not in variant.values(name)


@pytest.mark.parametrize("name, builder", BUILT, ids=[f"{name}-{builder.__name__}" for name, builder in BUILT])
def test_a_right_answer_is_right_with_anybodys_numbers_and_only_with_them(name, builder):
    for student, other in (("s1", "s2"), ("ada", "grace")):
        mine, theirs = (builder(variant.numbers(Constants(one))) for one in (student, other))
        assert grade(name, mine, student, shrinking=0.05).passed
        exercise, same = exercises.find(name, student), exercises.find(name, other)
        if all(t.right for t in trials.run(exercise, same.reference)):
            continue                                # the two have drawn the same number
        report = grade(name, theirs, student, shrinking=0.05)
        assert not report.passed
        if name.startswith(("group_rms", "partial_rotary")):
            continue                                # C is no multiple of their number: an error, or whatever
        assert report.mistakes == ("another_number",
                                   ) and "drawn anew for every student" in " ".join(str(report).split()), str(report)


@pytest.mark.parametrize("student", ["s1", "ada", "b7"])
@pytest.mark.parametrize("name", NAMES)
def test_mistakes_are_wrong_with_anybodys_numbers(name, student):
    exercise = exercises.find(name, student)
    for mistake in exercise.mistakes:
        assert any(not t.right for t in trials.run(exercise, mistake.function)), mistake.name


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("forward")])
def test_a_forward_may_keep_a_cache_or_not(name):
    reference = exercises.find(name).reference
    assert grade(name, lambda *args, **kwargs: (reference(*args, **kwargs), "a cache")).passed
    assert not grade(name, lambda *args, **kwargs: (reference(*args, **kwargs), 1, 2), shrinking=0.05).passed


@pytest.mark.parametrize("name", NAMES)
def test_the_same_numbers_every_time_and_arguments_that_differ(name):
    again = next(one for one in variants.exercises(Constants("s1")) if one.name == name)
    assert exercises.find(name, "s1").task == again.task
    calls = list(trials.calls(exercises.find(name), drawn=12))
    assert len({str(call.sizes) for call in calls}) > 3 and all(call.shown for call in calls)


TEMPERED = "tempered_softmax.backward"


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """The folder in which a released lesson runs, below the student's; the home folder is above both."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / "copy" / "notebooks"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def tempered(student):
    """Return a right answer with the number of this student, written without the library."""
    tau = variant.numbers(Constants(student))["tau"]

    def backward(dy, cache):
        y, = cache
        return y * (dy - (dy * y).sum(-1, keepdims=True)) / tau
    return backward


def test_a_lesson_has_the_numbers_of_the_student_in_whose_folder_it_is(lessons):
    assert variant.numbers(Constants("ada"))["tau"] != variant.numbers(Constants())["tau"]
    assert find(TEMPERED).task == find(TEMPERED, "example").task != find(TEMPERED, "ada").task
    assert grade(TEMPERED, tempered(None)).passed and not grade(TEMPERED, tempered("ada"), shrinking=0).passed
    (lessons.parent / "student.json").write_text(json.dumps({"student": "ada"}))
    assert find(TEMPERED).task == find(TEMPERED, "ada").task and hint(TEMPERED, 3) == hint(TEMPERED, 3, "ada")
    assert grade(TEMPERED, tempered("ada")).passed and not grade(TEMPERED, tempered(None), shrinking=0).passed
    assert find("zoo.scale").source == find("zoo.scale", "ada").source
    assert grade(TEMPERED, tempered("grace"), "grace").passed, "who is named is asked for, whoever's folder it is"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"student": null}', '{"student": ["ada"]}', '{"student": " "}',
                                  '{"name": "ada"}', "[" * 100_000, b"\xff\xfe\x00", None])
def test_a_student_json_that_holds_no_id_is_passed_over(lessons, text):
    (lessons.parent.parent / "student.json").write_text('{"student": " grace "}')
    assert whose.student() == "grace"
    place = lessons / "student.json"
    if text is None:
        place.mkdir()
    else:
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert whose.student() == "grace" and find(TEMPERED).task == find(TEMPERED, "grace").task


def test_nobody_looks_above_the_home_folder(lessons, monkeypatch):
    (lessons.parent.parent / "student.json").write_text('{"student": "ada"}')
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(lessons.parent))
    assert whose.student() is None and whose.student(lessons / "mine.ipynb") is None
    assert whose.student(lessons.parent.parent) == "ada"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove the folder that one is in")
def test_a_folder_that_is_gone_is_nobodys(lessons):
    lessons.rmdir()
    assert whose.student() is None and find(TEMPERED).task == find(TEMPERED, "example").task


@pytest.mark.skipif(os.name == "nt", reason="the process is talked to by a Unix pipe")
def test_a_class_is_graded_alike_whatever_lies_in_the_teachers_folder(lessons, tmp_path):
    submissions = lessons / "submissions"
    submissions.mkdir()
    for student in ("grace", "ada"):
        tau = variant.numbers(Constants(student))["tau"]
        (submissions / f"{student}.py").write_text(
            f"# exercise: {TEMPERED}\ndef backward(dy, cache):\n    y, = cache\n"
            f"    return y * (dy - (dy * y).sum(-1, keepdims=True)) / {tau}\n")
    for place in (lessons, submissions):
        (place / "student.json").write_text('{"student": "ada"}')
    results = run.run(submissions, tmp_path / "out", [TEMPERED], workers=1)
    assert {one["student"]: one["exercises"][TEMPERED]["passed"] for one in results} == {"ada": True, "grace": True}


def test_check_takes_the_id_beside_the_file(lessons):
    assert submitted.student([]) == "example"
    (lessons / "student.json").write_text('{"student": "ada"}')
    (lessons.parent / "theirs").mkdir()
    place = lessons.parent / "theirs" / "mine.py"
    place.write_text(f"# exercise: {TEMPERED}\ndef backward(dy, cache):\n    y, = cache\n    return y * (dy - (dy * y).sum(-1, "
                     f"keepdims=True)) / {variant.numbers(Constants())['tau']}\n")
    assert submitted.student([]) == "ada" and submitted.student([str(place)]) == "example"
    assert CliRunner().invoke(command, [str(place)]).exit_code == 0

"""grade() on one exercise: the score, the notes, manners, the smallest arguments, the forms of the report."""
import json

import numpy as np
import pytest
from answers_norms import closed_form

from nanolm import gradcheck, kernels
from nanolm.grading import exercises, find, grade, hint, train_with
from nanolm.layers import layernorm

NAME = "layernorm.backward"


def test_a_right_answer_passes_with_full_score():
    report = grade(NAME, closed_form)
    assert report.passed and report and report.score == 1 and report.mistakes == () and report.seconds < 2
    assert report.raise_if_failed() is report and "passed" in str(report)


def test_the_fast_twins_in_use_change_nothing():
    if not kernels.available():
        pytest.skip("Numba is not installed")
    with kernels.using("numba"):
        assert grade(NAME, closed_form).passed
        assert kernels.in_use() == "numba"


def test_where_a_function_of_the_library_was_replaced_nothing_is_graded():
    with gradcheck.swap(layernorm, backward=closed_form):
        with pytest.raises(RuntimeError, match="layernorm.backward is not nanolm's own"):
            grade(NAME, closed_form)


def test_two_mistakes_in_two_outputs_are_both_named():
    def mine(dy, cache):
        dx, dweight, dbias = closed_form(dy, cache)
        x, weight, mean, rstd = cache
        return dx - rstd * 0 + rstd * (dy * weight).mean(-1, keepdims=True), -dweight, dbias
    report = grade(NAME, mine)
    assert "mean_term_missing" in report.mistakes and len(report.mistakes) == 2
    assert report.outputs == {"dx": "wrong", "dweight": "wrong", "dbias": "right"} and report.score == pytest.approx(1 / 6)


def test_the_smallest_arguments_can_be_checked_by_hand():
    def mine(dy, cache):
        dx, dweight, dbias = closed_form(dy, cache)
        return dx, dweight, dbias * 2
    report = grade(NAME, mine, shrinking=3.0)
    shown = report.smallest.call.shown
    assert shown["x"].size <= 4 and np.abs(shown["dy"]).sum() <= 3 and "The smallest arguments" in str(report)


def test_writing_to_the_arguments_costs_and_is_named():
    def mine(dy, cache):
        found = closed_form(dy, cache)
        dy *= 2
        cache[0][...] = 0
        return found
    report = grade(NAME, mine)
    assert report.mistakes == ("changes_arguments",) and report.score == 0.5 and "dy, cache[0]" in str(report)


def test_printing_is_a_note():
    def mine(dy, cache):
        print("here", dy.shape)
        return closed_form(dy, cache)
    report = grade(NAME, mine)
    assert report.passed and any("prints" in note for note in report.notes)


def test_a_state_between_calls_is_found():
    calls = []

    def mine(dy, cache):
        calls.append(1)
        found = closed_form(dy, cache)
        return (found[0] + (len(calls) > 31), *found[1:])
    assert not grade(NAME, mine).passed


def test_random_answers_are_told():
    rng = np.random.default_rng(0)

    def mine(dy, cache):
        return tuple(a + rng.standard_normal(a.shape) for a in closed_form(dy, cache))
    assert not grade(NAME, mine).passed


def test_float32_for_float64_is_not_full_score():
    def mine(dy, cache):
        return tuple(a.astype(np.float32) for a in closed_form(dy, cache))
    report = grade(NAME, mine)
    assert not report.passed and 0 <= report.score <= 0.5 and "precision" in report.mistakes and "float32" in str(report)


def test_float64_for_float32_is_a_note():
    def mine(dy, cache):
        return closed_form(dy.astype(np.float64), tuple(a.astype(np.float64) for a in cache))
    report = grade(NAME, mine)
    assert report.passed and "twice the memory" in " ".join(str(report).split())


def test_lists_in_place_of_tuples_are_not_blamed():
    assert grade(NAME, lambda dy, cache: list(closed_form(dy, cache))).passed


def test_what_is_not_known_by_name_is_said_to_be_so():
    def mine(dy, cache):
        dx, dweight, dbias = closed_form(dy, cache)
        return np.tanh(dx) * 1.234, dweight, dbias
    report = grade(NAME, mine)
    assert not report.passed and "not among those that are known by name" in str(report)


def test_the_report_as_json_and_as_html():
    report = grade(NAME, lambda dy, cache: closed_form(dy, cache)[:2] + (dy.sum(tuple(range(dy.ndim - 1))) * 2,))
    told = json.loads(report.to_json())
    assert told["exercise"] == NAME and told["passed"] is False and told["mistakes"] and told["smallest_arguments"]["x"]
    html = report._repr_html_()
    assert "<table" in html and "&times;" in html and "dbias" in html


@pytest.mark.parametrize("wrong, words", [((NAME, 3), "must be a function"),
                                          (("layernorm.backwards", closed_form), "Do you mean layernorm.backward")])
def test_what_cannot_be_graded(wrong, words):
    with pytest.raises((TypeError, ValueError), match=words):
        grade(*wrong)


def test_hints_come_one_at_a_time():
    assert hint(NAME, 1).startswith("Hint 1 of") and hint(NAME, 1) != hint(NAME, 2)
    with pytest.raises(ValueError, match="must lie between"):
        hint(NAME, 99)


def test_signature_and_docstring_are_the_librarys():
    import inspect
    for exercise in exercises.all_of().values():
        if exercise.where is None or exercise.kind not in ("backward", "forward"):
            continue
        if exercise.name != f"{exercise.where[0].__name__.rsplit('.', 1)[-1]}.{exercise.where[1]}":
            continue                                # half of a function, with a docstring of its own: multihead.cross_backward
        function = getattr(*exercise.where)
        assert exercise.docstring == function.__doc__
        assert exercise.signature == f"def {function.__name__}{inspect.signature(function)}:"
    assert find(NAME).where == (layernorm, "backward")


def test_a_passed_answer_trains_a_small_model():
    pytest.importorskip("matplotlib")

    def mine(dy, cache):
        return closed_form(dy, cache)
    with pytest.raises(ValueError, match="has not passed"):
        train_with(mine)
    assert grade(NAME, mine).passed
    training = train_with(mine, steps=8)
    assert training.difference < 1e-9 and training.yours[-1] < training.yours[0] and training.png()[:4] == b"\x89PNG"


def test_a_buffer_that_is_used_again_is_found():
    kept = {}

    def mine(dy, cache):
        dx, dweight, dbias = closed_form(dy, cache)
        buffer = kept.setdefault(len(dweight), np.empty_like(dweight))
        buffer[...] = dweight
        return dx, buffer, dbias
    report = grade(NAME, mine)
    assert report.mistakes == ("buffer_used_again",) and report.score == 0.5


@pytest.mark.parametrize("dtype, words", [(complex, "Take its real part"), (object, "must hold real numbers"), ("U8", "must hold real numbers")])
def test_arrays_of_odd_kinds_are_told_and_not_called_random(dtype, words):
    report = grade(NAME, lambda dy, cache: tuple(a.astype(dtype) for a in closed_form(dy, cache)), shrinking=0)
    assert not report.passed and words in str(report) and "differs_between_calls" not in report.mistakes


def test_nothing_is_left_in_the_students_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not grade(NAME, lambda dy, cache: (dy, dy, dy)).passed
    assert list(tmp_path.iterdir()) == []

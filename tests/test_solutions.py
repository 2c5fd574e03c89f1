"""notebooks/solutions.py: what it puts into the gaps scores full marks in each exercise."""
import sys
from pathlib import Path

import pytest

from nanolm.grading import exercises, grade

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from solutions import solution  # noqa: E402


@pytest.mark.parametrize("name", exercises.names())
def test_the_solution_scores_full_marks(name):
    report = grade(name, solution(name))
    assert report.passed and report.score == 1, str(report)


def test_a_variant_has_the_numbers_of_its_student():
    assert grade("tempered_softmax.backward", solution("tempered_softmax.backward", student="ada"), student="ada").passed
    assert not grade("tempered_softmax.backward", solution("tempered_softmax.backward", student="ada"), student="grace").passed


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match="no exercise"):
        solution("no.such")

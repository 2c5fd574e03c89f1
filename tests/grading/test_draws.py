"""Both kinds of drawing answer the same questions, and every exercise can be drawn with either."""
import numpy as np
import pytest

from nanolm.grading import draws, exercises, trials

FUNCTIONS = [one for one in exercises.all_of().values() if one.kind not in exercises.GRADERS]


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[one.name for one in FUNCTIONS])
def test_every_exercise_can_be_drawn_at_random_and_its_answer_is_finite(exercise):
    rng = np.random.default_rng(5)
    titles, sizes = set(), set()
    for _ in range(30):
        call = exercise.inputs(draws.Random(rng))
        value = trials.right(exercise, call)
        assert trials.compare.differences(value, value, exercise.outputs) == []
        sizes.add(tuple(sorted(call.sizes.items())))
        titles.add(call.title)
        assert call.shown, "a person must see something"
    assert len(sizes) >= 5, "the sizes hardly vary"


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[one.name for one in FUNCTIONS])
def test_every_exercise_can_be_drawn_small(exercise):
    hypothesis = pytest.importorskip("hypothesis")
    seen = []

    @hypothesis.settings(max_examples=8, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck),
                         phases=(hypothesis.Phase.generate,))
    @hypothesis.given(hypothesis.strategies.data())
    def draw(data):
        call = exercise.inputs(draws.Small(data.draw))
        trials.right(exercise, call)
        seen.append(call)
    draw()
    assert seen

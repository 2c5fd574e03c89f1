"""Looking for the smallest arguments ends in time, and finds small ones."""
import time
from dataclasses import replace

from nanolm.grading import exercises, shrink, trials


def wrong(dy, cache):
    return 2 * dy, {}


def test_the_search_ends_when_its_time_is_up():
    """hypothesis takes any Exception for a find and shrinks on; what ends the search must be none."""
    exercise, begun = exercises.find("gpt2.backward"), []
    right = exercise.reference

    def inputs(draw):
        begun.append(time.monotonic())
        return exercise.inputs(draw)

    def slow_and_wrong_for_long_texts(cache):
        time.sleep(0.02)
        ids = cache[0][0]
        return {} if ids.size >= 8 else right(cache)

    counted = replace(exercise, inputs=inputs, own=(), reference=lambda cache: right(cache))       # so that it may be called
    found = next(trial for trial in trials.run(counted, slow_and_wrong_for_long_texts) if not trial.right)
    shrink.smallest(counted, slow_and_wrong_for_long_texts, found, seconds=0.1)                     # the first loads hypothesis
    for seconds in (0.2, 0.7):
        begun.clear()
        start = time.monotonic()
        shrink.smallest(counted, slow_and_wrong_for_long_texts, found, seconds)
        assert len(begun) > 1 and sum(one > start + seconds + 0.05 for one in begun) <= 1


def test_a_smaller_call_is_found():
    exercise = exercises.find("block.backward")
    found = max(trials.run(exercise, wrong, drawn=8), key=lambda trial: shrink.size(trial.call))
    smallest = shrink.smallest(exercise, wrong, found, seconds=1.0)
    assert smallest.differences and shrink.size(smallest.call) < shrink.size(found.call)
    assert smallest.call.shown["dy"].size <= 6

"""Looking for the smallest arguments ends in time, finds small ones, and says so if it was cut short."""
import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from answers_norms import closed_form

from nanolm.grading import exercises, grade, shrink, trials


def wrong(dy, cache):
    return 2 * dy, {}


def test_the_search_ends_when_its_time_is_up():
    """hypothesis takes any Exception for a find and shrinks on; what ends the search must be none."""
    exercise, begun = exercises.find("gpt2.backward"), []
    right = exercise.reference

    def inputs(draw):
        begun.append(time.thread_time())
        return exercise.inputs(draw)

    def slow_and_wrong_for_long_texts(cache):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        ids = cache[0][0]
        return {} if ids.size >= 8 else right(cache)

    counted = replace(exercise, inputs=inputs, own=(), reference=lambda cache: right(cache))       # so that it may be called
    found = next(trial for trial in trials.run(counted, slow_and_wrong_for_long_texts) if not trial.right)
    shrink.warm()
    for seconds in (0.2, 0.7):
        begun.clear()
        start = time.thread_time()
        shrink.smallest(counted, slow_and_wrong_for_long_texts, found, seconds)
        assert len(begun) > 1 and sum(one > start + seconds + 0.05 for one in begun) <= 1


def test_a_smaller_call_is_found():
    exercise = exercises.find("block.backward")
    found = max(trials.run(exercise, wrong, drawn=8), key=lambda trial: shrink.size(trial.call))
    smallest, _ = shrink.smallest(exercise, wrong, found, seconds=1.0)
    assert smallest.differences and shrink.size(smallest.call) < shrink.size(found.call)
    assert smallest.call.shown["dy"].size <= 6


def test_what_waits_is_ended_by_the_clock_on_the_wall():
    exercise = exercises.find("block.backward")

    def waits(dy, cache):
        time.sleep(0.3)
        return 2 * dy, {}
    found = next(trial for trial in trials.run(exercise, wrong) if not trial.right)
    shrink.warm()
    start = time.monotonic()
    _, ended = shrink.smallest(exercise, waits, found, seconds=0.05)
    assert not ended and time.monotonic() - start < 0.05 * shrink.PATIENCE + 2


def bias_twice(dy, cache):
    dx, dweight, dbias = closed_form(dy, cache)
    return dx, dweight, dbias * 2


def slow(calls, clock="thread_time"):
    """Return a module time on a machine on which one of the two clocks is over after so many calls."""
    ticks = count()
    stands = {"thread_time": lambda: 0.0, "monotonic": lambda: 0.0}
    return SimpleNamespace(**{**stands, clock: lambda: 100.0 * (next(ticks) > calls)})


@pytest.mark.parametrize("clock", ["thread_time", "monotonic"])
def test_on_a_slow_machine_the_smallest_that_was_seen_is_shown_and_not_called_the_smallest(monkeypatch, clock):
    monkeypatch.setattr(shrink, "time", slow(0, clock))
    report = grade("layernorm.backward", bias_twice)
    failing = list(trials.run(exercises.find("layernorm.backward"), bias_twice))[:report.tried]     # each of them fails
    assert not report.shrunk and shrink.size(report.smallest.call) == min(shrink.size(trial.call) for trial in failing)
    assert "\nArguments that show it:\n" in str(report) and "smallest" not in str(report)


def test_what_a_search_that_was_cut_short_has_seen_counts(monkeypatch):
    exercise = exercises.find("layernorm.backward")
    found = max(trials.run(exercise, bias_twice), key=lambda trial: shrink.size(trial.call))
    sizes = []
    for calls in (0, 8, 20):
        monkeypatch.setattr(shrink, "time", slow(calls))
        trial, ended = shrink.smallest(exercise, bias_twice, found)
        sizes.append(shrink.size(trial.call))
        assert not ended and trial.differences
    assert sizes[0] == shrink.size(found.call) and sizes[0] > sizes[1] >= sizes[2]


def test_a_machine_that_is_busy_with_something_else_finds_the_same(monkeypatch):
    """The wall's clock runs three times as fast as the processor's, as if two others were at work."""
    start = time.thread_time()
    busy = SimpleNamespace(thread_time=time.thread_time, monotonic=lambda: 3 * (time.thread_time() - start))
    monkeypatch.setattr(shrink, "time", busy)
    report = grade("layernorm.backward", bias_twice, shrinking=3.0)
    assert report.shrunk and report.smallest.call.shown["x"].size <= 2 and "\nThe smallest arguments that show it:" in str(report)


def test_of_calls_with_as_many_numbers_the_plain_one_is_smaller():
    def of(*numbers):
        return shrink.size(SimpleNamespace(shown={"x": np.array(numbers), "eps": 1e-5}))
    assert of(-3.0, 2.5) < of(1e-6, 2e-6) and of(0.0, 1.0) < of(-3.0, 2.5) < of(1.0, 1.0, 1.0) < of(0.4967, -0.1383)


def test_the_first_check_of_all_shows_the_smallest(tmp_path):
    """A new process, and a folder in which hypothesis has kept nothing: its tables are built before the clock runs."""
    code = ("from nanolm.grading import grade\n"
            "r = grade('layernorm.backward', lambda dy, cache: (dy, dy, dy), shrinking=3.0)\n"
            "print(r.shrunk, r.smallest.call.shown['x'].size)")
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))}
    environment.pop("HYPOTHESIS_STORAGE_DIRECTORY", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    shrunk, size = done.stdout.split()
    assert shrunk == "True" and int(size) <= 2, done.stdout + done.stderr

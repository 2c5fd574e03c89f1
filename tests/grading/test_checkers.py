"""The checker exercise: a good checker passes, each hasty one is told its lesson, remotely as here."""
import sys

import numpy as np
import pytest

from nanolm.grading import grade, pairs
from nanolm.grading.classroom import submissions
from nanolm.grading.classroom.player import Player

GOOD = '''
import numpy as np


# exercise: checker.check
def check(forward, backward, args, upstream="random", rtol=1e-6, atol=1e-7, shapes=True, nan=True, which=None,
          relative=True, absolute=True):
    args = [a.copy() for a in args]
    rng = np.random.default_rng(0)
    y, cache = forward(*args)
    dy = 1.7 if np.ndim(y) == 0 else rng.standard_normal(np.shape(y))
    if upstream == "ones":
        dy = 1.0 if np.ndim(y) == 0 else np.ones_like(y)
    gradients = backward(dy, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    floats = [a for a in args if a.dtype.kind == "f"]
    if shapes and len(gradients) != len(floats):
        return False
    for a, got in list(zip(floats, gradients))[:which]:
        if shapes and got.shape != a.shape:
            return False
        number = np.zeros_like(a)
        for i in np.ndindex(a.shape):
            old, h = a[i], 1e-5 * max(1.0, abs(a[i]))
            a[i] = old + h
            up = np.sum(dy * forward(*args)[0])
            a[i] = old - h
            down = np.sum(dy * forward(*args)[0])
            a[i] = old
            number[i] = (up - down) / (2 * h)
        error = np.abs(got - number)
        allowed = rtol * np.abs(number) * relative + atol * max(1.0, np.abs(number).max()) * absolute
        if (not (error <= allowed).all()) if nan else (error > allowed).any():
            return False
    return True
'''
space = {}
exec(GOOD, space)
good = space["check"]


def test_a_good_checker_passes():
    report = grade("checker.check", good)
    assert report.passed and report.score == 1 and report.tried == len(pairs.all_of()) and report.seconds < 2


@pytest.mark.parametrize("how, words", [
    (dict(upstream="ones"), "draw dy at random"), (dict(rtol=1e-3), "the tolerance is too wide"), (dict(nan=False), "NaN"),
    (dict(which=1), "are all arguments looked at"), (dict(absolute=False), "It blamed"), (dict(rtol=0, atol=1e-12), "It blamed")])
def test_a_hasty_checker_is_told_its_lesson(how, words):
    report = grade("checker.check", lambda forward, backward, args: good(forward, backward, args, **how))
    assert not report.passed and report.score < 0.95, report
    assert any(words.lower() in finding.sentence.lower() for finding in report.findings), report


@pytest.mark.parametrize("verdict", [True, False])
def test_a_checker_that_always_says_the_same_scores_nothing(verdict):
    report = grade("checker.check", lambda forward, backward, args: verdict)
    assert not report.passed and report.score == 0


def test_what_is_no_verdict_is_told():
    assert "must return True or False" in str(grade("checker.check", lambda f, b, a: 1e-9))
    assert grade("checker.check", lambda f, b, a: None).written is False


def test_the_functions_do_not_give_themselves_away():
    for pair in pairs.all_of():
        assert pair.forward.__name__ == pair.backward.__name__ == "pair"
    assert sum(pair.right for pair in pairs.all_of()) >= 8 and sum(not pair.right for pair in pairs.all_of()) >= 15


@pytest.mark.skipif(sys.platform == "win32", reason="the process is talked to by a Unix pipe")
def test_a_checker_is_graded_in_a_locked_process_too(tmp_path):
    (tmp_path / "a.py").write_text(GOOD)
    submission = submissions.read("a", [tmp_path / "a.py"], {"checker.check"})
    with Player(submission.parts, ["checker.check"]) as player:
        report = grade("checker.check", player.of("checker.check"))
    assert report.passed, report


def test_the_pairs_are_what_they_say():
    """By the library's own checker: right ones are right, wrong ones wrong."""
    from nanolm import gradcheck
    for pair in pairs.all_of():
        report = gradcheck.check(gradcheck.pair(pair.forward.function, pair.backward.function), *pair.args, float32=False)
        assert report.passed == pair.right, f"{pair.lesson}\n{report}"
        assert np.isfinite(np.asarray(pair.forward(*pair.args)[0])).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_checker_may_draw_its_upstream_gradient_from_any_seed(seed):
    """The pairs' own x must not be the numbers that default_rng(seed) gives first: with dy = x, x^T dy is symmetric."""
    drawn = np.random.default_rng(seed).standard_normal(200)
    for pair in pairs.all_of(0):
        for array in pair.args:
            if getattr(array, "dtype", None) == np.float64 and array.size > 1:
                assert not np.allclose(np.ravel(array), drawn[:array.size])

"""The derivatives themselves: how exact they are, and that the errors at h and h/10 behave as numerical.py says."""
import math

import numpy as np
import pytest

from nanolm.gradcheck import numerical, verdict

x = np.array([0.3, -1.2, 2.0])
v = np.array([1.0, 0.5, -0.25])


def f(x):
    return np.exp(x) * np.sin(x) / (1 + x * x)


def slope(x):
    return np.exp(x) * ((np.sin(x) + np.cos(x)) / (1 + x * x) - 2 * x * np.sin(x) / (1 + x * x) ** 2)


def test_complex_step_is_exact():
    assert np.allclose(numerical.complex_step(f, x, v), slope(x) * v, rtol=1e-14, atol=0)


def test_central_difference_truncates_like_h_squared():
    errors = [np.abs(numerical.central(f, x, v, h) - slope(x) * v).max() for h in (1e-2, 1e-3)]
    assert 90 < errors[0] / errors[1] < 110


def test_central_difference_rounds_like_one_over_h():
    errors = [np.abs(numerical.central(f, x, v, h) - slope(x) * v).max() for h in (1e-8, 1e-10)]
    assert errors[1] > 10 * errors[0] > 1e-10


def test_rounding_in_float32_spoils_a_small_step():
    y = (f((x + 1e-5).astype(np.float32)) - f((x - 1e-5).astype(np.float32))) / 2e-5
    assert np.abs(y / slope(x) - 1).max() > 1e-3                     # the reason why check refuses float32


def test_two_steps_are_better_than_either():
    near = numerical.central_pair(f, x, v, f(x), 1e-2)
    better = numerical.extrapolate(near.at_h, near.at_h10)
    truth = slope(x) * v
    assert np.abs(better - truth).max() < 1e-2 * np.abs(near.at_h10 - truth).max()
    assert not near.corner


@pytest.mark.parametrize("function", [np.abs, lambda x: np.maximum(x, 0)])
def test_a_corner_is_seen(function):
    at = np.array([0.0])
    near = numerical.central_pair(function, at, np.ones(1), function(at))
    assert near.corner and near.right[0] == pytest.approx(1) and near.left[0] != pytest.approx(1)


def test_a_sharp_bend_is_no_corner():
    at = np.array([np.pi / 600])                                     # the top of a wave: no slope, much curvature
    assert not numerical.central_pair(lambda x: np.sin(300 * x), at, np.ones(1), np.sin(300 * at)).corner


def test_a_corner_close_by_spoils_h_but_not_a_tenth_of_it():
    at = np.array([4e-5])                                            # between h/10 and h
    near = numerical.central_pair(np.abs, at, np.ones(1), np.abs(at))
    assert not near.corner
    assert numerical.extrapolate(near.at_h, near.at_h10)[0] == pytest.approx(1)


@pytest.mark.parametrize("function", [
    lambda x: np.array([math.exp(one) for one in x]),                # TypeError
    lambda x: x.astype(np.float64),                                  # ComplexWarning
    lambda x: np.empty(3).__setitem__(slice(None), x),               # ComplexWarning, too
    lambda x: np.abs(x),                                             # real numbers come back
    lambda x: x.real,
])
def test_a_forward_that_cannot_carry_it_is_named(function):
    with pytest.raises(numerical.NotAnalytic):
        numerical.complex_step(function, x, v)


@pytest.mark.parametrize("at_h, at_h10, word", [
    (1e-3, 1e-3, "mistake"), (1e-5, 1e-7, "truncation"), (1e-9, 1e-8, "rounding"), (np.nan, 1.0, "no finite"),
])
def test_the_errors_at_two_steps_speak(at_h, at_h10, word):
    assert word in verdict.behaviour(at_h, at_h10)

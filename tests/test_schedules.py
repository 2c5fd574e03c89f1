"""Schedules at the points where they can be computed by hand, and early stopping."""
import math

import pytest

from nanolm.training import early_stopping, schedules
from nanolm.training.settings import Settings


def test_warm_up_rises_from_the_first_step_to_the_peak():
    for schedule in (lambda s: schedules.constant(s, 0.8, warmup=4),
                     lambda s: schedules.linear(s, 0.8, 20, warmup=4, final=0.1),
                     lambda s: schedules.cosine(s, 0.8, 20, warmup=4, final=0.1)):
        assert [schedule(s) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8], rel=1e-14)


def test_constant_stays():
    assert schedules.constant(0, 0.5) == schedules.constant(10**6, 0.5, warmup=10) == 0.5


def test_linear_by_hand():
    rates = [schedules.linear(s, 1.0, total=12, warmup=2, final=0.5) for s in (2, 7, 12, 100)]
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.5], rel=1e-14)


def test_cosine_by_hand():
    rates = [schedules.cosine(s, 1.0, total=14, warmup=2, final=0.2) for s in (2, 6, 8, 10, 14, 100)]
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2], rel=1e-14)     # cos(pi / 3) = 1/2


def test_cosine_is_flat_at_both_ends_and_steepest_in_the_middle():
    rates = [schedules.cosine(s, 1.0, total=100) for s in range(101)]
    falls = [a - b for a, b in zip(rates, rates[1:])]
    assert all(fall > 0 for fall in falls)
    assert falls[0] < 0.001 and falls[-1] < 0.001 and max(falls) == pytest.approx(math.pi / 200, rel=1e-3)


def test_no_step_left_after_the_warm_up():
    with pytest.raises(ValueError, match="5 steps in total and 5 of warm-up"):
        schedules.cosine(5, 1.0, total=5, warmup=5)


def test_settings_choose_the_schedule():
    s = Settings(steps=100, warmup=0.1, lr=1.0, lr_final=0.2, schedule="cosine")
    assert s.learning_rate(9) == 1.0 and s.learning_rate(55) == pytest.approx(0.6) and s.learning_rate(4) == 0.5
    assert s.changed(schedule="linear").learning_rate(55) == pytest.approx(0.6)
    assert s.changed(schedule="linear").learning_rate(99) == pytest.approx(0.2 + 0.8 / 90)
    assert s.changed(schedule="constant").learning_rate(99) == 1.0


@pytest.mark.parametrize("change, sentence", [
    ({"steps": 0}, "setting steps is 0; it must be at least 1"),
    ({"steps": 1.5}, "setting steps is 1.5; it must be a whole number"),
    ({"steps": True}, "setting steps is True; it must be a whole number"),
    ({"lr": float("nan")}, "setting lr is nan; it must be a finite number"),
    ({"lr": 0}, "setting lr is 0; it must be positive"),
    ({"beta2": 1.0}, "setting beta2 is 1.0; it must be at least 0 and below 1"),
    ({"optimizer": "lion"}, "setting optimizer is 'lion'; it must be one of sgd, momentum, adam, adamw"),
    ({"schedule": "step"}, "setting schedule is 'step'; it must be one of constant, linear, cosine"),
    ({"warmup": 1.0}, "setting warmup is 1.0"),
    ({"clip": -1}, "setting clip is -1; it must not be negative"),
    ({"nesterov": 1}, "setting nesterov is 1; it must be True or False"),
    ({"learning_rate": 1}, "there is no setting 'learning_rate'. The settings are: steps"),
])
def test_wrong_settings_are_named(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings().changed(**change)


def test_settings_survive_json():
    import json
    settings = Settings(lr=3e-4, optimizer="momentum", nesterov=True)
    assert Settings.from_dict(json.loads(settings.to_json())) == settings
    assert settings.optimizer_arguments() == {"momentum": 0.9, "nesterov": True}


def test_early_stopping_waits_for_patience_evaluations():
    state = early_stopping.init()
    assert not early_stopping.should_stop(state, 2)
    for step, loss in enumerate([3.0, 2.0, 2.5, 1.9, 1.9]):
        state = early_stopping.update(state, loss, step)
        assert not early_stopping.should_stop(state, 2)
    assert state == {"best": 1.9, "step": 3, "waited": 1}               # an equal loss is no improvement
    state = early_stopping.update(state, 2.0, 5)
    assert early_stopping.should_stop(state, 2) and not early_stopping.should_stop(state, 3)
    assert not early_stopping.should_stop(state, 0) and not early_stopping.should_stop(state, None)
    assert not early_stopping.should_stop(early_stopping.update(state, 1.0, 6), 2)

"""Answers that work in place: what is right of them, what is told of them, and that a tied array stays one array."""
import math
import sys

import numpy as np
import pytest

from nanolm.grading import answers, exercises, grade
from nanolm.grading.classroom import submissions, wire
from nanolm.grading.classroom.player import Player
from nanolm.grading.exercise import Call
from nanolm.training.groups import Group

STEP = '''
from nanolm.training import groups as grouping
import numpy as np
# exercise: adamw.step
def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    state["t"] += 1
    for name, w in params.items():
        group = grouping.of(name, groups)
        m, v, g = state["m." + name], state["v." + name], grads[name]
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        w *= 1 - lr * group.lr * weight_decay * group.decay
        w -= lr * group.lr * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)
'''
REPLACED = '''
# exercise: sgd.step
def step(params, grads, state, lr, groups=None):
    state["t"] += 1
    for name in params:
        params[name] = params[name] - lr * grads[name]
'''
LIBRARY = '''
# exercise: adam.step
def step(*args, **kwargs):
    from nanolm.training.optimizers import adam
    return adam.step(*args, **kwargs)
'''
CLIP = '''
import math
# exercise: clipping.clip
def clip(grads, max_norm):
    own = list({id(g): g for g in grads.values()}.values())
    norm = math.sqrt(sum(float((g * g).sum()) for g in own))
    if max_norm < norm < math.inf:
        for g in own:
            g *= max_norm / norm
    return norm
'''


def test_a_tied_array_is_one_array_in_a_copy_and_behind_the_wire():
    g = np.ones((2, 3))
    tree = ({"wte": g, "head": g, "other": g.copy()}, math.inf)
    for (grads, limit) in (answers.copied(tree), wire.unpack(wire.pack(tree)[8:])):
        assert grads["wte"] is grads["head"] and grads["wte"] is not grads["other"] and grads["wte"] is not g
        assert np.array_equal(grads["wte"], g) and limit == math.inf


def test_a_group_comes_back_as_a_group():
    (group,) = wire.unpack(wire.pack((Group(0.5, 0.0),))[8:])
    assert type(group) is Group and group == Group(lr=0.5, decay=0.0)


def test_an_array_that_another_took_the_place_of_is_seen():
    def replaces(params):
        params["a"] = params["a"] + 1
        params["b"] += 1
        params["c"] = params["c"][...]              # the same numbers
    answer = answers.ask(replaces, Call(({"a": np.zeros(2), "b": np.zeros(2), "c": np.zeros(2)},)))
    assert answer.replaced == ((0, "a"),)


def test_numbers_that_are_right_in_new_arrays_are_not_enough():
    def step(weights, grads, state, lr, groups=None):
        state["t"] += 1
        for name in weights:
            weights[name] = weights[name] - lr * grads[name]
    report = grade("sgd.step", step)
    assert report.mistakes == ("arrays_replaced",) and report.score == 0.5 and 'params["wte.weight"]' in str(report)


@pytest.mark.parametrize("write, name", [(lambda g: g.fill(0), "grads"), (lambda g: np.negative(g, out=g), "grads")])
def test_gradients_are_only_read(write, name):
    def step(params, g, state, lr, groups=None):    # the report says grads, whatever the student calls them
        state["t"] += 1
        for key, w in params.items():
            w -= lr * g[key]
            write(g[key])
    report = grade("sgd.step", step)
    assert report.mistakes == ("changes_arguments",) and f"arguments: {name}." in str(report)


def test_new_arrays_in_the_state_are_its_own_business():
    def step(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
        state["t"] += 1
        for key, w in params.items():
            state["u." + key] = momentum * state["u." + key] + grads[key]
            w -= lr * (grads[key] + momentum * state["u." + key] if nesterov else state["u." + key])
    assert grade("momentum.step", step).passed


def test_what_is_wrong_in_many_arrays_is_told_once():
    def step(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
        state["t"] += 1
        for key, w in params.items():               # 3 g in the place of g: no known mistake
            state["u." + key] = momentum * state["u." + key] + 3 * grads[key]
            w -= lr * (3 * grads[key] + momentum * state["u." + key] if nesterov else state["u." + key])
    report = grade("momentum.step", step)
    assert report.outputs == {"params": "wrong", "state": "wrong"}
    told = [finding for finding in report.findings if finding.way == "terms" and "in the new velocity" in finding.sentence]
    assert len(told) == 1 and told[0].sentence.count("u.") > 1 and "3 times the right one" in told[0].sentence


@pytest.mark.parametrize("name", ["sgd.step", "momentum.step", "adam.step", "adamw.step"])
def test_doing_nothing_is_not_right(name):
    report = grade(name, lambda *args, **kwargs: None)
    assert not report.passed and "wrong" in report.outputs.values() and str(report)


def test_the_drawn_arguments_are_what_they_are_said_to_be():
    """Tiny gradients, none at all, large ones; fresh states and old ones; several parameters of one shape; groups."""
    from nanolm.grading import trials
    made = list(trials.calls(exercises.find("adamw.step"), drawn=24))
    largest = [float(np.abs(g).max()) for call in made for g in call.args[1].values()]
    assert min(largest) == 0 and any(0 < size < 1e-7 for size in largest) and any(1e-7 < size < 1e-5 for size in largest)
    assert max(largest) > 100
    assert {call.args[2]["t"] == 0 for call in made} == {True, False} and max(call.args[2]["t"] for call in made) > 99
    assert any(len({w.shape for w in call.args[0].values()}) < len(call.args[0]) for call in made)
    assert any(call.kwargs.get("groups") for call in made)
    clips = list(trials.calls(exercises.find("clipping.clip"), drawn=24))
    norms = [(exercises.find("clipping.global_norm").reference(call.args[0]), call.args[1]) for call in clips]
    assert any(norm > limit for norm, limit in norms) and any(0 < norm < limit for norm, limit in norms)
    assert any(len({id(g) for g in call.args[0].values()}) < len(call.args[0]) for call in clips)


@pytest.mark.skipif(sys.platform == "win32", reason="the process is talked to by a Unix pipe")
@pytest.mark.parametrize("name, text, expected", [
    ("adamw.step", STEP, ()), ("sgd.step", REPLACED, ("arrays_replaced",)), ("adam.step", LIBRARY, ("library_called",)),
    ("clipping.clip", CLIP, ())])
def test_in_a_process_of_its_own_it_is_the_same(tmp_path, name, text, expected):
    (tmp_path / "student.py").write_text(text)
    submission = submissions.read("student", [tmp_path / "student.py"], {name})
    with Player(submission.parts, [name]) as player:
        report = grade(name, player.of(name), shrinking=0.1)
    assert report.mistakes == expected and report.passed is (not expected), str(report)

"""Optimizers and penalties against numbers computed by hand and against the formulas written out for one number.

The gradients are as small as 1e-6 where a misplaced epsilon would otherwise hide; see the table in the docstring of
optimizers/adam.py.
"""
import math

import numpy as np
import pytest

from nanolm.training import groups as grouping
from nanolm.training import penalties
from nanolm.training.groups import Group
from nanolm.training.optimizers import adam, adamw, momentum, sgd

BOTH_BACKENDS = True

ALL = {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adamw}


def one(value):
    return {"w": np.array([value])}


def problem(rng, dtype=np.float64, size=1.0):
    shapes = {"a.weight": (3, 4), "b.weight": (3, 4), "c.bias": (5,)}
    params = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    grads = [{name: (size * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}
             for _ in range(5)]
    return params, grads


def scalar_adam(w, gs, lr, beta1, beta2, eps, decay=0.0):
    """Adam as in the paper, for one number, in Python's own floats."""
    m = v = 0.0
    for t, g in enumerate(gs, start=1):
        w = w - lr * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w = w - lr * (m / (1 - beta1 ** t)) / (math.sqrt(v / (1 - beta2 ** t)) + eps)
    return w


def test_sgd_by_hand():
    params = one(1.0)
    sgd.step(params, one(0.5), sgd.init(params), lr=0.1)
    assert params["w"] == pytest.approx(0.95, rel=1e-15)


def test_momentum_by_hand():
    params = one(1.0)
    state = momentum.init(params)
    momentum.step(params, one(0.5), state, lr=0.1, momentum=0.9)        # u = 0.5
    assert params["w"] == pytest.approx(0.95, rel=1e-15)
    momentum.step(params, one(1.0), state, lr=0.1, momentum=0.9)        # u = 0.45 + 1
    assert params["w"] == pytest.approx(0.95 - 0.145, rel=1e-15)


def test_nesterov_by_hand():
    params = one(1.0)
    state = momentum.init(params)
    momentum.step(params, one(0.5), state, lr=0.1, momentum=0.9, nesterov=True)         # g + 0.9 * 0.5 = 0.95
    assert params["w"] == pytest.approx(0.905, rel=1e-15)
    momentum.step(params, one(1.0), state, lr=0.1, momentum=0.9, nesterov=True)         # 1 + 0.9 * 1.45 = 2.305
    assert params["w"] == pytest.approx(0.905 - 0.2305, rel=1e-15)


def test_adam_by_hand():
    params = one(1.0)
    state = adam.init(params)
    adam.step(params, one(2.0), state, lr=0.1, beta1=0.9, beta2=0.99, eps=0.0)          # the sign of g
    assert params["w"] == pytest.approx(0.9, rel=1e-15)
    adam.step(params, one(-1.0), state, lr=0.1, beta1=0.9, beta2=0.99, eps=0.0)
    # m = 0.9 * 0.2 - 0.1 = 0.08, / 0.19;   v = 0.99 * 0.04 + 0.01 = 0.0496, / 0.0199
    assert params["w"] == pytest.approx(0.9 - 0.1 * (0.08 / 0.19) / math.sqrt(0.0496 / 0.0199), rel=1e-14)


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-9])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_and_adamw_follow_the_formula_in_every_element(size, decay):
    params, grads = problem(np.random.default_rng(1), size=size)
    start = {name: w.copy() for name, w in params.items()}
    state = adamw.init(params)
    for g in grads:
        if decay:
            adamw.step(params, g, state, 0.01, beta1=0.8, beta2=0.95, eps=1e-8, weight_decay=decay)
        else:
            adam.step(params, g, state, 0.01, beta1=0.8, beta2=0.95, eps=1e-8)
    for name, w in params.items():
        for i in np.ndindex(w.shape):
            expected = scalar_adam(start[name][i], [g[name][i] for g in grads], 0.01, 0.8, 0.95, 1e-8, decay)
            moved = expected - start[name][i]
            assert w[i] - start[name][i] == pytest.approx(moved, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("optimizer", [adam, adamw])
def test_epsilon_stands_outside_the_root_after_the_correction(optimizer):
    g, eps = 1e-6, 1e-8
    params = one(0.0)
    optimizer.step(params, one(g), optimizer.init(params), lr=1.0, beta1=0.9, beta2=0.999, eps=eps)
    right = -g / (g + eps)
    inside = -g / math.sqrt(g * g + eps)
    before = -g / (g + eps / math.sqrt(0.001))
    assert abs(inside - right) > 0.5 and abs(before - right) > 0.1      # the mistakes are visible at this size
    assert params["w"] == pytest.approx(right, rel=1e-12)


def test_no_gradient_adamw_decays_by_a_share_and_adam_with_l2_by_the_sign():
    for w in (3.0, -0.2):
        params = one(w)
        adamw.step(params, one(0.0), adamw.init(params), lr=0.01, weight_decay=0.1)
        assert params["w"] == pytest.approx(w - 0.01 * 0.1 * w, rel=1e-14)
        params = one(w)
        _, grads = penalties.l2(params, 0.1)
        adam.step(params, grads, adam.init(params), lr=0.01)
        assert params["w"] == pytest.approx(w - 0.01 * math.copysign(1, w), rel=1e-6)


def test_decay_takes_its_share_of_the_weight_before_the_step():
    params = one(1.0)
    adamw.step(params, one(1.0), adamw.init(params), lr=0.1, eps=0.0, weight_decay=0.5)
    assert params["w"] == pytest.approx(1.0 * (1 - 0.05) - 0.1, rel=1e-14)      # after it: (1 - 0.1) * 0.95 = 0.855


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place_in_its_dtype_and_gradients_unchanged(name, dtype):
    optimizer = ALL[name]
    params, grads = problem(np.random.default_rng(2), dtype)
    arrays, copies = dict(params), [{k: g.copy() for k, g in gs.items()} for gs in grads]
    before = {k: w.copy() for k, w in params.items()}
    state = optimizer.init(params)
    for g in grads:
        optimizer.step(params, g, state, np.float64(0.01))              # a NumPy scalar widens float32 if let
    assert state["t"] == len(grads)
    for k, w in params.items():
        assert w is arrays[k] and w.dtype == dtype and not np.array_equal(w, before[k])
        assert all(np.array_equal(g[k], c[k]) for g, c in zip(grads, copies))
    for k, a in state.items():
        assert k == "t" or a.dtype == dtype


@pytest.mark.parametrize("name", ALL)
def test_a_parameter_moves_the_same_alone_and_among_others(name):
    """Fails if t counts parameters instead of steps, or if arrays of one shape share a state."""
    optimizer = ALL[name]
    params, grads = problem(np.random.default_rng(3))
    alone = {"b.weight": params["b.weight"].copy()}
    state, state_alone = optimizer.init(params), optimizer.init(alone)
    for g in grads:
        optimizer.step(params, g, state, 0.1)
        optimizer.step(alone, {"b.weight": g["b.weight"]}, state_alone, 0.1)
    assert np.array_equal(params["b.weight"], alone["b.weight"])


@pytest.mark.parametrize("name", ALL)
def test_groups_scale_the_rate_and_the_decay(name):
    optimizer = ALL[name]
    params, grads = problem(np.random.default_rng(4))
    start = {k: w.copy() for k, w in params.items()}
    plain = {k: w.copy() for k, w in params.items()}
    groups = {"a.weight": Group(lr=0.5), "c.bias": Group(lr=0.0)}
    optimizer.step(params, grads[0], optimizer.init(params), 0.1, groups=groups)
    optimizer.step(plain, grads[0], optimizer.init(plain), 0.1)
    np.testing.assert_allclose(params["a.weight"] - start["a.weight"], 0.5 * (plain["a.weight"] - start["a.weight"]),
                               rtol=1e-10, atol=1e-14)
    assert np.array_equal(params["b.weight"], plain["b.weight"])
    assert np.array_equal(params["c.bias"], start["c.bias"])


def test_the_standard_groups_spare_biases_and_gains():
    params, _ = problem(np.random.default_rng(5))
    zeros = {k: np.zeros_like(w) for k, w in params.items()}
    start = {k: w.copy() for k, w in params.items()}
    groups = grouping.standard(params)
    adamw.step(params, zeros, adamw.init(params), 0.1, weight_decay=0.2, groups=groups)
    np.testing.assert_allclose(params["a.weight"], 0.98 * start["a.weight"], rtol=1e-14)
    assert np.array_equal(params["c.bias"], start["c.bias"])
    price, grads = penalties.l2(params, 1.0, groups)
    assert not grads["c.bias"].any() and grads["a.weight"].any()
    assert price == pytest.approx(0.5 * sum(float((params[k] ** 2).sum()) for k in ("a.weight", "b.weight")), rel=1e-13)


def test_scaled_groups():
    params, _ = problem(np.random.default_rng(6))
    groups = grouping.scaled(grouping.standard(params), "weight", lr=0.1, decay=0.5)
    assert groups == {"a.weight": Group(0.1, 0.5), "b.weight": Group(0.1, 0.5), "c.bias": Group(1.0, 0.0)}
    with pytest.raises(ValueError, match="no parameter has 'wte' in its name"):
        grouping.scaled(groups, "wte", lr=0.1)
    with pytest.raises(ValueError, match="factor decay of a group is -1"):
        grouping.scaled(groups, "a", decay=-1)


@pytest.mark.parametrize("penalty", [penalties.l1, penalties.l2])
def test_penalties_are_the_derivative_of_their_price(penalty):
    params, _ = problem(np.random.default_rng(7))
    price, grads = penalty(params, 0.3)
    h = 1e-4                                            # both are exact then: a line and a parabola
    for name, w in params.items():
        for i in np.ndindex(w.shape):
            kept = w[i]
            w[i] = kept + h
            up, _ = penalty(params, 0.3)
            w[i] = kept - h
            down, _ = penalty(params, 0.3)
            w[i] = kept
            assert grads[name][i] == pytest.approx((up - down) / (2 * h), rel=1e-8, abs=1e-10)
    assert penalties.l1(one(-2.0), 0.5)[0] == 1.0 and penalties.l2(one(-2.0), 0.5)[0] == 1.0
    assert penalties.l1(one(0.0), 0.5)[1]["w"] == 0.0


def test_penalties_add_to_the_gradient():
    params, grads = one(-2.0), one(10.0)
    assert penalties.add(params, grads, l1_strength=0.5, l2_strength=0.25) == 1.0 + 0.5
    assert grads["w"] == 10.0 - 0.5 - 0.5
    assert penalties.add(params, grads, 0.0, 0.0) == 0.0 and grads["w"] == 9.0


@pytest.mark.parametrize("name", ALL)
def test_names_and_shapes_must_fit(name):
    optimizer, params = ALL[name], {"w": np.ones(3), "b": np.ones(2)}
    state = optimizer.init(params)
    with pytest.raises(ValueError, match="no gradient for the parameter 'b'"):
        optimizer.step(params, {"w": np.ones(3)}, state, 0.1)
    with pytest.raises(ValueError, match=r"gradient of 'w' has shape \(1,\).*shape \(3,\)"):
        optimizer.step(params, {"w": np.ones(1), "b": np.ones(2)}, state, 0.1)
    with pytest.raises(ValueError, match="a gradient for 'x', but no parameter"):
        optimizer.step(params, {"w": np.ones(3), "b": np.ones(2), "x": np.ones(1)}, state, 0.1)
    assert state["t"] == 0 and np.array_equal(params["w"], np.ones(3))


@pytest.mark.parametrize("name", ALL)
def test_they_find_the_minimum_of_a_bowl(name):
    params, target = {"w": np.array([3.0, -2.0])}, np.array([0.5, 1.0])
    state = ALL[name].init(params)
    for k in range(400):
        grads = {"w": np.array([1.0, 4.0]) * (params["w"] - target)}
        ALL[name].step(params, grads, state, 0.05 * (1 - k / 400), **({"weight_decay": 0.0} if name == "adamw" else {}))
    np.testing.assert_allclose(params["w"], target, atol=1e-3)

"""Layer norm: the invariants that its derivation promises, and the definition by loops."""
import math

import numpy as np
import pytest

from nanolm.layers import layernorm

BOTH_BACKENDS = True


def draw(seed=0, shape=(2, 3, 7)):
    rng = np.random.default_rng(seed)
    C = shape[-1]
    return rng.standard_normal(shape) * 3 + 1, rng.standard_normal(C), rng.standard_normal(C), rng.standard_normal(shape)


def test_the_definition_one_number_at_a_time():
    x, weight, bias, _ = draw()
    y, _ = layernorm.forward(x, weight, bias, eps=1e-3)
    for b in range(2):
        for t in range(3):
            row = x[b, t].tolist()
            mean = sum(row) / 7
            var = sum((v - mean) ** 2 for v in row) / 7
            for c in range(7):
                assert math.isclose(y[b, t, c], (row[c] - mean) / math.sqrt(var + 1e-3) * weight[c] + bias[c], rel_tol=1e-12)


def test_output_has_zero_mean_and_unit_variance():
    x, *_ = draw()
    y, _ = layernorm.forward(x, np.ones(7), np.zeros(7), eps=1e-12)
    assert np.abs(y.mean(axis=-1)).max() < 1e-14 and np.abs(y.var(axis=-1) - 1).max() < 1e-11


def test_dx_is_blind_to_shift_and_scale():
    """Adding a constant to a token changes nothing, so dx sums to zero; scaling it (nearly) nothing, so dx . n does."""
    x, weight, bias, dy = draw()
    y, cache = layernorm.forward(x, weight, bias, eps=1e-14)
    dx, _, _ = layernorm.backward(dy, cache)
    assert np.abs(dx).max() > 0.1
    assert np.abs(dx.sum(axis=-1)).max() < 1e-13
    assert np.abs((dx * (x - x.mean(axis=-1, keepdims=True))).sum(axis=-1)).max() < 1e-12


def test_tokens_never_see_each_other():
    x, weight, bias, dy = draw()
    y, _ = layernorm.forward(x, weight, bias)
    x[0, 1] = np.nan
    z, _ = layernorm.forward(x, weight, bias)
    assert np.isnan(z[0, 1]).all()
    assert (np.delete(z.reshape(6, 7), 1, axis=0) == np.delete(y.reshape(6, 7), 1, axis=0)).all()


def test_a_constant_token_gives_the_bias():
    y, cache = layernorm.forward(np.full((1, 4), 3.0), np.ones(4), np.arange(4.0))
    assert (y == np.arange(4.0)).all()
    assert np.isfinite(layernorm.backward(np.array([[1.0, 2.0, 3.0, 5.0]]), cache)[0]).all()


def test_wrong_arguments_are_named():
    x, weight, bias, _ = draw()
    with pytest.raises(ValueError, match=r"weight must have the shape \(7,\)"):
        layernorm.forward(x, weight[:5], bias)
    with pytest.raises(ValueError, match=r"bias must have the shape \(7,\)"):
        layernorm.forward(x, weight, bias[:, None])
    with pytest.raises(TypeError, match="x holds float64 but weight holds float32"):
        layernorm.forward(x, weight.astype(np.float32), bias)
    with pytest.raises(TypeError, match="x must hold float32 or float64, but it holds int64"):
        layernorm.forward(np.ones((2, 7), np.int64), weight, bias)


def test_a_numpy_eps_does_not_widen_float32():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y, cache = layernorm.forward(x, x[0], x[1], eps=np.float64(1e-5))
    assert y.dtype == np.float32 and all(g.dtype == np.float32 for g in layernorm.backward(y, cache))

"""RMS norm: the definition by loops, what its derivation promises, and layer norm as a special case."""
import math

import numpy as np
import pytest

from nanolm.layers import layernorm, rmsnorm

BOTH_BACKENDS = True


def draw(seed=0, shape=(2, 3, 7)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * 3 + 1, rng.standard_normal(shape[-1]), rng.standard_normal(shape)


def test_the_definition_one_number_at_a_time():
    x, weight, _ = draw()
    y, _ = rmsnorm.forward(x, weight, eps=1e-3)
    for b in range(2):
        for t in range(3):
            row = x[b, t].tolist()
            size = math.sqrt(sum(v * v for v in row) / 7 + 1e-3)
            for c in range(7):
                assert math.isclose(y[b, t, c], row[c] / size * weight[c], rel_tol=1e-12)


def test_every_token_gets_the_length_sqrt_C():
    x, *_ = draw()
    y, _ = rmsnorm.forward(x, np.ones(7), eps=0)
    np.testing.assert_allclose((y * y).sum(axis=-1), 7, rtol=1e-13)


def test_it_is_layer_norm_where_the_mean_is_zero():
    """Of x with mean zero. dx differs: layer norm's has no part along (1, ..., 1)."""
    x, weight, dy = draw()
    x = x - x.mean(axis=-1, keepdims=True)
    y, cache = rmsnorm.forward(x, weight)
    z, c_layer = layernorm.forward(x, weight, np.zeros(7))
    np.testing.assert_allclose(y, z, rtol=1e-12, atol=1e-13)
    dx, dweight = rmsnorm.backward(dy, cache)
    dz, dweight_layer, _ = layernorm.backward(dy, c_layer)
    np.testing.assert_allclose(dx - dx.mean(axis=-1, keepdims=True), dz, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dweight, dweight_layer, rtol=1e-12)
    assert np.abs(dx.mean(axis=-1)).max() > 0.01


def test_dx_is_blind_to_scale():
    x, weight, dy = draw()
    _, cache = rmsnorm.forward(x, weight, eps=0)
    dx, _ = rmsnorm.backward(dy, cache)
    assert np.abs(dx).max() > 0.1 and np.abs((dx * x).sum(axis=-1)).max() < 1e-13


def test_tokens_never_see_each_other():
    x, weight, _ = draw()
    y, _ = rmsnorm.forward(x, weight)
    x[0, 1] = np.nan
    z, _ = rmsnorm.forward(x, weight)
    assert np.isnan(z[0, 1]).all()
    assert (np.delete(z.reshape(6, 7), 1, axis=0) == np.delete(y.reshape(6, 7), 1, axis=0)).all()


def test_wrong_arguments_are_named():
    x, weight, _ = draw()
    with pytest.raises(ValueError, match=r"weight must have the shape \(7,\)"):
        rmsnorm.forward(x, weight[:5])
    with pytest.raises(TypeError, match="x holds float64 but weight holds float32"):
        rmsnorm.forward(x, weight.astype(np.float32))
    with pytest.raises(ValueError, match="eps must be at least 0"):
        rmsnorm.forward(x, weight, eps=-1)

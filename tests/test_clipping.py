"""Clipping by global norm: one norm, one factor, both regimes, and numbers that are none."""
import math

import numpy as np
import pytest

from nanolm.training import clipping

BOTH_BACKENDS = True


def gradients():
    return {"a": np.array([[3.0, 0.0]]), "b": np.array([4.0]), "c": np.array([12.0, 0.0, 0.0])}      # norm 13


def test_the_norm_is_that_of_all_tensors_together():
    assert clipping.global_norm(gradients()) == 13.0


def test_too_long_is_shortened_with_one_factor():
    grads = gradients()
    assert clipping.clip(grads, 1.3) == 13.0
    for name, g in gradients().items():
        np.testing.assert_allclose(grads[name], 0.1 * g, rtol=1e-14)
    assert clipping.global_norm(grads) == pytest.approx(1.3, rel=1e-14)


@pytest.mark.parametrize("limit", [13.0, 20.0, math.inf])
def test_short_enough_is_left_alone(limit):
    grads = gradients()
    assert clipping.clip(grads, limit) == 13.0
    assert all(np.array_equal(grads[name], g) for name, g in gradients().items())


def test_in_place_and_in_float32():
    g = np.full((50, 7), 2.0, np.float32)
    grads = {"w": g}
    assert clipping.clip(grads, 1.0) == pytest.approx(2 * math.sqrt(350), rel=1e-12)
    assert grads["w"] is g and g.dtype == np.float32
    assert clipping.global_norm(grads) == pytest.approx(1.0, rel=1e-6)


def test_a_tied_matrix_counts_once_and_is_scaled_once():
    g = np.array([3.0, 4.0])
    grads = {"wte.weight": g, "lm_head.weight": g}
    assert clipping.clip(grads, 1.0) == 5.0
    np.testing.assert_allclose(g, [0.6, 0.8], rtol=1e-14)


def test_large_float32_numbers_do_not_overflow():
    grads = {"w": np.array([3e30, 4e30], np.float32)}
    assert clipping.clip(grads, 1.0) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(grads["w"], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_reported_and_not_spread(bad):
    grads = {"a": np.array([1.0, bad]), "b": np.array([100.0])}
    assert not math.isfinite(clipping.clip(grads, 1.0))
    assert grads["b"] == 100.0 and grads["a"][0] == 1.0


def test_the_order_of_memory_does_not_matter():
    g = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    grads = {"w": g}
    assert clipping.clip(grads, 1.0) == pytest.approx(math.sqrt(55), rel=1e-15)
    np.testing.assert_allclose(g, np.arange(6.0).reshape(2, 3) / math.sqrt(55), rtol=1e-14)


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_the_limit_must_be_positive(limit):
    with pytest.raises(ValueError, match="max_norm is .* must be positive"):
        clipping.clip(gradients(), limit)

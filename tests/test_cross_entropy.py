"""Cross-entropy: the definition, extreme logits, ignored targets, label smoothing."""
import math

import numpy as np
import pytest

from nanolm.layers import cross_entropy, softmax

BOTH_BACKENDS = True


def test_uniform_logits_cost_ln_v():
    loss, _ = cross_entropy.forward(np.zeros((2, 3, 50)), np.full((2, 3), 7))
    assert math.isclose(loss, math.log(50), rel_tol=1e-14)


def test_the_definition_with_smoothing():
    rng = np.random.default_rng(0)
    z, targets = rng.standard_normal((4, 5)), np.array([0, 4, 2, 2])
    p = softmax.forward(z)[0]
    for s in (0.0, 0.2):
        q = np.full((4, 5), s / 5)
        q[np.arange(4), targets] += 1 - s
        loss, cache = cross_entropy.forward(z, targets, label_smoothing=s)
        assert math.isclose(loss, -(q * np.log(p)).sum() / 4, rel_tol=1e-13)
        np.testing.assert_allclose(cross_entropy.backward(2.5, cache), 2.5 * (p - q) / 4, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_stay_finite(dtype):
    z = np.array([[1e4, 0.0, -1e4]], dtype=dtype)
    for target, expected in ((0, 0.0), (1, 1e4), (2, 2e4)):
        loss, cache = cross_entropy.forward(z, np.array([target]))
        assert loss == expected and loss.dtype == dtype
        dz = cross_entropy.backward(1.0, cache)
        assert np.isfinite(dz).all() and dz.dtype == dtype and abs(dz.sum()) < 1e-6


def test_minus_infinity_is_a_probability_of_zero():
    loss, cache = cross_entropy.forward(np.array([[0.0, -np.inf, 0.0]]), np.array([0]))
    assert math.isclose(loss, math.log(2)) and np.allclose(cross_entropy.backward(1.0, cache), [[-0.5, 0, 0.5]])


def test_ignored_targets_count_nowhere():
    rng = np.random.default_rng(1)
    z, targets = rng.standard_normal((2, 3, 5)), np.array([[1, -100, 2], [-100, 0, 0]])
    loss, cache = cross_entropy.forward(z, targets)
    kept = targets != -100
    alone, c_alone = cross_entropy.forward(z[kept], targets[kept])
    dz = cross_entropy.backward(1.0, cache)
    assert loss == alone and (dz[~kept] == 0).all() and np.array_equal(dz[kept], cross_entropy.backward(1.0, c_alone))
    z[~kept] = np.nan                                           # not even a NaN may leak from there
    with np.errstate(invalid="ignore"):
        assert cross_entropy.forward(z, targets)[0] == loss


def test_nothing_counts():
    loss, cache = cross_entropy.forward(np.ones((2, 3)), np.full(2, -100))
    assert loss == 0 and (cross_entropy.backward(1.0, cache) == 0).all()


def test_wrong_targets_are_named():
    z = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"targets\[1\] is 3"):
        cross_entropy.forward(z, np.array([0, 3]))
    with pytest.raises(ValueError, match=r"targets\[0\] is -1"):
        cross_entropy.forward(z, np.array([-1, 2]))
    with pytest.raises(ValueError, match=r"targets must have the shape \(2,\)"):
        cross_entropy.forward(z, np.array([[0, 1]]))
    with pytest.raises(TypeError, match="targets must be a NumPy array of integers"):
        cross_entropy.forward(z, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="label_smoothing must be at least 0 and below 1"):
        cross_entropy.forward(z, np.array([0, 1]), label_smoothing=1.0)


@pytest.mark.parametrize("shift", [-100, 1000])
def test_large_logits_cost_no_digits(shift):
    """GPT-2's logits lie around -100. In float32, lse = largest + log_sum would be rounded to 4e-6 of the probabilities."""
    rng = np.random.default_rng(0)
    z = (3 * rng.standard_normal((64, 50)) + shift).astype(np.float32)
    targets = z.argmax(axis=-1)                                             # what is believed comes: a small loss
    loss, cache = cross_entropy.forward(z, targets)
    exact, exact_cache = cross_entropy.forward(z.astype(np.float64), targets)
    assert loss.dtype == np.float32 and abs(loss - exact) < 3e-7 * exact
    dz, exact_dz = cross_entropy.backward(1.0, cache), cross_entropy.backward(1.0, exact_cache)
    assert np.linalg.norm(dz - exact_dz) < 3e-7 * np.linalg.norm(exact_dz)

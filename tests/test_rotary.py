"""Rotary positions: a rotation, by the definition; only differences of positions count; and the way back."""
import math

import numpy as np
import pytest

from nanolm.layers import rotary

BOTH_BACKENDS = True


def test_the_definition_pair_by_pair():
    x = np.random.default_rng(0).standard_normal((2, 3, 6))
    y, _ = rotary.forward(x, base=50.0, offset=4)
    for b in range(2):
        for t in range(3):
            for i in range(3):
                angle = (4 + t) * 50.0 ** (-2 * i / 6)
                turned = complex(x[b, t, i], x[b, t, i + 3]) * complex(math.cos(angle), math.sin(angle))
                assert math.isclose(y[b, t, i], turned.real, rel_tol=1e-12, abs_tol=1e-13)
                assert math.isclose(y[b, t, i + 3], turned.imag, rel_tol=1e-12, abs_tol=1e-13)


def test_only_the_distance_counts():
    rng = np.random.default_rng(1)
    q, k = rng.standard_normal((1, 8)), rng.standard_normal((1, 8))

    def score(t, s):
        return (rotary.forward(q, 100.0, t)[0] * rotary.forward(k, 100.0, s)[0]).sum()

    for t, s in ((5, 2), (3, 0), (1003, 1000)):
        assert math.isclose(score(t, s), score(13, 10), rel_tol=1e-11)
    assert not math.isclose(score(5, 2), score(5, 3), rel_tol=1e-3)
    assert math.isclose(score(7, 7), (q * k).sum(), rel_tol=1e-12), "no distance, no turn"


def test_lengths_stay_and_backward_is_the_way_back():
    x = np.random.default_rng(2).standard_normal((2, 3, 5, 4))
    y, cache = rotary.forward(x, offset=9)
    np.testing.assert_allclose((y * y).sum(-1), (x * x).sum(-1), rtol=1e-13)
    np.testing.assert_allclose(rotary.backward(y, cache), x, rtol=1e-12, atol=1e-13)     # R^T = R^-1
    assert np.abs(y - x).max() > 0.5


def test_a_text_in_pieces_is_turned_like_the_whole():
    x = np.random.default_rng(3).standard_normal((2, 7, 4))
    whole, _ = rotary.forward(x)
    pieces = [rotary.forward(x[:, a:b], offset=a)[0] for a, b in ((0, 3), (3, 4), (4, 7))]
    assert np.array_equal(np.concatenate(pieces, axis=1), whole)


def test_float32_angles_are_exact_far_into_a_text():
    """Angles are computed in float64: in float32, position 100,000 would be off by thousandths of a radian."""
    x = np.ones((1, 4), np.float32)
    y, _ = rotary.forward(x, offset=100_003)
    exact, _ = rotary.forward(x.astype(np.float64), offset=100_003)
    assert y.dtype == np.float32 and np.abs(y - exact).max() < 2e-7


def test_wrong_arguments_are_named():
    x = np.zeros((3, 4))
    with pytest.raises(ValueError, match="even number of channels, because they are turned in pairs, but it has 3"):
        rotary.forward(x[:, :3])
    with pytest.raises(ValueError, match="base must be above 0, but it is -1"):
        rotary.forward(x, base=-1)
    with pytest.raises(ValueError, match="offset must be at least 0"):
        rotary.forward(x, offset=-1)
    with pytest.raises(ValueError, match="at least 2 axes"):
        rotary.forward(x[0])

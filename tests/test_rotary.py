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


def test_scaled_frequencies_by_the_definition():
    """Each pair by itself, in the three cases of the published code: it went round often, hardly, or in between."""
    D, base, factor, low, high, length = 16, 100.0, 8.0, 1.0, 4.0, 60
    w, kinds = rotary.frequencies(D, base), set()
    scaled = rotary.frequencies(D, base, ("llama3", factor, low, high, length))
    for i in range(D // 2):
        assert math.isclose(w[i], base ** (-2 * i / D))
        wavelength = 2 * math.pi / w[i]
        if wavelength < length / high:
            kind, expected = "often", w[i]
        elif wavelength > length / low:
            kind, expected = "hardly", w[i] / factor
        else:
            smooth = (length / wavelength - low) / (high - low)
            kind, expected = "between", (1 - smooth) * w[i] / factor + smooth * w[i]
        kinds.add(kind)
        assert math.isclose(scaled[i], expected, rel_tol=1e-12), (i, kind)
    assert kinds == {"often", "hardly", "between"}
    np.testing.assert_allclose(rotary.frequencies(D, base, ("linear", 4)), w / 4, rtol=1e-15)


def test_scaled_positions_are_turned_by_the_scaled_frequencies():
    x = np.random.default_rng(4).standard_normal((1, 5, 6))
    y, cache = rotary.forward(x, 50.0, 8, ("linear", 4.0))
    np.testing.assert_allclose(y[:, ::4], np.concatenate([rotary.forward(x[:, :1], 50.0, 2)[0], rotary.forward(x[:, 4:], 50.0, 3)[0]], 1),
                               rtol=1e-13)                                  # place 8 is now where place 2 was
    np.testing.assert_allclose(rotary.backward(y, cache), x, rtol=1e-12, atol=1e-13)
    z, _ = rotary.forward(x, 50.0, 8, ("llama3", 8.0, 0.1, 0.4, 10))
    assert np.abs(z - y).max() > 0.1 and np.abs(z - rotary.forward(x, 50.0, 8)[0]).max() > 0.1


@pytest.mark.parametrize("scaling, error, words", [
    (("yarn", 2.0), ValueError, "scaling must be None,"), (["linear", 2.0], ValueError, "scaling must be None,"), ("linear", ValueError, "scaling must be None,"),
    (("llama3", 2.0), ValueError, "scaling must be None,"), (("linear", 0.0), ValueError, "factor must be above 0, but it is 0"),
    (("linear", float("nan")), ValueError, "factor must be above 0"), (("linear", "2"), TypeError, "factor must be a number"),
    (("llama3", 8.0, 4.0, 1.0, 8192), ValueError, "low must be below its high, but they are 4.0 and 1.0"),
    (("llama3", 8.0, 1.0, 4.0, -1), ValueError, "length must be above 0")])
def test_wrong_scalings_are_named(scaling, error, words):
    with pytest.raises(error, match=words):
        rotary.forward(np.zeros((3, 4)), scaling=scaling)

"""Dropout: off without a generator, right on average with one, the same mask going back."""
import numpy as np
import pytest

from nanolm.layers import dropout

BOTH_BACKENDS = True


def test_off_is_the_identity():
    x = np.random.default_rng(0).standard_normal((3, 4))
    for rate, rng in ((0.5, None), (0.0, np.random.default_rng(1))):
        y, cache = dropout.forward(x, rate, rng)
        assert y is x and dropout.backward(x, cache) is x


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_dropped_and_mean_kept(rate):
    x = np.ones((400, 500), np.float32)
    y, cache = dropout.forward(x, rate, np.random.default_rng(2))
    assert y.dtype == np.float32
    deviation = np.sqrt(rate * (1 - rate) / x.size)                 # of the dropped share, binomial
    assert abs((y == 0).mean() - rate) < 5 * deviation
    assert abs(y.mean() - 1) < 5 * deviation / (1 - rate)
    dx = dropout.backward(x, cache)
    assert np.array_equal(dx, y), "the mask going back must be forward's, and scaled like it"


def test_one_seed_one_mask():
    x = np.ones((5, 6))
    first, second, other = (dropout.forward(x, 0.3, np.random.default_rng(seed))[0] for seed in (7, 7, 8))
    assert np.array_equal(first, second) and not np.array_equal(first, other)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="rate must be at least 0 and below 1"):
        dropout.forward(np.ones(3), 1.0, None)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator or None, but it is a int"):
        dropout.forward(np.ones(3), 0.5, 42)

"""Softmax: what the definition promises, at the edges too."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanolm.layers import softmax

SCORES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.floats(-700, 700))


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_shares_are_positive_add_up_to_one_and_ignore_a_shift(x):
    y, cache = softmax.forward(x)
    assert (y >= 0).all() and np.allclose(y.sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax.forward(x + 3.0)[0], y, rtol=1e-11, atol=1e-300)
    dx = softmax.backward(np.random.default_rng(0).standard_normal(x.shape), cache)
    assert np.abs(dx.sum(axis=-1)).max() < 1e-14


def test_three_scores_by_hand():
    y, _ = softmax.forward(np.array([2.0, 1.0, 0.0]))
    e = np.e
    np.testing.assert_allclose(y, np.array([e * e, e, 1]) / (e * e + e + 1), rtol=1e-15)


def test_large_scores_do_not_overflow():
    y, _ = softmax.forward(np.array([1e5, 1e5 - 1.0], dtype=np.float32))
    assert y.dtype == np.float32 and np.isclose(y[0], 1 / (1 + np.exp(-1)), rtol=1e-6)


def test_a_row_of_minus_infinity_gives_zeros_and_zero_gradients():
    x = np.array([[0.0, -np.inf, 1.0], [-np.inf, -np.inf, -np.inf]])
    y, cache = softmax.forward(x)
    assert y[0, 1] == 0 and (y[1] == 0).all() and np.isclose(y[0].sum(), 1)
    dx = softmax.backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), cache)
    assert (dx[1] == 0).all() and dx[0, 1] == 0 and dx[0, 0] < 0 < dx[0, 2]


def test_nan_stays_in_its_row():
    y, _ = softmax.forward(np.array([[np.nan, 1.0], [0.0, 0.0]]))
    assert np.isnan(y[0]).all() and (y[1] == 0.5).all()

"""ReLU: the definition, the corner, NaN and infinity; and the MLP that takes it in the place of GELU."""
import numpy as np
import pytest

from nanolm.layers import mlp, relu

BOTH_BACKENDS = True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_slopes(dtype):
    x = np.array([-np.inf, -3, -1e-30, -0.0, 0.0, 1e-30, 2, np.inf], dtype)
    y, cache = relu.forward(x)
    assert y.dtype == dtype and np.array_equal(y, np.array([0, 0, 0, 0, 0, 1e-30, 2, np.inf], dtype))
    assert np.array_equal(relu.backward(np.arange(1, 9).astype(dtype), cache), np.array([0, 0, 0, 0, 0, 6, 7, 8], dtype))
    assert relu.backward(y[:0], relu.forward(x[:0])[1]).shape == (0,)


def test_nan_is_not_hidden():
    y, _ = relu.forward(np.array([np.nan, 1.0]))
    assert np.isnan(y[0]) and y[1] == 1


def test_mlp_with_relu_is_the_definition():
    rng = np.random.default_rng(0)
    x, w1, b1, w2, b2 = (rng.standard_normal(shape) for shape in ((2, 3, 4), (4, 7), 7, (7, 4), 4))
    p = {"c_fc": {"weight": w1, "bias": b1}, "c_proj": {"weight": w2, "bias": b2}}
    u = x @ w1 + b1
    y, cache = mlp.forward(x, p, "relu")
    np.testing.assert_allclose(y, (u * (u > 0)) @ w2 + b2, rtol=1e-12, atol=1e-13)
    dx, dp = mlp.backward(np.ones_like(y), cache)
    dead = (u <= 0).all(axis=(0, 1))
    assert (dp["c_fc"]["weight"][:, dead] == 0).all() and (dp["c_fc"]["weight"][:, ~dead] != 0).all()
    np.testing.assert_allclose(dx, ((w2.sum(axis=1) * (u > 0)) @ w1.T), rtol=1e-12, atol=1e-13)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="x must hold float32 or float64, but it holds int64"):
        relu.forward(np.array([1, 2]))
    with pytest.raises(ValueError, match="in an MLP also \"relu\", but it is 'rely'"):
        mlp.forward(np.zeros((1, 1)), {"c_fc": {"weight": np.zeros((1, 1)), "bias": np.zeros(1)},
                                       "c_proj": {"weight": np.zeros((1, 1)), "bias": np.zeros(1)}}, "rely")

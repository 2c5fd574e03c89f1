"""Attention and its masks: the definition by loops, and the probes for what no gradient check can see."""
import math

import numpy as np
import pytest

from nanolm.layers import attention, masks

BOTH_BACKENDS = True


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_definition_one_query_at_a_time():
    q, k, v = draw(4, 3, seed=1), draw(5, 3, seed=2), draw(5, 2, seed=3)
    mask = np.random.default_rng(4).random((4, 5)) < 0.6
    mask[2] = False
    y, _ = attention.forward(q, k, v, mask)
    for i in range(4):
        terms = [(math.exp(sum(q[i] * k[j]) / math.sqrt(3)), v[j]) for j in range(5) if mask[i, j]]
        total = sum(e for e, _ in terms)
        expected = sum((e / total * value for e, value in terms), np.zeros(2))
        np.testing.assert_allclose(y[i], expected, rtol=1e-12, atol=1e-15)


def test_causal_no_token_reads_the_future():
    q, k, v = draw(2, 6, 4, seed=1), draw(2, 6, 4, seed=2), draw(2, 6, 4, seed=3)
    y, _ = attention.forward(q, k, v, masks.causal(6))
    for t in range(6):
        k2, v2 = k.copy(), v.copy()
        k2[:, t:], v2[:, t:] = draw(2, 6 - t, 4, seed=9), draw(2, 6 - t, 4, seed=10)
        z, _ = attention.forward(q, k2, v2, masks.causal(6))
        assert np.array_equal(z[:, :t], y[:, :t]), "an output moved when only later tokens changed"
        assert (z[:, t] != y[:, t]).any(), "a token must see itself"


def test_padding_never_moves_anything():
    q, k, v = draw(2, 1, 3, 4, seed=1), draw(2, 1, 5, 4, seed=2), draw(2, 1, 5, 4, seed=3)
    mask = masks.padding([2, 5], 5)
    y, _ = attention.forward(q, k, v, mask)
    k[0, :, 2:], v[0, :, 2:] = 1e6, -1e6
    assert np.array_equal(attention.forward(q, k, v, mask)[0], y)
    short, _ = attention.forward(q[:1], k[:1, :, :2], v[:1, :, :2])
    np.testing.assert_allclose(y[:1], short, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_query_that_may_attend_to_nothing_gives_zeros(dtype):
    q, k, v = (draw(3, 4, seed=s).astype(dtype) for s in (1, 2, 3))
    mask = np.array([[True, False, False], [False, False, False], [True, True, True]])
    y, cache = attention.forward(q, k, v, mask)
    assert (y[1] == 0).all() and (y[[0, 2]] != 0).all() and y.dtype == dtype
    dq, dk, dv = attention.backward(np.ones_like(y) * 2, cache)
    assert (dq[1] == 0).all() and all(np.isfinite(d).all() and d.dtype == dtype for d in (dq, dk, dv))


def test_unit_queries_and_keys_give_scores_of_unit_variance():
    """Seen through the layer alone: with values = identity, y is P, and log P differs from the scores by a row constant."""
    D = 64
    q, k = draw(400, D, seed=1), draw(300, D, seed=2)
    P, _ = attention.forward(q, k, np.eye(300))
    scores = np.log(P)
    variance = (scores - scores.mean(axis=-1, keepdims=True)).var()
    assert abs(variance - 1) < 0.1, "scores must be divided by sqrt(D)"


def test_weights_add_up_to_one_after_masking():
    P, _ = attention.forward(draw(6, 4, seed=1), draw(6, 4, seed=2), np.eye(6), masks.causal(6))
    np.testing.assert_allclose(P.sum(axis=-1), 1, rtol=1e-14)
    assert (np.triu(P, 1) == 0).all()


def test_dropout_drops_weights_and_keeps_the_mean():
    q, k, v = draw(50, 4, seed=1), draw(60, 4, seed=2), np.eye(60)
    P, _ = attention.forward(q, k, v)
    dropped, _ = attention.forward(q, k, v, dropout=0.5, rng=np.random.default_rng(0))
    share = (dropped == 0).mean()
    assert 0.45 < share < 0.55
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * P[kept], rtol=1e-14)


def test_causal_mask_for_the_last_queries_only():
    assert np.array_equal(masks.causal(3), np.tril(np.ones((3, 3), bool)))
    assert np.array_equal(masks.causal(2, 5), np.tril(np.ones((5, 5), bool))[3:])


def test_wrong_arguments_are_named():
    q, k, v = draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 4)
    with pytest.raises(ValueError, match=r"k must have the shape \(2, 5, 4\)"):
        attention.forward(q, draw(2, 5, 3), v)
    with pytest.raises(ValueError, match=r"v must have the shape \(2, 5, 4\)"):
        attention.forward(q, k, draw(2, 6, 4))
    with pytest.raises(TypeError, match="mask must be a NumPy array of booleans"):
        attention.forward(q, k, v, np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"mask must broadcast to the scores' shape \(..., T, S\) = \(2, 3, 5\)"):
        attention.forward(q, k, v, np.ones((5, 3), bool))
    with pytest.raises(ValueError, match="S, the number of keys, must be at least T = 4"):
        masks.causal(4, 3)
    with pytest.raises(ValueError, match="lengths must lie between 0 and S = 3"):
        masks.padding([4], 3)
    with pytest.raises(TypeError, match="lengths must be a list of integers"):
        masks.padding([1.5], 3)

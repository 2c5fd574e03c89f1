"""Multi-head attention: the heads are cut where the definition says, which no gradient check can see."""
import numpy as np
import pytest

from nanolm.layers import attention, masks, multihead

BOTH_BACKENDS = True


def draw(C=6, seed=0):
    rng = np.random.default_rng(seed)
    return {"c_attn": {"weight": rng.standard_normal((C, 3 * C)), "bias": rng.standard_normal(3 * C)},
            "c_proj": {"weight": rng.standard_normal((C, C)), "bias": rng.standard_normal(C)}}


def test_each_head_is_attention_on_its_own_channels():
    p, x = draw(), np.random.default_rng(1).standard_normal((2, 5, 6))
    y, _ = multihead.forward(x, p, 3, masks.causal(5))
    packed = x @ p["c_attn"]["weight"] + p["c_attn"]["bias"]
    q, k, v = packed[..., :6], packed[..., 6:12], packed[..., 12:]
    heads = [attention.forward(q[..., 2 * h:2 * h + 2], k[..., 2 * h:2 * h + 2], v[..., 2 * h:2 * h + 2], masks.causal(5))[0]
             for h in range(3)]
    expected = np.concatenate(heads, axis=-1) @ p["c_proj"]["weight"] + p["c_proj"]["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


def test_the_first_token_attends_to_itself_alone():
    """With a causal mask the first output is its own value, projected; heads cut by a bare reshape fail this."""
    p, x = draw(), np.random.default_rng(1).standard_normal((2, 5, 6))
    y, _ = multihead.forward(x, p, 3, masks.causal(5))
    v = x[:, 0] @ p["c_attn"]["weight"][:, 12:] + p["c_attn"]["bias"][12:]
    np.testing.assert_allclose(y[:, 0], v @ p["c_proj"]["weight"] + p["c_proj"]["bias"], rtol=1e-12)


def test_without_a_mask_permuted_tokens_give_permuted_outputs():
    p, x = draw(), np.random.default_rng(1).standard_normal((2, 5, 6))
    order = [3, 0, 4, 1, 2]
    np.testing.assert_allclose(multihead.forward(x[:, order], p, 2)[0], multihead.forward(x, p, 2)[0][:, order], rtol=1e-11)


def test_memory_equal_to_x_is_self_attention():
    p, x = draw(), np.random.default_rng(1).standard_normal((2, 5, 6))
    dy = np.random.default_rng(2).standard_normal((2, 5, 6))
    y, c_self = multihead.forward(x, p, 2)
    z, c_cross = multihead.forward(x, p, 2, memory=x)
    np.testing.assert_allclose(z, y, rtol=1e-13)
    dx, dp = multihead.backward(dy, c_self)
    dx_q, dmemory, dp_cross = multihead.backward(dy, c_cross)
    np.testing.assert_allclose(dx_q + dmemory, dx, rtol=1e-11)
    np.testing.assert_allclose(dp_cross["c_attn"]["weight"], dp["c_attn"]["weight"], rtol=1e-11)


def test_split_and_merge_undo_each_other():
    x = np.arange(24.0).reshape(1, 4, 6)
    heads = multihead.split(x, 2)
    assert heads.shape == (1, 2, 4, 3) and heads[0, 1, 2].tolist() == x[0, 2, 3:].tolist()
    assert np.array_equal(multihead.merge(heads), x)


def test_wrong_arguments_are_named():
    p, x = draw(), np.zeros((2, 5, 6))
    with pytest.raises(ValueError, match="n_head must divide the number of channels C = 6, but it is 4"):
        multihead.forward(x, p, 4)
    with pytest.raises(ValueError, match=r"x must have the shape \(B, T, C\)"):
        multihead.forward(x[0], p, 2)
    with pytest.raises(ValueError, match=r"memory must have the shape \(B, S, C\) = \(2, S, 6\)"):
        multihead.forward(x, p, 2, memory=np.zeros((3, 4, 6)))
    with pytest.raises(ValueError, match="missing: c_proj, not known: proj"):
        multihead.forward(x, {"c_attn": p["c_attn"], "proj": p["c_proj"]}, 2)

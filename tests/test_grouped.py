"""Grouped-query attention: multi-head attention as a special case, who shares with whom, and probes."""
import numpy as np
import pytest

from nanolm.gradcheck import cases
from nanolm.layers import grouped, masks, multihead

BOTH_BACKENDS = True


def draw(C=6, H=4, G=2, D=4, B=2, T=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, T, C)), cases.groups(rng, C, H * D, G * D)


def test_one_position_is_multihead_attention():
    """T = 1, so that no distance turns anything, and G = H."""
    x, p = draw(C=8, H=2, G=2, D=4, T=1)
    packed = np.concatenate([p[name]["weight"] for name in ("q_proj", "k_proj", "v_proj")], axis=1)
    same = {"c_attn": {"weight": packed, "bias": np.zeros(24)}, "c_proj": {"weight": p["o_proj"]["weight"], "bias": np.zeros(8)}}
    np.testing.assert_allclose(grouped.forward(x, p, 2, 2)[0], multihead.forward(x, same, 2)[0], rtol=1e-12, atol=1e-12)


def test_sharing_is_copying_the_keys():
    """G = 2 of H = 4 is G = 4 whose key and value matrices hold each head twice."""
    x, p = draw()
    y, _ = grouped.forward(x, p, 4, 2, masks.causal(5))

    def twice(weight):
        return {"weight": np.repeat(weight.reshape(6, 2, 4), 2, axis=1).reshape(6, 16)}
    full = {**p, "k_proj": twice(p["k_proj"]["weight"]), "v_proj": twice(p["v_proj"]["weight"])}
    np.testing.assert_allclose(grouped.forward(x, full, 4, 4, masks.causal(5))[0], y, rtol=1e-12, atol=1e-12)


def test_a_key_serves_its_own_group_only():
    x, p = draw()
    rng = np.random.default_rng(1)
    wide = {**p, "o_proj": {"weight": np.eye(16, 6)}}
    y, _ = grouped.forward(x, wide, 4, 2)                          # head 0 and half of head 1: group 0
    moved = {**wide, "v_proj": {"weight": wide["v_proj"]["weight"].copy()}}
    moved["v_proj"]["weight"][:, 4:] += rng.standard_normal((6, 4))
    assert np.array_equal(grouped.forward(x, moved, 4, 2)[0], y), "the values of group 1 reach heads 2 and 3 alone"
    moved["v_proj"]["weight"][:, :4] += rng.standard_normal((6, 4))
    assert not np.allclose(grouped.forward(x, moved, 4, 2)[0], y)


def test_shared_and_summed_are_each_others_backward():
    rng = np.random.default_rng(2)
    kv, d = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((2, 6, 5, 4))
    assert np.isclose((grouped.shared(kv, 6) * d).sum(), (kv * grouped.summed(d, 3)).sum(), rtol=1e-12)


def test_no_token_reads_the_future_and_only_distances_count():
    x, p = draw()
    y, _ = grouped.forward(x, p, 4, 2, masks.causal(5))
    changed = x.copy()
    changed[:, 3:] += 1
    z, _ = grouped.forward(changed, p, 4, 2, masks.causal(5))
    np.testing.assert_allclose(z[:, :3], y[:, :3], rtol=1e-12)
    assert np.abs(z[:, 3:] - y[:, 3:]).min() > 1e-6
    np.testing.assert_allclose(grouped.forward(x, p, 4, 2, masks.causal(5), offset=11)[0], y, rtol=1e-9, atol=1e-10)
    turned = grouped.forward(x[:, ::-1].copy(), p, 4, 2)[0][:, ::-1]
    assert np.abs(turned - grouped.forward(x, p, 4, 2)[0]).max() > 0.01, "the order of the tokens matters"


def test_wrong_arguments_are_named():
    x, p = draw()
    with pytest.raises(ValueError, match="n_kv_head must divide n_head, .* but 4 / 3 is not whole"):
        grouped.forward(x, p, 4, 3)
    with pytest.raises(ValueError, match=r"k_proj weight must have the shape \(6, 16\), 4 heads of 4 channels"):
        grouped.forward(x, p, 4, 4)
    with pytest.raises(ValueError, match="n_head = 3 heads as many channels, but it gives 16"):
        grouped.forward(x, p, 3, 1)
    with pytest.raises(ValueError, match=r"x must have the shape \(B, T, C\)"):
        grouped.forward(x[0], p, 4, 2)
    with pytest.raises(ValueError, match="four axes"):
        grouped.forward(np.concatenate([x, x]), p, 4, 2, np.ones((4, 5, 5), bool))

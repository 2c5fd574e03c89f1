"""The decoder's block: what it does, from the layers; who sees whom; memory's gradient; and its errors."""
import numpy as np
import pytest
from test_golden import CLOSE, read

from nanolm import params
from nanolm.gradcheck.draws import dense, heads, norm
from nanolm.layers import block, decoder_block, layernorm, masks, mlp, multihead

BOTH_BACKENDS = True
NORMS = pytest.mark.parametrize("form_of_norm", ["pre", "post"])


def draw(B=2, T=4, S=5, C=6, F=9, seed=0):
    rng = np.random.default_rng(seed)
    p = {"ln_1": norm(rng, C), "attn": heads(rng, C), "ln_2": norm(rng, C), "cross_attn": heads(rng, C), "ln_3": norm(rng, C),
         "mlp": {"c_fc": dense(rng, C, F), "c_proj": dense(rng, F, C)}}
    return rng.standard_normal((B, T, C)), rng.standard_normal((B, S, C)), p


def test_post_norm_is_the_papers_formula():
    x, memory, p = draw()
    y, _ = decoder_block.forward(x, memory, p, 2, masks.causal(4))
    x = layernorm.forward(x + multihead.forward(x, p["attn"], 2, masks.causal(4))[0], **p["ln_1"])[0]
    x = layernorm.forward(x + multihead.forward(x, p["cross_attn"], 2, memory=memory)[0], **p["ln_2"])[0]
    x = layernorm.forward(x + mlp.forward(x, p["mlp"], "relu")[0], **p["ln_3"])[0]
    np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-13)


def test_pre_norm_that_hears_nothing_is_block():
    """A memory of which nothing may be attended to adds cross_attn's last bias; without it the rest is block.py's block."""
    x, memory, p = draw()
    p["cross_attn"]["c_proj"]["bias"][:] = 0
    y, _ = decoder_block.forward(x, memory, p, 2, masks.causal(4), masks.padding([0, 0], 5), norm="pre")
    plain = {"ln_1": p["ln_1"], "attn": p["attn"], "ln_2": p["ln_3"], "mlp": p["mlp"]}
    np.testing.assert_allclose(y, block.forward(x, plain, 2, masks.causal(4), form="relu")[0], rtol=1e-12, atol=1e-13)


@NORMS
def test_pytorchs_decoder_layer(form_of_norm):
    """Arrays that torch.nn.TransformerDecoderLayer made, with a causal mask and a padded memory."""
    inputs, gradients, fixed, arrays = read(f"decoder_block_{form_of_norm}")
    x, memory = inputs.pop("x"), inputs.pop("memory")
    y, cache = decoder_block.forward(x, memory, params.unflatten(inputs), **fixed)
    np.testing.assert_allclose(y, arrays["out"], **CLOSE)
    dx, dmemory, dp = decoder_block.backward(arrays["up"], cache)
    got = {"x": dx, "memory": dmemory, **params.flatten(dp)}
    assert sorted(got) == sorted(gradients)
    for name in got:
        np.testing.assert_allclose(got[name], gradients[name], **CLOSE, err_msg=name)


@NORMS
def test_no_token_reads_the_future_and_every_token_reads_all_of_memory(form_of_norm):
    x, memory, p = draw()

    def run(x, memory):
        return decoder_block.forward(x, memory, p, 3, masks.causal(4), norm=form_of_norm)[0]
    y, rng = run(x, memory), np.random.default_rng(1)
    for t in range(4):
        later = x.copy()
        later[:, t] += rng.standard_normal(6)
        z = run(later, memory)
        assert np.array_equal(z[:, :t], y[:, :t]) and (z[:, t:] != y[:, t:]).any(axis=-1).all()
    for s in range(5):
        other = memory.copy()
        other[:, s] += rng.standard_normal(6)
        assert (run(x, other) != y).any(axis=-1).all()


@NORMS
def test_memory_that_is_masked_moves_nothing_and_gets_no_gradient(form_of_norm):
    x, memory, p = draw()
    mask = masks.padding([2, 5], 5)
    y, cache = decoder_block.forward(x, memory, p, 2, masks.causal(4), mask, form_of_norm)
    other = memory.copy()
    other[0, 2:] += 100
    assert np.array_equal(decoder_block.forward(x, other, p, 2, masks.causal(4), mask, form_of_norm)[0], y)
    _, dmemory, _ = decoder_block.backward(np.random.default_rng(2).standard_normal(y.shape), cache)
    assert (dmemory[0, 2:] == 0).all() and (dmemory[0, :2] != 0).all() and (dmemory[1] != 0).all()


@NORMS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_zeroes_branches_and_one_dtype_stays(form_of_norm, dtype):
    x, memory, p = draw()
    x, memory = x.astype(dtype), memory.astype(dtype)
    p = {k: {n: {m: b.astype(dtype) for m, b in a.items()} if isinstance(a, dict) else a.astype(dtype) for n, a in v.items()}
         for k, v in p.items()}
    y, cache = decoder_block.forward(x, memory, p, 2, dropout=0.5, norm=form_of_norm, rng=np.random.default_rng(0))
    dx, dmemory, dp = decoder_block.backward(y, cache)
    assert y.dtype == dx.dtype == dmemory.dtype == dp["mlp"]["c_fc"]["bias"].dtype == dtype
    assert not np.allclose(y, decoder_block.forward(x, memory, p, 2, norm=form_of_norm)[0])
    still, _ = decoder_block.forward(x, memory, p, 2, dropout=0.5, norm=form_of_norm)
    assert np.array_equal(still, decoder_block.forward(x, memory, p, 2, norm=form_of_norm)[0]), "no rng, no dropout"


def test_wrong_arguments_are_named():
    x, memory, p = draw()
    with pytest.raises(ValueError, match="norm must be \"post\" .* or \"pre\", but it is 'none'"):
        decoder_block.forward(x, memory, p, 2, norm="none")
    with pytest.raises(ValueError, match="missing: cross_attn"):
        decoder_block.forward(x, memory, {k: v for k, v in p.items() if k != "cross_attn"}, 2)
    with pytest.raises(ValueError, match=r"memory must have the shape \(B, S, C\) = \(2, S, 6\)"):
        decoder_block.forward(x, memory[:1], p, 2)
    with pytest.raises(TypeError, match="memory holds float32"):
        decoder_block.forward(x, memory.astype(np.float32), p, 2)
    with pytest.raises(TypeError, match="memory must be a NumPy array of floats, but it is None"):
        decoder_block.forward(x, None, p, 2)

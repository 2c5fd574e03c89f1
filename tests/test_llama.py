"""Llama's shape as a whole: sizes, names, initialisation, probes for what no gradient check sees, and its errors."""
import math

import numpy as np
import pytest

from nanolm import params
from nanolm.models import llama

BOTH_BACKENDS = True

CONFIG = llama.Config(vocab_size=17, block_size=8, n_layer=2, n_head=4, n_kv_head=2, n_embd=16, n_hidden=20, base=30.0)


def draw(seed=0, B=3, T=8, config=CONFIG, dtype=np.float64):
    rng = np.random.default_rng(seed)
    p = llama.init(config, rng, dtype)
    for array in params.flatten(p).values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    return p, rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.vocab_size, (B, T))


def count(config):
    return sum(math.prod(shape) for shape in params.flatten(llama.shapes(config)).values())


def test_published_sizes():
    """SmolLM2's model card, and Llama 2's with 7 billion (arXiv:2307.09288), from the shapes alone."""
    assert count(llama.Config()) == 134_515_008
    assert count(llama.Config(32000, 4096, 32, 32, 32, 4096, 11008, base=10000.0, tied=False)) == 6_738_415_616
    p = llama.init(CONFIG, np.random.default_rng(0))
    assert params.count(p) == count(CONFIG)


def test_names_are_those_of_the_published_checkpoints():
    names = list(params.flatten(llama.shapes(llama.Config(9, 8, 1, 2, 1, 8, 12, tied=False))))
    block = ["input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
             "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    assert names == [f"{n}.weight" for n in ["embed_tokens", *(f"layers.0.{n}" for n in block), "norm", "lm_head"]]


@pytest.mark.parametrize("tied", [True, False])
def test_initial_spread_and_loss(tied):
    config = llama.Config(vocab_size=500, block_size=32, n_layer=8, n_head=4, n_kv_head=2, n_embd=64, n_hidden=100, tied=tied)
    p = params.flatten(llama.init(config, np.random.default_rng(0)))
    assert {name: a.shape for name, a in p.items()} == params.flatten(llama.shapes(config))
    for name, array in p.items():
        assert array.dtype == np.float32
        if "norm" in name:
            assert (array == 1).all()
        else:
            expected = 0.02 / math.sqrt(2 * 8) if "o_proj" in name or "down_proj" in name else 0.02
            assert abs(array.std() / expected - 1) < 5 / math.sqrt(2 * array.size), name
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(0, 500, (8, 32)), rng.integers(0, 500, (8, 32))
    loss, _ = llama.forward(params.unflatten(p), ids, targets, config)
    assert abs(loss - math.log(500)) < 0.05, "a fresh model knows nothing: its loss is ln V"


def test_no_token_reads_the_future():
    p, ids, _ = draw()
    z = llama.logits(p, ids, CONFIG)
    for t in range(1, 8):
        changed = ids.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 17
        y = llama.logits(p, changed, CONFIG)
        assert np.array_equal(y[:, :t], z[:, :t]) and (y[:, t:] != z[:, t:]).all()


def test_sequences_never_mix_and_positions_matter():
    p, ids, _ = draw()
    z = llama.logits(p, ids, CONFIG)
    for b in range(3):
        np.testing.assert_allclose(llama.logits(p, ids[b:b + 1], CONFIG)[0], z[b], rtol=1e-9, atol=1e-12)
    swapped = ids.copy()
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    swapped[0, :2] = 3, 5
    assert np.abs(llama.logits(p, swapped, CONFIG)[:, -1] - z[:, -1]).max() > 1e-3, "the order of earlier tokens matters"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_all_the_way(dtype):
    p, ids, targets = draw(dtype=dtype)
    loss, cache = llama.forward(p, ids, targets, CONFIG)
    dp = params.flatten(llama.backward(cache))
    assert loss.dtype == dtype and all(g.dtype == dtype and g.shape == params.flatten(p)[n].shape for n, g in dp.items())
    again = params.flatten(llama.backward(cache))
    assert list(dp) == list(params.flatten(p)) and all(np.array_equal(dp[n], again[n]) for n in dp)


@pytest.mark.parametrize("tied", [True, False])
def test_a_step_downhill_lowers_the_loss_as_predicted(tied):
    """(loss(p - h g) - loss(p)) / h must be -|g|^2 for small h: the gradient is the steepest way, and of the right size."""
    config = llama.Config(17, 8, 2, 4, 2, 16, 20, tied=tied)
    p, ids, targets = draw(config=config)
    loss, cache = llama.forward(p, ids, targets, config)
    g, flat, h = params.flatten(llama.backward(cache)), params.flatten(p), 1e-6
    moved = params.unflatten({n: flat[n] - h * g[n] for n in flat})
    slope = (llama.forward(moved, ids, targets, config)[0] - loss) / h
    assert math.isclose(slope, -sum((a * a).sum() for a in g.values()), rel_tol=1e-3)


def test_wrong_arguments_are_named():
    p, ids, targets = draw()
    with pytest.raises(ValueError, match=r"ids\[0, 2\] is 17"):
        llama.logits(p, np.array([[0, 1, 17]]), CONFIG)
    with pytest.raises(ValueError, match="block_size = 8"):
        llama.logits(p, np.zeros((1, 9), int), CONFIG)
    with pytest.raises(ValueError, match="not known: lm_head"):
        llama.logits({**p, "lm_head": p["norm"]}, ids, CONFIG)
    with pytest.raises(ValueError, match="n_kv_head must divide n_head, but 4 / 3 is not whole"):
        llama.Config(n_head=4, n_kv_head=3)
    with pytest.raises(ValueError, match="n_layer must be at least 1, but it is 0"):
        llama.Config(n_layer=0)
    with pytest.raises(ValueError, match="n_head must divide n_embd, but 10 / 4 is not whole; or say head_dim"):
        llama.Config(n_head=4, n_kv_head=2, n_embd=10)
    with pytest.raises(ValueError, match="even number of channels, because they are turned in pairs, but it has 3"):
        llama.Config(n_head=4, n_kv_head=2, n_embd=12)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        llama.init(CONFIG, 0)

"""GPT-2 as a whole: its initialisation, names, probes for what no gradient check sees, and its errors."""
import math
from dataclasses import replace

import numpy as np
import pytest

from nanolm import params
from nanolm.generation import kv_cache
from nanolm.layers import block, layernorm, masks
from nanolm.models import gpt2

BOTH_BACKENDS = True

CONFIG = gpt2.Config(vocab_size=17, block_size=8, n_layer=2, n_head=2, n_embd=12)


def draw(seed=0, B=3, T=8, config=CONFIG, dtype=np.float64):
    rng = np.random.default_rng(seed)
    p = gpt2.init(config, rng, dtype)
    for array in params.flatten(p).values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    return p, rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.vocab_size, (B, T))


def test_published_sizes():
    """Parameter counts as published with the checkpoints, from the shapes alone."""
    for name, millions in (("gpt2", 124.4), ("gpt2-medium", 354.8), ("gpt2-large", 774.0), ("gpt2-xl", 1557.6)):
        c = gpt2.preset(name)
        C = c.n_embd
        block = (3 * C * C + 3 * C) + (C * C + C) + (4 * C * C + 4 * C) + (4 * C * C + C) + 4 * C
        count = c.vocab_size * C + c.block_size * C + c.n_layer * block + 2 * C
        assert round(count / 1e6, 1) == millions
    p = gpt2.init(gpt2.Config(50, 20, 3, 2, 8), np.random.default_rng(0))
    assert params.count(p) == 50 * 8 + 20 * 8 + 3 * (12 * 64 + 13 * 8) + 16


def test_names_are_those_of_the_published_checkpoint():
    names = list(params.flatten(gpt2.init(gpt2.Config(50, 20, 1, 2, 8), np.random.default_rng(0))))
    block = ["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
             "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"]
    assert names == ["wte.weight", "wpe.weight"] + ["h.0." + n for n in block] + ["ln_f.weight", "ln_f.bias"]


def test_shapes_are_those_of_init_in_its_order():
    expected = {name: a.shape for name, a in params.flatten(gpt2.init(CONFIG, np.random.default_rng(0))).items()}
    assert list(params.flatten(gpt2.shapes(CONFIG)).items()) == list(expected.items())


def test_initial_spread_and_loss():
    config = gpt2.Config(vocab_size=500, block_size=32, n_layer=8, n_head=2, n_embd=64)
    p = params.flatten(gpt2.init(config, np.random.default_rng(0)))
    for name, array in p.items():
        assert array.dtype == np.float32
        if name.endswith("bias"):
            assert (array == 0).all()
        elif ".ln_" in name or name.startswith("ln_f"):
            assert (array == 1).all()
        else:
            expected = 0.02 / math.sqrt(2 * 8) if "c_proj" in name else 0.02
            assert abs(array.std() / expected - 1) < 5 / math.sqrt(2 * array.size), name
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(0, 500, (8, 32)), rng.integers(0, 500, (8, 32))
    loss, _ = gpt2.forward(params.unflatten(p), ids, targets, config)
    assert abs(loss - math.log(500)) < 0.05, "a fresh model knows nothing: its loss is ln V"


def test_no_token_reads_the_future():
    p, ids, _ = draw()
    z = gpt2.logits(p, ids, CONFIG)
    for t in range(1, 8):
        changed = ids.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 17
        y = gpt2.logits(p, changed, CONFIG)
        assert np.array_equal(y[:, :t], z[:, :t]) and (y[:, t:] != z[:, t:]).all()


def test_sequences_and_padding_never_mix():
    p, ids, targets = draw()
    z = gpt2.logits(p, ids, CONFIG)
    for b in range(3):
        np.testing.assert_allclose(gpt2.logits(p, ids[b:b + 1], CONFIG)[0], z[b], rtol=1e-9, atol=1e-12)
    targets[0, 5:], short = -100, ids.copy()
    short[0, 6:] = 0                                                # beyond what counts, any token will do
    losses = [gpt2.forward(p, i, targets, CONFIG)[0] for i in (ids, short)]
    assert losses[0] == losses[1]


def test_positions_matter():
    p, ids, _ = draw()
    same = np.full((1, 8), 3)
    z = gpt2.logits(p, same, CONFIG)[0]
    assert np.abs(np.diff(z, axis=0)).max() > 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_all_the_way(dtype):
    p, ids, targets = draw(dtype=dtype)
    config = gpt2.preset("nano", vocab_size=17, block_size=8, n_layer=2, n_head=2, n_embd=12, dropout=0.1)
    loss, cache = gpt2.forward(p, ids, targets, config, np.random.default_rng(0))
    dp = params.flatten(gpt2.backward(cache))
    assert loss.dtype == dtype and all(g.dtype == dtype and g.shape == params.flatten(p)[n].shape for n, g in dp.items())
    again = params.flatten(gpt2.backward(cache))
    assert all(np.array_equal(dp[n], again[n]) for n in dp), "backward can be called twice"


def test_dropout_only_with_a_generator():
    p, ids, targets = draw()
    config = gpt2.Config(17, 8, 2, 2, 12, dropout=0.5)
    off = [gpt2.forward(p, ids, targets, c)[0] for c in (config, config, CONFIG)]
    assert off[0] == off[1] == off[2]
    on = [gpt2.forward(p, ids, targets, config, np.random.default_rng(s))[0] for s in (1, 1, 2)]
    assert on[0] == on[1] != on[2] and on[0] != off[0]


def test_a_step_downhill_lowers_the_loss_as_predicted():
    """(loss(p - h g) - loss(p)) / h must be -|g|^2 for small h: the gradient is the steepest way, and of the right size."""
    p, ids, targets = draw()
    loss, cache = gpt2.forward(p, ids, targets, CONFIG)
    g, flat, h = params.flatten(gpt2.backward(cache)), params.flatten(p), 1e-6
    moved = params.unflatten({n: flat[n] - h * g[n] for n in flat})
    slope = (gpt2.forward(moved, ids, targets, CONFIG)[0] - loss) / h
    assert math.isclose(slope, -sum((a * a).sum() for a in g.values()), rel_tol=1e-3)


def test_wrong_arguments_are_named():
    p, ids, targets = draw()
    with pytest.raises(ValueError, match=r"ids\[0, 2\] is 17"):
        gpt2.logits(p, np.array([[0, 1, 17]]), CONFIG)
    with pytest.raises(ValueError, match=r"ids\[0, 0\] is -1"):
        gpt2.logits(p, np.array([[-1]]), CONFIG)
    with pytest.raises(ValueError, match="block_size = 8"):
        gpt2.logits(p, np.zeros((1, 9), int), CONFIG)
    with pytest.raises(ValueError, match=r"put a single sequence in brackets"):
        gpt2.logits(p, np.zeros(4, int), CONFIG)
    with pytest.raises(TypeError, match="ids must be a NumPy array of integers"):
        gpt2.logits(p, np.zeros((1, 4)), CONFIG)
    with pytest.raises(ValueError, match="targets must have the shape"):
        gpt2.forward(p, ids, targets[:, :-1], CONFIG)
    with pytest.raises(ValueError, match="n_head must divide n_embd, but 10 / 3 is not whole"):
        gpt2.Config(n_embd=10, n_head=3)
    with pytest.raises(ValueError, match="n_layer must be a whole number of at least 1, but it is 0"):
        gpt2.Config(n_layer=0)
    with pytest.raises(ValueError, match="there is no preset 'gpt3'. The presets are nano"):
        gpt2.preset("gpt3")
    with pytest.raises(ValueError, match="has no field 'layers'"):
        gpt2.preset("gpt2", layers=3)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        gpt2.init(CONFIG, 0)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, but it is float16"):
        gpt2.init(CONFIG, np.random.default_rng(0), np.float16)


@pytest.mark.parametrize("form, n_hidden", [("erf", 0), ("relu", 20), ("tanh", 7)])
def test_other_bends_and_widths_are_computed_and_cached_alike(form, n_hidden):
    """As some published models have them: the form reaches every block, and decoding with a cache says the same."""
    config = replace(CONFIG, form=form, n_hidden=n_hidden)
    p, ids, _ = draw(config=config)
    F = n_hidden or 48
    assert p["h"]["1"]["mlp"]["c_fc"]["weight"].shape == (12, F) == gpt2.shapes(config)["h"]["1"]["mlp"]["c_fc"]["weight"]
    z = gpt2.logits(p, ids, config)
    x, mask = p["wte"]["weight"][ids] + p["wpe"]["weight"], masks.causal(8)
    for i in ("0", "1"):
        x, _ = block.forward(x, p["h"][i], 2, mask, "pre", form)
    x, _ = layernorm.forward(x, **p["ln_f"])
    np.testing.assert_allclose(z, x @ p["wte"]["weight"].T, rtol=1e-9, atol=1e-9)
    kv = kv_cache.empty(p, config, 3)
    np.testing.assert_allclose(np.concatenate([kv_cache.extend(p, ids[:, t:t + 1], kv, config) for t in range(8)], axis=1), z, rtol=1e-9, atol=1e-9)
    if form != "tanh":
        assert np.abs(z - gpt2.logits(p, ids, replace(config, form="tanh"))).max() > 1e-5
    for wrong, words in (({"form": "silu"}, "form must be"), ({"n_hidden": -1}, "n_hidden must be a whole number of at least 0")):
        with pytest.raises(ValueError, match=words):
            replace(config, **wrong)

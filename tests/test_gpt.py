"""GPT, GPT-2's predecessor: the same model with post-norm blocks and no last norm; and that generation and cost know it."""
import math
from dataclasses import replace

import numpy as np
import pytest

from nanolm import params
from nanolm.generation import beam, generate, int8, kv_cache
from nanolm.layers import block, masks
from nanolm.models import cost, gpt2

BOTH_BACKENDS = True

CONFIG = gpt2.Config(vocab_size=17, block_size=12, n_layer=2, n_head=2, n_embd=8, norm="post")
CACHES = pytest.mark.parametrize("cache", [kv_cache, int8], ids=["kv_cache", "int8"])


def draw(seed=0, B=3, T=9, dtype=np.float64):
    """Return p, ids, targets: random, gains and biases too."""
    rng = np.random.default_rng(seed)
    p = gpt2.init(CONFIG, rng, dtype)
    for array in params.flatten(p).values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    return p, rng.integers(0, 17, (B, T)), rng.integers(0, 17, (B, T))


def test_published_size_and_names():
    """openai-gpt on the Hugging Face hub has 116,534,784 parameters, and no norm after its last block."""
    shapes = params.flatten(gpt2.shapes(gpt2.preset("gpt")))
    assert sum(math.prod(shape) for shape in shapes.values()) == 116_534_784
    assert cost.total(cost.rows(gpt2.preset("gpt"))).parameters == 116_534_784
    assert not any(name.startswith("ln_f") for name in shapes)
    assert list(params.flatten(gpt2.init(CONFIG, np.random.default_rng(0)))) == list(params.flatten(gpt2.shapes(CONFIG)))


def test_every_matrix_begins_alike():
    config = replace(CONFIG, vocab_size=500, n_embd=64, n_layer=4)
    flat = params.flatten(gpt2.init(config, np.random.default_rng(0)))
    for name, array in flat.items():
        if array.ndim == 2:
            assert abs(array.std() / 0.02 - 1) < 5 / math.sqrt(2 * array.size), name
    before = params.flatten(gpt2.init(replace(config, norm="pre"), np.random.default_rng(0)))
    assert np.array_equal(before["h.0.attn.c_attn.weight"], flat["h.0.attn.c_attn.weight"]), "the same numbers are drawn"


def test_it_is_blocks_that_norm_last_and_then_the_head():
    p, ids, _ = draw()
    x = p["wte"]["weight"][ids] + p["wpe"]["weight"][:9]
    for i in ("0", "1"):
        x, _ = block.forward(x, p["h"][i], 2, masks.causal(9), "post")
    np.testing.assert_allclose(gpt2.logits(p, ids, CONFIG), x @ p["wte"]["weight"].T, rtol=1e-11, atol=1e-12)


def test_no_token_reads_the_future():
    p, ids, _ = draw()
    z = gpt2.logits(p, ids, CONFIG)
    for t in range(1, 9):
        changed = ids.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 17
        y = gpt2.logits(p, changed, CONFIG)
        assert np.array_equal(y[:, :t], z[:, :t]) and (y[:, t:] != z[:, t:]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_have_the_keys_and_dtype_of_p_and_point_uphill(dtype):
    p, ids, targets = draw(dtype=dtype)
    loss, cache = gpt2.forward(p, ids, targets, CONFIG)
    flat, g = params.flatten(p), params.flatten(gpt2.backward(cache))
    assert list(g) == list(flat) and all(g[n].dtype == dtype and g[n].shape == flat[n].shape for n in g)
    if dtype == np.float64:
        moved = params.unflatten({n: flat[n] - 1e-7 * g[n] for n in flat})
        slope = (gpt2.forward(moved, ids, targets, CONFIG)[0] - loss) / 1e-7
        assert math.isclose(slope, -sum((a * a).sum() for a in g.values()), rel_tol=1e-3)


@CACHES
@pytest.mark.parametrize("dtype, close", [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_decoding_equals_the_full_forward_at_every_position(cache, dtype, close):
    p, ids, _ = draw(dtype=dtype)
    if cache is int8:
        p = int8.quantize(p)
    full = (int8 if cache is int8 else gpt2).logits(p, ids, CONFIG)
    assert full.std() > 0.1
    kv = cache.empty(p, CONFIG, 3)
    parts = [cache.extend(p, part, kv, CONFIG) for part in np.split(ids, [2, 3, 4, 7], axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), full, rtol=close, atol=close)
    np.testing.assert_allclose(cache.extend(p, ids, cache.empty(p, CONFIG, 3), CONFIG, last=True), full[:, -1:],
                               rtol=close, atol=close)


def test_generation_with_and_without_the_cache():
    p, ids, _ = draw()
    made = [list(generate.tokens(p, CONFIG, ids[0, :3], 20, rng=np.random.default_rng(1), use_cache=use))
            for use in (True, False)]
    assert made[0] == made[1] and len(set(made[0])) > 1
    best = [beam.search(p, CONFIG, ids[0, :3], 6, 3, use_cache=use)[0].ids for use in (True, False)]
    assert best[0] == best[1]


def test_wrong_arguments_are_named():
    p, ids, _ = draw()
    with pytest.raises(ValueError, match='norm must be "pre" .* or "post" .*, but it is True'):
        replace(CONFIG, norm=True)
    with pytest.raises(ValueError, match="missing: ln_f"):
        gpt2.logits(p, ids, replace(CONFIG, norm="pre"))
    with pytest.raises(ValueError, match="not known: ln_f"):
        gpt2.logits({**p, "ln_f": p["h"]["0"]["ln_1"]}, ids, CONFIG)

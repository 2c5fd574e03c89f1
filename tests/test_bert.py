"""BERT: sizes, names, initialisation, stored arrays, probes for what no gradient check sees, and its errors."""
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanolm import params
from nanolm.data import masking
from nanolm.layers import block, cross_entropy, gelu, layernorm, pooler
from nanolm.models import bert, bert_names, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.training.optimizers import adamw

BOTH_BACKENDS = True

HEADS = [bert_pretraining, bert_sequence, bert_token, bert_span]
CONFIG = bert.Config(vocab_size=17, block_size=9, n_layer=2, n_head=2, n_embd=8, n_hidden=10, n_class=3)
LENGTHS = np.array([8, 5, 6])
heads = pytest.mark.parametrize("model", HEADS, ids=[m.__name__.rsplit(".", 1)[-1] for m in HEADS])


def draw(model, seed=0, B=3, T=8, config=CONFIG, dtype=np.float64):
    """Return p, ids, targets and options (segments; the mask, by lengths; next_targets), nothing counting at padding."""
    rng = np.random.default_rng(seed)
    p = model.init(config, rng, dtype)
    for array in params.flatten(p).values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    ids, tokens = rng.integers(0, config.vocab_size, (B, T)), np.arange(T) < LENGTHS[:B, None]
    more = {"segments": rng.integers(0, 2, (B, T)), "mask": LENGTHS[:B]}
    if model is bert_sequence:
        return p, ids, rng.integers(0, config.n_class, B), more
    if model is bert_span:
        return p, ids, np.sort(rng.integers(0, LENGTHS[:B, None], (B, 2)), axis=1), more
    n, counts = config.n_class, tokens
    if model is bert_pretraining:
        n, counts, more["next_targets"] = config.vocab_size, tokens & (rng.random((B, T)) < 0.5), rng.integers(0, 2, B)
        counts[0, 1] = True
    return p, ids, np.where(counts, rng.integers(0, n, (B, T)), -100), more


def scores(model, p, ids, config, **more):
    """Return the logits of a model as a list of arrays, without those at padding."""
    z = model.logits(p, ids, config, **{k: v for k, v in more.items() if k != "next_targets"})
    tokens = bert.real_tokens(more.get("mask"), ids)
    z = [one for one in (z if isinstance(z, tuple) else (z,)) if one is not None]
    return [one if tokens is None or one.shape[:2] != ids.shape else one[tokens] for one in z]


def gradients(model, p, ids, targets, config, **more):
    loss, cache = model.forward(p, ids, targets, config, **more)
    return loss, params.flatten(model.backward(cache))


def count(shapes):
    return sum(math.prod(shape) for shape in params.flatten(shapes).values())


# -------------------------------------------------------------------------------- sizes, names, initialisation
def test_published_sizes():
    """BERT base and large, from the shapes alone; 110 and 340 million in the paper's section 3."""
    base, large = bert.Config(), bert.Config(n_layer=24, n_head=16, n_embd=1024)
    assert count(bert_names.shapes(base, "encoder")) == 109_482_240
    assert count(bert_names.shapes(large, "encoder")) == 335_141_888
    assert count(bert_pretraining.shapes(base)) == 110_106_428
    assert count(bert_pretraining.shapes(replace(base, pooler=False))) == 109_514_298
    assert count(bert_token.shapes(base)) == count(bert_span.shapes(base)) == 108_893_186


@heads
def test_initial_spread_and_loss(model):
    config = bert.Config(vocab_size=500, block_size=32, n_layer=3, n_head=4, n_embd=64, n_class=5)
    flat = params.flatten(model.init(config, np.random.default_rng(0)))
    assert {name: a.shape for name, a in flat.items()} == params.flatten(model.shapes(config))
    for name, array in flat.items():
        assert array.dtype == np.float32
        if array.ndim == 2:
            assert abs(array.std() / 0.02 - 1) < 5 / math.sqrt(2 * array.size), name
        else:
            assert (array == (1 if name.endswith(("ln_1.weight", "ln_2.weight", "ln_e.weight", "ln.weight")) else 0)).all(), name
    rng = np.random.default_rng(1)
    ids, p = rng.integers(0, 500, (8, 32)), params.unflatten(flat)
    more = {"next_targets": np.arange(8) % 2} if model is bert_pretraining else {}
    targets, ways = {bert_pretraining: (ids, 500 * 2), bert_sequence: (np.arange(8) % 5, 5), bert_token: (ids % 5, 5),
                     bert_span: (ids[:, :2] % 32, 32)}[model]
    loss, _ = model.forward(p, ids, targets, config, **more)
    assert abs(loss - math.log(ways)) < 0.1, "a fresh model knows nothing"


def test_no_pooler_leaves_the_masked_tokens_alone():
    config = replace(CONFIG, pooler=False)
    p, ids, targets, more = draw(bert_pretraining, config=config)
    del more["next_targets"]
    assert list(p) == ["bert", "transform", "ln", "head"] and list(bert_token.shapes(config)) == ["bert", "classifier"]
    z, y = bert_pretraining.logits(p, ids, config, more["segments"], more["mask"])
    assert y is None
    loss, dp = gradients(bert_pretraining, p, ids, targets, config, **more)
    np.testing.assert_allclose(loss, cross_entropy.forward(z, targets)[0], rtol=1e-12)
    full = {**p, **bert_pretraining.init(CONFIG, np.random.default_rng(0), np.float64), **p}
    loss_full, dp_full = gradients(bert_pretraining, full, ids, targets, CONFIG, **more)
    assert loss_full == loss and all(np.array_equal(dp[n], dp_full[n]) for n in dp), "next_targets None counts nothing"
    assert not any(dp_full[n].any() for n in dp_full if n.startswith(("pooler", "next")))


# -------------------------------------------------------------------------------- stored arrays, and names
STORED = bert.Config(vocab_size=13, block_size=7, n_layer=2, n_head=2, n_embd=8, n_hidden=10, n_class=3)


def stored(head):
    arrays = dict(np.load(Path(__file__).parent / "golden" / f"bert_{head}.npz"))
    return arrays, *({k[len(part):]: v for k, v in arrays.items() if k.startswith(part)} for part in ("in.", "grad.", "fixed."))


@pytest.mark.parametrize("head", bert_names.HEADS)
def test_logits_loss_and_every_gradient_of_transformers(head):
    arrays, flat, grads, fixed = stored(head)
    model, p = bert_names.HEADS[head], bert_names.from_published(flat, STORED, head)
    ids, targets = fixed.pop("ids"), fixed.pop("targets")
    loss, cache = model.forward(p, ids, targets, STORED, **fixed)
    np.testing.assert_allclose(loss, arrays["out"], rtol=1e-11)
    tokens, close = fixed["mask"], dict(rtol=1e-10, atol=1e-11)
    for i, z in enumerate(scores(model, p, ids, STORED, **fixed)):
        expected = arrays[f"logits.{i}"]
        np.testing.assert_allclose(z, expected[tokens] if expected.shape[:2] == ids.shape else expected, **close)
    dp = bert_names.to_published(model.backward(cache))
    assert sorted(dp) == sorted(grads) == sorted(flat)
    for name in grads:
        np.testing.assert_allclose(dp[name], grads[name], **close, err_msg=name)


@pytest.mark.parametrize("head", bert_names.HEADS)
def test_published_names_there_and_back(head):
    _, flat, _, _ = stored(head)
    p = bert_names.from_published(flat, STORED, head)
    assert {n: a.shape for n, a in params.flatten(p).items()} == params.flatten(bert_names.HEADS[head].shapes(STORED))
    back = bert_names.to_published(p)
    assert set(back) == set(flat) and all(np.array_equal(back[n], flat[n]) and back[n].flags.c_contiguous for n in flat)
    for a in params.flatten(p).values():
        assert a.flags.c_contiguous
        assert not any(np.shares_memory(a, b) for n in flat for b in (flat[n], back[n])), "each array is new, in both directions"


def test_forms_in_which_checkpoints_come():
    _, flat, _, _ = stored("pretraining")
    p = bert_names.from_published(flat, STORED)
    assert list(p) == ["bert", "pooler"], "the encoder alone: the head's tensors are left alone"
    assert list(bert_names.from_published(flat, replace(STORED, pooler=False))) == ["bert"]
    alone = bert_names.to_published(p)
    assert {"embeddings.LayerNorm.weight", "pooler.dense.bias"} < set(alone) and not any(n.startswith("bert.") for n in alone)
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    old = {next((n.replace(new, was) for new, was in older.items() if new in n), n): a for n, a in flat.items()}
    assert set(old) != set(flat)
    more = {**old, "bert.embeddings.position_ids": np.arange(7)[None],
            "cls.predictions.decoder.weight": flat["bert.embeddings.word_embeddings.weight"]}
    for other in (alone, old, more):
        again = params.flatten(bert_names.from_published(other, STORED))
        assert all(np.array_equal(a, again[n]) for n, a in params.flatten(p).items()) and list(again) == list(params.flatten(p))
    assert bert_names.from_published(more, STORED, "pretraining")["head"]["bias"].shape == (13,)
    rng, ids = np.random.default_rng(0), np.array([[4, 1, 7]])              # fine-tuning: a fresh head on a trained encoder
    tuned = {**bert_token.init(STORED, rng, np.float64), "bert": p["bert"]}, {**bert_sequence.init(STORED, rng, np.float64), **p}
    assert bert_token.logits(tuned[0], ids, STORED).shape == (1, 3, 3)
    assert bert_sequence.logits(tuned[1], ids, STORED).shape == (1, 3)


def test_wrong_checkpoints_are_named():
    _, flat, _, _ = stored("token")
    with pytest.raises(ValueError, match="no tensor 'bert.pooler.dense.weight', which 'pooler.weight' of the head 'encoder' is"):
        bert_names.from_published(flat, STORED)
    with pytest.raises(ValueError, match="head must be one of encoder, pretraining, sequence, token, span, but it is 'ner'"):
        bert_names.from_published(flat, STORED, "ner")
    with pytest.raises(ValueError, match=r"'classifier.weight' makes 'classifier.weight' of the shape \(8, 3\), but .* \(8, 4\)"):
        bert_names.from_published(flat, replace(STORED, n_class=4), "token")
    _, flat, _, _ = stored("pretraining")
    with pytest.raises(ValueError, match="cls.predictions.decoder.weight differs from"):
        bert_names.from_published({**flat, "cls.predictions.decoder.weight": np.zeros((13, 8))}, STORED, "pretraining")


@pytest.mark.parametrize("form", ["erf", "tanh", "relu"])
def test_the_form_reaches_every_block_and_the_transform(form):
    config = replace(CONFIG, form=form, n_layer=1)
    p, ids, _, _ = draw(bert_pretraining, config=config)
    x, _ = bert.forward(p["bert"], ids, config)
    e, _ = layernorm.forward(p["bert"]["wte"]["weight"][ids] + p["bert"]["wse"]["weight"][0] + p["bert"]["wpe"]["weight"][:8],
                             **p["bert"]["ln_e"], eps=config.eps)
    np.testing.assert_allclose(x, block.forward(e, p["bert"]["h"]["0"], 2, None, "post", form, config.eps)[0], rtol=1e-9, atol=1e-9)
    h = x @ p["transform"]["weight"] + p["transform"]["bias"]
    h = np.maximum(h, 0) if form == "relu" else gelu.forward(h, form)[0]
    h, _ = layernorm.forward(h, **p["ln"], eps=config.eps)
    z = h @ p["bert"]["wte"]["weight"].T + p["head"]["bias"]
    np.testing.assert_allclose(bert_pretraining.logits(p, ids, config)[0], z, rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="form must be"):
        replace(config, form="silu")
    p, ids, targets, more = draw(bert_pretraining, config=config)           # and backward knows it: one direction through all
    away = {name: np.random.default_rng(1).standard_normal(a.shape) for name, a in params.flatten(p).items()}

    def loss(step):
        moved = params.unflatten({name: a + step * away[name] for name, a in params.flatten(p).items()})
        return bert_pretraining.forward(moved, ids, targets, config, **more)[0]

    dp = params.flatten(bert_pretraining.backward(bert_pretraining.forward(p, ids, targets, config, **more)[1]))
    slope = sum((dp[name] * away[name]).sum() for name in away)
    assert abs(slope) > 0.1 and math.isclose((loss(1e-6) - loss(-1e-6)) / 2e-6, slope, rel_tol=1e-5)


# -------------------------------------------------------------------------------- probes
@heads
def test_what_stands_in_the_padding_moves_nothing(model):
    """Other ids and segments at padding: the same scores, loss and gradients, those of the tables too, to the last bit."""
    p, ids, targets, more = draw(model)
    z, (loss, dp) = scores(model, p, ids, CONFIG, **more), gradients(model, p, ids, targets, CONFIG, **more)
    padding = np.arange(8) >= LENGTHS[:, None]
    for seed in range(3):
        other, segments = ids.copy(), more["segments"].copy()
        rng = np.random.default_rng(seed)
        other[padding], segments[padding] = rng.integers(0, 17, padding.sum()), rng.integers(0, 2, padding.sum())
        assert not np.array_equal(other, ids) and not np.array_equal(segments, more["segments"])
        now = {**more, "segments": segments}
        assert all(np.array_equal(a, b) for a, b in zip(z, scores(model, p, other, CONFIG, **now), strict=True))
        loss_now, dp_now = gradients(model, p, other, targets, CONFIG, **now)
        assert loss_now == loss and all(np.array_equal(dp_now[name], dp[name]) for name in dp)
    changed = ids.copy()
    changed[1, 4] = (changed[1, 4] + 1) % 17                                # a token, not padding
    assert not np.array_equal(gradients(model, p, changed, targets, CONFIG, **more)[0], loss)


@heads
def test_a_padded_text_is_the_text_alone(model):
    p, ids, targets, more = draw(model)
    padded = model.logits(p, ids, CONFIG, more["segments"], more["mask"])
    for b, length in enumerate(LENGTHS):
        alone = model.logits(p, ids[b:b + 1, :length], CONFIG, more["segments"][b:b + 1, :length])
        for one, both in zip(*(z if isinstance(z, tuple) else (z,) for z in (alone, padded)), strict=True):
            both = both[b, :length] if both.shape[:2] == ids.shape else both[b]
            np.testing.assert_allclose(one[0], both, rtol=1e-9, atol=1e-11)


@heads
def test_lengths_and_booleans_are_the_same_mask(model):
    p, ids, targets, more = draw(model)
    by_booleans = {**more, "mask": np.arange(8) < LENGTHS[:, None]}
    assert model.forward(p, ids, targets, CONFIG, **more)[0] == model.forward(p, ids, targets, CONFIG, **by_booleans)[0]
    full, none = {**more, "mask": np.full(3, 8)}, {**more, "mask": None}
    losses = [model.forward(p, ids, targets, CONFIG, **options)[0] for options in (full, none)]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_every_token_sees_the_whole_text_and_segments_and_places_matter():
    p, ids, _, more = draw(bert_token)
    x, _ = bert.forward(p["bert"], ids, CONFIG)
    for t in (0, 3, 7):
        changed = ids.copy()
        changed[:, t] = (changed[:, t] + 1) % 17
        assert (bert.forward(p["bert"], changed, CONFIG)[0] != x).any(axis=-1).all(), "to the left and to the right"
    ones, _ = bert.forward(p["bert"], ids, CONFIG, segments=np.ones_like(ids))
    zeros, _ = bert.forward(p["bert"], ids, CONFIG, segments=np.zeros_like(ids))
    assert np.array_equal(x, zeros) and np.abs(ones - x).max() > 1e-3
    turned, _ = bert.forward(p["bert"], ids[:, ::-1].copy(), CONFIG)
    assert np.abs(turned[:, ::-1] - x).max() > 1e-3, "the order matters"
    for b in range(3):
        np.testing.assert_allclose(bert.forward(p["bert"], ids[b:b + 1], CONFIG)[0][0], x[b], rtol=1e-9, atol=1e-12)


def test_the_pooler_reads_the_first_token_alone():
    p, ids, _, more = draw(bert_sequence)
    x, _ = bert.forward(p["bert"], ids, CONFIG)
    y, cache = pooler.forward(x, p["pooler"])
    other = x.copy()
    other[:, 1:] = 5
    assert np.array_equal(pooler.forward(other, p["pooler"])[0], y) and np.abs(y).max() < 1
    assert not pooler.backward(np.ones_like(y), cache)[0][:, 1:].any()


@heads
def test_dropout_needs_a_generator_and_logits_drop_nothing(model):
    p, ids, targets, more = draw(model)
    config = replace(CONFIG, dropout=0.4)
    still = model.forward(p, ids, targets, CONFIG, **more)[0]
    assert model.forward(p, ids, targets, config, **more)[0] == still, "no generator, no dropout"
    assert model.forward(p, ids, targets, CONFIG, **more, rng=np.random.default_rng(1))[0] == still, "a rate of 0"
    one, same, other = (model.forward(p, ids, targets, config, **more, rng=np.random.default_rng(s))[0] for s in (1, 1, 2))
    assert one == same and one != other and one != still
    assert all(np.array_equal(a, b) for a, b in zip(scores(model, p, ids, config, **more), scores(model, p, ids, CONFIG, **more)))


def test_the_masked_rows_alone_give_the_loss_of_all_logits():
    p, ids, targets, more = draw(bert_pretraining)
    z, y = bert_pretraining.logits(p, ids, CONFIG, more["segments"], more["mask"])
    expected = cross_entropy.forward(z, targets)[0] + cross_entropy.forward(y, more["next_targets"])[0]
    np.testing.assert_allclose(bert_pretraining.forward(p, ids, targets, CONFIG, **more)[0], expected, rtol=1e-12)


@heads
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_counts_loss_and_gradients_are_zero(model, dtype):
    p, ids, targets, more = draw(model, dtype=dtype)
    more.pop("next_targets", None)
    loss, dp = gradients(model, p, ids, np.full_like(targets, -100), CONFIG, **more)
    assert loss == 0 and not any(d.any() for d in dp.values())


@heads
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_all_the_way(model, dtype):
    p, ids, targets, more = draw(model, dtype=dtype)
    loss, cache = model.forward(p, ids, targets, CONFIG, **more, rng=np.random.default_rng(0))
    dp, flat = params.flatten(model.backward(cache)), params.flatten(p)
    assert loss.dtype == dtype and all(g.dtype == dtype and g.shape == flat[n].shape for n, g in dp.items())
    again = params.flatten(model.backward(cache))
    assert list(dp) == list(flat) and all(np.array_equal(dp[n], again[n]) for n in dp)
    assert all(z.dtype == dtype for z in scores(model, p, ids, CONFIG, **more))


@heads
def test_a_step_downhill_lowers_the_loss_as_predicted(model):
    """(loss(p - h g) - loss(p)) / h must be -|g|^2 for small h: the gradient is the steepest way, and of the right size."""
    p, ids, targets, more = draw(model)
    loss, g = gradients(model, p, ids, targets, CONFIG, **more)
    flat, h = params.flatten(p), 1e-7
    moved = params.unflatten({n: flat[n] - h * g[n] for n in flat})
    slope = (model.forward(moved, ids, targets, CONFIG, **more)[0] - loss) / h
    assert math.isclose(slope, -sum((a * a).sum() for a in g.values()), rel_tol=1e-3)


def test_it_learns_what_stands_on_both_sides():
    """Masked token = (left neighbour + right neighbour) mod 5: from one side alone nothing can be said."""
    config = bert.Config(vocab_size=8, block_size=3, n_layer=2, n_head=2, n_embd=16, pooler=False)
    p = bert_pretraining.init(config, np.random.default_rng(0))
    flat = params.flatten(p)
    state, a, b = adamw.init(flat), *(one.ravel() for one in np.mgrid[:5, :5])
    ids = np.stack([a, np.full(25, 7), b], axis=1)
    targets = np.stack([np.full(25, -100), (a + b) % 5, np.full(25, -100)], axis=1)
    for step in range(400):
        loss, grads = gradients(bert_pretraining, p, ids, targets, config)
        adamw.step(flat, grads, state, lr=0.003 * min(1, (step + 1) / 50), weight_decay=0.0)
    assert loss < 0.05 < math.log(5)
    z, _ = bert_pretraining.logits(p, ids, config)
    assert np.array_equal(z[:, 1].argmax(axis=-1), (a + b) % 5)


def test_masking_and_pretraining_fit_together():
    config = bert.Config(50, 20, 1, 2, 8)
    rng = np.random.default_rng(0)
    ids, tokens = rng.integers(4, 50, (6, 20)), np.arange(20) < np.array([20, 7, 12, 15, 20, 9])[:, None]
    ids[:, 0], ids[~tokens] = 1, 0
    inputs, targets = masking.masked(ids, 50, 3, (0, 1, 2, 3), rng)
    p = bert_pretraining.init(config, rng)
    loss, cache = bert_pretraining.forward(p, inputs, targets, config, rng.integers(0, 2, 6), mask=tokens)
    assert (targets != -100).any() and abs(loss - math.log(50) - math.log(2)) < 0.1
    assert not bert_pretraining.backward(cache)["bert"]["wpe"]["weight"][20:].any()


# -------------------------------------------------------------------------------- errors
def test_wrong_arguments_are_named():
    p, ids, targets, more = draw(bert_token)
    call = lambda **changes: bert_token.forward(p, ids, targets, CONFIG, **{**more, **changes})  # noqa: E731
    with pytest.raises(ValueError, match=r"ids\[0, 2\] is 17"):
        bert_token.logits(p, np.array([[0, 1, 17]]), CONFIG)
    with pytest.raises(ValueError, match="block_size = 9"):
        bert_token.logits(p, np.zeros((1, 10), int), CONFIG)
    with pytest.raises(ValueError, match=r"segments must lie between 0 and 1, but segments\[0, 0\] is 2"):
        call(segments=np.full((3, 8), 2))
    with pytest.raises(ValueError, match=r"segments must have the shape \(3, 8\)"):
        call(segments=np.zeros(8, int))
    with pytest.raises(ValueError, match=r"mask must be the lengths \(B,\) = \(3,\).*float64 of the shape \(3, 8\).*mask == 1"):
        call(mask=np.ones((3, 8)))
    with pytest.raises(ValueError, match="lengths must lie between 0 and S = 8"):
        call(mask=np.array([8, 9, 1]))
    with pytest.raises(ValueError, match="must begin with a token, .* text 1 begins with padding. Pad at the end"):
        call(mask=np.array([8, 0, 1]))
    with pytest.raises(ValueError, match="targets must be -100 at padding, but targets.1, 4. is"):
        call(mask=np.array([8, 4, 6]))
    with pytest.raises(ValueError, match=r"targets must lie between 0 and 2 \(or -100, which is ignored\)"):
        bert_token.forward(p, ids, targets + 2, CONFIG)
    with pytest.raises(ValueError, match="p must have the keys bert, classifier; missing: none, not known: pooler"):
        bert_token.logits({**p, "pooler": p["classifier"]}, ids, CONFIG)
    with pytest.raises(ValueError, match=r"classifier weight must have the shape \(8, 4\), which config asks for"):
        bert_token.logits(p, ids, replace(CONFIG, n_class=4))
    with pytest.raises(ValueError, match=r"wpe weight must have the shape \(10, 8\), which config asks for"):
        bert_token.logits(p, ids, replace(CONFIG, block_size=10))
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        bert_token.init(CONFIG, 0)


def test_wrong_arguments_of_the_other_heads_are_named():
    p, ids, targets, more = draw(bert_span)
    with pytest.raises(ValueError, match="an answer cannot lie in the padding, but targets.1, 1. is 5, and mask says"):
        bert_span.forward(p, ids, np.array([[0, 1], [2, 5], [-100, -100]]), CONFIG, **more)
    with pytest.raises(ValueError, match=r"targets must have the shape \(3, 2\), the places of the answer's first"):
        bert_span.forward(p, ids, np.array([1, 2, 3]), CONFIG, **more)
    with pytest.raises(ValueError, match=r"targets must lie between 0 and 7 \(or -100"):
        bert_span.forward(p, ids, np.array([[0, 1], [2, 8], [0, 0]]), CONFIG)
    p, ids, targets, more = draw(bert_pretraining)
    with pytest.raises(ValueError, match=r"next_targets must lie between 0 and 1 .or -100, .* next_targets\[0\] is 2"):
        bert_pretraining.forward(p, ids, targets, CONFIG, np.array([2, 0, 1]))
    with pytest.raises(ValueError, match=r"next_targets must have the shape \(3,\), one for each pair of sentences"):
        bert_pretraining.forward(p, ids, targets, CONFIG, np.zeros((3, 8), int))
    with pytest.raises(ValueError, match="missing: none, not known: pooler, next"):
        bert_pretraining.logits(p, ids, replace(CONFIG, pooler=False))
    with pytest.raises(ValueError, match="config.pooler is False"):
        bert_sequence.init(replace(CONFIG, pooler=False), np.random.default_rng(0))


def test_wrong_configs_are_named():
    with pytest.raises(ValueError, match="n_head must divide n_embd, but 10 / 4 is not whole"):
        bert.Config(n_head=4, n_embd=10)
    with pytest.raises(ValueError, match="n_layer must be at least 1, but it is 0"):
        bert.Config(n_layer=0)
    with pytest.raises(TypeError, match="pooler must be True or False, but it is 1"):
        bert.Config(pooler=1)
    with pytest.raises(ValueError, match="eps must be above 0"):
        bert.Config(eps=0.0)
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1"):
        bert.Config(dropout=1.0)
    assert bert.Config(n_embd=48).width == 192 and bert.Config(n_embd=48, n_hidden=7).width == 7

"""LoRA and fine-tuning: the definition, the gradients by numbers for every model, what is written to and what is not."""
import itertools

import numpy as np
import pytest

from nanolm import params
from nanolm.gradcheck import cases
from nanolm.models import bert, bert_sequence, gpt2, llama
from nanolm.training import finetune, lora

BOTH_BACKENDS = True

MODELS = {"gpt2": (gpt2, gpt2.Config(11, 6, 2, 2, 8), ["h.*.attn.c_attn.weight", "h.1.mlp.*.weight"], "h.0.attn.c_attn.weight"),
          "llama": (llama, llama.Config(11, 6, 2, 4, 2, 8, 12, tied=False), ["layers.*.self_attn.*.weight", "lm_head.weight"],
                    "layers.1.self_attn.k_proj.weight")}


@pytest.fixture(params=MODELS)
def example(request):
    """model, config, p, adapters (B not zero), batch, and the name of one adapted matrix."""
    model, config, patterns, one = MODELS[request.param]
    rng = np.random.default_rng(0)
    p = cases.randomised(model.init(config, rng), rng)
    adapters = {name: a + 0.3 * rng.standard_normal(a.shape) for name, a in lora.init(p, patterns, 2, rng).items()}
    ids = rng.integers(0, 11, (3, 6))
    return model, config, p, adapters, (ids, np.roll(ids, -1, axis=1)), one


def test_it_starts_from_the_model_itself(example):
    model, config, p, _, batch, one = example
    fresh = lora.init(p, [one], 3, np.random.default_rng(1))
    assert list(fresh) == [one + ".lora_a", one + ".lora_b"] and fresh[one + ".lora_a"].shape[1] == 3
    assert model.forward(lora.merged(p, fresh), *batch, config)[0] == model.forward(p, *batch, config)[0]


def test_merging_is_a_path_beside_the_matrix(example):
    _, _, p, adapters, _, one = example
    before = {name: a.copy() for name, a in params.flatten(p).items()}
    flat = params.flatten(lora.merged(p, adapters, alpha=6.0))
    x = np.random.default_rng(2).standard_normal((4, before[one].shape[0]))
    beside = x @ before[one] + 6.0 / 2 * ((x @ adapters[one + ".lora_a"]) @ adapters[one + ".lora_b"])
    np.testing.assert_allclose(x @ flat[one], beside, rtol=1e-12, atol=1e-12)
    for name, a in params.flatten(p).items():
        assert np.array_equal(a, before[name]), "p was written to"
        assert (flat[name] is a) == (name not in lora.names(adapters)), "arrays without adapters are shared"


def test_gradients_by_central_differences(example):
    model, config, p, adapters, batch, _ = example
    _, cache = model.forward(lora.merged(p, adapters, 5.0), *batch, config)
    gradients = lora.backward(model.backward(cache), adapters, 5.0)
    assert list(gradients) == list(adapters)
    rng, h = np.random.default_rng(3), 1e-5
    for name, a in adapters.items():
        direction = rng.standard_normal(a.shape)
        slope = [model.forward(lora.merged(p, {**adapters, name: a + s * h * direction}, 5.0), *batch, config)[0] for s in (1, -1)]
        assert (gradients[name] * direction).sum() == pytest.approx((slope[0] - slope[1]) / (2 * h), rel=1e-6, abs=1e-9), name
        assert np.abs(gradients[name]).max() > 1e-4


def learns(example, **options):
    model, config, p, adapters, batch, _ = example
    results = list(finetune.steps(model, p, config, itertools.repeat(batch), steps=40, lr=0.02, **options))
    assert [r.step for r in results] == list(range(1, 41)) and all(r.norm > 0 for r in results)
    return results


def test_lora_learns_and_leaves_the_model_alone(example):
    p, fresh = example[2], lora.init(example[2], MODELS["gpt2" if example[0] is gpt2 else "llama"][2], 3, np.random.default_rng(4))
    before = {name: a.copy() for name, a in params.flatten(p).items()}
    results = learns(example, adapters=fresh)
    assert results[-1].loss < 0.8 * results[0].loss
    assert all(np.array_equal(a, before[name]) for name, a in params.flatten(p).items())
    model, config, batch = example[0], example[1], example[4]
    assert model.forward(lora.merged(p, fresh), *batch, config)[0] < results[-1].loss + 0.01


def test_freezing(example):
    p = example[2]
    first = next(iter(p))                                               # the table of tokens
    before = {name: a.copy() for name, a in params.flatten(p).items()}
    results = learns(example, freeze=[first + ".*", "*.0.*"])
    assert results[-1].loss < 0.8 * results[0].loss
    for name, a in params.flatten(p).items():
        frozen = name.startswith(first) or ".0." in name
        assert np.array_equal(a, before[name]) == frozen, name


def test_everything_learns_without_either(example):
    before = {name: a.copy() for name, a in params.flatten(example[2]).items()}
    results = learns(example)
    assert results[-1].loss < 0.5 * results[0].loss
    assert not any(np.array_equal(a, before[name]) for name, a in params.flatten(example[2]).items())


def test_training_ends_with_the_batches(example):
    model, config, p, _, batch, _ = example
    assert len(list(finetune.steps(model, p, config, [batch] * 3, steps=10, lr=0.01))) == 3


@pytest.mark.parametrize("adapted", [False, True])
def test_a_head_of_bert_learns_from_padded_texts(adapted):
    """Is there a 1 in the text? Padding is full of 1: only who is told the lengths can know."""
    config, rng = bert.Config(vocab_size=7, block_size=9, n_layer=1, n_head=2, n_embd=16), np.random.default_rng(0)
    p = bert_sequence.init(config, rng, np.float64)
    adapters = lora.init(p, ["bert.h.*.weight", "bert.wte.weight", "pooler.weight"], 4, rng) if adapted else None

    def batches(rng):
        while True:
            ids, lengths = rng.integers(2, 7, (16, 9)), rng.integers(3, 9, 16)
            found = rng.random(16) < 0.5
            ids[np.arange(16), rng.integers(0, lengths)] = np.where(found, 1, 2)
            ids[np.arange(9) >= lengths[:, None]] = 1
            yield ids, found.astype(int), {"mask": lengths}

    list(finetune.steps(bert_sequence, p, config, batches(rng), steps=300, lr=0.003, adapters=adapters))
    q = p if adapters is None else lora.merged(p, adapters)
    right = []
    for ids, targets, options in itertools.islice(batches(np.random.default_rng(9)), 20):
        right.append((bert_sequence.logits(q, ids, config, **options).argmax(axis=-1) == targets).mean())
    assert np.mean(right) > 0.95, np.mean(right)


def test_dropout_is_on_with_a_generator():
    config = gpt2.Config(11, 6, 1, 2, 8, dropout=0.5)
    rng = np.random.default_rng(0)
    p = cases.randomised(gpt2.init(config, rng), rng)
    batch = (rng.integers(0, 11, (2, 6)), rng.integers(0, 11, (2, 6)))
    losses = [next(finetune.steps(gpt2, params.unflatten({n: a.copy() for n, a in params.flatten(p).items()}), config, [batch], 1, 0.1,
                                  rng=r)).loss for r in (None, np.random.default_rng(1), np.random.default_rng(1), None)]
    assert losses[0] == losses[3] != losses[1] == losses[2]


def test_wrong_arguments_are_named(example):
    model, config, p, _, batch, one = example
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="the pattern 'h.9.x' fits no matrix of this model. Its matrices: "):
        lora.init(p, "h.9.x", 2, rng)
    for rank in (0, 8, 2.5, True):
        with pytest.raises(ValueError, match=rf"rank must be a whole number .* but it is {rank!r}, and {one} is"):
            lora.init(p, [one], rank, rng)
    with pytest.raises(ValueError, match="the pattern 'nothing' in freeze fits no parameter"):
        finetune.steps(model, p, config, [batch], 1, 0.1, freeze=["nothing"])
    with pytest.raises(ValueError, match="leaves nothing that could learn"):
        finetune.steps(model, p, config, [batch], 1, 0.1, freeze=["*"])
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator, but it is a int"):
        lora.init(p, [one], 2, 5)
    with pytest.raises(ValueError, match="They belong to another model"):
        lora.merged(p, {"w.weight.A": 0, "w.weight.B": 0, **{f"no.such{end}": a for end, a in zip((lora.A, lora.B), np.ones((2, 1, 1)))}})


def test_float32_stays_float32_whatever_alpha_is(example):
    model, config, p, adapters, *_ = example
    p, adapters = ({name: a.astype(np.float32) for name, a in d.items()} for d in (params.flatten(p), adapters))
    merged = params.flatten(lora.merged(params.unflatten(p), adapters, np.float64(16)))
    assert {a.dtype for a in merged.values()} == {np.dtype(np.float32)}
    assert {a.dtype for a in lora.backward(params.unflatten(p), adapters, np.float64(16)).values()} == {np.dtype(np.float32)}


def test_a_new_head_learns_whole_beside_the_adapters(example):
    model, config, p, _, batch, one = example
    head = next(name for name in params.flatten(p) if name != one and not name.startswith(one.partition(".")[0]))
    adapters = lora.init(p, [one], 2, np.random.default_rng(0), whole=[head])
    assert lora.wholes(adapters) == [head] and lora.names(adapters) == [one]
    before = {name: a.copy() for name, a in params.flatten(p).items()}
    loss, cache = model.forward(lora.merged(p, adapters), *batch, config)
    grads = lora.backward(model.backward(cache), adapters)
    np.testing.assert_array_equal(grads[head], params.flatten(model.backward(cache))[head])
    list(finetune.steps(model, p, config, [batch] * 3, 3, 0.1, adapters=adapters))
    assert np.abs(adapters[head] - before[head]).max() > 0.01
    assert all(np.array_equal(a, before[name]) for name, a in params.flatten(p).items()), "p itself stays"
    with pytest.raises(ValueError, match="fits a matrix that has an adapter too"):
        lora.init(p, [one], 2, np.random.default_rng(0), whole=[one])
    with pytest.raises(ValueError, match="fits no parameter"):
        lora.init(p, [one], 2, np.random.default_rng(0), whole="nothing")

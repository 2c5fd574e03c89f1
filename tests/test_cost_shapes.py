"""The cost of a Llama, a BERT and an encoder-decoder against what really happens: init's arrays, counted matrix products."""
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from test_cost import Counting

from nanolm import checkpoint, params
from nanolm.cli import info_command
from nanolm.generation import kv_cache, llama_cache
from nanolm.layers import rotary
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token, cost, cost_shapes, llama, seq2seq

BERT = bert.Config(vocab_size=23, block_size=9, n_layer=2, n_head=2, n_embd=8, n_hidden=20, n_class=3)
CASES = [(llama, llama.Config(23, 9, 3, 6, 2, 12, 20)), (llama, llama.Config(23, 9, 2, 4, 1, 8, 20, head_dim=6, tied=False)),
         (seq2seq, seq2seq.Config(23, 9, 2, 2, 8, 20, dropout=0.0)),
         (seq2seq, seq2seq.Config(23, 9, 2, 2, 8, 20, source_vocab_size=17, shared=False, norm="pre")),
         (bert, replace(BERT, pooler=False)), (bert_pretraining, BERT), (bert_sequence, BERT), (bert_token, BERT), (bert_span, BERT)]
NAMES = [f"{model.__name__.split('.')[-1]}-{i}" for i, (model, _) in enumerate(CASES)]


def forward(model, p, config, B, T):
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(0, 17, (2, B, T))
    if model is seq2seq:
        model.forward(p, ids, targets, targets, config)
    elif model is bert:
        model.forward(p["bert"], ids, config)
    elif model is bert_pretraining:
        model.forward(p, ids, targets, config, next_targets=rng.integers(0, 2, B))
    elif model is bert_sequence:
        model.forward(p, ids, rng.integers(0, 3, B), config)
    elif model is bert_span:
        model.forward(p, ids, rng.integers(0, T, (B, 2)), config)
    else:
        model.forward(p, ids, targets % (3 if model is bert_token else 17), config)


@pytest.mark.parametrize("model, config", CASES, ids=NAMES)
@pytest.mark.parametrize("B, T", [(1, 7), (3, 4)])
def test_parameters_and_flops(model, config, B, T, monkeypatch):
    turn = rotary.forward
    monkeypatch.setattr(rotary, "forward", lambda *arguments: (turn(*arguments)[0].view(Counting), None))   # it makes plain arrays
    p = {"bert": bert.init(config, np.random.default_rng(0))} if model is bert else model.init(config, np.random.default_rng(0))
    flat = params.flatten(p)
    table = cost_shapes.rows(model, config, B, T)
    for row in table:
        assert row.parameters == sum(a.size for name, a in flat.items() if name.startswith(row.name + ".")), row.name
    total = cost.total(table)
    assert total.parameters == sum(a.size for a in flat.values())
    Counting.flops = 0
    forward(model, params.unflatten({name: a.view(Counting) for name, a in flat.items()}), config, B, T)
    assert Counting.flops == total.flops > 0


def test_parameters_of_published_models():
    """SmolLM2-135M, BERT base with its heads, and the Transformer's base model (65 million in the paper's table 3)."""
    known = [(llama, llama.Config(), 134_515_008), (bert_pretraining, bert.Config(), 110_106_428), (seq2seq, seq2seq.Config(), 63_082_496)]
    for model, config, count in known:
        assert cost.total(cost_shapes.rows(model, config)).parameters == count


def test_the_key_value_cache():
    model, config = CASES[0]
    p = llama.init(config, np.random.default_rng(0))
    kv = llama_cache.empty(p, config)
    kv_cache.make_room(kv, config.block_size, config.block_size)
    assert kv.keys.size + kv.values.size == config.block_size * cost_shapes.kv_numbers(model, config)
    assert cost_shapes.kv_numbers(bert, BERT) == 0


@pytest.mark.parametrize("arguments, words", [({"n_tokens": 10}, "n_tokens must lie between 1 and block_size = 9, but it is 10"),
                                              ({"batch_size": 0}, "batch_size must be at least 1, but it is 0")])
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        cost_shapes.rows(*CASES[0], **arguments)


def info(*arguments):
    done = CliRunner().invoke(info_command.command, arguments)
    return done.stdout if done.exit_code == 0 else done.exception or done.stderr


def test_the_command_on_each_kind_and_on_a_folder(tmp_path):
    model, config = CASES[0]
    checkpoint.save(tmp_path / "small", model, llama.init(config, np.random.default_rng(0)), config)
    out, total = info(str(tmp_path / "small"), "--tokens", "7"), cost.total(cost_shapes.rows(model, config, 1, 7))
    row = next(line for line in out.splitlines() if line.startswith("total"))
    assert row.split() == ["total", f"{total.parameters:,}", f"{total.flops / 1e6:,.1f}", f"{2 * total.flops / 1e6:,.1f}"]
    numbers = [[float(cell.replace(",", "")) for cell in line.split()[-3:]] for line in out.splitlines() if line[-1:].isdigit()]
    np.testing.assert_allclose(np.sum(numbers[:-1], axis=0), numbers[-1], atol=0.5)         # the blocks' rows count for all blocks
    assert "layers.0.self_attn (x 3)" in out and "key-value cache" in out and f"{4 * 2 * 3 * 2 * 2:,} bytes a token" in out
    assert "134,515,008" in info("llama") and "self_attn (x 2)" in info("llama", "--set", "n_layer=2")
    assert "cross_attn (x 6)" in info("seq2seq") and "bert.h.0.attn (x 12)" in info("bert") and "key-value" not in info("bert")
    assert "decoder.h.1.mlp" in info("seq2seq", "--set", "n_layer=2", "--every-block")
    assert "there is no preset 'gpt9', and no such model is here" in str(info("gpt9"))
    assert "a model has no 'foo'" in str(CliRunner().invoke(info_command.command, ["bert", "--set", "foo=1"]).stderr)


def test_a_pooler_is_counted_where_there_is_one():
    with_it, without = ({row.name: row.parameters for row in cost_shapes.rows(bert, replace(BERT, pooler=pooler))} for pooler in (True, False))
    assert {name: n for name, n in with_it.items() if name not in without} == {"pooler": 8 * 8 + 8}

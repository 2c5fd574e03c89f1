"""BERT in Hugging Face's layout: each head there and back, and what does not fit."""
import json
from dataclasses import replace

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.checkpoint import bert_layout
from nanolm.models import bert, bert_names, bert_pretraining, bert_sequence, bert_span, bert_token

CONFIG = dict(vocab_size=13, block_size=7, n_layer=2, n_head=2, n_embd=8, n_hidden=12, n_class=3)
HEADS = [(bert, True), (bert, False), (bert_pretraining, True), (bert_pretraining, False), (bert_sequence, True), (bert_token, False),
         (bert_span, False)]


def drawn(model, pooler):
    config, rng = bert.Config(**CONFIG, pooler=pooler), np.random.default_rng(0)
    shapes = bert_names.shapes(config, next(head for module, head in bert_layout.ARCHITECTURES.values() if module is model))
    p = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in params.flatten(shapes).items()}
    return params.unflatten(p), config


@pytest.mark.parametrize("model, pooler", HEADS)
def test_there_and_back(tmp_path, model, pooler):
    p, config = drawn(model, pooler)
    checkpoint.save(tmp_path / "mine", model, p, config)
    loaded = checkpoint.load(tmp_path / "mine")
    assert loaded.model is model and loaded.config == replace(config, n_class=2 if model is bert_span else 3)      # begin, end
    assert list(params.flatten(loaded.p)) == list(params.flatten(p))
    for name, a in params.flatten(p).items():
        assert np.array_equal(params.flatten(loaded.p)[name], a), name


def test_misfits_are_named(tmp_path):
    from safetensors.numpy import load, save
    p, config = drawn(bert_sequence, True)
    checkpoint.save(tmp_path / "mine", bert_sequence, p, config)
    weights, says = tmp_path / "mine" / "model.safetensors", tmp_path / "mine" / "config.json"
    good, settings = weights.read_bytes(), json.loads(says.read_text())
    name = "bert.encoder.layer.1.attention.self.key.weight"
    for change, words in ((lambda t: {k: v for k, v in t.items() if k != name}, f"has no tensor '{name}'"),
                          (lambda t: {**t, "surplus.weight": np.ones(2, np.float32)}, "has a tensor 'surplus.weight' that nanolm.models.bert_sequence"),
                          (lambda t: {**t, name: t[name][:, 1:]}, "model.safetensors")):
        weights.write_bytes(save(change(load(good))))
        with pytest.raises(ValueError, match=words):
            checkpoint.load(tmp_path / "mine")
    weights.write_bytes(good)
    for changes, words in (({"hidden_act": "silu"}, "hidden_act = 'silu'; nanolm's BERT has gelu, "), ({"architectures": ["BertForFun"]}, "nanolm has BertModel, "),
                           ({"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
                           ({"num_hidden_layers": 3}, "has no tensor 'bert.encoder.layer.2.")):
        says.write_text(json.dumps({**settings, **changes}))
        with pytest.raises(ValueError, match=words):
            checkpoint.load(tmp_path / "mine")

"""Rule 10: wrong shapes, ids and dtypes are refused in a sentence: the argument, what came, what was expected."""
from dataclasses import replace

import numpy as np
import pytest

from nanolm.gradcheck import cases
from nanolm.layers import (attention, block, cross_entropy, dropout, embedding, gelu, layernorm, linear, masks, mlp,
                           multihead, positions, softmax)
from nanolm.models import gpt2

BOTH_BACKENDS = True

x, w, b = np.zeros((2, 3, 4)), np.zeros((4, 5)), np.zeros(5)
ids, rng = np.array([[0, 1, 2]]), np.random.default_rng(0)
heads4, norm4 = cases.heads(rng, 4), cases.norm(rng, 4)
mlp4 = {"c_fc": cases.dense(rng, 4, 5), "c_proj": cases.dense(rng, 5, 4)}
p4 = {"ln_1": norm4, "attn": heads4, "ln_2": norm4, "mlp": mlp4}
config = gpt2.Config(7, 4, 1, 1, 4)
model = gpt2.init(config, rng, np.float64)

# what is called, the error, words its sentence must hold: the argument's name, what came, what was expected
REFUSED = [
    (lambda: linear.forward(x, w.T, b), ValueError, ("weight", "(5, 4)", "(4, out)")),
    (lambda: linear.forward(x, w, b[:2]), ValueError, ("bias", "(2,)", "(5,)")),
    (lambda: linear.forward(x, w.astype(np.float32), b), TypeError, ("weight", "float32", "float64")),
    (lambda: linear.forward(x.astype(int), w, b), TypeError, ("x", "int64", "float64")),
    (lambda: linear.forward(x.tolist(), w, b), TypeError, ("x", "list", "array")),
    (lambda: linear.forward(np.zeros(()), w, b), ValueError, ("x", "()", "1 axis")),
    (lambda: linear.forward(x, None, b), TypeError, ("weight", "None", "array")),
    (lambda: linear.forward(np.zeros((3, 0)), np.zeros((0, 2))), ValueError, ("x", "(3, 0)", "last axis")),
    (lambda: linear.forward(x, np.ma.masked_array(w), b), TypeError, ("weight", "MaskedArray", "array")),
    (lambda: gelu.forward(np.array(1.0)), ValueError, ("x", "()", "1 axis")),
    (lambda: softmax.forward(x[..., :0]), ValueError, ("x", "(2, 3, 0)", "last axis")),
    (lambda: embedding.forward(np.int64(2), w), TypeError, ("ids", "int64", "array of integers")),
    (lambda: layernorm.forward(x, None, np.zeros(4)), TypeError, ("weight", "None", "array")),
    (lambda: layernorm.forward(x, np.zeros(4), np.zeros(4), eps=-1e-5), ValueError, ("eps", "-1e-05", "at least 0")),
    (lambda: layernorm.forward(x, np.zeros(4), np.zeros(4), eps="1e-5"), TypeError, ("eps", "str", "number")),
    (lambda: positions.forward(x, np.zeros((3, 4)), offset=0.0), TypeError, ("offset", "0.0", "whole")),
    (lambda: positions.forward(x, np.zeros((3, 4)), offset=-1), ValueError, ("offset", "-1", "at least 0")),
    (lambda: positions.sinusoidal(0, 4), ValueError, ("n_positions", "0", "at least 1")),
    (lambda: dropout.forward(x, None, rng), TypeError, ("rate", "None", "number")),
    (lambda: cross_entropy.forward(x, np.zeros((2, 3), int), label_smoothing="0.1"), TypeError,
     ("label_smoothing", "str", "number")),
    (lambda: attention.forward(x, x[:, :0], x[:, :0]), ValueError, ("k", "(2, 0, 4)", "at least one key")),
    (lambda: masks.causal(2.0), TypeError, ("T", "2.0", "whole")),
    (lambda: gelu.forward(x, "sigmoid"), ValueError, ("form", "sigmoid", "tanh")),
    (lambda: gelu.forward(x.astype(int)), TypeError, ("x", "int64", "float32")),
    (lambda: softmax.forward(x.astype(np.float16)), TypeError, ("x", "float16", "float32")),
    (lambda: softmax.forward([1.0, 2.0]), TypeError, ("x", "list", "array")),
    (lambda: embedding.forward(ids.astype(float), w), TypeError, ("ids", "float64", "integers")),
    (lambda: embedding.forward(ids + 2, w), ValueError, ("ids", "4", "0 and 3")),
    (lambda: embedding.forward(ids - 1, w), ValueError, ("ids", "-1", "0 and 3")),
    (lambda: embedding.forward(ids, b), ValueError, ("weight", "(5,)", "(V, C)")),
    (lambda: positions.forward(x, np.zeros((2, 4))), ValueError, ("x", "3 tokens", "0 to 1")),
    (lambda: positions.forward(x, np.zeros((3, 5))), ValueError, ("weight", "(3, 5)", "4")),
    (lambda: positions.forward(x, np.zeros((3, 4)), offset=1), ValueError, ("x", "position 1", "0 to 2")),
    (lambda: layernorm.forward(x, b, np.zeros(4)), ValueError, ("weight", "(5,)", "(4,)")),
    (lambda: layernorm.forward(x, np.zeros(4), b), ValueError, ("bias", "(5,)", "(4,)")),
    (lambda: layernorm.forward(x, np.zeros(4, np.float32), np.zeros(4)), TypeError, ("weight", "float32", "float64")),
    (lambda: dropout.forward(x, 1.0, rng), ValueError, ("rate", "1.0", "below 1")),
    (lambda: dropout.forward(x, -0.1, rng), ValueError, ("rate", "-0.1", "0")),
    (lambda: dropout.forward(x, 0.5, 3), TypeError, ("rng", "int", "Generator")),
    (lambda: cross_entropy.forward(x, np.zeros((2, 2), int)), ValueError, ("targets", "(2, 2)", "(2, 3)")),
    (lambda: cross_entropy.forward(x, np.full((2, 3), 4)), ValueError, ("targets", "4", "0 and 3")),
    (lambda: cross_entropy.forward(x, np.full((2, 3), -1)), ValueError, ("targets", "-1", "-100")),
    (lambda: cross_entropy.forward(x, np.zeros((2, 3))), TypeError, ("targets", "float64", "integers")),
    (lambda: cross_entropy.forward(x, np.zeros((2, 3), int), label_smoothing=1.0), ValueError,
     ("label_smoothing", "1.0", "below 1")),
    (lambda: attention.forward(x, np.zeros((2, 6, 5)), np.zeros((2, 6, 5))), ValueError,
     ("k", "(2, 6, 5)", "(2, 6, 4)")),
    (lambda: attention.forward(x, x, np.zeros((2, 5, 4))), ValueError, ("v", "(2, 5, 4)", "(2, 3, 4)")),
    (lambda: attention.forward(x, x, x, mask=np.zeros((3, 3))), TypeError, ("mask", "float64", "booleans")),
    (lambda: attention.forward(x, x, x, mask=np.ones((3, 5), bool)), ValueError, ("mask", "(3, 5)", "(2, 3, 3)")),
    (lambda: multihead.forward(x, heads4, 3), ValueError, ("n_head", "3", "4")),
    (lambda: multihead.forward(x[0], heads4, 2), ValueError, ("x", "(3, 4)", "(B, T, C)")),
    (lambda: multihead.forward(x, {"c_attn": heads4["c_attn"]}, 2), ValueError, ("p", "c_proj", "missing")),
    (lambda: multihead.forward(x, heads4, 2, memory=np.zeros((3, 3, 4))), ValueError,
     ("memory", "(3, 3, 4)", "(2, S, 4)")),
    (lambda: multihead.forward(x, heads4, 2.0), TypeError, ("n_head", "2.0", "whole")),
    (lambda: multihead.forward(x, heads4, 2, mask=np.ones((2, 3, 3), bool)), ValueError,
     ("mask", "(2, 3, 3)", "(B, H, T, S)", "mask[:, None]")),               # with B = H it would be taken for (H, T, S)
    (lambda: multihead.forward(x, {**heads4, "c_attn": cases.dense(rng, 4, 9)}, 2), ValueError,
     ("c_attn weight", "(4, 9)", "(4, 12)")),
    (lambda: multihead.forward(x, {**heads4, "c_proj": cases.dense(rng, 4, 1)}, 2), ValueError,
     ("c_proj weight", "(4, 1)", "(4, 4)")),                                # x + a would broadcast
    (lambda: multihead.forward(x, {**heads4, "c_attn": {"weight": w}}, 2), ValueError, ("c_attn", "missing: bias", "weight")),
    (lambda: mlp.forward(x, {**mlp4, "c_proj": cases.dense(rng, 5, 1)}), ValueError, ("c_proj weight", "(5, 1)", "(5, 4)")),
    (lambda: mlp.forward(x, []), TypeError, ("p", "list", "c_fc")),
    (lambda: mlp.forward(x, {**mlp4, "c_gate": 1}), ValueError, ("p", "c_gate", "c_fc")),
    (lambda: block.forward(x, p4, 2, norm="sandwich"), ValueError, ("norm", "sandwich", "pre")),
    (lambda: block.forward(x, {"ln_1": norm4}, 2), ValueError, ("p", "ln_1", "missing")),
    (lambda: masks.causal(4, 3), ValueError, ("S", "3", "at least T = 4")),
    (lambda: masks.padding([5], 4), ValueError, ("lengths", "5", "S = 4")),
    (lambda: gpt2.forward(model, ids[0], ids[0], config), ValueError, ("ids", "(3,)", "(B, T)")),
    (lambda: gpt2.forward(model, np.zeros((1, 5), int), np.zeros((1, 5), int), config), ValueError,
     ("ids", "(1, 5)", "4")),
    (lambda: gpt2.forward(model, ids + 5, ids, config), ValueError, ("ids", "7", "0 and 6")),
    (lambda: gpt2.forward(model, ids, ids[:, :2], config), ValueError, ("targets", "(1, 2)", "(1, 3)")),
    (lambda: gpt2.Config(n_head=5), ValueError, ("n_head", "5", "768")),
    (lambda: gpt2.Config(n_layer=0), ValueError, ("n_layer", "0", "at least 1")),
    (lambda: gpt2.Config(n_layer=np.int64(2)), ValueError, ("n_layer", "int64", "not int")),
    (lambda: gpt2.Config(dropout="0.1"), TypeError, ("dropout", "str", "number")),
    (lambda: gpt2.Config(dropout=1.0), ValueError, ("dropout", "1.0", "below 1")),
    (lambda: gpt2.forward(model, ids, ids, replace(config, n_layer=2)), ValueError, ("h", "missing: 1", "0, 1")),
    (lambda: gpt2.forward({**model, "h": {**model["h"], "1": model["h"]["0"]}}, ids, ids, config), ValueError,
     ("h", "not known: 1", "keys 0;")),                                     # blocks that config does not know would be skipped
    (lambda: gpt2.logits(model, ids, replace(config, vocab_size=9)), ValueError, ("wte", "(7, 4)", "(9, 4)")),
    (lambda: gpt2.logits(model, ids, replace(config, block_size=9)), ValueError, ("wpe", "(4, 4)", "(9, 4)")),
    (lambda: gpt2.logits({"wte": model["wte"]}, ids, config), ValueError, ("p", "wpe, h, ln_f", "missing")),
    (lambda: gpt2.preset("gpt3"), ValueError, ("preset", "gpt3", "nano")),
    (lambda: gpt2.init(config, 3), TypeError, ("rng", "int", "Generator")),
    (lambda: gpt2.init(config, rng, np.float16), TypeError, ("dtype", "float16", "float32")),
]


@pytest.mark.parametrize("call, error, words", REFUSED, ids=[f"{i}-{w[0]}" for i, (_, _, w) in enumerate(REFUSED)])
def test_refused_in_a_sentence(call, error, words):
    with pytest.raises(error) as caught:
        call()
    sentence = str(caught.value)
    assert sentence.rstrip()[-1] in ".?" and len(sentence) > 30 and sentence.isascii()
    for word in words:
        assert word in sentence, sentence

"""Every layer, composite and GPT-2 against arrays that PyTorch and transformers computed (tests/golden/make.py)."""
from pathlib import Path

import numpy as np
import pytest

from nanolm import params
from nanolm.layers import (attention, block, cross_entropy, dropout, embedding, gelu, grouped, layernorm, linear, mlp,
                           multihead, pooler, positions, relu, rmsnorm, rotary, silu, softmax, swiglu, tanh)
from nanolm.models import gpt2, llama

BOTH_BACKENDS = True

GOLDEN = Path(__file__).parent / "golden"
CLOSE = dict(rtol=1e-11, atol=1e-12)                # float64; the arrays themselves are of order 1

# file -> (layer, names of the arguments that have a gradient, fixed arguments that are not in the file)
PLAIN = {
    "linear": (linear, ["x", "weight", "bias"], {}),
    "gelu_tanh": (gelu, ["x"], {"form": "tanh"}),
    "gelu_erf": (gelu, ["x"], {"form": "erf"}),
    "softmax": (softmax, ["x"], {}),
    "softmax_axis1": (softmax, ["x"], {"axis": 1}),
    "embedding": (embedding, ["weight"], {}),
    "positions": (positions, ["x", "weight"], {}),
    "layernorm": (layernorm, ["x", "weight", "bias"], {}),
    "cross_entropy_plain": (cross_entropy, ["logits"], {}),
    "cross_entropy_smooth": (cross_entropy, ["logits"], {}),
    "attention_none": (attention, ["q", "k", "v"], {}),
    "attention_causal": (attention, ["q", "k", "v"], {}),
    "attention_padding": (attention, ["q", "k", "v"], {}),
    "attention_any": (attention, ["q", "k", "v"], {}),
    "rmsnorm": (rmsnorm, ["x", "weight"], {}),
    "silu": (silu, ["x"], {}),
    "relu": (relu, ["x"], {}),
    "rotary": (rotary, ["x"], {}),
    "tanh": (tanh, ["x"], {}),
}
COMPOSITES = {"multihead_self": (multihead, {}), "multihead_cross": (multihead, {}), "mlp": (mlp, {}),
              "block_pre": (block, {"mask": "causal"}), "block_post": (block, {"mask": "causal"}),
              "swiglu": (swiglu, {}), "grouped": (grouped, {"mask": "causal"}), "pooler": (pooler, {})}


def read(name):
    """Return the file's arrays as (inputs, gradients, fixed, rest), 0-d arrays as plain numbers or strings."""
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    arrays = {k: v.item() if v.ndim == 0 and k.startswith("fixed.") else v for k, v in arrays.items()}
    parts = {part: {k[len(part) + 1:]: v for k, v in arrays.items() if k.startswith(part + ".")}
             for part in ("in", "grad", "fixed")}
    return parts["in"], parts["grad"], parts["fixed"], arrays


@pytest.mark.parametrize("name", PLAIN)
def test_layer(name):
    layer, order, more = PLAIN[name]
    inputs, gradients, fixed, arrays = read(name)
    y, cache = layer.forward(**inputs, **fixed, **more)
    np.testing.assert_allclose(y, arrays["out"], **CLOSE)
    got = layer.backward(arrays["up"], cache)
    got = got if isinstance(got, tuple) else (got,)
    assert len(got) == len(order)
    for array, argument in zip(got, order):
        np.testing.assert_allclose(array, gradients[argument], **CLOSE, err_msg=argument)


@pytest.mark.plain_only                             # the twin drops other numbers from the same seed
def test_dropout():
    inputs, gradients, fixed, arrays = read("dropout")
    y, cache = dropout.forward(inputs["x"], fixed["rate"], np.random.default_rng(fixed["seed"]))
    np.testing.assert_allclose(y, arrays["out"], **CLOSE)
    np.testing.assert_allclose(dropout.backward(arrays["up"], cache), gradients["x"], **CLOSE)


@pytest.mark.parametrize("name", COMPOSITES)
def test_composite(name):
    layer, more = COMPOSITES[name]
    inputs, gradients, fixed, arrays = read(name)
    x, memory = inputs.pop("x"), inputs.pop("memory", None)
    if more.get("mask") == "causal":
        fixed["mask"] = np.tril(np.ones((x.shape[1], x.shape[1]), bool))
    if memory is not None:
        fixed["memory"] = memory
    y, cache = layer.forward(x, params.unflatten(inputs), **fixed)
    np.testing.assert_allclose(y, arrays["out"], **CLOSE)
    *dinputs, dp = layer.backward(arrays["up"], cache)
    for got, argument in zip(dinputs, ["x", "memory"]):
        np.testing.assert_allclose(got, gradients[argument], **CLOSE, err_msg=argument)
    assert len(dinputs) == (1 if memory is None else 2)
    dp = params.flatten(dp)
    assert sorted(dp) == sorted(inputs)
    for key in inputs:
        np.testing.assert_allclose(dp[key], gradients[key], **CLOSE, err_msg=key)


WHOLE = {"gpt2": (gpt2, gpt2.Config(vocab_size=13, block_size=7, n_layer=2, n_head=2, n_embd=6)),
         "llama": (llama, llama.Config(vocab_size=13, block_size=7, n_layer=2, n_head=4, n_kv_head=2, n_embd=8, n_hidden=10,
                                       base=50.0))}

BERT = ("bert_pretraining", "bert_sequence", "bert_token", "bert_span")            # compared in test_bert.py
SEQ2SEQ = ("decoder_block_post", "decoder_block_pre", "seq2seq_post", "seq2seq_pre")    # in the tests of these names


@pytest.mark.parametrize("name", WHOLE)
def test_logits_loss_and_every_gradient(name):
    inputs, gradients, fixed, arrays = read(name)
    model, config = WHOLE[name]
    p = params.unflatten(inputs)
    np.testing.assert_allclose(model.logits(p, fixed["ids"], config), arrays["logits"], **CLOSE)
    loss, cache = model.forward(p, fixed["ids"], fixed["targets"], config)
    np.testing.assert_allclose(loss, arrays["out"], **CLOSE)
    dp = params.flatten(model.backward(cache))
    assert list(dp) == list(params.flatten(model.init(config, np.random.default_rng(0)))) and sorted(dp) == sorted(inputs)
    for name in inputs:
        np.testing.assert_allclose(dp[name], gradients[name], **CLOSE, err_msg=name)


def test_every_golden_file_is_used():
    assert {file.stem for file in GOLDEN.glob("*.npz")} == {*PLAIN, *COMPOSITES, *WHOLE, *BERT, *SEQ2SEQ, "dropout"}

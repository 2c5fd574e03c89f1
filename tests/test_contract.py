"""The contract of every layer, composite and model: DESIGN.md's ten rules as far as a machine can see them.

The shapes are drawn by hypothesis; the values by a seeded generator. That the gradients are the right numbers is the
business of tests/gradcheck; here: their order, shape and dtype, what must not be touched, and what must be refused.
"""
import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanolm import gradcheck
from nanolm.gradcheck import cases
from nanolm.layers import (attention, block, cross_entropy, decoder_block, dropout, embedding, gelu, grouped, layernorm, linear,
                           llama_block, masks, mlp, multihead, pooler, positions, relu, rmsnorm, rotary, silu, softmax, swiglu,
                           tanh)
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token, gpt2, llama
from nanolm.params import flatten

BOTH_BACKENDS = True

size = st.integers(1, 5)


def floats(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def parameters(p, dtype):
    return {k: parameters(v, dtype) if isinstance(v, dict) else v.astype(dtype) for k, v in p.items()}


def arguments(layer, draw, rng, dtype):
    """Return args and kwargs of a forward call, shapes drawn, and the arguments whose gradients are owed, in order."""
    B, T, S, C, V = (draw(size) for _ in range(5))
    H = draw(st.integers(1, 3))
    x = floats(rng, dtype, *draw(st.lists(size, min_size=0, max_size=3)), C)           # (..., C), one to four axes
    if layer is linear:
        args = (x, floats(rng, dtype, C, V), floats(rng, dtype, V))
        return args, {}, args
    if layer in (gelu, softmax):
        return (x,), {"form": draw(st.sampled_from(["tanh", "erf"]))} if layer is gelu else {"axis": draw(
            st.integers(-x.ndim, x.ndim - 1))}, (x,)
    if layer in (silu, relu, tanh):
        return (x,), {}, (x,)
    if layer is rotary:
        x = floats(rng, dtype, *draw(st.lists(size, min_size=0, max_size=2)), T, 2 * H)
        return (x,), {"base": draw(st.sampled_from([2.0, 1e4])), "offset": draw(st.integers(0, 5))}, (x,)
    if layer is rmsnorm:
        args = (x, floats(rng, dtype, C))
        return args, {}, args
    if layer is swiglu:
        args = (x, parameters(cases.gated(rng, C, V), dtype))
        return args, {}, args
    if layer is embedding:
        weight = floats(rng, dtype, V, C)
        return (rng.integers(0, V, x.shape[:-1]), weight), {}, (weight,)
    if layer is positions:
        offset = draw(st.integers(0, 3))
        args = (floats(rng, dtype, B, T, C), floats(rng, dtype, T + offset + draw(st.integers(0, 3)), C))
        return args, {"offset": offset}, args
    if layer is layernorm:
        args = (x, floats(rng, dtype, C), floats(rng, dtype, C))
        return args, {}, args
    if layer is dropout:
        rate, off = draw(st.sampled_from([0.0, 0.3, 0.9])), draw(st.booleans())
        return (x, rate, None if off else np.random.default_rng(0)), {}, (x,)
    if layer is cross_entropy:
        targets = np.where(rng.random(x.shape[:-1]) < 0.3, -100, rng.integers(0, C, x.shape[:-1]))
        return (x, targets), {"label_smoothing": draw(st.sampled_from([0.0, 0.1]))}, (x,)
    if layer is pooler:
        args = (floats(rng, dtype, B, T, C), parameters(cases.dense(rng, C, C), dtype))
        return args, {}, args
    options = {"dropout": draw(st.sampled_from([0.0, 0.4])), "rng": np.random.default_rng(0)}
    if layer in (grouped, llama_block):
        G, D = draw(st.integers(1, 2)), 2 * draw(st.integers(1, 2))
        p = {"input_layernorm": {"weight": rng.standard_normal(C)}, "self_attn": cases.groups(rng, C, G * H * D, G * D),
             "post_attention_layernorm": {"weight": rng.standard_normal(C)}, "mlp": cases.gated(rng, C, V)}
        p = parameters(p, dtype)
        args = (floats(rng, dtype, B, T, C), p["self_attn"] if layer is grouped else p)
        return (*args, G * H, G), {"mask": draw(st.sampled_from([None, masks.causal(T)])), "base": 10.0}, args
    C = 2 * H
    if layer is attention:
        lead = tuple(draw(st.lists(size, min_size=0, max_size=2)))
        args = (floats(rng, dtype, *lead, T, C), floats(rng, dtype, *lead, S, C), floats(rng, dtype, *lead, S, V))
        options["mask"] = draw(st.sampled_from([None, rng.random((T, S)) < 0.6, np.zeros((T, S), bool)]))
        return args, options, args
    x = floats(rng, dtype, B, T, C)
    if layer is multihead:
        p, memory = parameters(cases.heads(rng, C), dtype), draw(st.sampled_from([None, floats(rng, dtype, B, S, C)]))
        options["mask"] = draw(st.sampled_from([None, masks.causal(T)])) if memory is None else None
        return (x, p, H), {**options, "memory": memory}, (x, p) if memory is None else (x, memory, p)
    p = {"ln_1": cases.norm(rng, C), "attn": cases.heads(rng, C), "ln_2": cases.norm(rng, C),
         "mlp": {"c_fc": cases.dense(rng, C, V), "c_proj": cases.dense(rng, V, C)}}
    p = parameters(p, dtype)
    form = draw(st.sampled_from(["tanh", "erf", "relu"]))
    if layer is decoder_block:
        p |= parameters({"cross_attn": cases.heads(rng, C), "ln_3": cases.norm(rng, C)}, dtype)
        memory, options["norm"] = floats(rng, dtype, B, S, C), draw(st.sampled_from(["pre", "post"]))
        options["memory_mask"] = draw(st.sampled_from([None, masks.padding(rng.integers(0, S + 1, B), S)]))
        return (x, memory, p, H), {**options, "form": form}, (x, memory, p)
    if layer is mlp:
        return (x, p["mlp"]), {"form": form}, (x, p["mlp"])
    return (x, p, H), {**options, "form": form, "norm": draw(st.sampled_from(["pre", "post"]))}, (x, p)


def copy(tree):
    if isinstance(tree, np.ndarray):
        return tree.copy()
    if isinstance(tree, dict):
        return {k: copy(v) for k, v in tree.items()}
    return type(tree)(map(copy, tree)) if isinstance(tree, (tuple, list)) else tree


def assert_same(before, after):
    """Assert that two nests are equal to the last bit."""
    if isinstance(before, np.ndarray):
        assert before.shape == after.shape and before.dtype == after.dtype and before.tobytes() == after.tobytes()
    elif isinstance(before, dict):
        assert list(before) == list(after)
        for key in before:
            assert_same(before[key], after[key])
    elif isinstance(before, (tuple, list)):
        assert len(before) == len(after)
        for one, other in zip(before, after):
            assert_same(one, other)
    elif not isinstance(before, np.random.Generator):
        assert before == after or before != before


def assert_like(gradient, argument):
    """Assert that a gradient has its argument's keys, shape and dtype, in float64 or float32 alike."""
    if isinstance(argument, dict):
        assert isinstance(gradient, dict) and set(gradient) == set(argument)
        for key in argument:
            assert_like(gradient[key], argument[key])
    else:
        assert isinstance(gradient, np.ndarray)
        assert (gradient.shape, gradient.dtype) == (argument.shape, argument.dtype)


LAYERS = [linear, gelu, softmax, embedding, positions, layernorm, dropout, cross_entropy, attention, multihead, mlp,
          block, rmsnorm, silu, rotary, swiglu, grouped, llama_block, tanh, pooler, relu, decoder_block]
MODELS = [gpt2, llama, bert_pretraining, bert_sequence, bert_token, bert_span]
quick = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__.rsplit(".", 1)[-1])
def test_contract(layer, dtype):
    @quick
    @given(st.data(), st.integers(0, 2**32 - 1))
    def holds(data, seed):
        rng = np.random.default_rng(seed)
        args, kwargs, owed = arguments(layer, data.draw, rng, dtype)
        args_before = copy((args, kwargs))
        y, cache = layer.forward(*args, **kwargs)
        assert np.asarray(y).dtype == dtype                                             # rule 8
        assert isinstance(cache, tuple)                                                 # rule 5
        assert np.isfinite(y).all()
        dy = dtype(1.7) if np.ndim(y) == 0 else floats(rng, dtype, *y.shape)
        y_before, cache_before, dy_before = copy(y), copy(cache), copy(dy)
        gradients = layer.backward(dy, cache)
        first = copy(gradients)
        assert isinstance(gradients, tuple) if len(owed) > 1 else not isinstance(gradients, tuple)
        for gradient, argument in zip(gradients if len(owed) > 1 else [gradients], owed, strict=True):
            assert_like(gradient, argument)                                             # rule 1 and 2
        assert_same(first, layer.backward(dy, cache))                                   # rule 4: the second time
        assert_same(first, gradients)                                                   # and the first result stays
        for before, after in ((args_before, (args, kwargs)), (y_before, y), (cache_before, cache), (dy_before, dy)):
            assert_same(before, after)                                                  # rule 4: nothing was written to
    holds()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__.rsplit(".", 1)[-1])
def test_contract_of_a_model(model, dtype):
    @quick
    @given(st.data(), st.integers(0, 2**32 - 1))
    def holds(data, seed):
        rng, draw = np.random.default_rng(seed), data.draw
        T, H = draw(size), draw(st.integers(1, 3))
        V, block_size, L = draw(st.integers(1, 9)), T + draw(st.integers(0, 3)), draw(st.integers(1, 3))
        if model is gpt2:
            config = gpt2.Config(V, block_size, L, H, 2 * H, dropout=draw(st.sampled_from([0.0, 0.2])))
        elif model is llama:
            config = llama.Config(V, block_size, L, 2 * H, 2, 4 * H, 5, tied=draw(st.booleans()))
        else:
            config = bert.Config(V, block_size, L, H, 2 * H, 5, n_class=V, dropout=draw(st.sampled_from([0.0, 0.2])),
                                 pooler=model is bert_sequence or draw(st.booleans()))
        p = model.init(config, rng, dtype)
        ids, targets = rng.integers(0, config.vocab_size, (2, draw(size), T))
        if model in (bert_sequence, bert_span):
            targets = targets[:, 0] if model is bert_sequence else rng.integers(0, T, (len(ids), 2))
        before = copy((p, ids, targets))
        loss, cache = model.forward(p, ids, targets, config, rng=draw(st.sampled_from([None, np.random.default_rng(0)])))
        assert np.asarray(loss).dtype == dtype and np.ndim(loss) == 0 and np.isfinite(loss)
        cache_before = copy(cache)
        dp = model.backward(cache)
        assert_like(dp, p)
        assert list(flatten(dp)) == list(flatten(p))
        first = copy(dp)
        assert_same(first, model.backward(cache))
        assert_same(first, dp)
        assert_same(before, (p, ids, targets))
        assert_same(cache_before, cache)
        z = model.logits(p, ids, config)
        assert all(one is None or one.dtype == dtype for one in (z if isinstance(z, tuple) else (z,)))
    holds()


# What calls what. Each pair: swapping the second's functions must change the first's results (rule 3).
CALLS = [(upper, lower) for upper, lowers in {
    "gpt2": "embedding positions dropout block layernorm linear cross_entropy multihead attention softmax mlp gelu",
    "block": "layernorm multihead mlp dropout", "decoder_block": "layernorm multihead mlp dropout relu",
    "seq2seq": "embedding positions dropout block decoder_block layernorm linear cross_entropy multihead attention mlp relu",
    "multihead": "linear attention", "mlp": "linear gelu",
    "attention": "softmax dropout", "swiglu": "linear silu", "grouped": "linear rotary attention softmax",
    "llama_block": "rmsnorm grouped swiglu", "llama": "embedding llama_block rmsnorm linear cross_entropy rotary silu",
    "pooler": "linear tanh",                 # not positions: a layer norm follows it, which sees no factor of 1.5
    "bert_pretraining": "embedding dropout block layernorm linear cross_entropy gelu pooler tanh",
    "bert_sequence": "embedding dropout block layernorm linear cross_entropy pooler tanh attention",
    "bert_token": "embedding dropout block layernorm linear cross_entropy multihead mlp",
    "bert_span": "embedding dropout block layernorm linear cross_entropy softmax gelu"}.items() for lower in lowers.split()]


@pytest.mark.parametrize("upper, lower", CALLS)
def test_a_swapped_function_really_takes_its_place(upper, lower):
    case = next(c for c in cases.of(upper) if "dropout" in c.title or lower != "dropout")
    module, below = case.module(), importlib.import_module(f"nanolm.layers.{lower}")

    def scaled(function):
        def twice(*args, **kwargs):
            result = function(*args, **kwargs)
            return (1.5 * result[0], *result[1:]) if isinstance(result, tuple) else 1.5 * result
        return twice

    def run():
        kwargs = {k: np.random.default_rng(7) if k == "rng" else v for k, v in case.kwargs.items()}
        y, cache = module.forward(*case.args, **kwargs)
        dy = np.cos(np.arange(np.size(y))).reshape(np.shape(y))
        gradients = module.backward(cache) if case.of_model else module.backward(dy, cache)
        leaves = []
        for g in gradients if isinstance(gradients, tuple) else (gradients,):
            leaves += list(flatten(g).values()) if isinstance(g, dict) else [g]
        return np.asarray(y), np.concatenate([g.ravel() for g in leaves])

    def through(function):
        return lambda *args, **kwargs: function(*args, **kwargs)

    y, gradients = run()
    for name in ("forward", "backward"):
        own = getattr(below, name)
        with gradcheck.swap(below, **{name: through(own)}):      # its fast twin's callers may go plain: other roundings
            same_y, same = run()
        with gradcheck.swap(below, **{name: scaled(own)}):
            changed_y, changed = run()
        assert np.array_equal(changed_y, same_y) == (name == "backward"), name
        assert np.allclose(changed_y, same_y, rtol=1e-6) == (name == "backward"), name
        assert name == "forward" or not np.allclose(changed, same, rtol=1e-6)
    again = run()
    assert np.array_equal(again[0], y) and np.array_equal(again[1], gradients)           # everything is back in place

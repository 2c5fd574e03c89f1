"""Weights in int8: the bound on the rounding, what is rounded and what not, and generation without Numba."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nanolm import params
from nanolm.generation import beam, generate, int8, window
from nanolm.models import gpt2


def tiny(dtype=np.float64, seed=0, **changes):
    config = gpt2.Config(**{**dict(vocab_size=31, block_size=8, n_layer=2, n_head=2, n_embd=6), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.5, a.shape).astype(dtype) for name, a in flat.items()}), config


@given(arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)))
def test_rounding_is_off_by_half_a_step_at_most_and_the_largest_weight_by_nothing(w):
    layer = int8.quantize({"c_fc": {"weight": w, "bias": w[0]}})["c_fc"]
    assert layer["weight"].dtype == np.int8 and layer["weight"].min() >= -127
    back = int8.dequantize(layer)["weight"]
    assert (np.abs(back - w) <= layer["scale"] * (0.5 + 1e-12) + 1e-300).all()        # 1e-300: subnormal numbers
    largest = np.abs(w).argmax(axis=0), range(3)
    np.testing.assert_allclose(back[largest], w[largest], rtol=1e-12, atol=1e-300)


def test_by_hand_a_scale_for_each_output():
    w = np.array([[1.27, 0.0, 300.0], [-0.634, 0.0, -254.0]])
    layer = int8.quantize({"c_fc": {"weight": w, "bias": np.zeros(3)}})["c_fc"]
    np.testing.assert_allclose(layer["scale"], [0.01, 0, 300 / 127])
    assert layer["weight"].tolist() == [[127, 0, 127], [-63, 0, -108]]
    table = int8.quantize({"wte": {"weight": w.T}})["wte"]              # a row of wte is one output, one token's score
    np.testing.assert_allclose(table["scale"], layer["scale"])
    assert table["weight"].tolist() == layer["weight"].T.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_matrices_are_rounded_and_the_rest_is_shared(dtype):
    p, _ = tiny(dtype)
    q, flat = int8.quantize(p), params.flatten(p)
    made, back = params.flatten(q), params.flatten(int8.dequantize(q))
    rounded = {name for name in flat if made[name].dtype == np.int8}
    assert rounded == {"wte.weight"} | {f"h.{i}.{name}.weight" for i in range(2) for name in
                                        ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}
    assert list(back) == list(flat)
    for name, a in flat.items():
        assert back[name].dtype == dtype and back[name].shape == a.shape
        assert made[name] is a or name in rounded
        assert np.abs(back[name] - a).max() <= np.abs(a).max() / 253
    assert sum(a.nbytes for name, a in made.items() if name in rounded) == sum(flat[name].size for name in rounded)


def test_generation_is_that_of_the_dequantised_model():
    p, config = tiny(block_size=20)
    q = int8.quantize(p)
    back = int8.dequantize(q)
    assert list(generate.tokens(q, config, [3, 4], 25, 0, model=int8, cache=int8)) == list(
        generate.tokens(back, config, [3, 4], 25, 0))
    assert [b.ids for b in beam.search(q, config, [3, 4], 6, 3, model=int8, cache=int8)] == [
        b.ids for b in beam.search(back, config, [3, 4], 6, 3)]
    ids = np.random.default_rng(0).integers(0, 31, (3, 12))
    for use_cache in (True, False):
        text = window.Window(q, config, use_cache=use_cache, model=int8, cache=int8)
        text.read(ids[:, :11])
        text.select([2, 0])
        np.testing.assert_allclose(text.read(ids[[2, 0], 11:]), gpt2.logits(back, ids[[2, 0]], config)[:, -1], rtol=1e-11)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_broken_weight_is_named(wrong):
    p, _ = tiny()
    p["h"]["1"]["mlp"]["c_fc"]["weight"][2, 3] = wrong
    with pytest.raises(ValueError, match=r"h\.1\.mlp\.c_fc\.weight holds NaN or inf"):
        int8.quantize(p)

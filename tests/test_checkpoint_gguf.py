"""GGUF: a small model written by the package gguf, whole, quantised, of another kind, truncated."""
import tracemalloc

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.checkpoint import llama_names
from nanolm.gradcheck import cases
from nanolm.layers import grouped, masks
from nanolm.models import llama

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed: pip install gguf")

CONFIG = llama.Config(37, 20, 2, 4, 2, 32, 64, base=300.0, eps=1e-6)


def neighbours(a, heads):
    """The rows of q or k as GGUF has them: the inverse of llama_names.halves, written another way."""
    D = a.shape[0] // heads
    order = [h * D + i + half * (D // 2) for h in range(heads) for i in range(D // 2) for half in (0, 1)]
    return a[order]


def write(path, p, config, kind="F32", architecture="llama", leave_out=(), change=None, **more):
    """Write p as llama.cpp's converter would: its names, (out, in), q and k with pairs side by side, matrices in `kind`."""
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(config.n_hidden)
    writer.add_head_count(config.n_head)
    writer.add_head_count_kv(config.n_kv_head)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_rope_freq_base(config.base)
    for name, value in more.items():
        writer.add_string(name, value)
    if change:
        change(writer)
    for name, a in params.flatten(p).items():
        theirs = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
                  "lm_head.weight": "output.weight"}.get(name) or llama_names.gguf_name(name)
        a = np.ascontiguousarray(llama_names.transposed(name, a))
        if ".q_proj." in name or ".k_proj." in name:
            a = np.ascontiguousarray(neighbours(a, config.n_head if ".q_proj." in name else config.n_kv_head))
        if theirs in leave_out:
            continue
        if a.ndim == 2 and kind != "F32":
            stored = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(theirs, gguf.quantize(a, stored), raw_dtype=stored)
        else:
            writer.add_tensor(theirs, a)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def drawn(config, seed=0):
    return params.unflatten({name: np.float32(a) for name, a in params.flatten(
        cases.randomised(llama.init(config, np.random.default_rng(seed)), np.random.default_rng(seed))).items()})


@pytest.mark.parametrize("tied", [True, False])
def test_floats_come_back_to_the_bit(tmp_path, tied):
    config = llama.Config(**{**vars(CONFIG), "tied": tied})
    p = drawn(config)
    write(tmp_path / "m.gguf", p, config)
    loaded = checkpoint.load(tmp_path / "m.gguf")
    assert loaded.config == config and loaded.model is llama
    for name, a in params.flatten(p).items():
        assert np.array_equal(params.flatten(loaded.p)[name], a), name


@pytest.mark.parametrize("kind, close", [("F16", 1e-3), ("Q8_0", 0.01), ("Q4_1", 0.15), ("Q4_0", 0.2)])
def test_quantised_weights_become_floats_near_the_original(tmp_path, kind, close):
    p = drawn(CONFIG)
    write(tmp_path / "m.gguf", p, CONFIG, kind)
    loaded = params.flatten(checkpoint.load(tmp_path / "m.gguf").p)
    off = {name: np.abs(loaded[name] - a).max() / np.abs(a).max() for name, a in params.flatten(p).items()}
    assert max(off.values()) < close and (kind == "F16" or max(off.values()) > 1e-4), off


def test_pairs_side_by_side_or_halves_are_the_same_attention():
    """(O2) with 2i and 2i + 1 turned, on matrices in GGUF's order, gives what ours gives on ours."""
    rng = np.random.default_rng(1)
    x, p = rng.standard_normal((1, 5, 6)), cases.groups(rng, 6, 16, 8)
    y, _ = grouped.forward(x, p, 4, 2, masks.causal(5), base=50.0)
    theirs = {**p, **{name: {"weight": neighbours(p[name]["weight"].T, heads).T} for name, heads in (("q_proj", 4), ("k_proj", 2))}}
    back = {name: {"weight": llama_names.halves(theirs[name]["weight"].T, heads, "", "").T} for name, heads in (("q_proj", 4), ("k_proj", 2))}
    np.testing.assert_array_equal(grouped.forward(x, {**theirs, **back}, 4, 2, masks.causal(5), base=50.0)[0], y)
    assert np.abs(grouped.forward(x, theirs, 4, 2, masks.causal(5), base=50.0)[0] - y).max() > 0.01, "the order matters"


def test_misfits_are_named(tmp_path):
    p, path = drawn(CONFIG), tmp_path / "m.gguf"
    for options, words in (({"architecture": "qwen2"}, "architecture 'qwen2'; of GGUF files nanolm reads those of Llama's shape"),
                           ({"leave_out": ["blk.1.ffn_up.weight"]}, r"has no tensor 'blk\.1\.ffn_up\.weight'"),
                           ({"leave_out": ["token_embd.weight"]}, r"has no tensor 'token_embd\.weight'"),
                           ({"llama.rope.scaling.type": "yarn"}, r"asks for scaled rotary positions \('yarn'\)")):
        write(path, p, CONFIG, **options)
        with pytest.raises(ValueError, match=words) as caught:
            checkpoint.load(path)
        assert str(path) in str(caught.value)
        path.unlink()


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.9])
def test_truncated(tmp_path, share):
    path = tmp_path / "m.gguf"
    write(path, drawn(CONFIG), CONFIG)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"m\.gguf is damaged: it is truncated, or no GGUF file\. If it was downloaded, compare its size with the original's\.$"):
        checkpoint.load(path)


def test_without_the_package(tmp_path, monkeypatch):
    write(tmp_path / "m.gguf", drawn(CONFIG), CONFIG)
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(ImportError, match="needs the package gguf: pip install gguf"):
        checkpoint.load(tmp_path / "m.gguf")


def test_bytes_changed_at_random(tmp_path):
    """In the settings or the names: it is read, or a sentence names the file; numbers of 2**63 allocate nothing."""
    path, seen = tmp_path / "m.gguf", {"read": 0, "refused": 0}
    write(path, drawn(CONFIG), CONFIG)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for i in range(300):
        changed, place = bytearray(data), rng.integers(3400)
        number = (2**64 - 1, 2**63, 2**40, 10**9, 0)[rng.integers(5)] if i % 2 else int(rng.integers(2**62))
        changed[place:place + 8] = number.to_bytes(8, "little")
        path.write_bytes(changed)
        tracemalloc.start()
        try:
            checkpoint.load(path)
            seen["read"] += 1
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            seen["refused"] += 1
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
    assert min(seen.values()) > 10, seen


def test_settings_that_change_the_arithmetic(tmp_path):
    p, path = drawn(CONFIG), tmp_path / "m.gguf"
    for change, words in ((lambda w: w.add_rope_dimension_count(4), "rope.dimension_count = 4, but its heads have 8 channels"),
                          (lambda w: w.add_value_length(4), "attention.value_length = 4, but its heads have 8 channels"),
                          (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), "rope.scaling.factor = None, where a number belongs"),
                          (lambda w: w.add_tensor("rope_freqs.weight", np.ones(4, np.float32)), "rotary positions of Llama 3.1 as a tensor"),
                          (lambda w: w.add_tensor("blk.0.attn_q.bias", np.ones(32, np.float32)), "has a tensor 'blk.0.attn_q.bias' that nanolm's Llama"),
                          (lambda w: w.add_key_value("llama.attention.head_count_kv", [2, 1], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT32),
                           r"head_count_kv = \[2, 1\], where a number belongs")):
        write(path, p, CONFIG, change=change)
        with pytest.raises(ValueError, match=words) as caught:
            checkpoint.load(path)
        assert str(path) in str(caught.value)
        path.unlink()


def test_linear_scaling_and_one_number_a_block(tmp_path):
    def change(writer):
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_dimension_count(8)
    write(tmp_path / "m.gguf", drawn(CONFIG), CONFIG, change=change)
    assert checkpoint.load(tmp_path / "m.gguf").config == llama.Config(**{**vars(CONFIG), "scaling": ("linear", 4.0)})

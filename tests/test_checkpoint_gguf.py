"""GGUF: a small model written by the package gguf, whole, quantised, of another kind, truncated."""
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


def write(path, p, config, kind="F32", architecture="llama", leave_out=(), **more):
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
    for name, a in params.flatten(p).items():
        theirs = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
                  "lm_head.weight": "output.weight"}.get(name) or llama_names.gguf_name(name)
        a = np.ascontiguousarray(llama_names.turned(name, a))
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
                           ({"llama.rope.scaling.type": "yarn"}, r"asks for scaled rotary positions \(yarn\)")):
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
    with pytest.raises(ValueError, match=r"m\.gguf is damaged, or no GGUF file"):
        checkpoint.load(path)


def test_without_the_package(tmp_path, monkeypatch):
    write(tmp_path / "m.gguf", drawn(CONFIG), CONFIG)
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(ImportError, match="needs the package gguf: pip install gguf"):
        checkpoint.load(tmp_path / "m.gguf")

"""Published weights that are missing, truncated, corrupt, foreign or malicious: a sentence names the file; nothing runs."""
import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.checkpoint import tensor_files
from nanolm.models import gpt2, llama

MODELS = {"gpt2": (gpt2, gpt2.Config(13, 7, 2, 2, 8)), "gpt": (gpt2, gpt2.Config(13, 7, 2, 2, 8, norm="post")),
          "llama": (llama, llama.Config(13, 7, 2, 4, 2, 8, 12))}


@pytest.fixture(params=MODELS)
def saved(request, tmp_path):
    """A folder with a model in it, and what was saved."""
    model, config = MODELS[request.param]
    p = model.init(config, np.random.default_rng(0))
    checkpoint.save(tmp_path / "mine", model, p, config)
    return tmp_path / "mine", model, p, config


def change_config(folder, **changes):
    published = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in {**published, **changes}.items() if v != "left out"}))


def change_tensors(folder, change):
    from safetensors.numpy import load, save
    path = folder / "model.safetensors"
    path.write_bytes(save(change(load(path.read_bytes()))))


def test_there_and_back(saved):
    folder, model, p, config = saved
    loaded = checkpoint.load(folder)
    assert loaded.model is model and loaded.source == str(folder / "model.safetensors") and loaded.tokenizer is None
    for name, a in params.flatten(loaded.p).items():
        assert np.array_equal(a, params.flatten(p)[name]) and a.dtype == np.float32 and a.flags.writeable and a.flags.c_contiguous
    ids = np.array([[1, 2, 3]])
    assert np.array_equal(model.logits(loaded.p, ids, loaded.config), model.logits(p, ids, config))


def test_a_folder_with_a_model_is_not_written_over(saved):
    folder, model, p, config = saved
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="holds a config.json already. Choose a new folder; nothing was written"):
        checkpoint.save(folder, model, p, config)
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_truncated(saved, cut):
    folder = saved[0]
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:cut])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: it is truncated or not a safetensors file"):
        checkpoint.load(folder)


def test_tensors_that_do_not_fit_are_named(saved):
    folder, model, *_ = saved
    first = {gpt2: "transformer.h.1.ln_1.weight", llama: "model.layers.0.self_attn.k_proj.weight"}[model]
    ours = {gpt2: "h.1.ln_1.weight", llama: "layers.0.self_attn.k_proj.weight"}[model]
    original = (folder / "model.safetensors").read_bytes()
    for change, words in (
            (lambda t: {k: v for k, v in t.items() if k != first}, f"has no tensor '{ours}'"),
            (lambda t: {**t, "surplus.weight": np.ones(2)}, "has a tensor 'surplus.weight'"),
            (lambda t: {**t, first: t[first][1:]}, f"the tensor '{ours}' of .* has the shape"),
            (lambda t: {**t, first: t[first].astype(np.int32)}, f"the tensor '{ours}' of .* holds int32; nanolm reads float16")):
        (folder / "model.safetensors").write_bytes(original)
        change_tensors(folder, change)
        with pytest.raises(ValueError, match=words) as caught:
            checkpoint.load(folder)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("changes, words", [
    ({"model_type": "mamba"}, "says model_type = 'mamba'; nanolm reads gpt2, openai-gpt, llama, bert"), ({"vocab_size": "left out"}, "does not say 'vocab_size'"),
    ({"vocab_size": "many"}, "says vocab_size = 'many', where a number belongs"), ({"vocab_size": 14}, r"has the shape \(13, 8\)"),
    ({"vocab_size": -1}, r"config\.json: vocab_size must be")])
def test_configs_that_do_not_fit_are_named(saved, changes, words):
    change_config(saved[0], **changes)
    with pytest.raises(ValueError, match=words):
        checkpoint.load(saved[0])


def test_not_json_and_nothing_there(saved, tmp_path):
    folder = saved[0]
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        checkpoint.load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*config\.json"):
        checkpoint.load(tmp_path / "empty")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 1, "n_positions": 1, "n_layer": 1, "n_head": 1, "n_embd": 1}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="holds no weights: neither model.safetensors"):
        checkpoint.load(folder)


def test_an_index_cannot_lead_out_of_its_folder(saved, tmp_path):
    folder = saved[0]
    os.replace(folder / "model.safetensors", tmp_path / "elsewhere.safetensors")
    index = folder / "model.safetensors.index.json"
    for table, error, words in (({"wte.weight": "../elsewhere.safetensors"}, ValueError, "which is not beside it"),
                                ({"wte.weight": str(tmp_path / "elsewhere.safetensors")}, ValueError, "which is not beside it"),
                                ({"wte.weight": "gone.safetensors"}, FileNotFoundError, "The download may be incomplete"),
                                ({}, ValueError, "holds no table"), ({"wte.weight": 3}, ValueError, "holds no table")):
        index.write_text(json.dumps({"weight_map": table}))
        with pytest.raises(error, match=words):
            checkpoint.load(folder)


class Evil:
    """What a malicious pickle does when it is read."""
    def __reduce__(self):
        return os.mkdir, (os.environ["NANOLM_TEST_EVIL"],)


def test_a_pickle_never_runs(saved, tmp_path, monkeypatch):
    """Without PyTorch it is not opened at all; with it, by its reader that refuses code."""
    folder, trap = saved[0], tmp_path / "trap"
    monkeypatch.setenv("NANOLM_TEST_EVIL", str(trap))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises((ImportError, ValueError), match="only PyTorch can read it|it holds more than tensors, or is damaged"):
        checkpoint.load(folder)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Evil()))
    assert trap.exists(), "the trap itself works"


def test_bfloat16_is_the_upper_half_of_a_float32():
    numbers = np.array([1.0, -2.5, 3.140625, 1e30, np.inf], np.float32)
    data = (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    got = tensor_files.array({"dtype": "BF16", "shape": [5], "data": data}, "x", "file")
    np.testing.assert_allclose(got, numbers, rtol=2**-7)
    assert got[0] == 1 and got[1] == -2.5 and np.isinf(got[4])
    with pytest.raises(ValueError, match="the tensor 'x' of file holds F8_E4M3, which nanolm does not read"):
        tensor_files.array({"dtype": "F8_E4M3", "shape": [1], "data": b"a"}, "x", "file")


def test_other_models_and_tokenizers_cannot_be_saved(tmp_path):
    from nanolm import text
    _, config = MODELS["gpt2"]
    p = gpt2.init(config, np.random.default_rng(0))
    with pytest.raises(ValueError, match="model must be one of the modules nanolm.models.bert, "):
        checkpoint.save(tmp_path / "a", np, p, config)
    with pytest.raises(ValueError, match="of the kind Characters has no counterpart"):
        checkpoint.save(tmp_path / "a", gpt2, p, config, text.Characters.train("abc"))
    assert not (tmp_path / "a").exists()


def test_parameters_of_another_config_are_not_saved(saved, tmp_path):
    _, model, p, config = saved
    for changes, words in (({"n_layer": 3}, "p has no tensor '(h|layers)\\.2\\."), ({"n_layer": 1}, "p has a tensor '(h|layers)\\.1\\."), ({"vocab_size": 14}, "of p has the shape")):
        with pytest.raises(ValueError, match=words):
            checkpoint.save(tmp_path / "other", model, p, replace(config, **changes))
    assert not (tmp_path / "other").exists()

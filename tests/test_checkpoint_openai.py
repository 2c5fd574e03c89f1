"""OpenAI's own form of GPT-2. Without TensorFlow a stand-in serves the variables; with it, a checkpoint is written and read."""
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm import checkpoint, params
from nanolm.models import gpt2

CONFIG = gpt2.Config(13, 7, 2, 2, 8)


def theirs(p):
    """The variables of src/model.py, by its own rules: conv1d has w (1, in, out) and b, norm has g and b."""
    flat = {"model/wte": p["wte"]["weight"], "model/wpe": p["wpe"]["weight"],
            "model/ln_f/g": p["ln_f"]["weight"], "model/ln_f/b": p["ln_f"]["bias"], "global_step": np.zeros((), np.int64)}
    for i, block in p["h"].items():
        for norm in ("ln_1", "ln_2"):
            flat |= {f"model/h{i}/{norm}/g": block[norm]["weight"], f"model/h{i}/{norm}/b": block[norm]["bias"]}
        for part, layers in (("attn", ("c_attn", "c_proj")), ("mlp", ("c_fc", "c_proj"))):
            for layer in layers:
                flat[f"model/h{i}/{part}/{layer}/w"] = block[part][layer]["weight"][None]
                flat[f"model/h{i}/{part}/{layer}/b"] = block[part][layer]["bias"]
    return flat


def drawn():
    rng = np.random.default_rng(0)
    return params.unflatten({name: rng.standard_normal(shape).astype(np.float32)
                             for name, shape in params.flatten(gpt2.shapes(CONFIG)).items()})


def folder_of(path, **changes):
    hparams = {"n_vocab": 13, "n_ctx": 7, "n_embd": 8, "n_head": 2, "n_layer": 2, **changes}
    (path / "hparams.json").write_text(json.dumps({k: v for k, v in hparams.items() if v is not None}))
    (path / "model.ckpt.index").write_bytes(b"")
    return path


@pytest.fixture
def stand_in(monkeypatch):
    def serve(flat):
        def load_checkpoint(path):
            assert path.endswith("model.ckpt")
            return SimpleNamespace(get_tensor=flat.__getitem__, get_variable_to_shape_map=lambda: {n: a.shape for n, a in flat.items()})
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(train=SimpleNamespace(load_checkpoint=load_checkpoint)))
    return serve


def test_variables_become_parameters(tmp_path, stand_in):
    p = drawn()
    stand_in(theirs(p))
    loaded = checkpoint.load(folder_of(tmp_path))
    assert loaded.model is gpt2 and loaded.config == CONFIG and loaded.tokenizer is None
    assert all(np.array_equal(a, params.flatten(p)[name]) for name, a in params.flatten(loaded.p).items())


def test_misfits_are_named(tmp_path, stand_in):
    flat = theirs(drawn())
    stand_in({name: a for name, a in flat.items() if name != "model/h1/mlp/c_fc/b"})
    with pytest.raises(ValueError, match=r"model\.ckpt has no tensor 'h\.1\.mlp\.c_fc\.bias'"):
        checkpoint.load(folder_of(tmp_path))
    stand_in(flat)
    with pytest.raises(ValueError, match=r"hparams\.json does not say 'n_head'"):
        checkpoint.load(folder_of(tmp_path, n_head=None))
    for changes, words in (({"n_layer": 10**9}, r"model\.ckpt has 28 tensors, too few for the 1000000000 blocks"), ({"n_head": 3}, r"hparams\.json: n_head must divide"),
                           ({"n_embd": "8"}, r"hparams\.json says n_embd = '8'")):
        with pytest.raises(ValueError, match=words):
            checkpoint.load(folder_of(tmp_path, **changes))
    (tmp_path / "hparams.json").write_text("[]")
    with pytest.raises(ValueError, match=r"hparams\.json holds no table of settings"):
        checkpoint.load(tmp_path)
    folder_of(tmp_path)
    stand_in({})
    monkey = sys.modules["tensorflow"].train
    monkey.load_checkpoint = lambda path: (_ for _ in ()).throw(OSError("DATA_LOSS: not an sstable\nmore"))
    with pytest.raises(ValueError, match=r"is damaged, or no checkpoint of TensorFlow \(DATA_LOSS: not an sstable\)"):
        checkpoint.load(folder_of(tmp_path))


def test_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="pip install tensorflow"):
        checkpoint.load(folder_of(tmp_path))


def test_a_real_checkpoint(tmp_path):
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install tensorflow")
    p = drawn()
    graph = tensorflow.Graph()
    with graph.as_default(), tensorflow.compat.v1.Session(graph=graph) as session:
        made = [tensorflow.compat.v1.get_variable(name, initializer=tensorflow.constant(a), use_resource=False) for name, a in theirs(p).items()]
        session.run(tensorflow.compat.v1.global_variables_initializer())
        tensorflow.compat.v1.train.Saver(made).save(session, str(tmp_path / "model.ckpt"))
    (tmp_path / "hparams.json").write_text(json.dumps({"n_vocab": 13, "n_ctx": 7, "n_embd": 8, "n_head": 2, "n_layer": 2}))
    loaded = checkpoint.load(tmp_path)
    assert all(np.array_equal(a, params.flatten(p)[name]) for name, a in params.flatten(loaded.p).items())

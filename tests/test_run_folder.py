"""The folder of a run: what is refused, and which file is named when one is damaged or does not fit."""
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

import tiny_run
from nanolm import params as parameters
from nanolm.models import gpt2
from nanolm.training import run_folder, tensors, trainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, tiny_run.train(folder)


def test_a_folder_that_holds_a_run_is_refused(finished):
    folder, _ = finished
    before = tiny_run.contents(folder)
    with pytest.raises(FileExistsError, match=r"already holds a run. Go on with it: nanolm train --resume .*run"):
        tiny_run.train(folder)
    assert tiny_run.contents(folder) == before


def test_the_command_to_go_on_can_be_typed_as_it_stands():
    assert run_folder.resume_command(Path("runs/x")).endswith("--resume " + str(Path("runs/x")))
    assert run_folder.resume_command(Path("my runs")) == 'nanolm train --resume "my runs"'
    assert run_folder.quoted(Path("a&b(1)")) == '"a&b(1)"'


def test_other_folders_that_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("a letter")
    with pytest.raises(FileExistsError, match="is not empty and holds no run of nanolm"):
        tiny_run.train(tmp_path)
    with pytest.raises(FileExistsError, match="mine.txt is a file; a run needs a folder"):
        tiny_run.train(tmp_path / "mine.txt")
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_what_does_not_fit_together_is_refused_before_a_file_is_written(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="the tokenizer has 256 tokens, but the model's vocab_size is 300"):
        tiny_run.train(folder, config=dataclasses.replace(tiny_run.CONFIG, vocab_size=300))
    with pytest.raises(ValueError, match="too few tokens"):
        tiny_run.train(folder, corpus=dataclasses.replace(tiny_run.CORPUS, train="short"))
    with pytest.raises(ValueError, match="at least 2 are needed"):
        tiny_run.train(folder, corpus=dataclasses.replace(tiny_run.CORPUS, validation="a"))
    assert not folder.exists()


def test_resuming_what_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        tiny_run.resume(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        tiny_run.resume(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        trainer.load(tmp_path / "nowhere")


def copy(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_settings_that_cannot_change(finished, tmp_path):
    folder = copy(finished[0], tmp_path / "run")
    with pytest.raises(ValueError, match="the setting seed cannot change in the middle of a run"):
        tiny_run.resume(folder, seed=9)
    with pytest.raises(ValueError, match="there is no setting 'rate'"):
        tiny_run.resume(folder, rate=9)
    assert tiny_run.contents(folder) == tiny_run.contents(finished[0])


@pytest.mark.parametrize("name, change, sentence", [
    ("config.json", lambda d: d.replace(b'"n_layer": 2', b'"n_layer": 3'), "n_layer is 2 there and 3 here"),
    ("config.json", lambda d: d.replace(b'"gpt2"', b'"bert"'), 'does not say "model": "gpt2"'),
    ("config.json", lambda d: d.replace(b'"n_layer"', b'"layers"'), "config.json does not describe a GPT-2.*layers"),
    ("config.json", lambda d: d[:20], "config.json is not valid JSON"),
    ("settings.json", lambda d: d.replace(b'"lr"', b'"rate"'), "there is no setting 'rate'"),
    ("settings.json", lambda d: d.replace(b'"adamw"', b'"sgd"'), "has a tensor 'optimizer.m.h.0"),
    ("settings.json", lambda d: b"5", "settings.json does not hold the settings of a run"),
    ("data.safetensors", lambda d: d[:-10], "data.safetensors is damaged"),
    ("data.safetensors", lambda d: tensors.to_bytes({"train": np.zeros(9, int)}), "does not hold the texts of a run"),
    ("corpus.json", lambda d: b"[]", "corpus.json is damaged: it does not say 'name'"),
    ("corpus.json", lambda d: d.replace(b"train_tokens", b"tokens"), "corpus.json is damaged: .* 'train_tokens'"),
])
def test_a_damaged_file_of_the_folder_is_named(finished, tmp_path, name, change, sentence):
    folder = copy(finished[0], tmp_path / "run")
    data = (folder / name).read_bytes()
    assert change(data) != data
    (folder / name).write_bytes(change(data))
    with pytest.raises(ValueError, match=sentence):
        tiny_run.resume(folder)


def test_weights_that_do_not_fit_are_named(finished, tmp_path):
    folder = copy(finished[0], tmp_path / "run")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        trainer.load(folder)
    other = gpt2.init(dataclasses.replace(tiny_run.CONFIG, n_embd=8), np.random.default_rng(0))
    run_folder.save_weights(folder, parameters.flatten(other))
    sentence = r"'wte.weight' has the shape \(256, 8\), but config.json asks for \(256, 16\)"
    with pytest.raises(ValueError, match=sentence):
        trainer.load(folder)
    run_folder.save_weights(folder, {"wte.weight": np.zeros((256, 16), np.float32)})
    with pytest.raises(ValueError, match="has no tensor 'wpe.weight'"):
        trainer.load(folder)

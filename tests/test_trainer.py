"""The trainer: what it does in a step, what it leaves in its folder, what it says when the disk is full."""
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny_run
from nanolm import kernels
from nanolm import params as parameters
from nanolm import text
from nanolm.models import gpt2
from nanolm.training import checkpoint, memory, metrics, metrics_log, plots, report, run_folder, trainer
from nanolm.training.settings import Settings


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, tiny_run.train(folder)


def test_it_learns_and_leaves_everything_in_its_folder(finished):
    folder, result = finished
    assert sorted(os.listdir(folder)) == [
        "checkpoint.previous.safetensors", "checkpoint.safetensors", "config.json", "corpus.json", "data.safetensors",
        "loss.png", "metrics.jsonl", "model.safetensors", "report.json", "report.txt", "samples.txt", "settings.json",
        "tokenizer.json", "training.lock"]
    evaluations = [r for r in metrics_log.read(folder) if "validation" in r]
    assert [r["step"] for r in evaluations] == [0, 10, 20, 30, 40]
    assert [r["step"] for r in metrics_log.read(folder) if "loss" in r] == list(range(1, 41))
    assert evaluations[0]["validation"]["loss"] == pytest.approx(math.log(tiny_run.CONFIG.vocab_size), abs=0.05)
    assert evaluations[-1]["validation"]["loss"] < 3.2                  # letters and spaces, at least
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG") and (folder / "loss.png").stat().st_size > 10_000
    assert (folder / "samples.txt").read_text().count("----\n<") == 5
    assert json.loads((folder / "report.json").read_text()) == result


def test_load_gives_the_best_weights_config_and_tokenizer(finished):
    folder, result = finished
    p, config, tokenizer = trainer.load(folder)
    assert config == tiny_run.CONFIG and tokenizer.decode(tokenizer.encode("Ann \u00e9")) == "Ann \u00e9"
    assert list(p) == ["wte", "wpe", "h", "ln_f"] and p["wte"]["weight"].dtype == np.float32
    ids = tokenizer.encode(tiny_run.CORPUS.validation)
    measured = metrics.evaluate(gpt2, p, config, ids, len(tiny_run.CORPUS.validation))
    assert measured["loss"] == pytest.approx(result["loss"], rel=1e-6)
    best = min((r["validation"]["loss"], r["step"]) for r in metrics_log.read(folder) if "validation" in r)
    assert measured["loss"] == pytest.approx(best[0], rel=1e-6) and result["best_step"] == best[1]


def test_what_comes_out_of_the_folder_can_write_text(finished):
    p, config, tokenizer = trainer.load(finished[0])
    written = trainer.default_sample(p, config, tokenizer, seed=1)
    assert isinstance(written, str) and written == trainer.default_sample(p, config, tokenizer, seed=1)


def test_the_report_stands_beside_the_baselines(finished):
    folder, result = finished
    lines = (folder / "report.txt").read_text().splitlines()
    assert "lower is better" in lines[0] and f"{len(tiny_run.CORPUS.validation):,} characters" in lines[0]
    values = [float(line[2:].removeprefix("this model, overlapping windows").removeprefix("this model")
                    .replace("uniform", "").replace("trigram", "").split()[0]) for line in lines[1:]]
    assert values == sorted(values, reverse=True) and len(values) == 4
    assert any(line.startswith("> this model   ") and f" {result['bits_per_character']:.4f} " in line for line in lines)
    assert (folder / "report.txt").read_text().isascii()
    with_floor = report.table({**result, "floor": 0.5})
    words = "floor: no model can be lower 0.5000 the exact entropy of the source"
    assert with_floor.splitlines()[-1].split() == words.split()


def test_the_resumed_seed_and_the_settings_are_those_given(finished):
    run = run_folder.open_run(finished[0])
    assert run.settings == tiny_run.SETTINGS.changed(kernels=kernels.default()) and run.config == tiny_run.CONFIG
    assert run.corpus["fingerprint"] == tiny_run.CORPUS.fingerprint
    assert tiny_run.TOKENIZER.decode(run.validation_ids) == tiny_run.CORPUS.validation


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_every_optimizer_trains_and_resumes(tmp_path, optimizer, schedule):
    changes = dict(optimizer=optimizer, schedule=schedule, steps=6, eval_every=6, lr={"sgd": 0.5}.get(optimizer, 0.02),
                   save_every=2, dtype="float64", nesterov=True, l2=1e-3)
    result = tiny_run.train(tmp_path / "whole", **changes)
    assert result["loss"] < 5.5
    folder = tmp_path / "stopped"

    class Stop(BaseException):
        pass

    original = checkpoint.save

    def stop(folder, params, state, progress, *rest):
        original(folder, params, state, progress, *rest)
        if progress["step"] == 4:
            raise Stop

    try:
        checkpoint.save = stop
        with pytest.raises(Stop):
            tiny_run.train(folder, **changes)
    finally:
        checkpoint.save = original
    tiny_run.resume(folder)
    assert tiny_run.contents(folder) == tiny_run.contents(tmp_path / "whole")
    assert tiny_run.weights(folder)["model.wte.weight"].dtype == np.float64


def test_early_stopping_keeps_the_best_weights(tmp_path):
    """A rate that spoils the model after a good beginning: the best step is in the middle, and the run ends early."""
    settings = dict(steps=400, eval_every=5, patience=3, lr=0.3, warmup=0.9, clip=0.0, optimizer="adam")
    result = tiny_run.train(tmp_path / "run", **settings)
    assert result["best_step"] < result["step"] < 400 and result["step"] == result["best_step"] + 15
    evaluations = {r["step"]: r["validation"]["loss"] for r in metrics_log.read(tmp_path / "run") if "validation" in r}
    assert result["loss"] == pytest.approx(min(evaluations.values()), rel=1e-6)
    again = tiny_run.resume(tmp_path / "run")                           # it stays stopped
    assert again["step"] == result["step"]


def test_more_shards_than_rows_are_as_many_as_rows(tmp_path):
    for shards in (1, 2):
        tiny_run.train(tmp_path / str(shards), batch_size=1, shards=shards, steps=3, save_every=3)
    one, two = (tiny_run.contents(tmp_path / name)["model.safetensors"] for name in ("1", "2"))
    assert one == two


def test_shards_accumulate_the_same_gradient(tmp_path):
    changes = dict(steps=5, eval_every=5, dtype="float64", l1=0.0)
    config = dataclasses.replace(tiny_run.CONFIG, dropout=0.0)
    for name, shards in (("one", 1), ("six", 6)):
        tiny_run.train(tmp_path / name, config=config, shards=shards, workers=1, **changes)
    one, six = tiny_run.weights(tmp_path / "one"), tiny_run.weights(tmp_path / "six")
    for name in one:
        np.testing.assert_allclose(six[name], one[name], rtol=1e-7, atol=1e-9)


def test_a_full_disk_stops_the_run_loses_nothing_and_says_how_to_go_on(finished, tmp_path):
    """The system itself refuses to write a file of more than 8,000 bytes, from the evaluation at step 20 on."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of files")
    folder, limits = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(p, config, tokenizer, seed):
        if max(r["step"] for r in metrics_log.read(folder) or [{"step": 0}]) == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, limits[1]))
        return tiny_run.sample(p, config, tokenizer, seed)

    try:
        with pytest.raises(OSError) as caught:
            tiny_run.train(folder, sample=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert "could not write" in message and "The last checkpoint is whole" in message
    assert f"nanolm train --resume {folder}" in message
    tiny_run.resume(folder)
    assert tiny_run.contents(folder) == tiny_run.contents(finished[0])


def test_the_curve_copes_with_whatever_there_is(tmp_path):
    corpus = {"name": "x", "baselines": {}, "floor": None, "train_tokens": 10, "train_characters": 20}
    plots.loss_curve(tmp_path, [], corpus)
    plots.loss_curve(tmp_path, [{"step": 1, "loss": 3.0}], {**corpus, "floor": 1.0, "baselines": {"bigram": 3.0}})
    assert (tmp_path / "loss.png").stat().st_size > 5000
    assert plots.spread([1.0, 1.001, 0.5], (0.0, 2.0)) == pytest.approx([1.0, 1.08, 0.5])
    assert list(plots.smooth(np.array([1.0, 3.0, 5.0]), share=0.7)) == [1.0, 2.0, 4.0]


def test_a_model_too_large_for_the_machine_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    need = 16 * parameters.count(gpt2.init(tiny_run.CONFIG, np.random.default_rng(0)))          # weights, gradients, AdamW
    monkeypatch.setattr(memory, "physical", lambda: need)
    with pytest.raises(MemoryError, match="training this model needs about .* GB, and this machine has 0.0"):
        tiny_run.train(tmp_path / "run", steps=2)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(memory, "physical", lambda: 20 * need)
    tiny_run.train(tmp_path / "run", steps=2)
    monkeypatch.setattr(memory, "physical", lambda: None)
    tiny_run.resume(tmp_path / "run", steps=3)


def test_without_progress_nothing_is_printed(tmp_path, capfd):
    tiny_run.train(tmp_path / "run", steps=2)
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_in_ascii(tmp_path, capfd):
    settings = Settings(steps=4, batch_size=2, eval_every=2)
    result = trainer.train(tmp_path / "run", tiny_run.CORPUS, tiny_run.TOKENIZER, tiny_run.CONFIG, settings,
                           baselines={"bigram": 3.0}, sample=tiny_run.sample)
    out, err = capfd.readouterr()
    assert out.isascii() and err.isascii()
    assert "step      2   validation" in out and report.table(result) in out
    assert "tokens/s" in err and "4/4" in err


def test_baselines_are_measured_if_none_are_given(tmp_path):
    result = trainer.train(tmp_path / "run", tiny_run.CORPUS, tiny_run.TOKENIZER, tiny_run.CONFIG,
                           tiny_run.SETTINGS.changed(steps=1), progress=False, sample=tiny_run.sample)
    assert result["baselines"]["uniform"] > result["baselines"]["unigram"] > result["baselines"]["trigram"] > 0


def test_training_imports_neither_matplotlib_nor_numba():
    code = "import sys, nanolm.training.trainer; assert not {'matplotlib', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(text.__file__).parents[2])


@pytest.mark.parametrize("changes", [{"clip": 0.01}, {"clip": 0.0, "l2": 0.3}, {"clip": 0.0, "l1": 0.02}])
@pytest.mark.parametrize("name", ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not kernels.available(), reason="no Numba"))])
def test_three_steps_of_a_run_written_out(tmp_path, changes, name):
    """Batches, dropout, penalties, clipping, schedule, AdamW, and decay of matrices only: as the settings say."""
    s = tiny_run.SETTINGS.changed(steps=3, eval_every=3, l1=0.0, dtype="float64", warmup=0.34, kernels=name).changed(**changes)
    tiny_run.train(tmp_path / "run", settings=s)
    p = gpt2.init(tiny_run.CONFIG, np.random.default_rng(s.seed), np.float64)
    params = trainer.parameters.flatten(p)
    m, v = ({key: 0 * w for key, w in params.items()} for _ in range(2))
    batches = run_folder.open_run(tmp_path / "run").batches()
    for t, lr in enumerate([s.lr, s.lr, s.lr * (0.1 + 0.9 * 0.5)]):     # one step of warm-up, half a cosine over two
        ids, targets = batches.next()
        parts = []
        for k, rows in enumerate((slice(0, 3), slice(3, 6))):
            rng = np.random.default_rng([s.seed, t, k])
            with kernels.using(name):                   # a twin draws other masks of dropout
                _, cache = gpt2.forward(p, ids[rows], targets[rows], tiny_run.CONFIG, rng=rng)
                parts.append(trainer.parameters.flatten(gpt2.backward(cache)))
        grads = {key: (parts[0][key] + parts[1][key]) / 2 for key in params}
        for key, w in params.items():
            if w.ndim == 2:
                grads[key] = grads[key] + s.l2 * w + s.l1 * np.sign(w)
        norm = math.sqrt(sum((g ** 2).sum() for g in grads.values()))
        for key, w in params.items():
            g = grads[key] * (min(1, s.clip / norm) if s.clip else 1)
            m[key] = s.beta1 * m[key] + (1 - s.beta1) * g
            v[key] = s.beta2 * v[key] + (1 - s.beta2) * g ** 2
            w *= 1 - lr * s.weight_decay * (w.ndim == 2)
            w -= lr * m[key] / (1 - s.beta1 ** (t + 1)) / (np.sqrt(v[key] / (1 - s.beta2 ** (t + 1))) + s.eps)
    trained = tiny_run.weights(tmp_path / "run")
    for key, w in params.items():
        np.testing.assert_allclose(trained["model." + key], w, rtol=1e-9, atol=1e-11, err_msg=key)

"""The command line: each command as a user types it, in a process of its own, and what it says when something is wrong."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

TINY = ["--steps", "4", "--n-layer", "1", "--n-embd", "16", "--n-head", "2", "--block-size", "16", "--batch-size", "4",
        "--tokenizer", "characters", "--set", "eval_every=2", "--set", "save_every=2"]


def nanolm(*arguments, cwd, encoding="utf-8", expect=0, **more):
    """Run the command; return its stdout and stderr as text."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-m", "nanolm", *arguments], cwd=cwd, env=environment, capture_output=True, **more)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == expect, f"exit status {done.returncode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return out, err


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a text file and a tiny trained run."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    words = ["a", "small", "model", "reads", "the", "text", "caf\u00e9", "and", "writes"]
    paragraphs = [" ".join(rng.choice(words, 30)) + "." for _ in range(80)]
    (folder / "story.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    out, _ = nanolm("train", "story.txt", *TINY, cwd=folder)
    (folder / "train.out").write_text(out, encoding="utf-8")
    return folder


def test_help_lists_every_command_and_is_ascii(home):
    out, _ = nanolm("--help", cwd=home, encoding="ascii")
    for name in ("train", "generate", "eval", "gradcheck", "info", "data"):
        assert name in out
        assert "Usage: nanolm " + name in nanolm(name, "--help", cwd=home, encoding="ascii")[0].replace("python -m ", "")


def test_train_leaves_a_run_and_shows_it(home):
    run = home / "runs" / "story.txt"
    for name in ("config.json", "settings.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.txt", "loss.png"):
        assert (run / name).stat().st_size > 0, name
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    out = (home / "train.out").read_text(encoding="utf-8")
    for expected in ("bits per character", "5-gram", "this model", "The model writes:", "nanolm generate runs"):
        assert expected in out
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 4


def test_training_again_takes_another_folder_or_refuses(home):
    _, err = nanolm("train", "story.txt", *TINY, "--out", "runs/story.txt", cwd=home, expect=1)
    assert "already holds a run" in err and "--resume" in err


def test_resume_goes_on(home, tmp_path):
    nanolm("train", str(home / "story.txt"), *TINY, "--out", "run", cwd=tmp_path)
    nanolm("train", "--resume", "run", "--steps", "6", cwd=tmp_path)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 6
    _, err = nanolm("train", "--resume", "run", "--n-layer", "3", cwd=tmp_path, expect=2)
    assert "n_layer cannot be changed" in err


def test_generate_is_reproducible_and_safe_on_an_ascii_console(home):
    arguments = ["generate", "runs/story.txt", "--prompt", "a small caf\u00e9", "--tokens", "20", "--seed", "5", "--quiet"]
    first, second = (nanolm(*arguments, cwd=home)[0] for _ in range(2))
    assert first == second and first.startswith("a small caf\u00e9") and len(first) > 15
    assert nanolm(*arguments[:-2], "6", "--quiet", cwd=home)[0] != first
    assert nanolm(*arguments, "--no-cache", cwd=home)[0] == first
    ascii_out, _ = nanolm(*arguments, cwd=home, encoding="ascii")
    assert ascii_out.startswith("a small caf\\xe9")
    beams, _ = nanolm("generate", "runs/story.txt", "--prompt", "the", "--tokens", "5", "--beams", "2", "--quiet", cwd=home)
    assert beams.startswith("the") and len(beams) > 4
    stdin, _ = nanolm("generate", "runs/story.txt", "--prompt", "-", "--tokens", "3", "--quiet", cwd=home, input=b"the text")
    assert stdin.startswith("the text")


def test_eval_prints_the_measures(home):
    out, _ = nanolm("eval", "runs/story.txt", cwd=home, encoding="ascii")
    for expected in ("loss", "perplexity", "this model", "5-gram", "lzma alone"):
        assert expected in out
    out, _ = nanolm("eval", "runs/story.txt", "--data", "story.txt", cwd=home)
    assert "story.txt" in out and "bits per character" in out


def test_gradcheck_proves_a_layer(home):
    out, _ = nanolm("gradcheck", "linear", "gelu", cwd=home, encoding="ascii")
    assert out.count("right  ") == 2 and "Every gradient agrees" in out
    _, err = nanolm("gradcheck", "linaer", cwd=home, expect=2)
    assert "linaer" in err and "layernorm" in err


def test_info_prints_a_table(home):
    out, _ = nanolm("info", "gpt2", cwd=home, encoding="ascii")
    assert "124,439,808" in out and "FLOP" in out
    assert "--set" in nanolm("info", "gpt2", "--set", "n_layer=x", cwd=home, expect=2)[1]
    assert "there is no preset 'gpt9'" in nanolm("info", "gpt9", cwd=home, expect=1)[1]


def test_data_lists_and_shows(home):
    out, _ = nanolm("data", "list", cwd=home, encoding="ascii")
    assert "pydocs" in out and "tales" in out
    out, _ = nanolm("data", "show", "story.txt", "--characters", "40", cwd=home)
    assert "train" in out and "validation" in out


@pytest.mark.parametrize("arguments, words", [
    (["train", "nowhere.txt"], "there is no file or folder"),
    (["train", "talse"], "Did you mean 'tales'"),
    (["generate", "runs/none"], "there is no folder runs/none"),
    (["eval", "runs/none"], "there is no folder runs/none"),
    (["train", "--resume", "runs/none"], "there is no folder runs/none"),
    (["train", "story.txt", "--preset", "huge"], "there is no training preset 'huge'"),
    (["train", "story.txt", "--dropout", "1.5"], "dropout must be at least 0 and below 1"),
    (["train", "story.txt", "--lr", "-1"], "lr"),
    (["train", "story.txt", "--n-head", "3", "--n-embd", "16"], "n_head must divide n_embd"),
    (["generate", "runs/story.txt", "--temperature", "-1"], "temperature"),
])
def test_what_is_wrong_is_said_in_a_sentence(home, arguments, words):
    before = sorted(path.name for path in (home / "runs").iterdir())
    _, err = nanolm(*arguments, cwd=home, expect=1)
    assert words in err and err.strip().count("\n") <= 2
    assert sorted(path.name for path in (home / "runs").iterdir()) == before, "a failed command left a folder behind"


def test_unknown_setting_is_named(home):
    _, err = nanolm("train", "story.txt", "--set", "learning=1", cwd=home, expect=2)
    assert "there is no setting 'learning'" in err

"""The command line: each command as a user types it, in a process of its own, and what it says when something is wrong."""
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanolm.cli import chart

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
    for name in ("train", "generate", "chat", "search", "eval", "gradcheck", "info", "data"):
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
    for given, words in ((["--n-layer", "3"], "n_layer cannot be changed"), (["--vocab-size", "0"], "vocab_size cannot be"),
                         (["story.txt"], "corpus can only be given for a new run"), (["--preset", "long"], "preset can only")):
        _, err = nanolm("train", "--resume", "run", *given, cwd=tmp_path, expect=2)
        assert words in err
    _, err = nanolm("train", "--resume", "run", "--steps", "5", cwd=tmp_path, expect=1)
    assert "has made 6 steps already" in err


def test_generate_is_reproducible_and_safe_on_an_ascii_console(home):
    arguments = ["generate", "runs/story.txt", "--prompt", "a small caf\u00e9", "--tokens", "20", "--seed", "5", "--quiet"]
    first, second = (nanolm(*arguments, cwd=home)[0] for _ in range(2))
    assert first == second and first.startswith("a small caf\u00e9") and len(first) > 15
    assert nanolm(*arguments[:-2], "6", "--quiet", cwd=home)[0] != first
    assert nanolm(*arguments, "--no-cache", cwd=home)[0] == first
    ascii_out, _ = nanolm(*arguments, cwd=home, encoding="ascii")
    assert ascii_out.startswith("a small caf\\xe9")
    for given, words in ((["--beams", "2", "--seed", "1"], "--seed has no effect with --beams"),
                         (["--length-penalty", "1"], "--length-penalty has no effect without --beams")):
        assert words in nanolm("generate", "runs/story.txt", *given, cwd=home, expect=2)[1]
    beams, _ = nanolm("generate", "runs/story.txt", "--prompt", "the", "--tokens", "5", "--beams", "2", "--quiet", cwd=home)
    assert beams.startswith("the") and len(beams) > 4
    for beams in ([], ["--beams", "2"]):
        rounded, _ = nanolm("generate", "runs/story.txt", "--prompt", "the", "--tokens", "9", "--int8", "--quiet", *beams, cwd=home)
        assert rounded.startswith("the") and len(rounded) > 8
    stdin, _ = nanolm("generate", "runs/story.txt", "--prompt", "-", "--tokens", "3", "--quiet", cwd=home, input=b"the text")
    assert stdin.startswith("the text")


def test_eval_prints_the_measures(home):
    out, _ = nanolm("eval", "runs/story.txt", cwd=home, encoding="ascii")
    for expected in ("loss", "perplexity", "this model", "5-gram", "lzma alone"):
        assert expected in out
    out, _ = nanolm("eval", "runs/story.txt", "--data", "story.txt", cwd=home)
    assert "story.txt" in out and "bits per character" in out


def test_eval_prints_what_int8_changes(home):
    lines = nanolm("eval", "runs/story.txt", "--int8", cwd=home)[0].splitlines()
    values = {words[0] + words[1]: words for words in map(str.split, lines) if len(words) > 3 and words[0].startswith(("perp", "chan"))}
    before, after = float(values["perplexity,float32"][2]), float(values["perplexity,int8"][2])
    change = float(values["changein"][3])
    assert before != after and abs(after - before - change) < 2e-4 and abs(change) < 0.05 * before


def test_eval_needs_the_weights_but_no_checkpoint(home, tmp_path):
    shutil.copytree(home / "runs" / "story.txt", tmp_path / "run")
    for path in (tmp_path / "run").glob("checkpoint*"):
        path.unlink()
    assert "this model" in nanolm("eval", "run", cwd=tmp_path)[0]
    assert "there is no checkpoint in run" in nanolm("train", "--resume", "run", cwd=tmp_path, expect=1)[1]


def test_gradcheck_proves_a_layer(home):
    out, _ = nanolm("gradcheck", "linear", "gelu", cwd=home, encoding="ascii")
    long, _ = nanolm("gradcheck", "linear", "bert_pretraining", cwd=home)
    assert len({line.index(" cases") for line in long.splitlines() if " cases" in line}) == 1, "one column"
    assert out.count("right  ") == 2 and "Every gradient agrees" in out
    _, err = nanolm("gradcheck", "linaer", cwd=home, expect=2)
    assert "linaer" in err and "layernorm" in err


def test_info_prints_a_table(home):
    out, _ = nanolm("info", "gpt2", cwd=home, encoding="ascii")
    assert "124,439,808" in out and "FLOP" in out
    assert "vocab_size=4096, block_size=128" in nanolm("info", "quick", cwd=home)[0], "the model that nanolm train makes"
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
    (["train", "story.txt", "--tokenizer", "bpe", "--vocab-size", "0"], "vocab_size is 0"),
    (["train", ""], "the name of the corpus is empty"),
])
def test_what_is_wrong_is_said_in_a_sentence(home, arguments, words):
    before = sorted(path.name for path in (home / "runs").iterdir())
    _, err = nanolm(*arguments, cwd=home, expect=1)
    assert words in err and err.strip().count("\n") <= 2
    assert sorted(path.name for path in (home / "runs").iterdir()) == before, "a failed command left a folder behind"


def test_wrong_settings_are_named(home):
    _, err = nanolm("train", "story.txt", "--set", "learning=1", cwd=home, expect=2)
    assert "there is no setting 'learning'" in err
    _, err = nanolm("train", "story.txt", "--set", "nesterov=maybe", cwd=home, expect=2)
    assert "nesterov must be a bool" in err
    assert "a model has no 'foo'" in nanolm("info", "--run", "runs/story.txt", "--set", "foo=1", cwd=home, expect=2)[1]


def test_a_setting_goes_to_the_optimizer_where_the_model_has_one_of_that_name(home, tmp_path):
    nanolm("train", str(home / "story.txt"), *TINY, "--set", "eps=1e-6", "--out", "run", cwd=tmp_path)
    settings, config = (json.loads((tmp_path / "run" / name).read_text()) for name in ("settings.json", "config.json"))
    assert settings["eps"] == 1e-6 and config["eps"] == 1e-5


@pytest.mark.skipif(sys.platform == "win32", reason="Python does not know the memory of a machine with Windows")
def test_a_model_too_large_for_the_memory(home):
    """So large that no machine has the memory: it is refused before anything is allocated."""
    _, err = nanolm("train", "story.txt", *TINY, "--n-embd", "1000000000", "--out", "large", cwd=home, expect=1)
    assert "there is not enough memory" in err and "--n-embd" in err and not (home / "large").exists()


def test_a_prompt_from_stdin_is_taken_as_it_is(home):
    arguments = ["generate", "runs/story.txt", "--prompt", "-", "--tokens", "1", "--quiet"]
    assert nanolm(*arguments, cwd=home, input=b"a\\nb")[0].startswith("a\\nb")
    assert nanolm(*arguments[:3], "a\\nb", *arguments[4:], cwd=home)[0].replace("\r", "").startswith("a\nb")
    _, err = nanolm(*arguments, cwd=home, input=b"caf\xe9", expect=1)
    assert "the prompt on stdin is not valid utf-8: byte 3" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to all programs of a console")
@pytest.mark.parametrize("until", ["", "training ", "run folder", "step      2", "step      4"])
def test_ctrl_c_at_any_time_ends_with_a_sentence(home, tmp_path, until):
    """Ctrl-C after the program has said `until`; the empty one: right at the start."""
    command = [sys.executable, "-u", "-m", "nanolm", "train", str(home / "story.txt"), *TINY[2:], "--steps", "40", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "NANOLM_KERNELS": "numpy",
                   "XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}     # nothing is kept yet
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    while until.encode() not in said or not said:
        piece = os.read(process.stdout.fileno(), 1000)
        assert piece, said
        said += piece
    process.send_signal(signal.SIGINT)
    said = (said + process.communicate()[0]).decode()
    assert "Traceback" not in said, said
    if process.returncode != 0:                             # it may have been too quick for us
        assert "Stopped" in said and ("same command" in said or "nanolm train --resume run" in said), said


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_nobody_reads_the_output_any_more(home, tmp_path):
    """The pipe is closed while it trains: it stops, and says on stderr how to go on."""
    command = [sys.executable, "-u", "-m", "nanolm", "train", str(home / "story.txt"), *TINY[2:], "--steps", "4000", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while b"step      2" not in process.stdout.readline():
        assert process.poll() is None
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait() == 1 and "Traceback" not in err and "nanolm train --resume run" in err, err


def test_chart_fits_the_terminal():
    records = [{"step": s, "loss": 5 / s} for s in range(1, 50)] + [{"step": 49, "validation": {"bits_per_character": 2.0}}]
    corpus = {"name": "x", "train_tokens": 1, "train_characters": 2, "floor": 0.5,
              "baselines": {"unigram": 4.5, "bigram": 3.0, "lzma after training": 2.5}}
    for columns, longest in ((40, 39), (60, 59), (80, 79), (200, 79), (10, 39)):
        picture = chart.curve(records, corpus, columns)
        assert picture.isascii() and max(map(len, picture.split("\n"))) <= longest
        assert "o" in picture and "lzma" in picture and "step 49" in picture

"""A run that is killed, however and however often, and resumed ends with the same bits as one never interrupted."""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nanolm
import tiny_run
from nanolm.training import checkpoint, metrics_log, trainer


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    tiny_run.train(folder)
    return tiny_run.contents(folder)


def start(folder):
    paths = [str(Path(nanolm.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen([sys.executable, tiny_run.__file__, str(folder)], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_done(folder):
    return max([r["step"] for r in metrics_log.read(folder)], default=-1)


def test_two_runs_of_one_seed_are_equal_byte_for_byte(tmp_path, uninterrupted):
    tiny_run.train(tmp_path / "run", workers=1)                         # on one thread instead of two
    again = tiny_run.contents(tmp_path / "run")
    del again["settings.json"], again[checkpoint.NAME]                  # these two hold the number of workers
    assert again == {name: uninterrupted[name] for name in again}


def test_another_seed_is_another_run(tmp_path, uninterrupted):
    tiny_run.train(tmp_path / "run", seed=4)
    assert tiny_run.contents(tmp_path / "run")["model.safetensors"] != uninterrupted["model.safetensors"]


def test_killed_at_random_moments(tmp_path, uninterrupted):
    """SIGKILL, again and again, at any instant from the start of the program to its end."""
    seed = random.randrange(10**6)
    rng, folder, kills, seen = random.Random(seed), tmp_path / "run", 0, set()
    print("seed", seed)
    while kills < 6:
        process = start(folder)
        target = rng.randrange(-1, 36)                                  # wait until about there, then a moment
        while process.poll() is None and steps_done(folder) < target:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.03)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        seen.add(steps_done(folder))
        if process.returncode == 0:
            break
    if not checkpoint.exists(folder):                                   # killed before its first checkpoint: begin
        tiny_run.train(folder)
    else:
        tiny_run.resume(folder)
    assert kills >= 1 and tiny_run.contents(folder) == uninterrupted, f"seed {seed}, killed at about {sorted(seen)}"


@pytest.mark.parametrize("moment", range(1, 40, 4))
def test_dies_at_a_write_and_goes_on(tmp_path, uninterrupted, moment, monkeypatch):
    """As the one above, but at chosen instants: just before the n-th time that something is renamed or put on disk."""
    class Killed(BaseException):
        pass

    left = [moment]

    def dying(original):
        def call(*args):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return original(*args)
        return call

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, dying(getattr(os, name)))
        with pytest.raises(Killed):
            tiny_run.train(folder)
    if checkpoint.exists(folder):
        tiny_run.resume(folder)
    else:
        tiny_run.train(folder)
    assert tiny_run.contents(folder) == uninterrupted


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, uninterrupted):
    folder = tmp_path / "run"

    def press(p, config, tokenizer, seed):
        if steps_done(folder) == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return tiny_run.sample(p, config, tokenizer, seed)

    before = signal.getsignal(signal.SIGINT)
    sentence = r"Stopped at step 10 of 40, and saved. To go on: nanolm train --resume .*run"
    with pytest.raises(trainer.Interrupted, match=sentence):
        tiny_run.train(folder, sample=press)
    assert signal.getsignal(signal.SIGINT) == before
    assert steps_done(folder) == 10 and (folder / "loss.png").exists()
    tiny_run.resume(folder)
    assert tiny_run.contents(folder) == uninterrupted


def test_ctrl_c_between_two_checkpoints_loses_no_step(tmp_path, uninterrupted):
    folder = tmp_path / "run"
    process = start(folder)
    while process.poll() is None and steps_done(folder) < 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert "Interrupted: Stopped at step" in errors, errors
    stopped = steps_done(folder)
    assert f"Stopped at step {stopped} of 40" in errors
    tiny_run.resume(folder)
    assert tiny_run.contents(folder) == uninterrupted


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json.x1.tmp").write_text("{")                   # killed in its very first write
    tiny_run.train(folder, steps=2)
    (folder / "checkpoint.new.safetensors.x2.tmp").write_bytes(b"half")
    tiny_run.resume(folder, steps=3)
    assert not list(folder.glob("*.tmp"))


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(tmp_path, uninterrupted):
    tiny_run.train(tmp_path / "run")
    tiny_run.resume(tmp_path / "run")
    assert tiny_run.contents(tmp_path / "run") == uninterrupted


def test_fewer_steps_than_are_done_are_refused(tmp_path):
    tiny_run.train(tmp_path / "run", steps=12)
    before = tiny_run.contents(tmp_path / "run")
    with pytest.raises(ValueError, match="has made 12 steps already, so it cannot end at steps = 5"):
        tiny_run.resume(tmp_path / "run", steps=5)
    assert tiny_run.contents(tmp_path / "run") == before


def test_ctrl_c_twice_stops_at_once_and_says_how_to_go_on(tmp_path, uninterrupted):
    folder = tmp_path / "run"

    def press_twice(p, config, tokenizer, seed):
        if steps_done(folder) == 10:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return tiny_run.sample(p, config, tokenizer, seed)

    sentence = "Stopped at once. The last checkpoint is whole. To go on from it: nanolm train --resume .*run"
    with pytest.raises(trainer.Interrupted, match=sentence):
        tiny_run.train(folder, sample=press_twice)
    tiny_run.resume(folder)
    assert tiny_run.contents(folder) == uninterrupted


def test_ctrl_c_while_the_report_is_made_says_how_to_go_on(tmp_path, uninterrupted, monkeypatch):
    def press(folder, result):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.report, "write", press)
        with pytest.raises(trainer.Interrupted, match="Stopped at once. The last checkpoint is whole"):
            tiny_run.train(tmp_path / "run")
    tiny_run.resume(tmp_path / "run")
    assert tiny_run.contents(tmp_path / "run") == uninterrupted and (tmp_path / "run" / "report.json").exists()


def test_more_steps_for_a_finished_run(tmp_path):
    tiny_run.train(tmp_path / "run", steps=12)
    result = tiny_run.resume(tmp_path / "run", steps=20)
    assert result["step"] == 20 and steps_done(tmp_path / "run") == 20
    assert trainer.run_folder.open_run(tmp_path / "run").settings.steps == 20


def test_a_damaged_checkpoint_falls_back_and_still_ends_with_the_same_bits(tmp_path, uninterrupted, capsys):
    folder = tmp_path / "caf\u00e9"
    tiny_run.train(folder)
    path = folder / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:-100])
    trainer.resume(folder, progress=True, sample=tiny_run.sample)
    said = capsys.readouterr().out
    assert "is damaged" in said and "caf\\xe9" in said and said.isascii()
    assert tiny_run.contents(folder) == uninterrupted

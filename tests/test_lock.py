"""One training a folder: a second process is refused with a sentence, and a killed one leaves no lock behind."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nanolm
import tiny_run
from nanolm.training import lock, metrics_log

HOLD = "import sys, time; from nanolm.training import lock\nwith lock.held(sys.argv[1]): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def holder():
    """A function that starts a process which holds the lock of a folder."""
    started = []

    def hold(folder):
        environment = {**os.environ, "PYTHONPATH": str(Path(nanolm.__file__).parents[1])}
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_training_is_refused_and_changes_nothing(tmp_path, holder):
    folder = tmp_path / "run"
    tiny_run.train(folder, steps=4)
    before = tiny_run.contents(folder)
    process = holder(folder)
    with pytest.raises(BlockingIOError, match="another process is training in .*run"):
        tiny_run.resume(folder, steps=8)
    assert tiny_run.contents(folder) == before
    process.kill()                                                      # SIGKILL: the system lets go of the lock
    process.wait()
    assert tiny_run.resume(folder, steps=8)["step"] == 8


def test_a_new_run_is_refused_where_another_has_just_begun(tmp_path, holder):
    folder = tmp_path / "run"
    folder.mkdir()
    holder(folder)
    with pytest.raises(BlockingIOError, match="another process is training"):
        tiny_run.train(folder, steps=2)
    assert os.listdir(folder) == [lock.NAME]


def test_no_lock_where_the_system_has_none(tmp_path, monkeypatch):
    """A browser has neither module: both trainings go on."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with lock.held(tmp_path), lock.held(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / lock.NAME).mkdir()                                      # stands for "no permission": root may do all
    with pytest.raises(OSError, match="could not write .*training.lock"):
        with lock.held(tmp_path):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once on SIGTERM")
def test_sigterm_saves_like_ctrl_c(tmp_path):
    folder = tmp_path / "run"
    paths = [str(Path(nanolm.__file__).parents[1]), str(Path(__file__).parent)]
    process = subprocess.Popen([sys.executable, tiny_run.__file__, str(folder)], stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    while process.poll() is None and max([r["step"] for r in metrics_log.read(folder)], default=-1) < 3:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert "Interrupted: Stopped at step" in errors and "and saved" in errors, errors
    assert tiny_run.resume(folder)["step"] == 40

"""Several MPI ranks train as one process does; and a rank that dies ends the job, with a word and a checkpoint.

The tests run mpiexec. They are skipped where it or mpi4py is missing: pip install mpi4py, and mpich if there is no MPI.
"""
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mpi_run
import nanolm
import tiny_run
from nanolm.models import cost, gpt2
from nanolm.training import checkpoint, last_words, memory, metrics_log, ranks

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(nanolm.__file__).parents[1]), str(HERE)]),
               "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",         # Open MPI is careful
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}


def launcher():
    """Return the path of mpiexec, beside this Python first (the wheel mpich puts it there), or None."""
    return shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def missing():
    """Return why mpiexec cannot be used here, or None."""
    if launcher() is None:
        return "there is no mpiexec: pip install mpich"
    found = subprocess.run([sys.executable, "-c", "import mpi4py.MPI"], capture_output=True, text=True)
    return None if found.returncode == 0 else "mpi4py cannot be imported: pip install mpi4py"


WHY = missing()
needs_mpi = pytest.mark.skipif(WHY is not None, reason=str(WHY))


def start(n, *command):
    command = [launcher(), "-n", str(n), sys.executable, *map(str, command)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def mpi(n, *command, expect=0):
    """Run Python with these arguments on n ranks; return what it said. A job that hangs is a failure.

    expect   the exit status; None: any but 0 (how a signal is told differs between MPIs)
    """
    process = start(n, *command)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"the job hangs: {process.communicate()}") from None
    right = process.returncode == expect if expect is not None else process.returncode != 0
    assert right, f"exit status {process.returncode}, not {expect}\n{out}\n{err}"
    return out, err


def train(n, folder, fault=(), expect=0, **changes):
    return mpi(n, HERE / "mpi_run.py", "train", folder, json.dumps(changes), *fault, expect=expect)


def steps(folder):
    return {r["step"]: r for r in metrics_log.read(folder) if "loss" in r}


def evaluations(folder):
    return [r["validation"] for r in metrics_log.read(folder) if "validation" in r]


def assert_same_run(folder, other):
    """Each loss to 1e-6 (they are rounded to float32), all else that two shards give to the bit."""
    ours, theirs = steps(folder), steps(other)
    assert list(ours) == list(theirs) and len(ours) > 10
    for t in ours:
        assert ours[t]["loss"] == pytest.approx(theirs[t]["loss"], rel=1e-6), f"step {t}"
        assert ours[t]["norm"] == theirs[t]["norm"] and ours[t]["lr"] == theirs[t]["lr"]
    assert evaluations(folder) == evaluations(other)
    ours, theirs = tiny_run.weights(folder), tiny_run.weights(other)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs) and ours.keys() == theirs.keys()
    for name in ("model.safetensors", "samples.txt", "corpus.json", "settings.json"):
        assert (Path(folder) / name).read_bytes() == (Path(other) / name).read_bytes(), name


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run on one process: with dropout, batches of 6 rows, 2 shards."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    tiny_run.train(folder)
    return folder


@needs_mpi
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_sum_over_the_ranks_is_that_of_one_process(n):
    assert mpi(n, HERE / "mpi_run.py", "sums")[0] == "fine\n"


@needs_mpi
@pytest.mark.parametrize("n", [2, 3])
def test_a_whole_run_on_n_ranks_is_that_of_one_process(tmp_path, alone, n):
    train(n, tmp_path / "run")
    assert_same_run(tmp_path / "run", alone)
    assert (tmp_path / "run" / "loss.png").exists() and (tmp_path / "run" / "report.json").exists()


@needs_mpi
def test_five_uneven_shards_on_two_ranks_are_equal_up_to_rounding(tmp_path):
    """7 rows in 5 shards, penalties, dropout: float64, so that rounding can be told from a wrong weight."""
    changes = {"batch_size": 7, "shards": 5, "dtype": "float64", "steps": 20}
    tiny_run.train(tmp_path / "alone", **changes)
    train(2, tmp_path / "run", **changes)
    ours, theirs = steps(tmp_path / "run"), steps(tmp_path / "alone")
    assert len(ours) == 20
    for t in theirs:
        assert ours[t]["loss"] == pytest.approx(theirs[t]["loss"], rel=1e-11)
    ours, theirs = tiny_run.weights(tmp_path / "run"), tiny_run.weights(tmp_path / "alone")
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-7, atol=1e-9, err_msg=name)


@needs_mpi
@pytest.mark.parametrize("first, then", [(2, 1), (1, 3), (3, 2)])
def test_a_run_goes_on_with_another_number_of_ranks(tmp_path, alone, first, then):
    folder = tmp_path / "run"
    train(first, folder, fault=("raise", first - 1), expect=1)
    assert max(steps(folder)) in (13, 14)                               # the others may have been a little quicker
    train(then, folder)
    assert_same_run(folder, alone)


@needs_mpi
@pytest.mark.parametrize("fault, rank, expect, words", [
    ("raise", 1, 1, ["Rank 1 of 2 has stopped, and so the whole job ends. ValueError: this rank has had enough"]),
    ("raise", 0, 1, ["Rank 0 of 2 has stopped, and so the whole job ends. ValueError: this rank has had enough"]),
    ("kill", 1, None, []), ("kill", 0, None, []),
    ("disk", 0, 1, ["Rank 0 of 2 has stopped, and so the whole job ends. OSError: No space left on device"])])
def test_a_rank_that_dies_ends_the_job_and_leaves_a_checkpoint(tmp_path, alone, fault, rank, expect, words):
    """After step 13, with a checkpoint of step 12; the full disk at step 16."""
    folder = tmp_path / "run"
    begun = time.monotonic()
    _, err = train(2, folder, fault=(fault, rank), expect=expect)
    assert time.monotonic() - begun < 30, "it hung for a while"
    for said in (*words, "The job of 2 ranks has ended too early. The last checkpoint is whole.",
                 f"To go on from it, on any number of ranks: mpiexec -n 2 nanolm train --mpi --resume {folder}"):
        assert said in err, err
    assert checkpoint.exists(folder) and 12 <= max(steps(folder)) <= 16
    train(3, folder)
    assert_same_run(folder, alone)


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_on_mpiexec_finishes_the_step_and_saves(tmp_path, alone, number):
    folder = tmp_path / "run"
    process = start(2, HERE / "mpi_run.py", "train", folder, "{}", "waits")
    while process.poll() is None and len(steps(folder)) < 5:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    stopped = max(steps(folder))
    assert f"Stopped at step {stopped} of 40, and saved. To go on: mpiexec -n 2 nanolm train --mpi --resume" in err, err
    assert process.returncode == 130 and 5 <= stopped < 40 and err.count("Stopped at step") == 1 and "too early" not in err
    tiny_run.resume(folder)
    assert_same_run(folder, alone)


@needs_mpi
def test_a_loss_that_is_not_a_number_ends_every_rank_in_order(tmp_path):
    _, err = train(2, tmp_path / "run", fault=("nan",), expect=1)
    assert "At step 14 the loss is" in err and "The first tensor that went bad" in err
    assert "The checkpoint of step 12 is good" in err and "mpiexec -n 2 nanolm train --mpi --resume" in err
    assert err.count("Diverged") == 1 and "too early" not in err, "said once, by the first rank"


@needs_mpi
def test_ranks_on_one_machine_share_its_cores():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no processor affinity")
    assert mpi(2, HERE / "mpi_run.py", "cores")[0] == "fine\n"


@needs_mpi
def test_the_command_line(tmp_path):
    """Trains; says once, without MPI's noise, what a user did wrong; and notices mpiexec without --mpi."""
    text = tmp_path / "story.txt"
    rng = np.random.default_rng(0)
    text.write_text("\n\n".join(" ".join(rng.choice(tiny_run.LINES[0].split() + ["and", "a", "small", "model"], 30))
                                for _ in range(80)))
    tiny = ["--steps", "4", "--n-layer", "1", "--n-embd", "16", "--n-head", "2", "--block-size", "16", "--batch-size", "3",
            "--tokenizer", "characters", "--set", "eval_every=2", "--set", "save_every=2"]
    run = tmp_path / "run"
    out, err = mpi(2, "-m", "nanolm", "train", "--mpi", text, *tiny, "--out", run)
    assert out.count("this model") == 2 and out.count("The model writes:") == 1 and "--mpi --resume" in out
    assert max(steps(run)) == 4
    out, err = mpi(3, "-m", "nanolm", "train", "--mpi", "--resume", run, "--steps", "6")
    assert max(steps(run)) == 6 and err.count("1 of the ranks will have nothing to compute") == 1

    for given, words, status in ((["--mpi", "nowhere.txt"], "there is no file or folder", 1),
                                 (["--mpi", "--resume", str(run), "--steps", "3"], "has made 6 steps already", 1),
                                 (["--mpi", str(text), "--set", "foo=1"], "there is no setting 'foo'", 2),
                                 ([str(text), *tiny, "--out", str(tmp_path / "none")], "mpiexec -n 2 nanolm train --mpi", 2)):
        _, err = mpi(2, "-m", "nanolm", "train", *given, expect=status)
        assert err.count(words) == 1 and "Abort" not in err and "Traceback" not in err, err
    assert not (tmp_path / "none").exists()


def one_process(*code, **environment):
    return subprocess.run([sys.executable, *code], env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("package, words", [("mpi4py", "pip install mpi4py"),
                                            pytest.param("mpi4py.MPI", "finds no MPI here", marks=needs_mpi)])
def test_without_mpi4py_or_mpi_a_sentence_says_what_to_install(package, words):
    done = one_process("-c", f"import sys; sys.modules[{package!r}] = None\n"
                             "from nanolm.cli import main; sys.argv[1:] = ['train', '--mpi']; main()")
    assert done.returncode == 1 and done.stderr.startswith("Error: ") and words in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


@needs_mpi
def test_a_launcher_of_another_mpi_is_noticed():
    """Each process finds itself alone, though the launcher says that there are three."""
    done = one_process("-m", "nanolm", "train", "--mpi", OMPI_COMM_WORLD_SIZE="3", OMPI_COMM_WORLD_RANK="1")
    assert done.returncode == 1 and "belongs to another MPI than the one that mpi4py uses" in done.stderr


def test_every_shard_is_computed_by_one_rank():
    class Rank:
        def __init__(self, rank, size):
            self.rank, self.size = rank, size

    for size in (1, 2, 3, 5):
        for shards in (1, 2, 3, 7, 12):
            parts = [ranks.Team(Rank(rank, size)).mine(shards) for rank in range(size)]
            assert [k for part in parts for k in part] == list(range(shards))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_of_the_batch_that_nobody_computed_is_noticed(monkeypatch):
    """The other rank computes nothing: without the count of targets a wrong gradient would go unseen."""
    class Comm:
        rank, size = 0, 2

        def Allreduce(self, in_place, buffer):
            pass

    monkeypatch.setattr(ranks, "_mpi", lambda: SimpleNamespace(IN_PLACE=None))
    p, ids, targets = mpi_run.problem(np.float32)
    with pytest.raises(RuntimeError, match="15 targets of a batch that has 29: they do not compute the same batch"):
        ranks.Team(Comm()).loss_and_gradients(gpt2, p, ids, targets, mpi_run.CONFIG, None, 7, 1)


def test_ranks_on_one_machine_need_its_memory_several_times(monkeypatch):
    need = cost.memory(tiny_run.CONFIG, tiny_run.SETTINGS.batch_size)
    alone = sum(need[part] for part in ("weights", "gradients", "optimizer", "activations"))
    monkeypatch.setattr(memory, "physical", lambda: alone + need["weights"])
    memory.check(tiny_run.CONFIG, tiny_run.SETTINGS)
    with pytest.raises(MemoryError, match="training this model needs about"):
        memory.check(tiny_run.CONFIG, tiny_run.SETTINGS, processes=2)


def test_one_process_alone_needs_no_mpi():
    done = one_process("-c", "import sys; sys.modules['mpi4py'] = None; sys.argv[1:] = []\n"
                             "import mpi_run; mpi_run.sums(mpi_run.ranks.ALONE); print('fine')")
    assert done.stdout == "fine\n", done.stderr


def test_last_words_are_said_by_who_was_killed_only():
    code = ("import os, sys, signal\nfrom nanolm.training.last_words import LastWords\n"
            "words = LastWords('go on with caf\\u00e9')\n"
            "if sys.argv[1] == 'taken back': words.take_back()\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n")
    assert one_process("-c", code, "killed").stderr == "go on with caf\\xe9\n"
    assert one_process("-c", code, "taken back").stderr == ""


def test_who_ends_the_job_waits_until_its_words_are_read():
    """A reader that comes late, one that never comes, and a file that is no pipe."""
    pytest.importorskip("fcntl", reason="this system cannot tell what is unread")
    end, begin = (os.fdopen(fd, mode) for fd, mode in zip(os.pipe(), ("r", "w")))
    with end, begin:
        began = time.monotonic()
        last_words.until_read(begin)
        assert time.monotonic() - began < 0.1, "nothing was written"
        begin.write("words\n")
        begin.flush()
        last_words.until_read(begin, seconds=0.2)
        assert time.monotonic() - began >= 0.2, "nobody has read it"
        reader = threading.Timer(0.2, end.readline)
        reader.start()
        last_words.until_read(begin, seconds=30)
        reader.join()
        assert 0.4 <= time.monotonic() - began < 20
    last_words.until_read(io.StringIO("no pipe"))


def test_no_last_words_where_no_process_can_be_started(monkeypatch):
    monkeypatch.setattr(last_words.sys, "executable", "/no/such/python")
    last_words.LastWords("never said").take_back()

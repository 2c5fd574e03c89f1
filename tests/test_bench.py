"""The benchmarks on tiny shapes: turns, limits, whole runs, files, who is left out and why. Times are never asserted."""
import json
import mmap
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nanolm import kernels
from nanolm.bench import (attention, generate, layers, limits, machine, ours_generate, peers, pictures, results, train, turns,
                          worker)
from nanolm.cli import bench_command
from nanolm.models import cost, gpt2

TINY = limits.Shape("tiny", 2, 16, 2, 11, 4, 8)
LIMITS = "nanolm.bench.limits:prepare"
QUICK = {"turn": 0.0, "pause": 0.0}
PNG = b"\x89PNG"
WRITER = {"prompt": 3, "tokens": 4, "beams": 2, "batch": 3,
          "config": {"vocab_size": 23, "block_size": 12, "n_layer": 1, "n_head": 2, "n_embd": 8}}


@pytest.fixture
def alone(monkeypatch):
    """No peer installed, no compiling of kernels: plain NumPy is all there is."""
    monkeypatch.setenv("NANOLM_KERNELS", "numpy")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)


# --- the worker and the turns


def test_a_run_counts_and_skips():
    calls = []
    answer = worker.run(lambda: calls.append(0) or len(calls), times=3, skip=2)
    assert len(answer["seconds"]) == 3 and answer["value"] == 5 and len(calls) == 5


def test_everybody_has_every_turn_and_who_fails_is_left_out_with_the_reason():
    contestants = {"a": (LIMITS, {"memory": 2**16}, None), "no such function": ("nanolm.bench.limits:nothing", {}, None),
                   "dies": ("os:_exit", {"status": 3}, None), "absent": (LIMITS, {}, "it is not installed"),
                   "wrong": (LIMITS, {"memory": "much"}, None)}
    said = []
    with turns.field(contestants, lambda sentence, lasting=False: said.append(sentence)) as (running, left_out):
        entries = {"a: read": (running["a"], "read"), "a: copy": (running["a"], "copy"), "a: none": (running["a"], "none")}
        times = turns.warm({name: entries[name] for name in ("a: read", "a: copy")}, left_out)
        turns.take({name: entries[name] for name in times}, left_out, times, rounds=3, **QUICK)
        turns.warm({"a: none": entries["a: none"]}, left_out)
    assert running["a"].process.returncode is not None                      # no process is left behind
    assert set(times) == {"a: read", "a: copy"} and all(len(t.rounds) == 3 for t in times.values())
    assert all(t.values == [2**16] * 3 for t in times.values())
    assert "nothing" in left_out["no such function"] and "status 3" in left_out["dies"]
    assert left_out["absent"] == "it is not installed" and "TypeError" in left_out["wrong"]
    assert "KeyError" in left_out["a: none"]
    assert said[0] == "starting a"


def test_every_round_begins_with_another_one():
    order = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def run(self, what, times=1, skip=0):
            order.append(self.name)
            return {"seconds": [0.3] * times, "value": 1, "idle": 0.0, "slept": 0.0}

    entries = {name: (Fake(name), "step") for name in "abc"}
    times = turns.warm(entries, {}, times=0)
    turns.take(entries, {}, times, rounds=3, **QUICK)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"


def test_the_numbers_of_a_turn():
    times = turns.Times(once=0.1, values=[7])
    assert times.runs(0.4) == (4, 1) and turns.Times(3.0, []).runs(0.4) == (1, 0)
    for seconds in ([1.0, 9.0, 2.0], [3.0], [4.0, 4.0], [5.0]):             # medians 2, 3, 4, 5
        times.add({"seconds": seconds, "idle": 0.01, "slept": 0.05})
    found = times.summary()
    assert (found["low"], found["median"], found["high"]) == (2.75, 3.5, 4.25)
    assert turns.quartiles([2.0]) == [2.0, 2.0, 2.0]
    assert "20 % of a core" in turns.busy({"it": found})[0] and not turns.busy({"it": {**found, "idle": 0.001}})


def test_answers_are_compared():
    assert turns.agree([[1.0, -2.0, 1e-9], [1.0001, -2.0001, 0.0]])
    assert not turns.agree([[1.0, 2.0], [1.0, 2.1]])
    assert turns.agree([]) and turns.agree([[1.0]])


@pytest.mark.skipif(not machine.STATUS.exists(), reason="Linux alone tells a process's peak apart from its parent's")
def test_a_childs_memory_is_its_own():
    ballast = np.ones(2**26, np.float32)                                    # 268 MB in the parent
    with turns.field({"a": (LIMITS, {"memory": 2**16}, None)}) as (running, _):
        small = running["a"].peak()
    with turns.field({"a": (LIMITS, {"memory": 2**27}, None)}) as (running, _):
        large = running["a"].peak()
    assert 10e6 < small < ballast.nbytes and large > small + 0.9 * 2**27


def test_the_peak_can_be_forgotten():
    before, found = machine.resident(), mmap.mmap(-1, 2**26)        # from the system itself: an array may get freed memory
    found.write(b"1" * 2**26)
    assert machine.peak() is None or before is None or machine.peak() >= before + 0.9 * 2**26
    found.close()
    if machine.forget_peak():
        assert machine.peak() < before + 2**25


# --- the limits


def test_operations_are_those_of_the_cost_table():
    N, C, T, L = 32, 16, 8, 2
    forward = cost.total(cost.rows(gpt2.Config(11, 8, L, 2, C), 4, 8)).flops
    assert limits.operations(TINY, attention=False) == 3 * (forward - L * 4 * N * T * C)
    assert limits.operations(TINY, linear=False) == 3 * L * 4 * N * T * C // 2          # the causal half
    assert attention.operations(4, 8, 2, 8) * L == limits.operations(TINY, linear=False)


def test_every_way_computes_the_whole_product():
    rng = np.random.default_rng(0)
    for a, b in ((rng.random((7, 3)), rng.random((3, 5))), (rng.random((5, 2, 3)), rng.random((5, 3, 4)))):
        for way, function in limits.split_ways(a, b, out := np.zeros((*a.shape[:-1], b.shape[-1])), 3).items():
            out[:] = np.nan
            for w in range(1 if way == "blas" else 3):
                function(w)
            np.testing.assert_allclose(out, a @ b, err_msg=way)


def test_all_products_are_run():
    functions = limits.prepare({**vars(TINY)}, memory=2**16)
    functions["step"](), functions["linear"](), functions["heads"]()
    ways = functions["ways"]()
    assert len(ways) == 3 * 5 + 6 and set(ways.values()) <= {"blas", "rows", "batch"}
    assert functions["read"]() == functions["copy"]() == 2**16 and functions["cached"]() >= limits.CACHE


# --- whole benchmarks, on tiny shapes


def test_train_without_peers(alone):
    result = train.run(TINY, rounds=2, **QUICK)
    assert list(result["contestants"]) == [train.PLAIN, train.LIMIT] and result["losses_agree"]
    assert "pip install" in result["left_out"][train.EAGER] and "pip install" in result["left_out"][train.COMPILED]
    assert train.OURS in result["left_out"]
    losses = result["contestants"][train.PLAIN]["values"]
    assert losses[0] > losses[-1] and abs(losses[0] - np.log(11)) < 0.2     # an untrained model's, and it learns
    assert all(len(t["rounds"]) == 2 for t in result["contestants"].values())
    if machine.STATUS.exists():
        assert result["contestants"][train.PLAIN]["peak"] > 10e6
    json.dumps(result)


def test_attention_without_peers(alone, monkeypatch):
    monkeypatch.setattr(attention, "fits", lambda batch, tokens: tokens < 16)
    monkeypatch.setattr(attention, "TOKENS", 32)
    monkeypatch.setattr(attention, "TILES", TINY)
    result = attention.run([8, 16], rounds=1, **QUICK)
    first, second = result["lengths"]
    assert list(first["contestants"]) == [attention.PLAIN, attention.LIMIT] and first["batch"] == 4 and second["batch"] == 2
    assert list(second["contestants"]) == [attention.LIMIT] and "do not fit" in second["left_out"][attention.PLAIN]
    assert first["contestants"][attention.PLAIN]["memory"] is None or first["contestants"][attention.PLAIN]["memory"] >= 0
    assert pictures.attention(result).startswith(PNG)
    assert len(attention.table(result)) == 3


def test_layers_without_peers(alone):
    result = layers.run(TINY, rounds=1, turn=0.0, pause=0.0)
    rows = layers.table(result)
    assert {row[0] for row in rows} == set(layers.cases(TINY)) and len(rows) == 2 * 12 + 3
    assert all(float(row[2].replace(",", "")) >= 0 and row[3] == "" for row in rows)
    assert pictures.roofline(result).startswith(PNG)
    assert "pip install" in " ".join(layers.notes(result))


def test_generate_without_peers(alone):
    result = generate.run(rounds=1, settings=WRITER, memory=2**16, **QUICK)
    texts = {label: t["values"][0] for label, t in result["contestants"].items()}
    assert [len(text) for text in texts.values()] == [1, 1, 3] and all(len(row) == 4 for text in texts.values() for row in text)
    assert texts[f"{generate.PLAIN}: one"][0] == texts[f"{generate.PLAIN}: batch"][0]   # a batch's first row is the one text
    assert len(generate.table(result)) == 3 and set(result["agree"].values()) == {1.0}
    assert all(name in result["left_out"] for name in (generate.OURS, generate.INT8, generate.PEER))


def test_int8_weights_write_too():
    texts = {task: function() for task, function in ours_generate.prepare("numpy", int8=True, **WRITER).items()}
    assert [len(text) for text in texts.values()] == [1, 1, 3] and all(len(row) == 4 for text in texts.values() for row in text)


@pytest.mark.skipif(not kernels.available(), reason="the fast kernels need Numba and SciPy")
def test_the_fast_kernels_have_the_same_losses():
    contestants = {name: ("nanolm.bench.ours:train", {"kernels": name, "shape": vars(TINY)}, None) for name in kernels.BACKENDS}
    with turns.field(contestants) as (running, left_out):
        losses = [[running[name].run("step")["value"] for _ in range(3)] for name in running]
    assert not left_out and len(losses) == 2
    np.testing.assert_allclose(*losses, rtol=1e-5)


# --- the command


def test_the_command_prints_a_table_and_leaves_a_picture_and_a_file(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(attention, "TOKENS", 16)
    monkeypatch.setattr(attention, "TILES", TINY)
    arguments = ["attention", "--tokens", "8", "--rounds", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(bench_command.command, arguments)
    assert done.exit_code == 0, done.output
    assert attention.PLAIN in done.output and "left out" in done.output and done.output.isascii()
    assert (tmp_path / "out" / "attention.png").read_bytes().startswith(PNG)
    kept = results.load(tmp_path / "out", "attention")
    assert kept["bench"] == "attention" and kept["machine"]["versions"]["numpy"] == np.__version__
    assert attention.table(kept["result"])[0][2] == attention.PLAIN
    assert pictures.attention(kept["result"]).startswith(PNG)


def test_the_four_parts_are_there():
    done = CliRunner().invoke(bench_command.command, ["--help"])
    assert done.exit_code == 0
    for name in ("train", "finetune", "attention", "layers", "generate"):
        assert re.search(rf"^  {name} ", done.output, flags=re.MULTILINE)


def test_the_machine_is_described():
    about = machine.describe()
    assert about["cores"] >= 1 and about["processor"] and about["python"] in sys.version
    assert about["processor"] in machine.sentence(about)
    assert "when it is idle" in machine.sentence({**about, "load": 3.0 * about["cores"]})
    assert "when it is idle" not in machine.sentence({**about, "load": 0.0})
    json.dumps(about)


def test_what_is_missing_is_said(monkeypatch):
    assert peers.missing("numpy") is None
    assert "pip install" in peers.missing("numpy", "no_such_package_as_this")
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    assert "C++ compiler" in peers.missing("numpy", compiler=True)

"""`nanolm bench tricks`: before and after compute the same, for every trick; what the table shows for given times."""
import importlib
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

from nanolm import kernels, threads
from nanolm.bench import pictures, results, tricks
from nanolm.cli import bench_command

needs_numba = pytest.mark.skipif(not kernels.available(), reason="the tricks need Numba")
TINY_MODEL = {"name": "tiny", "n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": 11, "batch": 4, "tokens": 8}
TINY = {                                                # sizes at which a way takes no time; odd ones where any size goes
    "exponential": {"n": 1001}, "maximum": {"rows": 5, "columns": 33}, "sums": {"n": 1001},
    "rows_sliced": {"rows": 5, "D": 7, "channels": 40}, "aliased": {"n": 1001}, "tiny_numbers": {},
    "norm": {"N": 150, "C": 7}, "root_norm": {"N": 150, "C": 7}, "gates": {"N": 15, "F": 7},
    "rotation": {"B": 2, "T": 5, "H": 3, "D": 8}, "bias_and_gelu": {"N": 150, "F": 7}, "loss": {"N": 5, "V": 33}, "dropped": {"n": 2**15},
    "tied": {"V": 11, "C": 5, "N": 20}, "update": {"n": 1001}, "length": {"n": 1001},
    "all_rows": {"B": 3, "T": 5, "I": 7, "O": 9}, "small_product": {"times": 2}, "turned": {"times": 2},
    "matrices": {"N": 21, "I": 33, "O": 70}, "scores": {"B": 2, "T": 70, "H": 2, "D": 8},
    "skipped": {"B": 1, "T": 150, "H": 2, "D": 8}, "workers": {"shape": TINY_MODEL}, "freed": {"shape": TINY_MODEL},
    "decoding": {"config": {"vocab_size": 23, "block_size": 16, "n_layer": 2, "n_head": 2, "n_embd": 16}, "tokens": 9}}
NOT_EQUAL = ("dropout", "kept")                         # another draw; bytes, not an answer
TOLERANCE = {"decoding": 0.05, "tiny": 1e-30}           # int8; numbers below 1e-30 are 0 afterwards


def arrays(answer):
    """Return all numbers of an answer, an array, a number, a tuple or a dict of these, as one float64 array."""
    if isinstance(answer, dict):
        answer = tuple(answer[name] for name in sorted(answer))
    if isinstance(answer, (tuple, list)):
        return np.concatenate([arrays(part) for part in answer])
    return np.array(answer, np.float64).reshape(-1)


def ways_of(name):
    trick = tricks.TRICKS[name]
    module, function = trick.make.split(":")
    sizes = {key: value for key, value in trick.sizes.items() if key not in ("measures", "keep")}
    return getattr(importlib.import_module(module), function)(**{**sizes, **TINY[function]})


@needs_numba
@pytest.mark.parametrize("name", [name for name in tricks.TRICKS if name not in NOT_EQUAL])
def test_before_and_after_compute_the_same(name):
    ways = ways_of(name)
    answers = {way: arrays(ways.run(way)) for way in ways.functions}
    first = next(iter(answers.values()))
    assert first.size and np.isfinite(first).all()
    for way, answer in list(answers.items())[1:]:
        tolerance = TOLERANCE.get(name, 2e-5 * np.abs(first).max())
        np.testing.assert_allclose(answer, first, rtol=2e-5, atol=tolerance, err_msg=way)
    assert kernels.in_use() == "numpy"                  # what the ways changed is as it was
    assert all(before in answers and after in answers for before, after in ways.about()["pairs"])


@needs_numba
def test_dropout_drops_the_same_share_either_way():
    ways = ways_of("dropout")
    for way in ways.functions:
        dropped = ways.run(way) == 0
        assert abs(dropped.mean() - 0.1) < 0.02


@needs_numba
def test_one_number_a_row_takes_less_memory_than_all_scores():
    from nanolm.bench import tricks_models
    ways = tricks_models.kept(B=1, T=512, H=2, D=8)
    before, after = (ways.run(way) for way in ways.functions)
    assert before > 2 * 4 * 512 * 512 * 2 > after > 4 * 512 * 8 * 2     # P and dP of two heads; y at least


@needs_numba
def test_the_second_process_is_without_the_variable(monkeypatch):
    monkeypatch.setenv(tricks.VARIABLE, "Haswell")
    found = tricks.contestants(tricks.TRICKS["medium"])
    assert tricks.VARIABLE not in found["unset"][3] and found["unset"][1]["other"] and len(found["here"]) == 3
    assert os.environ[tricks.VARIABLE] == "Haswell"     # here it stays
    monkeypatch.delenv(tricks.VARIABLE)
    assert list(tricks.contestants(tricks.TRICKS["medium"])) == ["here"]
    assert list(tricks.contestants(tricks.TRICKS["freed-small"])) == ["here", "another"]


@needs_numba
def test_alone_means_one_thread():
    from nanolm.bench.trick_ways import Ways
    seen = []
    Ways({"way": lambda: seen.append(threads.limit())}).run("way", 2)
    assert seen == [1, 1] and threads.limit() == threads.cores()


@needs_numba
def test_a_run_and_its_files(tmp_path, monkeypatch):
    small = {"sum": tricks.numbers("a sum", "sums", "kernels/compiled.py", n=64),
             "kept": tricks.models("memory", "kept", "kernels/attention.py", "MB", measures="bytes", T=16, H=1, D=8),
             "freed": tricks.models("freed", "freed", "training/memory.py", label="kept", shape=TINY_MODEL, fast=False,
                                    another={"label": "fresh", "keep": False, "shape": TINY_MODEL, "fast": False}),
             "wrong": tricks.numbers("wrong", "no_such_function", "nowhere")}
    monkeypatch.setattr(tricks, "TRICKS", small)
    run = tricks.run
    monkeypatch.setattr(tricks, "run", lambda *arguments: run(*arguments, tricks=small, turn=0.0, pause=0.0))
    done = CliRunner().invoke(bench_command.command, ["tricks", "--rounds", "2", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "no_such_function" in done.output and "flag reassoc" in done.output and done.output.isascii()
    kept = results.load(tmp_path, "tricks")["result"]
    rows = tricks.table(kept)
    assert [row[1] for row in rows] == ["a loop", "plain, all T x T scores", "fresh"] and rows[2][2] == "kept"
    assert all(float(row[6]) > 0 for row in rows)
    assert (tmp_path / "tricks.png").read_bytes() == pictures.tricks(kept)
    assert CliRunner().invoke(bench_command.command, ["tricks", "--trick", "magic"]).exit_code == 2


def test_the_table():
    def summary(*rounds, value=10):
        middle = sorted(rounds)[len(rounds) // 2]
        return {"median": middle, "rounds": [[seconds] for seconds in rounds], "values": [value]}

    trick = {"title": "it", "unit": "ns", "count": 1000, "pairs": [["a", "b"]], "left_out": {}, "blas": True,
             "kernels": {"here": "openblas (Haswell)", "unset": "openblas (SkylakeX)"},
             "ways": {"a": summary(0.004, 0.002, 0.006), "b": summary(0.001, 0.001, 0.002)}}
    result = {"tricks": [trick, {**trick, "unit": "GFLOP/s"}, {**trick, "unit": "ms"}, {**trick, "unit": "MB"}]}
    rows = tricks.table(result)
    assert rows[0][4:] == ["400", "100", "3.00", "2.50 - 3.50"]         # ratios of the rounds: 4, 2 and 3
    assert rows[1][4:6] == ["0.0025", "0.01"] and rows[2][4:6] == ["0.4", "0.1"]
    assert rows[3][4:7] == ["1e-05", "1e-05", "1.00"]
    assert tricks.notes(result) == ["NumPy's BLAS: openblas (Haswell); with OPENBLAS_CORETYPE unset: openblas (SkylakeX)."]
    assert pictures.tricks(result).startswith(b"\x89PNG")
    json.dumps(result)

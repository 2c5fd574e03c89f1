"""`nanolm bench finetune` on tiny shapes: what it runs and counts, the batch, the peer's losses. Times are never asserted."""
import json

import numpy as np
import pytest
from click.testing import CliRunner

from nanolm import kernels
from nanolm.bench import finetune, limits, ours_finetune, peers, pictures, results, train, turns
from nanolm.cli import bench_command
from nanolm.params import flatten

TINY = limits.Shape("tiny", 2, 16, 2, 50, 4, 8, encoder=True)
QUICK = {"turn": 0.0, "pause": 0.0}
PNG = b"\x89PNG"


@pytest.fixture
def alone(monkeypatch):
    """No peer installed, no compiling of kernels: plain NumPy is all there is."""
    monkeypatch.setenv("NANOLM_KERNELS", "numpy")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)


def losses(contestants, times=3):
    """Return {name: the losses of the first steps}."""
    with turns.field(contestants) as (running, left_out):
        assert not left_out
        return {name: [contestant.run("step")["value"] for _ in range(times)] for name, contestant in running.items()}


def test_without_peers(alone):
    result = finetune.run(TINY, rounds=2, **QUICK)
    assert list(result["contestants"]) == [finetune.PLAIN, finetune.LIMIT] and result["losses_agree"]
    for name in (finetune.EAGER, finetune.COMPILED):
        assert "torch and transformers are not installed" in result["left_out"][name]
    values = result["contestants"][finetune.PLAIN]["values"]
    assert 0.8 < values[0] < 1.2 and values[0] > values[1] > values[2]      # two classes, untrained: ln 2 and some; it learns
    assert result["shape"]["encoder"] and all(len(t["rounds"]) == 2 for t in result["contestants"].values())
    assert len(finetune.table(result)) == 2 and pictures.train([result]).startswith(PNG)
    json.dumps(result)


def test_the_table():
    def summary(median):
        return {"median": median, "low": median, "high": median, "rounds": [[median]], "values": [1.0], "idle": 0.0,
                "slept": 1.0, "peak": 2e8}
    result = {"shape": vars(TINY), "operations": 10e9, "rounds": 1, "losses_agree": True, "limits": {}, "left_out": {},
              "contestants": {finetune.OURS: summary(0.5), finetune.EAGER: summary(0.8), finetune.LIMIT: summary(0.4)}}
    rows = {row[0]: dict(zip(finetune.HEADER, row)) for row in finetune.table(result)}
    assert rows[finetune.EAGER]["times ours"] == "1.60" and rows[finetune.EAGER]["of limit"] == "50 %"
    assert rows[finetune.OURS]["texts/s"] == "8.0" and rows[finetune.LIMIT]["texts/s"] == ""
    assert "tokens/s" not in finetune.HEADER and "tokens/s" in train.HEADER
    assert finetune.notes(result) == []


def test_operations_are_those_of_an_encoder():
    """The linear layers of the blocks and the pooler, all scores: counted by hand for C 16, F 64, N 32, T 8, two layers."""
    linear = 2 * 32 * (4 * 16 * 16 + 2 * 16 * 64) * 2 + 2 * 4 * 16 * 16
    attention = 2 * 2 * 2 * 32 * 8 * 16                                     # layers, products, a product and a sum, N T C
    assert limits.operations(TINY, attention=False) == 3 * linear
    assert limits.operations(TINY, linear=False) == 3 * attention
    functions = limits.prepare({**vars(TINY)}, memory=2**16)
    functions["step"](), functions["shared"]()
    assert len(functions["ways"]()) == 3 * 5 + 6


@pytest.mark.parametrize("shape", [TINY, finetune.SHAPES["tiny"]], ids=["small vocabulary", "BERT's"])
def test_the_batch_is_as_real_ones_are(shape):
    ids, targets, segments, lengths = ours_finetune.batch_of(vars(shape))
    B, T = shape.batch, shape.tokens
    assert ids.shape == segments.shape == (B, T) and targets.shape == lengths.shape == (B,) and 0 <= ids.min()
    assert ids.max() < shape.vocab_size and lengths[0] == T and lengths.min() >= T // 4 and set(targets) <= {0, 1}
    assert len(set(lengths)) > 1, "nothing is padded"
    cls, sep = ids[0, 0], ids[0, -1]
    for row, kinds, n in zip(ids, segments, lengths):
        assert row[0] == cls and row[n - 1] == sep and (row[:n] == sep).sum() == 2 and not row[n:].any() and row[:n].all()
        end = int(np.argmax(row == sep))                                    # the first sentence with its [SEP] is segment 0
        assert not kinds[:end + 1].any() and kinds[end + 1:n].all() and n > end + 1 and not kinds[n:].any()
    if shape is not TINY:
        assert (cls, sep) == (101, 102)


@pytest.mark.skipif(not kernels.available(), reason="the fast kernels need Numba and SciPy")
def test_the_fast_kernels_have_the_same_losses():
    who = {name: ("nanolm.bench.ours_finetune:prepare", {"kernels": name, "shape": vars(TINY)}, None)
           for name in kernels.BACKENDS}
    np.testing.assert_allclose(*losses(who).values(), rtol=1e-5)


def test_the_peer_has_the_same_losses():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
    pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")
    who = finetune.contestants(TINY)
    found = losses({name: who[name] for name in (finetune.PLAIN, finetune.EAGER)}, times=5)
    np.testing.assert_allclose(found[finetune.EAGER], found[finetune.PLAIN], rtol=1e-5)
    assert np.ptp(found[finetune.PLAIN]) > 1e-2                             # the steps have moved the weights


def test_the_peer_gets_every_parameter():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
    pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")
    from nanolm.bench import torch_bert
    p, _ = ours_finetune.model_of(vars(TINY))
    theirs = sum(w.numel() for w in torch_bert.model_of(vars(TINY)).parameters())
    assert theirs == sum(w.size for w in flatten(p).values())


def test_the_command_prints_a_table_and_leaves_a_picture_and_a_file(alone, tmp_path, monkeypatch):
    monkeypatch.setitem(finetune.SHAPES, "minilm", TINY)
    done = CliRunner().invoke(bench_command.command, ["finetune", "--rounds", "1", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert finetune.PLAIN in done.output and "texts/s" in done.output and "left out" in done.output and done.output.isascii()
    assert (tmp_path / "finetune.png").read_bytes().startswith(PNG)
    kept = results.load(tmp_path, "finetune")
    assert kept["bench"] == "finetune" and finetune.table(kept["result"][0])[0][0] == finetune.PLAIN

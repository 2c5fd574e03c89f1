"""The peers of the benchmarks compute what we compute: the same losses, gradients' checks and tokens from the same weights."""
import numpy as np
import pytest

from nanolm.bench import limits, ours, ours_generate, turns

torch_gpt2 = pytest.importorskip("nanolm.bench.torch_gpt2", reason="PyTorch is not installed")

SHAPE = vars(limits.Shape("tiny", 2, 16, 2, 31, 4, 8))
WRITER = {"prompt": 3, "tokens": 6, "beams": 3, "batch": 4,
          "config": {"vocab_size": 61, "block_size": 12, "n_layer": 2, "n_head": 2, "n_embd": 16}}


def test_training_steps_have_the_same_losses():
    mine, its = ours.train("numpy", SHAPE)["step"], torch_gpt2.train(SHAPE)["step"]
    losses = [(mine(), its()) for _ in range(5)]
    assert losses[-1][0] < losses[0][0]
    np.testing.assert_allclose(*zip(*losses), rtol=2e-5)


def test_attention_has_the_same_answers_and_gradients():
    arguments = {"batch": 2, "heads": 3, "tokens": 20, "channels": 4}
    mine, its = ours.attention("numpy", **arguments)["step"](), torch_gpt2.attention(**arguments)["step"]()
    assert len(mine) == 4 and turns.agree([mine, its], tolerance=1e-5)
    assert not turns.agree([mine, [*its[:3], its[2]]])


def test_every_layer_has_its_counterpart():
    from nanolm.bench import layers, ours_layers, torch_layers
    mine, its = ours_layers.prepare("numpy", SHAPE), torch_layers.prepare(SHAPE)
    assert set(mine) - {"product alone"} == set(its) == {f"{layer} {way}" for layer in layers.cases(limits.Shape(**SHAPE))
                                     for way in layers.ways(layer)}
    assert all(function() >= 1 for function in its.values())


def test_generation_makes_the_same_tokens():
    transformers_generate = pytest.importorskip("nanolm.bench.transformers_generate", reason="transformers is not installed")
    mine, its = ours_generate.prepare("numpy", **WRITER), transformers_generate.prepare(**WRITER)
    for task in ("one", "beam", "batch"):
        rows = mine[task]()
        assert rows == its[task]() and len(rows) == (4 if task == "batch" else 1) and {len(row) for row in rows} == {6}

"""A number that is none stops the run before it reaches the weights, and the tensor where it began is named."""
import numpy as np
import pytest

import tiny_run
from nanolm import params as parameters
from nanolm.layers import attention, gelu
from nanolm.models import gpt2
from nanolm.training import checkpoint, nan_report, trainer

BOTH_BACKENDS = True


def test_nan_stops_before_the_weights_are_written(tmp_path, monkeypatch):
    folder, calls, original = tmp_path / "run", [0], attention.backward

    def bad(dy, cache):
        dq, dk, dv = original(dy, cache)
        calls[0] += 1
        if calls[0] > 4 * 9:                            # two shards, two layers: from the tenth step on
            dk = dk.copy()
            dk[1, 0, 3, 2] = np.nan
        return dq, dk, dv

    monkeypatch.setattr(attention, "backward", bad)
    with pytest.raises(trainer.Diverged) as caught:
        tiny_run.train(folder, save_every=4)
    message = str(caught.value)
    assert "At step 10 the loss is " in message and "gradient's norm nan" in message
    assert "a gradient that goes backward out of attention, after h.1.attn.c_attn.weight (1 of " in message
    assert "the first, at [1, 0, 3, 2], is nan" in message and f"--resume {folder}" in message
    weights = tiny_run.weights(folder)
    assert all(np.isfinite(w).all() for w in weights.values())
    monkeypatch.setattr(attention, "backward", original)
    assert "The checkpoint of step 8 is good" in message
    assert checkpoint.read(folder / checkpoint.NAME)[1]["progress"]["step"] == 8
    assert tiny_run.resume(folder, lr=5e-3)["step"] == 40


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("eval_every, name", [(40, checkpoint.PREVIOUS), (1, checkpoint.NAME)])
def test_weights_that_were_saved_and_give_nan_are_not_gone_on_from(tmp_path, eval_every, name):
    """A rate so high that finite weights overflow in the next forward, after they were saved: resume must get out."""
    folder = tmp_path / "run"
    with pytest.raises(trainer.Diverged) as caught:
        tiny_run.train(folder, lr=1e6, save_every=1, eval_every=eval_every, warmup=0.0)
    good = checkpoint.read(folder / name)[1]["progress"]["step"]
    assert f"The checkpoint of step {good} is good" in str(caught.value)
    assert (folder / checkpoint.DIVERGED).exists() == (name == checkpoint.PREVIOUS)
    assert tiny_run.resume(folder, lr=1e-6, eval_every=40)["step"] == 40


def test_where_there_is_no_checkpoint_of_other_weights(tmp_path):
    assert checkpoint.last_good(tmp_path, 0) is None
    p, _, _ = batch()
    params = parameters.flatten(p)
    checkpoint.save(tmp_path, params, {"t": 0}, {"step": 0}, {}, {})
    assert checkpoint.last_good(tmp_path, 0) is None and (tmp_path / checkpoint.NAME).exists()
    assert checkpoint.last_good(tmp_path, 1) == 0
    checkpoint.save(tmp_path, params, {"t": 1}, {"step": 1}, {}, {})
    assert checkpoint.last_good(tmp_path, 2) == 1
    assert checkpoint.last_good(tmp_path, 1) == 0 and not (tmp_path / checkpoint.NAME).exists()


def batch():
    rng = np.random.default_rng(1)
    p = gpt2.init(tiny_run.CONFIG, rng)
    return p, rng.integers(0, 256, (6, 16)), rng.integers(0, 256, (6, 16))


def test_the_first_bad_tensor_is_named_in_the_order_of_the_computation(monkeypatch):
    p, ids, targets = batch()

    def first(grads=None):
        return nan_report.first_bad_tensor(gpt2, p, ids, targets, tiny_run.CONFIG, shards=2, grads=grads)

    assert "none that a second look could find" in first()
    assert first({"a": np.zeros(2), "b": np.array([1.0, np.inf])}).startswith("the gradient of b (1 of 2 numbers")
    p["h"]["0"]["mlp"]["c_fc"]["weight"][:8] = 3e38                     # finite, but its products are not
    assert first().startswith("the output of linear, with the parameter h.0.mlp.c_fc.weight (")

    p, ids, targets = batch()
    original, calls = gelu.forward, [0]

    def bad(x, form="tanh"):
        y, cache = original(x, form)
        calls[0] += 1
        if calls[0] % 2 == 0:                                           # the second block's
            y = y.copy()
            y[2, 5, 7] = np.inf
        return y, cache

    with monkeypatch.context() as patch:
        patch.setattr(gelu, "forward", bad)
        assert first() == ("the output of gelu, after h.1.mlp.c_fc.weight (1 of 3072 numbers are bad; the first, at "
                           "[2, 5, 7], is inf)")
        assert gelu.forward is bad                                      # every layer is as it was before
    p["h"]["1"]["ln_2"]["bias"][3] = np.nan
    assert first() == "the parameter h.1.ln_2.bias (1 of 16 numbers are bad; the first, at [3], is nan)"


def test_a_tied_matrix_is_named_where_it_is_used_turned():
    p, ids, targets = batch()
    with nan_report.watched_layers(parameters.flatten(p)) as found:
        p["ln_f"]["bias"][:] = 1e38                                     # finite; sums with wte.T overflow
        p["wte"]["weight"][7] = 9.0
        with np.errstate(all="ignore"):
            gpt2.logits(p, ids, tiny_run.CONFIG)
    assert found[0].startswith("the output of linear, with the parameter wte.weight")

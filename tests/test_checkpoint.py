"""Checkpoints: what is saved comes back bit for bit; whatever happens to the files, a sentence, and nothing lost."""
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from nanolm.training import checkpoint, metrics_log, tensors
from nanolm.training.checkpoint import CheckpointError
from nanolm.training.optimizers import adamw

CONFIG = {"n_layer": 2, "n_embd": 8}


def model(value=0.0, rows=3):
    rng = np.random.default_rng(1)
    params = {"wte.weight": rng.standard_normal((rows, 4)).astype(np.float32) + np.float32(value),
              "ln_f.bias": np.full(5, float(value))}
    state = adamw.init(params)
    for name in state:
        if name != "t":
            state[name] += np.float32(value) / 3
    state["t"] = int(value)
    return params, state


def save(folder, value):
    params, state = model(value)
    checkpoint.save(folder, params, state, {"step": int(value)}, CONFIG, {})


def restored(folder, config=CONFIG, rows=3):
    params, state = model(rows=rows)
    progress, note = checkpoint.restore(folder, params, state, config)
    return params, state, progress, note


def assert_holds(folder, value):
    params, state, progress, note = restored(folder)
    expected_params, expected_state = model(value)
    assert progress == {"step": value} and state["t"] == value
    for name, w in expected_params.items():
        assert params[name].dtype == w.dtype and params[name].tobytes() == w.tobytes()
    for name, a in expected_state.items():
        assert name == "t" or state[name].tobytes() == a.tobytes()
    return note


def test_what_is_saved_comes_back_into_the_same_arrays(tmp_path):
    save(tmp_path, 7)
    params, state = model()
    arrays = dict(params)
    checkpoint.restore(tmp_path, params, state, CONFIG)
    assert all(params[name] is arrays[name] for name in arrays)         # the model's nested dict shares them
    assert assert_holds(tmp_path, 7) is None


def test_progress_may_hold_what_json_holds(tmp_path):
    params, state = model()
    progress = {"step": 3, "batches": {"epoch": 1, "position": 20}, "best": {"best": 0.1 + 0.2, "step": 1, "waited": 0}}
    checkpoint.save(tmp_path, params, state, progress, CONFIG, {"lr": 0.1})
    assert restored(tmp_path)[2] == progress


def test_arrays_in_any_order_of_memory(tmp_path):
    """The library writes memory as it lies: a transposed view would come back shuffled."""
    w = np.arange(12.0).reshape(3, 4).T
    path = tmp_path / "a.safetensors"
    path.write_bytes(tensors.to_bytes({"w": w, "every second": np.arange(6)[::2]}))
    arrays, _ = tensors.read(path)
    assert np.array_equal(arrays["w"], w) and np.array_equal(arrays["every second"], [0, 2, 4])


def test_the_one_before_is_kept(tmp_path):
    for value in (1, 2, 3):
        save(tmp_path, value)
    assert sorted(os.listdir(tmp_path)) == [checkpoint.PREVIOUS, checkpoint.NAME]
    assert_holds(tmp_path, 3)
    (tmp_path / checkpoint.NAME).unlink()
    assert_holds(tmp_path, 2)


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "empty":
        data = b""
    elif how == "truncated":
        data = data[:-3]
    elif how == "half":
        data = data[:len(data) // 2]
    elif how == "longer":
        data += b"more"
    elif how == "no safetensors":
        data = b"hello world, this is no checkpoint"
    elif how == "one bit of a tensor":
        data[-5] ^= 1
    elif how == "one bit of the step":
        data = data.replace(b'\\"step\\": 2', b'\\"step\\": 6')
    path.write_bytes(data)


DAMAGES = ["empty", "truncated", "half", "longer", "no safetensors", "one bit of a tensor", "one bit of the step"]


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_noticed_and_the_one_before_is_taken(tmp_path, how):
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path / checkpoint.NAME, how)
    note = assert_holds(tmp_path, 1)
    assert checkpoint.NAME in note and "is damaged" in note
    assert "Going on from the checkpoint before it, of step 1" in note
    save(tmp_path, 3)                                                   # the damaged file must not become the previous
    damage(tmp_path / checkpoint.NAME, "truncated")
    assert "step 1" in assert_holds(tmp_path, 1)


@pytest.mark.parametrize("how", DAMAGES[:-1])
def test_both_damaged(tmp_path, how):
    save(tmp_path, 1)
    save(tmp_path, 2)
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        damage(tmp_path / name, how)
    with pytest.raises(CheckpointError, match="checkpoint.safetensors is damaged.*checkpoint.previous.safetensors is "
                                              "damaged.*no good checkpoint to go on from"):
        restored(tmp_path)
    assert len(os.listdir(tmp_path)) == 2                               # nothing was removed


def test_none_at_all(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        restored(tmp_path)


def test_another_safetensors_file(tmp_path):
    (tmp_path / checkpoint.NAME).write_bytes(tensors.to_bytes({"wte.weight": np.zeros(3)}))
    with pytest.raises(CheckpointError, match="is a safetensors file, but no checkpoint of nanolm"):
        restored(tmp_path)


@pytest.mark.parametrize("config, rows, sentence", [
    ({"n_layer": 3, "n_embd": 8}, 3, "of another model: n_layer is 2 there and 3 here"),
    (CONFIG, 4, r"'model.wte.weight' is float32 \(3, 4\) there and float32 \(4, 4\) here"),
])
def test_of_another_model(tmp_path, config, rows, sentence):
    save(tmp_path, 1)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    params, state = model(rows=rows)
    copies = {name: w.copy() for name, w in params.items()}
    with pytest.raises(CheckpointError, match=sentence):
        checkpoint.restore(tmp_path, params, state, config)
    assert all(np.array_equal(params[name], copies[name]) for name in copies)
    assert (tmp_path / checkpoint.NAME).read_bytes() == before


def test_of_another_optimizer(tmp_path):
    save(tmp_path, 1)
    params, _ = model()
    with pytest.raises(CheckpointError, match="it has no tensor 'optimizer.u.wte.weight'"):
        checkpoint.restore(tmp_path, params, {"t": 0, "u.wte.weight": params["wte.weight"].copy()}, CONFIG)
    with pytest.raises(CheckpointError, match="it has a tensor 'optimizer.m.ln_f.bias' that this model"):
        checkpoint.restore(tmp_path, params, {"t": 0}, CONFIG)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, call):
    save(tmp_path, 1)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left on device"):
            save(tmp_path, 2)
    assert_holds(tmp_path, 1)
    save(tmp_path, 3)
    assert_holds(tmp_path, 3)


@pytest.mark.skipif(os.name == "nt", reason="no limit on the size of files there")
def test_a_write_that_the_system_really_cuts_short(tmp_path):
    import resource
    save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(OSError, match="could not write .*checkpoint.new.safetensors"):
            save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_holds(tmp_path, 1)
    assert sorted(os.listdir(tmp_path)) == [checkpoint.NAME]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_and_after_each_call_that_touches_the_disk(tmp_path, when):
    """A child process dies, without any clean-up, around its n-th such call; there is always a whole checkpoint."""
    calls, n = ("fsync", "replace", "chmod", "unlink"), 0
    survived = False
    while not survived:
        folder = tmp_path / str(n)
        folder.mkdir()
        save(folder, 1)
        save(folder, 2)
        child = os.fork()
        if child == 0:
            left = [n]

            def dying(original):
                def call(*args, **kwargs):
                    left[0] -= 1
                    if left[0] < 0 and when == "before":
                        os._exit(9)
                    result = original(*args, **kwargs)
                    if left[0] < 0:
                        os._exit(9)
                    return result
                return call

            for name in calls:
                setattr(os, name, dying(getattr(os, name)))
            save(folder, 3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        survived = status == 0
        state = restored(folder)[1]
        assert state["t"] == 3 if survived else state["t"] in (2, 3)
        assert_holds(folder, state["t"])
        save(folder, 4)                                                 # what the dead left lying about does not matter
        assert_holds(folder, 4)
        n += 1
    assert n == 5                                                       # it died around fsync and three renames


def test_the_log_is_trimmed_to_the_checkpoint(tmp_path):
    path = Path(tmp_path) / metrics_log.NAME
    with metrics_log.opened(tmp_path) as log:
        for k in range(1, 6):
            metrics_log.write(log, {"step": k, "loss": 0.1 * k})
        log.write('{"step": 6, "lo')                                    # killed in the middle of a line
    metrics_log.trim(tmp_path, 4)
    assert path.read_text().splitlines() == [f'{{"step": {k}, "loss": {0.1 * k}}}' for k in range(1, 5)]
    assert [r["step"] for r in metrics_log.read(tmp_path)] == [1, 2, 3, 4]
    assert metrics_log.read(tmp_path / "nowhere") == []
    path.write_bytes(path.read_bytes() + b'5\n{"loss": 1}\n\xff\xfe\n')             # what some other program left there
    assert [r["step"] for r in metrics_log.read(tmp_path)] == [1, 2, 3, 4]


def test_a_checkpoint_from_before_there_was_a_choice_is_of_the_usual_model(tmp_path):
    """norm, n_hidden and form came later; a run of before goes on if the config has what was then the only way."""
    save(tmp_path, 7)
    later = {**CONFIG, "norm": "pre", "n_hidden": 0, "form": "tanh"}
    assert restored(tmp_path, later)[2] == {"step": 7}
    for name, value in (("norm", "post"), ("n_hidden", 5), ("form", "relu")):
        with pytest.raises(checkpoint.CheckpointError, match=f"is of another model: {name} is "):
            restored(tmp_path, {**later, name: value})

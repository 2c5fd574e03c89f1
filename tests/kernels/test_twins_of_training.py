"""AdamW, the norm, clipping and the sum of the shards, fast, against the plain ones; layouts, NaN and inf, threads."""
import math

import numpy as np
import pytest
from compare import assert_close, assert_same_bits, both, frozen

from nanolm import kernels, threads
from nanolm.training import clipping, summing
from nanolm.training.groups import Group
from nanolm.training.optimizers import adamw

pytest.importorskip("numba")

from nanolm.kernels import adamw as fast_adamw
from nanolm.kernels import clipping as fast_clipping
from nanolm.kernels import summing as fast_summing

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = {"wte": (37, 5), "bias": (7,), "one": (1,), "four": (2, 3, 1, 5), "long": (70_001,)}


@pytest.fixture
def no_way_out(monkeypatch):
    """Let no twin call the plain function."""
    def refuse(twin, name):
        raise AssertionError(f"{twin}.{name} went to the plain function")
    for twin in (fast_adamw, fast_clipping, fast_summing):
        monkeypatch.setattr(twin, "plain", refuse)


def draw(seed, dtype, shapes=SHAPES, scale=1.0):
    rng = np.random.default_rng(seed)
    return {name: np.asarray(scale * rng.standard_normal(shape), dtype) for name, shape in shapes.items()}


def train(dtype, steps=4, shapes=SHAPES, groups=None, change=lambda grads: grads):
    params = draw(0, dtype, shapes)
    state = adamw.init(params)
    for i in range(steps):
        grads = frozen(change(draw(i + 1, dtype, shapes, 10.0 ** -i)))[0]
        adamw.step(params, grads, state, lr=0.01, beta2=0.95, weight_decay=0.2, groups=groups)
    assert state["t"] == steps
    return params, {name: value for name, value in state.items() if name != "t"}


@dtypes
@pytest.mark.parametrize("groups", [None, {"wte": Group(lr=0.3, decay=0.0), "bias": Group(lr=2.0, decay=0.5)}])
def test_adamw(dtype, groups, no_way_out):
    plain, ours = both(lambda: train(dtype, groups=groups))
    assert_close(ours, plain)



def test_adamw_where_the_gradients_are_tiny(no_way_out):
    """Down to where the squares leave float32: epsilon must stand where the plain file has it."""
    for scale in (1e-6, 1e-12, 1e-19, 1e-22, 0.0):
        plain, ours = both(lambda: train(np.float32, change=lambda grads: {n: g * np.float32(scale) for n, g in grads.items()}))
        assert_close(ours[0], plain[0])


@dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e19])
def test_adamw_spreads_what_is_no_number_no_further(dtype, value, no_way_out):
    def change(grads):
        grads["wte"][3, 2] = value
        return grads
    plain, ours = both(lambda: train(dtype, change=change))
    assert_close(ours[0], plain[0])
    if not np.isfinite(value):
        assert np.isnan(ours[0]["wte"]).sum() == 1


def test_adamw_takes_gradients_of_other_layouts():
    """Turned and sliced gradients, a turned weight: some of it in the plain file, the result is the same."""
    shapes = {"a": (6, 8), "b": (6, 8)}
    for change in (lambda grads: {n: np.asfortranarray(g) for n, g in grads.items()},
                   lambda grads: {n: np.repeat(g, 2, axis=1)[:, ::2] for n, g in grads.items()}):
        plain, ours = both(lambda: train(np.float32, shapes=shapes, change=change))
        assert_close(ours, plain)


def test_adamw_says_what_is_wrong_and_leaves_the_step_uncounted():
    params = draw(0, np.float32)
    state = adamw.init(params)
    for grads in ({**draw(1, np.float32), "bias": np.zeros(6, np.float32)},
                  {n: g for n, g in draw(1, np.float32).items() if n != "one"}):
        messages = []
        for backend in ("numpy", "numba"):
            with kernels.using(backend), pytest.raises(ValueError) as caught:
                adamw.step(params, grads, state, lr=0.1)
            messages.append(str(caught.value))
        assert messages[0] == messages[1] and state["t"] == 0
    assert_same_bits(params, draw(0, np.float32))


@dtypes
def test_norm_and_clipping(dtype, no_way_out):
    def clip(limit, grads):
        norm = clipping.clip(grads, limit)
        return np.float64(norm), grads
    turned = draw(3, dtype)
    turned["wte"] = np.asfortranarray(turned["wte"])
    for limit in (0.1, 1.0, 1e9):
        for grads in (draw(1, dtype), draw(2, dtype, scale=1e-18), turned, {}):
            if not grads:
                continue
            plain, ours = both(lambda: clip(limit, {name: g.copy(order="K") for name, g in grads.items()}))
            assert ours[0] == pytest.approx(plain[0], rel=1e-12)
            assert_close(ours[1], plain[1])


def test_the_norm_does_not_overflow_in_float32_and_tells_nan_from_inf(no_way_out):
    with kernels.using("numba"):
        huge = {"a": np.full(3, 1e38, np.float32), "b": np.full(70_000, 1e30, np.float32)}
        assert clipping.global_norm(huge) == pytest.approx(math.sqrt(3e76 + 7e64), rel=1e-6)
        for value in (np.nan, np.inf, -np.inf):
            grads = draw(1, np.float32)
            grads["long"][69_999] = value
            before = {name: g.copy() for name, g in grads.items()}
            assert np.array_equal(clipping.clip(grads, 1.0), abs(value), equal_nan=True)
            assert_same_bits(grads, before)


def test_clipping_of_slices_writes_to_the_slices():
    base = np.ones((4, 6), np.float32)
    with kernels.using("numba"):
        clipping.clip({"a": base[:, ::2]}, 1.0)
    assert (base[:, 1::2] == 1).all() and np.allclose(base[:, ::2], 1 / math.sqrt(12))


@dtypes
def test_the_sum_of_shards(dtype, no_way_out):
    def run():
        total = draw(1, dtype)["wte"]
        for before, share, seed in ((0.3, 0.2, 2), (1.0, 0.5, 3), (1, 0.0, 4)):
            g = draw(seed, dtype)["wte"]
            summing.add(total, before, frozen(np.asfortranarray(g) if seed == 3 else g)[0], share)
        return total
    plain, ours = both(run)
    assert_close(ours, plain)


@pytest.mark.parametrize("what", ["adamw", "norm", "summing"])
def test_the_same_bits_on_any_number_of_threads(what, no_way_out):
    shapes = {"w": (1100, 601), "bias": (7,)}

    def run():
        if what == "adamw":
            return train(np.float32, steps=2, shapes=shapes)
        grads = draw(1, np.float32, shapes)
        if what == "norm":
            return np.float64(clipping.global_norm(grads))
        summing.add(grads["w"], 0.4, draw(2, np.float32, shapes)["w"], 0.6)
        return grads
    results = []
    for n in (1, 2, 3, 4):
        with kernels.using("numba"), threads.limited(n):
            results.append(run())
    for other in results[1:]:
        assert_same_bits(results[0], other)

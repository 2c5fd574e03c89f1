"""A batch cut into shards gives the gradient of the whole batch, on any number of threads; and a model that learns."""
import threading
import time

import numpy as np
import pytest
import threadpoolctl

from nanolm import params as parameters
from nanolm.models import gpt2
from nanolm.training import clipping, memory, parallel, step
from nanolm.training.optimizers import adamw

BOTH_BACKENDS = True

CONFIG = gpt2.Config(vocab_size=19, block_size=8, n_layer=2, n_head=2, n_embd=12)


def problem(B=7, dtype=np.float64, seed=1):
    """A batch with a different number of counted targets in each row, one row with none."""
    rng = np.random.default_rng(seed)
    p = gpt2.init(CONFIG, rng, dtype)
    p["h"]["0"]["mlp"]["c_fc"]["weight"] *= 10           # far from the initial, nearly linear regime
    ids = rng.integers(0, 19, (B, 8))
    targets = rng.integers(0, 19, (B, 8))
    for row in range(B):
        targets[row, :row % 8] = step.IGNORED
    targets[2] = step.IGNORED
    return p, ids, targets


def whole_batch(p, ids, targets, rng=None, config=CONFIG):
    loss, cache = gpt2.forward(p, ids, targets, config, rng=rng)
    return float(loss), parameters.flatten(gpt2.backward(cache))


def assert_equal(a, b, rtol):
    assert a.keys() == b.keys()
    for name in a:
        assert np.abs(b[name]).max() > 0, name
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=rtol * np.abs(b[name]).max(), err_msg=name)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("shards", [1, 2, 3, 7, 20])
def test_shards_sum_to_the_gradient_of_the_batch(shards, workers):
    p, ids, targets = problem()
    loss, grads = step.loss_and_gradients(gpt2, p, ids, targets, CONFIG, shards=shards, workers=workers)
    expected_loss, expected = whole_batch(p, ids, targets)
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    assert_equal(grads, expected, 1e-12)


def test_the_plain_mean_of_the_shards_would_be_wrong():
    """The batch above can tell a right weighting from a wrong one."""
    p, ids, targets = problem()
    parts = [whole_batch(p, ids[rows], targets[rows])[0] for rows in step.shard_slices(7, 3)]
    assert abs(np.mean(parts) - whole_batch(p, ids, targets)[0]) > 1e-3


def test_the_number_of_workers_never_changes_a_bit():
    p, ids, targets = problem(B=12, dtype=np.float32)
    config = gpt2.Config(**{**CONFIG.__dict__, "dropout": 0.2})
    results = []
    for workers in (1, 2, 3, 4, 2):
        rngs = step.dropout_generators(seed=5, step=9, shards=4)
        results.append(step.loss_and_gradients(gpt2, p, ids, targets, config, rngs, shards=4, workers=workers))
    for loss, grads in results[1:]:
        assert loss == results[0][0]
        assert all(np.array_equal(grads[name], results[0][1][name]) for name in grads)
    assert all(g.dtype == np.float32 for g in results[0][1].values())


def test_the_order_of_the_sum_is_that_of_the_shards_whoever_is_first():
    """The first shard takes longest; its gradient is still added first."""
    class Slow:
        finished = []

        @staticmethod
        def forward(p, ids, targets, config, rng=None):
            shard = int(ids[0, 0])
            time.sleep(0.05 * (2 - shard))
            Slow.finished.append(shard)
            return float(shard), shard

        @staticmethod
        def backward(shard):
            return {"w": np.array([[1e16], [1.0], [-1e16]][shard])}     # the sum depends on its order

    ids = np.array([[0], [1], [2]])
    loss, grads = step.loss_and_gradients(Slow, {}, ids, ids, None, shards=3, workers=3)
    assert Slow.finished == [2, 1, 0]
    assert loss == pytest.approx(1.0) and grads["w"] == 1e16 / 3 + 1 / 3 - 1e16 / 3


def test_shards_are_really_computed_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)          # breaks, with an error, unless two threads come to it

    def arrive(item):
        meeting.wait()
        return item * item

    assert list(parallel.ordered_map(arrive, [1, 2, 3, 4], workers=2)) == [1, 4, 9, 16]


def test_blas_has_one_thread_meanwhile_and_its_own_number_afterwards():
    def threads():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    during = list(parallel.ordered_map(lambda _: threads(), [0, 1], workers=2))
    assert all(n == 1 for numbers in during for n in numbers) and threads() == before


def test_an_error_in_a_shard_comes_out():
    p, ids, targets = problem()
    ids[5, 3] = 99
    with pytest.raises(ValueError, match="99"):
        step.loss_and_gradients(gpt2, p, ids, targets, CONFIG, shards=3, workers=2)


def test_dropout_follows_from_seed_step_and_shard():
    config = gpt2.Config(**{**CONFIG.__dict__, "dropout": 0.5})
    p, ids, targets = problem()

    def loss(seed, t):
        return step.loss_and_gradients(gpt2, p, ids, targets, config, step.dropout_generators(seed, t, 2), 2)[0]

    assert loss(1, 0) == loss(1, 0)
    assert len({loss(1, 0), loss(1, 1), loss(2, 0), loss(0, 1)}) == 4
    first, second = step.dropout_generators(1, 0, 2)
    assert first.random() != second.random()


@pytest.mark.parametrize("shards", [1, 3])
def test_the_gradients_are_the_callers_own(shards):
    """Writing to them (clipping does) reaches no weight, no other gradient, and no later step."""
    p, ids, targets = problem()
    weights = parameters.flatten(p)
    before = {name: w.copy() for name, w in weights.items()}
    _, grads = step.loss_and_gradients(gpt2, p, ids, targets, CONFIG, shards=shards)
    expected = {name: g.copy() for name, g in grads.items()}
    names = list(grads)
    assert not any(np.shares_memory(grads[a], grads[b]) for i, a in enumerate(names) for b in names[:i])
    for g in grads.values():
        g[...] = 7
    assert all(np.array_equal(w, before[name]) for name, w in weights.items())
    _, again = step.loss_and_gradients(gpt2, p, ids, targets, CONFIG, shards=shards)
    assert all(np.array_equal(again[name], expected[name]) for name in expected)


def test_a_batch_without_targets():
    p, ids, targets = problem()
    with pytest.raises(ValueError, match="no target in this batch counts"):
        step.loss_and_gradients(gpt2, p, ids, np.full_like(targets, step.IGNORED), CONFIG, shards=2)


def test_slices_cover_all_rows_once_and_differ_by_one_at_most():
    for n in (1, 2, 7, 32):
        for shards in (1, 2, 3, 5, 40):
            slices = step.shard_slices(n, shards)
            assert [row for s in slices for row in range(n)[s]] == list(range(n))
            sizes = [s.stop - s.start for s in slices]
            assert len(sizes) == min(n, shards) and max(sizes) - min(sizes) <= 1


def test_a_tiny_gpt2_learns_one_batch_by_heart():
    rng = np.random.default_rng(2)
    p = gpt2.init(CONFIG, rng)
    ids = rng.integers(0, 19, (4, 9))
    params = parameters.flatten(p)
    state = adamw.init(params)
    losses = []
    for _ in range(150):
        loss, grads = step.loss_and_gradients(gpt2, p, ids[:, :-1], ids[:, 1:], CONFIG, shards=2, workers=2)
        clipping.clip(grads, 1.0)
        adamw.step(params, grads, state, 1e-2, weight_decay=0.0)
        losses.append(loss)
    assert losses[0] == pytest.approx(np.log(19), abs=0.1)              # it begins knowing nothing
    assert losses[-1] < 0.35                                            # first tokens of equal contexts stay unsure


def test_keeping_freed_memory_is_harmless_everywhere():
    assert memory.keep_freed() in (True, False)
    assert memory.keep_freed() == memory.keep_freed()

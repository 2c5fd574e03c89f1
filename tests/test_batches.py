"""Batches: every window once an epoch, targets one token later, and a restored run sees what it would have seen."""
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm.data.batches import Batches

IDS = np.arange(1_000)                                                  # token i is i, so places can be read off


def rows_of_epoch(batches):
    """All rows of the epoch that batches stands at the beginning of; batch_size must be 1."""
    epoch, rows = batches.epoch, []
    while batches.position < len(batches.starts):
        rows.append(batches.next())
    assert batches.epoch == epoch
    return rows


def test_targets_are_the_ids_one_later():
    ids, targets = Batches(IDS, 4, 7).next()
    assert ids.shape == targets.shape == (4, 7) and ids.dtype == targets.dtype == np.int64
    assert (targets == ids + 1).all() and (np.diff(ids, axis=1) == 1).all()
    assert ids.flags.c_contiguous and targets.flags.c_contiguous


def test_an_epoch_gives_every_window_once_and_so_every_token_as_a_target_once():
    batches = Batches(IDS, 1, 7, seed=5)
    for _ in range(3):
        rows = rows_of_epoch(batches)
        targets = np.sort(np.concatenate([targets[0] for _, targets in rows]))
        assert (np.diff(targets) == 1).all()                            # contiguous, none twice
        assert targets[0] <= 7 and targets[-1] > 999 - 7                # only the ends may sit out
        batches._begin(batches.epoch + 1)


def test_order_and_offset_change_from_epoch_to_epoch_and_seed_to_seed():
    def starts(seed, epoch):
        batches = Batches(IDS, 1, 50, seed=seed)
        batches._begin(epoch)
        return batches.starts
    assert not np.array_equal(starts(0, 0), starts(0, 1)) and not np.array_equal(starts(0, 0), starts(1, 0))
    assert np.array_equal(starts(3, 2), starts(3, 2))
    assert not (np.diff(starts(0, 0)) > 0).all()                        # shuffled
    assert len({starts(0, epoch).min() for epoch in range(20)}) > 8     # offsets differ


def test_every_token_is_seen_over_the_epochs():
    batches, seen = Batches(np.arange(60), 1, 8), set()
    for _ in range(40 * 7):
        ids, targets = batches.next()
        seen |= set(ids.ravel()) | set(targets.ravel())
    assert seen == set(range(60))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(13, 80), st.integers(0, 30), st.integers(0, 3))
def test_a_restored_run_sees_exactly_the_same_batches(batch_size, block_size, tokens, done, seed):
    ids = np.arange(tokens)
    batches = Batches(ids, batch_size, block_size, seed)
    for _ in range(done):
        batches.next()
    state = json.loads(json.dumps(batches.state()))
    assert set(state) == {"epoch", "position"}
    again = Batches(ids, batch_size, block_size, seed)
    again.restore(state)
    for _ in range(12):
        for got, expected in zip(again.next(), batches.next()):
            np.testing.assert_array_equal(got, expected)
            assert got.shape == (batch_size, block_size)


def test_the_smallest_text_is_one_window():
    ids, targets = Batches([5, 6, 7], 2, 2).next()
    assert ids.tolist() == [[5, 6], [5, 6]] and targets.tolist() == [[6, 7], [6, 7]]


def test_unsigned_tokens_come_out_as_int64():
    ids, targets = Batches(np.arange(50, dtype=np.uint16), 2, 4).next()
    assert ids.dtype == targets.dtype == np.int64


@pytest.mark.parametrize("change, error, words", [
    ({"ids": np.arange(8)}, ValueError, "too few tokens: 8.*block_size=8 reads 9.*at most 7"),
    ({"ids": np.zeros((4, 9), int)}, ValueError, "one-dimensional.*\\(4, 9\\)"),
    ({"ids": np.zeros(99)}, TypeError, "integers, not float64"),
    ({"block_size": 0}, ValueError, "block_size must be an integer of at least 1, not 0"),
    ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1, not 0"),
    ({"batch_size": 2.5}, ValueError, "batch_size.*2.5"),
    ({"seed": -1}, ValueError, "seed must be an integer of at least 0, not -1"),
])
def test_wrong_arguments_are_named(change, error, words):
    with pytest.raises(error, match=words):
        Batches(**({"ids": IDS, "batch_size": 2, "block_size": 8} | change))


@pytest.mark.parametrize("state, words", [
    ({"epoch": 0}, "state must be"), ("x", "state must be"), (None, "state must be"),
    ({"epoch": 0, "position": -1}, "negative"), ({"epoch": 0, "position": 10_000}, "another text, block_size or seed")])
def test_a_wrong_state_is_refused_and_changes_nothing(state, words):
    batches = Batches(IDS, 2, 8)
    batches.next()
    before = batches.state()
    with pytest.raises(ValueError, match=words):
        batches.restore(state)
    assert batches.state() == before

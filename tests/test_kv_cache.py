"""The key-value cache and the window: the logits of running only the new tokens are those of running all of them."""
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import params
from nanolm.generation import kv_cache, window
from nanolm.layers import attention
from nanolm.models import gpt2


def tiny(dtype=np.float64, seed=0, **changes):
    """A GPT-2 whose every parameter is random and large: gains and biases too, and attention that is far from even."""
    config = gpt2.Config(**{**dict(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=6), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.5, a.shape).astype(dtype) for name, a in flat.items()}), config


def ids_of(shape, config, seed=1):
    return np.random.default_rng(seed).integers(0, config.vocab_size, shape)


@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), batch_size=st.integers(1, 3),
       n_layer=st.integers(1, 3), n_head=st.integers(1, 3), seed=st.integers(0, 99))
def test_extend_equals_the_full_forward_at_every_position(lengths, batch_size, n_layer, n_head, seed):
    p, config = tiny(seed=seed, block_size=sum(lengths), n_layer=n_layer, n_head=n_head, n_embd=4 * n_head)
    ids = ids_of((batch_size, sum(lengths)), config, seed)
    full = gpt2.logits(p, ids, config)
    assert full.std() > 0.1                                             # else anything would be close to it
    kv = kv_cache.empty(p, config, batch_size)
    pieces = [kv_cache.extend(p, part, kv, config) for part in np.split(ids, np.cumsum(lengths)[:-1], axis=1)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), full, rtol=1e-10, atol=1e-10)
    assert kv.length == sum(lengths)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_dtype_is_kept_and_one_token_at_a_time_is_exact_to_rounding(dtype, tolerance):
    p, config = tiny(dtype, block_size=32, n_embd=16, n_layer=3)
    ids = ids_of((2, 32), config)
    kv = kv_cache.empty(p, config, 2)
    steps = [kv_cache.extend(p, ids[:, t:t + 1], kv, config) for t in range(32)]
    full = gpt2.logits(p, ids, config)
    assert all(step.dtype == dtype for step in steps) and kv.keys.dtype == dtype
    error = np.abs(np.concatenate(steps, axis=1) - full).max() / np.abs(full).max()
    assert error < tolerance


def test_the_arrays_grow_with_the_text_and_forget_nothing():
    """64 positions, 128, 160 (the context), and a prompt that is longer than the double."""
    p, config = tiny(block_size=160)
    ids = ids_of((2, 160), config)
    full, kv, sizes = gpt2.logits(p, ids, config), kv_cache.empty(p, config, 2), []
    for t in range(160):
        made = kv_cache.extend(p, ids[:, t:t + 1], kv, config)
        np.testing.assert_allclose(made[:, 0], full[:, t], rtol=1e-10, atol=1e-10)
        sizes.append(kv.keys.shape[3])
    assert sizes == [64] * 64 + [128] * 64 + [160] * 32 and kv.values.shape == kv.keys.shape
    with pytest.raises(ValueError, match="1 new tokens do not fit: the cache holds 160 of 160 positions"):
        kv_cache.extend(p, ids[:, :1], kv, config)
    kv = kv_cache.empty(p, config, 2)
    kv_cache.extend(p, ids[:, :150], kv, config)
    assert kv.keys.shape[3] == 150
    chosen = kv_cache.select(kv, [1, 1, 0])
    np.testing.assert_allclose(kv_cache.extend(p, ids[[1, 1, 0], 150:], chosen, config), full[[1, 1, 0], 150:], rtol=1e-10, atol=1e-10)


def test_last_gives_the_last_position_only():
    p, config = tiny()
    ids = ids_of((2, 5), config)
    all_positions = kv_cache.extend(p, ids, kv_cache.empty(p, config, 2), config)
    last = kv_cache.extend(p, ids, kv_cache.empty(p, config, 2), config, last=True)
    assert last.shape == (2, 1, config.vocab_size)
    np.testing.assert_allclose(last, all_positions[:, -1:], rtol=1e-12, atol=1e-12)


def test_old_keys_and_values_do_not_change():
    p, config = tiny()
    ids = ids_of((1, 8), config)
    kv = kv_cache.empty(p, config)
    kv_cache.extend(p, ids[:, :5], kv, config)
    before = kv.keys[:, :, :, :5].copy(), kv.values[:, :, :, :5].copy()
    kv_cache.extend(p, ids[:, 5:], kv, config)
    assert np.array_equal(kv.keys[:, :, :, :5], before[0]) and np.array_equal(kv.values[:, :, :, :5], before[1])


def test_a_shorter_length_forgets():
    p, config = tiny()
    ids, other = ids_of((1, 8), config), ids_of((1, 8), config, seed=2)
    kv = kv_cache.empty(p, config)
    kv_cache.extend(p, ids[:, :6], kv, config)
    kv.length = 3
    again = kv_cache.extend(p, other[:, 3:7], kv, config)
    joined = np.concatenate([ids[:, :3], other[:, 3:7]], axis=1)
    np.testing.assert_allclose(again, gpt2.logits(p, joined, config)[:, 3:], rtol=1e-11, atol=1e-11)


def test_select_reorders_repeats_and_drops_rows_and_copies():
    p, config = tiny()
    ids = ids_of((3, 4), config)
    kv = kv_cache.empty(p, config, 3)
    kv_cache.extend(p, ids, kv, config)
    rows = [2, 0, 2, 2]
    chosen = kv_cache.select(kv, rows)
    new = ids_of((4, 1), config, seed=3)
    got = kv_cache.extend(p, new, chosen, config)
    full = gpt2.logits(p, np.concatenate([ids[rows], new], axis=1), config)[:, -1:]
    np.testing.assert_allclose(got, full, rtol=1e-11, atol=1e-11)
    new = ids_of((3, 1), config, seed=4)                                # the old one still works on its own
    full = gpt2.logits(p, np.concatenate([ids, new], axis=1), config)[:, -1:]
    np.testing.assert_allclose(kv_cache.extend(p, new, kv, config), full, rtol=1e-11, atol=1e-11)


def test_select_writes_over_a_spare_cache_of_its_size_alone():
    p, config = tiny()
    kv, new = kv_cache.empty(p, config, 2), ids_of((2, 1), config, seed=3)
    ids = ids_of((2, 4), config)
    kv_cache.extend(p, ids, kv, config)
    for B in (2, 3):
        spare = kv_cache.empty(p, config, B)
        kv_cache.make_room(spare, 4, config.block_size)
        chosen = kv_cache.select(kv, [1, 1], spare)
        assert (chosen.keys is spare.keys) == (B == 2) and chosen.keys is not kv.keys
        full = gpt2.logits(p, np.concatenate([ids[[1, 1]], new], axis=1), config)[:, -1:]
        np.testing.assert_allclose(kv_cache.extend(p, new, chosen, config), full, rtol=1e-11, atol=1e-11)


def test_errors_are_sentences_and_leave_the_cache_as_it_was():
    p, config = tiny()
    kv = kv_cache.empty(p, config, 2)
    kv_cache.extend(p, ids_of((2, 6), config), kv, config)
    with pytest.raises(ValueError, match=r"3 new tokens do not fit: the cache holds 6 of 8"):
        kv_cache.extend(p, ids_of((2, 3), config), kv, config)
    for wrong in (ids_of((1, 1), config), ids_of(2, config), np.zeros((2, 0), int)):
        with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
            kv_cache.extend(p, wrong, kv, config)
    with pytest.raises(ValueError, match="11"):
        kv_cache.extend(p, np.full((2, 1), 11), kv, config)
    assert kv.length == 6


def test_it_calls_through_the_layers(monkeypatch):
    """A student's attention, put in the place of ours, is what generation runs."""
    p, config = tiny()
    theirs, calls = attention.forward, []
    monkeypatch.setattr(attention, "forward", lambda *args: calls.append(args) or theirs(*args))
    kv_cache.extend(p, ids_of((1, 3), config), kv_cache.empty(p, config), config)
    assert len(calls) == config.n_layer


# ---- the window

def test_first_seen_by_hand():
    assert [window.first_seen(n, 4, "slide") for n in range(1, 10)] == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert [window.first_seen(n, 4, "restart") for n in range(1, 10)] == [0, 0, 0, 0, 2, 2, 4, 4, 6]
    assert [window.first_seen(n, 5, "restart") for n in range(4, 13)] == [0, 0, 3, 3, 3, 6, 6, 6, 9]
    assert [window.first_seen(n, 1, "restart") for n in range(1, 4)] == [0, 1, 2]


@given(n=st.integers(1, 500), block_size=st.integers(1, 40))
def test_the_window_is_never_too_long_and_restart_keeps_more_than_half(n, block_size):
    assert n - window.first_seen(n, block_size, "slide") == min(n, block_size)
    seen = n - window.first_seen(n, block_size, "restart")
    assert seen == n if n <= block_size else block_size // 2 < seen <= block_size


@pytest.mark.parametrize("policy", window.POLICIES)
@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("prompt", [1, 7, 8, 9, 20])
@pytest.mark.parametrize("block_size", [8, 5])
def test_both_policies_at_every_position_past_the_end(policy, use_cache, prompt, block_size):
    p, config = tiny(block_size=block_size)
    ids = ids_of((2, 40), config)
    text = window.Window(p, config, policy, use_cache)
    n, logits = prompt, text.read(ids[:, :prompt])
    while True:
        seen = ids[:, window.first_seen(n, block_size, policy):n]
        if policy == "slide":
            assert np.array_equal(seen, ids[:, :n][:, -block_size:])
        np.testing.assert_allclose(logits, gpt2.logits(p, seen, config)[:, -1], rtol=1e-11, atol=1e-11)
        if n == 40:
            break
        step = 3 if n == 25 else 1                                      # several tokens in one read, too
        logits = text.read(ids[:, n:n + step])
        n += step


def test_restart_is_cheap_and_slide_is_not():
    """Count the token positions that run through the model for 64 tokens past the end of a context of 16."""
    p, config = tiny(block_size=16)
    ids = ids_of((1, 80), config)
    work = {}
    for policy in window.POLICIES:
        rows = []
        counting = SimpleNamespace(empty=kv_cache.empty, extend=lambda p, ids, *rest, rows=rows, **last:
                                   rows.append(ids.shape[1]) or kv_cache.extend(p, ids, *rest, **last))
        text = window.Window(p, config, policy, cache=counting)
        for t in range(80):
            text.read(ids[:, t:t + 1])
        assert rows[:16] == [1] * 16                                    # inside the context both run one position
        work[policy] = sum(rows[16:])
    assert work == {"slide": 64 * 16, "restart": 64 // 8 * (9 + 7)}     # 16 and 2 positions a token


def test_an_unknown_policy_is_refused_at_once():
    p, config = tiny()
    with pytest.raises(ValueError, match="policy is 'forget', but must be one of 'slide', 'restart'"):
        window.Window(p, config, "forget")


@pytest.mark.parametrize("n", [4, 8, 15])                               # before, at and after the end of the context
def test_an_error_leaves_the_window_as_it_was(n):
    p, config = tiny()
    ids = ids_of((2, 20), config)
    text = window.Window(p, config)
    text.read(ids[:, :n])
    with pytest.raises(ValueError):
        text.read(np.array([[11], [0]]))                                # no such token
    with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
        text.read(ids[:1, :1])
    full = gpt2.logits(p, ids[:, :n + 1][:, -config.block_size:], config)[:, -1]
    np.testing.assert_allclose(text.read(ids[:, n:n + 1]), full, rtol=1e-11, atol=1e-11)


def test_window_select():
    p, config = tiny()
    ids = ids_of((2, 12), config)
    for n in (4, 11):
        text = window.Window(p, config)
        text.read(ids[:, :n])
        text.select([1, 1, 0])
        new = np.array([[3], [4], [5]])
        full = gpt2.logits(p, np.concatenate([ids[[1, 1, 0], :n], new], axis=1)[:, -config.block_size:], config)
        np.testing.assert_allclose(text.read(new), full[:, -1], rtol=1e-11, atol=1e-11)
        ids3 = np.concatenate([ids[[1, 1, 0], :n], new], axis=1)
        for rows in ([2, 0, 0], [1, 1, 2], [0, 2, 1]):                      # again and again: two caches change places
            text.select(rows)
            ids3 = np.concatenate([ids3[rows], new], axis=1)
            full = gpt2.logits(p, ids3[:, -config.block_size:], config)[:, -1]
            np.testing.assert_allclose(text.read(new), full, rtol=1e-11, atol=1e-11)

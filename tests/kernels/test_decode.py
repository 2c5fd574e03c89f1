"""Fast decoding against the whole model: the same logits at every position, whatever is batched, selected or shared out."""
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from nanolm import kernels, params, threads
from nanolm.generation import beam, generate, int8, kv_cache, window
from nanolm.layers import attention, gelu
from nanolm.models import gpt2

pytest.importorskip("numba")

from nanolm.kernels import decode, decode_arrays, meeting
from nanolm.kernels import kv_cache as fast

PIECES = (1, 2, 1, 1, 3, 1, 1, 1, 5, 1)                                  # how many tokens at once
T = sum(PIECES)


@pytest.fixture(autouse=True)
def numba():
    with kernels.using("numba"):
        yield


def tiny(dtype=np.float32, seed=0, **changes):
    """A GPT-2 whose every parameter is random and large: gains and biases too, and attention that is far from even."""
    config = gpt2.Config(**{**dict(vocab_size=53, block_size=T, n_layer=3, n_head=3, n_embd=24), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.4, a.shape).astype(dtype) for name, a in flat.items()}), config


def ids_of(B, config, n=T, seed=1):
    return np.random.default_rng(seed).integers(0, config.vocab_size, (B, n))


def in_pieces(cache, p, ids, config, pieces=PIECES):
    kv = cache.empty(p, config, len(ids))
    parts = np.split(ids, np.cumsum(pieces)[:-1], axis=1)
    return np.concatenate([cache.extend(p, part, kv, config) for part in parts], axis=1)


def error(a, b):
    assert b.std() > 0.1                                                # else anything would be close to it
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.fixture
def calls(monkeypatch):
    """The numbers of rows that went through the kernel."""
    counted, run = [], fast.run
    monkeypatch.setattr(fast, "run", lambda decoder, x, *rest: counted.append(x.shape[0] * x.shape[1]) or run(decoder, x, *rest))
    return counted


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("B", [1, 3, 8])
def test_the_logits_of_the_whole_model_at_every_position(B, dtype, tolerance, calls):
    p, config = tiny(dtype)
    ids = ids_of(B, config)
    made = in_pieces(kv_cache, p, ids, config)
    assert made.dtype == dtype and error(made, gpt2.logits(p, ids, config)) < tolerance
    assert calls == [B * n for n in PIECES if B * n <= decode_arrays.ROWS]       # the kernel took the small ones


@pytest.mark.parametrize("shape", [dict(n_head=1, n_embd=5), dict(n_head=5, n_embd=5), dict(n_layer=1, vocab_size=2),
                                   dict(n_head=2, n_embd=38, vocab_size=130), dict(n_head=4, n_embd=200, n_layer=2)])
def test_odd_shapes(shape, monkeypatch):
    """No size a multiple of eight; fewer heads than threads; more channels than a tile has columns."""
    monkeypatch.setattr(decode_arrays, "LEAST", 1)
    p, config = tiny(np.float64, **shape)
    ids = ids_of(2, config)
    full = gpt2.logits(p, ids, config)
    for n in (1, 2, 3):
        with threads.limited(n):
            np.testing.assert_allclose(in_pieces(kv_cache, p, ids, config), full, rtol=0, atol=1e-12 * np.abs(full).max())


@pytest.mark.parametrize("B", [1, 5])
@pytest.mark.parametrize("cache", [kv_cache, int8])
def test_any_number_of_threads_gives_the_same_bits(B, cache, monkeypatch):
    monkeypatch.setattr(decode_arrays, "LEAST", 1)                               # the work is worth any number of threads
    p, config = tiny(n_head=6, n_embd=48)
    p = int8.quantize(p) if cache is int8 else p
    ids, used, together = ids_of(B, config), [], threads.together
    monkeypatch.setattr(threads, "together", lambda function, n: used.append(n) or together(function, n))
    made = []
    for n in (1, 2, 3, 4):
        with threads.limited(n):
            made.append(in_pieces(cache, p, ids, config, (1,) * T))
    assert used == [n for n in (1, 2, 3, 4) for _ in range(T)]
    assert all(np.array_equal(made[0], other) for other in made[1:])


@pytest.mark.parametrize("cache", [kv_cache, int8])
def test_the_cache_grows_in_the_middle_of_a_text(cache, calls):
    """Positions 64 and 128 are the first for which there was no room."""
    p, config = tiny(np.float64, block_size=140)
    p = int8.quantize(p) if cache is int8 else p
    ids = ids_of(2, config, 140)
    full = gpt2.logits(int8.dequantize(p) if cache is int8 else p, ids, config)
    made = in_pieces(cache, p, ids, config, [1] * 60 + [8] * 10)
    np.testing.assert_allclose(made, full, rtol=0, atol=1e-11 * np.abs(full).max())
    assert len(calls) == 70


def test_last_selected_rows_and_forgetting():
    p, config = tiny(np.float64)
    ids = ids_of(3, config, 6)
    kv = kv_cache.empty(p, config, 3)
    kv_cache.extend(p, ids[:, :4], kv, config)
    last = kv_cache.extend(p, ids[:, 4:], kv, config, last=True)
    assert last.shape == (3, 1, config.vocab_size)
    np.testing.assert_allclose(last, gpt2.logits(p, ids, config)[:, -1:], rtol=1e-11, atol=1e-11)
    rows, new = [2, 0, 2, 2], ids_of(4, config, 1, seed=3)
    chosen = kv_cache.select(kv, rows)
    full = gpt2.logits(p, np.concatenate([ids[rows], new], axis=1), config)[:, -1:]
    np.testing.assert_allclose(kv_cache.extend(p, new, chosen, config), full, rtol=1e-11, atol=1e-11)
    kv.length = 2                                                       # the old one works on, and forgets
    full = gpt2.logits(p, np.concatenate([ids[:, :2], new[:3]], axis=1), config)[:, -1:]
    np.testing.assert_allclose(kv_cache.extend(p, new[:3], kv, config), full, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("policy", window.POLICIES)
def test_past_the_end_of_the_context(policy):
    p, config = tiny(np.float64, block_size=7)
    ids = ids_of(2, config, 20)
    text, n = window.Window(p, config, policy), 3
    logits = text.read(ids[:, :n])
    while n < 20:
        seen = ids[:, window.first_seen(n, 7, policy):n]
        np.testing.assert_allclose(logits, gpt2.logits(p, seen, config)[:, -1], rtol=1e-11, atol=1e-11)
        logits, n = text.read(ids[:, n:n + 1]), n + 1


def test_the_same_tokens_and_beams_as_the_plain_functions():
    p, config = tiny(np.float64, block_size=40)
    for name in ("wte", "wpe", "ln_f"):                                 # large enough for the tokens to vary
        p[name]["weight"] *= 4
    prompt = [5, 1, 7]

    def made():
        return (list(generate.tokens(p, config, prompt, 30, temperature=0)), beam.search(p, config, prompt, 12, 4),
                list(generate.tokens(p, config, prompt, 30, top_k=9, top_p=0.9, rng=np.random.default_rng(4))))

    greedy, beams, drawn = made()
    with kernels.using("numpy"):
        plain_greedy, plain_beams, plain_drawn = made()
    assert greedy == plain_greedy and drawn == plain_drawn and len(set(greedy)) > 3
    assert [b.ids for b in beams] == [b.ids for b in plain_beams]
    assert beams[0].score == pytest.approx(plain_beams[0].score, rel=1e-12)


def test_weights_changed_in_place_or_replaced_are_seen():
    p, config = tiny(np.float64)
    ids = ids_of(1, config, 3)
    kv = kv_cache.empty(p, config)
    kv_cache.extend(p, ids[:, :1], kv, config)
    kv.length = 0
    p["h"]["1"]["mlp"]["c_proj"]["weight"] *= 1.5                       # the same array
    p["h"]["2"]["attn"]["c_attn"] = {key: 0.5 * value for key, value in p["h"]["2"]["attn"]["c_attn"].items()}     # others
    full = gpt2.logits(p, ids, config)
    np.testing.assert_allclose(kv_cache.extend(p, ids, kv, config), full, rtol=1e-11, atol=1e-11)


def test_weights_that_do_not_lie_row_by_row_go_through_the_layers(calls):
    p, config = tiny(np.float64)
    layer = p["h"]["0"]["mlp"]["c_fc"]
    layer["weight"] = np.asfortranarray(layer["weight"])
    ids = ids_of(2, config)
    assert error(in_pieces(kv_cache, p, ids, config), gpt2.logits(p, ids, config)) < 1e-13
    assert calls == []


def test_a_students_function_is_called(monkeypatch, calls):
    p, config = tiny()
    for layer in (attention, gelu):
        theirs, seen = layer.forward, []
        with monkeypatch.context() as place:
            place.setattr(layer, "forward", lambda *args: seen.append(1) or theirs(*args))
            kv_cache.extend(p, ids_of(1, config, 1), kv_cache.empty(p, config), config)
        assert len(seen) == config.n_layer and calls == []


def test_wrong_ids_are_refused_and_leave_the_cache_as_it_was():
    p, config = tiny()
    for cache, weights in ((kv_cache, p), (int8, int8.quantize(p))):
        kv = cache.empty(weights, config, 2)
        cache.extend(weights, ids_of(2, config, T - 2), kv, config)
        with pytest.raises(ValueError, match=f"3 new tokens do not fit: the cache holds {T - 2} of {T}"):
            cache.extend(weights, ids_of(2, config, 3), kv, config)
        with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
            cache.extend(weights, ids_of(1, config, 1), kv, config)
        for wrong in (53, -1):
            with pytest.raises(ValueError, match=str(wrong)):
                cache.extend(weights, np.full((2, 1), wrong), kv, config)
        assert kv.length == T - 2


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("B", [1, 8])
def test_int8_is_the_model_with_the_dequantised_weights(B, dtype, tolerance, calls):
    p, config = tiny(dtype)
    q, ids = int8.quantize(p), ids_of(B, config)
    made = in_pieces(int8, q, ids, config)
    assert made.dtype == dtype and error(made, gpt2.logits(int8.dequantize(q), ids, config)) < tolerance
    assert error(made, gpt2.logits(p, ids, config)) > 1e-3              # it really has rounded weights
    assert calls == [B * n for n in PIECES if B * n <= decode_arrays.ROWS]


def test_nan_in_a_weight_comes_out_as_nan():
    p, config = tiny()
    p["h"]["1"]["mlp"]["c_fc"]["weight"][3, 4] = np.nan
    assert np.isnan(kv_cache.extend(p, np.array([[1]]), kv_cache.empty(p, config), config)).all()


# ---- threads that wait for each other

def test_together_runs_all_parts_at_once():
    barrier = threading.Barrier(3, timeout=10)                          # raises if one of the three does not come
    threads.together(lambda k: barrier.wait(), 3)


def test_an_error_of_one_part_is_raised_and_lets_the_others_go(monkeypatch):
    monkeypatch.setattr(decode_arrays, "LEAST", 1)
    p, config = tiny()
    kv = kv_cache.empty(p, config)

    def fails(reals, *rest):
        if rest[-2] == 1:                                               # the second thread never comes to the meeting
            raise MemoryError("no room")
        return decode.floats(reals, *rest)

    fast.decoder_of(p, kv, config).kernel = fails
    with threads.limited(2), pytest.raises(MemoryError, match="no room"):
        kv_cache.extend(p, np.array([[1]]), kv, config)
    assert kv.length == 0
    fast.decoder_of(p, kv, config).kernel = decode.floats
    with threads.limited(2):
        assert kv_cache.extend(p, np.array([[1]]), kv, config).shape == (1, 1, config.vocab_size)


def test_two_generators_at_once_do_not_wait_for_each_other_for_ever(monkeypatch):
    monkeypatch.setattr(decode_arrays, "LEAST", 1)
    p, config = tiny(block_size=40)
    expected = list(generate.tokens(p, config, [1], 38, temperature=0))
    made = [None] * 3

    def work(i):
        with threads.limited(2):
            made[i] = list(generate.tokens(p, config, [1], 38, temperature=0))

    workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert made == [expected] * 3


def test_an_abandoned_meeting_lets_everybody_pass():
    counter = meeting.counter()
    meeting.abandon(counter)
    meeting.meet(counter, 2, 2)                                         # alone; it would wait for ever


def test_without_compiling():
    """NUMBA_DISABLE_JIT=1: the kernels are Python functions, for stepping through."""
    code = """if 1:
        import numpy as np
        from nanolm import kernels
        from nanolm.generation import int8, kv_cache
        from nanolm.models import gpt2
        from nanolm.kernels import decode
        import types
        assert isinstance(decode.run, types.FunctionType) and decode.floats.__wrapped__ is decode.run
        kernels.use("numba")
        config = gpt2.Config(vocab_size=11, block_size=5, n_layer=2, n_head=2, n_embd=6)
        p = gpt2.init(config, np.random.default_rng(0), np.float64)
        ids = np.random.default_rng(1).integers(0, 11, (2, 5))
        for cache, q in ((kv_cache, p), (int8, int8.quantize(p))):
            kv = cache.empty(q, config, 2)
            made = np.concatenate([cache.extend(q, ids[:, t:t + 1], kv, config) for t in range(5)], axis=1)
            with kernels.using("numpy"):
                full = gpt2.logits(p if cache is kv_cache else int8.dequantize(q), ids, config)
            print(np.abs(made - full).max() < 1e-12 * np.abs(full).max())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr

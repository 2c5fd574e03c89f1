"""Fast decoding of Llama's shape against the whole model: the same logits at every position, batched, selected, shared out."""
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from nanolm import kernels, params, threads
from nanolm.generation import beam, generate, llama_cache, window
from nanolm.layers import attention, grouped, rmsnorm, rotary, silu, swiglu
from nanolm.models import llama

pytest.importorskip("numba")

from nanolm.kernels import decode_arrays, decode_llama
from nanolm.kernels import llama_cache as fast

PIECES = (1, 2, 1, 1, 3, 1, 1, 1, 5, 1)                                  # how many tokens at once
T = sum(PIECES)
MODULES = {"model": llama, "cache": llama_cache}


@pytest.fixture(autouse=True)
def numba():
    with kernels.using("numba"):
        yield


def tiny(dtype=np.float32, seed=0, **changes):
    """A model whose every parameter is random and large, gains too; six heads of queries share three of keys."""
    config = llama.Config(**{**dict(vocab_size=53, block_size=T, n_layer=3, n_head=6, n_kv_head=3, n_embd=24, n_hidden=34,
                                    base=20.0, eps=1e-3), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(llama.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.4, a.shape).astype(dtype) for name, a in flat.items()}), config


def ids_of(B, config, n=T, seed=1):
    return np.random.default_rng(seed).integers(0, config.vocab_size, (B, n))


def in_pieces(p, ids, config, pieces=PIECES):
    kv = llama_cache.empty(p, config, len(ids))
    parts = np.split(ids, np.cumsum(pieces)[:-1], axis=1)
    return np.concatenate([llama_cache.extend(p, part, kv, config) for part in parts], axis=1)


def whole(p, ids, config):
    """The logits of the plain model: no twin has a part in them."""
    with kernels.using("numpy"):
        full = llama.logits(p, ids, config)
    assert full.std() > 0.05                                            # else anything would be close to it
    return full


def error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.fixture
def calls(monkeypatch):
    """The numbers of rows that went through the kernel."""
    counted, run = [], fast.run
    monkeypatch.setattr(fast, "run", lambda decoder, x, *rest: counted.append(x.shape[0] * x.shape[1]) or run(decoder, x, *rest))
    return counted


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("B", [1, 3, 8])
@pytest.mark.parametrize("tied", [True, False])
def test_the_logits_of_the_whole_model_at_every_position(B, dtype, tolerance, tied, calls):
    p, config = tiny(dtype, tied=tied)
    ids = ids_of(B, config)
    made = in_pieces(p, ids, config)
    assert made.dtype == dtype and error(made, whole(p, ids, config)) < tolerance
    assert calls == [B * n for n in PIECES if B * n <= decode_arrays.ROWS]              # the kernel took the small ones


@pytest.mark.parametrize("shape", [
    dict(n_head=1, n_kv_head=1, n_embd=2, n_hidden=1), dict(n_head=9, n_kv_head=3, n_embd=36, n_hidden=50),
    dict(n_head=5, n_kv_head=5, n_embd=30), dict(n_head=4, n_kv_head=1, n_embd=200, n_hidden=300, n_layer=2),
    dict(n_head=4, n_kv_head=2, n_embd=18, head_dim=10), dict(n_head=2, n_kv_head=2, head_dim=40), dict(vocab_size=2, n_layer=1),
    dict(vocab_size=decode_llama.WIDEST + 70), dict(scaling=("linear", 3.0)), dict(scaling=("llama3", 8.0, 1.0, 4.0, 16.0))],
    ids=lambda shape: "-".join(f"{value}" for value in shape.values()))
@pytest.mark.parametrize("tied", [True, False])
def test_uneven_shapes_on_several_threads(shape, tied, monkeypatch, calls):
    """Fewer heads than threads, widths below a thread's share or no multiple of it, heads wider or narrower than C / H."""
    monkeypatch.setattr(decode_arrays, "LEAST", 1)
    p, config = tiny(np.float64, **shape, tied=tied)
    ids = ids_of(2, config)
    full = whole(p, ids, config)
    for n in (1, 2, 3, 5):
        with threads.limited(n):
            np.testing.assert_allclose(in_pieces(p, ids, config), full, rtol=0, atol=1e-12 * np.abs(full).max())
    assert len(calls) == 4 * len(PIECES)


@pytest.mark.parametrize("B", [1, 5])
@pytest.mark.parametrize("tied", [True, False])
def test_any_number_of_threads_gives_the_same_bits(B, tied, monkeypatch):
    monkeypatch.setattr(decode_arrays, "LEAST", 1)                      # the work is worth any number of threads
    p, config = tiny(n_head=9, n_kv_head=3, n_embd=72, n_hidden=135, vocab_size=150, tied=tied)
    ids, used, together = ids_of(B, config), [], threads.together
    monkeypatch.setattr(threads, "together", lambda function, n: used.append(n) or together(function, n))
    made = []
    for n in (1, 2, 3, 4, 7):
        with threads.limited(n):
            made.append(in_pieces(p, ids, config, (1,) * T))
    assert used == [n for n in (1, 2, 3, 4, 7) for _ in range(T)]
    assert all(np.array_equal(made[0], other) for other in made[1:])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("width", [1, 15, 16, 17, 48, 576, 1536, 49152])
def test_the_threads_share_all_columns(width, n):
    edges = [decode_llama.edge(width, k, n) for k in range(n + 1)]
    assert edges[0] == 0 and edges[-1] == width and edges == sorted(edges)
    assert all(e % decode_llama.LINE == 0 for e in edges[:-1])
    assert max(np.diff(edges)) <= width / n + 2 * decode_llama.LINE     # nobody has much more than its share


def test_the_cache_grows_in_the_middle_of_a_text(calls):
    """Positions 64 and 128 are the first for which there was no room."""
    p, config = tiny(np.float64, block_size=140)
    ids = ids_of(2, config, 140)
    full = whole(p, ids, config)
    made = in_pieces(p, ids, config, [1] * 60 + [8] * 10)
    np.testing.assert_allclose(made, full, rtol=0, atol=1e-11 * np.abs(full).max())
    assert len(calls) == 70


def test_last_selected_rows_and_forgetting():
    p, config = tiny(np.float64)
    ids = ids_of(3, config, 6)
    kv = llama_cache.empty(p, config, 3)
    llama_cache.extend(p, ids[:, :4], kv, config)
    last = llama_cache.extend(p, ids[:, 4:], kv, config, last=True)
    assert last.shape == (3, 1, config.vocab_size)
    np.testing.assert_allclose(last, whole(p, ids, config)[:, -1:], rtol=1e-11, atol=1e-11)
    rows, new = [2, 0, 2, 2], ids_of(4, config, 1, seed=3)
    chosen = llama_cache.select(kv, rows)
    assert chosen.decoder is kv.decoder and kv.decoder                  # what was prepared is not prepared again
    full = whole(p, np.concatenate([ids[rows], new], axis=1), config)[:, -1:]
    np.testing.assert_allclose(llama_cache.extend(p, new, chosen, config), full, rtol=1e-11, atol=1e-11)
    kv.length = 2                                                       # the old one works on, and forgets
    full = whole(p, np.concatenate([ids[:, :2], new[:3]], axis=1), config)[:, -1:]
    np.testing.assert_allclose(llama_cache.extend(p, new[:3], kv, config), full, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("policy", window.POLICIES)
def test_past_the_end_of_the_context(policy):
    p, config = tiny(np.float64, block_size=7)
    ids = ids_of(2, config, 20)
    text, n = window.Window(p, config, policy, **MODULES), 3
    logits = text.read(ids[:, :n])
    while n < 20:
        seen = ids[:, window.first_seen(n, 7, policy):n]
        np.testing.assert_allclose(logits, whole(p, seen, config)[:, -1], rtol=1e-11, atol=1e-11)
        logits, n = text.read(ids[:, n:n + 1]), n + 1


def test_the_same_tokens_and_beams_as_the_plain_functions():
    p, config = tiny(np.float64, seed=10, block_size=40)                     # its tokens vary
    prompt = [5, 1, 7]

    def made():
        return (list(generate.tokens(p, config, prompt, 30, temperature=0, **MODULES)),
                beam.search(p, config, prompt, 12, 4, **MODULES),
                list(generate.tokens(p, config, prompt, 30, top_k=9, top_p=0.9, rng=np.random.default_rng(4), **MODULES)))

    greedy, beams, drawn = made()
    with kernels.using("numpy"):
        plain_greedy, plain_beams, plain_drawn = made()
    assert greedy == plain_greedy and drawn == plain_drawn and len(set(greedy)) > 3
    assert [b.ids for b in beams] == [b.ids for b in plain_beams]
    assert beams[0].score == pytest.approx(plain_beams[0].score, rel=1e-12)


def test_weights_changed_in_place_or_replaced_are_seen():
    p, config = tiny(np.float64)
    ids = ids_of(1, config, 3)
    kv = llama_cache.empty(p, config)
    llama_cache.extend(p, ids[:, :1], kv, config)
    kv.length = 0
    p["layers"]["1"]["mlp"]["down_proj"]["weight"] *= 1.5               # the same array
    p["layers"]["2"]["self_attn"]["k_proj"] = {"weight": -0.5 * p["layers"]["2"]["self_attn"]["k_proj"]["weight"]}      # another
    np.testing.assert_allclose(llama_cache.extend(p, ids, kv, config), whole(p, ids, config), rtol=1e-11, atol=1e-11)


def test_what_the_kernel_does_not_take_goes_through_the_layers(calls):
    """A weight that does not lie row by row, an unaligned one, complex numbers, a table of another width."""
    def fortran(layer):
        layer["weight"] = np.asfortranarray(layer["weight"])

    def unaligned(layer):
        w = layer["weight"]
        layer["weight"] = np.frombuffer(bytearray(b"." + w.tobytes()), w.dtype, offset=1).reshape(w.shape)

    for change in (fortran, unaligned):
        p, config = tiny(np.float64)
        change(p["layers"]["0"]["mlp"]["up_proj"])
        ids = ids_of(2, config)
        assert error(in_pieces(p, ids, config), whole(p, ids, config)) < 1e-13
    p, config = tiny(np.float64)
    turned = params.unflatten({name: a.astype(complex) for name, a in params.flatten(p).items()})
    assert error(in_pieces(turned, ids, config).real, whole(p, ids, config)) < 1e-13
    p, config = tiny(np.float64, tied=False)
    p["embed_tokens"]["weight"] = p["embed_tokens"]["weight"][:, :-1].copy()
    with pytest.raises(ValueError):                                     # the layers say what is wrong
        in_pieces(p, ids, config)
    assert calls == []


def test_a_bias_that_the_kernel_would_not_see_goes_through_the_layers(calls):
    p, config = tiny(np.float64)
    ids, plain = ids_of(1, config), whole(p, ids_of(1, config), config)
    p["layers"]["0"]["self_attn"]["o_proj"]["bias"] = np.full(config.n_embd, 0.7)
    made = in_pieces(p, ids, config)
    assert calls == [] and error(made, plain) > 1e-3


def test_a_students_function_is_called(monkeypatch, calls):
    p, config = tiny()
    for layer, times in ((attention, 1), (rotary, 2), (rmsnorm, 2), (swiglu, 1), (silu, None), (grouped, None)):
        theirs, seen = layer.forward, []
        with monkeypatch.context() as place:
            place.setattr(layer, "forward", lambda *args, **more: seen.append(1) or theirs(*args, **more))
            llama_cache.extend(p, ids_of(1, config, 1), llama_cache.empty(p, config), config)
        assert calls == [] and (times is None or len(seen) >= times * config.n_layer)


def test_wrong_ids_and_another_models_cache_are_refused_and_leave_the_cache_as_it_was():
    p, config = tiny()
    kv = llama_cache.empty(p, config, 2)
    llama_cache.extend(p, ids_of(2, config, T - 2), kv, config)
    with pytest.raises(ValueError, match=f"3 new tokens do not fit: the cache holds {T - 2} of {T}"):
        llama_cache.extend(p, ids_of(2, config, 3), kv, config)
    with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
        llama_cache.extend(p, ids_of(1, config, 1), kv, config)
    for wrong in (53, -1):
        with pytest.raises(ValueError, match=str(wrong)):
            llama_cache.extend(p, np.full((2, 1), wrong), kv, config)
    assert kv.length == T - 2
    larger = dataclasses.replace(config, n_layer=4)
    with pytest.raises((KeyError, IndexError)):
        llama_cache.extend(p, ids_of(2, config, 1), kv, larger)
    assert kv.length == T - 2


def test_nan_in_a_weight_comes_out_as_nan():
    p, config = tiny()
    p["layers"]["1"]["mlp"]["gate_proj"]["weight"][3, 4] = np.nan
    assert np.isnan(llama_cache.extend(p, np.array([[1]]), llama_cache.empty(p, config), config)).all()


def test_an_error_of_one_part_is_raised_and_lets_the_others_go(monkeypatch):
    monkeypatch.setattr(decode_arrays, "LEAST", 1)
    p, config = tiny()
    kv = llama_cache.empty(p, config)

    def fails(reals, *rest):
        if rest[-2] == 1:                                               # the second thread never comes to the meeting
            raise MemoryError("no room")
        return decode_llama.floats(reals, *rest)

    fast.decoder_of(p, kv, config).kernel = fails
    with threads.limited(2), pytest.raises(MemoryError, match="no room"):
        llama_cache.extend(p, np.array([[1]]), kv, config)
    assert kv.length == 0


def test_without_compiling():
    """NUMBA_DISABLE_JIT=1: the kernel is a Python function, for stepping through."""
    code = """if 1:
        import numpy as np
        from nanolm import kernels
        from nanolm.generation import llama_cache
        from nanolm.models import llama
        from nanolm.kernels import decode_llama
        import types
        assert isinstance(decode_llama.run, types.FunctionType) and decode_llama.floats.__wrapped__ is decode_llama.run
        kernels.use("numba")
        ids = np.random.default_rng(1).integers(0, 11, (2, 5))
        for tied in (True, False):
            config = llama.Config(vocab_size=11, block_size=5, n_layer=2, n_head=2, n_kv_head=1, n_embd=8, n_hidden=6, tied=tied)
            p = llama.init(config, np.random.default_rng(0), np.float64)
            kv = llama_cache.empty(p, config, 2)
            made = np.concatenate([llama_cache.extend(p, ids[:, t:t + 1], kv, config) for t in range(5)], axis=1)
            with kernels.using("numpy"):
                full = llama.logits(p, ids, config)
            print(np.abs(made - full).max() < 1e-12 * np.abs(full).max())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr

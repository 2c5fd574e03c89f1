"""Writing a target with a cache: the logits of running all of it, and the texts that greedy and beams must find."""
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanolm import params
from nanolm.generation import beam, generate, seq2seq_cache, translate, window
from nanolm.models import seq2seq

BOTH_BACKENDS = True


def tiny(dtype=np.float64, seed=0, **changes):
    """A model whose every parameter is random: matrices large, gains around 1, biases small, so that the source is heard."""
    config = seq2seq.Config(**{**dict(vocab_size=11, block_size=12, n_layer=2, n_head=2, n_embd=8, n_hidden=10), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(seq2seq.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(float(a.all()) if a.ndim == 1 else 0.0, 0.6 if a.ndim == 2 else 0.3,
                                              a.shape).astype(dtype) for name, a in flat.items()}), config


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.integers(1, 5), min_size=1, max_size=5), B=st.integers(1, 3), S=st.integers(1, 6),
       n_layer=st.integers(1, 3), H=st.integers(1, 3), norm=st.sampled_from(["pre", "post"]), padded=st.booleans(),
       form=st.sampled_from(["relu", "tanh"]), shared=st.booleans(), seed=st.integers(0, 99))
def test_extend_equals_the_full_forward_at_every_position(pieces, B, S, n_layer, H, norm, padded, form, shared, seed):
    p, config = tiny(seed=seed, block_size=max(sum(pieces), S), n_layer=n_layer, n_head=H, n_embd=4 * H, norm=norm, form=form,
                     shared=shared)
    rng = np.random.default_rng(seed)
    source, ids = rng.integers(0, 11, (B, S)), rng.integers(0, 11, (B, sum(pieces)))
    lengths = rng.integers(1, S + 1, B) if padded else None
    full = seq2seq.logits(p, source, ids, config, lengths)
    assert full.std() > 0.1                                             # else anything would be close to it
    memory, _ = seq2seq.encode(p, source, config, lengths)
    kv = seq2seq_cache.start(p, memory, config, lengths)
    parts = [seq2seq_cache.extend(p, part, kv, config) for part in np.split(ids, np.cumsum(pieces)[:-1], axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), full, rtol=1e-9, atol=1e-10)
    assert kv.length == sum(pieces) and kv.memory_keys.shape == (n_layer, B, H, S, 4)
    last = seq2seq_cache.extend(p, ids, seq2seq_cache.start(p, memory, config, lengths), config, last=True)
    np.testing.assert_allclose(last, full[:, -1:], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_can_be_chosen_and_dtype_stays(dtype):
    p, config = tiny(dtype)
    rng = np.random.default_rng(1)
    source, ids, lengths = rng.integers(0, 11, (3, 5)), rng.integers(0, 11, (3, 6)), np.array([2, 5, 3])
    memory, _ = seq2seq.encode(p, source, config, lengths)
    kv = seq2seq_cache.start(p, memory, config, lengths)
    seq2seq_cache.extend(p, ids[:, :4], kv, config)
    rows = [2, 0, 2, 1]
    chosen = seq2seq_cache.select(kv, rows)
    z = seq2seq_cache.extend(p, ids[rows, 4:], chosen, config)
    assert z.dtype == dtype and chosen.sources == (2, 0, 2, 1)
    full = seq2seq.logits(p, source[rows], ids[rows], config, lengths[rows])[:, 4:]
    np.testing.assert_allclose(z, full, atol=1e-10 if dtype == np.float64 else 1e-4)
    again = seq2seq_cache.select(chosen, [2, 1, 0, 3])                      # rows 0 and 2 are of one source: it is not copied
    assert again.memory_keys is chosen.memory_keys and kv.length == 4


def test_the_encoder_runs_once_and_memory_is_projected_once(monkeypatch):
    p, config = tiny()
    calls = []
    for module, name in ((seq2seq, "encode"), (seq2seq_cache, "start")):
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, own=own, name=name: calls.append(name) or own(*args))
    translate.greedy(p, config, np.array([[1, 2, 3]]), 9, start_id=0)
    translate.beam(p, config, [1, 2, 3], 9, start_id=0, beam_width=3)
    assert calls == ["encode", "start"] * 2


def log_probability(p, config, source, start_id, made):
    """ln P(made | source), from one full forward."""
    z = seq2seq.logits(p, np.asarray(source)[None], np.array([[start_id, *made[:-1]]]), config)[0]
    z = z - z.max(axis=1, keepdims=True)
    log_shares = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return sum(log_shares[t, token] for t, token in enumerate(made))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("stop_id", [None, 2])
@pytest.mark.parametrize("length_penalty", [0.0, 0.6])
def test_beams_that_drop_nothing_are_exhaustive(norm, stop_id, length_penalty):
    p, config = tiny(seed=4, vocab_size=4, norm=norm)
    source, n = [3, 1, 1, 0], 4
    texts = {ids[:ids.index(stop_id) + 1] if stop_id in ids else ids for ids in itertools.product(range(4), repeat=n)}
    scored = sorted(((log_probability(p, config, source, 1, ids) / ((5 + len(ids)) / 6) ** length_penalty, ids)
                     for ids in texts), reverse=True)
    for use_cache in (True, False):
        found = translate.beam(p, config, source, n, 1, stop_id, 4 ** (n - 1), length_penalty, use_cache)
        assert [h.ids for h in found] == [ids for _, ids in scored[:4 ** (n - 1)]]
        np.testing.assert_allclose([h.score for h in found], [score for score, _ in scored[:len(found)]], rtol=1e-9)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_beams_of_a_padded_source_with_and_without_the_cache(norm):
    p, config = tiny(seed=4, norm=norm)
    source = np.array([3, 1, 4, 1])
    padded = translate.Given(p, config, np.array([[*source, 7, 9]]), [4])
    expected = translate.beam(p, config, source, 5, 0, 2, 3, 0.6)
    for use_cache in (True, False):
        found = beam.search(p, config, [0], 5, 3, 0.6, 2, use_cache=use_cache, model=padded, cache=padded)
        assert [h.ids for h in found] == [h.ids for h in expected]
        np.testing.assert_allclose([h.score for h in found], [h.score for h in expected], rtol=1e-9)


def greedy_by_definition(p, config, source, n, start_id, stop_id):
    ids = [start_id]
    while len(ids) <= n and (len(ids) == 1 or ids[-1] != stop_id):
        ids.append(int(seq2seq.logits(p, np.asarray(source)[None], np.array([ids]), config)[0, -1].argmax()))
    return ids[1:]


@pytest.mark.parametrize("norm, seed", [("pre", 3), ("post", 33)])         # whose texts end at different places
def test_greedy_of_a_batch_is_greedy_of_each_alone(norm, seed):
    """Padded sources, texts that end at different places, and some that never end."""
    p, config = tiny(seed=seed, norm=norm, vocab_size=7)
    rng = np.random.default_rng(0)
    source, lengths = rng.integers(0, 7, (12, 6)), rng.integers(1, 7, 12)
    expected = [greedy_by_definition(p, config, s[:length], 9, 0, 2) for s, length in zip(source, lengths)]
    assert len({len(ids) for ids in expected}) > 2 and any(ids[-1] != 2 for ids in expected)
    assert translate.greedy(p, config, source, 9, 0, 2, lengths) == expected
    endless = translate.greedy(p, config, source, 9, 0, None, lengths)
    assert all(len(ids) == 9 and ids[:len(e)] == e for ids, e in zip(endless, expected))
    alone, = translate.beam(p, config, source[0, :lengths[0]], 9, 0, None, beam_width=1)
    assert list(alone.ids) == endless[0]


def test_draws_come_from_the_models_shares():
    p, config = tiny(seed=5)
    source = np.array([[3, 1, 4]])
    model = translate.Given(p, config, source)
    first = [next(generate.tokens(p, config, [0], 1, rng=np.random.default_rng(seed), model=model, cache=model))
             for seed in range(2000)]
    z = seq2seq.logits(p, source, np.array([[0]]), config)[0, 0]
    shares = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    counts = np.bincount(first, minlength=11)
    assert (np.abs(counts - 2000 * shares) <= 5 * np.sqrt(2000 * shares * (1 - shares)) + 1e-6).all()
    assert shares.max() < 0.9 and (counts > 0).sum() > 3


def test_errors():
    p, config = tiny()
    with pytest.raises(ValueError, match="n must be at most block_size = 12.* but it is 13"):
        translate.greedy(p, config, np.array([[1]]), 13, 0)
    with pytest.raises(ValueError, match="stop_id is 11, but the target's tokens are 0 to 10"):
        translate.beam(p, config, [1], 3, 0, 11)
    with pytest.raises(ValueError, match="start_id must be at least 0"):
        translate.greedy(p, config, np.array([[1]]), 3, -1)
    memory, _ = seq2seq.encode(p, np.array([[1, 2], [3, 4]]), config)
    kv = seq2seq_cache.start(p, memory, config)
    seq2seq_cache.extend(p, np.zeros((2, 10), int), kv, config)
    with pytest.raises(ValueError, match="3 new tokens do not fit: the cache holds 10 of 12 positions"):
        seq2seq_cache.extend(p, np.zeros((2, 3), int), kv, config)
    with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
        seq2seq_cache.extend(p, np.zeros((1, 1), int), kv, config)
    with pytest.raises(ValueError, match=r"ids\[1, 0\] is 11"):
        seq2seq_cache.extend(p, np.array([[1], [11]]), kv, config)
    assert kv.length == 10
    with pytest.raises(ValueError, match=r"memory must have the shape \(B, S, 8\)"):
        seq2seq_cache.start(p, memory[0], config)
    with pytest.raises(ValueError, match="source_lengths must hold one length for each source, 2, but it holds 1"):
        seq2seq_cache.start(p, memory, config, [1])
    two = translate.Given(p, config, np.array([[1, 2], [3, 4]]))
    with pytest.raises(ValueError, match="there are 2 sources, so as many targets must begin, but 1 do"):
        window.Window(p, config, model=two, cache=two).read(np.array([[0]]))

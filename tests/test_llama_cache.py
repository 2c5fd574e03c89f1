"""The key-value cache of Llama's shape: the logits of running only the new tokens are those of running all of them."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolm import params
from nanolm.generation import beam, generate, llama_cache, window
from nanolm.models import llama

MODULES = {"model": llama, "cache": llama_cache}


def tiny(dtype=np.float64, seed=0, **changes):
    """A model whose every parameter is random and large, gains too."""
    config = llama.Config(**{**dict(vocab_size=11, block_size=12, n_layer=2, n_head=4, n_kv_head=2, n_embd=8, n_hidden=10,
                                    base=20.0), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(llama.init(config, rng, dtype))
    return params.unflatten({name: rng.normal(0, 0.5, a.shape).astype(dtype) for name, a in flat.items()}), config


@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), B=st.integers(1, 3), n_layer=st.integers(1, 3),
       G=st.integers(1, 2), share=st.integers(1, 3), tied=st.booleans(), seed=st.integers(0, 99))
def test_extend_equals_the_full_forward_at_every_position(lengths, B, n_layer, G, share, tied, seed):
    p, config = tiny(seed=seed, block_size=sum(lengths), n_layer=n_layer, n_head=G * share, n_kv_head=G, head_dim=4, tied=tied)
    ids = np.random.default_rng(seed).integers(0, 11, (B, sum(lengths)))
    full = llama.logits(p, ids, config)
    assert full.std() > 0.1                                             # else anything would be close to it
    kv = llama_cache.empty(p, config, B)
    pieces = [llama_cache.extend(p, part, kv, config) for part in np.split(ids, np.cumsum(lengths)[:-1], axis=1)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), full, rtol=1e-10, atol=1e-10)
    assert kv.length == sum(lengths) and kv.keys.shape[2] == G
    last = llama_cache.extend(p, ids, llama_cache.empty(p, config, B), config, last=True)
    np.testing.assert_allclose(last, full[:, -1:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scaling", [("linear", 3.0), ("llama3", 8.0, 1.0, 4.0, 6)])
def test_scaled_positions_reach_the_cache(scaling):
    p, config = tiny(scaling=scaling)
    ids = np.random.default_rng(0).integers(0, 11, (2, 12))
    full, kv = llama.logits(p, ids, config), llama_cache.empty(p, config, 2)
    steps = [llama_cache.extend(p, ids[:, t:t + 1], kv, config) for t in range(12)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), full, rtol=1e-10, atol=1e-10)
    assert np.abs(full - llama.logits(p, ids, tiny()[1])).max() > 0.01, "scaled or not is not the same"


def test_too_much_is_refused_and_changes_nothing():
    p, config = tiny()
    kv = llama_cache.empty(p, config, 2)
    llama_cache.extend(p, np.zeros((2, 10), int), kv, config)
    with pytest.raises(ValueError, match="3 new tokens do not fit: the cache holds 10 of 12 positions"):
        llama_cache.extend(p, np.zeros((2, 3), int), kv, config)
    with pytest.raises(ValueError, match=r"ids must have the shape \(2, T\)"):
        llama_cache.extend(p, np.zeros((1, 1), int), kv, config)
    assert kv.length == 10


@pytest.mark.parametrize("policy", window.POLICIES)
def test_generation_and_beams_with_and_without_the_cache(policy):
    p, config = tiny()
    prompt = np.array([3, 1, 4])
    for n in (5, 20):                                                   # within the context, and past its end
        made = [list(generate.tokens(p, config, prompt, n, temperature=0, policy=policy, use_cache=use, **MODULES))
                for use in (True, False)]
        assert made[0] == made[1] and len(set(made[0])) > 1
    best = [beam.search(p, config, prompt, 6, 3, use_cache=use, **MODULES)[0] for use in (True, False)]
    assert best[0].ids == best[1].ids and best[0].log_probability == pytest.approx(best[1].log_probability)

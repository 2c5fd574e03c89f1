"""Beam search against exhaustive search, greedy, and the log-probabilities of the full forward."""
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm import params
from nanolm.generation import beam, generate
from nanolm.models import gpt2


def tiny(seed=0, **changes):
    config = gpt2.Config(**{**dict(vocab_size=4, block_size=9, n_layer=2, n_head=2, n_embd=6), **changes})
    rng = np.random.default_rng(seed)
    flat = params.flatten(gpt2.init(config, rng, np.float64))
    return params.unflatten({name: rng.normal(0, 0.7, a.shape) for name, a in flat.items()}), config


def log_probability(p, config, prompt, made):
    """ln P(made | prompt), from one full forward."""
    z = gpt2.logits(p, np.array([[*prompt, *made]]), config)[0]
    log_shares = z - z.max(axis=1, keepdims=True)
    log_shares -= np.log(np.exp(log_shares).sum(axis=1, keepdims=True))
    return sum(log_shares[len(prompt) - 1 + t, i] for t, i in enumerate(made))


def exhaustive(p, config, prompt, n, length_penalty, stop_id):
    """Every text of n tokens, and every shorter one that ends in stop_id: [(score, ids)], best first."""
    texts = set()
    for ids in itertools.product(range(config.vocab_size), repeat=n):
        texts.add(ids[:ids.index(stop_id) + 1] if stop_id in ids else ids)
    scored = [(log_probability(p, config, prompt, ids) / ((5 + len(ids)) / 6) ** length_penalty, ids) for ids in texts]
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stop_id", [None, 2])
@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 2.0])
def test_wide_enough_it_is_exhaustive(seed, stop_id, length_penalty):
    p, config = tiny(seed)
    prompt, n = [1, 3, 0], 4
    expected = exhaustive(p, config, prompt, n, length_penalty, stop_id)
    found = beam.search(p, config, prompt, n, 4 ** n, length_penalty, stop_id)
    assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in expected]
    np.testing.assert_allclose([hypothesis.score for hypothesis in found], [score for score, _ in expected], rtol=1e-11)


def test_the_exhaustive_comparison_has_texts_of_all_lengths():
    p, config = tiny(0)
    lengths = {len(ids) for _, ids in exhaustive(p, config, [1], 4, 0.7, 2)}
    assert lengths == {1, 2, 3, 4}


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("stop_id", [None, 2])
def test_what_a_narrow_beam_returns_is_scored_right_and_in_order(width, stop_id):
    p, config = tiny(4)
    found = beam.search(p, config, [0, 1], 6, width, 0.6, stop_id)
    assert 1 <= len(found) <= width and len({hypothesis.ids for hypothesis in found}) == len(found)
    assert [hypothesis.score for hypothesis in found] == sorted((h.score for h in found), reverse=True)
    for hypothesis in found:
        exact = log_probability(p, config, [0, 1], hypothesis.ids)
        assert math.isclose(hypothesis.log_probability, exact, rel_tol=1e-11)
        assert math.isclose(hypothesis.score, exact / ((5 + len(hypothesis.ids)) / 6) ** 0.6, rel_tol=1e-11)
        assert len(hypothesis.ids) == 6 or hypothesis.ids[-1] == stop_id
        assert stop_id not in hypothesis.ids[:-1]


def narrow_by_definition(p, config, prompt, n, width):
    """Beam search without cache, batch or early end: all candidates in a list, scored by full forwards."""
    beams = [()]
    for _ in range(n):
        candidates = [(log_probability(p, config, prompt, (*ids, v)), (*ids, v))
                      for ids in beams for v in range(config.vocab_size)]
        beams = [ids for _, ids in sorted(candidates, reverse=True)[:width]]
    return beams


@pytest.mark.parametrize("width", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_a_narrow_beam_keeps_what_the_definition_keeps(width, seed):
    p, config = tiny(seed, vocab_size=6, block_size=12)
    found = beam.search(p, config, [5, 2], 8, width)
    assert [hypothesis.ids for hypothesis in found] == narrow_by_definition(p, config, [5, 2], 8, width)


@pytest.mark.parametrize("policy", ["slide", "restart"])
def test_with_and_without_the_cache_and_past_the_context(policy):
    p, config = tiny(1, block_size=5)
    cached = beam.search(p, config, [0, 1, 2], 10, 3, policy=policy)
    full = beam.search(p, config, [0, 1, 2], 10, 3, policy=policy, use_cache=False)
    assert [h.ids for h in cached] == [h.ids for h in full]
    np.testing.assert_allclose([h.score for h in cached], [h.score for h in full], rtol=1e-11)


def test_width_1_is_greedy():
    p, config = tiny(2, vocab_size=9)
    best, = beam.search(p, config, [4], 8, 1)
    assert list(best.ids) == list(generate.tokens(p, config, [4], 8, temperature=0))


def table(rows):
    """A model whose next token depends on the last one only, by a table of probabilities; it needs no parameters."""

    def logits(p, ids, config):
        with np.errstate(divide="ignore"):
            return np.log(np.array(rows))[ids]
    return SimpleNamespace(logits=logits), SimpleNamespace(vocab_size=len(rows), block_size=99)


def test_it_finds_what_greedy_walks_past():
    """From 0 the likeliest step is 1 (0.6), but then nothing is above 0.55; by 2 (0.4) the text goes on with 0.9."""
    model, config = table([[0, 0.6, 0.4, 0, 0], [0, 0, 0, 0.45, 0.55], [0, 0, 0, 0.9, 0.1], *[[0, 0, 0, 0.5, 0.5]] * 2])
    greedy, = beam.search(None, config, [0], 2, 1, use_cache=False, model=model)
    best, second = beam.search(None, config, [0], 2, 2, use_cache=False, model=model)
    assert greedy.ids == (1, 4) and best.ids == (2, 3) and second.ids == (1, 4)
    assert math.isclose(math.exp(best.log_probability), 0.36, rel_tol=1e-3)


def test_the_length_penalty_lets_longer_texts_win():
    """Token 2 ends. From 0: 2 at once has 0.5; going round by 1 has 0.5 * 0.9 * 0.9 ... = less, the longer the less."""
    model, config = table([[0, 0.5, 0.5], [0, 0.9, 0.1], [1, 0, 0]])

    def best(a, width):
        return beam.search(None, config, [0], 4, width, a, stop_id=2, use_cache=False, model=model)[0].ids

    for width in (1, 4):                # with 1, it must not stop when (2,) is finished: 1 1 1 1 will overtake it later
        assert best(0.0, width) == (2,) and best(2.0, width) == (1, 1, 1, 1)


def test_it_stops_early_only_when_nothing_better_can_come():
    """From 0 the text ends with 0.99. Every other beginning has 0.005 and can only lose more: one read, not 50."""
    reads = []
    model, config = table([[0.005, 0.005, 0.99], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    counting = SimpleNamespace(logits=lambda *args: reads.append(1) or model.logits(*args))
    found = beam.search(None, config, [0], 50, 1, 0.0, stop_id=2, use_cache=False, model=counting)
    assert found[0].ids == (2,) and len(reads) == 1


def test_when_every_text_has_ended_there_is_no_more():
    model, config = table([[0, 1.0], [0, 1.0]])
    found = beam.search(None, config, [0], 9, 3, stop_id=1, use_cache=False, model=model)
    assert [hypothesis.ids for hypothesis in found] == [(1,)]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 3.0])
def test_ending_early_changes_nothing(width, length_penalty):
    """100 random tables: the search that stops when it may, against one written as a list, which never stops early."""
    reads = 0
    for seed in range(100):
        rows = np.random.default_rng(seed).dirichlet([0.4] * 4, 4)
        model, config = table(rows)

        def logits(*args, logits=model.logits):
            nonlocal reads
            reads += 1
            return logits(*args)

        found = beam.search(None, config, [0], 6, width, length_penalty, 2, use_cache=False,
                            model=SimpleNamespace(logits=logits))
        live, ended = [(0.0, (0,))], []
        for _ in range(6):
            grown = [(s + math.log(rows[ids[-1], v]), (*ids, v)) for s, ids in live for v in range(4)]
            ended += [(s, ids) for s, ids in grown if ids[-1] == 2]
            live = sorted((c for c in grown if c[1][-1] != 2), reverse=True)[:width]
        scores = sorted((s / ((5 + len(ids) - 1) / 6) ** length_penalty for s, ids in ended + live), reverse=True)
        np.testing.assert_allclose([hypothesis.score for hypothesis in found], scores[:width], rtol=1e-9)
    assert reads < 100 * 6                                              # and now and then it did end early


def test_an_impossible_end_is_no_hypothesis():
    model, config = table([[0.2, 0.8, 0], [1.0, 0, 0], [1.0, 0, 0]])
    found = beam.search(None, config, [0], 3, 8, stop_id=2, use_cache=False, model=model)
    assert len(found) == 5 and all(hypothesis.log_probability > -math.inf for hypothesis in found)
    assert {hypothesis.ids for hypothesis in found} == {(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1)}


@pytest.mark.parametrize("change, words", [
    (dict(ids=[]), r"ids must be the prompt's token ids, shape \(T,\) with at least one, but has the shape \(0,\)"),
    (dict(ids=[[1]]), r"shape \(1, 1\)"), (dict(n=0), "n must be a whole number of at least 1, but is 0"),
    (dict(beam_width=0), "beam_width must be a whole number of at least 1"), (dict(beam_width=1.5), "but is 1.5"),
    (dict(length_penalty=-1), "length_penalty must be a finite number, 0 or more, but is -1"),
    (dict(length_penalty=math.nan), "length_penalty must be"),
    (dict(stop_id=4), "stop_id is 4, but the model's tokens are 0 to 3"),
    (dict(policy="x"), "policy is 'x'")])
def test_errors(change, words):
    p, config = tiny()
    with pytest.raises(ValueError, match=words):
        beam.search(p, config, **{**dict(ids=[1], n=2), **change})

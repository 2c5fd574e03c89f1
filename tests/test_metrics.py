"""Loss, perplexity, bits per character and accuracy, against sums over single tokens and against known models."""
import math
from types import SimpleNamespace

import numpy as np
import pytest

from nanolm.models import gpt2
from nanolm.training import metrics
from nanolm.training.step import IGNORED

CONFIG = gpt2.Config(vocab_size=11, block_size=6, n_layer=1, n_head=2, n_embd=8)


def model_and_text(n, seed=1):
    rng = np.random.default_rng(seed)
    p = gpt2.init(CONFIG, rng, np.float64)
    p["wte"]["weight"] *= 30
    return p, rng.integers(0, 11, n).astype(np.int32)


def token_by_token(p, ids, stride):
    """Return nats and hits, one token at a time: each predicted from the window that counts it."""
    nats, hits, T = [], [], min(6, len(ids) - 1)
    for i in range(1, len(ids)):                                        # the token to predict
        windows_moved = max(0, -(-(i - T) // stride))
        end = min(T + windows_moved * stride, len(ids) - 1)
        z = gpt2.logits(p, ids[None, end - T:i].astype(np.int64), CONFIG)[0, -1]
        nats.append(math.log(np.exp(z - z.max()).sum()) + z.max() - z[ids[i]])
        hits.append(z.argmax() == ids[i])
    return np.array(nats), np.array(hits)


@pytest.mark.parametrize("n", [2, 5, 7, 8, 13, 40])
@pytest.mark.parametrize("stride", [6, 3, 1, 4])
def test_equal_to_sums_over_single_tokens(n, stride, monkeypatch):
    monkeypatch.setattr(metrics, "LOGITS_AT_ONCE", 3 * 6 * 11)          # three windows a piece: the last is smaller
    p, ids = model_and_text(n)
    nats, hits = token_by_token(p, ids, stride)
    result = metrics.evaluate(gpt2, p, CONFIG, ids, n_characters=17, stride=stride, workers=2)
    assert result["tokens"] == n - 1
    assert result["loss"] == pytest.approx(nats.mean(), rel=1e-12)
    assert result["perplexity"] == pytest.approx(math.exp(nats.mean()), rel=1e-11)
    assert result["accuracy"] == pytest.approx(hits.mean(), rel=1e-12)
    assert result["bits_per_character"] == pytest.approx((nats.sum() + math.log(11)) / math.log(2) / 17, rel=1e-12)


@pytest.mark.parametrize("n, block, stride", [(2, 6, 6), (7, 6, 6), (8, 6, 6), (40, 6, 3), (41, 6, 1), (5, 6, 2)])
def test_every_token_but_the_first_is_a_target_once(n, block, stride):
    ids = np.arange(n)
    inputs, targets = metrics.windows(ids, block, stride)
    assert sorted(targets[targets != IGNORED]) == list(range(1, n))
    counted = targets != IGNORED
    assert np.array_equal(inputs[counted] + 1, targets[counted])        # the target is the next token
    before = np.broadcast_to(np.arange(inputs.shape[1]), inputs.shape)[counted]     # tokens seen before the input
    assert (before[targets[counted] > block] >= block - stride).all()


def test_a_model_that_knows_nothing_pays_exactly_uniform():
    uniform = SimpleNamespace(logits=lambda p, ids, config: np.zeros((*ids.shape, 11)))
    ids = np.arange(100) % 11
    result = metrics.evaluate(uniform, None, CONFIG, ids, n_characters=100)
    assert result["bits_per_character"] == pytest.approx(math.log2(11), rel=1e-14)      # the first token included
    assert result["perplexity"] == pytest.approx(11, rel=1e-13)


def test_a_model_that_knows_all():
    right = SimpleNamespace(logits=lambda p, ids, config: 1e4 * np.eye(11)[(ids + 1) % 11])
    result = metrics.evaluate(right, None, CONFIG, np.arange(100) % 11, n_characters=100)
    assert result["accuracy"] == 1.0 and result["loss"] == 0.0 and result["perplexity"] == 1.0


def test_bad_input():
    p, ids = model_and_text(1)
    with pytest.raises(ValueError, match="has 1 tokens; at least 2"):
        metrics.evaluate(gpt2, p, CONFIG, ids, 1)
    with pytest.raises(ValueError, match="stride is 7; it must lie between 1 and block_size = 6"):
        metrics.evaluate(gpt2, p, CONFIG, np.arange(9), 9, stride=7)

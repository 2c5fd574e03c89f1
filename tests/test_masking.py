"""BERT's masking, 80 / 10 / 10: statistics that the rule passes and a dozen wrong rules do not."""
import numpy as np
import pytest

from nanolm.data import masking

V, CLS, SEP, PAD, MASK = 500, 1, 2, 0, 3
SPECIAL = (CLS, SEP, PAD, MASK)


def texts(B=400, T=300, seed=0):
    """Return ids (B, T): [CLS], words, [SEP], padding of a random length."""
    rng = np.random.default_rng(seed)
    ids, lengths = rng.integers(4, V, (B, T)), rng.integers(T // 2, T + 1, B)
    ids[:, 0] = CLS
    ids[np.arange(B), lengths - 1] = SEP
    ids[np.arange(T) >= lengths[:, None]] = PAD
    return ids


def share_is(got, of, expected, what):
    """Assert that got / of lies within five standard deviations of the share that chance would give."""
    assert abs(got - of * expected) < 5 * np.sqrt(of * expected * (1 - expected)), f"{what}: {got / of:.4f}, not {expected}"


def check_rule(rule):
    """Assert by statistics that rule(ids, vocab_size, mask_id, special, rng) is (MK1) and (MK2)."""
    ids = texts()
    before = ids.copy()
    inputs, targets = rule(ids, V, MASK, SPECIAL, np.random.default_rng(1))
    assert np.array_equal(ids, before), "ids were written to"
    assert inputs.shape == targets.shape == ids.shape
    chosen, words = targets != -100, ~np.isin(ids, SPECIAL)
    assert not (chosen & ~words).any(), "a special token or padding was chosen"
    assert np.array_equal(targets[chosen], ids[chosen]), "a target must be the token that stood there"
    assert np.array_equal(inputs[~chosen], ids[~chosen]), "a token that was not chosen was changed"
    n = chosen.sum()
    share_is(n, words.sum(), 0.15, "chosen")
    for part in (np.s_[:, :100], np.s_[:, 100:], np.s_[:200], np.s_[200:]):
        share_is(chosen[part].sum(), words[part].sum(), 0.15, "chosen in a part of the texts")
    for id in range(4, V, 50):                                               # frequent or rare, low or high: all alike
        near = (ids >= id) & (ids < id + 50)
        share_is((chosen & near).sum(), (words & near).sum(), 0.15, f"from {id}")
    pairs = words[:, 1:] & words[:, :-1]
    share_is((chosen[:, 1:] & chosen[:, :-1] & pairs).sum(), pairs.sum(), 0.15 ** 2, "two neighbours chosen")
    below = words[1:] & words[:-1]
    share_is((chosen[1:] & chosen[:-1] & below).sum(), below.sum(), 0.15 ** 2, "the same place in two texts")
    masked = chosen & (inputs == MASK)
    other = chosen & ~masked & (inputs != ids)
    # A random token is [MASK] once in V, and the right one once in V.
    share_is(masked.sum(), n, 0.8 + 0.1 / V, "[MASK]")
    share_is(other.sum(), n, 0.1 * (1 - 2 / V), "a random token")
    share_is((chosen & (inputs == ids)).sum(), n, 0.1 + 0.1 / V, "unchanged")
    for low in range(4, V, 62):
        inside = (inputs[other] >= low) & (inputs[other] < low + 62)
        share_is(inside.sum(), other.sum(), 62 / (V - 2), f"random tokens from {low} on")
    same_step = (inputs[other] - ids[other])[:, None] == np.arange(-3, 4)
    assert same_step.sum(axis=0).max() < 0.02 * other.sum(), "random tokens hang on the right ones"


def test_the_rule():
    check_rule(masking.masked)


# Wrong rules: each changes what the right one gives, or is called in a wrong way.
def always_the_mask(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return np.where(targets != -100, mask_id, inputs), targets


def never_unchanged(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return np.where((targets != -100) & (inputs == ids), mask_id, inputs), targets


def never_random(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return np.where((inputs != ids) & (inputs != mask_id), ids, inputs), targets


def ninety_percent(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    back = (targets != -100) & (inputs == ids) & (rng.random(ids.shape) < 0.5)
    return np.where(back, mask_id, inputs), targets


def special_ones_too(ids, vocab_size, mask_id, special, rng):
    return masking.masked(ids, vocab_size, mask_id, (), rng)


def padding_too(ids, vocab_size, mask_id, special, rng):
    return masking.masked(ids, vocab_size, mask_id, (CLS, SEP, MASK), rng)


def ends_too(ids, vocab_size, mask_id, special, rng):
    return masking.masked(ids, vocab_size, mask_id, (CLS, PAD, MASK), rng)


def too_few(ids, vocab_size, mask_id, special, rng):
    return masking.masked(ids, vocab_size, mask_id, special, rng, share=0.14)


def targets_everywhere(ids, vocab_size, mask_id, special, rng):
    return masking.masked(ids, vocab_size, mask_id, special, rng)[0], ids


def targets_from_the_inputs(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return inputs, np.where(targets != -100, inputs, -100)


def targets_where_changed(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return inputs, np.where(inputs != ids, targets, -100)


def one_row_of_coins(ids, vocab_size, mask_id, special, rng):
    chosen = (rng.random(ids.shape[1]) < 0.15) & ~np.isin(ids, special)
    coin = rng.random(ids.shape)
    inputs = np.where(chosen & (coin < 0.8), mask_id, ids)
    return np.where(chosen & (coin > 0.9), rng.integers(0, vocab_size, ids.shape), inputs), np.where(chosen, ids, -100)


def one_coin_for_both(ids, vocab_size, mask_id, special, rng):
    coin = rng.random(ids.shape)
    chosen = (coin < 0.15) & ~np.isin(ids, special)
    return np.where(chosen & (coin < 0.8), mask_id, ids), np.where(chosen, ids, -100)


def neighbour_for_random(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return np.where((inputs != ids) & (inputs != mask_id), (ids + 1) % vocab_size, inputs), targets


def low_ids_for_random(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    return np.where((inputs != ids) & (inputs != mask_id), inputs // 2, inputs), targets


def in_place(ids, vocab_size, mask_id, special, rng):
    inputs, targets = masking.masked(ids, vocab_size, mask_id, special, rng)
    ids[:] = inputs
    return ids, targets


def spans(ids, vocab_size, mask_id, special, rng):
    """Two neighbours are chosen or left together: 15 %, but not independent."""
    chosen = np.repeat(rng.random((ids.shape[0], ids.shape[1] // 2)) < 0.15, 2, axis=1) & ~np.isin(ids, special)
    coin = rng.random(ids.shape)
    inputs = np.where(chosen & (coin < 0.8), mask_id, ids)
    return np.where(chosen & (coin > 0.9), rng.integers(0, vocab_size, ids.shape), inputs), np.where(chosen, ids, -100)


@pytest.mark.parametrize("rule", [
    always_the_mask, never_unchanged, never_random, ninety_percent, special_ones_too, padding_too, ends_too, too_few,
    targets_everywhere, targets_from_the_inputs, targets_where_changed, one_row_of_coins, one_coin_for_both, neighbour_for_random,
    low_ids_for_random, in_place, spans], ids=lambda rule: rule.__name__)
def test_a_wrong_rule_fails(rule):
    with pytest.raises(AssertionError):
        check_rule(rule)


def test_the_generator_decides_and_nothing_else():
    ids = texts(3, 20)
    one, two = (masking.masked(ids, V, MASK, SPECIAL, np.random.default_rng(5)) for _ in range(2))
    other = masking.masked(ids, V, MASK, SPECIAL, np.random.default_rng(6))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1]) and not np.array_equal(one[1], other[1])
    rng = np.random.default_rng(5)
    masking.masked(ids, V, MASK, SPECIAL, rng)
    assert not np.array_equal(one[1], masking.masked(ids, V, MASK, SPECIAL, rng)[1]), "the next epoch has other places"


def test_padding_by_booleans_shares_and_shapes():
    ids = np.random.default_rng(0).integers(4, V, (50, 40))
    tokens = np.arange(40) < np.arange(50)[:, None]
    inputs, targets = masking.masked(ids, V, MASK, SPECIAL, np.random.default_rng(1), tokens=tokens, share=1.0)
    assert np.array_equal(targets, np.where(tokens, ids, -100)) and np.array_equal(inputs[~tokens], ids[~tokens])
    inputs, targets = masking.masked(ids, V, MASK, SPECIAL, np.random.default_rng(1), share=0)
    assert np.array_equal(inputs, ids) and (targets == -100).all()
    for shape, dtype in (((0,), np.int64), ((7,), np.int32), ((2, 3, 4), np.uint16)):
        ids = np.full(shape, 9, dtype)
        inputs, targets = masking.masked(ids, V, MASK, SPECIAL, np.random.default_rng(1), share=1.0)
        assert inputs.shape == shape and inputs.dtype == dtype and targets.dtype == np.int64 and (targets == 9).all()


def test_wrong_arguments_are_named():
    ids, rng = texts(2, 10), np.random.default_rng(0)
    with pytest.raises(TypeError, match="ids must be a NumPy array of integers, but it is a list"):
        masking.masked([[1, 2]], V, MASK, SPECIAL, rng)
    with pytest.raises(TypeError, match="ids must be a NumPy array of integers, but it is an array of float64"):
        masking.masked(ids.astype(float), V, MASK, SPECIAL, rng)
    with pytest.raises(ValueError, match="ids must lie between 0 and vocab_size - 1 = 9"):
        masking.masked(ids, 10, MASK, SPECIAL, rng)
    with pytest.raises(ValueError, match="mask_id must hold ids between 0 and vocab_size - 1 = 499, but it holds 500"):
        masking.masked(ids, V, 500, SPECIAL, rng)
    with pytest.raises(ValueError, match=r"special must hold ids between .*, but it holds '\[SEP\]'"):
        masking.masked(ids, V, MASK, (1, "[SEP]"), rng)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator, but it is a int"):
        masking.masked(ids, V, MASK, SPECIAL, 0)
    with pytest.raises(ValueError, match=r"tokens must be an array of booleans shaped like ids, \(2, 10\)"):
        masking.masked(ids, V, MASK, SPECIAL, rng, tokens=np.ones((2, 9), bool))
    with pytest.raises(ValueError, match="share must be between 0 and 1, but it is 15"):
        masking.masked(ids, V, MASK, SPECIAL, rng, share=15)

"""The encoder-decoder as a whole: sizes, names, initialisation, probes for what no gradient check sees, its errors; it learns."""
import math
from dataclasses import replace

import numpy as np
import pytest
from test_contract import assert_like, assert_same, copy
from test_golden import CLOSE, read

from nanolm import params, threads
from nanolm.generation import translate
from nanolm.layers import positions
from nanolm.models import seq2seq, seq2seq_input
from nanolm.training.optimizers import adamw

BOTH_BACKENDS = True

POST = seq2seq.Config(17, 9, 2, 2, 8, 12, dropout=0.0)
PRE = seq2seq.Config(17, 9, 2, 2, 8, 12, source_vocab_size=13, shared=False, dropout=0.0, norm="pre", form="tanh")
CONFIGS = pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])


def draw(config, seed=0, B=3, S=6, T=7, dtype=np.float64):
    """Return p, source, target_in, targets: random, gains and biases too."""
    rng = np.random.default_rng(seed)
    p = seq2seq.init(config, rng, dtype)
    for array in params.flatten(p).values():
        array += (0.3 * rng.standard_normal(array.shape)).astype(dtype)
    source = rng.integers(0, config.source_vocab_size or config.vocab_size, (B, S))
    return p, source, rng.integers(0, config.vocab_size, (B, T)), rng.integers(0, config.vocab_size, (B, T))


def count(config):
    return sum(math.prod(shape) for shape in params.flatten(seq2seq.shapes(config)).values())


def test_published_sizes():
    """Table 3 of the paper: 65 and 213 million. It counts in a way that it does not say; ours are within 3 %."""
    assert count(seq2seq.Config()) == 63_082_496 and abs(count(seq2seq.Config()) / 65e6 - 1) < 0.03
    big = seq2seq.Config(n_head=16, n_embd=1024, n_hidden=4096, dropout=0.3)
    assert count(big) == 214_245_376 and abs(count(big) / 213e6 - 1) < 0.01


def test_names():
    encoder = "ln_1 attn.c_attn attn.c_proj ln_2 mlp.c_fc mlp.c_proj"
    decoder = "ln_1 attn.c_attn attn.c_proj ln_2 cross_attn.c_attn cross_attn.c_proj ln_3 mlp.c_fc mlp.c_proj"
    stacks = [f"{stack}.h.0.{layer}.{kind}" for stack, block in (("encoder", encoder), ("decoder", decoder))
              for layer in block.split() for kind in ("weight", "bias")]
    config = replace(POST, n_layer=1)
    assert list(params.flatten(seq2seq.shapes(config))) == ["embed.weight", *stacks]
    names = set(params.flatten(seq2seq.shapes(replace(config, shared=False, norm="pre"))))
    norms = {f"{stack}.norm.{k}" for stack in ("encoder", "decoder") for k in ("weight", "bias")}
    assert names == {"source_embed.weight", "target_embed.weight", "head.weight", *stacks, *norms}


@pytest.mark.parametrize("config", [seq2seq.Config(11, 8, 2, 2, 6, 7), seq2seq.Config(
    11, 8, 2, 2, 6, 7, 9, False, label_smoothing=0.0, norm="pre", form="tanh")], ids=["post", "pre"])
def test_pytorchs_transformer(config):
    """Arrays that torch.nn.Transformer made, with an embedding, the formula of the positions and a head around it."""
    inputs, gradients, fixed, arrays = read(f"seq2seq_{config.norm}")
    p, lengths = params.unflatten(inputs), fixed["source_lengths"]
    z = seq2seq.logits(p, fixed["source"], fixed["target_in"], config, lengths)
    np.testing.assert_allclose(z, arrays["logits"], **CLOSE)
    loss, cache = seq2seq.forward(p, fixed["source"], fixed["target_in"], fixed["targets"], config, lengths)
    np.testing.assert_allclose(loss, arrays["out"], **CLOSE)
    dp = params.flatten(seq2seq.backward(cache))
    assert sorted(dp) == sorted(gradients)
    for name in dp:
        np.testing.assert_allclose(dp[name], gradients[name], **CLOSE, err_msg=name)


@CONFIGS
def test_initial_spread_and_loss(config):
    config = replace(config, vocab_size=500, source_vocab_size=0, block_size=32, n_layer=3, n_embd=64, n_hidden=100,
                     label_smoothing=0.0)
    p = params.flatten(seq2seq.init(config, np.random.default_rng(0)))
    assert {name: a.shape for name, a in p.items()} == params.flatten(seq2seq.shapes(config))
    for name, array in p.items():
        assert array.dtype == np.float32
        if array.ndim == 1:
            assert (array == name.endswith("weight")).all()
        else:
            expected = 1 / 8 if "embed" in name or "head" in name else math.sqrt(2 / 164) if "mlp" in name else 1 / 8
            assert abs(array.std() / expected - 1) < 5 / math.sqrt(2 * array.size), name
    rng = np.random.default_rng(1)
    source, target_in, targets = rng.integers(0, 500, (3, 8, 32))
    loss, _ = seq2seq.forward(params.unflatten(p), source, target_in, targets, config)
    assert abs(loss - (math.log(500) + 0.5)) < 0.15, "logits of variance 1 that know nothing: ln V + 1 / 2"


@CONFIGS
def test_no_target_token_reads_the_future_and_every_one_reads_the_source(config):
    p, source, target_in, _ = draw(config)
    z = seq2seq.logits(p, source, target_in, config)
    for t in range(1, 7):
        changed = target_in.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 17
        y = seq2seq.logits(p, source, changed, config)
        assert np.array_equal(y[:, :t], z[:, :t]) and (y[:, t:] != z[:, t:]).all()
    for s in range(6):
        changed = source.copy()
        changed[:, s] = (changed[:, s] + 1) % 13
        assert (seq2seq.logits(p, changed, target_in, config) != z).all()


@CONFIGS
def test_what_fills_a_source_moves_nothing(config):
    p, source, target_in, targets = draw(config)
    lengths = np.array([4, 6, 1])
    loss, cache = seq2seq.forward(p, source, target_in, targets, config, lengths)
    dp = seq2seq.backward(cache)
    other = source.copy()
    other[0, 4:], other[2, 1:] = 3, 5
    again, cache = seq2seq.forward(p, other, target_in, targets, config, lengths)
    assert again == loss
    for (name, one), other_one in zip(params.flatten(dp).items(), params.flatten(seq2seq.backward(cache)).values()):
        np.testing.assert_allclose(one, other_one, rtol=1e-12, atol=1e-14, err_msg=name)
    for b, n in enumerate(lengths):                                         # and a text alone, without filling, gets the same
        alone = seq2seq.logits(p, source[b:b + 1, :n], target_in[b:b + 1], config)
        np.testing.assert_allclose(alone[0], seq2seq.logits(p, source, target_in, config, lengths)[b], rtol=1e-9, atol=1e-11)


@CONFIGS
def test_what_fills_a_target_moves_nothing(config):
    p, source, target_in, targets = draw(config)
    targets[0, 4:] = targets[2, 5:] = -100
    loss, cache = seq2seq.forward(p, source, target_in, targets, config)
    other = target_in.copy()
    other[0, 5:], other[2, 6:] = 1, 2                       # one later than the last target that counts, and further
    again, other_cache = seq2seq.forward(p, source, other, targets, config)
    assert abs(again - loss) < 1e-13
    for one, other_one in zip(*(params.flatten(seq2seq.backward(c)).values() for c in (cache, other_cache))):
        np.testing.assert_allclose(one, other_one, rtol=1e-10, atol=1e-14)


@CONFIGS
def test_order_matters_and_positions_are_added_to_scaled_embeddings(config):
    p, source, target_in, _ = draw(config)
    source[:, :2] = 3, 5
    swapped = source.copy()
    swapped[:, :2] = 5, 3
    assert np.abs(seq2seq.logits(p, swapped, target_in, config) - seq2seq.logits(p, source, target_in, config)).max() > 1e-3
    x, _ = seq2seq_input.forward(source, np.ones((17, 8)), config)
    np.testing.assert_allclose(x, np.broadcast_to(8 ** 0.5 + positions.sinusoidal(6, 8, np.float64), x.shape), rtol=1e-14)


def test_one_table_gets_the_sum_of_three_gradients():
    """Three tables that hold the same numbers: the same loss; the shared table's gradient is the sum of theirs."""
    p, source, target_in, targets = draw(POST)
    loss, cache = seq2seq.forward(p, source, target_in, targets, POST)
    shared = seq2seq.backward(cache)["embed"]["weight"]
    weight = p["embed"]["weight"]
    apart = {"source_embed": {"weight": weight}, "target_embed": {"weight": weight}, "head": {"weight": weight.T.copy()},
             "encoder": p["encoder"], "decoder": p["decoder"]}
    same_loss, cache = seq2seq.forward(apart, source, target_in, targets, replace(POST, shared=False))
    dp = seq2seq.backward(cache)
    parts = [dp["source_embed"]["weight"], dp["target_embed"]["weight"], dp["head"]["weight"].T]
    assert math.isclose(loss, same_loss, rel_tol=1e-12) and all(np.abs(part).max() > 1e-3 for part in parts)
    np.testing.assert_allclose(shared, sum(parts), rtol=1e-10, atol=1e-13)


def test_smoothing_is_a_mixture_of_two_losses():
    """(C3): (1 - s) times the plain loss, and s times the average loss over all V tokens that could have come."""
    p, source, target_in, targets = draw(POST)
    plain = replace(POST, label_smoothing=0.0)
    average = np.mean([seq2seq.forward(p, source, target_in, np.full_like(targets, v), plain)[0] for v in range(17)])
    loss = seq2seq.forward(p, source, target_in, targets, POST)[0]
    assert math.isclose(loss, 0.9 * seq2seq.forward(p, source, target_in, targets, plain)[0] + 0.1 * average, rel_tol=1e-12)


@CONFIGS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contract(config, dtype):
    """DESIGN.md's rules: dtypes, keys, the second call, nothing written to; with dropout, and a source without text."""
    p, source, target_in, targets = draw(config, dtype=dtype)
    lengths = np.array([6, 0, 3])
    given = (p, source, target_in, targets, lengths)
    before = copy(given)
    loss, cache = seq2seq.forward(*given[:4], replace(config, dropout=0.2), lengths, rng=np.random.default_rng(3))
    assert loss.dtype == dtype and np.isfinite(loss)
    cache_before = copy(cache)
    dp = seq2seq.backward(cache)
    assert_like(dp, p)
    assert list(params.flatten(dp)) == list(params.flatten(p))
    first = copy(dp)
    assert_same(first, seq2seq.backward(cache))
    assert_same(first, dp)
    assert_same(before, given)
    assert_same(cache_before, cache)
    assert seq2seq.logits(p, source, target_in, config).dtype == dtype
    config_drop = replace(config, dropout=0.2)
    assert seq2seq.forward(*given[:4], config_drop, lengths, rng=np.random.default_rng(4))[0] != loss, "another mask"
    assert seq2seq.forward(*given[:4], config_drop)[0] == seq2seq.forward(*given[:4], config)[0], "no rng, no dropout"


@CONFIGS
def test_a_step_downhill_lowers_the_loss_as_predicted(config):
    """(loss(p - h g) - loss(p)) / h must be -|g|^2 for small h: the gradient is the steepest way, and of the right size."""
    p, *texts = draw(config)
    loss, cache = seq2seq.forward(p, *texts, config)
    g, flat, h = params.flatten(seq2seq.backward(cache)), params.flatten(p), 1e-7
    moved = params.unflatten({n: flat[n] - h * g[n] for n in flat})
    slope = (seq2seq.forward(moved, *texts, config)[0] - loss) / h
    assert math.isclose(slope, -sum((a * a).sum() for a in g.values()), rel_tol=1e-3)


@pytest.mark.parametrize("change, error, words", [
    (dict(source=np.array([[0, 1, 17]] * 3)), ValueError, r"ids\[0, 2\] is 17"),
    (dict(source=np.zeros((3, 10), int)), ValueError, r"source must be .* \(B, T\) with 1 <= T <= 9, because block_size is 9"),
    (dict(target_in=np.zeros(3, int)), ValueError, r"target_in must be an array .* but it is \(3,\). .* target_in\[None\]"),
    (dict(target_in=[[1]]), ValueError, "but it is a list"),
    (dict(target_in=np.zeros((2, 7), int)), ValueError, r"one text for each source, .* \(3, 6, 8\), and target_in \(2, 7\)"),
    (dict(targets=np.zeros((3, 6), int)), ValueError, "one target for each row of logits"),
    (dict(source_lengths=[1, 2]), ValueError, "source_lengths must hold one length for each source, 3, but it holds 2"),
    (dict(source_lengths=[1, 2, 7]), ValueError, "lengths must lie between 0 and S = 6"),
    (dict(source_lengths=[1.0, 2, 3]), TypeError, "lengths must be a list of integers"),
    (dict(p={}), ValueError, "p must have the keys embed, encoder, decoder"),
    (dict(config=replace(POST, n_layer=3)), ValueError, "one entry a block, must have the keys 0, 1, 2; missing: 2"),
    (dict(config=replace(POST, norm="pre")), ValueError, r"must have the keys h, norm; missing: norm"),
    (dict(config=replace(POST, vocab_size=18)), ValueError, r"embed weight must have the shape \(18, 8\)")])
def test_wrong_arguments_are_named(change, error, words):
    p, source, target_in, targets = draw(POST)
    given = dict(p=p, source=source, target_in=target_in, targets=targets, config=POST)
    with pytest.raises(error, match=words):
        seq2seq.forward(**{**given, **change})


@pytest.mark.parametrize("change, error, words", [
    (dict(n_head=3), ValueError, "n_head must divide n_embd, but 512 / 3 is not whole"),
    (dict(n_layer=0), ValueError, "n_layer must be at least 1, but it is 0"),
    (dict(n_hidden=2.5), TypeError, "n_hidden must be a whole number"),
    (dict(source_vocab_size=5), ValueError, "they cannot share one table"),
    (dict(norm="both"), ValueError, "norm must be one of post, pre, but it is 'both'"),
    (dict(form="gelu"), ValueError, "form must be one of relu, tanh, erf, but it is 'gelu'"),
    (dict(dropout=1), ValueError, "dropout must be at least 0 and below 1"),
    (dict(label_smoothing=-0.1), ValueError, "label_smoothing must be at least 0"),
    (dict(eps=0), ValueError, "eps must be above 0")])
def test_wrong_configs_are_named(change, error, words):
    with pytest.raises(error, match=words):
        seq2seq.Config(**change)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        seq2seq.init(POST, 0)
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        seq2seq.init(POST, np.random.default_rng(0), int)


START, END = 10, 11                                                         # the other tokens are the ten digits


def reversing(rng, n_texts, longest=6):
    """Return source, source_lengths, target_in, targets: random digits, 2 to `longest` of them, and the same backwards."""
    source, lengths = rng.integers(0, 10, (n_texts, longest)), rng.integers(2, longest + 1, n_texts)
    target_in, targets = np.full((n_texts, longest + 1), END), np.full((n_texts, longest + 1), -100)
    target_in[:, 0] = START
    for b, n in enumerate(lengths):
        target_in[b, 1:n + 1] = targets[b, :n] = source[b, n - 1::-1][:n]
        targets[b, n] = END
    return source, lengths, target_in, targets


@pytest.mark.plain_only
def test_it_learns_to_reverse_digits_that_it_has_never_seen():
    """The paper's form, one block a stack, 21,760 weights, 700 steps of AdamW, warm-up first: then 95 % exact and more."""
    config = seq2seq.Config(12, 7, 1, 4, 32, 64, dropout=0.0)
    rng, steps, warmup, seen = np.random.default_rng(0), 700, 70, set()
    p = seq2seq.init(config, rng)
    flat = params.flatten(p)
    state = adamw.init(flat)
    with threads.one_for_blas():                                            # small products: a second thread would only wait
        for step in range(1, steps + 1):
            source, lengths, target_in, targets = reversing(rng, 64)
            seen.update(tuple(text[:n]) for text, n in zip(source, lengths))
            loss, cache = seq2seq.forward(p, source, target_in, targets, config, lengths, rng)
            lr = 0.006 * min(step / warmup, (steps - step) / (steps - warmup))
            adamw.step(flat, params.flatten(seq2seq.backward(cache)), state, lr, beta2=0.98, weight_decay=0.0)
    source, lengths, _, targets = reversing(rng, 1000)
    made = translate.greedy(p, config, source, 7, START, END, lengths)
    new = [tuple(text[:n]) not in seen for text, n in zip(source, lengths)]
    exact = [ids == [*backwards[:n], END] for ids, backwards, n in zip(made, targets, lengths)]
    assert sum(new) > 300
    assert np.mean([one for one, unseen in zip(exact, new) if unseen]) > 0.95
    unseen = new.index(True)
    best, *_ = translate.beam(p, config, source[unseen, :lengths[unseen]], 7, START, END)
    assert list(best.ids) == [*targets[unseen, :lengths[unseen]], END]

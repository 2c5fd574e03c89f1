"""Cases of BERT's tanh and pooler and of its heads: (title, arguments, options); cases.py says what they are for."""
import numpy as np

from nanolm.gradcheck.draws import dense, randomised
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token


def _tanh(rng):
    yield "-3 to 3", (np.linspace(-3, 3, 15).reshape(3, 5),), {}
    yield "flat ends", (np.outer([-1, 1], [5.0, 8, 12]),), {}
    yield "four axes", (rng.standard_normal((2, 3, 2, 4)),), {}


def _pooler(rng):
    n = rng.standard_normal
    yield "three axes", (n((2, 3, 5)), dense(rng, 5, 5)), {}
    yield "square", (n((4, 4, 4)), dense(rng, 4, 4)), {}
    yield "one token", (n((3, 1, 2)), dense(rng, 2, 2)), {}


def _example(model, config, rng, T, B=3):
    """Return p and ids (B, T) for a head; the last two tokens of the vocabulary are never read, and two texts are alike."""
    p, ids = randomised(model.init(config, rng), rng), rng.integers(0, config.vocab_size - 2, (B, T))
    ids[1] = ids[0]
    return p, ids


def _mixed(rng, T, B=3):
    """Return options with both segments and with padding, the second text being as long as T."""
    lengths = rng.integers(2, T + 1, B)
    lengths[1] = T
    return {"segments": rng.integers(0, 2, (B, T)), "mask": np.arange(T) < lengths[:, None]}


def _bert_pretraining(rng):
    def targets(config, shape, mask=True):
        chosen = (rng.random(shape) < 0.4) & mask
        chosen[:, 0], chosen[1, :2] = False, True                           # [CLS] is never masked but in the second text
        return np.where(chosen, rng.integers(0, config.vocab_size, shape), -100)
    config, mixed = bert.Config(11, 7, 2, 2, 6, 9), _mixed(rng, 5)
    p, ids = _example(bert_pretraining, config, rng, 5)
    of = targets(config, (3, 5), mixed["mask"])
    yield "two blocks, padding", (p, ids, of, config), {"next_targets": np.array([1, 0, -100]), **mixed}
    config = bert.Config(9, 4, 1, 1, 5, pooler=False, form="tanh")
    yield "masked tokens alone, full length", (*_example(bert_pretraining, config, rng, 4), targets(config, (3, 4)), config), {}
    config = bert.Config(10, 6, 3, 3, 6, 5, n_segment=3, dropout=0.2)
    yield "three blocks, dropout", (*_example(bert_pretraining, config, rng, 5), targets(config, (3, 5)), config), {
        "next_targets": np.array([1, 1, 0]), "rng": np.random.default_rng(8)}
    config = bert.Config(7, 4, 1, 2, 4, 4)
    yield "next sentence alone", (*_example(bert_pretraining, config, rng, 4), np.full((3, 4), -100), config), {
        "next_targets": np.array([1, 0, 0])}


def _bert_sequence(rng):
    config = bert.Config(11, 7, 2, 2, 6, 9, n_class=4)
    targets = np.array([2, 3, -100])
    yield "two blocks, padding", (*_example(bert_sequence, config, rng, 5), targets, config), _mixed(rng, 5)
    config = bert.Config(9, 4, 1, 1, 5, n_class=3)
    yield "one head, full length", (*_example(bert_sequence, config, rng, 4), np.array([0, 2, 0]), config), {}
    config = bert.Config(10, 6, 3, 3, 6, 5, dropout=0.2)
    yield "three blocks, dropout", (*_example(bert_sequence, config, rng, 5), np.array([1, 1, 0]), config), {
        "rng": np.random.default_rng(9), "mask": np.array([5, 3, 2])}


def _bert_token(rng):
    def targets(config, shape, mask=True):
        return np.where((rng.random(shape) < 0.8) & mask, rng.integers(0, config.n_class, shape), -100)
    config, mixed = bert.Config(11, 7, 2, 2, 6, 9, n_class=4), _mixed(rng, 5)
    of = targets(config, (3, 5), mixed["mask"])
    yield "two blocks, padding", (*_example(bert_token, config, rng, 5), of, config), mixed
    config = bert.Config(9, 4, 1, 1, 5, n_class=3, pooler=False)
    yield "one head, full length", (*_example(bert_token, config, rng, 4), targets(config, (3, 4)), config), {}
    config = bert.Config(10, 6, 3, 3, 6, 5, dropout=0.2)
    yield "three blocks, dropout", (*_example(bert_token, config, rng, 5), targets(config, (3, 5)), config), {
        "rng": np.random.default_rng(10)}


def _bert_span(rng):
    config, mixed = bert.Config(11, 7, 2, 2, 6, 9), _mixed(rng, 5)
    targets = np.array([[0, 1], [2, 4], [1, -100]])
    yield "two blocks, padding", (*_example(bert_span, config, rng, 5), targets, config), mixed
    config = bert.Config(9, 4, 1, 1, 5, pooler=False)
    targets = np.array([[3, 3], [0, 2], [-100, -100]])
    yield "one head, full length", (*_example(bert_span, config, rng, 4), targets, config), {}
    config = bert.Config(10, 6, 3, 3, 6, 5, dropout=0.2)
    targets = np.array([[3, 4], [0, 2], [1, 1]])
    yield "three blocks, dropout", (*_example(bert_span, config, rng, 5), targets, config), {"rng": np.random.default_rng(11)}


BUILDERS = {"tanh": _tanh, "pooler": _pooler, "bert_pretraining": _bert_pretraining, "bert_sequence": _bert_sequence,
            "bert_token": _bert_token, "bert_span": _bert_span}
MODELS = ("bert_pretraining", "bert_sequence", "bert_token", "bert_span")

"""Sentence vectors: the definition, what padding and batches must not do, and the search."""
import numpy as np
import pytest

from nanolm import params, text
from nanolm.checkpoint import Loaded
from nanolm.generation import sentences
from nanolm.models import bert

WORDS = "the cat sat on the mat and a dog ran to the big red house while it rained all day long " * 10


@pytest.fixture(scope="module")
def loaded():
    tokenizer = text.WordPiece.train(WORDS, 120)
    config = bert.Config(vocab_size=tokenizer.vocab_size, block_size=12, n_layer=2, n_head=2, n_embd=16)
    rng = np.random.default_rng(0)
    p = {name: a + rng.normal(0, 0.3, a.shape) for name, a in params.flatten(bert.init(config, rng, np.float64)).items()}
    return Loaded(bert, config, {"bert": params.unflatten(p)}, tokenizer, "here")


TEXTS = ["the cat", "a dog ran to the big red house while it rained all day long", "mat", "the cat sat on the mat", "dog"]


def test_the_definition(loaded):
    for one, v in zip(TEXTS, sentences.vectors(loaded, TEXTS)):
        ids = loaded.tokenizer.encode_pair(one, max_length=12)[0][None].astype(np.int64)
        x, _ = bert.forward(loaded.p["bert"], ids, loaded.config)
        mean = x[0].mean(axis=0)
        np.testing.assert_allclose(v, mean / np.linalg.norm(mean), rtol=1e-10, atol=1e-12)
        assert ids.shape[1] <= 12


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_neighbours_in_a_batch_change_nothing(loaded, batch_size):
    together = sentences.vectors(loaded, TEXTS)
    assert np.abs(together @ together.T - 1).max() > 0.01, "the texts differ"
    np.testing.assert_allclose(sentences.vectors(loaded, TEXTS, batch_size), together, rtol=1e-10, atol=1e-12)


def test_the_search_finds_the_nearest_first(loaded):
    v = sentences.vectors(loaded, TEXTS)
    found = sentences.search(v[3], v, 3)
    assert found[0] == (pytest.approx(1), 3) and [score for score, _ in found] == sorted((score for score, _ in found), reverse=True)
    assert len(sentences.search(v[0], v, 50)) == 5


def test_another_model_is_refused(loaded):
    with pytest.raises(ValueError, match="elsewhere is no BERT"):
        sentences.vectors(Loaded(bert, loaded.config, {"wte": 0}, loaded.tokenizer, "elsewhere"), ["a"])


def test_one_text_is_no_list_of_letters(loaded):
    with pytest.raises(TypeError, match="texts must be a list of texts"):
        sentences.vectors(loaded, "the cat")


def test_a_tokenizer_of_another_kind_is_refused(loaded):
    with pytest.raises(ValueError, match="has no WordPiece tokenizer"):
        sentences.vectors(Loaded(bert, loaded.config, loaded.p, None, "elsewhere"), ["a"])


def test_progress_counts_every_token_once(loaded):
    told = []
    sentences.vectors(loaded, TEXTS, 2, progress=told.append)
    assert len(told) == 3 and sum(told) == sum(len(loaded.tokenizer.encode_pair(one, max_length=12)[0]) for one in TEXTS)

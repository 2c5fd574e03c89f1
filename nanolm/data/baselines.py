"""What a loss is worth: bits per character that simple predictors reach on the same validation text.

    uniform                 every character of the training text alike: log2 V bits, if validation has no others
    unigram ... 5-gram      counting characters in contexts of 0 to 4, Witten-Bell smoothing (ngram.py)
    zlib, lzma alone        the size of the compressed validation text (UTF-8)
    ... after training      how many bytes longer training + validation is than training alone, compressed: what the
                            compressor gains by having read the training text. zlib looks back 32 KiB only.

All are upper bounds on the entropy of the text by somebody who knows less than a language model. The n-grams see the
validation text character by character, as a model does; no weight is fitted to it.

    bits per character = -(1 / M) sum_i log2 P(c_i | what is before it)      M characters (code points) of validation
    nats = bits * ln 2;   a model on tokens: its loss in nats * tokens / (M ln 2)

Rule for the unseen: the uniform model, like the unigram, keeps V / (N + V) for all code points together (N characters,
V kinds in training), so that a character that training never had costs many bits and not infinitely many.
"""
import zlib

import numpy as np

from nanolm.data import ngram

NAMES = ("uniform", "unigram", "bigram", "trigram", "4-gram", "5-gram",
         "zlib alone", "zlib after training", "lzma alone", "lzma after training")
LIMIT = 5_000_000               # characters of training text that are counted and compressed: the last ones


def measure(train, validation, progress=None, limit=LIMIT):
    """Return {name: bits per character of validation}, in the order of NAMES.

    train, validation: str. Only the last `limit` characters of train are used, so that memory and time stay small.
    progress(done, total) is called as the work goes on. lzma is left out where this Python has none (some browsers).
    Raises ValueError if either text is empty.
    """
    for name, text in (("train", train), ("validation", validation)):
        if not text:
            raise ValueError(f"{name} is empty: there is nothing to measure.")
    train = train[-limit:]
    steps, done = 9, 0

    def report(*_):
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    bits = {"uniform": bits_per_character(uniform(train, validation))}
    for name, P in zip(NAMES[1:6], ngram.probabilities(train, validation, 5, report)):
        bits[name] = bits_per_character(P)
    for name, compress in compressors().items():
        bits[f"{name} alone"] = compressed(compress, validation)
        report()
        bits[f"{name} after training"] = compressed(compress, validation, train)
        report()
    return bits


def bits_per_character(P):
    """Return the mean of -log2 P. P: (M,) probabilities of the characters that came."""
    return float(-np.log2(P).mean())


def uniform(train, text):
    """Return P (M,): N / V is what each kind would have counted; the rest is shared as in ngram.py."""
    seen, N = np.unique(ngram.code_points(train)), len(train)
    V = len(seen)
    return (np.isin(ngram.code_points(text), seen) * (N / V) + V / ngram.CODE_POINTS) / (N + V)


def compressors():
    """Return {name: function from bytes to bytes}, each at its strongest ordinary setting."""
    found = {"zlib": lambda data: zlib.compress(data, 9)}
    try:
        import lzma
        found["lzma"] = lambda data: lzma.compress(data, preset=9)      # a dictionary of 64 MiB: all of the text
    except ImportError:
        pass
    return found


def compressed(compress, text, before=""):
    """Return the bits per character that compress spends on text, when it has read `before`."""
    first, both = before.encode("utf-8", "surrogatepass"), (before + text).encode("utf-8", "surrogatepass")
    return 8 * (len(compress(both)) - (len(compress(first)) if before else 0)) / len(text)

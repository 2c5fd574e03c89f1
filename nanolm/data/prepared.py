"""What a run needs of a text before its first step, kept in the cache folder, so that the second run begins at once.

    tokenizer     trained on the training text          a second or more of work
    ids           of both texts                         0.3 s
    baselines     n-grams, zlib, lzma                   3 s

All follow from the two texts, the kind of tokenizer and its size, and from the source of nanolm that computes them. So
they are kept in folders whose names are a hash of these; what has the same name has the same content. As in keep.py,
nothing here is an error: a file that is missing or damaged (a checksum tells) is made again, a folder that cannot be
written keeps nothing. The FOLDERS used last are kept; texts of more than LARGEST characters are not, because their ids
would fill the disk.

Tested    tests/test_prepared.py.
"""
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanolm import files, text
from nanolm.data import baselines, keep, ngram

FOLDERS = 20
LARGEST = 20_000_000            # characters of both texts
NAME, PARTS = "prepared-", ("train", "validation")


@dataclass(frozen=True)
class Prepared:
    tokenizer: object
    train_ids: np.ndarray           # int32
    validation_ids: np.ndarray
    baselines: dict                 # name: bits per character


def prepare(corpus, kind, vocab_size=None, on_tokenizer=None, on_baselines=None, cache=None):
    """Return the Prepared of a Corpus: from the cache folder, or made and kept there.

    kind, vocab_size   as in text.train       on_tokenizer, on_baselines   progress(done, total) of either, if it is made
    cache              as in keep.py: None the per-user folder, False none
    """
    if len(corpus.train) + len(corpus.validation) > LARGEST:
        cache = False
    place, texts = keep.folder(cache), (corpus.train, corpus.validation)
    folder = place and place / _name("tokens", [text], *texts, kind, str(vocab_size))
    tokenizer, ids = _kept(folder, text.load), _kept(folder, lambda folder: [_read(folder / part) for part in PARTS])
    if tokenizer is None or ids is None:
        tokenizer = text.train(kind, corpus.train, vocab_size, on_tokenizer)
        ids = [tokenizer.encode(one) for one in texts]
        _keep(folder, tokenizer.save, *((part, one.astype("<i4").tobytes()) for part, one in zip(PARTS, ids)))
    else:
        ids = [np.frombuffer(data, "<i4").astype(np.int32) for data in ids]

    folder = place and place / _name("baselines", [baselines, ngram], *texts)
    measured = _kept(folder, lambda folder: json.loads(_read(folder / "baselines")))
    if measured is None:
        measured = baselines.measure(*texts, on_baselines)
        _keep(folder, None, ("baselines", json.dumps(measured).encode("ascii")))
    return Prepared(tokenizer, *ids, measured)


def _name(what, modules, *parts):
    """Return a folder's name: a hash of the parts, each a str, and of the sources of the modules (all of a package)."""
    digest = hashlib.blake2b(digest_size=12)
    for module in modules:
        path = Path(module.__file__)
        for source in sorted(path.parent.glob("*.py")) if path.stem == "__init__" else [path]:
            digest.update(source.read_bytes())
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return f"{NAME}{what}-{digest.hexdigest()}"


def _kept(folder, read):
    """Return read(folder), or None."""
    try:
        if folder is None or not folder.is_dir():
            return None
        os.utime(folder)                                        # used: it stays
        return read(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(path):
    """Return the bytes that _keep wrote. Raises ValueError if they were altered."""
    data = path.read_bytes()
    if data[:16] != _checksum(data[16:]):
        raise ValueError(f"{path} is damaged.")
    return data[16:]


def _keep(folder, save, *parts):
    """Make the folder; call save(folder), and write each (name, bytes); remove the oldest folders."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if save:
            save(folder)
        for name, data in parts:
            files.atomic_write(folder / name, _checksum(data) + data)
        for old in sorted(folder.parent.glob(f"{NAME}*"), key=lambda path: path.stat().st_mtime, reverse=True)[FOLDERS:]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        pass


def _checksum(data):
    return hashlib.blake2b(data, digest_size=16).digest()

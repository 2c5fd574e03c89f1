"""The index of a search: the vectors of all passages that were read once, so that a second search reads the question alone.

    folder/<model>/vectors-<number>.safetensors     "vectors" (n, C), a row for each passage, file after file
    folder/<model>/index.json                       which vectors belong to it; for each file its size, time, SHA-256,
                                                    encoding and passages

<model> is a hash of the weights and of the vocabulary, so each model has an index of its own. A file of the same size and time is
taken for the same; of another time, but the same SHA-256, too. Everything else is read again.

Both files are written to a temporary name and renamed, the vectors first. index.json names the vectors that it belongs to,
so whatever moment a program is killed in, the pair that index.json speaks of is whole. An index that is damaged all the same is
built anew. The text of the files is not kept, only where each passage begins and ends.

Tested    tests/test_search.py.
"""
import hashlib
import json
import os
import secrets
from pathlib import Path

import numpy as np

from nanolm import files, params

VERSION = 1                                     # of the format, and of how texts are cut: another one is built anew


def fingerprint(loaded):
    """Return 16 hexadecimal digits that stand for a model: its weights and its vocabulary."""
    found = hashlib.sha256(json.dumps(loaded.tokenizer.vocabulary).encode())
    for name, array in params.flatten(loaded.p).items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:16]


class Index:
    """The index in `folder` (a Path; None: it is kept in memory alone) for vectors of C numbers.

        index.current(path, encoding)            the entry of this file as it is now, or None if it must be read
        index.put(path, state, passages, vectors)     state: state(path) before it was read;
                                                      passages [[place, line, start, end], ...]
        index.save()
    `damage` is a sentence if there was an index that could not be read, otherwise "".
    """

    def __init__(self, folder, C):
        self.folder, self.C, self.entries, self.damage, self.changed, self.name = folder, C, {}, "", False, ""
        if folder is not None and (folder / "index.json").exists():
            try:
                self._read()
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                self.entries, self.damage = {}, f"the index in {folder} is damaged and is built anew ({error})."

    def _read(self):
        from safetensors import SafetensorError
        from safetensors.numpy import load
        content = files.read_json(self.folder / "index.json")
        if content["version"] != VERSION:
            return
        self.name = Path(content["vectors"]).name
        try:
            vectors = load((self.folder / self.name).read_bytes())["vectors"]
        except SafetensorError as error:
            raise ValueError(f"{self.name}: {error}") from error
        if checksum(vectors, content["files"]) != content["sha256"]:
            raise ValueError("it is not what was written")
        first, entries = 0, {}
        for path, entry in content["files"].items():
            n = len(entry["passages"])
            entries[path] = {**entry, "vectors": vectors[first:first + n]}
            first += n
        self.entries = entries

    def current(self, path, encoding=None):
        """Return the entry of the file `path` (a Path) if the index has it as it is now, read so; otherwise None."""
        entry, now = self.entries.get(key(path)), path.stat()
        if entry is None or entry["encoding"] != encoding:
            return None
        if [now.st_size, now.st_mtime_ns] != [entry["size"], entry["time"]]:
            if now.st_size != entry["size"] or digest(path) != entry["sha256"]:
                return None
            entry["time"], self.changed = now.st_mtime_ns, True
        return entry

    def put(self, path, state, passages, vectors):
        """Keep the passages and vectors of the file `path`. state: what state(path) gave before the file was read."""
        self.entries[key(path)] = {**state, "passages": passages, "vectors": vectors.astype(np.float32)}
        self.changed = True

    def save(self):
        """Write the index, if anything has changed, without the files that are no longer there. Raises OSError."""
        if self.folder is None or not self.changed:
            return
        from safetensors.numpy import save
        entries = {path: entry for path, entry in self.entries.items() if Path(path).exists()}
        vectors = np.concatenate([np.zeros((0, self.C), np.float32), *(entry["vectors"] for entry in entries.values())])
        kept = {path: {key: value for key, value in entry.items() if key != "vectors"} for path, entry in entries.items()}
        name, old = f"vectors-{secrets.token_hex(8)}.safetensors", self.name
        content = {"version": VERSION, "vectors": name, "sha256": checksum(vectors, kept), "files": kept}
        self.folder.mkdir(parents=True, exist_ok=True)
        files.atomic_write(self.folder / name, save({"vectors": vectors}))
        files.atomic_write(self.folder / "index.json", json.dumps(content))
        self.name, self.changed = name, False
        if old:
            (self.folder / old).unlink(missing_ok=True)         # nobody speaks of it any more


def checksum(vectors, kept):
    """Return the SHA-256 of the vectors and of what index.json says of the files."""
    found = hashlib.sha256(np.ascontiguousarray(vectors))
    found.update(json.dumps(kept).encode())
    return found.hexdigest()


def state(path, encoding=None):
    """Return {"size", "time", "sha256", "encoding"} of the file `path` as it is now."""
    now = path.stat()
    return {"size": now.st_size, "time": now.st_mtime_ns, "sha256": digest(path), "encoding": encoding}


def digest(path):
    """Return the SHA-256 of a file's bytes. Raises OSError with a sentence."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise type(error)(f"could not read {path}: {error.strerror}.") from error


def key(path):
    """Return the name of a file in the index: its whole path, links followed."""
    return os.path.realpath(path)

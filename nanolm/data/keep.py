"""Keep documents that take seconds to collect in the per-user cache folder, as a convenience that may fail.

The folder is the one that the platform has for this (files.cache_folder: ~/.cache/nanolm, ~/Library/Caches/nanolm, ...). A
file is JSON: the documents, and a checksum of them. It is written whole or not at all. Nothing here is an error: a
folder that cannot be written keeps nothing, a file that is missing, torn or altered counts as not there, and the
caller collects again.
"""
import hashlib
import json
from pathlib import Path

from nanolm import files


def folder(cache=None):
    """Return the folder: `cache` if it is one, the per-user folder for None, None (keep nothing) for False."""
    if cache is False:
        return None
    if cache is not None and cache is not True:
        return Path(cache)
    try:
        return files.cache_folder()
    except ImportError:                                 # no platformdirs: a browser need not have it
        return None


def read(name, cache=None):
    """Return the list of documents kept under `name`, or None."""
    place = folder(cache)
    try:
        kept = json.loads((place / name).read_text("utf-8")) if place else None
        return kept["documents"] if kept and kept["checksum"] == checksum(kept["documents"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(name, documents, cache=None):
    """Keep the list of documents under `name`; do nothing where that cannot be done."""
    place = folder(cache)
    if place is None:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.atomic_write(place / name, json.dumps({"checksum": checksum(documents), "documents": documents}))
    except OSError:
        pass


def checksum(documents):
    """Return a checksum of a list of str: of the lengths too, so that moving a border between documents changes it."""
    return hashlib.blake2b(json.dumps(documents).encode("ascii"), digest_size=16).hexdigest()

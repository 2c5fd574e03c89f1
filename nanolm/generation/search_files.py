"""The reader's own files, as texts to be searched: which files, and what stands in them.

    listed(paths)     the files named, and every file in the folders named, with their subfolders
    read(path)        [(name, text)]: one pair, with the name "", for a file; one for each cell of a notebook, "cell 3"

Any text file is read, whatever its ending. In a folder, what begins with a dot (.git) and what programs keep there
(SKIPPED) is passed over, and so are binary files (a NUL byte), with one sentence a folder. A file that cannot be searched is a
ValueError or OSError with a sentence: binary, but named, not valid UTF-8, empty, larger than LARGEST. own_text.read decodes,
as for `nanolm train`.

Tested    tests/test_search.py.
"""
import json
import os
from pathlib import Path

from nanolm.data import own_text

LARGEST = 10_000_000                            # bytes; more would take an hour, and is seldom text that people wrote
SKIPPED = ("__pycache__", "node_modules")


def listed(paths):
    """Return the files, a list of Path in sorted order, each once, and a list of sentences on what is not there."""
    found, sentences = {}, []
    for path in map(Path, paths):
        if path.is_dir():
            inside, binary = walked(path, sentences), []
            for file in inside:
                if is_binary(file):
                    binary.append(file)
                else:
                    found.setdefault(os.path.realpath(file), file)
            if binary:
                more = len(binary) > 1
                sentences.append(f"{path} has {len(binary):,} binary file{'s' * more}, not searched: {binary[0].name}"
                                 f"{', ...' * more}")
            if not inside:
                sentences.append(f"the folder {path} is empty.")
        elif path.exists():
            found.setdefault(os.path.realpath(path), path)
        else:
            sentences.append(f"there is no file or folder {path}.")
    return list(found.values()), sentences


def walked(folder, sentences):
    """Return the files in a folder and its subfolders, in sorted order; what cannot be opened becomes a sentence."""
    def failed(error):
        sentences.append(f"could not read the folder {error.filename}: {error.strerror}.")

    found = []
    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)   # os.walk goes on so
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    return found


def is_binary(path):
    """Return True if there is a NUL byte near the beginning of a file that says of no encoding that it has such bytes."""
    try:
        with open(path, "rb") if path.is_file() else open(os.devnull, "rb") as file:
            data = file.read(8192)
    except OSError:
        return False                                    # said later, when it is to be read
    return b"\0" in data and not any(data.startswith(mark) for mark, _ in own_text.MARKS)


def check(path):
    """Raise ValueError, with a sentence, if path is no file that can be opened, or too large a one."""
    if not path.is_file():                              # a pipe would be waited for, for ever
        raise ValueError(f"{path} is no file that can be read.")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is huge: {path.stat().st_size:,} bytes, and files of up to {LARGEST:,} are searched. Cut it "
                         f"into parts.")


def read(path, encoding=None):
    """Return the texts of a file, [(name, text)], with "\\n" between the lines. Raises ValueError or OSError with a sentence."""
    check(path)
    text = own_text.read(path, encoding)
    texts = cells(path, text) if path.suffix == ".ipynb" else [("", text)]
    if not any(text.strip() for _, text in texts):
        raise ValueError(f"{path} is empty: there is no text in it.")
    return texts


def cells(path, text):
    """Return [("cell 1", its text), ...] of a notebook, without what its cells have printed."""
    try:
        sources = [cell["source"] for cell in json.loads(text)["cells"]]
        return [(f"cell {i}", "".join(source)) for i, source in enumerate(sources, 1)]      # a str, or a list of lines
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no notebook that can be read: {type(error).__name__}, {error}.") from error

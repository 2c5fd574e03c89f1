"""A text file or a folder of the reader's own, as a corpus.

A file     is cut into contiguous stretches (split.chunks), which are its documents.
A folder   is searched for text files (SUFFIXES), its subfolders too, in sorted order. Each file is a document if there
           are at least 20 and validation gets at least half of its budget that way; otherwise (few files, or huge
           ones) every file is cut into stretches like a single one. Hidden files and folders (a name that begins with
           a dot), binary files (a NUL byte in the first 8,192) and empty ones are skipped and counted.

Decoding   UTF-8 unless `encoding` says otherwise. A byte order mark decides for itself (UTF-8, UTF-16, UTF-32) and is
           not part of the text. A byte that cannot be decoded is an error that names the file and the place: replacing
           it in silence would teach the model rubbish.
Newlines   "\\r\\n" and a lone "\\r" become "\\n". Empty lines around a file become one blank line after it. Nothing
           else in the text is changed.
Errors     Every one is a sentence: FileNotFoundError, PermissionError, or ValueError (binary, not decodable, empty,
           shorter than MINIMUM characters, a folder without text).
"""
import codecs
import os
from pathlib import Path

from nanolm.data import split
from nanolm.data.corpus import Corpus

MINIMUM = 1_000                 # characters; of less than this a tenth is too little to measure anything on
SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".tex",
            ".py", ".c", ".h", ".js", ".java", ".go", ".rs")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))      # UTF-32's begins with UTF-16's


def load(path, encoding=None, seed=0):
    """Return the Corpus of the text file or folder at `path`. Raises the errors listed above."""
    path = Path(path)
    if path.is_dir():
        texts, note = _folder(path, encoding)
    elif path.is_file():
        texts, note = [read(path, encoding)], "one file"
    elif path.exists():
        raise ValueError(f"{path} is neither a file nor a folder. Give a text file, or a folder of text files.")
    else:
        raise FileNotFoundError(f"there is no file or folder {str(path)!r} (looked from {Path.cwd()}).")

    total = sum(map(len, texts))
    if not any(text.strip() for text in texts):
        raise ValueError(f"{path} is empty: there is no text to learn from.")
    if total < MINIMUM:
        raise ValueError(f"{path} is too short: {total:,} characters, and at least {MINIMUM:,} are needed to train and "
                         f"to measure. A useful model wants a hundred thousand or more.")

    parts, how = _split(texts, total, seed)
    train, validation = parts.texts()
    return Corpus(path.resolve().name or "text", train, validation, f"{path}: {note}, {how}.\n{parts}.")


def _split(texts, total, seed):
    """Return the Split, and in words how it was made: by whole files, or by stretches of them."""
    budget = min(split.CAP, split.FRACTION * total)
    if len(texts) >= 20:
        try:
            parts = split.split([split.document(text) for text in texts], seed=seed)
        except ValueError:                              # every file too large for validation
            parts = None
        if parts and sum(map(len, parts.validation)) + parts.removed_characters >= budget / 2:
            return parts, "each file a document"
    size = min(4_000, total // 100)                     # about a hundred documents, of a page at most
    pieces = [piece for text in texts for piece in split.chunks(split.document(text), size)]
    return split.split(pieces, seed=seed), f"cut into documents of {size:,} to {2 * size:,} characters"


def _folder(folder, encoding):
    """Return the texts of the files in folder, in sorted order, and a note that counts what was read and skipped."""
    def failed(error):
        raise PermissionError(f"could not read the folder {error.filename}: {error.strerror}.")

    texts, skipped = [], {"hidden": 0, "binary": 0, "empty": 0, "of another kind": 0}
    for place, folders, files in os.walk(folder, onerror=failed):
        skipped["hidden"] += sum(name.startswith(".") for name in folders + files)
        folders[:] = sorted(name for name in folders if not name.startswith("."))     # os.walk goes on in this order
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(place, name)
            if path.suffix.lower() not in SUFFIXES or not path.is_file():       # a pipe would be waited for, for ever
                skipped["of another kind"] += 1
                continue
            data = _bytes(path)
            if _is_binary(data, encoding):
                skipped["binary"] += 1
                continue
            text = _decode(path, data, encoding)
            if text.strip():
                texts.append(text)
            else:
                skipped["empty"] += 1
    counts = ", ".join(f"{count:,} {kind}" for kind, count in skipped.items() if count)
    if not texts:
        raise ValueError(f"the folder {folder} has no text files ({' '.join(SUFFIXES)}); "
                         f"skipped: {counts or 'nothing'}. A file with another ending can be given by its own name.")
    return texts, f"{len(texts):,} file{'s' * (len(texts) > 1)}" + (f" (skipped: {counts})" if counts else "")


def read(path, encoding=None):
    """Return the text of one file, as described under Decoding and Newlines. Raises the errors listed above."""
    path = Path(path)
    data = _bytes(path)
    if _is_binary(data, encoding):
        raise ValueError(f"{path} looks binary: byte {data.index(0):,} is NUL. Give a text file; if it is text in an "
                         f"encoding such as UTF-16, say so: encoding=\"utf-16\".")
    return _decode(path, data, encoding)


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise type(error)(f"could not read {path}: {error.strerror}.") from error


def _is_binary(data, encoding):
    return encoding is None and b"\0" in data[:8192] and not any(data.startswith(mark) for mark, _ in MARKS)


def _decode(path, data, encoding):
    name = encoding or next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(name)
    except LookupError:
        raise ValueError(f"encoding={encoding!r} is no encoding that Python knows. Examples: \"utf-8\", \"latin-1\", "
                         f"\"cp1252\", \"utf-16\", \"shift_jis\".") from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise ValueError(f"{path} is not valid {name}: byte {start:,} (0x{data[start]:02x}) cannot be decoded. If you "
                         f"know the encoding, say so, for example encoding=\"cp1252\" (Western Windows) or "
                         f"encoding=\"latin-1\"; otherwise save the file as UTF-8.") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")

"""The file a tokenizer is kept in: tokenizer.json, readable by a person, with a checksum.

    {"type": "characters", "bpe" or "wordpiece",  ... what the type needs ...,  "checksum": 1234567890}

A model trained with one vocabulary babbles with another that differs in a single entry, and nothing else would notice.
So the file carries the CRC-32 of its own content, and a file changed by one letter is refused. CRC-32 finds accidents;
it is no protection against intent.

Errors    FileNotFoundError: no such file. ValueError: truncated, damaged, of another program, or of another type.
          Each is a sentence that names the file.
"""
import json
import zlib
from pathlib import Path

from nanolm import files


def path(folder):
    """Return the Path of the tokenizer's file in `folder`."""
    return Path(folder) / "tokenizer.json"


def write(folder, content):
    """Write the dict `content` to folder/tokenizer.json, making the folder if need be."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    content = {**content, "checksum": _checksum(content)}
    # ensure_ascii=False keeps an e acute an e acute. A lone surrogate has no UTF-8: backslashreplace writes it \udc80,
    # which is just how JSON spells it.
    text = json.dumps(content, ensure_ascii=False, indent=0)
    files.atomic_write(path(folder), text.encode("utf-8", "backslashreplace"))


def read(folder):
    """Return the content of folder/tokenizer.json without its checksum, which must be right."""
    content = files.read_json(path(folder))
    if not isinstance(content, dict) or not isinstance(content.get("type"), str) or "checksum" not in content:
        raise ValueError(f"{path(folder)} is not a tokenizer written by nanolm: it has no 'type' and 'checksum'. "
                         f"Another program may have written it.")
    checksum = content.pop("checksum")
    if checksum != _checksum(content):
        raise ValueError(f"{path(folder)} was changed after it was written: its content no longer fits its checksum. "
                         f"Restore the file, or train the tokenizer again.")
    return content


def build(folder, kind, make):
    """Return make(content) for the file in `folder`, which must be of type `kind`; say so in a sentence if it fails."""
    content = read(folder)
    if content["type"] != kind:
        raise ValueError(f"{path(folder)} holds a tokenizer of type {content['type']!r}, not {kind!r}. "
                         f"nanolm.text.load(folder) reads any type.")
    try:
        return make(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path(folder)} does not describe a {kind!r} tokenizer: {error!r}.") from error


def _checksum(content):
    return zlib.crc32(json.dumps(content, sort_keys=True).encode("ascii"))

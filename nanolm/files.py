"""Write a file whole or not at all.

A program can be killed, and a disk can fill up, in the middle of a write. So: write to a temporary name in the same
folder, ask the system to put the bytes on the disk (fsync), then rename. A rename inside one folder is atomic
(POSIX rename, and os.replace on Windows): a reader sees the old file or the new one, never half of either.
"""
import contextlib
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path


def atomic_write(path, data):
    """Write `data` (bytes, or str as UTF-8) to `path`; the old file stays untouched until the new one is complete.

    Raises OSError with a sentence that names the path (disk full, no permission); the temporary file is removed.
    """
    path = Path(path)
    if isinstance(data, str):
        data = data.encode("utf-8")
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:             # x: never a file that is there already
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)            # who may read it stays as it was
        os.replace(temporary, path)
    except BaseException as error:                      # Ctrl-C too must not leave the temporary file behind
        with contextlib.suppress(OSError):              # it may never have been made
            temporary.unlink()
        if isinstance(error, OSError):
            raise type(error)(error.errno, f"could not write {path}: {error.strerror}. The file that was there before "
                                           f"is unchanged. Free some space or choose another folder.") from error
        raise


def cache_folder():
    """Return the folder for what can be made again: the user's cache folder, or, where that cannot be written, one of the
    user's own in the folder for temporary files; None if neither can."""
    import platformdirs
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    for place in (lambda: platformdirs.user_cache_path("nanolm", appauthor=False),
                  lambda: Path(tempfile.gettempdir()) / f"nanolm-{owner}"):
        try:
            folder = place()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if hasattr(os, "getuid") and folder.stat().st_uid != owner:     # somebody else's files must not be taken for ours
                continue
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def read_json(path):
    """Return what the JSON file `path` holds. Raises FileNotFoundError or ValueError with a sentence naming the file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:       # no UTF-8, no JSON, a number of thousands of digits, thousands of [
        raise ValueError(f"{path} is not valid JSON ({error}). It may be truncated or not a file of nanolm.") from error

"""One training a folder: two that write into the same one would overwrite each other's checkpoints.

The operating system keeps the lock, on an open file, and lets go of it when the process ends, however it ends. So a
killed run leaves no lock behind, only the empty file.

    POSIX      flock(2)                         Windows    LockFile, through msvcrt.locking
    neither, or a file system without locks (some network drives): the training goes on without one

Errors    BlockingIOError if another process trains in the folder; OSError if the lock's file cannot be written.
Tested    tests/test_lock.py.
"""
import errno
from contextlib import contextmanager
from pathlib import Path

NAME = "training.lock"


@contextmanager
def held(folder):
    """While the context lasts, no other process can hold the lock of `folder`, which must exist."""
    path = Path(folder) / NAME
    try:
        file = open(path, "ab")
    except OSError as error:
        raise type(error)(error.errno, f"could not write {path}: {error.strerror}. Nothing was changed. Training needs "
                                       f"a folder that it may write to.") from error
    with file:                                          # closing the file lets go of the lock
        if not taken(file):
            raise BlockingIOError(errno.EAGAIN, f"another process is training in {folder}. Wait until it has ended, "
                                                f"stop it (Ctrl-C saves), or choose another folder. Nothing changed.")
        yield


def taken(file):
    """Return False if another process holds the lock on the open file; True if it is ours now, or none can be had."""
    try:
        try:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:                             # Windows
            import msvcrt
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):          # flock says EWOULDBLOCK, msvcrt EACCES
        return False
    except (ImportError, OSError):
        return True
    return True

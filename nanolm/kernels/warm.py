"""The first use after installation: compile every kernel at once, say so, and remember that it is done.

Compiling takes about 24 s of one core for all kernels in float32; loading them later takes a third of a second. A
user who waits should know why, and that it happens once. So before the first use on a machine

    up()            compiles (or loads) every Entry, with a bar on the screen, and writes a marker into the folder of
                    the compiled code

and finds the marker ever after. The marker's name is a hash of what compiled code depends on, besides the sources that
the folder stands for: Python, Numba, NumPy, LLVM, the processor, and the times of the source files (Numba compares
them). Kernels in float64 are compiled when they are first called.

Folders of older versions that nobody has used for 30 days are removed. A folder in use is touched once a process.

Tested    tests/test_kernels_cache.py.
"""
import hashlib
import platform
import shutil
import sys
import time
from pathlib import Path

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from nanolm import files
from nanolm.kernels import compiled

SECONDS = 24                                            # measured, of one core of a Zen 5
UNUSED = 30 * 24 * 3600                                 # seconds after which a folder of another version is removed


def up(progress=True):
    """Compile all kernels for float32, unless the marker says that this was done. progress: show a line and a bar."""
    if not compiled.ENTRIES or marked():                # no entries: NUMBA_DISABLE_JIT=1
        return
    place = compiled.folder()
    kept = f"kept in {place}" if place else "no cache folder can be written, so again at every start"
    if progress:
        say(f"Compiling the fast kernels, once after installation: about {SECONDS} s ({kept}).")
    from nanolm.training.bars import bar                # here: nothing of training is needed to load a kernel

    with bar(progress, total=len(compiled.ENTRIES), desc="compiling", unit="kernel") as show:
        for kernel in compiled.ENTRIES:
            kernel.compile(np.dtype(np.float32))
            show.update()
    if place:
        try:
            files.atomic_write(marker(), time.strftime("compiled %Y-%m-%d %H:%M:%S\n"))
        except OSError:
            return                                      # the disk is full: the next process tries again
        remove_unused(place)


def marked():
    """Return whether all kernels are in the folder, compiled by an earlier process."""
    return compiled.folder() is not None and marker().exists()


def marker():
    """Return the Path of the marker."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    times = [(str(path), path.stat().st_mtime, path.stat().st_size) for path in sources]
    features = llvmlite.binding.get_host_cpu_features().flatten()
    depends = (sys.version, platform.machine(), numba.__version__, llvmlite.__version__, np.__version__,
               llvmlite.binding.get_host_cpu_name(), features, times)
    return compiled.folder() / f"compiled-{hashlib.sha256(repr(depends).encode()).hexdigest()[:12]}"


def remove_unused(place, now=None):
    """Remove the folders of other versions beside `place` that were not used for UNUSED seconds."""
    now = time.time() if now is None else now
    for other in place.parent.glob("kernels-*"):
        used = [other / compiled.LOCK, other]
        if other != place and all(now - path.stat().st_mtime > UNUSED for path in used if path.exists()):
            shutil.rmtree(other, ignore_errors=True)


def say(text):
    """Print a line on stderr, of a path too that this console cannot show."""
    print(text.encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)

"""Two decorators: @entry for a kernel that Python calls, @compiled for a function that only kernels call.

    @entry("in2", "in1", "real", "out2", "int")
    def scale_rows(x, weight, factor, y, n): ...

    in1, in2, ...       a contiguous array of that many axes, of the numbers' precision; only read
    out1, out2, ...     the same, written to
    real, int           one number; in64, out64: arrays (n,) of int64;  bytes: an array (n,) of uint8, only read

The kinds of the arguments are fixed by these words, and the precision by the first array at the call: float32 is what
training uses, float64 what gradients are checked in. So there are two compiled forms at most, each made when it is
first needed. (Left to itself Numba would compile a new form for every new combination of memory layouts, seconds each.)
Compiled code is kept on disk; a process that comes later loads it in milliseconds.

    nogil           the kernel lets go of Python's lock while it runs, so that worker threads run at once
    error_model     as in NumPy: 1 / 0 is inf, not an exception; a check at every division would keep LLVM from using
                    the wide registers
    fastmath        never in full: it lets the compiler assume that there is no NaN and no inf. SUMS, where a kernel asks
                    for it, is two of its flags: "reassoc" (a sum may be added up in another order: without it a sum
                    cannot use wide registers) and "contract" (a product and a sum in one instruction, rounded once)

The cache stands in the user's cache folder, not beside the sources, so that a read-only installation works; if that
cannot be written either, in the folder for temporary files. Numba notices a change in a kernel's own file, but not in
what it calls; therefore the folder's name is a hash of all sources of this package (and of Numba's version). One process
at a time compiles: a second one waits, then loads what the first has made. A damaged file is thrown away, with all others,
and made again; if a disk is full, nothing is kept.

With NUMBA_DISABLE_JIT=1 in the environment the kernels are plain Python functions: slow, and a debugger steps through. (The
commands then choose the plain layers; NANOLM_KERNELS=numba, or kernels.use("numba"), chooses the kernels all the same.)
NumPy then computes what Numba would, number by number; it is told not to warn where the compiled code would not.

Tested    tests/kernels/test_compiled.py.
"""
import contextlib
import functools
import hashlib
import os
import threading
from pathlib import Path

import numba
import numpy as np
from numba import types

from nanolm import files

SUMS = {"reassoc", "contract"}
REAL = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
LOCK = "lock"                                           # a file in the folder; its time says when the folder was last used
ENTRIES = []                                            # every Entry, in the order of their definition
_compiling = threading.Lock()                           # Numba compiles one function at a time anyway


def _open_lock():
    global _compiling
    _compiling = threading.Lock()


if hasattr(os, "register_at_fork"):                     # a forked process has the lock, but not the thread that opens it
    os.register_at_fork(after_in_child=_open_lock)


@functools.cache
def folder():
    """Return the folder of the compiled code, as a Path; None if none can be made."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    name = f"kernels-{hashlib.sha256(sources + numba.__version__.encode()).hexdigest()[:12]}"
    parent = files.cache_folder()
    if parent is None:
        return None
    try:
        (parent / name).mkdir(exist_ok=True)
    except OSError:
        return None
    return parent / name if os.access(parent / name, os.W_OK) else None


def compiled(function=None, **flags):
    """Return function, to be compiled by Numba when a kernel first calls it; see above."""
    if function is None:
        return functools.partial(compiled, **flags)
    return _njit(function, flags)


@contextlib.contextmanager
def _alone():
    """Let no other thread and no other process compile inside the with statement."""
    with _compiling, contextlib.ExitStack() as stack:
        if folder() is not None:
            try:
                file = stack.enter_context(open(folder() / LOCK, "ab"))
                os.utime(folder() / LOCK)
                import fcntl
                fcntl.flock(file, fcntl.LOCK_EX)        # closing the file lets go
            except (ImportError, OSError):              # Windows, a file system without locks: both compile
                pass
        yield


def _throw_away():
    """Remove all compiled code from the folder. What a process has loaded stays loaded."""
    for path in [*folder().rglob("*.nb[ci]"), *folder().glob("compiled-*")]:        # and warm.py's marker
        with contextlib.suppress(OSError):
            path.unlink()


def _njit(function, flags, signature=None, cache=True):
    before = numba.config.CACHE_DIR
    cache = cache and folder() is not None
    numba.config.CACHE_DIR = str(folder() or "")        # Numba looks at it now, and we set it for our kernels alone
    try:
        return numba.njit(signature, cache=cache, nogil=True, error_model="numpy", **flags)(function)
    finally:
        numba.config.CACHE_DIR = before


def entry(*kinds, **flags):
    """Return a decorator that makes an Entry of a function whose arguments are of these kinds."""
    def decorate(function):
        if numba.config.DISABLE_JIT:
            return np.errstate(all="ignore")(function)  # compiled code does not warn of an overflow either
        made = Entry(function, kinds, flags)
        ENTRIES.append(made)
        return made
    return decorate


class Entry:
    """A kernel, with a compiled form for each precision that has been asked for."""

    def __init__(self, function, kinds, flags):
        functools.update_wrapper(self, function)
        self.function, self.kinds, self.flags = function, kinds, flags
        self.first = next(i for i, kind in enumerate(kinds) if kind[:-1] in ("in", "out") and kind != "int")
        self.forms = {}

    def __call__(self, *arguments):
        dtype = arguments[self.first].dtype
        form = self.forms.get(dtype)
        if form is None:
            form = self.compile(dtype)
        return form(*arguments)

    def compile(self, dtype):
        """Compile (or load from disk) the form for float32 or float64, and return it."""
        with _alone():
            if dtype not in self.forms:
                signature = tuple(numba_type(kind, REAL[dtype]) for kind in self.kinds)
                try:
                    form = _njit(self.function, self.flags, signature)
                except Exception:                       # a damaged file: whatever pickle says; or a full disk
                    if folder() is None:
                        raise
                    _throw_away()
                    form = _njit(self.function, self.flags, signature, cache=False)
                self.forms[dtype] = form
            return self.forms[dtype]


def numba_type(kind, real):
    """Return Numba's type for one of the words above."""
    fixed = {"real": real, "int": types.int64, "in64": types.Array(types.int64, 1, "C", readonly=True),
             "out64": types.Array(types.int64, 1, "C"), "bytes": types.Array(types.uint8, 1, "C", readonly=True)}
    if kind in fixed:
        return fixed[kind]
    return types.Array(real, int(kind[-1]), "C", readonly=kind.startswith("in"))

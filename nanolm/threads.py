"""Threads: hold BLAS, the library behind NumPy's matrix products, to one; and cut work into parts for several.

BLAS starts threads of its own. For the small products of one token they cost more than they bring, and beside worker
threads (training/parallel.py) they would be more threads than cores, each waiting for the others.

    with threads.one_for_blas():
        y = x @ weight

Where one long computation has the machine for itself, as when a large model is trained on few rows, the fast kernels
cut it into parts, one for each core:

    def rows(start, stop):                      # writes rows start ... stop - 1 of y, and nothing else
        np.matmul(x[start:stop], weight, out=y[start:stop])
    threads.split(rows, len(x))

Inside a worker thread split calls the function once, for everything: the other cores have work of their own. `limited`
says how many threads a thread may use.

Tested    tests/test_threads.py.
"""
import contextlib
import functools
import os
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import threadpoolctl

_one_group = threading.Lock()
_blas = types.SimpleNamespace(lock=threading.Lock(), users=0, limit=None)       # BLAS's limit is one for the whole process
_local = threading.local()                              # .limit: how many threads this thread may use in split


@contextlib.contextmanager
def one_for_blas():
    """Let BLAS use one thread inside a with statement; what it was before comes back when the last thread has left.

    Call it in the main thread. OpenBLAS 0.3.31, told by another thread, did not show the change in both of them.
    """
    with _blas.lock:
        if _blas.users == 0:
            _blas.limit = _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
        _blas.users += 1
    try:
        yield
    finally:
        with _blas.lock:
            _blas.users -= 1
            if _blas.users == 0:
                _blas.limit.restore_original_limits()


@functools.cache
def _libraries(with_scipy):
    """Return threadpoolctl's handle on BLAS. Found once: looking through all loaded libraries takes milliseconds.

    with_scipy: SciPy brings a BLAS of its own; once it is loaded, look again.
    """
    return threadpoolctl.ThreadpoolController()


def cores():
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))             # Linux: respects taskset and containers
    except AttributeError:
        return os.cpu_count() or 1


@contextlib.contextmanager
def limited(n):
    """Let split use at most n threads in this thread, inside a with statement."""
    before = getattr(_local, "limit", None)
    _local.limit = n
    try:
        yield
    finally:
        _local.limit = before


def limit():
    """Return how many threads split may use here: what `limited` says, else one for each core."""
    return getattr(_local, "limit", None) or cores()


def split(function, n, least=1):
    """Call function(start, stop) for parts of range(n) that cover it, on several threads; return when all are done.

    least     a part is not smaller than this, so that small work is not cut at all (a cut cost about 70
              microseconds here)
    The parts run at the same time: each must write to its own rows only. BLAS is held to one thread. An exception of
    a part is raised here.
    """
    parts = min(limit(), n // max(least, 1))
    if parts <= 1:
        function(0, n)
        return
    edges = [n * k // parts for k in range(parts + 1)]

    def part(k):
        with limited(1):
            function(edges[k], edges[k + 1])

    with one_for_blas():
        _all_done(part, [_pool().submit(part, k) for k in range(1, parts)])


def _all_done(function, others):
    """Call function(0) here while the others run; return when all have ended. An exception of any of them is raised."""
    try:
        function(0)
    finally:
        for other in others:
            other.exception()                           # wait: nothing may still write when we return
    for other in others:
        other.result()


def together(function, n):
    """Call function(k) for k = 0 ... n - 1, each on a thread of its own, all at once: they may wait for each other.

    One such group runs at a time: two that were half started would wait for each other's threads for ever. An exception
    of a part is raised here, after all have ended; a part that fails must let the others go (kernels/meeting.py).
    """
    if n == 1:
        function(0)
        return
    with _one_group:
        _all_done(function, [_group(n).submit(function, k) for k in range(1, n)])


@functools.cache
def _group(n):
    """Return the n - 1 threads that help in together."""
    return ThreadPoolExecutor(n - 1, thread_name_prefix="nanolm-group")


@functools.cache
def _pool():
    """Return the threads that help; made once, because starting a thread takes 50 microseconds."""
    return ThreadPoolExecutor(max(cores() - 1, 1), thread_name_prefix="nanolm")


def _begin_anew():
    """After a fork: the child has the pools' memory but not their threads, and locks that nobody will open."""
    global _one_group
    _one_group, _blas.lock, _blas.users = threading.Lock(), threading.Lock(), 0
    _pool.cache_clear()
    _group.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

"""A model as a decoding kernel reads it: one flat view of memory, and a list of places where in it each array begins.

That is one argument in place of 150. Weights are read where they lie; nothing is copied or turned, so a weight that changes
in place is seen. What stands between Python and the kernels of decode.py and decode_llama.py is here:

    few             are these ids, this cache, these layers a case for a kernel?
    decoder_of      the Decoder of a model, made once and kept in the cache
    on_threads      start the kernel on the idle cores

Tested    tests/kernels/test_decode.py, tests/kernels/test_decode_llama.py.
"""
import importlib
import operator
from dataclasses import dataclass

import numba
import numpy as np

from nanolm import threads
from nanolm.kernels import meeting
from nanolm.kernels.usual import FLOATS

ROWS = 16                                               # new tokens; beyond, the layers' large products are faster
LEAST = 2**21                                           # products (multiplications) that are worth a thread


@dataclass
class Decoder:
    """See above."""
    arrays: list            # all of its arrays, in the order of the kernel's places
    reals: np.ndarray       # the memory in which the floats lie, flat
    weights: np.ndarray     # and that of the matrices: the same, unless they are int8
    places: np.ndarray      # where in these each array begins; -1: there is none
    kernel: object          # decode.floats or decode.int8, decode_llama.floats


def few(ids, kv, block_size, shape, layers):
    """Return whether the kernel takes these ids: few, and what the plain extend would not refuse; and kv: it does not look.

    shape (L, B, heads, D): what kv must have.  layers: the names of those whose functions must be nanolm's own.
    """
    keys, values, (L, B, H, D) = kv.keys, kv.values, shape
    if keys.ndim != 5 or not 0 <= kv.length <= keys.shape[3]:
        return False
    if any(a.shape != (L, B, H, keys.shape[3], D) or a.dtype != keys.dtype or not a.flags.c_contiguous
           or not a.flags.writeable for a in (keys, values)):
        return False
    return (ids.ndim == 2 and ids.shape[0] == B and 1 <= ids.shape[1] <= block_size - kv.length and ids.size <= ROWS
            and all(layer_is_ours(name) for name in layers))


def layer_is_ours(name):
    """Return whether layers.<name>.forward is nanolm's own, plain or fast."""
    forward = getattr(importlib.import_module(f"nanolm.layers.{name}"), "forward", None)
    homes = (f"nanolm.layers.{name}", f"nanolm.kernels.{name}")
    return forward is None or getattr(forward, "__module__", "") in homes and not hasattr(forward, "__wrapped__")


def decoder_of(arrays, kv, prepare):
    """Return the Decoder of these arrays, kept in kv as long as they are the same ones; else what prepare() returns."""
    known = getattr(kv, "decoder", None)
    if known is None or len(arrays) != len(known.arrays) or not all(map(operator.is_, arrays, known.arrays)):
        known = kv.decoder = prepare()
    return known


def laid_out(arrays, shapes, dtype, scaled=False):
    """Return reals, weights and places, see Decoder; None unless the arrays have these shapes and lie in memory row by row.

    Of dtype, all; scaled: the matrices must be int8, and no array may be missing (None).
    """
    if dtype not in FLOATS or any(
            (a.shape != shape or a.dtype != (np.int8 if scaled and len(shape) == 2 else dtype)
             or not a.flags.c_contiguous or not a.flags.aligned) if a is not None else scaled
            for a, shape in zip(arrays, shapes, strict=True)):
        return None
    places = np.full(len(arrays), -1, np.int64)
    reals = view(arrays, places, dtype)
    weights = view(arrays, places, np.dtype(np.int8)).view(np.uint8) if scaled else reals
    return reals, weights, places


def view(arrays, places, dtype):
    """Return one flat view of the memory from the first to the last of the arrays of this dtype, and fill in their places.

    The view covers what lies between them too, whatever that is: it is for reading at these places only.
    """
    mine = [(a.__array_interface__["data"][0], i, a) for i, a in enumerate(arrays) if a is not None and a.dtype == dtype]
    start, _, first = min(mine, key=lambda one: one[0])
    for address, i, _ in mine:
        places[i] = (address - start) // dtype.itemsize
    length = max(places[i] + a.size for _, i, a in mine)
    return np.lib.stride_tricks.as_strided(first.reshape(-1), (length,), (dtype.itemsize,), writeable=False)


def rows_of(B, T, start):
    """Return rows (2 B T,) for the kernel: of each new token which of the B texts, and which position, from `start` on."""
    rows = np.empty((B, T, 2), np.int64)
    rows[:, :, 0] = np.arange(B)[:, None]
    rows[:, :, 1] = start + np.arange(T)
    return rows.reshape(-1)


def on_threads(kernel, arguments, work):
    """Call kernel(*arguments, counter, k, n) for k = 0 ... n - 1 at once.

    work: how many multiplications there are; they say how many threads n are worth it.
    """
    n = 1 if numba.config.DISABLE_JIT else max(1, min(threads.limit(), work // LEAST))
    counter = meeting.counter()

    def part(k):
        try:
            kernel(*arguments, counter, k, n)
        except BaseException:
            meeting.abandon(counter)                    # nobody may wait for us for ever
            raise

    threads.together(part, n)

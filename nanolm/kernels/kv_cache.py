"""Fast decoding: few new tokens, each weight read once, no NumPy call in between; decode.py tells how.

Up to ROWS new tokens (T times B: one text, its beams, a batch of prompts) go through the kernel; a longer prompt, and any
tokens of a post-norm model, through the layers: a prompt's matrix products are large enough to be fast there. Weights are
read where they lie; nothing is copied or turned, so a weight that changes in place is seen.

A function of yours in the place of a layer's (gradcheck.swap, a student's attention) sends everything through the
layers, so that it is called.

Tested    tests/kernels/test_decode.py, tests/test_kv_cache.py.
"""
import importlib
from dataclasses import dataclass

import numba
import numpy as np

from nanolm import threads
from nanolm.generation import kv_cache as plain_cache
from nanolm.kernels import decode, meeting, plain
from nanolm.kernels.usual import FLOATS
from nanolm.layers import embedding, positions

ROWS = 16                                               # beyond, the layers' large products are faster
LEAST = 2**21                                           # products (multiplications) that are worth a thread
LAYERS = ("attention", "embedding", "gelu", "layernorm", "linear", "mlp", "multihead", "positions", "softmax")


@dataclass
class Decoder:
    """A model as the kernel reads it."""
    arrays: list            # all of its arrays, in the order of decode.py's places
    reals: np.ndarray       # the memory in which the floats lie, flat
    weights: np.ndarray     # and that of the matrices: the same, unless they are int8
    places: np.ndarray      # (16 L + 4,) where in these each array begins
    hidden: int             # F
    kernel: object          # decode.floats or decode.int8


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to kv and return the logits (B, T, V), or (B, 1, V) if last; as generation/kv_cache.py."""
    ids = np.asarray(ids)
    decoder = decoder_of(p, kv, config) if fits(ids, kv, config) else None
    if decoder is None:
        return plain("kv_cache", "extend")(p, ids, kv, config, last)
    x, _ = embedding.forward(ids, p["wte"]["weight"])                       # (B, T, C)
    x, _ = positions.forward(x, p["wpe"]["weight"], offset=kv.length)
    return run(decoder, x, kv, config, last)


def select(kv, rows, spare=None):
    """Return a new KVCache whose row i is row rows[i] of kv; what was prepared for its model goes along."""
    chosen = plain("kv_cache", "select")(kv, rows, spare)
    chosen.decoder = getattr(kv, "decoder", None)
    return chosen


def fits(ids, kv, config):
    """Return whether the kernel takes these ids: few, and what the plain extend would not refuse; and kv: it does not look."""
    keys, values = kv.keys, kv.values
    if keys.ndim != 5 or not 0 <= kv.length <= keys.shape[3]:
        return False
    if config.norm != "pre":                            # decode.py norms first, as GPT-2 does
        return False
    B, room = keys.shape[1], config.block_size - kv.length
    shape = (config.n_layer, B, config.n_head, keys.shape[3], config.n_embd // config.n_head)
    if any(a.shape != shape or a.dtype != keys.dtype or not a.flags.c_contiguous or not a.flags.writeable
           for a in (keys, values)):
        return False
    return (ids.ndim == 2 and ids.shape[0] == B and 1 <= ids.shape[1] <= room and ids.size <= ROWS
            and all(layer_is_ours(name) for name in LAYERS))


def layer_is_ours(name):
    """Return whether layers.<name>.forward is nanolm's own, plain or fast."""
    forward = getattr(importlib.import_module(f"nanolm.layers.{name}"), "forward", None)
    homes = (f"nanolm.layers.{name}", f"nanolm.kernels.{name}")
    return forward is None or getattr(forward, "__module__", "") in homes and not hasattr(forward, "__wrapped__")


def decoder_of(p, kv, config):
    """Return the Decoder of p, kept in kv as long as p holds the same arrays; None if p is not what the kernel takes."""
    arrays, known = arrays_of(p, config), getattr(kv, "decoder", None)
    if known is None or len(arrays) != len(known.arrays) or any(a is not b for a, b in zip(arrays, known.arrays)):
        known = kv.decoder = prepare(arrays, config, kv.keys.dtype)
    return known


def arrays_of(p, config):
    """Return all arrays of the model in the order of decode.py's places; None where there is no scale."""
    arrays = []
    for l in range(config.n_layer):
        block = p["h"][str(l)]
        attn, mlp = block["attn"], block["mlp"]
        for layer in (block["ln_1"], attn["c_attn"], attn["c_proj"], block["ln_2"], mlp["c_fc"], mlp["c_proj"]):
            arrays += [layer["weight"], layer["bias"]]
        arrays += [layer.get("scale") for layer in (attn["c_attn"], attn["c_proj"], mlp["c_fc"], mlp["c_proj"])]
    return arrays + [p["ln_f"]["weight"], p["ln_f"]["bias"], p["wte"]["weight"], p["wte"].get("scale")]


def prepare(arrays, config, dtype):
    """Return a Decoder, or None: the arrays must have the shapes of config and lie in memory row by row."""
    C, V, F = config.n_embd, config.vocab_size, arrays[8].shape[-1]
    block = [(C,), (C,), (C, 3 * C), (3 * C,), (C, C), (C,), (C,), (C,), (C, F), (F,), (F, C), (C,),
             (3 * C,), (C,), (F,), (C,)]
    shapes = block * config.n_layer + [(C,), (C,), (V, C), (V,)]
    scaled = arrays[-1] is not None
    if dtype not in FLOATS or any(
            (a.shape != shape or a.dtype != (np.int8 if scaled and len(shape) == 2 else dtype)
             or not a.flags.c_contiguous or not a.flags.aligned) if a is not None else scaled
            for a, shape in zip(arrays, shapes, strict=True)):
        return None
    places = np.full(len(arrays), -1, np.int64)            # -1: there is none
    reals = view(arrays, places, dtype)
    weights = view(arrays, places, np.dtype(np.int8)).view(np.uint8) if scaled else reals
    return Decoder(arrays, reals, weights, places, F, decode.int8 if scaled else decode.floats)


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


def run(decoder, x, kv, config, last):
    """Run x (B, T, C), embedded, through the kernel on the idle cores; kv grows by T. Return the logits."""
    B, T, C = x.shape
    plain_cache.make_room(kv, kv.length + T, config.block_size)
    L, H, S, V = config.n_layer, config.n_head, kv.keys.shape[3], config.vocab_size
    rows = np.empty((B, T, 2), np.int64)
    rows[:, :, 0] = np.arange(B)[:, None]
    rows[:, :, 1] = kv.length + np.arange(T)
    wanted = np.arange(B) * T + T - 1 if last else np.arange(B * T)
    shape = np.array((L, B, H, S, decoder.hidden, V), np.int64)
    attended, widened = np.empty((2, H, B * T, C), x.dtype)
    logits = np.empty((len(wanted), V), x.dtype)
    work = B * T * (12 * L * C * C + V * C)
    n = 1 if numba.config.DISABLE_JIT else max(1, min(threads.limit(), work // LEAST))
    counter = meeting.counter()

    def part(k):
        try:
            decoder.kernel(decoder.reals, decoder.weights, decoder.places, shape, x.reshape(B * T, C), kv.keys.reshape(-1),
                           kv.values.reshape(-1), rows.reshape(-1), wanted, attended, widened, logits, config.eps, counter, k, n)
        except BaseException:
            meeting.abandon(counter)                    # nobody may wait for us for ever
            raise

    threads.together(part, n)
    kv.length += T                                      # last: an error on the way leaves kv as it was
    return logits.reshape(B, -1, V)

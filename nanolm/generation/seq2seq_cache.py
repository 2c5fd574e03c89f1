"""The key-value cache of an encoder-decoder: the source is read once, the target grows token by token.

A decoder block asks for keys and values twice, and both are final as soon as they are made:

    self-attention      of the target so far: kv_cache.py's argument, the mask is causal; they grow by one a token
    cross-attention     of memory, what the encoder made of the source. No target token changes it, so they are made once,
                        in `start`, for all blocks and all tokens to come

    work        a token costs its own products and attention to the tokens so far and to the source; the encoder and the
                2 C^2 S products a block of memory's keys and values are paid for once a text, not once a token
    memory      2 L C numbers a target token, and as many a source token: 2 L C (T + S) a text                    (X8)

    ids (B, T) new target tokens     keys, values (L, B, H, T, D)     memory_keys, memory_values (L, B, H, S, D)

Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_seq2seq_cache.py, against seq2seq.logits at every position.
"""
from dataclasses import dataclass

import numpy as np

from nanolm.generation import kv_cache
from nanolm.layers import attention, linear, masks, mlp, multihead
from nanolm.models import seq2seq, seq2seq_input


@dataclass
class SourceCache(kv_cache.KVCache):
    """A KVCache of B target texts, and the keys and values of the B sources that they translate."""
    memory_keys: np.ndarray = None      # (L, B, H, S, D)
    memory_values: np.ndarray = None    # (L, B, H, S, D)
    memory_mask: np.ndarray = None      # (B, 1, 1, S), True where there is text; None: everywhere
    sources: tuple = ()                 # B numbers: which source, counted from 0, each row translates


def start(p, memory, config, source_lengths=None):
    """Return a SourceCache for B target texts of which nothing is written yet. memory (B, S, C): encode's.

    Raises ValueError or TypeError if memory is no array (B, S, C), or source_lengths do not fit it.
    """
    if not isinstance(memory, np.ndarray) or memory.ndim != 3 or memory.shape[2] != config.n_embd:
        raise ValueError(f"memory must have the shape (B, S, {config.n_embd}), as seq2seq.encode returns it, but it is "
                         f"{getattr(memory, 'shape', type(memory).__name__)}.")
    B, S, C = memory.shape
    mask = seq2seq.source_mask(source_lengths, B, S)
    keys, values = np.empty((2, config.n_layer, B, config.n_head, S, C // config.n_head), memory.dtype)
    for l in range(config.n_layer):
        c_attn = p["decoder"]["h"][str(l)]["cross_attn"]["c_attn"]      # its last 2 C columns make keys and values
        packed, _ = linear.forward(memory, c_attn["weight"][:, C:], c_attn["bias"][C:])     # (B, S, 2C)
        keys[l], values[l] = (multihead.split(part, config.n_head) for part in np.split(packed, 2, axis=-1))
    empty = np.empty((config.n_layer, B, config.n_head, 0, C // config.n_head), memory.dtype)
    return SourceCache(empty, empty, 0, keys, values, mask, tuple(range(B)))


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to the target tokens that kv holds; return the logits (B, T, V), or (B, 1, V) if last.

    Raises ValueError if ids is not (B, T) with kv's B and at least one token, or if the T tokens do not fit any more.
    """
    ids = np.asarray(ids)
    first, stop = kv_cache.places(ids, kv, config)
    T = stop - first
    mask = masks.causal(T, stop) if T > 1 else None                     # a single new token may attend to everything

    x, _ = seq2seq_input.forward(ids, seq2seq.table(p, config, "target"), config, offset=first)     # (B, T, C)
    for l in range(config.n_layer):
        p_l = p["decoder"]["h"][str(l)]                                 # decoder_block.forward, line by line
        h = kv_cache.before(x, p_l["ln_1"], config)
        x = x + kv_cache.attend(h, p_l["attn"], kv.keys[l], kv.values[l], first, config.n_head, mask)
        x = kv_cache.after(x, p_l["ln_1"], config)
        h = kv_cache.before(x, p_l["ln_2"], config)
        x = x + _listen(h, p_l["cross_attn"], kv, l, config.n_head)
        x = kv_cache.after(x, p_l["ln_2"], config)
        m, _ = mlp.forward(kv_cache.before(x, p_l["ln_3"], config), p_l["mlp"], config.form)
        x = kv_cache.after(x + m, p_l["ln_3"], config)
    kv.length = stop                                                    # last: an error on the way leaves kv as it was

    if last:
        x = x[:, -1:]
    x, _ = seq2seq.normed(x, p["decoder"], config)
    logits, _ = linear.forward(x, seq2seq.head(p, config))              # (B, T, V)
    return logits


def _listen(x, p, kv, l, n_head):
    """multihead.forward for x (B, T, C) with a memory, of which block l's keys and values are known."""
    C = x.shape[-1]
    q, _ = linear.forward(x, p["c_attn"]["weight"][:, :C], p["c_attn"]["bias"][:C])
    heads, _ = attention.forward(multihead.split(q, n_head), kv.memory_keys[l], kv.memory_values[l], kv.memory_mask)
    y, _ = linear.forward(multihead.merge(heads), **p["c_proj"])        # (B, T, C)
    return y


def select(kv, rows, spare=None):
    """Return a SourceCache whose row i is row rows[i] of kv: rows may repeat, be dropped and change places.

    spare: as in kv_cache.select. The beams of one source all have the same memory: then there is nothing to copy of it.
    """
    target = kv_cache.select(kv, rows, spare)
    sources = tuple(kv.sources[row] for row in rows)
    keys, values, mask = kv.memory_keys, kv.memory_values, kv.memory_mask
    if sources != kv.sources:
        keys, values, mask = keys[:, rows], values[:, rows], None if mask is None else mask[rows]
    return SourceCache(target.keys, target.values, target.length, keys, values, mask, sources)

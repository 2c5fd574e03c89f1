"""What goes into the encoder and into the decoder of seq2seq.py: tokens as vectors, and where each stands.

    x_t = weight[id_t] sqrt(C) + table_t,     table: the sines and cosines (P3), t from 0 on                      (I1)

    ids (B, T)     weight (V, C)     x (B, T, C), then dropout

Why sqrt(C): the entries of weight are about 1 / sqrt(C), so that the logits, which come out of the same table, begin at
about 1. A sine is about 1 as well, and would drown what it is added to. Going back, sqrt(C) multiplies the gradient too;
the table is computed, no weight, and what would be its gradient is thrown away.

    dweight_v = sqrt(C) * sum over all places with id_t = v of dx_t                                               (I2)

Source    Vaswani et al. 2017, arXiv:1706.03762, sections 3.4 and 3.5.
Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_seq2seq.py, through seq2seq.
"""
import functools
import math

import numpy as np

from nanolm.layers import check, dropout, embedding, positions


def forward(ids, weight, config, rng=None, offset=0, name="ids"):
    """Return x (B, T, C) and the caches. offset: the place of the first token; name: what errors call ids.

    Raises ValueError if ids are not (B, T), reach beyond config.block_size or are no tokens.
    """
    room = config.block_size - offset
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or not 1 <= ids.shape[1] <= room:
        shape = ids.shape if isinstance(ids, np.ndarray) else check.described(ids)
        raise ValueError(f"{name} must be an array (B, T) with 1 <= T <= {room}, because block_size is {config.block_size}, but "
                         f"it is {shape}. Put a single text in brackets: {name}[None].")
    scale = math.sqrt(config.n_embd)
    x, c_embed = embedding.forward(ids, weight)
    table = sines(config.block_size, config.n_embd, x.dtype)[:offset + ids.shape[1]]
    x, c_positions = positions.forward(x * scale, table, offset)            # (I1)
    x, c_drop = dropout.forward(x, config.dropout, rng)
    return x, (scale, c_embed, c_positions, c_drop)


def backward(dx, cache):
    """Return dweight (V, C)."""
    scale, c_embed, c_positions, c_drop = cache
    dx = dropout.backward(dx, c_drop)
    dx, _ = positions.backward(dx, c_positions)                             # the table is no weight: it never changes
    return embedding.backward(dx * scale, c_embed)                          # x * scale, (I2)


@functools.lru_cache(maxsize=8)
def sines(n_positions, n_channels, dtype):
    """Return positions.sinusoidal's table, kept from the first call on: a sine is dear, and every token asks for some."""
    table = positions.sinusoidal(n_positions, n_channels, dtype)
    table.flags.writeable = False
    return table

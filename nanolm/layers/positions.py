"""Positions: add to each token's vector a row of a table that tells where it stands.

    y_t = x_t + weight[offset + t]                                          (P1)

    x, y (..., T, C)     weight (rows, C)     offset: the position of the first token (0, or more when only the end of
                                              a text is run again, as the key-value cache does)

Attention alone cannot tell first from last: permute the tokens and its outputs permute with them. The table breaks
the tie. GPT-2 and BERT learn it like any other weight; its gradient sums over the batch, because every sequence adds
the same row:

    dx = dy,     dweight[offset + t] = sum over the batch of dy_t           (P2)

The first Transformer computes it instead. Channel pair i of position t turns with a wavelength of its own, from 2 pi
tokens for i = 0 up to nearly 10000 * 2 pi:

    table[t, 2i] = sin(t / 10000^(2i / C)),     table[t, 2i + 1] = cos(t / 10000^(2i / C))                  (P3)

Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (P3); learned: Gehring et al. 2017, arXiv:1705.03122.
Derived   notebooks/04_embedding.ipynb.  Tested  tests/test_positions.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x, weight, offset=0):
    """Return y, shaped like x, and cache = (rows, offset): no floats are kept.

    Raises ValueError if T is 0, weight is not (rows, C) or has no row for offset + T - 1; TypeError if offset is not whole.
    """
    check.floats(x=x, weight=weight)
    check.dimensions("x", x, 2, "(..., T, C)")
    T, C = x.shape[-2:]
    check.whole("T, the number of tokens in x,", T, least=1)
    check.whole("offset", offset, least=0)
    if weight.ndim != 2 or weight.shape[1] != C:
        raise ValueError(f"weight must have the shape (positions, C) = (positions, {C}), because x has {C} channels, "
                         f"but it has {weight.shape}.")
    if offset + T > weight.shape[0]:
        raise ValueError(f"x has {T} tokens from position {offset} on, but the table weight knows the positions "
                         f"0 to {weight.shape[0] - 1} only. Cut the text to {weight.shape[0]} tokens in all.")
    return x + weight[offset:offset + T], (weight.shape[0], offset)


def backward(dy, cache):
    """Return dx, dweight, shaped like x, weight. dx is dy itself, not a copy: nobody writes to what he is given."""
    rows, offset = cache
    T, C = dy.shape[-2:]
    dweight = np.zeros((rows, C), dtype=dy.dtype)
    dweight[offset:offset + T] = dy.reshape(-1, T, C).sum(axis=0)           # x + weight[offset:offset + T], (P2)
    return dy, dweight


def sinusoidal(n_positions, n_channels, dtype=np.float32):
    """Return the fixed table (P3), shape (n_positions, n_channels), values between -1 and 1. Odd n_channels ends in a sine.

    Raises ValueError if one of them is below 1, TypeError if it is not whole.
    """
    check.whole("n_positions", n_positions, least=1)
    check.whole("n_channels", n_channels, least=1)
    t = np.arange(n_positions)[:, None]                                     # (T, 1)
    two_i = np.arange(0, n_channels, 2)[None, :]                            # (1, C / 2)
    angle = t / 10000.0 ** (two_i / n_channels)                             # radians, computed in float64
    table = np.empty((n_positions, n_channels), dtype=dtype)
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle[:, :n_channels // 2])
    return table

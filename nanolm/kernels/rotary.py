"""Rotary positions, fast: each pair of channels is turned in one pass, and heads stay where they lie.

    y_i = x_i cos - x_(i + D/2) sin,     y_(i + D/2) = x_i sin + x_(i + D/2) cos                                  (O2)

NumPy makes six passes with an array each, and a seventh that puts the halves side by side. Here a token's D channels are
read once and written once. The heads (B, H, T, D) that multihead.split gives are a view: in memory a token's heads lie
side by side, (B, T, H, D). They are read there, and y is laid out in the same way, so that merge need not copy it.

Only `turned` has a twin. The tables of cos and sin stay plain NumPy: they hold D / 2 numbers a position, where the queries
and keys hold B (H + G) D.

Tested    tests/kernels/test_twins.py, and everything that holds layers/rotary.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import entry
from nanolm.kernels.usual import floats


def turned(x, cos, sin):
    """Return x (..., T, D) with every pair of channels turned, (O2). cos, sin (T, D/2). As in layers/rotary.py."""
    if not usual(x, cos, sin):
        return plain("rotary", "turned")(x, cos, sin)
    T, D = x.shape[-2:]
    swapped = x.swapaxes(1, 2) if x.ndim == 4 else None                     # (B, T, H, D)
    if swapped is not None and swapped.flags.c_contiguous:
        y = np.empty(swapped.shape, x.dtype)
        turn_all(swapped.reshape(-1, D), cos, sin, y.reshape(-1, D), T, x.shape[1])
        return y.swapaxes(1, 2)
    y = np.empty(x.shape, x.dtype)
    turn_all(np.ascontiguousarray(x).reshape(-1, D), cos, sin, y.reshape(-1, D), T, 1)
    return y


def turn_all(rows, cos, sin, out, T, together):
    """Turn rows of D channels; `together` rows one after the other belong to the same token, and the T tokens repeat."""
    cos, sin = np.ascontiguousarray(cos), np.ascontiguousarray(sin)

    def some(start, stop):
        turn_rows(rows[start * together:stop * together], cos, sin, out[start * together:stop * together], start, T, together)

    threads.split(some, len(rows) // together, least=1 + 2**16 // (together * rows.shape[1]))


def usual(x, cos, sin):
    """Return whether this file takes the case; if not, the plain function does it, or says what is wrong."""
    return (floats(x, cos, sin) and x.ndim >= 2 and x.shape[-1] % 2 == 0
            and cos.shape == sin.shape == (x.shape[-2], x.shape[-1] // 2))


@entry("in2", "in2", "in2", "out2", "int", "int", "int")
def turn_rows(x, cos, sin, y, first, T, together):
    """Turn the rows of the tokens from number `first` on; token n stands at place n mod T."""
    half = x.shape[1] // 2
    for n in range(x.shape[0]):
        t = (first + n // together) % T
        row, out, c, s = x[n], y[n], cos[t], sin[t]
        low, high, out_low, out_high = row[:half], row[half:], out[:half], out[half:]
        for i in range(half):
            out_low[i] = low[i] * c[i] - high[i] * s[i]
            out_high[i] = low[i] * s[i] + high[i] * c[i]

"""Masks: who may attend to whom. A mask is a boolean array, True = may attend; masks combine with `&`.

    causal(T, S)          (T, S)          query t sees the keys up to its own place: no token reads the future    (M1)
    padding(lengths, S)   (B, 1, 1, S)    keys beyond a sequence's length are filling and seen by nobody          (M2)

Both broadcast to the scores (B, H, T, S). With S > T the T queries are the last T of S positions: the earlier keys
came from a cache. A float mask of 0 and -1e9 is not offered: -1e9 is a number, and a row of nothing else becomes an
even average over tokens that must not be seen.

Derived   notebooks/08_masks.ipynb.  Tested  tests/test_attention.py.
"""
import numpy as np

from nanolm.layers import check


def causal(T, S=None):
    """Return the boolean mask (T, S), True where key j <= query's position i + S - T. S defaults to T.

    Raises ValueError if S < T: a query would stand before the first key; TypeError if one of them is not whole.
    """
    S = T if S is None else S
    check.whole("T", T, least=1)
    check.whole("S", S, least=1)
    if S < T:
        raise ValueError(f"S, the number of keys, must be at least T = {T}, the number of queries, but it is {S}: "
                         f"the queries are the last T of the S positions.")
    # Every row is the one below it, moved by one place: all are windows of one row of T + S - 1 booleans. It is read only.
    row = np.arange(S + T - 1) < S                                          # S times True, then T - 1 times False
    return np.lib.stride_tricks.sliding_window_view(row, S)[::-1]           # (T, S); the window of the last query first


def padding(lengths, S):
    """Return the boolean mask (B, 1, 1, S), True at the first lengths[b] keys of sequence b.

    Raises ValueError if a length is below 0 or above S, TypeError if lengths are not integers.
    """
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or not len(lengths):
        raise TypeError(f"lengths must be a list of integers, one for each sequence, but it is {lengths.dtype} of shape "
                        f"{lengths.shape}.")
    if lengths.min() < 0 or lengths.max() > S:
        raise ValueError(f"lengths must lie between 0 and S = {S}, but they reach from {lengths.min()} to {lengths.max()}.")
    return (np.arange(S)[None, :] < lengths[:, None])[:, None, None, :]     # (B, S) -> (B, 1, 1, S)

"""The loops over one tile of attention: copy it, find its maxima, make its exponentials, on the way back its dS.

attention.py calls them in the order of its equations. Each inner loop is so simple that LLVM makes wide instructions of it;
where one adds up, it has the flags for sums (compiled.py), and the others have not.

Tested    tests/kernels/test_tiled_attention.py, and everything that holds layers/attention.py.
"""
import math

import numpy as np

from nanolm.kernels.compiled import SUMS, compiled
from nanolm.kernels.exp import exp
from nanolm.kernels.maximum import largest
from nanolm.kernels.random_bits import bits
from nanolm.kernels.tile_product import MULTIPLE
from nanolm.kernels.tiles import TILE
from nanolm.kernels.turning import turn


@compiled
def padded(D):
    """Return the next multiple of MULTIPLE: how many columns a tile needs for D channels."""
    return -(-D // MULTIPLE) * MULTIPLE


@compiled
def gather(flat, at, step, rows, D, into, factor):
    """Copy rows of D numbers that lie `step` apart, from place `at` on, times a factor; the rows beyond them become 0."""
    for r in range(rows):
        row = flat[at + r * step:at + r * step + D]
        for d in range(D):
            into[r, d] = row[d] * factor
    into[rows:] = 0


@compiled
def gather_turned(flat, at, step, rows, into):
    """Copy rows that lie `step` numbers apart into columns; the columns beyond them become 0.

    The product of tiles reads its second factor along rows.
    """
    turn(flat, at, step, rows, into.shape[0], into)
    into[:, rows:] = 0


@compiled
def scatter(rows, flat, at, step, n, D, factor):
    """The way back: copy the first D numbers of the first n rows, times a factor, to places `step` apart."""
    for r in range(n):
        row = flat[at + r * step:at + r * step + D]
        for d in range(D):
            row[d] = rows[r, d] * factor


@compiled
def raise_maxima(s, rows, m, factor):
    """Raise each row's m to the largest score so far; factor = exp(old m - new m)."""
    zero = s.dtype.type(0)
    for r in range(rows):
        most = largest(s[r])
        most = m[r] if m[r] > most else most
        factor[r] = exp(m[r] - shift_of(most, zero))
        m[r] = most


@compiled
def shift_of(most, zero):
    """Return what is subtracted from the scores: 0 while all of them are -inf, because -inf - -inf is NaN."""
    return zero if most == -np.inf else most


@compiled(fastmath=SUMS)
def sum_of_shares(s, rows, m, l, factor):
    """Replace the scores by exp(s - m), and add each row's to its l, (F1)."""
    zero = s.dtype.type(0)
    for r in range(rows):
        shift, total = shift_of(m[r], zero), zero
        for j in range(TILE):
            share = exp(s[r, j] - shift)
            s[r, j] = share
            total += share
        l[r] = l[r] * factor[r] + total


@compiled
def rescale(acc, factor):
    for r in range(TILE):
        for d in range(acc.shape[1]):
            acc[r, d] *= factor[r]


@compiled
def finish(acc, m, l, rows, E, y, at, step, lse, first):
    """Write y = acc / l and lse = m + ln l of a tile's rows; 0 and inf where there was nothing to attend to, (F3)."""
    for r in range(rows):
        none = l[r] == 0
        one_over = l[r] if none else 1 / l[r]
        lse[first + r] = np.inf if none else m[r] + math.log(l[r])
        row = y[at + r * step:at + r * step + E]
        for d in range(row.size):
            row[d] = acc[r, d] * one_over


@compiled
def softmax_backward(s, ds, rows, lse, first_lse, delta, first):
    """Replace the scores by P = exp(s - lse), (F4), and dP by dS = P (dP - delta); rows that are no queries by 0."""
    for r in range(rows):
        shift, average = lse[first_lse + r], delta[first + r]
        for j in range(TILE):
            share = exp(s[r, j] - shift)
            s[r, j] = share
            ds[r, j] = share * (ds[r, j] - average)
    s[rows:] = 0
    ds[rows:] = 0


@compiled(fastmath=SUMS)
def inner(a, flat, at, step, E, into):
    """Write each row's a . b, the rows of b lying `step` numbers apart."""
    for r in range(into.size):
        row = flat[at + r * step:at + r * step + E]
        total = a.dtype.type(0)
        for d in range(row.size):
            total += a[r, d] * row[d]
        into[r] = total


@compiled
def drop(s, drops, lift, head, i, j, rows):
    """Multiply a tile by what dropout drew for its places: 0, or 1 / (1 - rate)."""
    zero = s.dtype.type(0)
    for r in range(rows):
        place = (head * 2**20 + i * TILE + r) * 2**20 + j * TILE            # tells apart a million queries and keys
        for c in range(TILE):
            s[r, c] *= zero if bits(drops[1], place + c) < drops[0] else lift

"""One token through Llama's shape in one kernel: decode.py's idea, every weight read once, shared out by columns.

GPT-2's kernel gives each thread whole heads. Here that would not come out even: SmolLM2 has nine heads of queries that share
three of keys, and two threads would have one and two. So the threads divide the columns of every matrix, and what they compute
lies where all can read it:

    q, k, v     of the H + 2 G heads each thread has some: it turns them (rotary.py) and keeps the keys and values
    attention   of the H N pairs (head, row) each has some, next to each other, so that heads that share a key mostly
                stay on one core
    o, down     each thread adds its channels to x                              x is one for all
    gate, up    each has some hidden channels; gate and up of the same ones

A meeting (meeting.py) after each of a block's five steps (o and down are two). No number is a sum of several threads' parts,
so the bits do not depend on how many there are. Columns are shared out sixteen at a time, a line of the cache.

    places (9 L + 3,)   for each block input_layernorm, q, k, v, o, post_attention_layernorm, gate, up, down; then norm, the head,
                        (V, C) if tied, else (C, V), and the table, which is not read here
    x (N, C), embedded; written over        keys, values (L, B, G, S, D), flat        turns (2, N, D/2): cosines and sines
    rows (2 N,): which of the B texts, which position        queries (N, H D), hidden (N, F): room for all threads

Tested    tests/kernels/test_decode_llama.py.
"""
import math

import numpy as np

from nanolm.kernels.compiled import SUMS, compiled, entry
from nanolm.kernels.decode_loops import attend
from nanolm.kernels.exp import exp
from nanolm.kernels.meeting import meet
from nanolm.kernels.reading import head, times

LINE = 16                                               # numbers
WIDEST = 2048                                           # columns of an untied head that are computed at a time


def run(reals, stored, places, shape, x, keys, values, rows, turns, wanted, queries, hidden, logits, eps, counter, k, n):
    """Write the new keys and values, and thread k's part (of n) of the logits (M, V) of the rows `wanted` (M,)."""
    weights, zero, due = stored, np.int64(0), 0                                         # a plain 0 would be a type of its own
    L, B, H, G, S, F, V, tied = shape
    N, C = x.shape
    D, dtype = 2 * turns.shape[2], x.dtype
    first, last = (H + 2 * G) * k // n, (H + 2 * G) * (k + 1) // n                      # this thread's heads of q, k and v,
    begin, end = edge(C, k, n), edge(C, k + 1, n)                                       # channels,
    low, high = edge(F, k, n), edge(F, k + 1, n)                                        # and hidden channels
    normed, scores, found = np.empty((N, C), dtype), np.empty(S, dtype), np.empty(D, dtype)
    heads, part = np.empty(N * max(H, G) * D, dtype), np.empty((N, end - begin), dtype)
    gate, up = np.empty((N, high - low), dtype), np.empty((N, high - low), dtype)
    for l in range(L):
        at = places[9 * l:9 * l + 9]
        norm(x, reals, at[0], eps, normed)
        for kind in range(3):
            before, number = (0, H) if kind == 0 else (H, G) if kind == 1 else (H + G, G)
            lo, hi = max(first - before, 0), min(last - before, number)
            if lo < hi:
                y = heads[:N * (hi - lo) * D].reshape(N, (hi - lo) * D)
                times(weights, at[1 + kind] + lo * D, number * D, normed, zero, C, y)
                for r in range(N):
                    for h in range(lo, hi):
                        mine = y[r, (h - lo) * D:(h - lo + 1) * D]
                        if kind == 0:
                            turn(mine, turns[0, r], turns[1, r], queries[r, h * D:(h + 1) * D])
                        else:
                            new = (((l * B + rows[2 * r]) * G + h) * S + rows[2 * r + 1]) * D
                            if kind == 1:
                                turn(mine, turns[0, r], turns[1, r], keys[new:new + D])
                            else:
                                values[new:new + D] = mine
        due += n
        meet(counter, n, due)
        for pair in range(H * N * k // n, H * N * (k + 1) // n):
            h, r = pair // N, pair % N
            attend(queries[r], h * D, keys, values, ((l * B + rows[2 * r]) * G + h // (H // G)) * S * D, rows[2 * r + 1],
                   scores, found)
        due += n
        meet(counter, n, due)                           # queries now holds what the heads found
        times(weights, at[4] + begin, C, queries, zero, H * D, part)
        add(x, begin, part)
        due += n
        meet(counter, n, due)
        norm(x, reals, at[5], eps, normed)
        times(weights, at[6] + low, F, normed, zero, C, gate)
        times(weights, at[7] + low, F, normed, zero, C, up)
        open_gate(gate, up, low, hidden)
        due += n
        meet(counter, n, due)
        times(weights, at[8] + begin, C, hidden, zero, F, part)
        add(x, begin, part)
        due += n
        meet(counter, n, due)

    at = places[9 * L:]
    few = np.empty((wanted.size, C), dtype)
    for m in range(wanted.size):
        few[m] = x[wanted[m]]
    norm(few, reals, at[0], eps, few)
    begin, end = edge(V, k, n), edge(V, k + 1, n)
    if tied:
        head(few, weights, at[1], begin, end, logits)
    else:
        for left in range(begin, end, WIDEST):
            some = np.empty((wanted.size, min(WIDEST, end - left)), dtype)
            times(weights, at[1] + left, V, few, zero, C, some)
            logits[:, left:left + some.shape[1]] = some


floats = entry("in1", "in1", "in64", "in64", "out2", "out1", "out1", "in64", "in3", "in64", "out2", "out2", "out2", "real",
               "out64", "int", "int", fastmath=SUMS)(run)


@compiled
def edge(width, k, n):
    """Return where thread k's columns begin, of n threads: at a multiple of LINE; edge(width, n, n) is width."""
    return width if k == n else width // LINE * k // n * LINE


@compiled(fastmath=SUMS)
def norm(x, reals, weight, eps, y):
    """Write RMS norm of x (N, C) to y; the gain begins at `weight`."""
    N, C = x.shape
    real = x.dtype.type
    gain = reals[weight:weight + C]
    for r in range(N):
        a, b, square = x[r], y[r], real(0)
        for c in range(C):
            square += a[c] * a[c]
        rstd = real(1) / real(math.sqrt(square / real(C) + eps))
        for c in range(C):
            b[c] = a[c] * rstd * gain[c]


@compiled
def turn(x, cos, sin, y):
    """Write x (D,), each pair of its channels turned, to y: (O2) of layers/rotary.py."""
    half = cos.size
    for i in range(half):
        y[i] = x[i] * cos[i] - x[half + i] * sin[i]
        y[half + i] = x[i] * sin[i] + x[half + i] * cos[i]


@compiled
def open_gate(gate, up, at, hidden):
    """Write silu(gate) up, (N, O) each, to the columns of hidden (N, F) that begin at `at`."""
    real = gate.dtype.type
    for r in range(gate.shape[0]):
        g, u, out = gate[r], up[r], hidden[r, at:at + gate.shape[1]]
        for f in range(g.size):
            out[f] = g[f] / (real(1) + exp(-g[f])) * u[f]


@compiled
def add(x, at, part):
    """Add part (N, O) to the columns of x (N, C) that begin at `at`."""
    for r in range(part.shape[0]):
        for c in range(part.shape[1]):
            x[r, at + c] += part[r, c]

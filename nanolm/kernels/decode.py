"""One token through GPT-2 in one kernel: every weight is read once (reading.py), and the cores share the reading.

The threads divide the heads between them, and the MLP's hidden channels likewise. A thread's share of c_attn's columns gives
the q, k, v of its own heads, so it attends without waiting; then its rows of c_proj give a part of the block's answer:

    c_attn, c_fc        each thread has some columns     the input is whole, the output is its own
    c_proj (both)       each thread has some rows        the input is its own, the output is one term of a sum

Two meetings a block (meeting.py), after which every thread adds up all terms and goes on with the whole x. There is
one term for each head, whoever computed it, and they are added in the order of the heads: the same bits with any number
of threads.

With int8 weights, w = scale_o q (generation/int8.py), the sum over q is made first and multiplied by its scale once.

The kernel gets the model as one flat view of memory, from the first of the weights to the last, and a list of places: where in
it each array begins. That is one argument in place of 150, and what lies in between is not looked at.

    places (16 L + 4,)  for each block ln_1, c_attn, c_proj, ln_2, c_fc, c_proj, weight and bias of each, then the scales of
                        the four matrices; at the end ln_f's two, wte and its scale. -1: none
    x (N, C), embedded  keys, values (L, B, H, S, D), flat     rows (2 N,): which of the B texts, which position

Source    dividing heads and hidden channels: Shoeybi et al. 2019, arXiv:1909.08053, section 3.
Tested    tests/kernels/test_decode.py.
"""
import math

import numpy as np

from nanolm.kernels.compiled import SUMS, compiled, entry
from nanolm.kernels.decode_loops import attend, keep, numbers
from nanolm.kernels.exp import exp
from nanolm.kernels.meeting import meet
from nanolm.kernels.reading import head, times

KINDS = ("in64", "in64", "in2", "out1", "out1", "in64", "in64", "out3", "out3", "out2", "real", "out64", "int", "int")


def run(reals, stored, places, shape, x, keys, values, rows, wanted, attended, widened, logits, eps, counter, k, n):
    """Write the new keys and values, and thread k's part (of n) of the logits (M, V) of the rows `wanted` (M,).

    reals: the memory of the floats. stored: that of the matrices, the same, or bytes of int8.
    """
    weights, scaled = numbers(stored), places[12] >= 0
    L, B, H, S, F, V = shape
    N, C = x.shape
    D, dtype = C // H, x.dtype
    first, last = H * k // n, H * (k + 1) // n          # this thread's heads
    own = (last - first) * D
    lo, hi = F * first // H, F * last // H              # and its hidden channels
    x, normed, hidden, due = x.copy(), np.empty((N, C), dtype), np.empty((N, hi - lo), dtype), 0
    q, key, value = np.empty((N, own), dtype), np.empty((N, own), dtype), np.empty((N, own), dtype)
    scores, found, zero = np.empty(S, dtype), np.empty(D, dtype), np.int64(0)           # a plain 0 would be a type of its own
    for l in range(L):
        at = places[16 * l:16 * l + 16]
        norm(x, reals, at[0], at[1], eps, normed)
        for part in range(3):
            out = q if part == 0 else key if part == 1 else value
            column = part * C + first * D
            times(weights, at[2] + column, 3 * C, normed, zero, C, out)
            finish(out, reals, at[12] + column, at[3] + column, scaled)
        for h in range(first, last):
            for r in range(N):
                mine, at_head, t = (h - first) * D, ((l * B + rows[2 * r]) * H + h) * S * D, rows[2 * r + 1]
                keep(key[r], value[r], mine, D, keys, values, at_head, t)
                attend(q[r], mine, keys, values, at_head, t, scores, found)
        for h in range(first, last):                    # q now holds what the heads found
            times(weights, at[4] + h * D * C, C, q, (h - first) * D, D, attended[h])
        due += n
        meet(counter, n, due)
        add_terms(x, attended, reals, at[13], at[5], scaled)

        norm(x, reals, at[6], at[7], eps, normed)
        times(weights, at[8] + lo, F, normed, zero, C, hidden)
        finish(hidden, reals, at[14] + lo, at[9] + lo, scaled)
        gelu(hidden)
        for h in range(first, last):
            start, stop = F * h // H, F * (h + 1) // H
            times(weights, at[10] + start * C, C, hidden, start - lo, stop - start, widened[h])
        due += n
        meet(counter, n, due)                           # `attended` is free again only after this
        add_terms(x, widened, reals, at[15], at[11], scaled)

    at = places[16 * L:]
    few = np.empty((wanted.size, C), dtype)
    for m in range(wanted.size):
        for c in range(C):
            few[m, c] = x[wanted[m], c]
    norm(few, reals, at[0], at[1], eps, few)
    head(few, weights, at[2], V * k // n, V * (k + 1) // n, logits)
    if scaled:
        for m in range(wanted.size):
            for o in range(V * k // n, V * (k + 1) // n):
                logits[m, o] *= reals[at[3] + o]


floats = entry("in1", "in1", *KINDS, fastmath=SUMS)(run)
int8 = entry("in1", "bytes", *KINDS, fastmath=SUMS)(run)


@compiled(fastmath=SUMS)
def norm(x, reals, weight, bias, eps, y):
    """Write layer norm of x (N, C) to y; gain and bias begin at `weight` and `bias`."""
    N, C = x.shape
    real = x.dtype.type
    gain, offset = reals[weight:weight + C], reals[bias:bias + C]
    for r in range(N):
        a, b = x[r], y[r]
        mean, var = real(0), real(0)
        for c in range(C):
            mean += a[c]
        mean /= real(C)
        for c in range(C):
            var += (a[c] - mean) * (a[c] - mean)
        rstd = real(1) / real(math.sqrt(var / real(C) + eps))
        for c in range(C):
            b[c] = (a[c] - mean) * rstd * gain[c] + offset[c]


@compiled
def finish(y, reals, scale, bias, scaled):
    """Multiply y (N, O) by the scales, if the weights are int8, and add the bias."""
    N, O = y.shape
    offset = reals[bias:bias + O]
    if scaled:
        factor = reals[scale:scale + O]
        for r in range(N):
            for o in range(O):
                y[r, o] = y[r, o] * factor[o] + offset[o]
    else:
        for r in range(N):
            for o in range(O):
                y[r, o] += offset[o]


@compiled
def add_terms(x, terms, reals, scale, bias, scaled):
    """Add to x (N, C) the sum of terms (H, N, C), in the order of H, times the scales if the weights are int8, and the bias."""
    H, N, C = terms.shape
    total = terms[0].copy()
    for h in range(1, H):
        for r in range(N):
            for c in range(C):
                total[r, c] += terms[h, r, c]
    finish(total, reals, scale, bias, scaled)
    for r in range(N):
        for c in range(C):
            x[r, c] += total[r, c]


@compiled
def gelu(x):
    """Write GELU over x (N, F), tanh form: (1 + tanh u) / 2 = 1 / (1 + exp(-2 u))."""
    real = x.dtype.type
    k, a = real(-2 * math.sqrt(2 / math.pi)), real(0.044715)
    for r in range(x.shape[0]):
        for f in range(x.shape[1]):
            v = x[r, f]
            x[r, f] = v / (real(1) + exp(k * (v + a * (v * v * v))))

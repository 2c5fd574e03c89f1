"""x @ weight for few rows of x: each weight is read once, in the order in which it lies in memory.

Choosing the next token of one text needs two operations for each weight, but the weight has to come from memory first: 0.5 GB
a token for GPT-2 small. So nothing counts but reading, and reading wants long straight runs. A weight is (in, out), and
x @ weight is the sum of its rows, each times one number:

    y = x_0 weight[0] + x_1 weight[1] + ...             eight rows at a time, y stays in the nearest cache       (R1)

which goes straight down the matrix where it is: no turned copy, no second 0.5 GB. wte is (V, C), so the head is its other
form, one dot product a row.

With N rows of x (beams, a batch of prompts) each weight serves all N while it is in the nearest cache: pieces of eight rows by
512 columns. (Copying a piece together first, or a function of its own for the eight rows, made N = 8 slower: 38 ms a token
of GPT-2 small where this takes 22.)

Weights may be floats or int8; int8 become floats in the register, after reading.

Tested    tests/kernels/test_decode.py.
"""
import numpy as np

from nanolm.kernels.compiled import SUMS, compiled

TILE = 512                                              # columns


@compiled(fastmath=SUMS)
def times(weights, at, step, x, start, n, y):
    """Write y (N, O) = x[:, start:start + n] @ the n x O matrix that begins at `at`, its rows `step` numbers apart. (R1)"""
    N, O = y.shape
    real = y.dtype.type
    for r in range(N):
        for j in range(O):
            y[r, j] = real(0)
    wide = O if N == 1 else TILE
    for left in range(0, O, wide):
        o = min(wide, O - left)
        for i in range(0, n - n % 8, 8):
            a = at + i * step + left
            w0, w1, w2, w3 = weights[a:a + o], weights[a + step:][:o], weights[a + 2 * step:][:o], weights[a + 3 * step:][:o]
            a += 4 * step
            w4, w5, w6, w7 = weights[a:a + o], weights[a + step:][:o], weights[a + 2 * step:][:o], weights[a + 3 * step:][:o]
            for r in range(N):
                c, line = x[r, start + i:start + i + 8], y[r, left:left + o]
                x0, x1, x2, x3, x4, x5, x6, x7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
                for j in range(o):
                    line[j] += ((x0 * real(w0[j]) + x1 * real(w1[j])) + (x2 * real(w2[j]) + x3 * real(w3[j]))
                                + ((x4 * real(w4[j]) + x5 * real(w5[j])) + (x6 * real(w6[j]) + x7 * real(w7[j]))))
        for i in range(n - n % 8, n):
            row = weights[at + i * step + left:][:o]
            for r in range(N):
                c, line = x[r, start + i], y[r, left:left + o]
                for j in range(o):
                    line[j] += c * real(row[j])


@compiled(fastmath=SUMS)
def head(x, weights, at, start, stop, y):
    """Write y[m, o] = the dot product of x[m] with row o of a matrix (V, C), for o = start ... stop - 1."""
    M, C = x.shape
    real = x.dtype.type
    for o in range(start, stop):
        row = weights[at + o * C:at + (o + 1) * C]
        m = 0
        while m + 4 <= M:                               # four rows of x share what was read
            a, b, c, d = x[m], x[m + 1], x[m + 2], x[m + 3]
            s0, s1, s2, s3 = real(0), real(0), real(0), real(0)
            for i in range(C):
                w = real(row[i])
                s0 += w * a[i]
                s1 += w * b[i]
                s2 += w * c[i]
                s3 += w * d[i]
            y[m, o], y[m + 1, o], y[m + 2, o], y[m + 3, o] = s0, s1, s2, s3
            m += 4
        while m < M:
            a, s0 = x[m], real(0)
            for i in range(C):
                s0 += real(row[i]) * a[i]
            y[m, o] = s0
            m += 1

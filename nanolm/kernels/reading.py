"""x @ weight for few rows of x: each weight is read once, in the order in which it lies in memory.

Choosing the next token of one text needs two operations for each weight, but the weight has to come from memory first: 0.5 GB
a token for GPT-2 small. So nothing counts but reading, and reading wants long straight runs. A weight is (in, out), and
x @ weight is the sum of its rows, each times one number:

    y = x_0 weight[0] + x_1 weight[1] + ...             eight rows at a time, y stays in the nearest cache      (RD1)

which goes straight down the matrix where it is: no turned copy, no second 0.5 GB. wte is (V, C), so the head is its other
form, one dot product a row.

With N rows of x (beams, a batch of prompts) each weight serves all N while it is in the nearest cache: pieces of four rows
by 512 columns, and the next piece is asked for while this one is computed (prefetch.py).

Weights may be floats or int8; int8 become floats in the register, after reading.

Tested    tests/kernels/test_decode.py.
"""
from nanolm.kernels.compiled import SUMS, compiled
from nanolm.kernels.prefetch import add_four_rows

TILE = 512                                              # columns


@compiled(fastmath=SUMS)
def times(weights, at, step, x, start, n, y):
    """Write y (N, O) = x[:, start:start + n] @ the n x O matrix that begins at `at`, its rows `step` numbers apart. (RD1)"""
    N, O = y.shape
    real = y.dtype.type
    for r in range(N):
        for j in range(O):
            y[r, j] = real(0)
    if N == 1:
        line, whole = y[0], n - n % 8
        for i in range(0, whole, 8):
            a = at + i * step
            w0, w1, w2, w3 = weights[a:a + O], weights[a + step:][:O], weights[a + 2 * step:][:O], weights[a + 3 * step:][:O]
            a += 4 * step
            w4, w5, w6, w7 = weights[a:a + O], weights[a + step:][:O], weights[a + 2 * step:][:O], weights[a + 3 * step:][:O]
            c = x[0, start + i:start + i + 8]
            x0, x1, x2, x3, x4, x5, x6, x7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
            for j in range(O):
                line[j] += ((x0 * real(w0[j]) + x1 * real(w1[j])) + (x2 * real(w2[j]) + x3 * real(w3[j]))
                            + ((x4 * real(w4[j]) + x5 * real(w5[j])) + (x6 * real(w6[j]) + x7 * real(w7[j]))))
    else:
        whole = n - n % 4
        for i in range(0, whole, 4):
            for left in range(0, O, TILE):
                add_four_rows(weights, at + i * step + left, step, x, start + i, y, left, min(TILE, O - left))
    for i in range(whole, n):
        row = weights[at + i * step:][:O]
        for r in range(N):
            c, line = x[r, start + i], y[r]
            for j in range(O):
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

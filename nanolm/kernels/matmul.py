"""Matrix products of any size, from the micro-kernel of tile_product.py: what a BLAS does, in the order of a cache.

    C = A B  or  C += A B,      A (M, K), B (K, N), C (M, N)

The micro-kernel computes 4 rows by PANEL columns of C and reads 4 numbers of A and PANEL of B for every k. It runs at
full speed if what it reads of B lies in the nearest cache and in one piece. So:

    for each PANEL columns of B and C, and each DEPTH rows of B:        a panel: 128 x 64 numbers, 32 KB
        copy the panel of B into one piece                              read M / 4 times from the nearest cache
        for every 4 rows of A and C:  micro-kernel                      A comes from memory, number by number, in order

Whether A and B are turned (A = x.T for the gradient of a weight) is only a matter of the steps with which they are
read. Rows and columns that do not fill a micro-kernel are computed into a small square beside C and copied.

Every number of C is a sum over k = 0 ... K - 1 in that order, broken off at each DEPTH, whatever columns or rows a
thread is given: the bits do not depend on the number of threads.

Source    Goto, van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; here with one level of blocks.
Tested    tests/kernels/test_matmul.py.
"""
import numpy as np

from nanolm.kernels.compiled import compiled, entry
from nanolm.kernels.tile_product import BYTES, WIDTH, large
from nanolm.kernels.turning import turn

ROWS, DEPTH = 4, 128


@entry("in1", "int", "int", "int", "in1", "int", "int", "int", "out1", "int", "int", "int", "int", "int", "int")
def multiply(a, a_at, a_row, a_step, b, b_at, b_row, b_step, c, c_at, c_row, M, N, K, add):
    """C = A B, or C += A B where add is not 0; a[m, k] = a[a_at + m a_row + k a_step] and so on; C's columns lie side by side."""
    PANEL = WIDTH * (BYTES // c.itemsize)
    panel = np.empty((DEPTH, PANEL), c.dtype)
    edge = np.empty((ROWS, PANEL), c.dtype)
    a_edge = np.zeros((ROWS, DEPTH), c.dtype)
    for n in range(0, N, PANEL):
        columns = min(PANEL, N - n)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            pack(b, b_at + k * b_row + n * b_step, b_row, b_step, depth, columns, panel)
            more = add != 0 or k > 0
            m = 0
            if columns == PANEL:
                while m + ROWS <= M:
                    large(a, a_at + m * a_row + k * a_step, a_row, a_step, depth, panel, 0, PANEL, c,
                          c_at + m * c_row + n, c_row, more)
                    m += ROWS
            while m < M:                                                    # what does not fill 4 rows by PANEL columns
                rows = min(ROWS, M - m)
                for r in range(rows):
                    for d in range(depth):
                        a_edge[r, d] = a[a_at + (m + r) * a_row + (k + d) * a_step]
                large(a_edge, 0, DEPTH, 1, depth, panel, 0, PANEL, edge, 0, PANEL, False)
                for r in range(rows):
                    at = c_at + (m + r) * c_row + n
                    for i in range(columns):
                        c[at + i] = edge[r, i] + (c[at + i] if more else edge.dtype.type(0))
                m += ROWS


@compiled
def pack(b, at, b_row, b_step, depth, columns, panel):
    """Copy depth rows by some columns of B into the panel; columns beyond them become 0."""
    if b_step == 1:
        for d in range(depth):
            row = b[at + d * b_row:at + d * b_row + columns]
            for i in range(columns):
                panel[d, i] = row[i]
    else:                                                                   # turned: a row of the array is a column here
        turn(b, at, b_step, columns, depth, panel)                          # (b_row is 1)
    panel[:depth, columns:] = 0

"""Cross-entropy, fast: a row of logits is read, and nothing but two numbers of it is written.

The plain forward makes a shifted copy of all logits and the exponentials of it: for GPT-2's 50,257 tokens and 256
targets 51 MB each. Here the sum of the exponentials is added up as they are made. Backward writes dlogits and no array
beside it. The formulas and the cache are the plain layer's.

Tested    tests/kernels/test_twins.py, and everything that holds layers/cross_entropy.py.
"""
import math

import numpy as np

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import SUMS, compiled, entry
from nanolm.kernels.exp import exp
from nanolm.kernels.maximum import largest
from nanolm.kernels.usual import floats, rows_of
from nanolm.layers import check


def forward(logits, targets, ignore_index=-100, label_smoothing=0.0):
    """Return loss and cache = (logits, log_sum, rows, picked, label_smoothing). See layers/cross_entropy.py."""
    if not floats(logits) or logits.ndim == 0:
        return plain("cross_entropy", "forward")(logits, targets, ignore_index, label_smoothing)
    V = logits.shape[-1]
    check.integers("targets", targets, 0, V, spared=ignore_index)
    check.shape("targets", targets, logits.shape[:-1], "one target for each row of logits")
    s = check.share("label_smoothing", label_smoothing)
    z = rows_of(logits)                                                     # (N, V)
    rows = np.flatnonzero(targets.reshape(-1) != ignore_index)              # (M,) the rows that count
    picked = targets.reshape(-1)[rows].astype(np.int64)                     # (M,) and their targets
    log_sum, nll = np.zeros((len(z), 1), z.dtype), np.empty(len(rows), z.dtype)

    def some(start, stop):
        surprises(z, rows[start:stop], picked[start:stop], s, log_sum, nll[start:stop])

    threads.split(some, len(rows), least=1 + 2**16 // V)
    loss = (nll / max(len(rows), 1)).sum()                                  # (C2)
    return loss, (logits, log_sum, rows, picked, s)


def backward(dloss, cache):
    """Return dlogits, shaped like logits."""
    logits, log_sum, rows, picked, s = cache
    if not floats(logits):
        return plain("cross_entropy", "backward")(dloss, cache)
    z = rows_of(logits)
    scale = float(dloss) / max(len(rows), 1)                                # loss = (nll / M).sum()
    dz = np.empty_like(z)
    ignored = np.ones(len(z), bool)
    ignored[rows] = False
    dz[ignored] = 0
    picked = picked.astype(np.int64, copy=False)

    def some(start, stop):
        pushes(z, rows[start:stop], picked[start:stop], s, scale, log_sum, dz)

    threads.split(some, len(rows), least=1 + 2**16 // z.shape[1])
    return dz.reshape(logits.shape)


@entry("in2", "in64", "in64", "real", "out2", "out1")
def surprises(z, rows, picked, s, log_sum, nll):
    """Write log_sum and nll of some rows, (C1) and (C3)."""
    one, count = z.dtype.type(1), z.dtype.type(z.shape[1])
    for i in range(rows.size):
        row = z[rows[i]]
        most = largest(row)
        total = sum_of_exp(row, most)
        log_sum[rows[i], 0] = math.log(total)
        nll[i] = log_sum[rows[i], 0] - (row[picked[i]] - most)
        if s > 0:
            nll[i] = (one - s) * nll[i] + s * (log_sum[rows[i], 0] - (sum_of(row, most) / count))


@entry("in2", "in64", "in64", "real", "real", "in2", "out2")
def pushes(z, rows, picked, s, scale, log_sum, dz):
    """Write dlogits of some rows, (C4)."""
    one, spread = z.dtype.type(1), s / z.dtype.type(z.shape[1])
    for i in range(rows.size):
        row, out = z[rows[i]], dz[rows[i]]
        most, lse = largest(row), log_sum[rows[i], 0]
        for v in range(row.size):
            out[v] = (exp((row[v] - most) - lse) - spread) * scale
        share = exp((row[picked[i]] - most) - lse)
        out[picked[i]] = ((share - (one - s)) - spread) * scale             # scale may be inf: no inf - inf


@compiled(fastmath=SUMS)
def sum_of_exp(row, most):
    total = row.dtype.type(0)
    for v in range(row.size):
        total += exp(row[v] - most)
    return total


@compiled(fastmath=SUMS)
def sum_of(row, most):
    total = row.dtype.type(0)
    for v in range(row.size):
        total += row[v] - most
    return total

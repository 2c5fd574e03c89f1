"""Cross-entropy from logits: how surprised is the model by the token that really came?

    p_v = exp(z_v) / sum_u exp(z_u)                                 the model's probability of token v
    nll = -ln p_target = lse(z) - z_target,   lse(z) = ln sum_v exp(z_v)                                          (C1)
    loss = average of nll over the targets that count                                                             (C2)

    logits z (..., V)     targets (...) integers     loss: one number, in nats (divide by ln 2 for bits)

Probabilities are never formed on the way: ln of a share that underflowed to 0 is -inf, while (C1) is right as long as
nll itself fits. The largest logit is subtracted first and not added again: the logits of the published GPT-2 lie around
-100, where float32 counts in steps of 8e-6, and lse would be rounded to one of them. A target equal to ignore_index
(padding, or a token that was not masked) counts neither in the sum nor in the number it is divided by. If no target
counts, loss and gradient are 0.

Label smoothing asks for a little less certainty: the target gets 1 - s, and s is spread evenly over all V tokens:

    nll = sum_v q_v (lse(z) - z_v),     q_v = (1 - s) [v = target] + s / V                                        (C3)

Backward, with M targets that count. d lse / dz_v = p_v, and the q add up to one, so:

    dz_v = (p_v - q_v) dloss / M         and 0 in the rows that are ignored                                       (C4)

In words: push down what was believed, pull up what came.

Source    label smoothing: Szegedy et al. 2015, arXiv:1512.00567, section 7; Vaswani et al. 2017, section 5.4.
Derived   notebooks/06_cross_entropy.ipynb.  Tested  tests/test_cross_entropy.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(logits, targets, ignore_index=-100, label_smoothing=0.0):
    """Return loss (a scalar of the logits' dtype, nats) and cache = (logits, log_sum, rows, picked, label_smoothing).

    The cache holds the logits by reference and one new number a row; backward computes the rest again.
    ignore_index: the target that does not count; None: all count.
    Raises ValueError if targets are not shaped like logits without V or are out of range, or unless 0 <= label_smoothing
    < 1; TypeError if targets are not integers.
    """
    check.floats(logits=logits)
    check.dimensions("logits", logits, 1, "(..., V)")
    V = logits.shape[-1]
    check.integers("targets", targets, 0, V, spared=ignore_index)
    check.shape("targets", targets, logits.shape[:-1], "one target for each row of logits")
    s = check.share("label_smoothing", label_smoothing)
    z = logits.reshape(-1, V)                                               # (N, V)
    rows = np.flatnonzero(targets.reshape(-1) != ignore_index)              # (M,) the rows that count
    picked = targets.reshape(-1)[rows]                                      # (M,) and their targets
    z = z - z.max(axis=-1, keepdims=True)                                   # changes no probability, and no nll
    log_sum = np.log(np.exp(z).sum(axis=-1, keepdims=True))                 # (N, 1) lse of z as it is now
    nll = log_sum[rows, 0] - z[rows, picked]                                # (M,) (C1)
    if s > 0:
        nll = (1 - s) * nll + s * (log_sum[rows, 0] - z[rows].mean(axis=-1))   # (C3)
    loss = (nll / max(len(rows), 1)).sum()                                  # (C2); NumPy 1 widens nll.sum() / an int
    return loss, (logits, log_sum, rows, picked, s)


def backward(dloss, cache):
    """Return dlogits, shaped like logits. dloss is the gradient of whatever follows by this loss: 1 if nothing does."""
    logits, log_sum, rows, picked, s = cache
    V = logits.shape[-1]
    scale = float(dloss) / max(len(rows), 1)                                # loss = (nll / M).sum()
    dz = np.zeros_like(logits).reshape(-1, V)                               # ignored rows stay 0
    z = logits.reshape(-1, V)[rows]                                         # (M, V)
    z = z - z.max(axis=-1, keepdims=True)                                   # as in forward
    p = np.exp(z - log_sum[rows])
    p[np.arange(len(rows)), picked] -= 1 - s                                # - q, the part at the target
    p -= s / V                                                              # - q, the part that is spread
    p *= scale
    dz[rows] = p                                                            # (C4)
    return dz.reshape(logits.shape)

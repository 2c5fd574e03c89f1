"""Do these arrays hold those numbers? As they are, reshaped, turned, or in the pieces that a loop makes of them.

Tested    tests/grading/test_inside.py.
"""
import numpy as np

MANY = 600                                          # pieces: more are not put together


def holds(arrays, truth):
    """Return whether one of the arrays is the truth, or all of them together are its pieces, as a loop makes them."""
    if any(equal(a, truth) for a in arrays):
        return True
    sizes = {a.size for a in arrays}
    if len(sizes) != 1 or not 2 <= len(arrays) <= MANY or not 0 < max(sizes) < truth.size or truth.size % max(sizes):
        return False
    pieces = np.stack([a.reshape(-1) for a in arrays])                      # (n, size)
    turns = [truth] + [np.moveaxis(truth, axis, 0) for axis in range(1, truth.ndim)]
    return any(covered(np.ascontiguousarray(turn).reshape(-1, pieces.shape[1]), pieces, truth) for turn in turns)


def covered(rows, pieces, truth):
    """Return whether each row that is not zero is among the pieces."""
    rows = rows[rows.any(axis=1)]
    with np.errstate(all="ignore"):
        distance = np.abs(rows[:, None] - pieces[None]).max(axis=-1)
    return bool((distance.min(axis=1) <= 1e-6 * np.abs(truth).max()).all()) if len(rows) else False


def equal(a, truth):
    """Return whether an array holds the numbers of truth, in its shape or reshaped without moving any.

    Heads (B, T, H, D) are as good as (B, H, T, D), and a matrix may be turned if its shape shows that.
    """
    if a.size != truth.size or not truth.any():
        return False
    if near(a.reshape(-1), truth.reshape(-1)):
        return True
    for one, other in ((1, 2), (-1, -2)) if truth.ndim == 4 else ((-1, -2),) if truth.ndim > 1 else ():
        turned = truth.swapaxes(one, other)
        if a.shape == turned.shape != truth.shape and near(a, turned):
            return True
    return False


def near(a, b):
    """Return whether two arrays of one shape are the same to six digits of the largest."""
    with np.errstate(all="ignore"):
        return a.shape == b.shape and bool((np.abs(a - b) <= 1e-6 * np.abs(b).max(initial=0)).all())

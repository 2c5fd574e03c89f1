"""Answers to the exercises on checking gradients: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


@right("checker.relative_error")
def with_where(got, expected):
    if np.isnan(got).any() or np.isnan(expected).any():
        return float("inf")
    scale = np.maximum(np.abs(got), np.abs(expected))
    return float(np.max(np.abs(got - expected) / np.where(scale == 0, 1, scale)))


@right("checker.relative_error")
def in_a_loop(got, expected):
    worst = 0.0
    for g, e in zip(got.ravel().tolist(), expected.ravel().tolist()):
        if math.isnan(g) or math.isnan(e):
            return math.inf
        if g != e:
            worst = max(worst, abs(g - e) / max(abs(g), abs(e)))
    return worst


@right("checker.relative_error")
def a_numpy_scalar(got, expected):
    error = np.abs(got - expected)
    each = np.divide(error, np.fmax(np.abs(got), np.abs(expected)), out=np.zeros_like(error), where=error != 0)
    return np.float64(np.inf) if np.isnan(each).any() else each.max()


@wrong("checker.relative_error", "mean_in_place_of_max")
def averaged(got, expected):
    if not np.isfinite(got).all():
        return np.inf
    scale = np.maximum(np.abs(got), np.abs(expected))
    return float(np.average(np.abs(got - expected) / np.where(scale == 0, 1, scale)))


@wrong("checker.relative_error", "nan_returned", "nan")
def python_max(got, expected):
    scale = np.maximum(np.abs(got), np.abs(expected))
    return float((np.abs(got - expected) / np.where(scale == 0, 1, scale)).max())


@wrong("checker.relative_error", "divided_by_the_sum")
def symmetric(got, expected):
    if np.isnan(got).any():
        return np.inf
    scale = np.abs(got) + np.abs(expected)
    return float(np.max(np.abs(got - expected) / np.where(scale == 0, 1, scale)))


@wrong("checker.relative_error", "divided_by_expected")
def by_the_truth(got, expected):
    if np.isnan(got).any():
        return np.inf
    with np.errstate(all="ignore"):
        each = np.abs((got - expected) / expected)
    each[(got == 0) & (expected == 0)] = 0
    return float(each.max())

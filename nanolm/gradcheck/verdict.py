"""Right or wrong? Compare one gradient with its numerical value, and let the error at h and at h/10 speak.

An error of 1e-6 may be a mistake in backward or the crudeness of the numbers it is compared with. The step tells:

    mistake        the error stays what it was        at h/10 as at h
    truncation     it shrinks a hundredfold           (h^2: the series was cut off; a smaller h would help)
    rounding       it grows tenfold                   (1/h: forward computes in less than float64 somewhere)

An entry is right if  |got - expected| <= rtol |expected| + atol.  Two numbers are needed: the true gradient of
attention's key bias is exactly zero, so that any rounding is infinitely wrong relatively; and an absolute bound alone
would let zeros pass for a small gradient. So atol, unless it is given, is a fraction of the largest entry that any
gradient of this call has: zeros pass only where the truth is zero, seen from there.

Measured on nanolm's own layers, all ready-made cases with five seeds: the error of a right backward stays below 3e-14
of that entry with the complex step and below 5e-9 with central differences. The defaults leave room for longer sums.
"""
import numpy as np

RTOL = {"complex step": 1e-9, "central differences": 1e-8}
ATOL = {"complex step": 1e-12, "central differences": 1e-8}       # times the largest expected entry
ROUNDING = 1e-14                                                 # 50 roundings, times the size of what was added up


def tolerance(expected, largest, method, rtol=None, atol=None):
    """Return how far each entry of expected may be off; largest: the largest expected entry of the whole call."""
    rtol = RTOL[method] if rtol is None else rtol
    atol = ATOL[method] * largest if atol is None else atol
    return rtol * np.abs(expected) + atol


def judge(got, expected, allowed, blur=0.0):
    """Return two boolean arrays: the entries that are wrong, and those about which the numbers cannot tell.

    blur: how far the numerical value itself may be off. An entry is unclear if it is outside `allowed`, and blur is too
    coarse to say that backward is to blame. NaN and inf in got are wrong.
    """
    finite = np.isfinite(got)
    error = np.abs(np.where(finite, got, 0) - expected)
    outside = ~finite | ~(error <= allowed)
    unclear = outside & finite & ((error <= 10 * blur) | ~np.isfinite(expected))
    return outside & ~unclear, unclear


def grows(at_h, at_h10):
    """Return whether the error grows as the step shrinks: then it is the numerical derivative's, not backward's."""
    return at_h10 > 3 * at_h


def behaviour(at_h, at_h10):
    """Say in words what the errors at h and at h/10 mean."""
    if not (np.isfinite(at_h) and np.isfinite(at_h10)):
        return "no finite number to compare with"
    if grows(at_h, at_h10):
        return "it grows as the step shrinks: rounding, or a jump in forward"
    if at_h > 30 * at_h10:
        return "it shrinks like h^2: truncation, not a mistake"
    if at_h > 3 * at_h10:
        return "it shrinks with the step"
    return "it does not shrink with the step: a mistake in backward"


def pattern(got, expected):
    """Return a sentence if the wrong gradient stands in a simple relation to the right one, or "".

    got, expected: arrays of one shape. Looks for zero, NaN, a constant factor, a transposed and a reordered answer.
    """
    if not np.isfinite(got).all():
        return f"{np.count_nonzero(~np.isfinite(got))} of {got.size} entries are NaN or inf."
    size = np.linalg.norm(expected)
    if size == 0:
        return "It should be zero everywhere."
    if not got.any():
        return "It is zero everywhere."
    factor = float((got * expected).sum() / size**2)
    if got.size > 1 and np.linalg.norm(got - factor * expected) < 1e-6 * np.linalg.norm(got):
        which = "Every entry" if expected.all() else "Every entry that is not zero"
        return f"{which} is {factor:.6g} times what it should be." if abs(factor - 1) > 1e-4 else ""
    if got.ndim == 2 and got.shape[0] == got.shape[1] and np.allclose(got, expected.T, rtol=1e-6, atol=1e-9 * size):
        return "It is the transpose of what it should be."
    if got.size > 2 and np.allclose(np.sort(got, axis=None), np.sort(expected, axis=None), rtol=1e-6, atol=1e-9 * size):
        return "The numbers are right but stand in the wrong places."
    return ""

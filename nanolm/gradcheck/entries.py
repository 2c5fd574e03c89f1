"""Elementwise: move one entry at a time, and compare every entry of a gradient with its numerical value.

Moving entry i of x gives one column of the Jacobian, dy/dx_i for all of y. The gradient for upstream dy is that
column's product with dy, so one column serves all upstream gradients: K of them cost no more forward calls than one.
"""
from dataclasses import dataclass

import numpy as np

from nanolm.gradcheck import numerical, verdict

LAST_BIT = 1e-8                  # of the largest entry: what the last bit of large arguments may excuse, complex step
REEXAMINE = 400                  # so many wrong entries are looked at again with central differences


@dataclass
class Truth:
    """The numerical gradient of one tensor of n entries for K upstream gradients: arrays (K, n)."""

    expected: np.ndarray
    blur: np.ndarray             # how far `expected` may be off
    terms: np.ndarray            # sum of |dy dy/dx_i|: how large the terms were that cancelled to give `expected`
    at_h: np.ndarray = None      # central differences only: the values at h and h/10
    at_h10: np.ndarray = None
    low: np.ndarray = None       # at a corner of forward, the range of the one-sided slopes; NaN elsewhere
    high: np.ndarray = None


def function_of(layer, call, name):
    """Return f with f(value) = y of a forward call in which the tensor `name` is `value`; complex if value is."""
    tensors = call.tensors()
    as_complex = {}

    def f(value):
        if np.iscomplexobj(value) and not as_complex:
            as_complex.update({n: t.astype(np.complex128) for n, t in tensors.items()})
        others = as_complex if np.iscomplexobj(value) else tensors
        return np.asarray(call.run(layer.forward, {**others, name: value})[0][0])
    return f


def choose_method(f, x, y, method, rng, h):
    """Return "complex step" or "central differences", and a note on why, or "".

    The complex step is used only if it agrees with central differences along one random direction: a forward that takes
    an absolute value or x.real drops the imaginary part without a word.
    """
    if method == "central":
        return "central differences", ""
    v = rng.standard_normal(x.shape)
    v = v / max(np.linalg.norm(v), 1e-300)
    fallback = "central differences were used"
    try:
        exact = numerical.complex_step(f, x, v)
    except numerical.NotAnalytic as error:
        if method == "complex":
            raise ValueError(f"the complex step cannot be used for {error}. Use method=\"central\".") from error
        return "central differences", f"{fallback}, because forward does not take complex numbers ({_short(error)})."
    if exact.shape != y.shape:
        return "central differences", f"{fallback}, because forward gives another shape for complex numbers."
    if method == "complex":
        return "complex step", ""
    near = numerical.central_pair(f, x, v, y, h)
    if not agree(exact, near, y, h, 2 * numerical.coarseness(f, x, y, h)):
        return "central differences", (f"{fallback}, because the complex step disagrees with them by more than rounding: "
                                       f"forward is not analytic (abs, x.real, a corner), or too steep for h = {h:g}.")
    return "complex step", ""


def agree(exact, near, y, h, coarse=0.0):
    """Return whether the complex step's slopes are those of the central differences, as far as these can be trusted.

    That is to 1e-8, to rounding, and to a few times what the two steps differ by: the term of an L1 penalty, lost to the
    complex step, is seen at 1e-7 of the rest. coarse: what the rounding of x adds (numerical.coarseness).
    """
    slope, steps = numerical.extrapolate(near.at_h, near.at_h10), np.abs(near.at_h - near.at_h10)
    noise = 10 * numerical.rounding(1.0, np.abs(y).max(initial=0, keepdims=True), h)
    return bool((np.abs(exact - slope) <= 1e-8 * np.abs(exact) + noise + 5 * steps + coarse).all())


def differentiate(f, x, y, dys, how, h):
    """Return the Truth for tensor x; dys (K, size of y). Calls f once an entry (complex step) or four times."""
    n, K = x.size, len(dys)
    if how == "complex step":
        truth = Truth(np.empty((K, n)), np.zeros((K, n)), np.empty((K, n)))
        for i in range(n):
            column = numerical.complex_step(f, x, numerical.one_hot(x, i)).ravel()
            truth.expected[:, i], truth.terms[:, i] = dys @ column, np.abs(dys) @ np.abs(column)
        return truth
    return central_truth(f, x, y, dys, range(n), h)


def central_truth(f, x, y, dys, chosen, h):
    """Return the Truth by central differences for the entries in `chosen` only."""
    K, n = len(dys), len(chosen)
    truth = Truth(*(np.empty((K, n)) for _ in range(5)), np.full((K, n), np.nan), np.full((K, n), np.nan))
    rounding = numerical.rounding(dys, y, h) + np.abs(dys) @ numerical.coarseness(f, x, y, h).ravel()     # (K,)
    for j, i in enumerate(chosen):
        near = numerical.central_pair(f, x, numerical.one_hot(x, i), y, h)
        truth.at_h[:, j], truth.at_h10[:, j] = dys @ near.at_h.ravel(), dys @ near.at_h10.ravel()
        best = numerical.extrapolate(near.at_h, near.at_h10).ravel()
        truth.expected[:, j], truth.terms[:, j] = dys @ best, np.abs(dys) @ np.abs(best)
        truth.blur[:, j] = np.abs(dys @ numerical.doubt(near.at_h, near.at_h10).ravel()) + rounding
        if near.corner:
            left, right = dys * near.left.ravel(), dys * near.right.ravel()
            truth.low[:, j], truth.high[:, j] = np.minimum(left, right).sum(axis=1), np.maximum(left, right).sum(axis=1)
    return truth


def settle(gradient, f, x, y, dys, got, truth, largest, rtol, atol, h):
    """Give the gradient its verdict: got (K, n) against truth, `largest` (K, 1) the scale of the absolute tolerance."""
    if got is None:                                     # missing, or of another shape: the sentence is there already
        gradient.expected_values = truth.expected[0].reshape(x.shape)
        return
    allowed = verdict.tolerance(truth.expected, largest, gradient.method, rtol, atol)
    if atol is None:                                    # softmax with dy all ones: terms of 0.2 cancel to 1e-17
        size = np.maximum(np.abs(dys).max(axis=1), np.abs(dys[0]).max())[:, None]
        allowed = allowed + verdict.ROUNDING * (truth.terms + size / 10)
    if gradient.method == "central differences":
        allowed = allowed + numerical.rounding(dys, y, h)[:, None]
    wrong, unclear = verdict.judge(got, truth.expected, allowed, truth.blur)
    if gradient.method == "complex step" and wrong.any():
        few = np.flatnonzero(wrong.any(axis=0))[:REEXAMINE]
        last_bit = 10 * _last_bit(f, x, y, dys, truth, few)
        close = wrong[:, few] & (error_of(got, truth)[:, few] <= allowed[:, few] + last_bit)
        wrong[:, few] &= ~close
        unclear[:, few] |= close & (last_bit > LAST_BIT * largest)
    if gradient.method == "central differences":        # an error that grows as the step shrinks is rounding
        noise = wrong & np.isfinite(got) & verdict.grows(np.abs(got - truth.at_h), np.abs(got - truth.at_h10))
        wrong, unclear = wrong & ~noise, unclear | noise
    error = error_of(got, truth)
    suspects = np.flatnonzero((wrong | unclear).any(axis=0))
    suspects = suspects[np.argsort(-error.max(axis=0)[suspects], kind="stable")][:REEXAMINE]
    excused = in_corner(got[:, suspects], central_truth(f, x, y, dys, suspects, h), largest) if len(suspects) else []
    wrong[:, suspects[excused]] = unclear[:, suspects[excused]] = False
    gradient.corners = [tuple(int(k) for k in np.unravel_index(i, x.shape)) for i in suspects[excused]]
    bad = wrong | unclear
    gradient.wrong = bad.any(axis=0).reshape(x.shape)
    error[:, suspects[excused]] = -1.0                                                       # a corner is not an error
    k = int(np.argmax(bad.any(axis=1)))                  # the first dy for which one is wrong: its numbers are handy
    i = int(np.argmax(np.where(bad[k], error[k], -1.0) if bad.any() else error[k]))
    gradient.values, gradient.expected_values = got[k].reshape(x.shape), truth.expected[k].reshape(x.shape)
    gradient.worst(tuple(int(j) for j in np.unravel_index(i, x.shape)), got[k, i], truth.expected[k, i])
    if bad.any():
        closer = central_truth(f, x, y, dys, [i], h)
        gradient.steps = (abs(got[k, i] - closer.at_h[k, 0]), abs(got[k, i] - closer.at_h10[k, 0]))
    if wrong.any():
        gradient.fail(verdict.pattern(gradient.values, gradient.expected_values))
    elif unclear.any():
        gradient.cannot_tell(too_coarse(h))


def error_of(got, truth):
    """Return |got - expected|; infinity where it is no number."""
    error = np.abs(got - truth.expected)
    return np.where(np.isfinite(error), error, np.inf)


def _last_bit(f, x, y, dys, truth, chosen):
    """Return how far the complex step's slopes move if the last bit of x does: at x = 1e5 more than it is exact to."""
    rng, moved = np.random.default_rng(0), np.zeros((len(dys), len(chosen)))
    for _ in range(3):
        other = numerical.shaken(x, rng)
        for j, i in enumerate(chosen):
            column = f(other + 1j * numerical.COMPLEX_STEP * numerical.one_hot(x, i)).imag.ravel() / numerical.COMPLEX_STEP
            moved[:, j] = np.maximum(moved[:, j], np.abs(dys @ column - truth.expected[:, i]))
    return np.where(np.isfinite(moved), moved, 0.0) + (np.abs(dys) @ numerical.complex_doubt(f, x, y).ravel())[:, None]


def too_coarse(h):
    """Return the sentence for a gradient about which the numbers cannot tell."""
    return (f"The numerical derivative is too coarse here to tell: the arguments are large (1e5 and a step do not fit into "
            f"one number), forward is not smooth, computes in less than float64 somewhere, or bends so sharply that a "
            f"step below h = {h:g} is needed.")


def in_corner(got, near, largest):
    """Return for each entry whether forward has a corner there and got lies between its two slopes.

    near.low and near.high are NaN where there is no corner, and no number lies between NaN and NaN.
    """
    margin = 1e-9 * largest + 1e-4 * (near.high - near.low)
    return ((got >= near.low - margin) & (got <= near.high + margin)).all(axis=0)


def _short(error):
    text = " ".join(str(error).split())
    return text if len(text) <= 70 else text[:67] + "..."

"""Derivatives by numbers: central differences and the complex step, along any direction.

A function y = f(x) is pushed from x a little way h along a direction v (the shape of x), and we look at how y moves.
With v one-hot that is one column of the Jacobian; with v random it is one test of all entries at once.

Central differences. Taylor's series on both sides, all derivatives along v:
    f(x + hv) = f + h f' + h^2/2 f'' + h^3/6 f''' + ...
    f(x - hv) = f - h f' + h^2/2 f'' - h^3/6 f''' + ...
    (f(x + hv) - f(x - hv)) / 2h = f' + h^2/6 f''' + O(h^4)                                            (ND1)
  Truncation shrinks like h^2; rounding, eps |f| / h with eps = 1.1e-16, grows like 1/h. At h = 1e-4 and 1e-5 the
  first is 1e-9 and 1e-11, the second 1e-12 and 1e-11: both are small, and both steps tell the same story. In float32
  eps = 6e-8, and rounding at 1e-5 is 0.6 %: hence float64. Two steps together cancel the h^2 term (Richardson):
    f' = (100 D(h/10) - D(h)) / 99 + O(h^4)                                                            (ND2)

The complex step. Go along the imaginary axis instead, where an analytic f obeys the same series:
    f(x + ihv) = f + ih f' - h^2/2 f'' - ...    so    Im f(x + ihv) / h = f' + O(h^2)                  (ND3)
  Nothing is subtracted, so nothing is rounded away, and h may be 1e-30: the result is exact to the last digits.

x, v of one shape; y any shape; h has the unit of x.
Source    Squire and Trapp 1998, SIAM Review 40(1), 110-112 (ND3). Richardson 1911, Phil. Trans. A 210 (ND2).
Derived   notebooks/00_gradients.ipynb.   Tested  tests/gradcheck/test_numerical.py.
"""
import warnings
from typing import NamedTuple

import numpy as np

STEP = 1e-4                 # h of the central differences; the second step is h/10
COMPLEX_STEP = 1e-30        # h of (ND3): h^2 = 1e-60 vanishes beside 1, yet is far above the smallest float64, 1e-308


class NotAnalytic(Exception):
    """The complex step cannot be used: the forward pass refused the imaginary part, or dropped it."""


class Central(NamedTuple):
    """What four evaluations of f along v say; every field has the shape of y."""

    at_h: np.ndarray        # (ND1) with h
    at_h10: np.ndarray      # (ND1) with h/10
    left: np.ndarray        # slope of the last step h/10 before x; differs from `right` at a corner, as of ReLU at 0
    right: np.ndarray       # slope of the first step h/10 after x
    corner: bool            # left and right differ, and differ as much at h/10 as at h: f has no derivative here


def complex_step(f, x, v):
    """Return the derivative of f at x along v by (ND3), shaped like y. Raises NotAnalytic if f cannot carry it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)      # "discarding the imaginary part"
        try:
            y = f(x + 1j * COMPLEX_STEP * v)
        except Exception as error:                       # whatever it is: f works on real numbers, and not on complex
            raise NotAnalytic(f"{type(error).__name__}: {error}") from error
    if not np.iscomplexobj(y):
        raise NotAnalytic("the forward pass returned real numbers for complex ones")
    slope = y.imag / COMPLEX_STEP
    if not np.isfinite(slope).all():
        raise NotAnalytic("the forward pass gives NaN or inf on complex numbers")
    return slope


def central(f, x, v, h=STEP):
    """Return the derivative of f at x along v by (ND1), shaped like y: two calls of f."""
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


def central_pair(f, x, v, y, h=STEP):
    """Return Central: the derivative at h and at h/10, and the two one-sided slopes. y = f(x). Four calls of f."""
    after, before = f(x + h * v), f(x - h * v)
    near_after, near_before = f(x + h / 10 * v), f(x - h / 10 * v)
    left, right = (y - near_before) / (h / 10), (near_after - y) / (h / 10)
    # right - left is h f'' for a smooth f, so ten times less at h/10; at a corner it is the same at both.
    bend, near_bend = _largest(after - 2 * y + before) / h, _largest(right - left)
    size, rounding = max(_largest(left), _largest(right)), 1e-13 * _largest(y) / h
    corner = bool(near_bend > 0.5 * bend and near_bend > 1e-3 * size and near_bend > rounding)
    return Central((after - before) / (2 * h), (near_after - near_before) / (h / 5), left, right, corner)


def rounding(dy, y, h=STEP):
    """Return how far rounding may move sum(dy * derivative) at the step h/10: a few eps |L| / (h/10)."""
    return 4e-16 * np.abs(dy * y.ravel()).sum(axis=-1) / (h / 10)


def shaken(x, rng):
    """Return x with the last bit of every entry moved up or down."""
    finite = np.where(np.isfinite(x), x, 0.0)
    return x + np.where(finite == 0, 0.0, np.spacing(np.abs(finite))) * rng.choice([-1.0, 1.0], x.shape)


def complex_doubt(f, x, y):
    """Return how far the complex step may be off: f sums complex numbers in another order; the shape of y. One call of f.

    That moves y, and its slope by about as much over the size of x. Nothing, unless large numbers cancel inside f.
    """
    size = float(np.sqrt(np.mean(x * x)))
    with np.errstate(all="ignore"):
        moved = np.abs(f(x.astype(np.complex128)).real - y) / max(size, 1e-300)
    return np.where(np.isfinite(moved), moved, 0.0) * (size > 0)


def coarseness(f, x, y, h=STEP):
    """Return how far rounding x itself may move a slope at the step h/10; the shape of y. Four calls of f.

    x + h is rounded to a multiple of eps |x|, and so is much of what f adds to x: f moves by eps |x| |f'|, and the slope
    by that over h. At x = 1e5 that is 1e-6 of the slope. It is measured, not guessed: x goes up or down by eps |x|.
    """
    rng, moved = np.random.default_rng(0), np.zeros(y.shape)
    for _ in range(4):
        with np.errstate(all="ignore"):
            near = np.abs(f(shaken(x, rng)) - y)
        moved = np.maximum(moved, np.where(np.isfinite(near), near, 0.0))
    return moved / (h / 10)


def in_float32(f, x, y):
    """Return whether f sees no more of x than float32 holds: y = f(x) stays the same for x in float32, and not for less."""
    with np.errstate(all="ignore"):
        short = x.astype(np.float32).astype(np.float64)
        if y.dtype != np.float64 or (short == x).all() or not np.array_equal(f(short), y):
            return False
        moved = np.abs(f(short * (1 + 4e-7)) - y) > 1e-12 * np.abs(y)       # less is the last bit of a y that x does not reach
        return bool(moved[np.asarray(y != 0)].mean() > 0.5) if (y != 0).any() else False


def extrapolate(at_h, at_h10):
    """Return the better value of (ND2); where the two differ by more than 1e-4 of the largest, at_h10 itself.

    So large a difference is not the h^2 term: f has a corner between x + h/10 and x + h, and only h/10 stays clear of
    it.
    """
    better = at_h10 + (at_h10 - at_h) / 99
    return np.where(np.abs(at_h - at_h10) > 1e-4 * _largest(at_h10), at_h10, better)


def doubt(at_h, at_h10):
    """Return how much the best of two steps may still be off: what (ND2) corrected, or all of it where (ND2) does not hold."""
    better = extrapolate(at_h, at_h10)
    return np.where(better == at_h10, at_h - at_h10, better - at_h10)


def one_hot(x, i):
    """Return the direction that moves only entry i (counted as in x.ravel()), shaped like x."""
    v = np.zeros(x.shape)
    v.flat[i] = 1.0
    return v


def _largest(a):
    return np.max(np.abs(a), initial=0.0)

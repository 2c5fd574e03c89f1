"""Directions: test all entries of a large tensor at once, with two forward calls, and find the wrong one by halving.

Moving x along a random direction v changes the loss at the rate  sum_i dx_i v_i. If backward's dx gives the same sum
as the numerical derivative along v, then dx is right: an error e would have to be orthogonal to a random v, and the
chance of that is nil. So a tensor of a million entries costs one or two forward calls where entry by entry would cost
a million.

What one sum cannot say is which entry is wrong. If the sums differ, v is cut in two halves, and the search goes on in
the half in which they differ more: 20 steps find the entry among a million.
"""
import numpy as np

from nanolm.gradcheck import numerical, verdict


def settle(gradient, f, x, y, dys, got, rng, rtol, atol, h):
    """Give the gradient its verdict, along one random direction for each upstream gradient.

    got: what backward returned, (K, x.size); dys: the upstream gradients, (K, y.size).
    """
    gradient.along_directions = True
    if not np.isfinite(got).all():
        k = int(np.argmax(~np.isfinite(got).all(axis=1)))
        i = int(np.argmax(~np.isfinite(got[k])))
        gradient.worst(_index(x, i), got[k, i], slope(f, x, numerical.one_hot(x, i), y, dys[k], gradient.method, h)[0])
        gradient.fail(f"{np.count_nonzero(~np.isfinite(got[k]))} of {x.size} entries are NaN or inf.")
        return
    for k, dy in enumerate(dys):
        v = rng.standard_normal(x.shape)
        v = v / max(np.linalg.norm(v), 1e-300)
        said, (measured, blur) = float((got[k] * v.ravel()).sum()), slope(f, x, v, y, dy, gradient.method, h)
        # A sum is rounded to eps times its terms. blur, forward's own rounding, is 0 for the complex step.
        terms = float(np.linalg.norm(got[k] * v.ravel())) + 1e-3 * float(np.linalg.norm(dy))
        allowed = verdict.tolerance(np.array(measured), terms, gradient.method, rtol, atol) + 4 * blur
        if gradient.error is None or abs(said - measured) > gradient.error:
            gradient.error, gradient.got, gradient.expected = abs(said - measured), said, measured
        if not abs(said - measured) <= allowed:
            i = find(f, x, y, dy, got[k], v.ravel(), gradient.method, h)
            one = numerical.one_hot(x, i)
            truth = slope(f, x, one, y, dy, gradient.method, h)[0]
            gradient.worst(_index(x, i), got[k, i], truth)
            near = numerical.central_pair(f, x, one, y, h)
            gradient.steps = tuple(abs(got[k, i] - float(dy @ d.ravel())) for d in (near.at_h, near.at_h10))
            gradient.wrong = np.zeros(x.shape, bool)
            gradient.wrong[_index(x, i)] = True
            gradient.values = got[k].reshape(x.shape)
            gradient.fail("It is zero everywhere." if not got[k].any() else "")
            return


def slope(f, x, v, y, dy, how, h):
    """Return the derivative of sum(dy * f(x)) along v, and how far it may be off."""
    if how == "complex step":
        return float(dy @ numerical.complex_step(f, x, v).ravel()), 0.0
    near = numerical.central_pair(f, x, v, y, h)
    best = float(dy @ numerical.extrapolate(near.at_h, near.at_h10).ravel())
    return best, float(numerical.rounding(dy, y, h)) + abs(float(dy @ numerical.doubt(near.at_h, near.at_h10).ravel()))


def find(f, x, y, dy, got, v, how, h):
    """Return the number of one entry at which got is wrong: halve the direction v, log2(n) times."""
    inside = np.arange(x.size)
    while len(inside) > 1:
        halves = np.array_split(inside, 2)
        off = []
        for half in halves:
            part = np.zeros(x.size)
            part[half] = v[half]
            off.append(abs(float((got * part).sum()) - slope(f, x, part.reshape(x.shape), y, dy, how, h)[0]))
        inside = halves[int(np.argmax(off))]
    return int(inside[0])


def _index(x, i):
    return tuple(int(k) for k in np.unravel_index(i, x.shape))

"""Directions: test all entries of a large tensor at once, with two forward calls, and find the wrong one by halving.

Moving x along a random direction v changes the loss at the rate  sum_i dx_i v_i. If backward's dx gives the same sum
as the numerical derivative along v, then dx is right: an error e would have to be orthogonal to a random v, and the
chance of that is nil. So a tensor of a million entries costs one or two forward calls where entry by entry would cost
a million.

What one sum cannot say is which entry is wrong. If the sums differ, v is cut in two halves, and the search goes on in
the half in which they differ more: 20 steps find the entry among a million. If forward has a corner there, as ReLU at 0, and
backward's value lies between the two slopes, that entry and those of the same value are left out, and the rest is
tested again.
"""
import numpy as np

from nanolm.gradcheck import entries, numerical, verdict

ROUNDS = 20                      # so often entries in a corner are left out and the rest is tested again


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
    kept, k, rounds = np.ones(x.shape, bool), 0, 0
    while k < len(dys):
        v = rng.standard_normal(x.shape) * kept
        v = v / max(np.linalg.norm(v), 1e-300)
        said, (measured, blur) = float((got[k] * v.ravel()).sum()), slope(f, x, v, y, dys[k], gradient.method, h)
        # A sum is rounded to eps times its terms. blur, forward's own rounding, is 0 for the complex step.
        terms = float(np.linalg.norm(got[k] * v.ravel())) + 1e-3 * float(np.linalg.norm(dys[k]))
        allowed = verdict.tolerance(np.array(measured), terms, gradient.method, rtol, atol) + 4 * blur
        if abs(said - measured) <= allowed:
            if gradient.error is None or abs(said - measured) > gradient.error:
                gradient.error, gradient.got, gradient.expected = abs(said - measured), said, measured
            k += 1
            continue
        if gradient.method == "complex step" and np.isfinite(measured):         # the last bit of x, as in entries.py
            bits = [slope(f, numerical.shaken(x, rng), v, y, dys[k], gradient.method, h)[0] for _ in range(3)]
            last_bit = 10 * (max(abs(bit - measured) for bit in bits)
                             + float(np.abs(dys[k]) @ numerical.complex_doubt(f, x, y).ravel()))
            if last_bit <= entries.LAST_BIT * terms and abs(said - measured) <= allowed + last_bit:
                k += 1
                continue
        i = find(f, x, y, dys[k], got[k], v.ravel(), gradient.method, h)
        rounds += 1
        if rounds <= ROUNDS and _leave_out(gradient, f, x, y, dys, got, i, kept, h):
            continue                                                    # the same dy again, along another direction
        _blame(gradient, f, x, y, dys[k], got[k], i, h)
        if gradient.method == "central differences" and np.isfinite(measured):
            noise = float(np.abs(dys[k]) @ numerical.coarseness(f, x, y, h).ravel())
            if abs(said - measured) <= allowed + 10 * noise or verdict.grows(*gradient.steps):
                gradient.cannot_tell(entries.too_coarse(h))
                return
        gradient.fail("It is zero everywhere." if not got[k].any() else "")
        return


def _leave_out(gradient, f, x, y, dys, got, i, kept, h):
    """Take entry i, and those of the same value, out of `kept` where forward has a corner that explains backward's value.

    Return whether entry i was one. Of more than entries.REEXAMINE of the same value only so many are looked at, and all
    are left out: second_look.py tests them at other numbers.
    """
    same = np.flatnonzero(kept.ravel() & (x.ravel() == x.flat[i]))
    chosen = np.concatenate([[i], same[same != i]])
    near = entries.central_truth(f, x, y, dys, chosen[:1], h)
    if not kept.flat[i] or not entries.in_corner(got[:, chosen[:1]], near, near.terms.max())[0]:
        return False
    seen = chosen[:entries.REEXAMINE]
    near = entries.central_truth(f, x, y, dys, seen, h)
    corner = entries.in_corner(got[:, seen], near, near.terms.max())
    kept.flat[seen[corner]] = False
    kept.flat[chosen[len(seen):]] = False
    gradient.corners += [_index(x, int(j)) for j in seen[corner]]
    return True


def _blame(gradient, f, x, y, dy, got, i, h):
    """Fill in the numbers of entry i, at which got is off."""
    gradient.worst(_index(x, i), got[i], slope(f, x, numerical.one_hot(x, i), y, dy, gradient.method, h)[0])
    near = numerical.central_pair(f, x, numerical.one_hot(x, i), y, h)
    gradient.steps = tuple(abs(got[i] - float(dy @ d.ravel())) for d in (near.at_h, near.at_h10))
    gradient.wrong = np.zeros(x.shape, bool)
    gradient.wrong[_index(x, i)] = True
    gradient.values = got.reshape(x.shape)


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

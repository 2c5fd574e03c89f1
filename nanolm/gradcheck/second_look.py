"""Look a second time, where a mistake can hide that one set of numbers does not show.

    another layout     the same numbers in Fortran order, column after column: x.ravel("K"), or a kernel that takes each
                       row to lie behind the one before, reads them in the wrong order, and nothing else shows it
    other numbers      a gradient that was computed once and kept, or that is right only for these values

Both are cheap: one more call of the pair, and for the other numbers one random direction a tensor (directions.py).
"""
import numpy as np

from nanolm.gradcheck import contract, directions, entries, weak
from nanolm.gradcheck.report import Gradient


def another_layout(layer, call, y, dy, found, evidence, wrt=None):
    """Run the pair on tensors laid out the other way; y and the gradients `found` for dy must come out again."""
    tensors = call.tensors()
    turned = {n: t.copy(order="C" if np.isfortran(t) else "F") for n, t in tensors.items()}
    if all(turned[n].strides == t.strides for n, t in tensors.items()):
        return                                          # one axis only: there is no other order
    try:
        (other_y, cache), _ = call.run(layer.forward, turned)
        with np.errstate(all="ignore"):
            others = contract.align(call, layer.backward(dy, cache), contract.Evidence(), wrt)
    except Exception as error:
        evidence.notes.append(f"with arguments in another layout in memory (np.asfortranarray, or a view that is turned) "
                              f"it raised {type(error).__name__}: {error}")
        return
    pairs = {"y": (y, other_y), **{f"the gradient of {n}": (g, others.get(n)) for n, g in found.items()}}
    size = max([float(np.abs(g).max(initial=0)) for g in found.values()] + [float(np.abs(dy).max())])
    for name, (one, other) in pairs.items():
        if np.shape(one) != np.shape(other) or not _near(np.asarray(one), np.asarray(other), size):
            evidence.problems.append(f"{name} is another one for the same numbers in another layout in memory "
                                     f"(np.asfortranarray, or a view that is turned). Look for np.zeros_like(x).reshape(...), "
                                     f"which is then a copy, for ravel(\"K\"), and for code that takes each row to lie "
                                     f"behind the one before.")
            return


def other_numbers(layer, call, gradients, dy, rng, rtol, atol, h, evidence, wrt=None):
    """Move every tensor by up to a fifth, run the pair there, and test each gradient along one random direction.

    Zeros, which a factor leaves where they are, in the corner of a ReLU, become small positive numbers.
    """
    tensors = {n: t if weak.all_equal(t) else                              # constant ones are the business of weak.py
               np.where(t == 0, rng.uniform(0.1, 0.3, t.shape), t * rng.uniform(0.8, 1.2, t.shape))       # signs stay
               for n, t in call.tensors().items()}
    moved = call.with_tensors(tensors)
    try:
        (y, cache), _ = moved.run(layer.forward)
        with np.errstate(all="ignore"):
            found = contract.align(moved, layer.backward(dy, cache), contract.Evidence(), wrt)
    except Exception:
        return                                          # numbers that we made up: forward may have a reason to refuse
    if np.shape(y) != np.shape(dy) or not np.isfinite(y).all():
        return
    for gradient in gradients:
        x, got = tensors[gradient.name], np.ravel(np.asarray(found.get(gradient.name, np.nan), dtype=np.float64))
        f = entries.function_of(layer, moved, gradient.name)
        there = Gradient(gradient.name, x.shape, x.dtype, method=gradient.method)
        got = got if got.size == x.size else np.full(x.size, np.nan)
        directions.settle(there, f, x, np.asarray(y), np.ravel(dy)[None], got[None], rng, rtol, atol, h)
        if there.verdict == "wrong":
            evidence.problems.append(f"the gradient of {gradient.name} is wrong with other numbers of the same shape, each "
                                     f"up to a fifth larger or smaller (a 0 became 0.1 to 0.3): got {there.got:.7g}, expected "
                                     f"{there.expected:.7g}. backward must take everything from the cache and keep "
                                     f"nothing from an earlier call.")
            return


def _near(one, other, size):
    largest = float(np.abs(one).max(initial=0))
    return bool((np.abs(one - other) <= 1e-9 * largest + 1e-12 * size).all())

"""Weak arguments: those with which a wrong backward can pass. Say so, and try again with better ones.

    a gain that is all ones         a layer norm that forgets its gain passes
    a bias or input all zeros       whatever is multiplied by it is not seen
    ids that are all different      dweight[ids] = dy in place of a sum passes
    dy all ones                     a softmax that returns zeros passes
    axes of equal size              weight.T in place of weight has the right shape
    an axis of size 1               a sum over it that was forgotten has the right values

Values can be replaced, so `check` runs a second time with `strengthen`ed ones. Shapes cannot: they stay a note.
"""
import numpy as np

from nanolm.gradcheck.arguments import Call


def notes(call, upstream=None):
    """Return one sentence for each weakness."""
    tensors, found = call.tensors(), []
    constant = [n for n, a in tensors.items() if all_equal(a)]
    equal = [n for n, a in tensors.items() if a.size > 1 and 1 not in a.shape and len(set(a.shape)) < a.ndim]
    single = [n for n, a in tensors.items() if a.size > 1 and 1 in a.shape]
    distinct = [n for n, a in call.integers() if a.size > 1 and len(np.unique(a)) == a.size]
    if constant:
        found.append(f"weak test: one number everywhere in {_list(constant)}; a backward that forgets it may pass. "
                     f"Use random numbers.")
    if equal:
        found.append(f"weak test: axes of equal size in {_list(equal)}; swapped axes or a forgotten .T have the right "
                     f"shape. Use different sizes as well.")
    if single:
        found.append(f"weak test: an axis of size 1 in {_list(single)}; a forgotten sum over it is not seen.")
    if distinct:
        found.append(f"weak test: no repeated entry in {_list(distinct)}; a backward that keeps only the last of them "
                     f"may pass.")
    if upstream is not None and np.all(np.asarray(upstream) == 1):
        found.append("weak test: the upstream gradient is all ones; a backward that ignores it passes, and for softmax "
                     "one that returns zeros.")
    return found


def strengthen(call, seed):
    """Return a Call with random numbers for constant tensors, and with one repeated id; None if there is no need."""
    rng = np.random.default_rng([seed, 1])
    constant = [name for name, array in call.tensors().items() if all_equal(array)]
    distinct = [name for name, array in call.integers() if array.ndim and len(np.unique(array)) == array.size > 1]
    if not constant and not distinct:
        return None
    # A Call of the same arguments, in which some arrays are others: `run` copies the rest.
    tensors = {n: t + 0.5 * rng.standard_normal(t.shape) if n in constant else t for n, t in call.tensors().items()}
    values = []
    for name, value in zip(call.names, call.values):
        if name in distinct:
            value = value.copy()
            value.flat[-1] = value.flat[0]
        values.append(value)
    copy = Call(call.names, values, call.n_positional, call.absent, call.order)
    return copy.with_tensors(tensors)


def attempt(examine):
    """Return examine(), or None if forward refuses the arguments that we made up: they are then not its fault."""
    try:
        report = examine()
    except Exception:
        return None
    return None if any(p.startswith(("forward returned NaN", "with float32")) for p in report.problems) else report


def _list(names):
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def all_equal(array):
    return array.size > 1 and bool((array == array.flat[0]).all())


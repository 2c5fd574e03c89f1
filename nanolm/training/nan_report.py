"""When the loss is no longer a number: which tensor went bad first?

A NaN spreads: one in a matrix product fills a row, the next product fills everything. By the time the loss is NaN all
is NaN, and the loss says nothing about the cause. So the same batch is computed once more, with every layer watched:
the first output that holds a NaN or an infinity is the place to look at.

Watching is easy because everything calls layers through their modules (layernorm.forward, never a name imported from
it): for a moment each module's forward and backward is replaced by one that looks at what the real one returns.

Order     the parameters themselves; the outputs of the layers, forward; their gradients, backward; the summed gradients
Tested    tests/test_nan_report.py.
"""
import importlib
import pkgutil
from contextlib import contextmanager

import numpy as np

from nanolm import layers
from nanolm import params as parameters
from nanolm.training import step


class Diverged(Exception):
    """The loss or the gradient is NaN or infinite. The message names the first tensor that went bad."""


def first_bad_tensor(model, p, ids, targets, config, rngs=None, shards=1, grads=None):
    """Return words that name the first tensor with a NaN or an infinity, for the same arguments as loss_and_gradients.

    grads: the summed gradients, looked at last. Neither p nor grads is written to.
    """
    params = parameters.flatten(p)
    for name, w in params.items():
        if not np.isfinite(w).all():
            return f"the parameter {name}{extent(w)}"
    for k, rows in enumerate(step.shard_slices(len(ids), shards)):
        with watched_layers(params) as found, np.errstate(all="ignore"):
            _, cache = model.forward(p, ids[rows], targets[rows], config, rng=None if rngs is None else rngs[k])
            model.backward(cache)
        if found:
            return found[0]
    for name, g in (grads or {}).items():
        if not np.isfinite(g).all():
            return f"the gradient of {name}{extent(g)}"
    return "none that a second look could find: the numbers overflowed only in their sum"


@contextmanager
def watched_layers(params):
    """While the context lasts, every layer's outputs are looked at; yields the list of what was found, first first."""
    names = {id(w): name for name, w in params.items()}
    found, labels, place = [], {}, ["the beginning"]    # labels: for each module, the open forward calls, last on top

    def forward(module, original):
        def look(*args, **kwargs):
            mine = [names[id(a)] for a in owners((*args, *kwargs.values())) if id(a) in names]
            if mine:
                place[0] = mine[0]
            label = f"{short(module)}, {'with the parameter' if mine else 'after'} {place[0]}"
            labels.setdefault(module, []).append(label)
            y, cache = original(*args, **kwargs)
            note(found, f"the output of {label}", (y,))
            return y, cache
        return look

    def backward(module, original):
        def look(*args, **kwargs):
            gradients = original(*args, **kwargs)
            label = labels[module].pop() if labels.get(module) else short(module)
            note(found, f"a gradient that goes backward out of {label}", gradients)
            return gradients
        return look

    modules = [importlib.import_module(f"nanolm.layers.{m.name}") for m in pkgutil.iter_modules(layers.__path__)]
    modules = [m for m in modules if hasattr(m, "forward") and hasattr(m, "backward")]
    originals = [(m, m.forward, m.backward) for m in modules]
    try:
        for m, original_forward, original_backward in originals:
            m.forward, m.backward = forward(m, original_forward), backward(m, original_backward)
        yield found
    finally:
        for m, original_forward, original_backward in originals:
            m.forward, m.backward = original_forward, original_backward


def short(module):
    return module.__name__.rpartition(".")[2]


def owners(arguments):
    """Yield the arrays among the arguments, and for a view (wte.T in the output layer) the array it looks at."""
    for a in arguments:
        if isinstance(a, np.ndarray):
            yield a
            if a.base is not None:
                yield a.base


def note(found, label, outputs):
    """Append a description to `found` for the first array in outputs (arrays, tuples, dicts, None) that is bad."""
    for array in arrays_in(outputs):
        if not np.isfinite(array).all():
            found.append(label + extent(array))
            return


def arrays_in(outputs):
    if isinstance(outputs, dict):
        outputs = tuple(outputs.values())
    if isinstance(outputs, tuple):
        return [array for part in outputs for array in arrays_in(part)]
    return [] if outputs is None else [np.asarray(outputs)]


def extent(array):
    """Return how much of the array is bad, and where it begins: " (3 of 128 numbers, the first at [0, 17], is nan)"."""
    bad = ~np.isfinite(array)
    where = [int(i) for i in np.argwhere(bad)[0]]
    return f" ({int(bad.sum())} of {array.size} numbers are bad; the first, at {where}, is {array[bad][0]})"

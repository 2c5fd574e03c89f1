"""What the families of exercises have in common: a backward or a forward of the library as an exercise.

A backward is called as backward(dy, cache) with the cache of the library's own forward; what a person sees are forward's
arguments and dy. The ready-made cases of gradcheck are among its calls, with three upstream gradients of different size.
"""
import inspect

import numpy as np

from nanolm.gradcheck import cases as ready
from nanolm.grading.exercise import Call, Exercise, library
from nanolm.kernels import plain as plain_twin, TWINS


def own(module, name):
    """Return the plain function `name` of a module, also while a fast twin stands in its place."""
    short = module.__name__.rsplit(".", 1)[-1]
    return plain_twin(short, name) if short in TWINS and name in TWINS[short][1] else getattr(module, name)


def twins(module, *names):
    """Return the functions that would be the answer itself: the library's, and its fast twin's if Numba is there."""
    found = [own(module, name) for name in names]
    short = module.__name__.rsplit(".", 1)[-1]
    if short in TWINS:
        import importlib
        try:
            twin = importlib.import_module(f"nanolm.kernels.{short}")
            found += [getattr(twin, name) for name in names if hasattr(twin, name)]
        except ImportError:                         # no Numba: no twin to call
            pass
    return tuple(found)


def backward_call(module, draw, *args, sizes=None, **kwargs):
    """Return the Call of backward after forward(*args, **kwargs), with a dy that `draw` draws."""
    y, cache = own(module, "forward")(*args, **kwargs)
    dy = draw.number() if np.ndim(y) == 0 else draw.upstream(*y.shape)
    return Call((dy, cache), shown={**named(own(module, "forward"), args, kwargs), "dy": dy}, sizes=sizes or {})


def opened(call, *names):
    """Return the Call of a backward that shows the cache's parts under these names in place of forward's arguments."""
    dy, cache = call.args
    call.shown = {**{name: part for name, part in zip(names, cache) if part is not None}, "dy": dy}
    return call


def forward_call(module, *args, sizes=None, name="forward", **kwargs):
    """Return the Call of forward(*args, **kwargs)."""
    return Call(args, kwargs, named(own(module, name), args, kwargs), sizes or {})


def named(function, args, kwargs):
    """Return {name: value} of the arguments, without those that are None and without generators, which show nothing."""
    bound = inspect.signature(function).bind(*args, **kwargs).arguments
    flat = {}
    for name, value in bound.items():
        if isinstance(value, dict):
            flat.update(leaves(value))
        elif value is not None and not isinstance(value, np.random.Generator):
            flat[name] = value
    return flat


def leaves(p, prefix=""):
    return {k: v for key, value in p.items()
            for k, v in (leaves(value, f"{prefix}{key}.").items() if isinstance(value, dict) else [(prefix + key, value)])}


def backward_cases(module, sizes_of=None):
    """Return a function that gives the Calls of gradcheck's ready-made cases, each with one of three upstream gradients."""
    def cases():
        rng = np.random.default_rng(1)
        forward = own(module, "forward")
        for i, case in enumerate(ready.of(module.__name__.rsplit(".", 1)[-1])):
            y, cache = forward(*case.args, **case.kwargs)
            scale = (1.0, 300.0, 1e-6)[i % 3]
            dy = (1.7, -3e-7, 4e4)[i % 3] if np.ndim(y) == 0 else scale * rng.standard_normal(y.shape)
            if np.ndim(y) and i % 2:
                dy = np.asfortranarray(dy)
            shown = {**named(forward, case.args, case.kwargs), "dy": dy}
            yield Call((dy, cache), shown=shown, sizes=sizes_of(shown) if sizes_of else {}, title=case.title)
    return cases


def forward_cases(module, sizes_of=None):
    """Return a function that gives the Calls of forward with the arguments of gradcheck's ready-made cases."""
    def cases():
        for case in ready.of(module.__name__.rsplit(".", 1)[-1]):
            shown = named(own(module, "forward"), case.args, case.kwargs)
            yield Call(case.args, case.kwargs, shown, sizes_of(shown) if sizes_of else {}, case.title)
    return cases


def axes_before(draw):
    """Return the sizes of the axes before the channels: (T,), (B, T), now and then none or one more."""
    return draw.choice((), (draw.whole(1, 5),), *[(draw.whole(1, 3), draw.whole(1, 5))] * 4,
                       (2, draw.whole(1, 3), draw.whole(1, 2)))


def as_it_may_lie(draw, x):
    """Return x, or the same numbers in another order in memory: a transposed view is no rarity."""
    return np.asfortranarray(x) if draw.choice(False, False, False, True) else x


def token_sizes(x):
    """Return {"C": .., "T": .., "B": .., "N": ..} of x (B, T, C) or (T, C): N tokens."""
    names = ("C", "T", "B")[:x.ndim]
    return {**dict(zip(names, reversed(x.shape))), "N": x.size // x.shape[-1]}


def backward(module, outputs, inputs, task, **more):
    """Return the Exercise of writing module.backward. inputs(draw) -> Call; task: what is in the cache."""
    short = module.__name__.rsplit(".", 1)[-1]
    signature, docstring = library(module, "backward")
    more = {"cases": backward_cases(module), "where": (module, "backward"), "own": twins(module, "backward"), **more}
    return Exercise(f"{short}.backward", "backward", task, outputs, own(module, "backward"), inputs, signature=signature,
                    docstring=docstring, **more)


def forward(module, outputs, inputs, task, name="forward", **more):
    """Return the Exercise of writing module.forward. It may return y alone, or y and any cache."""
    short = module.__name__.rsplit(".", 1)[-1]
    signature, docstring = library(module, name)
    function = own(module, name)
    reference = (lambda *args, **kwargs: function(*args, **kwargs)[0]) if name == "forward" else function
    more = {"own": twins(module, name), **more}
    return Exercise(f"{short}.{name}", "forward", task, outputs, reference, inputs, signature=signature,
                    docstring=docstring, **more)

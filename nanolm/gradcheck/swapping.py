"""Put a function of your own in the place of a layer's, and take it away again.

Every caller in nanolm calls through the module (layernorm.backward(...), never a name imported from it), and Python
looks the name up at the moment of the call. So setting the name in the module is enough: GPT-2 then trains with your
function.

Tested    tests/gradcheck/test_swap.py.
"""
import contextlib
import inspect

from nanolm import kernels
from nanolm.kernels.usual import Cache


def swap(module, **functions):
    """Use in a with statement: `with gradcheck.swap(layernorm, backward=mine):`. Restores the module's own on leaving.

    module: a layer or a model of nanolm (anything with functions to replace). functions: forward=, backward=, or
    both. Swaps nest; an exception inside restores too. Raises TypeError, before anything is changed, if module has no
    function of that name, or if what was given cannot be called in its place.
    """
    name = _name(module)
    if not functions:
        raise TypeError(f"swap got no function. Write swap({name}, backward=your_function).")
    known = [n for n in ("forward", "backward") if callable(getattr(module, n, None))]
    for key, function in functions.items():
        if not callable(getattr(module, key, None)) or inspect.isclass(getattr(module, key)):
            raise TypeError(f"{name} has no function {key!r} to replace. "
                            f"It has {' and '.join(known) or 'neither forward nor backward'}.")
        if not callable(function):
            raise TypeError(f"{key} must be a function, but it is a {type(function).__name__}. "
                            f"Pass the function itself, without calling it: {key}=mine, not {key}=mine(...).")
        if key == "backward":
            _must_take(function, getattr(module, key), name)
    return _swapped(module, {**_partner(module, functions), **functions})


def _partner(module, functions):
    """Return the plain forward or backward that must go with the one given, where a fast twin stands in its place.

    The two share a cache. A function of yours is written for the plain layer's, and a twin packs another one. (Unless
    yours calls the twin, which it got from the module, and does something before or after: then the twin goes with it.)
    """
    if len(functions) != 1:
        return {}
    other = {"forward": "backward", "backward": "forward"}.get(next(iter(functions)))
    own = getattr(module, other or "", None)
    twin = getattr(own, "__module__", "").removeprefix("nanolm.kernels.")
    if twin not in kernels.TWINS:
        return {}
    partner = kernels.plain(twin, other)
    if other == "forward":
        return {other: partner}

    def backward(dy, cache):
        return (own if type(cache) is Cache else partner)(dy, cache)

    return {other: backward}


@contextlib.contextmanager
def _swapped(module, functions):
    own = {key: getattr(module, key) for key in functions}
    try:
        for key, function in functions.items():
            setattr(module, key, function)
        yield module
    finally:
        for key, function in own.items():
            setattr(module, key, function)


def _must_take(function, own, name):
    """Raise TypeError if `function` cannot be called with as many arguments as the backward it replaces."""
    try:
        takes = inspect.signature(function)
    except (TypeError, ValueError):                     # a compiled function may have no signature: trust it
        return
    wanted = [p.name for p in inspect.signature(own).parameters.values() if p.default is p.empty]
    try:
        takes.bind(*wanted)
    except TypeError:
        raise TypeError(f"your backward takes {takes}, but {name}.backward is called with "
                        f"({', '.join(wanted)}).") from None


def _name(module):
    return getattr(module, "__name__", getattr(module, "name", type(module).__name__)).rsplit(".", 1)[-1]

"""What forward is called with: which arguments are tensors to differentiate, and under which names.

A call is the list of forward's arguments in the order of its signature. Its tensors are the float64 arrays among them
and in its dicts: `x` keeps its name, p["ln_1"]["weight"] becomes "ln_1.weight". Everything else (ids, masks, numbers,
None) is passed on as it came, except a random generator: every call of forward gets a fresh copy in the same state, so
that dropout draws the same mask each time and forward is a function that has a derivative.
"""
import copy
import inspect
import random
from dataclasses import dataclass, field

import numpy as np

WHY_FLOAT64 = ("it divides the change of the loss by a step of about 1e-5, and float32 rounds the loss to 1e-7 of its "
               "size, so every derivative would be wrong in its second or third digit. Pass {name}.astype(np.float64).")
WHY_NOT_INTEGER = ("an integer cannot be moved by a small step h (1 + 1e-5 is stored as 1), so it has no derivative. "
                   "If {name} is meant to be numbers, pass {name}.astype(np.float64).")


@dataclass
class Call:
    """The arguments of one forward call. names[i] belongs to values[i]; the first n_positional go by position."""

    names: list
    values: list
    n_positional: int
    absent: list = field(default_factory=list)         # arguments that were left at their default None
    order: list = field(default_factory=list)          # all names, those of `absent` too, as in forward's signature

    def tensors(self):
        """Return {name: float64 array}, the arrays of plain arguments first, then those of dicts. Not copies."""
        found = {n: v for n, v in zip(self.names, self.values) if _is_tensor(v)}
        for name, value in zip(self.names, self.values):
            if isinstance(value, dict):
                found.update(_leaves(value, self.prefix(name)))
        return found

    def integers(self):
        """Return [(name, array)] of the integer arrays among the arguments: ids, targets."""
        return [(n, v) for n, v in zip(self.names, self.values) if isinstance(v, np.ndarray) and v.dtype.kind in "iu"]

    def prefix(self, name):
        """Return what stands before the names of a dict argument: nothing for p, unless names would clash."""
        return "" if name == "p" and not set(self.names) & set(self.values[self.names.index("p")]) else name + "."

    def run(self, forward, tensors=None):
        """Call forward on copies of the arguments, with `tensors` {name: array} in place of those of that name.

        Returns what forward returned and the very arguments it was given, as a Call, to see whether it wrote to them.
        """
        given = self.with_tensors(self.tensors() if tensors is None else tensors)
        positional, named = given.values[:self.n_positional], given.values[self.n_positional:]
        with np.errstate(all="ignore"):                # a forward that overflows is reported, not printed 1,000 times
            result = forward(*positional, **dict(zip(self.names[self.n_positional:], named)))
        return result, given

    def with_tensors(self, tensors):
        """Return this Call on copies of its arguments, the tensors {name: array} in place of its own."""
        values = []
        for name, value in zip(self.names, self.values):
            if isinstance(value, dict):
                values.append(_rebuild(value, self.prefix(name), tensors))
            else:
                values.append(fresh(tensors[name] if _is_tensor(value) else value))
        return Call(self.names, values, self.n_positional, self.absent, self.order)

    def slots(self):
        """Return [(name, value)] of the gradients that backward owes: arrays in order, then dicts in order."""
        arrays = [(n, v) for n, v in zip(self.names, self.values) if _is_tensor(v)]
        return arrays + [(n, v) for n, v in zip(self.names, self.values)
                         if isinstance(v, dict) and _leaves(v, "")]


def bind(forward, args, kwargs, names=None):
    """Return the Call for forward(*args, **kwargs). names: names for the positional arguments, where forward has none.

    Raises TypeError, in a sentence, for arguments that do not fit forward's signature, and for tensors that are not
    float64.
    """
    try:
        parameters = inspect.signature(forward).parameters
    except (TypeError, ValueError):                    # a compiled function may have no signature
        parameters = {}
    plain = [n for n, q in parameters.items() if q.kind in (q.POSITIONAL_ONLY, q.POSITIONAL_OR_KEYWORD)]
    given = list(names or plain[:len(args)])
    given += [f"argument{i}" for i in range(len(given), len(args))]         # beyond a signature's names: *args
    if len(given) != len(args):
        raise TypeError(f"names has {len(given)} names for {len(args)} positional arguments; give one each.")
    if parameters:
        try:
            inspect.signature(forward).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"forward cannot be called with these arguments: {error}. "
                            f"It is forward{inspect.signature(forward)}.") from None
    keys = sorted(kwargs, key=lambda k: plain.index(k) if k in plain else len(plain))       # forward's order
    given += keys
    absent = [n for n, q in parameters.items() if q.default is None and n not in given]
    order = given + absent if names else [n for n in parameters if n in given + absent]
    order += [n for n in given if n not in order]
    call = Call(given, list(args) + [kwargs[k] for k in keys], len(args), absent, order)
    _refuse(call)
    return call


def fresh(value):
    """Return a copy of an array or of a random generator (in the same state); anything else itself."""
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    if isinstance(value, (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)):
        return copy.deepcopy(value)
    return value


def _is_tensor(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _leaves(tree, prefix):
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found.update(_leaves(value, f"{prefix}{key}."))
        elif _is_tensor(value):
            found[f"{prefix}{key}"] = value
    return found


def _rebuild(tree, prefix, tensors):
    return {key: _rebuild(value, f"{prefix}{key}.", tensors) if isinstance(value, dict)
            else fresh(tensors[f"{prefix}{key}"] if _is_tensor(value) else value)
            for key, value in tree.items()}


def _refuse(call):
    """Raise TypeError if nothing can be differentiated or it is in the wrong precision, ValueError if it is empty."""
    tensors = call.tensors()
    for name, array in tensors.items():
        if array.size == 0:
            raise ValueError(f"{name} is empty, its shape is {array.shape}: there is nothing to check. "
                             f"Use axes of at least 2.")
        if array.dtype.kind == "c":
            raise TypeError(f"{name} is {array.dtype}; a gradient check takes real numbers in float64 "
                            f"(it makes them complex itself, for the complex step).")
        if array.dtype != np.float64:
            why = WHY_FLOAT64 if array.dtype.itemsize < 8 else "the functions here are written for float32 and float64."
            raise TypeError(f"{name} is {array.dtype}, and a gradient check needs float64: {why.format(name=name)}")
    if not tensors:
        integers = [n for n, v in zip(call.names, call.values) if isinstance(v, np.ndarray) and v.dtype.kind in "iub"]
        if integers:
            value = call.values[call.names.index(integers[0])]
            raise TypeError(f"{integers[0]} is {value.dtype}, and a gradient check needs float64: "
                            f"{WHY_NOT_INTEGER.format(name=integers[0])}")
        kinds = ", ".join(f"{n}: {type(v).__name__}" for n, v in zip(call.names, call.values)) or "no arguments"
        raise TypeError(f"there is nothing to differentiate: no argument is a float64 NumPy array ({kinds}). "
                        f"Pass arrays, such as np.random.default_rng(0).standard_normal((2, 3)).")

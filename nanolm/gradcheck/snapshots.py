"""Snapshots: what did an argument, a cache or a result look like before, and is it still the same to the last bit?

A cache is a plain tuple in nanolm, but a student's may be a dict, a dataclass or an object of any class. What cannot be
looked into (a function, a set, an object with __slots__) is believed to be unchanged.
"""
import random
import types
from typing import NamedTuple

import numpy as np

from nanolm.gradcheck import arguments


class Inside(NamedTuple):
    """The snapshot of an object: its type and a copy of its fields."""

    kind: type
    fields: dict


LOOP = object()                                        # in a snapshot: an object that lies in itself


def same(a, b):
    """Return whether two nests of tuples, dicts and arrays hold the same types, shapes, dtypes and bits."""
    if a is LOOP or b is LOOP:
        return True
    if isinstance(a, dict) and isinstance(b, dict):    # an OrderedDict's snapshot is a plain dict
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, Inside):
        return a.kind is type(b) and same(a.fields, vars(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and (a is b or a.tobytes() == b.tobytes())
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, np.random.Generator):
        return same(a.bit_generator.state, b.bit_generator.state)
    if isinstance(a, random.Random):
        return a.getstate() == b.getstate()
    if isinstance(a, (int, float, complex, str, np.generic)):
        return repr(a) == repr(b)                      # repr: NaN equals NaN, 0.0 is not -0.0
    if _has_fields(a):
        return same(vars(a), vars(b))
    return True                                        # an object we cannot look into: believed


def snapshot(tree, above=()):
    """Return a copy of a nest of tuples, lists, dicts, arrays, generators and plain objects, for `same`.

    above: the objects that `tree` lies in. One that holds itself is not followed for ever.
    """
    if isinstance(tree, np.ndarray):
        return tree.copy(order="K")
    if any(tree is outer for outer in above):
        return LOOP
    above = (*above, tree)
    if isinstance(tree, (tuple, list)):
        copies = [snapshot(part, above) for part in tree]
        return type(tree)(*copies) if hasattr(tree, "_fields") else type(tree)(copies)
    if isinstance(tree, dict):
        return {k: snapshot(v, above) for k, v in tree.items()}
    if _has_fields(tree):
        return Inside(type(tree), snapshot(vars(tree), above))
    return arguments.fresh(tree)


def _has_fields(thing):
    """Return whether thing is a plain object, such as a dataclass, whose fields can be looked at."""
    return hasattr(thing, "__dict__") and not callable(thing) and not isinstance(thing, (random.Random, types.ModuleType))

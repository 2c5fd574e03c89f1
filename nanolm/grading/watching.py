"""Watch a function at work: every array of numbers that it makes, in the order in which they come, whatever they are called.

    notes, value = watch(function, args)        notes.things: [Thing(arrays, name, line, time)]

Two watchers, because one of them alone sees too little:

    operations      the arguments are handed over as Watched, an array that notes the result of each NumPy operation it
                    takes part in. So g = P * (dP - average) shows dP - average too, which has no name
    variables       Python's own tracing tells when a line is done: what is bound to a name then is noted. So a view has
                    its name, and an array that a loop filled number by number is seen when it is full

In a loop one operation happens many times: its results are kept together, one Thing for one place in the code. A watch can
also change history: replaced={5: a} puts `a` in the place of the sixth operation's result, and the function goes on with it.

Tested    tests/grading/test_inside.py.
"""
import contextlib
import sys
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nanolm.grading import answers

MOST, LARGEST = 20_000, 2000                        # operations that are noted; numbers in an array that is


class TooMuch(Exception):
    """More operations than are worth noting."""


@dataclass
class Thing:
    """What one place in the code made: one array, or in a loop one each time."""
    time: int                                       # the number of operations before the first of them
    line: int
    name: str = ""                                  # of the variable, "" where it has none
    arrays: list = field(default_factory=list)
    numbers: list = field(default_factory=list)     # of the operations, [] for a variable


class Watched(np.ndarray):
    """An array that notes what is made of it. notes: the Notes, shared by all that comes from it."""
    notes = None

    def __array_finalize__(self, other):
        self.notes = getattr(other, "notes", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        if out:
            kwargs["out"] = tuple(map(bare, out))
        made = getattr(ufunc, method)(*map(bare, inputs), **{name: bare(value) for name, value in kwargs.items()})
        notes = next(a.notes for a in (*inputs, *out) if isinstance(a, Watched))
        if out:
            notes.take(made, into=made)
            return out[0] if len(out) == 1 else out
        return notes.take(made)

    def __array_function__(self, function, types, args, kwargs):
        made = function(*bare(args), **bare(kwargs))
        return self.notes.take(made) if self.notes is not None else made

    def reshape(self, *shape, **how):               # these are methods of an array, so NumPy does not say that they are called
        return self.notes.take(self.view(np.ndarray).reshape(*shape, **how))

    def transpose(self, *axes):
        return self.notes.take(self.view(np.ndarray).transpose(*axes))

    def swapaxes(self, one, other):
        return self.notes.take(self.view(np.ndarray).swapaxes(one, other))


def bare(tree):
    """Return a nest of tuples, lists and dicts with plain arrays in the place of the watched ones."""
    if isinstance(tree, Watched):
        return tree.view(np.ndarray)
    if isinstance(tree, (tuple, list)) and not hasattr(tree, "_fields"):
        return type(tree)(map(bare, tree))
    return {key: bare(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


class Notes:
    """All Things of one run. code: that of the function that is watched."""

    def __init__(self, code, replaced):
        self.code, self.replaced = code, replaced
        self.made, self.places, self.bound = 0, {}, {}
        self.named, self.alive = {}, []             # {id of an array: its Thing}; alive, so that no id is given twice

    @property
    def things(self):
        return sorted(self.places.values(), key=lambda thing: thing.time)

    def watched(self, tree):
        """Return a nest of tuples, lists and dicts with watched arrays in the place of the plain ones."""
        if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
            array = tree.view(Watched)
            array.notes = self
            self.alive.append(array)
            return array
        if isinstance(tree, (tuple, list)) and not hasattr(tree, "_fields"):
            return type(tree)(map(self.watched, tree))
        return {key: self.watched(value) for key, value in tree.items()} if isinstance(tree, dict) else tree

    def take(self, made, into=None):
        """Note the result of one operation; return it, watched. into: the array that it was written to."""
        if isinstance(made, (tuple, list)):
            return type(made)(map(self.take, made)) if into is None and not hasattr(made, "_fields") else made
        if not isinstance(made, (np.ndarray, np.floating)) or made.dtype.kind != "f":
            return made
        number, self.made = self.made, self.made + 1
        if number >= MOST:
            raise TooMuch
        if number in self.replaced:
            other = self.replaced[number].reshape(made.shape)
            if into is not None:
                into[...] = other
            made = other.copy() if isinstance(made, np.ndarray) else other[()]
        place, line = self.place()
        thing = self.places.setdefault(place, Thing(number, line))
        if np.size(made) <= LARGEST:
            thing.arrays.append(np.array(made))
            thing.numbers.append(number)
        if not isinstance(made, np.ndarray):
            return made
        made = self.watched(made)
        self.named[id(made)] = thing
        return made

    def place(self):
        """Return where in the code the operation stands, as a key, and the line of the student's code."""
        frame, key, line = sys._getframe(2), [], 0
        while frame is not None:
            if frame.f_code.co_filename == self.code.co_filename and not line:
                line = frame.f_lineno
            key += (id(frame.f_code), frame.f_lasti)
            if frame.f_code is self.code:
                break
            frame = frame.f_back
        return tuple(key), line

    def trace(self, frame, event, argument):
        """Python calls this when a function is entered: look into the student's own, line by line."""
        if frame.f_code.co_filename != self.code.co_filename:
            return None
        self.bound[frame] = {}
        return self.line

    def line(self, frame, event, argument):
        """Python calls this before each line, and at the end: note what is newly bound, and what is let go."""
        before = self.bound.get(frame, {})
        for name, value in frame.f_locals.items():
            if before.get(name) is not value:
                self.hold(frame, name, before.get(name), "left")
                self.hold(frame, name, value, "bound")
                before[name] = value
        if event == "return":
            for name, value in self.bound.pop(frame, {}).items():
                self.hold(frame, name, value, "left")
        return self.line

    def hold(self, frame, name, value, when):
        """Note the arrays that a variable holds."""
        for label, array in arrays_of(name, value):
            if id(array) in self.named and not self.named[id(array)].name:
                self.named[id(array)].name = label
            if array.size <= LARGEST:
                thing = self.places.setdefault((id(frame.f_code), label, when), Thing(self.made, frame.f_lineno, label))
                if len(thing.arrays) < MOST:
                    thing.arrays.append(np.array(array, np.float64))


def arrays_of(name, value):
    """Yield (label, array) of a variable: itself, or what is inside a tuple, a list or a dict: "grads[1]"."""
    if isinstance(value, (np.ndarray, np.floating)):
        if value.dtype.kind == "f":
            yield name, value
    elif isinstance(value, (tuple, list)):
        if value and all(isinstance(one, (float, list)) for one in value):
            with contextlib.suppress(ValueError, TypeError):                # lists of lists of numbers, if they are even
                yield name, np.asarray(value, np.float64)
            return
        for i, one in enumerate(value):
            yield from arrays_of(f"{name}[{i}]", one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from arrays_of(f'{name}["{key}"]', one)


def watch(function, args, kwargs, replaced=None, variables=True):
    """Return (Notes, value) of one call on copies of the arguments; value is None if it raised.

    variables=False leaves the tracing out, which costs most. The time is not limited here: answers.limit.
    """
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    notes = Notes(inner.__code__, replaced or {})
    args, kwargs = notes.watched(answers.copied(args)), notes.watched(answers.copied(kwargs))
    before = sys.gettrace()
    value = None
    with contextlib.redirect_stdout(answers.Words()), np.errstate(all="ignore"):
        try:
            if variables:
                sys.settrace(notes.trace)
            value = function(*args, **kwargs)
        except Exception:                           # what it raised is told elsewhere
            pass
        finally:
            sys.settrace(before)
    return notes, bare(value)

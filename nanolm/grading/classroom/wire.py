"""Arguments and answers as bytes, between the grader and the process in which a student's code runs.

    frame = length (8 bytes), length of the JSON text (8 bytes), JSON text, the arrays' bytes one after the other

What comes from there is a stranger's: sizes are limited, dtypes are from a list, nothing is unpickled, and whatever does
not fit raises ValueError.

Tested    tests/grading/test_wire.py.
"""
import dataclasses
import importlib
import json
import struct

import numpy as np

from nanolm.grading.pairs import Hidden
from nanolm.training.groups import Group

LIMIT = 64 * 2**20
DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool",
          "complex128", "complex64")


class Opaque:
    """What stands for a thing that cannot be sent: a function, an object. It is no answer to anything.

    The comparison names the class of what it finds, so each kind has a class that is called like what it stands for.
    """

    def __init__(self, kind):
        self.kind = kind

    def __repr__(self):
        return self.kind


Opaque.__name__ = "value that cannot be sent"


def opaque(kind, known):
    """Return an Opaque of a kind, "a function". known: {kind: its class}; only a few, for a stranger says how many there are."""
    if kind not in known and len(known) < 20:
        name = kind.removeprefix("a ").encode("ascii", "backslashreplace").decode().replace("\0", "?")
        known[kind] = type(name, (Opaque,), {})
    return known.get(kind, Opaque)(kind)


def kind_of(value):
    """Return what a thing that cannot be sent is, in words that begin with "a "."""
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"a numpy array of {value.dtype.name}" if type(value) is np.ndarray else f"a numpy array of class {name}"
    builtin = type(value).__module__ in ("builtins", "numpy") and name[:1].lower() not in "aeiou"
    return f"a {name}" if builtin else f"a value of class {name}"


def pack(tree):
    """Return a nest of dicts, lists, tuples, numbers, strings, arrays, generators and configs as bytes."""
    blobs, spent, known = [], [0], {}               # known: {id of an array: its number}, for one that is there twice

    def told(value, depth=0):
        if depth > 50:
            return {"?": "a nest that is too deep"}
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, np.generic):
            return value if isinstance(value, float) or abs(value) < 2**63 else {"?": "a number too large"}
        if isinstance(value, np.ndarray) and value.dtype.name in DTYPES and type(value) is np.ndarray:
            if id(value) in known:
                return {"s": known[id(value)]}
            order = "F" if value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous else "C"
            data = value.tobytes(order=order)
            spent[0] += len(data)
            if spent[0] > LIMIT // 2:
                return {"?": "a numpy array too large"}
            blobs.append(data)
            known[id(value)] = len(known)
            return {"a": [value.dtype.name, list(value.shape), len(data), order]}
        if isinstance(value, np.generic) and value.dtype.name in DTYPES:
            return {"n": [value.dtype.name, told(value.item())]}
        if isinstance(value, complex):
            return {"c": [value.real, value.imag]}
        if isinstance(value, Group):
            return {"u": [told(part) for part in value]}
        if isinstance(value, (tuple, list)):
            return {"t" if isinstance(value, tuple) else "l": [told(one, depth + 1) for one in value]}
        if isinstance(value, dict):
            return {"d": [[told(key, depth + 1), told(one, depth + 1)] for key, one in value.items()]}
        if isinstance(value, np.random.Generator) and type(value.bit_generator) is np.random.PCG64:
            state = value.bit_generator.state
            state["state"] = {key: str(number) for key, number in state["state"].items()}
            return {"g": state}
        if isinstance(value, Hidden):
            return {"p": [value.number, value.side]}
        if dataclasses.is_dataclass(value) and type(value).__module__.startswith("nanolm.models."):
            fields = {f.name: told(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
            return {"k": [type(value).__module__, type(value).__name__, fields]}
        return {"?": kind_of(value)[:60]}

    text = json.dumps(told(tree)).encode()
    body = struct.pack("<Q", len(text)) + text + b"".join(blobs)
    return struct.pack("<Q", len(body)) + body


def unpack(body, functions=None):
    """Return the nest that pack was given, from a frame without its first length. Raises ValueError if it is none.

    functions(number, side): where the functions of pairs.py are, in the process that may have them.
    """
    try:
        (length,) = struct.unpack_from("<Q", body)
        if length > len(body) - 8:
            raise ValueError("the text is longer than the frame")
        tree = json.loads(body[8:8 + length])
        place, arrays, kinds = [8 + length], [], {}

        def made(value):
            if not isinstance(value, dict):
                if isinstance(value, list):
                    raise ValueError("a bare list")
                return value
            (kind, content), = value.items()
            if kind == "a":
                name, shape, size, order = content
                if name not in DTYPES or order not in "CF" or any(not isinstance(n, int) or n < 0 for n in shape):
                    raise ValueError("no such array")
                dtype = np.dtype(name)
                count = 1
                for n in shape:
                    count *= n
                if count * dtype.itemsize != size or place[0] + size > len(body):
                    raise ValueError("an array of another size")
                array = np.frombuffer(body, dtype, count, place[0]).reshape(shape, order=order).copy(order="K")
                place[0] += size
                arrays.append(array)
                return array
            if kind == "s":
                return arrays[content]
            if kind == "u":
                return Group(*(made(part) for part in content))
            if kind == "n":
                return np.dtype(content[0] if content[0] in DTYPES else "V").type(made(content[1]))
            if kind == "c":
                return complex(*content)
            if kind in "tl":
                return (tuple if kind == "t" else list)(made(one) for one in content)
            if kind == "d":
                return {made(key): made(one) for key, one in content}
            if kind == "g":
                generator = np.random.default_rng()
                content["state"] = {key: int(number) for key, number in content["state"].items()}
                generator.bit_generator.state = content
                return generator
            if kind == "k" and content[0].startswith("nanolm.models.") and content[1] == "Config":
                config = importlib.import_module(content[0]).Config
                return config(**{key: made(one) for key, one in content[2].items()})
            if kind == "p" and functions is not None:
                return functions(*content)
            if kind == "?":
                return opaque(str(content)[:80], kinds)
            raise ValueError(f"an unknown kind {kind[:10]!r}")

        return made(tree)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError, RecursionError, MemoryError, OverflowError,
            struct.error) as error:
        raise ValueError(f"what came is no answer: {error}") from error


def read(stream, functions=None):
    """Return the next frame's nest from a binary stream; None at its end. Raises ValueError for a frame that is none."""
    head = exactly(stream, 8)
    if head is None:
        return None
    (length,) = struct.unpack("<Q", head)
    if length > LIMIT:
        raise ValueError(f"what came is no answer: {length:,} bytes are announced")
    body = exactly(stream, length)
    return None if body is None else unpack(body, functions)


def exactly(stream, n):
    """Return n bytes, None if the stream ends before."""
    parts = []
    while n:
        part = stream.read(n)
        if not part:
            return None
        parts.append(part)
        n -= len(part)
    return b"".join(parts)

"""Is the answer the right one, and if not, where does it differ?

The reference is the library's own function, which gradcheck has proved; so answers are compared with it and not with
numerical derivatives, and 1e-8 can be asked for where central differences would blur at 1e-7. An entry is right if

    |got - expected| <= RTOL |expected| + ATOL max |expected|

with the largest entry of the same output, or a thousandth of the largest of all outputs where that is more: the true
gradient of attention's key bias is zero, and rounding leaves 1e-17 of it.

Tested    tests/grading/test_compare.py.
"""
from dataclasses import dataclass

import numpy as np

RTOL, ATOL = 1e-8, 1e-10
COARSE = 1e-5                                       # what float32 somewhere on the way leaves of the digits


@dataclass
class Difference:
    """How one output differs from the right one. kind: missing, extra, type, shape, nan or value."""
    output: str
    kind: str
    sentence: str
    index: tuple = ()
    got: object = None                              # the whole output as it came, where it is an array
    expected: object = None
    wrong: object = None                            # boolean, shaped like expected: which entries


def named(value, outputs):
    """Return {name: array or None} of what a function returned: its parts under their names, dicts entry by entry."""
    parts = value if len(outputs) > 1 and isinstance(value, (tuple, list)) else (value,)
    flat = {}
    for name, part in zip(outputs, parts):
        flat.update(leaves(part, name))
    return flat


def leaves(part, name):
    """Return {name: array}; of a dict {'dp["c_fc"]["bias"]': array, ...}."""
    if isinstance(part, dict):
        return {inner: a for key, value in part.items() for inner, a in leaves(value, f'{name}[{quoted(key)}]').items()}
    return {name: part}


def quoted(key):
    """Return the key as it is written: "0" is not 0."""
    return f'"{key}"' if isinstance(key, str) else repr(key)


def container(value, expected, outputs):
    """Return a sentence if value is not the container it ought to be: too few values, a list of lists, a dict; else None."""
    n = len(outputs)
    wanted = outputs[0] if n == 1 else f"{n} values, {', '.join(outputs)}"
    if n > 1 and not isinstance(value, (tuple, list)):
        return f"It must return {wanted}, but it returned {described(value)} alone."
    if n > 1 and len(value) != n:
        return f"It must return {wanted}, in this order, but it returned {len(value)} value{'s' * (len(value) != 1)}."
    if n == 1 and isinstance(value, (tuple, list)) and not isinstance(expected, (tuple, list)):
        return (f"It must return {wanted} itself, but it returned a {type(value).__name__} of {len(value)}. "
                f"{advice_on(value)}").strip()
    return None


def advice_on(value):
    """Return what to do about a tuple or a list where one thing is asked for."""
    if isinstance(value, list):
        return "Make an array of it, by np.array(...)."
    return "Leave out the comma after it." if len(value) == 1 else ""


def differences(value, expected, outputs):
    """Return the Differences between what a function returned and what it should have, [] if it is right.

    Both are what was returned: one thing, or a tuple with one for each name in outputs.
    """
    sentence = container(value, expected, outputs)
    if sentence:
        return [Difference(", ".join(outputs), "type", sentence)]
    got, wanted = named(value, outputs), named(expected, outputs)
    largest = max((largest_of(a) for a in wanted.values() if sized(a)), default=0.0)
    found = []
    for name, right in wanted.items():
        if name not in got:
            found.append(Difference(name, "missing", f"{name} is missing."))
            continue
        difference = one(name, got[name], right, largest)
        if difference is not None:
            found.append(difference)
    found += [Difference(name, "extra", f"{name} is not asked for: there is no such parameter.") for name in got
              if name not in wanted]
    return found


def one(name, got, right, largest):
    """Return the Difference of one output, or None."""
    if right is None or isinstance(right, (str, bool)):
        same = got is right or got == right if not isinstance(got, np.ndarray) else False
        return None if same else Difference(name, "value", f"{name} must be {right!r}, but it is {described(got)}.")
    if got is None:
        return Difference(name, "missing", f"{name} is None.")
    if isinstance(got, np.ndarray) and not is_number(got):
        advice = " Take its real part." if got.dtype.kind == "c" else ""
        return Difference(name, "type", f"{name} must hold real numbers, but it is an array of {got.dtype}.{advice}")
    if isinstance(got, (list, tuple, dict, str)) or not is_number(got):
        advice = " Make an array of it, by np.array(...)." if isinstance(got, (list, tuple)) else ""
        return Difference(name, "type", f"{name} must be an array, but it is {described(got)}.{advice}")
    array, right = np.asarray(got), np.asarray(right)
    if array.shape != right.shape:
        return Difference(name, "shape", f"{name} must have the shape {right.shape}, but it has {array.shape}.",
                          got=array, expected=right)
    if right.dtype == bool and array.dtype != bool:
        return Difference(name, "type", f"{name} must hold booleans, True or False, but it holds {array.dtype}.")
    with np.errstate(all="ignore"):
        error = np.abs(array.astype(np.float64) - right)
        scale = max(largest_of(right), 1e-3 * largest)
        allowed = RTOL * np.where(np.isfinite(right), np.abs(right), 0) + ATOL * scale
        wrong = ~((error <= allowed) | (array == right) | np.isnan(array) & np.isnan(right))
    if not wrong.any():
        return None
    finite = np.where(np.isnan(error), np.inf, error)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(wrong, finite, -1))), right.shape))
    kind = "nan" if np.isnan(array).any() and not np.isnan(right).any() else "value"
    number = int(wrong.sum())
    count = f", and {number - 1} more of {right.size} entries are wrong" if number > 1 else ""
    digits = next((n for n in (6, 9, 12) if f"{array[index]:.{n}g}" != f"{right[index]:.{n}g}"), 17)
    return Difference(name, kind, f"{name}{list(index) if index else ''} is {array[index]:.{digits}g}, expected "
                      f"{right[index]:.{digits}g}{count}.", index, array, right, wrong)


def coarse(difference):
    """Return whether the output is right to about six digits: float32 on the way, or derivatives by numbers."""
    if difference.kind != "value" or not isinstance(difference.expected, np.ndarray):
        return False
    error = np.abs(np.asarray(difference.got, np.float64) - difference.expected)
    return bool(error.max(initial=0) <= COARSE * np.abs(difference.expected).max(initial=0))


def is_number(value):
    """Return whether value is a number or an array of numbers."""
    return isinstance(value, (int, float, np.number)) or isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def largest_of(a):
    """Return the largest of the finite numbers of an array, without their signs; 0 if there are none."""
    a = np.abs(np.asarray(a, np.float64))
    return float(a[np.isfinite(a)].max(initial=0))


def sized(a):
    return isinstance(a, (np.ndarray, float, int, np.number)) and np.size(a) > 0 and not isinstance(a, bool)


def described(value):
    """Return what value is, in words: "an array of shape (2, 3)", "None", "a dict"."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" + (f" of {value.dtype}" if value.dtype.kind not in "f" else "")
    if value is None:
        return "None"
    if isinstance(value, (int, float, str, bool, np.number)):
        return repr(value)[:60]
    return f"a {type(value).__name__}"

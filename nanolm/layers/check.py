"""Check the arguments of a layer, and say in a sentence what is wrong with them.

NumPy would often go on with a wrong shape (by broadcasting), a wrong dtype (by widening) or a wrong id (by counting
from the end), and the mistake would show much later as a model that learns badly. These checks cost about a
microsecond an argument. complex128 passes as float64: gradcheck differentiates with a small imaginary part.
"""
import numpy as np

PRECISION = {"float32": 32, "float64": 64, "complex64": 32, "complex128": 64}


def floats(**arrays):
    """Raise TypeError unless every named array is a NumPy array of float32 or float64, all of one precision.

    An array that is None is skipped: it stands for an argument that was left out.
    """
    first = None
    for name, array in arrays.items():
        if array is None:
            continue
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be a NumPy array of floats, but it is a {type(array).__name__}. "
                            f"Make one with np.asarray({name}, dtype=np.float32).")
        bits = PRECISION.get(array.dtype.name)
        if bits is None:
            raise TypeError(f"{name} must hold float32 or float64, but it holds {array.dtype}. "
                            f"Convert it with {name}.astype(np.float32).")
        if first is None:
            first = (name, array.dtype, bits)
        elif bits != first[2]:
            raise TypeError(f"{first[0]} holds {first[1]} but {name} holds {array.dtype}. NumPy would widen the result "
                            f"without a word; convert one of them, so that all have one precision.")


def integers(name, ids, low, high, spared=None):
    """Raise TypeError unless ids is a NumPy array of integers, ValueError unless all are in low <= id < high.

    One value, `spared`, is allowed outside the range (the target that is ignored).
    """
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        what = ids.dtype if isinstance(ids, np.ndarray) else type(ids).__name__
        raise TypeError(f"{name} must be a NumPy array of integers, but it is {what}. "
                        f"Make one with np.asarray({name}, dtype=np.int64).")
    wrong = (ids < low) | (ids >= high)
    if spared is not None:
        wrong &= ids != spared
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        also = "" if spared is None else f" (or {spared}, which is ignored)"
        raise ValueError(f"{name} must lie between {low} and {high - 1}{also}, but {name}{list(where)} is {ids[where]}. "
                         f"Do the tokenizer and the model have the same vocabulary?")


def shape(name, array, expected, because):
    """Raise ValueError unless array.shape == expected; `because` says where the expected shape comes from."""
    if array is not None and array.shape != tuple(expected):
        raise ValueError(f"{name} must have the shape {tuple(expected)}, {because}, but it has {array.shape}.")


def dimensions(name, array, least, form):
    """Raise ValueError if array has fewer axes than `least`; `form` shows the expected axes, such as "(..., C)"."""
    if array.ndim < least:
        raise ValueError(f"{name} must have at least {least} axes, {form}, but its shape is {array.shape}.")


def keys(name, p, expected):
    """Raise TypeError or ValueError unless p is a dict that has exactly the expected keys."""
    if not isinstance(p, dict):
        raise TypeError(f"{name} must be a dict with the keys {', '.join(expected)}, but it is a {type(p).__name__}.")
    missing, extra = [k for k in expected if k not in p], [k for k in p if k not in expected]
    if missing or extra:
        raise ValueError(f"{name} must have the keys {', '.join(expected)}; missing: {', '.join(missing) or 'none'}, "
                         f"not known: {', '.join(map(str, extra)) or 'none'}.")

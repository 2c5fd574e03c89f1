"""Check the arguments of a layer, and say in a sentence what is wrong with them.

NumPy would often go on with a wrong shape (by broadcasting), a wrong dtype (by widening) or a wrong id (it counts
-1 from the end), and the mistake would show much later as a model that learns badly. Checking the dtype of an argument
costs 0.2 to 0.3 microseconds; ids are all looked at, once. complex128 passes as float64: gradcheck differentiates with a small
imaginary part.
"""
import numpy as np

PRECISION = {np.dtype(np.float32): 32, np.dtype(np.float64): 64, np.dtype(np.complex64): 32, np.dtype(np.complex128): 64}


def floats(optional=None, **arrays):
    """Raise TypeError unless every named array is a NumPy array of float32 or float64, all of one precision.

    optional: the name of the one array that may be None, because it may be left out.
    """
    first = None
    for name, array in arrays.items():
        if array is None and name == optional:
            continue
        # np.matrix and masked arrays are arrays too, but * and sum mean something else to them.
        if not isinstance(array, np.ndarray) or isinstance(array, (np.matrix, np.ma.MaskedArray)):
            raise TypeError(f"{name} must be a NumPy array of floats, but it is {described(array)}. "
                            f"Make one with np.asarray(..., dtype=np.float32).")
        bits = PRECISION.get(array.dtype)
        if bits is None:
            raise TypeError(f"{name} must hold float32 or float64, but it holds {array.dtype}. "
                            f"Convert it with .astype(np.float32).")
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
        raise TypeError(f"{name} must be a NumPy array of integers, but it is {described(ids)}. "
                        f"Make one with np.asarray({name}, dtype=np.int64).")
    wrong = (ids < low) | (ids >= high)
    if spared is not None:
        wrong &= ids != spared
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        also = "" if spared is None else f" (or {spared}, which is ignored)"
        place = f"{name}{list(where)}" if where else "it"
        raise ValueError(f"{name} must lie between {low} and {high - 1}{also}, but {place} is {ids[where]}. "
                         f"Do the tokenizer and the model have the same vocabulary?")


def shape(name, array, expected, because):
    """Raise ValueError unless array.shape == expected; `because` says where the expected shape comes from."""
    if array is not None and array.shape != tuple(expected):
        raise ValueError(f"{name} must have the shape {tuple(expected)}, {because}, but it has {array.shape}.")


def dimensions(name, array, least, form):
    """Raise ValueError if array has fewer axes than `least` or nothing along the last; `form`: the axes, "(..., C)"."""
    if array.ndim < least:
        raise ValueError(f"{name} must have at least {least} ax{'e' if least > 1 else 'i'}s, {form}, but its shape is "
                         f"{array.shape}.")
    if array.shape[-1] == 0:
        raise ValueError(f"{name} must have something along its last axis, {form}, but its shape is {array.shape}.")


def keys(name, p, expected):
    """Raise TypeError or ValueError unless p is a dict that has exactly the expected keys."""
    if not isinstance(p, dict):
        raise TypeError(f"{name} must be a dict with the keys {', '.join(expected)}, but it is a {type(p).__name__}.")
    missing, extra = [k for k in expected if k not in p], [k for k in p if k not in expected]
    if missing or extra:
        raise ValueError(f"{name} must have the keys {', '.join(expected)}; missing: {', '.join(missing) or 'none'}, "
                         f"not known: {', '.join(map(str, extra)) or 'none'}.")


def dense(name, p, n_in, n_out, because):
    """Return n_out if p holds the weight (n_in, n_out) and the bias (n_out,) of a linear layer; n_out None: any number.

    If not, raise TypeError or ValueError; `because` says where the expected shape comes from.
    """
    keys(name, p, ("weight", "bias"))
    floats(**{f"{name} weight": p["weight"], f"{name} bias": p["bias"]})
    n_out = p["weight"].shape[-1] if n_out is None and p["weight"].ndim else n_out
    shape(f"{name} weight", p["weight"], (n_in, n_out), because)
    shape(f"{name} bias", p["bias"], (n_out,), because)
    return n_out


def matrix(name, p, n_in, n_out, because):
    """dense for a linear layer that has no bias: p holds the weight (n_in, n_out) alone."""
    keys(name, p, ("weight",))
    floats(**{f"{name} weight": p["weight"]})
    n_out = p["weight"].shape[-1] if n_out is None and p["weight"].ndim else n_out
    shape(f"{name} weight", p["weight"], (n_in, n_out), because)
    return n_out


def whole(name, value, least):
    """Raise TypeError unless value is a whole number (Python's or NumPy's), ValueError if it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, but it is {value!r} ({type(value).__name__}).")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, but it is {value}.")


def share(name, value):
    """Return value as a Python float. Raises TypeError unless it is a number, ValueError unless 0 <= value < 1."""
    number = real(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, but it is {number}.")
    return number


def real(name, value, least=None):
    """Return value as a Python float: NumPy 2's own float64 would widen float32 arrays.

    Raises TypeError if value is no number, ValueError if it is NaN or below `least`, where there is a least.
    """
    if not isinstance(value, (int, float, np.floating, np.integer)):
        raise TypeError(f"{name} must be a number, but it is {described(value)}.")
    if least is not None and not value >= least:
        raise ValueError(f"{name} must be at least {least}, but it is {value}.")
    return float(value)


def described(value):
    """Return what value is, in words for an error message: "an array of int64", "a list", "None"."""
    if value is None:
        return "None"
    if type(value) is np.ndarray:
        return f"an array of {value.dtype}"
    if isinstance(value, np.generic):
        return f"a single number, {type(value).__name__}"
    return f"a {type(value).__name__}"

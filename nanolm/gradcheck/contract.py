"""The rules of the contract that need no derivatives: what forward and backward return, and what they must not touch.

Forward gives (y, cache), the same again for the same arguments, in the precision of its arguments. Backward gives one
gradient per float array, in order, and can be called again: it writes to nothing that it was given (arguments, dy,
cache) and remembers nothing. Every broken rule becomes one sentence.
"""
from dataclasses import dataclass, field

import numpy as np

from nanolm.gradcheck import arguments
from nanolm.gradcheck.snapshots import same, snapshot

NO_GRADIENT = ("mask", "rng", "memory")       # at None they get no gradient at all; a bias of None gets a None


@dataclass
class Evidence:
    """What was found; `problems` are sentences, `written` the names of what was written to."""

    problems: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    written: list = field(default_factory=list)
    second_differs: bool = False

    def wrote(self, name, who):
        if name not in self.written:
            self.written.append(name)
            self.problems.append(f"{who} wrote to {name}, which it was given. Write only to arrays made inside the "
                                 f"function: y = {name} * 2 makes one, {name} *= 2 does not.")


def run_forward(layer, call, evidence):
    """Return y, cache and the arguments of one forward call; y as an array, shape () for a loss.

    Raises TypeError if forward does not return (y, cache) with one float output: then nothing can be checked.
    """
    try:
        result, given = call.run(layer.forward)
    except TypeError as error:
        for name, value in call.integers():             # forward refuses an argument that should not have been integers
            if str(error).startswith(name + " "):
                raise TypeError(f"{name} is {value.dtype}, and a gradient check needs float64: "
                                f"{arguments.WHY_NOT_INTEGER.format(name=name)}") from error
        raise
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"forward must return two things, y and cache, but it returned {_describe(result)}. "
                        f"Its last line should read: return y, cache.")
    y, cache = result
    if not isinstance(y, (np.ndarray, float, np.floating)) or np.asarray(y).dtype.kind != "f":
        raise TypeError(f"the first thing that forward returns must be an array of floats or a loss, "
                        f"but it is {_describe(y)}.")
    for name, before, after in zip(call.names, call.values, given.values):
        if isinstance(before, (np.ndarray, dict)) and not same(_plain(before), _plain(after)):
            evidence.wrote(name, "forward")
    if np.asarray(y).dtype != np.float64:
        evidence.problems.append(f"forward returned {np.asarray(y).dtype} for float64 arguments. Something inside it "
                                 f"computes in another precision.")
    if not np.isfinite(y).all():
        bad = np.count_nonzero(~np.isfinite(y))
        evidence.problems.append(f"forward returned NaN or inf in {bad} of {np.size(y)} numbers.")
    again = call.run(layer.forward)[0]
    if not same(np.asarray(y), np.asarray(again[0])):
        evidence.problems.append("forward gave another result for the same arguments, so it has no derivative. If it "
                                 "draws random numbers, it must draw them from an rng that it is given.")
    return y, cache, given


def run_backward(layer, call, given, upstreams, cache, evidence, wrt=None):
    """Return one {name: gradient} per upstream gradient, and what backward returned for the first.

    Both are empty (an empty list, None) if backward raised an error at once.
    """
    before, cache_before, found, first = snapshot(given.values), snapshot(cache), [], None
    for i, dy in enumerate([upstreams[0], *upstreams]):         # the first one twice: is the second call the same?
        dy_before = snapshot(dy)
        try:
            with np.errstate(all="ignore"):
                result = layer.backward(dy, cache)
        except Exception as error:
            if i == 0:
                evidence.problems.append(f"backward raised {type(error).__name__}: {error}")
                return [], None
            where = "at the second call" if i == 1 else "for another dy (another layout in memory)"
            evidence.problems.append(f"backward raised {type(error).__name__} {where}: {error}")
            return found, first
        if isinstance(dy, np.ndarray) and not same(dy_before, dy):
            evidence.wrote("dy", "backward")
            np.copyto(dy, dy_before)
        for name, old, new in zip(given.names, before, given.values):
            if not same(old, new):
                evidence.wrote(name, "backward")
        if not same(cache_before, cache):
            evidence.wrote("cache", "backward")
        if i == 0:
            first, first_bits = result, snapshot(result)
        elif i == 1 and not same(first_bits, result):
            evidence.second_differs = True
            evidence.problems.append("backward gave another result at the second call, with the same dy and cache.")
        if i > 0:
            found.append(align(call, snapshot(result), evidence if i == 1 else Evidence(), wrt))
    if first is not None and not evidence.second_differs and not same(first_bits, first):
        evidence.problems.append("a later call of backward changed the arrays that an earlier call had returned. Make "
                                 "new arrays in every call.")
    return found, first


def align(call, result, evidence, wrt=None):
    """Return {name: gradient} for what backward returned; a wrong number of gradients or wrong keys become problems.

    wrt: names of the gradients that were asked for: so many, and in forward's order, will do as well as all.
    """
    slots = call.slots()
    asked = [(n, v) for n, v in slots if wrt is not None and n in ([wrt] if isinstance(wrt, str) else wrt)]
    if asked and len(asked) < len(slots) and len(asked) == (len(result) if isinstance(result, (tuple, list)) else 1):
        slots = asked
    wanted = ", ".join("d" + name for name, _ in slots)
    items = [result] if not isinstance(result, (tuple, list)) else list(result)
    if isinstance(result, list):
        evidence.notes.append("backward returned a list; nanolm's layers return a tuple.")
    if isinstance(result, tuple) and len(result) == 1:
        evidence.problems.append(f"backward returned a tuple of one thing. One gradient comes bare: return {wanted}, "
                                 f"without a comma.")
    kept = _without_nones(call, items) if len(items) > len(slots) else items
    if len(kept) != len(slots):
        extra = ""
        integers = [n for n, _ in call.integers()]
        if len(kept) > len(slots) and integers:
            extra = f" {integers[0]} holds integers: {arguments.WHY_NOT_INTEGER.format(name=integers[0])}"
        evidence.problems.append(f"backward returned {len(kept)} gradient{'s' * (len(kept) != 1)}, "
                                 f"expected {len(slots)}: {wanted}.{extra}"
                                 + (f" If {slots[-1][0]} is data and needs no gradient, say wrt=[...]."
                                    if wrt is None and 0 < len(kept) < len(slots) else ""))
    found = {}
    for (name, value), item in zip(slots, kept):
        if isinstance(value, dict):
            _align_dict(item, value, call.prefix(name), "d" + name, found, evidence)
        else:
            found[name] = item
    return found


def _without_nones(call, items):
    """Return items without the None that stands where an argument was None, such as a bias that was left out."""
    owed = [name for name, _ in call.slots()]
    dicts = [name for name, value in call.slots() if isinstance(value, dict)]
    places = [n for n in call.order if n not in dicts and (n in owed or n not in NO_GRADIENT and _is_none(call, n))] + dicts
    kept, left = [], list(items)
    for name in places:
        if left and (name in owed or left[0] is None):
            item = left.pop(0)
            kept += [item] if name in owed else []
    return kept + left


def _align_dict(item, value, prefix, name, found, evidence):
    if not isinstance(item, dict):
        evidence.problems.append(f"{name} must be a dict with the keys {_list(value)}, but it is {_describe(item)}.")
        return
    owed = [k for k, v in value.items() if isinstance(v, dict) or (isinstance(v, np.ndarray) and v.dtype.kind == "f")]
    missing, extra = [k for k in owed if k not in item], [k for k in item if k not in value]
    if missing or extra:
        evidence.problems.append(f"{name} must have the keys {_list(owed)}; missing: {_list(missing)}, "
                                 f"not known: {_list(extra)}.")
    for key in owed:
        if key in item and isinstance(value[key], dict):
            _align_dict(item[key], value[key], f"{prefix}{key}.", f'{name}["{key}"]', found, evidence)
        elif key in item:
            found[f"{prefix}{key}"] = item[key]


def in_float32(layer, call, evidence, wrt=None):
    """Run the pair once in float32: what goes in as float32 must come out so. One NumPy float64 number widens it."""
    tensors = {n: t.astype(np.float32) for n, t in call.tensors().items()}
    try:
        (y, cache), _ = call.run(layer.forward, tensors)
        dy = np.ones(np.shape(y), np.float32) if np.ndim(y) else 1.0
        with np.errstate(all="ignore"):
            gradients = align(call, layer.backward(dy, cache), Evidence(), wrt)
    except Exception as error:
        evidence.problems.append(f"with float32 arguments it raised {type(error).__name__}: {error}")
        return
    wide = {"y": y, **{f"the gradient of {n}": g for n, g in gradients.items()}}
    wide = {n: v.dtype for n, v in wide.items() if getattr(v, "dtype", np.float32) != np.float32}
    if wide:
        name, dtype = next(iter(wide.items()))
        evidence.problems.append(f"with float32 arguments, {name} is {dtype}: float32 in, float32 out. Look for "
                                 f"np.zeros(shape) without dtype=x.dtype, and for NumPy numbers such as np.sqrt(d): "
                                 f"math.sqrt(d) does not widen. If float32 does not matter to you, "
                                 f"check(..., float32=False) leaves this rule out.")


def _plain(value):
    """Return a dict as plain nested dicts, an array as it is: `call.run` rebuilds dicts of any kind as plain ones."""
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _is_none(call, name):
    return name in call.absent or (name in call.names and call.values[call.names.index(name)] is None)


def _list(keys):
    return ", ".join(map(str, keys)) or "none"


def _describe(value):
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with the shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} things"
    return f"a {type(value).__name__}"

"""check(layer, x, weight, ...): is layer.backward the derivative of layer.forward?

For each of three random upstream gradients dy, the loss is L = sum(dy * y). Its derivative by every entry of every
float array is computed by numbers (numerical.py) and compared with what backward returned (verdict.py); the rules
that need no derivative are checked on the way (contract.py). One upstream gradient is not enough: backward must be
right for all, and it must be linear in dy. So the three differ in size (1, 300 and 1e-6) and in their layout in memory,
and one is half zeros; never ones, for which the true gradient of softmax is zero and every wrong one that returns zeros
looks right. What passes is looked at a second time, in another layout and with other numbers (second_look.py).

Elementwise up to 4,096 entries a tensor; larger tensors are checked along random directions (directions.py).
"""
import inspect
from typing import NamedTuple

import numpy as np

from nanolm.gradcheck import arguments, contract, directions, entries, numerical, second_look, snapshots, weak
from nanolm.gradcheck.report import Gradient, Report

ELEMENTWISE_LIMIT = 4096
METHODS = ("auto", "complex", "central")


class Pair(NamedTuple):
    """A forward and a backward that belong together; check takes it where it takes a layer."""

    forward: object
    backward: object
    name: str


def pair(forward, backward, name=None):
    """Return the two functions as one thing that check and swap understand. name stands in the report.

    Raises TypeError if one of them is not a function.
    """
    for key, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"{key} must be a function, but it is a {type(function).__name__}. "
                            f"Pass the function itself, without calling it.")
    own = getattr(backward, "__qualname__", "your pair")
    return Pair(forward, backward, name or ("your pair" if own.endswith("<lambda>") else own))


def check(layer, *args, wrt=None, method="auto", seed=0, rtol=None, atol=None, names=None, upstream=None, h=1e-4,
          float32=True, **kwargs):
    """Return a Report on layer.backward at forward(*args, **kwargs). Print it; ask .passed; or call .raise_if_failed().

    layer     a module with forward and backward, or gradcheck.pair(forward, backward).
    args      what forward takes: float64 arrays and dicts of them are differentiated, everything else is passed on. An
              rng is copied before every call, so that dropout draws the same mask each time.
    wrt       names of the tensors to differentiate, such as ["x", "ln_1.weight"]; None: all.
    method    "complex" (the complex step), "central" (central differences, at h and h/10), or "auto": the complex step
              where forward allows it, central differences where not.
    rtol      an entry is right if |got - expected| <= rtol |expected| + atol. Defaults and reasons: verdict.py.
    names     names for the positional arguments, if you want others than forward's.
    upstream  your own dy in place of the three random ones.
    h         the larger step of the central differences; the smaller is h/10.
    float32   also run the pair once in float32 and demand float32 back.

    Raises TypeError for float32 or integer arrays (they cannot be moved by a small step) and for arguments that forward
    does not take; ValueError for an unknown method or name.
    """
    _must_be_layer(layer)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, but it is {method!r}.")
    call = arguments.bind(layer.forward, args, kwargs, names)
    settings = dict(wrt=wrt, method=method, seed=seed, rtol=rtol, atol=atol, h=h, float32=float32)
    if takes_cache_alone(layer.backward):
        return examine_twice(ending_in_loss(layer), call, weak.notes(call), upstream=1.0, **settings)
    if upstream is None:
        return examine_twice(layer, call, weak.notes(call), **settings)
    report = examine(layer, call, upstream=upstream, **settings)               # your own dy: a lesson on it, perhaps
    report.notes += weak.notes(call, upstream)
    return report


def examine_twice(layer, call, notes, **settings):
    """Return the Report for call. If it passes with weak arguments, try stronger ones and report them if wrong."""
    report = examine(layer, call, **settings)
    report.notes += notes
    stronger = weak.strengthen(call, settings["seed"]) if report.passed else None
    if stronger is not None:
        second = weak.attempt(lambda: examine(layer, stronger, **settings))
        if second is not None and not second.passed:
            second.notes.append("This is the report for a second set of arguments: the same shapes, with random "
                                "numbers where yours were all equal and a repeated id where yours were all different. "
                                "With yours it passed.")
            return second
    return report


def examine(layer, call, wrt=None, method="auto", seed=0, rtol=None, atol=None, upstream=None, h=1e-4, float32=True,
            elementwise=True):
    """Return the Report for one set of arguments; `check` and `check_model` are made of it."""
    rng = np.random.default_rng(seed)
    evidence = contract.Evidence()
    y, cache, given = contract.run_forward(layer, call, evidence)
    tensors = call.tensors()
    chosen = _choose(tensors, wrt)
    upstreams = draw(y, rng) if upstream is None else [_own(upstream, y)]
    found, first = contract.run_backward(layer, call, given, upstreams, cache, evidence, wrt)

    gradients, usable = [], {}
    for name in chosen:
        gradient = Gradient(name, tensors[name].shape, tensors[name].dtype)
        gradients.append(gradient)
        got = [one.get(name) for one in found]
        if not found:
            gradient.verdict = "wrong"                  # backward raised an error: the sentence is in evidence.problems
        elif gradient.receive(got, len(upstreams)):
            usable[name] = np.stack([np.ravel(g) for g in got]).astype(np.float64)
    determined = np.isfinite(y).all() and not any("another result for the same" in p for p in evidence.problems)
    if determined:
        dys = np.stack([np.ravel(dy) for dy in upstreams])                                   # (K, size of y)
        _compare(layer, call, gradients, usable, np.asarray(y), dys, method, rng, rtol, atol, h, elementwise, evidence)
        _still_the_same(layer, upstreams[0], cache, first, evidence)
        if found and not evidence.problems and all(g.passed for g in gradients):
            second_look.another_layout(layer, call, np.asarray(y), upstreams[0], found[0], evidence, wrt)
            second_look.other_numbers(layer, call, gradients, upstreams[0], rng, rtol, atol, h, evidence,
                                      wrt)
    else:
        for gradient in gradients:
            gradient.cannot_tell("forward gives no usable numbers to compare with.")
    inside = any("float32 inside" in problem for problem in evidence.problems)
    if float32 and found and not inside and all(g.got_shape == g.shape for g in gradients):
        contract.in_float32(layer, call, evidence, wrt)
    return Report(_name(layer), gradients, evidence.problems, evidence.notes, evidence.written, evidence.second_differs,
                  len(upstreams), h)


def draw(y, rng):
    """Return the upstream gradients for y: three arrays, or for a loss three numbers, none of them ones."""
    if np.ndim(y) == 0:
        return [1.7, -3e-7, 4e4]
    plain = rng.standard_normal(y.shape)
    sparse = 300 * rng.standard_normal(y.shape) * (rng.random(y.shape) < 0.5)
    if not sparse.any():
        sparse = 300 * plain
    return [plain, np.asfortranarray(sparse), 1e-6 * (rng.standard_normal(y.shape) - 0.7)]


def _compare(layer, call, gradients, usable, y, dys, method, rng, rtol, atol, h, elementwise, evidence):
    """Fill in each gradient's numbers and verdict."""
    truths = {}
    for gradient in gradients:
        x = call.tensors()[gradient.name]
        f = entries.function_of(layer, call, gradient.name)
        how, note = entries.choose_method(f, x, y, method, rng, h)
        if note:
            evidence.notes.append(f"{gradient.name}: {note}")
        if how == "central differences" and numerical.in_float32(f, x, np.asarray(y)):
            float32_inside = (f"forward seems to compute in float32 inside: {gradient.name} rounded to float32 gives the "
                              f"very same y. So its derivatives cannot be taken by small steps; compute in x.dtype.")
            evidence.problems.append(float32_inside)
            for each in gradients:
                each.cannot_tell("")
            return
        gradient.method = how
        if elementwise and x.size <= ELEMENTWISE_LIMIT:
            truths[gradient.name] = entries.differentiate(f, x, y, dys, how, h)
    largest = np.zeros((len(dys), 1))                   # the largest entry of all gradients, for each upstream gradient
    for truth in truths.values():
        largest = np.maximum(largest, np.abs(truth.expected).max(axis=1, keepdims=True, initial=0))
    for gradient in gradients:
        x, f = call.tensors()[gradient.name], entries.function_of(layer, call, gradient.name)
        got = usable.get(gradient.name)
        if gradient.name in truths:
            entries.settle(gradient, f, x, y, dys, got, truths[gradient.name], largest, rtol, atol, h)
        elif got is not None:
            directions.settle(gradient, f, x, y, dys, got, rng, rtol, atol, h)


def _still_the_same(layer, dy, cache, first, evidence):
    """Call backward once more, after hundreds of other forward calls: it must have remembered nothing of them."""
    if first is None or evidence.second_differs:
        return
    try:
        with np.errstate(all="ignore"):
            again = layer.backward(dy, cache)
    except Exception as error:
        evidence.problems.append(f"backward raised {type(error).__name__} after other calls of forward: {error}")
        return
    if not snapshots.same(again, first):
        evidence.second_differs = True
        evidence.problems.append("after other calls of forward, backward gave another result for the same dy and "
                                 "cache. It must take everything from the cache and remember nothing.")


def takes_cache_alone(backward):
    """Return whether backward is a model's, backward(cache): the loss is the end, and its own gradient is 1."""
    try:
        needed = [p for p in inspect.signature(backward).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        return False
    return len(needed) == 1 and needed[0].kind is not needed[0].VAR_POSITIONAL


def ending_in_loss(model):
    """Return the Pair that calls model.backward(cache) where a layer's backward(dy, cache) is expected."""
    return Pair(model.forward, lambda dloss, cache: model.backward(cache), _name(model))


def _name(layer):
    if isinstance(layer, Pair):
        return layer.name                               # as it was given: "dropout, rate 0.4"
    return getattr(layer, "__name__", type(layer).__name__).rsplit(".", 1)[-1]


def _choose(tensors, wrt):
    if wrt is None:
        return list(tensors)
    wrt = [wrt] if isinstance(wrt, str) else list(wrt)
    for name in wrt:
        if name not in tensors:
            raise ValueError(f"wrt names {name!r}, but the tensors to differentiate are {', '.join(tensors)}.")
    return wrt


def _own(upstream, y):
    if np.shape(upstream) != np.shape(y):
        raise ValueError(f"upstream must have the shape of forward's result, {np.shape(y)}, "
                         f"but it has {np.shape(upstream)}.")
    return float(upstream) if np.ndim(y) == 0 else np.asarray(upstream, dtype=np.float64)


def _must_be_layer(layer):
    for key in ("forward", "backward"):
        if not callable(getattr(layer, key, None)):
            raise TypeError(f"check needs a layer, a module with forward and backward, but {layer!r} has no {key}. "
                            f"For two functions of your own write check(gradcheck.pair(forward, backward), ...).")

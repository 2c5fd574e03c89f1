"""SwiGLU, fast: silu(g) * u in one pass, and its backward in one pass.

    g = x W_gate,     u = x W_up,     h = silu(g) * u,     y = h W_down                                           (W1)

Plain NumPy takes nine passes over (N, F) for h, with two copies of g's shape that only backward needs, silu(g) and the
logistic function s of g. Here a number of g and one of u are read and one of h is written. On the way back

    du = dh g s,     dg = dh u s (1 + g (1 - s))                                                                  (W2), (Z2)

are made in one pass as well, du in dh's own array; s is computed again, sixteen at a time (exp.py). Kept: x, g, u and h.
The gradients of x by way of gate and up are added in the array of the first.

A function that a student has put in the place of silu's or linear's must be called, so then the plain lines run.

Tested    tests/kernels/test_twins.py, and everything that holds layers/swiglu.py.
"""
import numpy as np

from nanolm import threads
from nanolm.kernels import linear, plain, stands_in
from nanolm.kernels.compiled import compiled, entry
from nanolm.kernels.exp import exp
from nanolm.kernels.usual import Cache, fitting, floats
from nanolm.layers import check, linear as linear_layer, silu

NAMES = ("gate_proj", "up_proj", "down_proj")
LEAST = 2**16                                           # numbers that are worth a thread


def forward(x, p):
    """Return y, shaped like x, and the cache. Arguments and errors as in layers/swiglu.py."""
    if not usual(x, p):
        return plain("swiglu", "forward")(x, p)
    g, c_gate = linear_layer.forward(x, **p["gate_proj"])
    u, c_up = linear_layer.forward(x, **p["up_proj"])
    h = np.empty_like(g)
    flat_g, flat_u, flat_h = g.reshape(-1), u.reshape(-1), h.reshape(-1)
    threads.split(lambda start, stop: open_gates(flat_g[start:stop], flat_u[start:stop], flat_h[start:stop]), g.size, LEAST)
    y, c_down = linear_layer.forward(h, **p["down_proj"])
    return y, Cache((x, g, u, c_gate, c_up, c_down))


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    if type(cache) is not Cache:
        return plain("swiglu", "backward")(dy, cache)
    x, g, u, c_gate, c_up, c_down = cache
    dy = fitting(dy, x)                                                     # y is shaped like x
    dh, dweight_down, _ = linear_layer.backward(dy, c_down)                 # y = linear(h, down_proj)
    dh, dg = fitting(dh, u), np.empty_like(g)
    flat = [a.reshape(-1) for a in (dh, g, u, dg)]
    threads.split(lambda start, stop: differentiate(*(a[start:stop] for a in flat)), g.size, LEAST)
    dx_u, dweight_up, _ = linear_layer.backward(dh, c_up)                   # dh is ours; it is du from here on
    dx, dweight_gate, _ = linear_layer.backward(dg, c_gate)
    dx += dx_u                                                              # x was used twice: gate and up
    return dx, {"gate_proj": {"weight": dweight_gate}, "up_proj": {"weight": dweight_up}, "down_proj": {"weight": dweight_down}}


def usual(x, p):
    """Return whether this file takes the case; if not, the plain layer does it, or says what is wrong."""
    if not own() or not floats(x) or x.ndim == 0:
        return False
    try:
        check.keys("p", p, NAMES)
        C = x.shape[-1]
        F = check.matrix("gate_proj", p["gate_proj"], C, None, "")
        check.matrix("up_proj", p["up_proj"], C, F, "")
        check.matrix("down_proj", p["down_proj"], F, C, "")
    except (ValueError, TypeError):
        return False
    return floats(x, *(p[name]["weight"] for name in NAMES))


def own():
    """Return whether silu is nanolm's and linear the fast one: no student's function, no plain one."""
    return all(stands_in(silu, name, silu.__name__) and getattr(linear_layer, name) is getattr(linear, name)
               for name in ("forward", "backward"))


@compiled(fastmath={"contract"})
def logistic(x, one, limit):
    s = one / (one + exp(-x))
    return s if not -x > limit else one - one                               # below 1e-20: 0, see exp.py


@entry("in1", "in1", "out1")
def open_gates(g, u, h):
    one, limit = g.dtype.type(1), g.dtype.type(46)
    for i in range(g.size):
        h[i] = g[i] * logistic(g[i], one, limit) * u[i]                     # (W1)


@entry("out1", "in1", "in1", "out1")
def differentiate(dh, g, u, dg):
    """Write dg, and du over dh."""
    one, limit = g.dtype.type(1), g.dtype.type(46)
    for i in range(g.size):
        s = logistic(g[i], one, limit)
        dg[i] = dh[i] * u[i] * (s * (one + g[i] * (one - s)))               # a = silu(g), (Z2)
        dh[i] *= g[i] * s                                                   # h = a * u

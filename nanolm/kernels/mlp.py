"""The MLP, fast: its first bias and its GELU in one pass, and one array less to keep.

    u = x W_fc + b_fc,     h = gelu(u),     y = h W_proj + b_proj                                                (MF1)

The product is written without its bias; the pass that computes the GELU adds it (gelu.bias_forward). On the way back one
pass turns dh into du, in its own array, and sums db_fc. Kept: x, u and h; not the share h / u, which is computed again.

A function that a student has put in the place of gelu's or linear's must be called, so then the plain lines run.

Tested    tests/kernels/test_twins.py, and everything that holds layers/mlp.py.
"""
import numpy as np

from nanolm.kernels import gelu, linear, plain
from nanolm.kernels.usual import Cache, fitting, floats
from nanolm.layers import check, gelu as gelu_layer, linear as linear_layer


def forward(x, p, form="tanh"):
    """Return y, shaped like x, and the cache. Arguments and errors as in layers/mlp.py."""
    if not usual(x, p, form):
        return plain("mlp", "forward")(x, p, form)
    weight, bias = p["c_fc"]["weight"], p["c_fc"]["bias"]
    u = np.empty((x.size // x.shape[-1], weight.shape[1]), x.dtype)
    linear.product(linear.rows_of(x), weight, u)
    h = gelu.bias_forward(u, np.ascontiguousarray(bias), form)              # u has its bias from here on
    y, c_proj = linear_layer.forward(h, **p["c_proj"])
    return y.reshape(x.shape), Cache((x, weight, u, form, c_proj))


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    if type(cache) is not Cache:
        return plain("mlp", "backward")(dy, cache)
    x, weight, u, form, c_proj = cache
    dy = fitting(dy, x)
    dh, dweight_proj, dbias_proj = linear_layer.backward(dy.reshape(-1, dy.shape[-1]), c_proj)
    dh = fitting(dh, u)
    dbias_fc = gelu.bias_backward(dh, u, form)                              # dh is ours; it is du from here on
    dx, dweight_fc, _ = linear_layer.backward(dh.reshape(x.shape[:-1] + u.shape[1:]), (x, weight, False))
    return dx, {"c_fc": {"weight": dweight_fc, "bias": dbias_fc},
                "c_proj": {"weight": dweight_proj, "bias": dbias_proj}}


def usual(x, p, form):
    """Return whether this file takes the case; if not, the plain layer does it, or says what is wrong."""
    if form not in gelu.FORMS or not own() or not floats(x) or x.ndim == 0:
        return False
    try:
        check.keys("p", p, ("c_fc", "c_proj"))
        C = x.shape[-1]
        F = check.dense("c_fc", p["c_fc"], C, None, "")
        check.dense("c_proj", p["c_proj"], F, C, "")
    except (ValueError, TypeError):
        return False
    return linear.usual(x, p["c_fc"]["weight"], p["c_fc"]["bias"]) and floats(x, *p["c_proj"].values())


def own():
    """Return whether the twins of gelu and linear are in place: no student's function, no plain one."""
    return all(getattr(layer, name) is getattr(twin, name)
               for layer, twin in ((gelu_layer, gelu), (linear_layer, linear)) for name in ("forward", "backward"))

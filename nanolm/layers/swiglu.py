"""SwiGLU: an MLP whose hidden channels are opened and closed by a second view of the same token, the gate.

    g = x W_gate,     u = x W_up,     h = silu(g) * u,     y = h W_down                                           (W1)

    x, y (..., C)     g, u, h (..., F)     p = {"gate_proj": {"weight" (C, F)}, "up_proj": {(C, F)}, "down_proj": {(F, C)}}

Three matrices where mlp.py has two, so models take F near 8 C / 3 in place of 4 C, to have as many weights (W3). No biases.
In backward h = a * u, with a = silu(g), sends a gradient each way, and x has two users, so it gets the sum of both:

    da = dh * u,     dg = da silu'(g), (Z2),     du = dh * a,     dx = dg W_gate^T + du W_up^T                    (W2)

Source    Shazeer 2020, arXiv:2002.05202, eq. 6, without its biases; Touvron et al. 2023, arXiv:2302.13971, section 2.2.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_swiglu.py, tests/test_contract.py, tests/test_golden.py.  Fast twin  kernels/swiglu.py.
"""
from nanolm.layers import check, linear, silu


def forward(x, p):
    """Return y, shaped like x, and the caches of the steps, with silu(g) and u, by reference.

    Raises ValueError if p lacks a key or shapes do not fit, TypeError on wrong types.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., C)")
    check.keys("p", p, ("gate_proj", "up_proj", "down_proj"))
    C = x.shape[-1]
    F = check.matrix("gate_proj", p["gate_proj"], C, None, f"because x has {C} channels")
    check.matrix("up_proj", p["up_proj"], C, F, "as gate_proj has, because the two are multiplied")
    check.matrix("down_proj", p["down_proj"], F, C, f"because gate_proj gives {F} channels and x has {C}")
    g, c_gate = linear.forward(x, **p["gate_proj"])                         # (..., C) -> (..., F)
    u, c_up = linear.forward(x, **p["up_proj"])                             # (..., C) -> (..., F)
    a, c_silu = silu.forward(g)
    h = a * u                                                               # (W1)
    y, c_down = linear.forward(h, **p["down_proj"])                         # (..., F) -> (..., C)
    return y, (a, u, c_gate, c_up, c_silu, c_down)


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    a, u, c_gate, c_up, c_silu, c_down = cache
    dh, dweight_down, _ = linear.backward(dy, c_down)                       # y = linear(h, down_proj)
    da, du = dh * u, dh * a                                                 # h = a * u, (W2)
    dg = silu.backward(da, c_silu)                                          # a = silu(g)
    dx_u, dweight_up, _ = linear.backward(du, c_up)                         # u = linear(x, up_proj)
    dx_g, dweight_gate, _ = linear.backward(dg, c_gate)                     # g = linear(x, gate_proj)
    dx = dx_g + dx_u                                                        # x was used twice: gate and up
    return dx, {"gate_proj": {"weight": dweight_gate}, "up_proj": {"weight": dweight_up}, "down_proj": {"weight": dweight_down}}

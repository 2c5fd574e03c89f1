"""The MLP of a block: widen each token's vector, bend it, narrow it again. Tokens never see each other here.

    u = x W_fc + b_fc,     h = gelu(u),     y = h W_proj + b_proj      or relu, as in the first Transformer       (MF1)

    x, y (..., C)     u, h (..., F), mostly F = 4 C     p = {"c_fc": {"weight" (C, F), "bias"}, "c_proj": {(F, C), ...}}

Two thirds of a block's weights are here. Backward is the three backwards, bottom to top:

    dh = dy W_proj^T,     du = dh gelu'(u),     dx = du W_fc^T                                                    (MF2)
    dW_proj = sum over tokens of h^T dy,     dW_fc = sum over tokens of x^T du;     the biases sum dy and du      (MF3)

Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.3, with ReLU; with GELU as in GPT.
Derived   notebooks/11_block.ipynb.  Tested  tests/test_relu.py, tests/test_contract.py, tests/test_golden.py.
"""
from nanolm.layers import check, gelu, linear, relu


def forward(x, p, form="tanh"):
    """Return y, shaped like x, and the caches of the three steps. form: the GELU's, "tanh" or "erf"; or "relu".

    Raises ValueError for another form, if p lacks a key or shapes do not fit, TypeError on wrong types.
    """
    check.floats(x=x)
    check.dimensions("x", x, 1, "(..., C)")
    check.keys("p", p, ("c_fc", "c_proj"))
    C = x.shape[-1]
    F = check.dense("c_fc", p["c_fc"], C, None, f"because x has {C} channels")
    check.dense("c_proj", p["c_proj"], F, C, f"because c_fc gives {F} channels and x has {C}")
    h, c1 = linear.forward(x, **p["c_fc"])                                  # (..., C) -> (..., F), u of (MF1)
    h, c2 = relu.forward(h) if form == "relu" else gelu.forward(h, form)
    y, c3 = linear.forward(h, **p["c_proj"])                                # (..., F) -> (..., C), (MF1)
    return y, (form, c1, c2, c3)


def backward(dy, cache):
    """Return dx, dp, shaped like x and p."""
    form, c1, c2, c3 = cache
    dh, dweight_proj, dbias_proj = linear.backward(dy, c3)                  # y = linear(h, c_proj), (MF2), (MF3)
    dh = relu.backward(dh, c2) if form == "relu" else gelu.backward(dh, c2)     # h = gelu(h), or relu(h), (MF2)
    dx, dweight_fc, dbias_fc = linear.backward(dh, c1)                      # h = linear(x, c_fc), (MF2), (MF3)
    return dx, {"c_fc": {"weight": dweight_fc, "bias": dbias_fc},
                "c_proj": {"weight": dweight_proj, "bias": dbias_proj}}

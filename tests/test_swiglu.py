"""SiLU and SwiGLU: the definitions, the edges, and what a closed gate does."""
import math

import numpy as np
import pytest

from nanolm.gradcheck import cases
from nanolm.layers import silu, swiglu

BOTH_BACKENDS = True


def test_silu_number_by_number():
    x = np.linspace(-20, 20, 81)
    y, _ = silu.forward(x)
    np.testing.assert_allclose(y, [v / (1 + math.exp(-v)) for v in x], rtol=1e-13)
    least = x[np.argmin(y)]
    assert least == -1.5 and abs(silu.forward(np.array([-1.278464542761074]))[0][0] + 0.278464542761074) < 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silu_at_the_edges(dtype):
    x = np.array([-1e30, -1000, -100, 100, 1000, 1e30, np.inf], dtype)
    y, cache = silu.forward(x)
    assert y.dtype == dtype and (np.abs(y[:3]) < 1e-40).all() and (y[3:] == x[3:]).all()
    dx = silu.backward(np.ones(6, dtype), tuple(a[:6] for a in cache))
    assert (np.abs(dx[:3]) < 1e-40).all() and (dx[3:] == 1).all()
    assert np.isnan(silu.forward(np.array([np.nan], dtype))[0]).all()


def test_swiglu_number_by_number():
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal((2, 3)), cases.gated(rng, 3, 4)
    y, _ = swiglu.forward(x, p)
    gate, up, down = (p[name]["weight"] for name in ("gate_proj", "up_proj", "down_proj"))
    for n in range(2):
        for c in range(3):
            total = 0.0
            for f in range(4):
                g = sum(x[n, i] * gate[i, f] for i in range(3))
                total += g / (1 + math.exp(-g)) * sum(x[n, i] * up[i, f] for i in range(3)) * down[f, c]
            assert math.isclose(y[n, c], total, rel_tol=1e-12)


def test_a_closed_gate_lets_nothing_through_either_way():
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal((2, 3)), cases.gated(rng, 3, 4)
    p["gate_proj"]["weight"][:] = 0
    y, cache = swiglu.forward(x, p)
    dx, dp = swiglu.backward(rng.standard_normal((2, 3)), cache)
    assert (y == 0).all() and (dx == 0).all() and (dp["up_proj"]["weight"] == 0).all() and (dp["down_proj"]["weight"] == 0).all()
    assert np.abs(dp["gate_proj"]["weight"]).max() > 0.05, "the gate itself can still open"


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal((2, 3)), cases.gated(rng, 3, 4)
    with pytest.raises(ValueError, match=r"up_proj weight must have the shape \(3, 4\), as gate_proj has"):
        swiglu.forward(x, {**p, "up_proj": cases.bare(rng, 3, 5)})
    with pytest.raises(ValueError, match="missing: down_proj"):
        swiglu.forward(x, {name: p[name] for name in ("gate_proj", "up_proj")})
    with pytest.raises(ValueError, match="not known: bias"):
        swiglu.forward(x, {**p, "gate_proj": {**p["gate_proj"], "bias": x[0]}})

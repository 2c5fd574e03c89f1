"""GELU against Python's own math.erf, in float64 and float32, and the error function beneath it."""
import math

import numpy as np
import pytest

from nanolm.layers import erf, gelu

BOTH_BACKENDS = True

X = np.concatenate([np.linspace(-9, 9, 4001), [0.0, -0.0, 1e-300, -1e-300, 30.0, -30.0, 1e300, -1e300]])


def test_erfc_equals_the_standard_librarys():
    exact = np.array([math.erfc(x) for x in X])
    assert np.abs(erf.erfc(X) - exact).max() < 4e-15
    x = X[np.abs(X) < 1e30].astype(np.float32)
    assert np.abs(erf.erfc(x) - [math.erfc(one) for one in x]).max() < 4e-7


def test_erfc_keeps_relative_accuracy_in_the_tail():
    z = np.linspace(0, 6, 1001)
    exact = np.array([math.erfc(one) for one in z])
    assert np.abs(erf.erfc(z) / exact - 1).max() < 2e-14


def test_erf_form_equals_the_definition():
    y, cache = gelu.forward(X, form="erf")
    exact = np.array([x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in X])
    assert np.abs(y - exact)[np.abs(X) < 10].max() < 1e-14
    assert np.allclose(y[-4:], [30.0, 0.0, 1e300, 0.0], rtol=1e-15, atol=1e-100)


def test_tanh_form_equals_the_definition():
    x = X[np.abs(X) < 100]
    y, _ = gelu.forward(x)
    exact = np.array([0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v ** 3))) for v in x])
    assert np.abs(y - exact).max() < 1e-14


def test_the_two_forms_differ_by_what_the_docstring_says():
    x = np.linspace(-6, 6, 100001)
    difference = np.abs(gelu.forward(x)[0] - gelu.forward(x, form="erf")[0]).max()
    assert 4.6e-4 < difference < 4.8e-4


@pytest.mark.parametrize("form", ["tanh", "erf"])
def test_float32_is_close_to_float64(form):
    x = np.linspace(-6, 6, 1001)
    y, cache = gelu.forward(x.astype(np.float32), form)
    assert y.dtype == np.float32 and gelu.backward(y, cache).dtype == np.float32
    assert np.abs(y - gelu.forward(x, form)[0]).max() < 2e-6


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match="'relu'"):
        gelu.forward(X, form="relu")

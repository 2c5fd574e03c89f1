"""The notebooks' helpers: a check that cannot pass by accident, derivatives, source, figures."""
import subprocess
import sys

import numpy as np
import pytest

from nanolm.layers import layernorm, softmax
from nanolm.lesson import check, figure, numerical_jacobian, show


def refused(*args, **options):
    """Return the sentence with which check stops."""
    with pytest.raises(AssertionError) as caught:
        check(*args, **options)
    return str(caught.value)


def test_what_is_equal_is_said_to_be_ok(capsys):
    check("one number", 0.1 + 0.2, 0.3)
    check("arrays", np.arange(6.0).reshape(2, 3) * (1 + 1e-12), np.arange(6).reshape(2, 3))
    check("booleans", np.array([True, False]), [True, False])
    check("no", False, False)
    check("with -inf, as masked scores are", np.array([1.0, -np.inf]), np.array([1.0, -np.inf]))
    check("complex", np.array([1j]), np.array([1j]))
    assert capsys.readouterr().out == ("ok  one number\nok  arrays\nok  booleans\nok  no\nok  with -inf, as masked scores are\n"
                                       "ok  complex\n")


def test_a_difference_is_named_with_its_place_and_both_numbers():
    expected = np.arange(1.0, 7.0).reshape(2, 3)
    got = expected.copy()
    got[1, 2], got[0, 0] = 6.5, 1.001
    message = refused("the Jacobian", got, expected)
    assert message.startswith("the Jacobian: 2 of 6 entries are wrong, most of all the one at (1, 2): got 6.5, expected 6, off by 0.5")
    assert refused("one number", 1.0, 2.0).startswith("one number: got 1, expected 2, off by 1 where 2e-09 is allowed")
    assert "at 1: got 5" in refused("a row", [1.0, 5.0], [1.0, 2.0])


@pytest.mark.parametrize("got, expected, part", [
    ([1.0, np.nan], [1.0, np.nan], "got is NaN in 1 of 2 entries, first at 1."),
    ([1.0, 2.0], [1.0, np.nan], "expected is NaN in 1 of 2 entries"),
    (np.ones((2, 1)), np.ones(2), "the shapes differ, got (2, 1), expected (2,)"),
    (np.ones(3), 1.0, "the shapes differ"),
    ([], [], "nothing to compare"),
    (np.zeros(3), np.zeros(3), "both sides are zero everywhere"),
    (np.full(3, 1e-14), np.zeros(3), "both sides are zero everywhere"),
    ([np.inf], [1.0], "got inf, expected 1"),
    ([1.0], [-np.inf], "got 1, expected -inf"),
    (["a"], ["a"], "does not hold numbers"),
])
def test_what_would_prove_nothing_is_refused(got, expected, part):
    assert part in refused("claim", got, expected)


def test_zero_can_be_claimed_and_is_then_held_to():
    check("sums", np.full(3, 1e-15), np.zeros(3), zero=True)
    assert "off by 0.001" in refused("sums", np.full(3, 1e-3), np.zeros(3), zero=True)


def test_tolerances_are_used():
    check("loose", 1.001, 1.0, rtol=1e-2)
    check("loose", 1.001, 1.0, atol=1e-2)
    refused("tight", 1 + 1e-7, 1.0)


def test_jacobian_of_softmax_is_exact():
    z = np.array([2.0, 1.0, 0.0, -3.0])
    y = softmax.forward(z)[0]
    J = numerical_jacobian(lambda z: softmax.forward(z)[0], z)
    assert np.abs(J - (np.diag(y) - np.outer(y, y))).max() < 1e-15


def test_jacobian_without_complex_numbers_and_of_any_shape():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    J = numerical_jacobian(lambda x: np.array([[float(a) ** 3 for a in row] for row in x]), x)        # float() refuses complex
    assert J.shape == (2, 3, 2, 3)
    assert np.allclose(J.reshape(6, 6), np.diag(3 * x.ravel() ** 2), rtol=1e-9, atol=1e-8)
    assert numerical_jacobian(lambda x: (x ** 2).sum(), x).shape == (2, 3)


def test_source_is_that_of_the_file(capsys):
    show(layernorm.backward)
    assert "def backward(dy, cache):" in capsys.readouterr().out


def test_in_a_notebook_source_comes_as_html_and_as_text(monkeypatch):
    IPython = pytest.importorskip("IPython")
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    show(layernorm.backward)
    assert shown[0]["text/plain"].startswith("def backward(dy, cache):")
    assert "backward</span>(dy, cache):" in shown[0]["text/html"] and "background: #f7f7f7" in shown[0]["text/html"]


def test_figures_are_white():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    fig, axes = figure(1, 2, width=6, height=2)
    assert fig.get_facecolor() == (1, 1, 1, 1) and axes.shape == (2,) and tuple(fig.get_size_inches()) == (6, 2)


def test_importing_it_needs_neither_matplotlib_nor_ipython():
    code = "import sys, nanolm.lesson; assert not {'matplotlib', 'IPython', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("f, J", [
    (lambda x: np.abs(x) * x, lambda x: np.diag(2 * np.abs(x))),
    (lambda x: x / np.linalg.norm(x), lambda x: (np.eye(3) - np.outer(x, x) / (x @ x)) / np.linalg.norm(x)),
    (lambda x: x * x + 1e-6 * np.abs(x), lambda x: np.diag(2 * x + 1e-6 * np.sign(x)))])
def test_jacobian_of_functions_that_drop_the_imaginary_part(f, J):
    x = np.array([1.0, -2.0, 0.5])
    assert np.abs(numerical_jacobian(f, x) - J(x)).max() < 1e-9

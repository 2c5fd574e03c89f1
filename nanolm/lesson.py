"""What the notebooks need and nothing else: check an equation, show the source, take a derivative, draw a picture.

    check("shares add up to one", y.sum(), 1.0)         prints "ok  shares add up to one", or stops with a sentence
    show(layernorm.backward)                            the code as it stands in the file
    J = numerical_jacobian(f, x)                        all dy_i/dx_j, shaped y.shape + x.shape
    fig, axes = figure(1, 2)                            matplotlib's, white behind, letters large enough to read

Needs matplotlib for `figure` only, and nothing of Jupyter: outside a notebook `show` prints. (IPython brings pygments.)
Tested  tests/test_lesson.py.
"""
import inspect
import sys

import numpy as np

from nanolm.gradcheck import entries, numerical


def check(label, got, expected, rtol=1e-9, atol=1e-12, zero=False):
    """Print "ok  label" if |got - expected| <= rtol |expected| + atol in every entry; if not, stop and say where.

    label     what is claimed, in words.
    zero      say zero=True where the claim is that everything is zero. Without it such a comparison is refused, because it
              would pass as well if a mistake had made both sides zero.

    Raises AssertionError, in a sentence: for a difference, for NaN, for different shapes, for nothing to compare.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    for name, array in (("got", got), ("expected", expected)):
        if array.dtype.kind not in "biufc":
            raise AssertionError(f"{label}: {name} does not hold numbers, but {array.dtype}.")
        if np.isnan(array).any():
            raise AssertionError(f"{label}: {name} is NaN in {np.count_nonzero(np.isnan(array))} of {array.size} entries, "
                                 f"first {_place(array, np.argmax(np.isnan(array)))}.")
    if got.shape != expected.shape:
        raise AssertionError(f"{label}: the shapes differ, got {got.shape}, expected {expected.shape}.")
    if got.size == 0:
        raise AssertionError(f"{label}: there is nothing to compare, both arrays are empty, {got.shape}.")
    truth = expected.dtype.kind == "b"                                     # False is an answer, not a zero
    got, expected = (a.astype(np.result_type(a, np.float64)) for a in (got, expected))       # integers, booleans and float32 too
    with np.errstate(invalid="ignore"):                                                 # inf - inf, where both are inf
        error = np.where(got == expected, 0.0, np.abs(got - expected))
        allowed = rtol * np.where(np.isfinite(expected), np.abs(expected), 0) + atol
    wrong = error > allowed
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, error - allowed, -1.0)))
        which = f"{np.count_nonzero(wrong)} of {got.size} entries are wrong, most of all the one {_place(got, worst)}: "
        raise AssertionError(f"{label}: {which if got.ndim else ''}got {got.flat[worst]:.10g}, "
                             f"expected {expected.flat[worst]:.10g}, off by {error.flat[worst]:.2g} "
                             f"where {allowed.flat[worst]:.2g} is allowed.")
    if not (zero or truth) and (np.abs(got) <= atol).all() and (np.abs(expected) <= atol).all():
        raise AssertionError(f"{label}: both sides are zero everywhere, which a mistake could have made as well. "
                             f"If zero is the claim, say so: check(..., zero=True).")
    print(f"ok  {label}")


def show(thing):
    """Display the source of a function, class or module as it stands in its file.

    In a notebook it is coloured (dark on light, so that a dark page can be read as well); elsewhere it is printed.
    """
    source = inspect.getsource(thing).rstrip()
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(source)
        return
    from IPython.display import display
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    box = HtmlFormatter(noclasses=True, nobackground=True,
                        cssstyles="background: #f7f7f7; color: #111; padding: 0.6em 0.8em; overflow-x: auto",
                        prestyles="background: inherit; color: inherit; margin: 0; font: 11px/1.45 monospace; white-space: pre")
    display({"text/html": highlight(source, PythonLexer(), box), "text/plain": source}, raw=True)


def numerical_jacobian(f, x):
    """Return all dy_i/dx_j of y = f(x) at x, shaped y.shape + x.shape. Takes one call of f for each entry of x, or four.

    By the complex step where f carries complex numbers (exact to about 1e-15), by central differences at two steps where
    it does not (to about 1e-10): abs and np.linalg.norm drop the imaginary part without a word, so the two are compared
    first. x: floats of any shape, used in float64; f gets an array and returns an array or a number.
    """
    x = np.asarray(x, dtype=np.float64)
    y = np.asarray(f(x.copy()), dtype=np.float64)
    J, (how, _) = np.empty((y.size, x.size)), entries.choose_method(f, x, y, "auto", np.random.default_rng(0), numerical.STEP)
    for j in range(x.size):
        v = numerical.one_hot(x, j)
        if how == "complex step":
            column = numerical.complex_step(f, x, v)
        else:
            near = numerical.central_pair(f, x, v, y)
            column = numerical.extrapolate(near.at_h, near.at_h10)
        J[:, j] = np.ravel(column)
    return J.reshape(y.shape + x.shape)


def figure(rows=1, columns=1, width=8.0, height=3.6, **options):
    """Return matplotlib's fig, axes for rows x columns pictures; width and height of the whole in inches.

    White behind, so that it can be read on a dark page. options go to plt.subplots: sharex, width_ratios, ...
    """
    import matplotlib.pyplot as plt
    plt.rcParams.update({"font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
                         "axes.grid": False, "legend.frameon": False, "lines.linewidth": 1.8, "figure.dpi": 110,
                         "axes.facecolor": "white", "savefig.facecolor": "white"})
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", facecolor="white", **options)


def _place(array, i):
    """Return where entry i (counted as in array.ravel()) stands: "at (0, 2)"; "" for a single number."""
    where = tuple(int(k) for k in np.unravel_index(int(i), array.shape))
    return f"at {where if len(where) > 1 else where[0]}" if where else ""

"""The exercises of the notebooks: solved, they say so; not written, they say so; wrong, they say what is wrong.

The code cells of a notebook run here one after the other, without Jupyter, with a solution in place of the empty one.
"""
import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

CHECKER = '''
def my_check(forward, backward, *args):
    rng, h = np.random.default_rng(1), 1e-5
    y, cache = forward(*args)
    dy = rng.standard_normal(np.shape(y)) if np.ndim(y) else float(rng.standard_normal())
    got = backward(dy, cache)
    got = got if isinstance(got, tuple) else (got,)
    expected = []
    for k, a in enumerate(args):
        if np.issubdtype(a.dtype, np.floating):
            slope = np.zeros_like(a)
            for i in np.ndindex(a.shape):
                ends = []
                for step in (h, -h):
                    b = a.copy()
                    b[i] += step
                    ends.append(np.sum(dy * forward(*args[:k], b, *args[k + 1:])[0]))
                slope[i] = (ends[0] - ends[1]) / (2 * h)
            expected.append(slope)
    largest = max(np.abs(e).max() for e in expected)
    if [g.shape for g in got] != [e.shape for e in expected]:
        return False
    return all((np.abs(g - e) <= 1e-5 * np.abs(e) + 1e-7 * largest).all() for g, e in zip(got, expected))
'''

LAYERNORM = '''
def mine(dy, cache):
    x, weight, mean, rstd = cache
    n, C, dn = (x - mean) * rstd, x.shape[-1], dy * weight
    dx = rstd * (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True))
    return dx, (dy * n).reshape(-1, C).sum(axis=0), dy.reshape(-1, C).sum(axis=0)
'''

BLOCK = '''
def mine(dy, cache):
    norm, c1, c2, c3, c4, c5, c6 = cache
    dh, dmlp = mlp.backward(dropout.backward(dy, c6), c5)
    dx, w2, b2 = layernorm.backward(dh, c4)
    dx = dy + dx
    dh, dattn = multihead.backward(dropout.backward(dx, c3), c2)
    dx_1, w1, b1 = layernorm.backward(dh, c1)
    return dx + dx_1, {"ln_1": {"weight": w1, "bias": b1}, "attn": dattn, "ln_2": {"weight": w2, "bias": b2}, "mlp": dmlp}
'''


@pytest.fixture
def run(capsys):
    """Return a function that runs a notebook with a cell replaced, and returns what its last exercise cell printed."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")

    def with_solution(name, definition, solution, check):
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        assert sum(s.startswith(definition) for s in sources) == sum(check in s for s in sources) == 1
        names = {}
        for source in sources:
            if check in source:
                capsys.readouterr()
            exec(solution if source.startswith(definition) and solution else source, names)  # noqa: S102 (our own notebook)
            if check in source:
                return capsys.readouterr().out
    yield with_solution
    import matplotlib.pyplot as plt
    plt.close("all")


def checker(run, solution):
    return run("00_gradients", "def my_check(", solution, "jury(my_check)")


def test_the_checker_exercise(run):
    assert "is not written yet" in checker(run, None)
    said = checker(run, CHECKER)
    assert "wrong ones caught:     12 of 12" in said and "right ones left alone: 9 of 9" in said


@pytest.mark.parametrize("right, wrong, told", [
    ("else float(rng.standard_normal())", "else 1.0", "cross-entropy, dloss ignored"),
    ("dy = rng.standard_normal(np.shape(y))", "dy = np.ones(np.shape(y))", "softmax, plain average"),
    ("1e-7 * largest", "1e-8", "tiny gradients, zeros"),
    (" + 1e-7 * largest", "", "right, but rejected: attention with key bias"),
    ("h = np.random.default_rng(1), 1e-5", "h = np.random.default_rng(1), 1e-10", "is h far from 1e-5"),
    ("(np.abs(g - e) <= 1e-5 * np.abs(e) + 1e-7 * largest).all()", "not (np.abs(g - e) > 1e-5 * np.abs(e) + 1e-7 * largest).any()",
     "gelu, 0 / 0"),
])
def test_the_checker_exercise_names_what_slipped_through(run, right, wrong, told):
    assert right in CHECKER
    said = checker(run, CHECKER.replace(right, wrong))
    assert told in said and "All of them" not in said


def test_the_checker_exercise_names_the_case_at_which_a_checker_stops(run, capsys):
    with pytest.raises(ValueError, match="no integers"):
        checker(run, """
def my_check(forward, backward, *args):
    if args[0].dtype.kind == "i":
        raise ValueError("no integers, please")
    return True
""")
    ids = np.arange(1).dtype                                     # int64, or int32 on an old Windows
    assert (f'your checker stopped at "embedding, repeated ids" with ValueError: no integers, please  '
            f'(arguments: {ids} (2,3), float64 (6,3))') in capsys.readouterr().out


def test_the_layernorm_exercise(run):
    def backward(solution):
        return run("05_layernorm", "def mine(", solution, "\ncheck_mine()")

    assert "is not written yet" in backward(None)
    said = backward(LAYERNORM)
    assert "7 of 7 cases right" in said and "ok  the same losses as with nanolm's own" in said
    said = backward(LAYERNORM.replace(" - dn.mean(axis=-1, keepdims=True)", ""))
    assert "0 of 7 cases right" in said and "the same losses" not in said
    said = backward(LAYERNORM.replace("keepdims=True", "keepdims=False"))          # what hint 3 warns of
    assert "backward raised ValueError" in said and "the same losses" not in said


def test_the_gpt2_exercise(run):
    pytest.importorskip("IPython")

    def backward(solution):
        return run("12_gpt2", "def mine(", solution, "\ncheck_mine()")

    assert "is not written yet" in backward(None)
    said = backward(BLOCK)
    assert "right  pre-norm, causal\n" in said and "ok  the same losses as with nanolm's own" in said and "note" not in said
    said = backward(BLOCK.replace("dx = dy + dx", "pass"))
    assert "WRONG" in said and "the same losses" not in said

ROW = """
def online_row(m, l, acc, scores, values):
    new = max(m, scores.max())
    shift = 0.0 if new == -np.inf else new
    factor = np.exp(m - shift)
    weights = np.exp(scores - shift)
    return new, l * factor + weights.sum(), acc * factor + weights @ values
"""

WEIGHTS = """
def weights_again(q_tile, k_tile, lse):
    return np.exp(q_tile @ k_tile.T / math.sqrt(q_tile.shape[1]) - lse[:, None])
"""


@pytest.fixture(scope="module")
def fast_attention():
    """Return a function that tells what the checks of notebook 17 print for a solution; the cells before them run once."""
    pytest.importorskip("numba")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from nanolm import kernels
    before = kernels.in_use()
    cells = json.loads((NOTEBOOKS / "17_fast_attention.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    last = next(n for n, source in enumerate(sources) if "\ncheck_weights()" in source)
    names, said = {}, {}
    for source in sources[:last + 1]:
        if source.startswith("show("):                           # of no use here
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(source, names)  # noqa: S102 (our own notebook)
        said[source.splitlines()[-1]] = printed.getvalue()

    def told(check, solution):
        if solution is None:
            return said[check]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(solution + check, names)  # noqa: S102
        return printed.getvalue()
    yield told
    kernels.use(before)
    import matplotlib.pyplot as plt
    plt.close("all")


def test_the_row_exercise(fast_attention):
    assert "is not written yet" in fast_attention("check_mine()", None)
    said = fast_attention("check_mine()", ROW)
    assert said.count("ok  ") == 5 and "That is the loop of fast attention" in said


@pytest.mark.parametrize("right, wrong, told", [
    ("acc * factor", "acc", "mistake: acc was not rescaled"),
    ("l * factor", "l", "mistake: acc was rescaled, but l was not"),
    ("factor = np.exp(m - shift)", "factor = 1.0", "mistake: neither l nor acc was rescaled"),
    ("factor = np.exp(m - shift)", "m = new; factor = np.exp(m - shift)", "mistake: neither l nor acc was rescaled"),
    ("np.exp(m - shift)", "np.exp(shift - m)", "mistake: the factor is upside down"),
    ("max(m, scores.max())", "scores.max()", "mistake: the block's maximum in place of the running one"),
    ("np.exp(scores - shift)", "np.exp(scores - scores.max())", "mistake: the block's maximum was subtracted from the scores"),
    ("max(m, scores.max())", "max(m, scores.max(), 0.0)", "mistake: m was started at 0"),
    ("shift = 0.0 if new == -np.inf else new", "shift = new", "-inf - -inf: m' is -inf here"),
    ("acc * factor + weights @ values", "(acc * factor + weights @ values) / (l * factor + weights.sum())",
     "mistake: acc was divided by l inside the loop. Then"),
    ("acc * factor + weights @ values", "(acc * l * factor + weights @ values) / (l * factor + weights.sum())",
     "mistake: acc was divided by l inside the loop (and multiplied"),
    ("np.exp(scores - shift)", "np.exp(scores - m)", "mistake: the new weights are exp(s - m)"),
    ("l * factor + weights.sum()", "(l + weights.sum()) * factor", "WRONG l"),
    ("return new,", "return m,", "mistake: m was not replaced"),
    ("weights.sum()", "weights.mean()", "mistake: l got the mean"),
    ("l * factor + weights.sum()", "l * factor + 2 * weights.sum()", "No known mistake gives these numbers"),
    ("factor = np.exp(m - shift)", "factor = np.exp(m - shift) if m > -np.inf else 1e-3; l = l + (m == -np.inf)", "at the start of a row"),
    ("new = max(m, scores.max())", "m = 0.0 if m == -np.inf else m; new = max(m, scores.max())", "mistake: m was started at 0"),
    ("weights @ values", "weights * values.T", "online_row stopped with ValueError"),
    ("weights @ values", "(weights[:, None] * values).sum()", "No known mistake"),
    ("return new, ", "return ", "online_row must return m, l, acc"),
    ("weights = np.exp(scores - shift)", "scores -= shift; weights = np.exp(scores)", "online_row wrote into scores"),
])
def test_the_row_exercise_names_the_mistake(fast_attention, right, wrong, told):
    assert right in ROW
    said = fast_attention("check_mine()", ROW.replace(right, wrong))
    assert told in said and "That is the loop" not in said


def test_the_weights_exercise(fast_attention):
    assert "is not written yet" in fast_attention("check_weights()", None)
    assert "ok  the tile is right" in fast_attention("check_weights()", WEIGHTS)


@pytest.mark.parametrize("right, wrong, told", [
    (" / math.sqrt(q_tile.shape[1])", "", "the root is missing"),
    ("lse[:, None]", "lse", "wrong axis"),
    (" - lse[:, None])", ") / lse[:, None]", "divided by lse"),
    ("- lse[:, None]", "+ lse[:, None]", "the sign of lse"),
    (" - lse[:, None]", "", "lse was not used"),
    ("np.exp(", "(", "the exponential is missing"),
    ("lse[:, None]", "lse.max()", "No known mistake"),
    ("return ", "return 1 if k_tile is None else ", "ok  the tile is right"),
    ("return ", "return (k_tile @ q_tile.T)[:2] + 0 * ", "stopped with ValueError"),
])
def test_the_weights_exercise_names_the_mistake(fast_attention, right, wrong, told):
    assert right in WEIGHTS
    assert told in fast_attention("check_weights()", WEIGHTS.replace(right, wrong))


def test_the_runner_reports_failures(tmp_path, monkeypatch, capsys):
    """A broken notebook, one that warns, one without outputs and a good one: the table and the exit code say so."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    for name in ("PYTHONPATH", "MPLBACKEND"):                # the runner sets them; this puts them back
        monkeypatch.setenv(name, "")
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    monkeypatch.delitem(sys.modules, "run", raising=False)
    import run as runner
    for name, source in {"1_error": "1 / 0", "2_warns": "import sys\nprint('careful', file=sys.stderr)", "3_good": "print(6 * 7)"}.items():
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    assert runner.main([]) == 1
    said = capsys.readouterr().out
    assert "FAILED: ZeroDivisionError" in said and "FAILED: cell 0 warns: careful" in said
    assert "FAILED: it is stored without outputs" in said and "0 of 3 notebooks" in said
    assert runner.main(["good", "--write"]) == 0 and runner.main(["good"]) == 0
    assert json.loads((tmp_path / "3_good.ipynb").read_text())["cells"][0]["outputs"][0]["text"] == ["42\n"]
    assert runner.main(["nothing"]) == 2
    assert not list(tmp_path.glob("*.tmp"))

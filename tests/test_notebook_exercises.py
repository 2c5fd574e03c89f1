"""The exercises that a lesson checks by itself: solved, they say so; not written, they say so; wrong, they say what is wrong.

Those that the grader knows are run by notebooks/run.py, unsolved and solved, and tested in tests/grading/. Here code cells run
one after the other, without Jupyter, with a solution in place of the empty one. And the runner itself.
"""
import contextlib
import io
import json
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

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


PIECES = """
def pieces(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and ("##" * (start > 0) + word[start:end]) not in vocabulary:
            end -= 1
        if end == start:
            return ["[UNK]"]
        found.append("##" * (start > 0) + word[start:end])
        start = end
    return found
"""
MEAN_POOL = """
def mean_pool(x, lengths):
    mask = np.arange(x.shape[1]) < lengths[:, None]
    return (x * mask[..., None]).sum(axis=1) / lengths[:, None]
"""
LIMIT = """
def limit(bandwidth, P, b, L, G, D, n):
    return bandwidth / (P * b / 8 + n * 2 * L * G * D * 2)
"""


def told(lesson, check, solution, capsys):
    """Return what the check cell of an exercise prints for a solution, None: for the cell as it stands in the lesson."""
    cells = json.loads((NOTEBOOKS / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    (at,) = [i for i, source in enumerate(sources) if source.rstrip().endswith(check)]
    if "IPython" in sources[0]:
        pytest.importorskip("IPython", reason='IPython is missing: pip install -e ".[notebooks]"')
    names = {}
    exec(sources[0], names)  # noqa: S102 (our own notebook: its imports)
    exec(solution or sources[at - 1], names)  # noqa: S102 (our own notebook)
    capsys.readouterr()
    exec(sources[at], names)  # noqa: S102
    return capsys.readouterr().out


@pytest.mark.parametrize("right, wrong, said", [
    (None, None, "not written yet"), ("", "", "ok  303 words"), ("end = len(word)", "end = start + 1", "known mistake|No known mistake"),
    ('"##" * (start > 0) + word', '"" + word', "without ##"), ('return ["[UNK]"]', 'return found + ["[UNK]"]', "were kept"),
    ("start = end", "start = end + 0 * missing", "stopped with NameError"),
])
def test_the_pieces_exercise(right, wrong, said, capsys):
    import re
    assert re.search(said, told("15_tokenizers", "\ncheck_pieces()", PIECES.replace(right, wrong) if right is not None else None, capsys))


@pytest.mark.parametrize("right, wrong, said", [
    (None, None, "not written yet"), ("", "", "Right."), ("x * mask[..., None]", "x", "It is|The padding|Not right"),
    (".sum(axis=1) / lengths[:, None]", ".mean(axis=1)", "counted: divide by lengths"), (" / lengths[:, None]", "", "It is the sum"),
    ("lengths[:, None]\n    return", "lengths\n    return", "stopped with ValueError"), ("return (x * m", "x *= 2; return (x * m", "It changes x"),
])
def test_the_pooling_exercise(right, wrong, said, capsys):
    import re
    assert re.search(said, told("21_real_weights", "print(look_at(mean_pool))", MEAN_POOL.replace(right, wrong) if right is not None else None,
                                capsys))


@pytest.mark.parametrize("right, wrong, said", [
    (None, None, "not written yet"), ("", "", "Right: 25"), (" / 8", "", "Bits are not bytes"), ("* 2)", ")", "The weights are right"),
])
def test_the_limit_exercise(right, wrong, said, capsys):
    assert said in told("21_real_weights", "print(look_at_limit(limit))", LIMIT.replace(right, wrong) if right is not None else None, capsys)


def test_the_runner_reports_failures(tmp_path, monkeypatch, capsys):
    """A broken notebook, one that warns, one without outputs and a good one: the table and the exit code say so."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    for name in ("PYTHONPATH", "MPLBACKEND"):                # the runner sets them; this puts them back
        monkeypatch.setenv(name, "")
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    monkeypatch.delitem(sys.modules, "run", raising=False)
    import run as runner
    for name, source in {"1_error": "1 / 0", "2_warns": "import sys\nprint('careful', file=sys.stderr)", "3_good": "print(6 * 7)",
                         "4_calls": "import urllib.request\nurllib.request.urlopen('http://203.0.113.1')"}.items():
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    assert runner.main(["--jobs", "2"]) == 1
    said = capsys.readouterr().out
    assert "FAILED: ZeroDivisionError" in said and "FAILED: cell 0 warns: careful" in said
    assert "FAILED: it is stored without outputs" in said and "0 of 4 notebooks" in said
    assert "must run without a network, but it wants to reach 203.0.113.1" in said
    assert runner.main(["good", "--write"]) == 0 and runner.main(["good"]) == 0
    assert json.loads((tmp_path / "3_good.ipynb").read_text())["cells"][0]["outputs"][0]["text"] == ["42\n"]
    assert runner.main(["nothing"]) == 2
    assert not list(tmp_path.glob("*.tmp"))


EXERCISE = '''# exercise: softmax.backward
def backward(dy, cache):
    raise NotImplementedError("not written yet")'''
GRADING = '''report = grade("softmax.backward", backward)
display(report)
report.score'''


def test_the_runner_fills_the_gaps_and_looks_at_the_scores(tmp_path, monkeypatch, capsys):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    for name in ("PYTHONPATH", "MPLBACKEND"):
        monkeypatch.setenv(name, "")
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    monkeypatch.delitem(sys.modules, "run", raising=False)
    import run as runner
    monkeypatch.setattr(runner, "HERE", tmp_path)
    cells = ["from nanolm.grading import grade", EXERCISE, GRADING]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells]), tmp_path / "1_stub.ipynb")
    cells[1] = EXERCISE.replace('raise NotImplementedError("not written yet")', "return dy")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells]), tmp_path / "2_wrong.ipynb")
    assert runner.main(["1_stub", "--write"]) == 0
    stored = json.loads((tmp_path / "1_stub.ipynb").read_text())["cells"]
    assert stored[1]["metadata"]["nbgrader"]["solution"] and stored[2]["metadata"]["nbgrader"]["points"] == 1
    assert runner.main(["1_stub", "--solved"]) == 0 and "solution(" not in (tmp_path / "1_stub.ipynb").read_text()
    stored[1]["source"] = [EXERCISE.replace("softmax.backward", "softmax.forward")]        # a mark that is another's
    (tmp_path / "1_stub.ipynb").write_text(json.dumps({**json.loads((tmp_path / "1_stub.ipynb").read_text()), "cells": stored}))
    capsys.readouterr()
    assert runner.main(["1_stub", "--solved"]) == 1
    assert "1 of 2" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        runner.main(["--solved", "--write"])

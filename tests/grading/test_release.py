"""The student's copy: no answers in it, the constants of this student, and it grades as it should."""
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanolm.cli.check_command import command as check
from nanolm.cli.exercises_command import command as listed
from nanolm.cli.release_command import command as release
from nanolm.grading import exercises
from nanolm.grading.classroom import release as making


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "s123"
    ran = CliRunner().invoke(release, ["--student-id", "s123", "--out", str(folder), "--form", "both"])
    assert ran.exit_code == 0, ran.output
    return folder


def test_every_exercise_is_there_and_not_written(copy):
    for name, exercise in exercises.all_of("s123").items():
        text = (copy / "exercises" / f"{name}.py").read_text()
        assert f"# exercise: {name}" in text and "not written yet" in text
        assert exercise.kind == "bug" or exercise.docstring.strip()[:20] in text


def test_no_answer_is_in_it(copy):
    whole = "".join(path.read_text() for path in sorted(copy.rglob("*")) if path.is_file())
    assert "dn.mean(axis=-1" not in whole and "np.add.at" not in whole and "SOLUTION" not in whole


def test_checking_the_copy_says_not_written_yet(copy):
    ran = CliRunner().invoke(check, [str(copy / "exercises" / "layernorm.backward.py")])
    assert ran.exit_code == 0 and "not written yet" in ran.output
    assert json.loads((copy / "student.json").read_text()) == {"student": "s123"}


def test_the_notebooks_are_notebooks_with_nbgraders_metadata(copy):
    nbformat = pytest.importorskip("nbformat", reason="nbformat comes with the extra `notebooks`")
    for path in (copy / "exercises").glob("*.ipynb"):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        about = [cell.metadata.nbgrader for cell in book.cells if "nbgrader" in cell.metadata]
        assert len({one.grade_id for one in about}) == len(about) and any(one.solution for one in about)
        assert all(one.points == 1 and one.locked for one in about if one.grade)


def test_a_students_work_is_never_written_over(copy):
    before = (copy / "exercises" / "layernorm.backward.py").read_text()
    ran = CliRunner().invoke(release, ["--student-id", "s123", "--out", str(copy)])
    assert ran.exit_code and "not empty" in str(ran.exception)
    assert (copy / "exercises" / "layernorm.backward.py").read_text() == before


def test_solutions_are_taken_out_of_lessons():
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [1], "execution_count": 3,
              "source": "def f(a):\n    ### BEGIN SOLUTION\n    return a + 1\n    ### END SOLUTION\n"},
             {"cell_type": "markdown", "metadata": {"tags": ["solution"]}, "source": "It is one more."},
             {"cell_type": "markdown", "metadata": {}, "source": "Write f."}]
    book = json.loads(making.without_solutions(json.dumps({"cells": cells, "nbformat": 4})))
    text = json.dumps(book)
    assert "a + 1" not in text and "one more" not in text and "not written yet" in text and "Write f." in text
    assert book["cells"][0]["outputs"] == [] and len(book["cells"]) == 2


def test_a_class_at_once(tmp_path):
    (tmp_path / "ids.txt").write_text("s1\ns2\n\ns2\n")
    ran = CliRunner().invoke(release, ["--students", str(tmp_path / "ids.txt"), "--out", str(tmp_path / "copies"), "--exercise",
                                       "layernorm.backward"])
    assert ran.exit_code == 0 and sorted(p.name for p in (tmp_path / "copies").iterdir()) == ["s1", "s2"]


def test_listing_with_what_is_done(tmp_path):
    from handed_in import GOOD, VARIANCE_FORGOTTEN
    (tmp_path / "mine.py").write_text(GOOD)
    ran = CliRunner().invoke(listed, [str(tmp_path)])
    assert ran.exit_code == 0 and "1 of them done" in ran.output, ran.output
    (tmp_path / "mine.py").write_text(VARIANCE_FORGOTTEN)
    ran = CliRunner().invoke(check, [str(tmp_path / "mine.py"), "--json"])
    assert ran.exit_code == 1 and json.loads(ran.output)[0]["mistakes"][0]["name"] == "variance_term_missing"
    assert "Hint 1 of" in CliRunner().invoke(listed, ["--hint", "layernorm.backward"]).output


def test_a_released_notebook_is_graded_though_its_cells_call_the_grader(copy, tmp_path):
    from handed_in import GOOD

    from nanolm.grading.classroom import run
    body = GOOD.partition("cache):\n")[2]
    (path,) = [path for path in (copy / "exercises").glob("*.ipynb") if "# exercise: layernorm.backward" in path.read_text()]
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        if "# exercise: layernorm.backward" in cell["source"]:
            cell["source"] = cell["source"].replace('    raise NotImplementedError("not written yet")\n', body)
    assert any("from nanolm.grading import grade" in cell["source"] for cell in book["cells"])
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "alice.ipynb").write_text(json.dumps(book))
    (result,) = run.run(tmp_path / "class", tmp_path / "out", names=["layernorm.backward"])
    assert result["score"] == 1 and not result["trouble"] and not result["exercises"]["layernorm.backward"]["attempts"]


NAMED = "layernorm.backward"
PLACES = ("exercises/layernorm.backward.py", "exercises/05_layernorm.ipynb", "notebooks/05_layernorm.ipynb")


@pytest.fixture(scope="module")
def with_lessons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "s123"
    making.write(folder, "s123", notebooks=Path(__file__).parents[2] / "notebooks", form="both")
    return folder


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_in_any_one_of_the_places_counts_and_all_commands_agree(with_lessons, tmp_path, place):
    from handed_in import GOOD

    from nanolm.grading.classroom import run
    folder = tmp_path / "class" / "s123"
    shutil.copytree(with_lessons, folder)
    stub, body = '    raise NotImplementedError("not written yet")\n', GOOD.partition("cache):\n")[2]
    if place.endswith(".py"):
        (folder / place).write_text((folder / place).read_text().replace(stub, body))
    else:
        book = json.loads((folder / place).read_text())
        (cell,) = [cell for cell in book["cells"] if f"# exercise: {NAMED}\n" in "".join(cell["source"])]
        text = "".join(cell["source"])
        cell["source"] = text[:text.index(stub.rstrip())] + body
        (folder / place).write_text(json.dumps(book))
    (result,) = run.run(tmp_path / "class", tmp_path / "out", names=[NAMED])
    assert result["score"] == 1 and result["trouble"] == [], result
    checked = CliRunner().invoke(check, [str(folder), "--exercise", NAMED])
    assert checked.exit_code == 0 and f"{NAMED}: passed" in checked.stdout and checked.stderr == ""
    if place == PLACES[0]:
        done = CliRunner().invoke(listed, [str(folder)])
        assert "1 of them done here" in done.stdout and done.stderr == ""


def test_nothing_is_said_of_a_fresh_copy(with_lessons):
    ran = CliRunner().invoke(check, [str(with_lessons)])
    assert ran.exit_code == 0 and ran.stderr == ""
    assert f"0 of {len(exercises.names())} passed, {len(exercises.names())} not written yet." in ran.stdout


def test_an_untouched_released_cell_gets_no_point_from_nbgrader(copy):
    """nbgrader gives a grading cell full points unless it fails or shows a number: report.score, 0 for a stub."""
    (path,) = [path for path in (copy / "exercises").glob("*.ipynb") if "# exercise: layernorm.backward" in path.read_text()]
    cells = [cell for cell in json.loads(path.read_text())["cells"] if "layernorm_backward" in str(cell["metadata"])]
    space = {"display": lambda thing: None}
    for cell in cells:
        exec(cell["source"], space)                             # noqa: S102 (our own notebook)
    assert cells[-1]["source"].splitlines()[-1] == "report.score" and cells[-1]["metadata"]["nbgrader"]["points"] == 1
    assert space["report"].score == 0 and not space["report"].written


@pytest.mark.parametrize("form", ["py", "notebook", "both"])
def test_the_readme_names_a_file_that_is_there(tmp_path, form):
    from nanolm.grading.classroom import release as releases
    releases.write(tmp_path / "s9", "s9", names=["linear.forward", "softmax.backward"], form=form)
    (named,) = re.findall(r"nanolm check (\S+)", (tmp_path / "s9" / "README.md").read_text())
    assert (tmp_path / "s9" / named).is_file()

"""A class of submissions, some hostile: everybody has a result, nobody another's, and nothing is graded twice."""
import csv
import io
import json
import sys

import pytest
from click.testing import CliRunner
from handed_in import GOOD, VARIANCE_FORGOTTEN, hostile

from nanolm.cli.grade_command import command
from nanolm.grading.classroom import pages, run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the process is talked to by a Unix pipe")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("submissions"), tmp_path_factory.mktemp("results")
    victim = out / "victim.txt"
    victim.write_text("still here")
    files = {"alice": GOOD, "bob": VARIANCE_FORGOTTEN, "carol": VARIANCE_FORGOTTEN, "dan": "def f(:\n", "=evil": GOOD,
             **{name: hostile(str(victim))[name] for name in ("deletes", "opens_a_socket", "leaves", "exits_on_import")}}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "nobody").mkdir()
    results = run.run(folder, out, workers=2)
    paths = write.everything(out, results)
    assert victim.read_text() == "still here"
    return folder, out, results, paths


def test_everybody_has_a_result(graded):
    folder, out, results, _ = graded
    scores = {r["student"]: r["score"] for r in results}
    assert scores["alice"] == 1 and scores["=evil"] == 1 and 0 < scores["bob"] < 0.5
    assert all(scores[name] == 0 for name in ("dan", "deletes", "opens_a_socket", "leaves", "exits_on_import", "nobody"))
    assert len(results) == 10


def test_the_table_and_the_exports(graded):
    _, out, results, _ = graded
    rows = list(csv.DictReader(io.StringIO((out / "grades.csv").read_text())))
    assert {row["student"]: row["score"] for row in rows}["alice"] == "1.00"
    assert any(row["student"] == "'=evil" for row in rows), "a spreadsheet would take it for a formula"
    scope = json.loads((out / "gradescope" / "bob.json").read_text())
    assert scope["tests"][0]["name"] == "layernorm.backward" and scope["score"] == pytest.approx(1 / 3, abs=1e-3)
    assert "variance term is missing" in scope["tests"][0]["output"]
    assert "exits_on_import.py: It raised SystemExit" in {r["student"]: r for r in results}["exits_on_import"]["exercises"][
        "layernorm.backward"]["text"]
    assert len((out / "nbgrader.csv").read_text().splitlines()) == 11


def test_the_pages_say_what_a_teacher_wants_to_know(graded):
    _, out, _, _ = graded
    page = (out / "index.html").read_text()
    assert "2 of 10 in layernorm.backward: The variance term is missing" in page and "data:image/png" in page
    assert "dan.py, line 1 cannot be read" in page and "delete a file" in page
    assert "variance term is missing" in (out / "feedback" / "bob.html").read_text()


def test_errors_of_different_classes_are_different_mistakes(tmp_path):
    bodies = {"a": "    raise MemoryError", "b": "    raise PermissionError('a.txt')",
              "c": "\n    raise PermissionError('b.txt')",
              "d": "    return {1}, dy, dy", "e": "    return len, dy, dy", "f": "    pass", "g": "    raise NotImplementedError"}
    (tmp_path / "class").mkdir()
    for name, text in bodies.items():
        (tmp_path / "class" / f"{name}.py").write_text(f"# exercise: layernorm.backward\ndef f(dy, cache):\n{text}\n")
    results = run.run(tmp_path / "class", tmp_path / "out")
    write.everything(tmp_path / "out", results)
    found = {text: count for count, text in pages.mistakes(results).values()}
    assert found["It raises MemoryError."] == 1 and found["It raises PermissionError."] == 2
    assert found["dx must be an array."] == 2 and not any(word in str(found) for word in ("a.txt", "b.txt", "line", "set"))
    page = (tmp_path / "out" / "index.html").read_text()
    assert "The hardest was layernorm.backward: 0 of 5 who wrote it passed." in page
    assert page.count("<td class='n none'>&ndash;</td>") == 2 and "who wrote it" in page
    assert "&ndash;" in (tmp_path / "out" / "feedback" / "g.html").read_text()
    texts = {r["student"]: r["exercises"]["layernorm.backward"]["text"] for r in results}
    assert "It raised MemoryError in line 3." in texts["a"] and "no text" not in texts["a"]
    assert "dx must be an array, but it is a set." in texts["d"] and "it is a builtin_function_or_method" in texts["e"]


@pytest.mark.parametrize("sentence, words", [
    ("dx must have the shape (2, 3), but it has (3,).", "dx must have the shape (2, 3)."),
    ("It must return 3 values, dx, dweight, dbias, in this order, but it returned 2 values.",
     "It must return 3 values, dx, dweight, dbias, in this order."),
    ("dx is transposed: it has the shape (2, 3), expected (3, 2). Its numbers are right.", "dx is transposed."),
    ("dx has the shape (2,), expected (3,).", "dx has a wrong shape."), ("3 of 8 rows of dx are right; the others are zero.",
                                                                    "Some rows of dx are right; the others are zero."),
    ("dx holds NaN, 3 of 40 entries, always whole rows: is it 0 times infinity?",
     "dx holds NaN, always whole rows: is it 0 times infinity?"),
    ("Every entry of dx is C times the right one (here 4).", "Every entry of dx is C times the right one."),
    ("Every entry of dx is 2 times the right one. (Where it is wrong; in 3 of 8 calls that were looked at it is right.)",
     "Every entry of dx is 2 times the right one.")])
def test_a_mistake_is_told_without_one_students_own_values(sentence, words):
    assert pages.common({"name": "type", "found_by": "signature", "sentence": sentence}) == words


def test_a_variants_constants_are_left_out_where_they_differ():
    results = [{"exercises": {"x": {"mistakes": [{"name": "m", "found_by": "the same output", "sentence": f"a = {a} is missing, "
                                                  f"but it is needed."}]}}} for a in (1.5, 2.5)]
    assert pages.mistakes(results) == {("x", "m"): (2, "a = ... is missing, but it is needed.")}


def test_nothing_is_graded_twice_and_a_changed_file_is(graded):
    folder, out, before, _ = graded
    seen = []
    (folder / "bob.py").write_text(GOOD)
    again = run.run(folder, out, say=lambda done, total, student: seen.append(student))
    assert {r["student"]: r["score"] for r in again}["bob"] == 1
    kept = {r["student"]: r["seconds"] for r in before}
    assert [r["student"] for r in again if r["seconds"] != kept[r["student"]]] == ["bob"]
    (out / "students" / "alice.json").write_text("{damaged")
    assert {r["student"]: r["score"] for r in run.run(folder, out)}["alice"] == 1


def test_the_command(graded, tmp_path):
    folder, *_ = graded
    (tmp_path / "ids.csv").write_text("alice,s1\n")
    ran = CliRunner().invoke(command, [str(folder), "--out", str(tmp_path / "out"), "--ids", str(tmp_path / "ids.csv"),
                                       "--exercise", "layernorm.backward"])
    assert ran.exit_code == 0, ran.output
    assert "10 submissions, 3 passed everything." in ran.output and "index.html" in ran.output
    assert json.loads((tmp_path / "out" / "students" / "alice.json").read_text())["id"] == "s1"
    ran = CliRunner().invoke(command, [str(folder), "--exercise", "layernorm.backwrad"])
    assert ran.exit_code and "Do you mean layernorm.backward" in str(ran.exception)


def test_half_a_surrogate_pair_stops_nobody(tmp_path):
    (tmp_path / "class").mkdir()
    half = GOOD.replace("return dx,", "raise ValueError(chr(0xd800))\n    return dx,")
    for name, text in {"alice": GOOD, "bob": half, "carol": GOOD.replace("return dx,", "return {chr(0xd800): dx},")}.items():
        (tmp_path / "class" / f"{name}.py").write_text(text)
    results = run.run(tmp_path / "class", tmp_path / "out")
    results[1]["trouble"].append("a text with \ud800")
    write.everything(tmp_path / "out", results)
    assert [r["score"] for r in results] == [1, 0, pytest.approx(1 / 3, abs=1e-3)]
    assert "ud800" in results[2]["exercises"]["layernorm.backward"]["text"]
    assert "a text with \\ud800" in (tmp_path / "out" / "feedback" / "bob.html").read_text()
    assert run.printable({"\ud800": ["\udcff", 1.5, None]}) == {"\\ud800": ["\\udcff", 1.5, None]}
    assert len(run.file_name("\udcff")) > 6


def test_a_page_that_cannot_be_written_does_not_stop_the_others(graded, tmp_path):
    _, _, results, _ = graded
    (tmp_path / "feedback" / "alice.html").mkdir(parents=True)
    write.everything(tmp_path, results)
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text()))}
    assert "could not be written" in rows["alice"]["trouble"] and rows["alice"]["score"] == "1.00"
    assert (tmp_path / "feedback" / "bob.html").exists()


def test_who_left_and_ids_that_do_not_fit_are_told(tmp_path):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    for name in ("alice", "bob"):
        (folder / f"{name}.py").write_text(GOOD)
    (tmp_path / "ids.csv").write_text("alice,s1\nbob,s1\nzoe,s3\n")
    arguments = [str(folder), "--out", str(out), "--ids", str(tmp_path / "ids.csv")]
    ran = CliRunner().invoke(command, arguments)
    assert ran.exit_code == 0, ran.output
    assert "names 'zoe', but there is no such submission" in ran.stderr and "alice, bob have one id, 's1'" in ran.stderr
    assert [row["student_id"] for row in csv.DictReader(io.StringIO((out / "nbgrader.csv").read_text()))] == ["s1", "s1"]
    (folder / "bob.py").unlink()
    (out / "feedback" / "notes.html").write_text("the teacher's own")
    ran = CliRunner().invoke(command, arguments)
    assert "bob is no longer among the submissions" in ran.stderr
    assert sorted(p.name for p in (out / "feedback").iterdir()) == ["alice.html", "notes.html"]
    assert [p.name for p in (out / "gradescope").iterdir()] == ["alice.json"]


def test_a_file_and_a_folder_of_one_name_are_told(tmp_path):
    (tmp_path / "class" / "alice").mkdir(parents=True)
    (tmp_path / "class" / "alice.py").write_text(GOOD)
    (tmp_path / "class" / "alice" / "x.py").write_text(VARIANCE_FORGOTTEN)
    (result,) = run.run(tmp_path / "class", tmp_path / "out")
    assert any("alice and alice.py have the same name" in one for one in result["trouble"])
    last = "a second time; the last one counts"
    assert any(last in one for one in result["trouble"])

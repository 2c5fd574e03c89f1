"""Which function answers which exercise: by a comment, by its name, by the file's; notebooks run no pictures."""
import json

import pytest

from nanolm.grading.classroom import marking, submissions

KNOWN = {"layernorm.backward", "layernorm.forward"}


def read(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return submissions.read("s", [path], KNOWN)


def notebook(*cells):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells],
                       "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


@pytest.mark.parametrize("name, text", [
    ("any.py", "# exercise: layernorm.backward\ndef mine(a):\n    return a + 1\n"),
    ("any.py", "# exercise: layernorm.backward\n\n# a remark\n@staticmethod\ndef mine(a):\n    return a + 1\n"),
    ("any.py", "def layernorm_backward(a):\n    return a + 1\n"),
    ("layernorm.backward.py", "def helper(b): return b\n\ndef backward(a):\n    return helper(a) + 1\n"),
    ("layernorm_backward.py", "def backward(a):\n    return a + 1\n"),
    ("any.py", b"\xef\xbb\xbf# exercise: layernorm.backward\r\ndef mine(a):\r\n    return a + 1\r\n"),
])
def test_the_function_is_found(tmp_path, name, text):
    submission = read(tmp_path, name, text)
    assert submission.names == ["layernorm.backward"] and not submission.trouble
    if "staticmethod" not in str(text):
        assert marking.run(submission.parts, {}, [])["layernorm.backward"](1) == 2


def test_two_functions_of_one_name_are_both_kept(tmp_path):
    submission = read(tmp_path, "a.py", "# exercise: layernorm.backward\ndef f(): return 1\n"
                                        "# exercise: layernorm.forward\ndef f(): return 2\n")
    found = marking.run(submission.parts, {}, [])
    assert found["layernorm.backward"]() == 1 and found["layernorm.forward"]() == 2


def test_a_notebook_runs_definitions_alone(tmp_path):
    text = notebook("%matplotlib inline\nimport math", "print('never'); boom()",
                    "scale = 2\n# exercise: layernorm.backward\ndef f(a):\n    return math.sqrt(a) * scale",
                    "f(3)\nraise SystemExit")
    submission = read(tmp_path, "a.ipynb", text)
    assert marking.run(submission.parts, {}, [])["layernorm.backward"](4) == 4


def test_line_numbers_stay_the_students(tmp_path):
    submission = read(tmp_path, "a.py", "\n\n\n# exercise: layernorm.backward\ndef f(a):\n    return 1 / a\n")
    function = marking.run(submission.parts, {}, [])["layernorm.backward"]
    assert function.__code__.co_firstlineno == 5


@pytest.mark.parametrize("mark", ["# Exercise: layernorm.backward", "#EXERCISE : LayerNorm.Backward",
                                  "## exercise: layernorm.backward.",
                                  "# exercise: layernorm.backward (my second try)", "# exercise: layernorm.backward, by me"])
def test_a_mark_that_is_nearly_right_is_taken(tmp_path, mark):
    submission = read(tmp_path, "a.py", f"{mark}\ndef f(): pass\n")
    assert submission.names == ["layernorm.backward"] and not submission.trouble


@pytest.mark.parametrize("code", ["async def f(): pass", "f = lambda a: a", "class A:\n    def f(self): pass",
                                  "if True:\n    def f(): pass", "x = 1", ""])
def test_a_mark_before_no_function_is_named(tmp_path, code):
    after = "\ndef helper(): pass\n" if code not in ("x = 1", "") else ""
    submission = read(tmp_path, "a.py", f"import math\n# exercise: layernorm.backward\n{code}\n{after}")
    assert not submission.names and len(submission.trouble) == 1
    assert "a.py, line 2: the mark for layernorm.backward stands before no function" in submission.trouble[0]


def test_a_mark_inside_a_class_is_named(tmp_path):
    submission = read(tmp_path, "a.py", "class A:\n    # exercise: layernorm.backward\n    def f(self): pass\n")
    assert not submission.names and "line 2: the mark" in submission.trouble[0]


def test_a_sentence_that_begins_like_a_mark_is_none(tmp_path):
    submission = read(tmp_path, "a.py", "# Exercise: write the backward\ndef layernorm_backward(): pass\n")
    assert submission.names == ["layernorm.backward"] and not submission.trouble


def test_the_same_exercise_twice_is_named_and_the_last_counts(tmp_path):
    submission = read(tmp_path, "a.py", "# exercise: layernorm.backward\ndef f(): return 1\n"
                                        "# exercise: layernorm.backward\ndef g(): return 2\n")
    assert submission.trouble == ["a.py, line 4: layernorm.backward is there a second time; the last one counts."]
    assert marking.run(submission.parts, {}, [])["layernorm.backward"]() == 2


def test_cells_that_grade_are_left_out_and_an_essays_cell_is_not(tmp_path):
    def cell(source, **about):
        return {"cell_type": "code", "source": source, "metadata": {"nbgrader": about}}
    cells = [cell("from nanolm.grading import grade", grade=True, solution=False), {"cell_type": "code", "source": "y = 1",
             "metadata": None}, cell("# exercise: layernorm.backward\ndef f(): return y", grade=True, solution=True)]
    submission = read(tmp_path, "a.ipynb", json.dumps({"cells": cells}))
    assert [part["place"] for part in submission.parts] == ["a.ipynb, code cell 2", "a.ipynb, code cell 3"]
    assert marking.run(submission.parts, {}, [])["layernorm.backward"]() == 1


def test_statements_are_run_one_by_one(tmp_path):
    submission = read(tmp_path, "a.py", "from __future__ import annotations\n\ndef g():\n    return 1 / 0\n\nx = g()\n"
                                        "# exercise: layernorm.backward\ndef f(a: NoSuchName):\n    return 7\n"
                                        "if __name__ == '__main__':\n    x = y\n")
    stopped = []
    found = marking.run(submission.parts, {"__name__": "submission"}, stopped)
    assert found["layernorm.backward"](0) == 7
    assert [one.sentence for one in stopped] == ["a.py, line 6: ZeroDivisionError: division by zero: this line stopped."]
    assert marking.load(submission.parts, 5)[1] == [stopped[0].sentence]


STUBS = ["pass", "...", "'''What to do.'''", "raise NotImplementedError",
         "'''To do.'''\n    raise NotImplementedError('not yet')",
         "x, weight = cache\n    raise NotImplementedError('not yet')", "a, (b, c) = cache", "return None",
         "import numpy as np\n    x = cache[0]\n    y = x + 1\n    raise NotImplementedError"]
WRITTEN = ["return 1", "x = cache\n    return x", "if cache:\n        raise NotImplementedError\n    return 2", "cache += 1",
           "return 3\n    raise NotImplementedError('left over')", "def g():\n        return 1\n    return g()"]


@pytest.mark.parametrize("body, stub", [(body, True) for body in STUBS] + [(body, False) for body in WRITTEN])
def test_a_stub_is_told_from_an_answer(body, stub):
    import ast
    assert submissions.is_stub(ast.parse(f"def f(dy, cache):\n    {body}\n").body[0]) is stub


def test_a_stub_never_replaces_what_is_written(tmp_path):
    mark, stub = "# exercise: layernorm.backward\n", "def f(cache):\n    x, y = cache\n    raise NotImplementedError('not yet')\n"
    for order in (0, 1):
        texts = [mark + stub, mark + "def f(cache): return 7\n", mark + stub]
        submission = read(tmp_path, "a.py", "".join(texts[order:]))
        assert submission.names == ["layernorm.backward"] and not submission.trouble
        assert marking.load(submission.parts, 5)[0]["layernorm.backward"](0) == 7
    assert read(tmp_path, "a.py", mark + stub + mark + stub).trouble == []


def test_two_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("def f(:\n")
    submission = submissions.read("s", sorted(tmp_path.rglob("*.py")), KNOWN)
    assert [one.partition(",")[0] for one in submission.trouble] == ["one/a.py", "two/a.py"]


LESSON = ("import numpy as np\ntotals = np.ones(3)", "mean = totals", "double = mean", "half = 1 / 0",
          "import no_such_module as other")


def test_a_lessons_cells_that_stop_are_not_told_unless_an_answer_needs_them(tmp_path):
    def said(body):
        answer = f"def helper():\n    return {body}\n# exercise: layernorm.backward\ndef f(a):\n    return [helper() for _ in a]"
        return marking.load(read(tmp_path, "a.ipynb", notebook(*LESSON, answer)).parts, 5)[1]
    assert said("np.ones(3)") == [] and said("'nothing'") == []
    assert said("half") == ["a.ipynb, code cell 4, line 1: ZeroDivisionError: division by zero: this line stopped."]
    assert said("mean") == ["a.ipynb, code cell 2, line 1: NameError: name 'totals' is not defined: this line stopped."]
    assert "code cell 1, line 2: this line was not run" in said("totals")[0] and len(said("totals")) == 1
    assert "No module named 'no_such_module'" in said("other")[0] and len(said("other")) == 1


def test_an_answer_that_stopped_is_told(tmp_path):
    submission = read(tmp_path, "a.ipynb", notebook("cached = no", "# exercise: layernorm.backward\n@cached\ndef f(a): return a"))
    found, said = marking.load(submission.parts, 5)
    assert not found and [one.partition(",")[2] for one in said] == [
        " code cell 1, line 1: NameError: name 'no' is not defined: this line stopped.",
        " code cell 2, line 2: NameError: name 'cached' is not defined: this line stopped."]


def test_of_a_file_that_stops_often_three_lines_are_told(tmp_path):
    submission = read(tmp_path, "a.py", "# exercise: layernorm.backward\ndef f(a): return a\n" + "x = y\nraise MemoryError\n" * 3)
    assert marking.load(submission.parts, 5)[1] == [
        "a.py, line 3: NameError: name 'y' is not defined: this line stopped.", "a.py, line 4: MemoryError: this line stopped.",
        "a.py, line 5: NameError: name 'y' is not defined: this line stopped.", "a.py: 3 more lines stopped."]


def test_files_do_not_take_each_others_names_but_helpers_are_found(tmp_path):
    texts = {"a.py": "from z import twice\n\ndef one(a): return 1\n# exercise: layernorm.backward\n"
                     "def backward(a): return twice(a) + one(a)\n",
             "b.ipynb": notebook("def one(a): return 100", "twice = 5", "# exercise: layernorm.forward\ndef f(a): return one(a)"),
             "z.py": "def twice(a): return 2 * a\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    submission = submissions.read("s", sorted(tmp_path.iterdir()), KNOWN)
    for scripts in (True, False):
        found, said = marking.load(submission.parts, 5, scripts)
        assert found["layernorm.backward"](3) == 7 and found["layernorm.forward"](3) == 100 and said == []


def test_a_script_that_no_answer_needs_is_not_run_by_check(tmp_path):
    (tmp_path / "a.py").write_text("# exercise: layernorm.backward\ndef f(a): return len(a)\n")
    (tmp_path / "b.py").write_text("raise SystemExit\n")
    submission = submissions.read("s", sorted(tmp_path.iterdir()), KNOWN)
    assert marking.load(submission.parts, 5, scripts=False)[1] == []
    assert "b.py: It raised SystemExit" in marking.load(submission.parts, 5)[1][0]


@pytest.mark.parametrize("name, text, words", [
    ("a.py", "def f(:\n", "line 1 cannot be read"), ("a.ipynb", "{", "no notebook"), ("a.ipynb", '{"cells": 3}', "no notebook"),
    ("a.py", "# exercise: layernorm.sideways\ndef f(): pass\n", "no exercise 'layernorm.sideways'"),
    ("a.py", b"\x00\x01", "cannot be read"),
    ("a.ipynb", notebook("def f(:", "x = 1"), "code cell 1"),
])
def test_what_is_unreadable_is_named(tmp_path, name, text, words):
    submission = read(tmp_path, name, text)
    assert not submission.names and words in " ".join(submission.trouble)


def test_a_broken_cell_does_not_take_the_others_along(tmp_path):
    submission = read(tmp_path, "a.ipynb", notebook("def f(:", "# exercise: layernorm.backward\ndef f(a): return a"))
    assert submission.names == ["layernorm.backward"] and "code cell 1" in submission.trouble[0]


def test_collecting_a_class(tmp_path):
    (tmp_path / "alice.py").write_text("x = 1")
    (tmp_path / "bob" / "deep").mkdir(parents=True)
    (tmp_path / "bob" / "deep" / "a.ipynb").write_text(notebook("x = 1"))
    (tmp_path / "carol").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    found = submissions.collect(tmp_path)
    assert {name: len(files) for name, files in found.items()} == {"alice": 1, "bob": 1, "carol": 0}
    with pytest.raises(FileNotFoundError, match="no folder"):
        submissions.collect(tmp_path / "nowhere")

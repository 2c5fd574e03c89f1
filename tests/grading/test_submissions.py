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
    assert stopped == ["a.py, line 6: ZeroDivisionError: division by zero: this line stopped."]


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

"""The student's copy: exercises without answers, with the constants of this student, and the notebooks without solutions.

    folder/student.json             whose it is; `nanolm check` reads it
    folder/README.md                how to work with it
    folder/exercises/*.py           one exercise a file: the task, the hints' number, the signature, "not written yet"
    folder/exercises/*.ipynb        the same as one notebook a lesson, with nbgrader's metadata, if asked for
    folder/notebooks/*.ipynb        the lessons; what stands between ### BEGIN SOLUTION and ### END SOLUTION is taken out

There is one source: exercises/ for the exercises, notebooks/ for the lessons.

Tested    tests/grading/test_release.py.
"""
import json
import re
import textwrap
from pathlib import Path

from nanolm import files
from nanolm.grading import exercises

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?^[ \t]*### END SOLUTION[^\n]*\n?", re.M | re.S)
README = """# Exercises of {student}

    nanolm exercises .
        what there is, and what is done
    nanolm check exercises/{file}
        is it right, and if not, what went wrong?
    nanolm exercises --hint {name}
        the first hint; with --number 2 the second

Write each function in its file, below the line `# exercise: ...`, which must stay. You may add functions of your own. Some
exercises hold numbers that are yours alone; they come from your id, which stands in student.json.
"""


def write(folder, student, names=None, notebooks=None, form="py"):
    """Write the copy of one student to a new folder; return the list of files.

    names: exercises, None: all. notebooks: a folder of lessons, None: none. form: "py", "notebook" or "both".
    Raises FileExistsError if the folder holds something: a student's work is not written over.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Choose a new folder: a student's work is never written over.")
    chosen = [exercises.find(name, student) for name in names or exercises.names()]
    first = f"{chosen[0].notebook or 'exercises'}.ipynb" if form == "notebook" else f"{chosen[0].name}.py"
    written = [put(folder / "student.json", json.dumps({"student": str(student)}) + "\n"),
               put(folder / "README.md", README.format(student=student, name=chosen[0].name, file=first))]
    if form in ("py", "both"):
        written += [put(folder / "exercises" / f"{one.name}.py", file_of(one)) for one in chosen]
    if form in ("notebook", "both"):
        lessons = dict.fromkeys(one.notebook or "exercises" for one in chosen)
        for lesson in lessons:
            its_own = [one for one in chosen if (one.notebook or "exercises") == lesson]
            written.append(put(folder / "exercises" / f"{lesson}.ipynb", notebook_of(its_own, lesson, student)))
    for path in sorted(Path(notebooks).glob("*.ipynb")) if notebooks else ():
        written.append(put(folder / "notebooks" / path.name, without_solutions(path.read_text(encoding="utf-8"))))
    return written


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, text)
    return path


def file_of(exercise):
    """Return the .py file of one exercise: the task in comments, then the stub under its mark."""
    head = [f"{exercise.name}: {'* ' * exercise.level}about {exercise.minutes} minutes."
            + (f" Lesson: {exercise.notebook}." if exercise.notebook else "")]
    head += textwrap.wrap(exercise.task, 100)
    if exercise.hints:
        head.append(f"There are {len(exercise.hints)} hints: nanolm exercises --hint {exercise.name}")
    return "\n".join(f"# {line}".rstrip() for line in head) + "\n" + marked_stub(exercise)


def marked_stub(exercise):
    """Return the stub with its mark on the line before the function."""
    imports, _, rest = exercise.stub().rpartition("\n\n\n")
    return f"{imports}\n\n\n# exercise: {exercise.name}\n{rest}"


def notebook_of(chosen, lesson, student):
    """Return one notebook with the exercises of a lesson: a cell to write in, a locked cell that grades, nbgrader's metadata."""
    cells = [markdown(f"# Exercises: {lesson}")]
    for one in chosen:
        name = one.name.replace(".", "_")
        function = one.signature.removeprefix("def ").partition("(")[0]
        cells.append(markdown(f"## {one.name}\n\n{one.task}\n\nAbout {one.minutes} minutes, {len(one.hints)} hints: "
                              f"`from nanolm.grading import hint; print(hint(\"{one.name}\", 1))`."))
        cells.append(code(marked_stub(one), grade_id=name, solution=True))
        cells.append(code(f"from nanolm.grading import grade\n\n"
                          f"report = grade(\"{one.name}\", {function}, student={str(student)!r})\n"
                          f"display(report)\nreport.score", grade_id=f"{name}_test", points=1))      # nbgrader: partial credit
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": [{"id": f"cell-{i}", **cell} for i, cell in enumerate(cells)], "nbformat": 4, "nbformat_minor": 5,
                       "metadata": {"kernelspec": kernel}}, indent=1) + "\n"


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text, grade_id, solution=False, points=0):
    """Return a code cell with nbgrader's metadata: one to write in, or a locked one that counts."""
    about = nbgrader(grade_id, solution)
    return {"cell_type": "code", "execution_count": None, "outputs": [], "source": text.rstrip() + "\n",
            "metadata": {"nbgrader": about if solution else {**about, "points": points}}}


def nbgrader(grade_id, solution=False):
    """Return nbgrader's metadata, schema 3, of a cell to write in, or of a locked one that grades (without its points)."""
    return {"schema_version": 3, "grade_id": grade_id, "solution": solution, "grade": not solution, "locked": not solution,
            "task": False}


def without_solutions(text):
    """Return a notebook's JSON without outputs of its code cells and without what is marked as a solution."""
    book = json.loads(text)
    kept = []
    for cell in book["cells"]:
        if "solution" in cell.get("metadata", {}).get("tags", []):
            continue
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            source = SOLUTION.sub(lambda match: f"{match.group(1)}raise NotImplementedError(\"not written yet\")\n", source)
            cell = {**cell, "outputs": [], "execution_count": None}
        kept.append({**cell, "source": source.splitlines(keepends=True)})
    return json.dumps({**book, "cells": kept}, indent=1, ensure_ascii=False) + "\n"

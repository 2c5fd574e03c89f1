"""The gaps of a lesson: the cells that students fill, the cells that grade them, and nbgrader's metadata for both.

    # exercise: softmax.backward                 an answer cell begins with this line
    def backward(dy, cache): ...

    report = grade("softmax.backward", backward) a grading cell begins with this line and ends with report.score, which
    display(report)                              nbgrader takes for the points where it stands alone as the cell's result
    report.score

Tested    tests/test_notebooks.py.
"""
import re

from nanolm.grading.classroom import release

MARK = re.compile(r"# exercise: (\S+)\n")
GRADE = re.compile(r"report = grade\(\"([\w.]+)\", (\w+)\)\n")
FUNCTION = re.compile(r"^def (\w+)\(", re.M)


def answers(notebook):
    """Return [(exercise, cell)] of the cells that students fill."""
    found = [(MARK.match(cell.source), cell) for cell in notebook.cells if cell.cell_type == "code"]
    return [(match.group(1), cell) for match, cell in found if match]


def grading(notebook):
    """Return [(exercise, function, cell)] of the cells that grade."""
    found = [(GRADE.match(cell.source), cell) for cell in notebook.cells if cell.cell_type == "code"]
    return [(match.group(1), match.group(2), cell) for match, cell in found if match]


def fill(notebook):
    """Put the right answer into each answer cell: a call of solutions.solution, assigned to the function's name."""
    for name, cell in answers(notebook):
        function = FUNCTION.findall(cell.source)[-1]
        cell.source = f'# exercise: {name}\nfrom solutions import solution\n{function} = solution("{name}")'


def scores(notebook):
    """Return {exercise: the score that its grading cell displayed, None if it displayed none}."""
    found = {}
    for name, _, cell in grading(notebook):
        shown = [output for output in cell.get("outputs", []) if output.output_type == "execute_result"]
        found[name] = float(shown[-1].data["text/plain"]) if shown else None
    return found


def mark(notebook):
    """Give the cells nbgrader's metadata: an answer cell to write in, a locked grading cell that counts one point."""
    for name, cell in answers(notebook):
        cell.metadata["nbgrader"] = about(name, solution=True)
    for name, _, cell in grading(notebook):
        cell.metadata["nbgrader"] = {**about(f"{name}_test"), "points": 1}


def about(name, solution=False):
    """Return nbgrader's metadata, schema 3, of a cell called after its exercise."""
    return release.nbgrader(name.replace(".", "_"), solution)

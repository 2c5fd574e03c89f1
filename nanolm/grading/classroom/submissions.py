"""A student's file, read: which functions answer which exercises. Nothing of it is run here.

A function answers an exercise if a comment says so, on a line before it; `nanolm release` writes these comments:

    # exercise: layernorm.backward
    def backward(dy, cache):

Capitals and words after the name do not matter; a mark that stands before no function is named. Without such a comment, a
function called layernorm_backward, or `backward` in a file called layernorm.backward.py or layernorm_backward.py, is taken.

An exercise may stand in several places: `nanolm release` puts it into a file, a notebook and the lesson. What is written
there never gives way to a stub elsewhere; of several that are written the last counts, and that is said.

Files are Python or notebooks. Of a notebook only imports, definitions and plain assignments are run: pictures and long
trainings are not what is graded, and cells that grade (nbgrader's metadata say so) are left out.
A cell with a syntax error is left out and named.

Tested    tests/grading/test_submissions.py.
"""
import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

COMMENT = re.compile(r"^\s*#+\s*exercise\s*:\s*([\w.]*\w)(.*)$", re.I)
LARGEST = 20 * 2**20


@dataclass
class Submission:
    """What one student handed in.

    parts: marking.py's, to be run; names: the exercises it answers; trouble: what is unreadable.
    """
    student: str
    files: list
    parts: list = field(default_factory=list)
    names: list = field(default_factory=list)
    trouble: list = field(default_factory=list)


def collect(folder):
    """Return {student: [files]} of a folder of submissions, sorted: alice.py, or alice/*.py and alice/**/*.ipynb.

    Raises FileNotFoundError if there is no such folder, ValueError if nothing in it is a submission.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r} with submissions. It should hold one file or one folder "
                                f"a student.")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or path.is_symlink():
            continue
        files = [path] if path.is_file() else sorted(inner for inner in path.rglob("*") if inner.is_file())
        files = [file for file in files if file.suffix in (".py", ".ipynb") and not file.is_symlink()
                 and ".ipynb_checkpoints" not in file.parts]
        if files or path.is_dir():
            found.setdefault(path.stem if path.is_file() else path.name, []).extend(files)
    if not found:
        raise ValueError(f"{folder} holds no submissions: neither .py or .ipynb files, nor folders of them.")
    return found


def read(student, files, known):
    """Return the Submission of a student's files. known: the names of all exercises."""
    submission = Submission(student, [str(file) for file in files])
    if not files:
        submission.trouble.append("The folder holds neither a .py nor an .ipynb file.")
    found = []
    for file, name in shown(files).items():
        try:
            for source, place in sources(file, name):
                tree = parsed(source, place, submission)
                if tree is not None:
                    marks = marked(tree, source, file, place, known, submission)
                    submission.parts.append({"source": source, "file": name, "place": place, "whole": file.suffix == ".py",
                                             "marks": [[node.lineno, exercise] for node, exercise in marks],
                                             "functions": [node.name for node, _ in marks]})
                    found += [(exercise, node, submission.parts[-1]) for node, exercise in marks]
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            submission.trouble.append(f"{name} cannot be read: {str(error)[:200]}")
    settle(submission, found)
    return submission


def settle(submission, found):
    """Note the names; where one is written, take the marks of its stubs away. found: [(exercise, its function, its part)]."""
    submission.names += dict.fromkeys(name for name, *_ in found)
    written = {name: [] for name in submission.names}
    for name, node, part in found:
        if not is_stub(node):
            written[name].append((node, part))
    for name, node, part in found:
        if written[name] and is_stub(node):
            part["marks"].remove([node.lineno, name])
    submission.trouble += [f"{part['place']}, line {node.lineno}: {name} is there a second time; the last one counts."
                           for name, several in written.items() for node, part in several[1:]]


def is_stub(function):
    """Return whether a function's tree is one in which nothing is written yet.

    Its lines do nothing (a docstring, pass, ..., return None, an import, x, weight = cache), or it comes to a
    `raise NotImplementedError` before any return.
    """
    for node in function.body:
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(error, ast.Name) and error.id == "NotImplementedError":
                return True
        if returns(node) and not (isinstance(node, ast.Return) and is_nothing(node.value)):
            return False
    return all(map(does_nothing, function.body))


def does_nothing(node):
    """Return whether a statement of a function computes nothing: it only gives names to what is there, if anything."""
    if isinstance(node, ast.Assign):                # x, weight = cache, or x = cache[0]
        return all(isinstance(part, (ast.Name, ast.Subscript, ast.Constant, ast.Load)) for part in ast.walk(node.value))
    if isinstance(node, (ast.Return, ast.Expr)):
        return is_nothing(node.value) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom))


def is_nothing(value):
    """Return whether the tree of a value is none, None or `...`."""
    return value is None or isinstance(value, ast.Constant) and value.value in (None, Ellipsis)


def returns(node):
    """Return whether a statement of a function may return or yield something, not counting functions inside of it."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return False
    return isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) or any(map(returns, ast.iter_child_nodes(node)))


def sources(file, name):
    """Yield (source, what to call it) of a file that is called `name`: a .py whole, a notebook cell by cell."""
    if file.stat().st_size > LARGEST:
        raise ValueError(f"it is {file.stat().st_size / 2**20:.0f} MB large")
    text = file.read_bytes().decode("utf-8-sig", "replace")
    if file.suffix == ".py":
        yield text, name
        return
    try:
        cells = json.loads(text)["cells"]
        codes = [("".join(cell["source"]), grades(cell)) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("it is no notebook (its JSON is damaged)") from error
    for i, (code, left_out) in enumerate(codes, 1):
        if left_out:
            continue
        lines = ["" if line.lstrip().startswith(("%", "!", "?")) else line for line in code.splitlines()]      # magics
        yield "\n".join(lines), f"{name}, code cell {i}"


def grades(cell):
    """Return whether a notebook's cell is one of nbgrader's that grade; one to write in that counts (an essay's) is not."""
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return isinstance(about, dict) and bool(about.get("grade")) and not about.get("solution")


def shown(files):
    """Return {file: its name as it can be printed}, with its folder where two have one name; what is no text becomes \\udcff."""
    names = {}
    for file in files:
        depth = 1
        while depth < len(file.parts) and sum(one.parts[-depth:] == file.parts[-depth:] for one in files) > 1:
            depth += 1
        names[file] = "/".join(file.parts[-depth:]).encode("utf-8", "backslashreplace").decode()
    return names


def parsed(source, place, submission):
    """Return the syntax tree, or None with a sentence in submission.trouble."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        submission.trouble.append(f"{place}{where} cannot be read as Python: {getattr(error, 'msg', error)}.")
        return None


def marked(tree, source, file, place, known, submission):
    """Return [(a function's tree, the exercise it answers)], and note in the submission which marks mark nothing."""
    comments = marks_of(source, known)
    marks, last, used = [], 0, set()
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            if holds_code(node):                    # a mark above it is not meant for the function that comes after it
                last = node.end_lineno
            continue
        start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        above = [line for line in comments if last < line < start]
        last = node.end_lineno
        name = comments[above[-1]] if above else by_name(node.name, file, known)
        used.update(above[-1:])
        if name is not None and name not in known:
            submission.trouble.append(f"{place}, line {above[-1]}: there is no exercise {name!r}.")
        elif name is not None:
            marks.append((node, name))
    submission.trouble += [f"{place}, line {line}: the mark for {name} stands before no function. It belongs on the line before "
                           f"a def that is not indented." for line, name in comments.items() if line not in used]
    return marks


def marks_of(source, known):
    """Return {line: exercise} of the comments that mark a function. A sentence that happens to begin so is none."""
    names = {name.lower(): name for name in known}
    found = {}
    for number, line in enumerate(re.split("\r\n|\r|\n", source), 1):
        match = COMMENT.match(line)
        if match:
            word, rest = match.groups()
            name = names.get(word.lower(), word)
            if name in known or "." in name or not rest.strip():
                found[number] = name
    return found


def holds_code(node):
    """Return whether a statement is one in which somebody may have put a function: a class, if, for, async def, lambda."""
    return hasattr(node, "body") or isinstance(getattr(node, "value", None), ast.Lambda)


def together(student, files, folder):
    """Return a sentence if a student's files come from two places, alice.py and alice/, which have one name."""
    tops = list(dict.fromkeys(file.relative_to(folder).parts[0] for file in files))
    return [f"{' and '.join(tops)} have the same name and were taken for one student's."] if len(tops) > 1 else []


def by_name(function, file, known):
    """Return the exercise that a function's name, or its file's, speaks of; None if none does."""
    dotted = {name.replace(".", "_"): name for name in known}
    if function in dotted:
        return dotted[function]
    stem = dotted.get(file.stem.replace(".", "_"))
    return stem if stem and stem.rpartition(".")[2] == function else None

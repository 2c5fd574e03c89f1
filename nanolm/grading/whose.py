"""Whose exercises are these? The nearest student.json says it; `nanolm release` puts one into every student's folder.

    whose.student()             the id for the folder in which Python, or the notebook, runs; None: nobody's, the example's

`find`, `grade` and `hint` ask here if no student is given; `nanolm check` and `nanolm exercises` ask for a file's folder.
The graders of a class never do: they give every student by name.

Tested    tests/grading/test_variants.py.
"""
import json
from pathlib import Path


def student(start="."):
    """Return the id in the nearest student.json at or above a file or folder, up to the home folder or the root, else None.

    One that cannot be read, or that holds no id, is passed over.
    """
    try:
        start, home = Path(start).resolve(), Path("~").expanduser().resolve()
    except (OSError, RuntimeError):                 # the folder was removed, or nobody knows where home is
        return None
    for folder in (start, *start.parents):
        found = id_in(folder / "student.json")
        if found is not None or folder == home:
            return found
    return None


def id_in(path):
    """Return the id that a student.json holds, as text; None if there is none."""
    try:
        if not path.is_file():                      # a pipe of that name would be waited for
            return None
        found = json.loads(path.read_text(encoding="utf-8-sig"))["student"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(found).strip() or None if type(found) in (str, int) else None

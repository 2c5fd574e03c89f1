"""Write all that comes of a graded class: pages, tables, exports. Each file whole or not at all.

Tested    tests/grading/test_class.py.
"""
from pathlib import Path

from nanolm import files
from nanolm.grading.classroom import exports, pages
from nanolm.grading.classroom.run import file_name, printable


def everything(out, results, assignment="nanolm"):
    """Write grades.csv, index.html, feedback/, gradescope/ and nbgrader.csv below `out`; return the list of paths to tell of."""
    out = Path(out)
    names = list(results[0]["exercises"]) if results else []
    for folder in ("feedback", "gradescope"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    results = [printable(result) for result in results]
    for result in results:
        name = file_name(result["student"])
        try:
            files.atomic_write(out / "feedback" / f"{name}.html", pages.student(result))
            files.atomic_write(out / "gradescope" / f"{name}.json", exports.gradescope(result))
        except Exception as error:                  # one that cannot be written must not cost the others theirs
            result["trouble"].append(f"The page could not be written: {type(error).__name__}: {str(error)[:200]}")
    files.atomic_write(out / "grades.csv", exports.grades(results, names))
    files.atomic_write(out / "nbgrader.csv", exports.nbgrader(results, assignment))
    files.atomic_write(out / "index.html", pages.teacher(results, names, unreadable(results)))
    return [out / "index.html", out / "grades.csv", out / "feedback", out / "gradescope", out / "nbgrader.csv"]


def gone(out, results):
    """Remove the pages of students who are no longer among the results; return their names.

    A page counts as ours if students/ holds its result. That one stays: should the student come back, it is not graded again.
    """
    present, names = {file_name(result["student"]) for result in results}, []
    for kept in sorted((Path(out) / "students").glob("*.json")):
        pages_of = [Path(out) / "feedback" / f"{kept.stem}.html", Path(out) / "gradescope" / f"{kept.stem}.json"]
        if kept.stem not in present and any(page.exists() for page in pages_of):
            for page in pages_of:
                page.unlink(missing_ok=True)
            names.append(kept.stem)
    return names


def unreadable(results):
    """Return [(student, what could not be read or was refused)]."""
    lines = [(r["student"], trouble) for r in results for trouble in r["trouble"]]
    for r in results:
        tried = sorted({attempt for report in r["exercises"].values() for attempt in report.get("attempts", [])})
        if tried:
            lines.append((r["student"], f"its code tried to {', to '.join(tried)}; that was refused"))
    return lines

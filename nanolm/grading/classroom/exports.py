"""Results in the forms that other programs take: a table for spreadsheets, Gradescope's, nbgrader's.

    grades.csv              student, one column an exercise, score, of
    gradescope/NAME.json    what an autograder of Gradescope leaves in results/results.json
    nbgrader.csv            the columns of `nbgrader export`: assignment, student_id, score, max_score, ...

Source    https://gradescope-autograders.readthedocs.io/en/latest/specs/ (output format), nbgrader's documentation of `export`.
Tested    tests/grading/test_class.py.
"""
import csv
import io
import json


def grades(results, names):
    """Return grades.csv. A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    rows = [["student", "id", *names, "score", "of", "trouble"]]
    for r in results:
        rows.append([safe(r["student"]), safe(r["id"]), *(f"{r['exercises'][name]['score']:.2f}" for name in names),
                     f"{r['score']:.2f}", r["of"], safe("; ".join(r["trouble"]))])
    return table(rows)


def nbgrader(results, assignment):
    """Return nbgrader.csv: one line a student."""
    rows = [["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
             "late_submission_penalty", "score", "max_score"]]
    for r in results:
        rows.append([assignment, "", "", safe(r["id"]), "", "", "", r["score"], 0.0, r["score"], float(r["of"])])
    return table(rows)


def gradescope(result, points=1.0):
    """Return results.json of one student: a test for each exercise, visible to the student."""
    tests = [{"name": name, "score": round(points * r["score"], 4), "max_score": points,
              "status": "passed" if r["passed"] else "failed", "output": r["text"], "visibility": "visible"}
             for name, r in result["exercises"].items()]
    return json.dumps({"score": round(sum(t["score"] for t in tests), 4), "output": "\n".join(result["trouble"]),
                       "visibility": "visible", "execution_time": int(result["seconds"]), "tests": tests}, indent=1)


def table(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def safe(text):
    text = str(text)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t") else text

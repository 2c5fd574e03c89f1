"""Grade a whole class: every submission in a process of its own, several at once, and never twice what is done already.

    summary = run(folder, out, ...)

    out/grades.csv                  a line a student, a column an exercise
    out/students/NAME.json          the reports; a student whose submission has not changed is not graded again
    out/feedback/NAME.html          the page for the student
    out/index.html                  the page for the teacher, with pictures
    out/gradescope/NAME.json, out/nbgrader.csv      for these programs

Tested    tests/grading/test_class.py.
"""
import concurrent.futures
import hashlib
import json
import re
import time
from pathlib import Path

import nanolm
from nanolm import files
from nanolm.grading import exercises, grade
from nanolm.grading.classroom import submissions
from nanolm.grading.classroom.player import Limits, Player

VERSION = 3                                         # of what students/NAME.json holds


def run(folder, out, names=None, workers=2, limits=Limits(), again=False, ids=None, say=lambda done, total, student: None):
    """Grade every submission in `folder`; return the list of results, dicts as in students/NAME.json, sorted by student.

    names: the exercises that count, None: all that appear in any submission. ids: {student: id} for the variants' constants.
    say(done, total, student) is called after each. A student's disaster is a line in the result, not an error here.
    """
    found, out = submissions.collect(folder), Path(out)
    unknown = [name for name in names or () if name not in exercises.names()]
    if unknown:
        exercises.find(unknown[0])                  # raises, with names that are near
    read = {student: submissions.read(student, paths, set(exercises.names())) for student, paths in found.items()}
    for student, paths in found.items():
        read[student].trouble[:0] = submissions.together(student, paths, folder)
    names = list(names) if names else [name for name in exercises.names() if any(name in one.names for one in read.values())]
    (out / "students").mkdir(parents=True, exist_ok=True)
    results = []
    with concurrent.futures.ProcessPoolExecutor(max(1, workers), initializer=quiet) as pool:
        waiting = {}
        for student, submission in read.items():
            place = out / "students" / f"{file_name(student)}.json"
            key = fingerprint(submission, names, (ids or {}).get(student, student))
            kept = None if again else done(place, key)
            if kept is None:
                waiting[pool.submit(one, submission, names, limits, (ids or {}).get(student, student), key)] = (student, place)
            else:
                results.append(kept)
                say(len(results), len(read), student)
        for future in concurrent.futures.as_completed(waiting):
            student, place = waiting[future]
            try:
                result = future.result()
            except Exception as error:              # ours, or the process pool's: this student's line says so, the others go on
                result = failed(read[student], names, (ids or {}).get(student, student),
                                f"The grader itself failed here: {type(error).__name__}: {str(error)[:200]}")
            if not result.get("grader_failed"):
                try:
                    files.atomic_write(place, json.dumps(result, indent=1))
                except OSError as error:            # it is graded all the same, and again the next time
                    result["trouble"].append(f"The result could not be kept: {error}")
            results.append(result)
            say(len(results), len(read), student)
    return sorted(results, key=lambda result: result["student"])


def quiet():
    """Let Ctrl-C be the main process's affair."""
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def one(submission, names, limits, student, key):
    """Return the result of one submission: {"student", "exercises": {name: report}, "score", "trouble", ...}."""
    start = time.monotonic()
    reports = {}
    with Player(submission.parts, names, limits) as player:
        for name in names:
            if name in submission.names:
                report = grade(name, player.of(name), student=student, seconds=limits.seconds, shrinking=0.5)
                reports[name] = {**report.as_dict(), "attempts": list(player.attempts)}
                player.attempts.clear()
            else:
                reports[name] = missing(name)
        trouble = submission.trouble + player.trouble
        locks = player.locks
    score = sum(report["score"] for report in reports.values())
    return printable({"version": VERSION, "key": key, "student": submission.student, "id": student,
                      "files": [Path(f).name for f in submission.files], "exercises": reports, "score": round(score, 4),
                      "of": len(names), "trouble": trouble, "locks": locks, "seconds": round(time.monotonic() - start, 2)})


def printable(tree):
    """Return a nest of dicts and lists with every text as UTF-8 can write it: half a surrogate pair becomes \\ud800."""
    if isinstance(tree, str):
        return tree.encode("utf-8", "backslashreplace").decode()
    if isinstance(tree, dict):
        return {printable(key): printable(one) for key, one in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [printable(one) for one in tree]
    return tree


def missing(name):
    """Return the report of an exercise for which there is no function."""
    return {"exercise": name, "passed": False, "score": 0.0, "written": False, "mistakes": [], "attempts": [], "notes": [],
            "text": f"{name}: there is no function for it in what you handed in."}


def failed(submission, names, student, sentence):
    """Return the result of a submission that could not be graded at all."""
    return printable({"version": VERSION, "key": "", "student": submission.student, "id": student, "files": submission.files,
                      "exercises": {name: missing(name) for name in names}, "score": 0.0, "of": len(names),
                      "trouble": [*submission.trouble, sentence], "locks": [], "seconds": 0.0, "grader_failed": True})


def fingerprint(submission, names, student):
    """Return a hash of all that a result depends on: the code, the exercises, the id, nanolm's version."""
    text = json.dumps([VERSION, nanolm.__version__, submission.parts, submission.trouble, submission.names, names, str(student)])
    return hashlib.sha256(text.encode()).hexdigest()


def done(place, key):
    """Return the result that was kept earlier, None if there is none, or it is of something else, or damaged."""
    try:
        result = json.loads(place.read_text(encoding="utf-8"))
        return result if result["key"] == key and result["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def file_name(student):
    """Return a name for a student's files: letters, digits, dots and dashes; others become _ and a few letters of a hash."""
    student = printable(student)
    plain = re.sub(r"[^\w.-]", "_", student, flags=re.ASCII)
    return plain if plain == student else f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:6]}"

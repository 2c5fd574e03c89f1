"""What `nanolm check` and `nanolm exercises` have in common: a student's own files, run and graded on the student's machine."""
import json
import sys
import textwrap
from pathlib import Path

from nanolm.grading import answers, exercises, grade
from nanolm.grading.classroom import marking, submissions
from nanolm.grading.exercise import Call


def read(paths):
    """Return (Submission, {exercise: function}) of files and folders; say on stderr what could not be read."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else sorted(path.rglob("*")))
             if file.suffix in (".py", ".ipynb") and file.is_file() and ".ipynb_checkpoints" not in file.parts]
    submission = submissions.read("", files, set(exercises.names()))
    functions = {}
    for part in submission.parts:                       # one that raises does not take the others with it
        if not part["marks"] and part["whole"]:
            continue
        space = {"__name__": "submission"} if part["whole"] else functions.setdefault("", {"__name__": "submission"})
        answer = answers.ask(lambda part=part, space=space: marking.run([part], space, submission.trouble), Call(()), (), 30)
        if answer.trouble:
            submission.trouble.append(f"{part['place']}: {answer.sentence}")
        functions.update(space.get("__answers__", {}))
    functions.pop("", None)
    for sentence in submission.trouble:
        print(f"Note: {sentence}", file=sys.stderr)
    return submission, functions


def student(paths):
    """Return the id in the nearest student.json at or above the first path; None if there is none."""
    start = Path(paths[0] if paths else ".").resolve()
    for folder in (start, *start.parents)[:5]:
        try:
            return str(json.loads((folder / "student.json").read_text(encoding="utf-8"))["student"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def graded(name, functions, student):
    """Return the Report of one exercise; of one whose file did not run, that it is not written."""
    if name not in functions:
        def functions_missing(*args, **kwargs):
            raise NotImplementedError("its file stopped before it was defined")
        return grade(name, functions_missing, student=student)
    return grade(name, functions[name], student=student)


def progress(names):
    """Return names, with a bar on a terminal if they are many."""
    from tqdm import tqdm
    return tqdm(names, desc="checking", leave=False, disable=len(names) < 4 or not sys.stderr.isatty())


def folded(text):
    return textwrap.wrap(text, 96)

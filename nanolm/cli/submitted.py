"""What `nanolm check` and `nanolm exercises` have in common: a student's own files, run and graded on the student's machine."""
import sys
import textwrap
from pathlib import Path

from nanolm.grading import exercises, grade, whose
from nanolm.grading.classroom import marking, submissions

SECONDS = 60                                            # for running all files once; each has one second at least


def read(paths):
    """Return (Submission, {exercise: function}) of files and folders; say on stderr what could not be read."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else sorted(path.rglob("*")))
             if file.suffix in (".py", ".ipynb") and file.is_file() and ".ipynb_checkpoints" not in file.parts]
    submission = submissions.read("", files, set(exercises.names()))
    functions, stopped = marking.load(submission.parts, SECONDS, scripts=False)
    submission.trouble += stopped
    for sentence in submission.trouble:
        print(f"Note: {sentence}", file=sys.stderr)
    return submission, functions


def student(paths):
    """Return the id in the nearest student.json at or above the first path, or else the example's.

    Never None: grade and find would then look in the folder where the command was given, which does not count if there is a path.
    """
    return whose.student(paths[0] if paths else ".") or "example"


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

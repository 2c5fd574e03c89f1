"""Grading for a class: strangers' code in locked processes, results for students, teacher, Gradescope and nbgrader.

    sandbox.py          lock a process in: the kernel's locks and Python's own
    wire.py             arguments and answers as bytes, nothing unpickled
    runner.py           the process in which a student's code runs
    player.py           that process as a function that can be asked
    submissions.py      which functions in a student's files answer which exercises;  marking.py runs them
    run.py              everybody, in parallel, never twice
    pages.py            the student's page and the teacher's;  exports.py: CSV, Gradescope, nbgrader
    release.py          the student's copy of the exercises

`nanolm grade SUBMISSIONS --out results` and `nanolm release` are the commands.
"""

"""`nanolm grade SUBMISSIONS`: grade a whole class, each submission in a locked process of its own."""
import os
import sys

import click


@click.command("grade")
@click.argument("submissions", type=click.Path(exists=True, file_okay=False))
@click.option("--out", default="results", show_default=True, type=click.Path(file_okay=False), help="The folder for the results.")
@click.option("--exercise", "names", multiple=True, metavar="NAME",
              help="What counts; may be given several times.  [default: all that anybody handed in]")
@click.option("--ids", type=click.Path(exists=True, dir_okay=False),
              help="A CSV of two columns, folder or file name and student id, where they differ.")
@click.option("--assignment", default="nanolm", show_default=True, help="The name of the assignment in nbgrader.csv.")
@click.option("--workers", default=os.cpu_count() or 1, show_default="as many as cores", type=click.IntRange(1),
              help="How many at once.")
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.1), help="How long one call may take.")
@click.option("--memory", default=1024, show_default=True, type=click.IntRange(256), help="Memory of one submission, in MB.")
@click.option("--again", is_flag=True, help="Grade everybody anew, also those who were graded and have not changed.")
def command(submissions, out, names, ids, assignment, workers, seconds, memory, again):
    """Grade the SUBMISSIONS, a folder with one .py or .ipynb file, or one folder, a student.

    \b
      nanolm grade submissions/ --out results
      nanolm grade submissions/ --exercise layernorm.backward --exercise attention.backward

    results/index.html is the page for the teacher, results/feedback/ holds one for each student. What was graded before
    and has not changed is not graded again, so the command can be stopped and given again.
    """
    from tqdm import tqdm

    from nanolm.grading.classroom import run, write
    from nanolm.grading.classroom.player import Limits
    identities = table_of(ids)
    limits = Limits(seconds=seconds, memory=memory * 2**20)
    with tqdm(desc="grading", unit="student", disable=not sys.stderr.isatty()) as bar:
        def say(done, total, student):
            bar.total = total
            bar.update(done - bar.n)
        results = run.run(submissions, out, names, workers, limits, again, identities, say)
    for sentence in doubts(identities, [result["student"] for result in results]):
        click.echo(f"Note: {sentence}".encode("ascii", "backslashreplace").decode(), err=True)
    for student in write.gone(out, results):
        click.echo(f"Note: {student} is no longer among the submissions; the pages were removed.", err=True)
    paths = write.everything(out, results, assignment)
    whole = sum(all(report["passed"] for report in r["exercises"].values()) for r in results)
    click.echo(f"{len(results)} submissions, {whole} passed everything.")
    locks = {lock for r in results for lock in r["locks"]}
    if sys.platform == "linux" and locks and not {"landlock", "seccomp"} <= locks or sys.platform != "linux":
        click.echo("Note: this system cannot lock processes in completely. Grade strangers' code in a virtual machine.", err=True)
    for student, trouble in write.unreadable(results):
        click.echo(f"  {student}: {trouble}".encode("ascii", "backslashreplace").decode())
    for path in paths:
        click.echo(f"wrote {path}".encode("ascii", "backslashreplace").decode())


def doubts(ids, students):
    """Return sentences on a table of ids: names that nobody has, and ids that two students have."""
    sentences = [f"--ids names {name!r}, but there is no such submission." for name in ids if name not in students]
    holders = {}
    for student in students:
        holders.setdefault(ids.get(student, student), []).append(student)
    return sentences + [f"{', '.join(several)} have one id, {identity!r}." for identity, several in holders.items()
                        if len(several) > 1]


def table_of(path):
    """Return {name: id} of a CSV file of two columns, {} for None."""
    if path is None:
        return {}
    import csv
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    wrong = next((i for i, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None:
        raise click.BadParameter(f"line {wrong} of {path} does not have two columns, name and id.", param_hint="--ids")
    return {name.strip(): identity.strip() for name, identity in rows}

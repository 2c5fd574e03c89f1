"""`nanolm check FILE`: grade the exercises that a file answers, and say what went wrong."""
import sys

import click


@click.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True), metavar="FILE...")
@click.option("--exercise", "names", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--student", help="Whose constants the variants have.  [default: student.json beside the files]")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON, for programs.")
def command(paths, names, student, as_json):
    """Grade the functions in FILE (Python or a notebook, or a folder of them) that answer exercises.

    A comment says which: put `# exercise: layernorm.backward` on the line before the function. Exit status 1 unless all
    that is written passes.

    \b
      nanolm check exercises/layernorm.backward.py
      nanolm check mine.ipynb --exercise attention.backward
    """
    import json

    from nanolm.cli import submitted
    from nanolm.grading import exercises
    for name in names:
        exercises.find(name)
    submission, functions = submitted.read(paths)
    chosen = [name for name in submission.names if not names or name in names]
    if not chosen:
        wanted = f"answers {', '.join(names)}" if names else "answers an exercise"
        raise click.ClickException(f"no function in {', '.join(paths)} {wanted}. Put a line such as "
                                   f"`# exercise: layernorm.backward` before the function; `nanolm exercises` lists the names.")
    student = student or submitted.student(paths)
    reports = [submitted.graded(name, functions, student) for name in submitted.progress(chosen)]
    if as_json:
        click.echo(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        click.echo("\n\n".join(map(str, reports)))
        if len(reports) > 1:
            passed, written = sum(r.passed for r in reports), sum(r.written for r in reports)
            click.echo(f"\n{passed} of {len(reports)} passed, {len(reports) - written} not written yet.")
    sys.exit(any(report.written and not report.passed for report in reports))

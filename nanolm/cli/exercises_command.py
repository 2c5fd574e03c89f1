"""`nanolm exercises`: what there is to write, what is done, and hints, one at a time."""
import click


@click.command("exercises")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option("--hint", "hinted", metavar="NAME", help="Show a hint of an exercise: the first, or that of --number.")
@click.option("--number", default=1, show_default=True, type=click.IntRange(1), help="Which hint.")
@click.option("--show", "shown", metavar="NAME", help="Show one exercise: the task and the code to begin with.")
@click.option("--student", help="Whose constants the variants have.  [default: student.json beside the files]")
def command(paths, hinted, number, shown, student):
    """List the exercises; with PATHS, files or folders of yours, what of them is done.

    \b
      nanolm exercises                            all of them
      nanolm exercises my_course/                 and what is done in these files
      nanolm exercises --show layernorm.backward
      nanolm exercises --hint layernorm.backward --number 2
    """
    from nanolm.cli import submitted, table
    from nanolm.grading import exercises
    student = student or submitted.student(paths)
    if hinted:
        click.echo("\n".join(submitted.folded(exercises.hint(hinted, number, student))))
        return
    if shown:
        one = exercises.find(shown, student)
        click.echo("\n".join(submitted.folded(one.task)) + "\n\n" + (one.stub() if one.signature else one.source))
        return
    done = {}
    if paths:
        submission, functions = submitted.read(paths)
        for name in submitted.progress(submission.names):
            done[name] = submitted.graded(name, functions, student)
    rows = []
    for name, one in exercises.all_of(student).items():
        report = done.get(name)
        state = "" if report is None or not report.written else "done" if report.passed else f"not yet ({report.score:.2f})"
        rows.append([name, one.kind, "* " * one.level, str(one.minutes), one.notebook, state])
    click.echo(table.text(["exercise", "kind", "level", "minutes", "lesson", "done"], rows))
    passed = sum(report.passed for report in done.values())
    click.echo(f"\n{len(rows)} exercises" + (f", {passed} of them done here." if paths else
               ". nanolm exercises --show NAME shows one; nanolm check FILE grades what you wrote."))

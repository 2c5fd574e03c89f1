"""`nanolm release`: make the students' copies of the exercises and notebooks, without answers."""
from pathlib import Path

import click


@click.command("release")
@click.option("--student-id", "students", multiple=True, metavar="ID", help="Whose copy; may be given several times.")
@click.option("--students", "listed", type=click.Path(exists=True, dir_okay=False), help="A text file with one id a line.")
@click.option("--out", default="release", show_default=True, type=click.Path(file_okay=False),
              help="The folder; with several students each has a folder in it.")
@click.option("--exercise", "names", multiple=True, metavar="NAME",
              help="Only this one; may be given several times.  [default: all]")
@click.option("--form", type=click.Choice(["py", "notebook", "both"]), default="py", show_default=True,
              help="Exercises as Python files, as notebooks with nbgrader's metadata, or both.")
@click.option("--notebooks", type=click.Path(exists=True, file_okay=False), help="A folder of lessons to copy without solutions.")
def command(students, listed, out, names, form, notebooks):
    """Make a student's copy: every exercise with its task and signature, the constants drawn from the id, no answers.

    \b
      nanolm release --student-id s123 --out s123
      nanolm release --students class.txt --out copies --form both --notebooks notebooks
    """
    from nanolm.grading.classroom import release
    from nanolm.grading.classroom.run import file_name
    ids = list(students)
    if listed:
        ids += [line.strip() for line in Path(listed).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    ids = list(dict.fromkeys(ids))
    if not ids:
        raise click.UsageError("say whose copy it is: --student-id ID, or --students FILE with one id a line.")
    for student in ids:
        folder = Path(out) if len(ids) == 1 else Path(out) / file_name(student)
        written = release.write(folder, student, names, notebooks, form)
        click.echo(f"wrote {folder}: {len(written)} files".encode("ascii", "backslashreplace").decode())

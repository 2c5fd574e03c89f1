"""`nanolm train`: from a text to a trained model, its loss curve and its own words on the screen."""
import shutil
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import fields, replace
from pathlib import Path

import click
from click.core import ParameterSource

from nanolm.cli import drop_output, sentence

SHAPE = ("n_layer", "n_head", "n_embd", "block_size", "dropout")        # the options that are fields of gpt2.Config
TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@click.command("train")
@click.argument("corpus", default="pydocs", required=False)
@click.option("--preset", default="quick", show_default=True, help="quick: under 3 minutes on two cores. long: under 30.")
@click.option("--out", type=click.Path(), help="The run's folder.  [default: runs/CORPUS, or runs/CORPUS-2, ...]")
@click.option("--resume", type=click.Path(), metavar="FOLDER", help="Go on with the run in FOLDER.")
@click.option("--steps", type=int, help="Updates of the weights.")
@click.option("--batch-size", type=int, help="Sequences a step.")
@click.option("--lr", type=float, help="The highest learning rate.")
@click.option("--dropout", type=float, help="Share dropped while training.")
@click.option("--n-layer", type=int, help="Blocks.")
@click.option("--n-head", type=int, help="Attention heads a block.")
@click.option("--n-embd", type=int, help="Channels a token.")
@click.option("--block-size", type=int, help="The longest context, in tokens.")
@click.option("--tokenizer", type=click.Choice(["bpe", "characters"]), help="Pieces of words, or characters.")
@click.option("--vocab-size", type=int, help="How many tokens the bpe tokenizer has.")
@click.option("--workers", type=int, help="Threads. Never changes the result. 0: one for each core.  [default: 0]")
@click.option("--seed", type=int, help="Of everything that is drawn.")
@click.option("--kernels", type=click.Choice(["numba", "numpy"]),
              help="Compiled layers or plain ones.  [default: numba if installed]")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE",
              help="Any other setting: --set optimizer=momentum --set l2=1e-4")
@click.option("--mpi", is_flag=True, help="Train on all the processes that mpiexec started, as one.")
@click.option("--encoding", help="Of your own text files, such as latin-1.  [default: UTF-8]")
def command(corpus, preset, out, resume, more, mpi, encoding, tokenizer, vocab_size, **options):
    """Train a GPT-2 on CORPUS: pydocs (default), tales, or a text file or folder of yours.

    \b
      nanolm train                              the documentation of your own Python
      nanolm train my-novel.txt --preset long
      nanolm train --resume runs/pydocs         after Ctrl-C, or any other end
      mpiexec -n 2 nanolm train --mpi           on two processes, or on many machines: docs/many-machines.md
    """
    from nanolm.training import ranks, trainer
    refuse_without_mpi(mpi)
    given = {name: value for name, value in options.items() if value is not None}
    shape = {name: given.pop(name) for name in SHAPE if name in given}
    try:
        with ranks.job() if mpi else nullcontext(ranks.ALONE) as team:
            if not team.leads:
                return trainer.follow(team)
            given.update(parse(item) for item in more)
            if resume:
                folder = Path(resume)
                text_options = {"tokenizer": tokenizer, "vocab_size": vocab_size}
                refuse_with_resume([*shape, *(name for name, value in text_options.items() if value is not None)])
                trainer.resume(folder, team=team, **given)
            else:
                folder = begin(corpus, preset, out, shape, given, encoding, tokenizer, vocab_size, team)
    except trainer.Interrupted as stopped:
        click.echo(f"\n{stopped}", err=True)
        sys.exit(130)
    except trainer.Diverged as error:
        click.echo(f"\n{error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:                               # later ones reach us as Interrupted
        click.echo("\nStopped before training began. To start again, give the same command.", err=True)
        sys.exit(130)
    except BrokenPipeError as error:                        # nanolm train | head
        drop_output()
        click.echo(f"\nNobody reads this program's output any more: {sentence(error)}", err=True)
        sys.exit(1)
    show(folder)


def begin(corpus_name, preset_name, out, shape, given, encoding, tokenizer_kind, vocab_size, team):
    """Load the corpus, train a tokenizer on its training part alone, train the model; return the folder.

    shape and given: what was asked for in place of the preset's, fields of Config and of Settings.
    """
    from nanolm import data
    from nanolm.data import prepared
    from nanolm.models import cost
    from nanolm.training import presets, run_folder, trainer
    chosen = presets.preset(preset_name)
    config, settings = replace(chosen.config, **shape), chosen.settings.changed(**given)
    corpus = data.load(corpus_name, encoding=encoding)
    folder = Path(out) if out else free_folder(corpus.name)
    run_folder.check_free(folder)                                           # before any work, not after
    say(f"{corpus.name}: {corpus.about}")
    kind = tokenizer_kind or chosen.tokenizer
    size = chosen.vocab_size if kind == "bpe" and vocab_size is None else vocab_size
    with ExitStack() as stack:
        bars = []

        def reporter(what):
            def report(done, total):
                if not bars:                                # none if all was kept from an earlier run
                    bars.append(stack.enter_context(trainer.bar(True)))
                bar = bars[0]
                bar.total, bar.n = total, done
                bar.set_description(what, refresh=False)
                bar.update(0)
            return report

        ready = prepared.prepare(corpus, kind, size, reporter("training the tokenizer"), reporter("measuring baselines"))
    config = replace(config, vocab_size=ready.tokenizer.vocab_size)
    if "shards" not in given:
        settings = settings.changed(shards=cost.shards(config, settings.batch_size))
    say(f"run folder {folder}; stop with Ctrl-C at any time, go on with: {run_folder.resume_command(folder, team.size)}")
    trainer.train(folder, corpus, ready.tokenizer, config, settings, baselines=ready.baselines, team=team,
                  ids=(ready.train_ids, ready.validation_ids))
    return folder


def refuse_without_mpi(mpi):
    """Raise UsageError, on the first process alone, if mpiexec started several and --mpi is not given."""
    from nanolm.training import ranks
    size, rank = ranks.launched()
    if size > 1 and not mpi:
        if rank > 0:
            sys.exit(0)                                     # one of us says it
        raise click.UsageError(f"{size} processes were started (by mpiexec or srun), and without --mpi each would train a "
                               f"model of its own. To train one model on all of them: mpiexec -n {size} nanolm train --mpi ...")


def refuse_with_resume(fixed):
    """Raise UsageError for what only a new run can have: the names in `fixed`, or a corpus, --preset, --out, --encoding."""
    if fixed:
        raise click.UsageError(f"--resume goes on with the model that is there: {fixed[0]} cannot be changed any more.")
    for name in ("corpus", "preset", "out", "encoding"):
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--resume goes on with the run that is there: {name} can only be given for a new run.")


def show(folder):
    """Print the curve and the model's own words; the trainer has printed what was reached beside the baselines."""
    from nanolm.cli import chart
    from nanolm.training import metrics_log, run_folder
    records = metrics_log.read(folder)
    say("\n" + chart.curve(records, run_folder.load_corpus(folder), shutil.get_terminal_size().columns))
    samples = [record["sample"] for record in records if record.get("sample")]
    if samples:
        say(f"\nThe model writes:\n\n{samples[-1].strip()}")
    opening = run_folder.load_corpus(folder).get("opening", "")
    prompt = f' --prompt "{opening}"' if opening else ""
    say(f"\nThe curve as a picture: {folder / 'loss.png'}. Let it write more:\n"
        f"  {typed()} generate {run_folder.quoted(folder)}{prompt}")


def typed():
    """Return how the command is called from this terminal: its bare name where that is found, else as it was started."""
    return "nanolm" if shutil.which("nanolm") or not sys.argv[0].endswith("nanolm") else sys.argv[0]


def say(text):
    """Print text on any console."""
    from nanolm.generation import console
    console.write(text + "\n")


def free_folder(name):
    """Return runs/NAME, or runs/NAME-2, -3, ... if that holds something already."""
    for n in range(1, 10_000):
        folder = Path("runs") / (name if n == 1 else f"{name}-{n}")
        if not folder.exists():
            return folder
    raise FileExistsError(f"there are ten thousand runs called {name} in the folder runs. Give --out FOLDER.")


def parse(item):
    """Return ("l2", 0.0001) for "l2=1e-4"; the value as the setting's type. Raises BadParameter for anything else."""
    from nanolm.training.settings import Settings
    name, _, value = item.partition("=")
    kinds = {field.name: type(getattr(Settings(), field.name)) for field in fields(Settings)}
    if name not in kinds:
        raise click.BadParameter(f"there is no setting {name!r}. The settings are: {', '.join(kinds)}.", param_hint="--set")
    try:
        return name, TRUTH[value.lower()] if kinds[name] is bool else kinds[name](value)
    except (ValueError, KeyError):
        raise click.BadParameter(f"{item!r}: {name} must be a {kinds[name].__name__}.", param_hint="--set") from None

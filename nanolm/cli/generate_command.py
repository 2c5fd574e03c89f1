"""`nanolm generate RUN`: let a trained model write, token by token as it thinks of them."""
import sys
import time

import click
from click.core import ParameterSource


@click.command("generate")
@click.argument("run", type=click.Path())
@click.option("--prompt", default="", help="The text to continue. Empty: start at a line break. '-': read it from stdin.")
@click.option("--tokens", default=300, show_default=True, type=click.IntRange(1), help="How many tokens to write at most.")
@click.option("--temperature", default=0.8, show_default=True, help="0: always the likeliest token; 1: the model's own shares.")
@click.option("--top-k", type=click.IntRange(1), help="Draw from the k likeliest tokens only.")
@click.option("--top-p", default=0.95, show_default=True, help="Draw from the likeliest tokens that together hold this share.")
@click.option("--repetition-penalty", default=1.0, show_default=True, help="Above 1: tokens that stand there already count less.")
@click.option("--stop", multiple=True, help="Stop before this text. May be given several times.")
@click.option("--beams", type=click.IntRange(1), help="Beam search with so many beams, in place of drawing; shown when done.")
@click.option("--length-penalty", default=0.0, show_default=True, help="Beam search: above 0 favours longer texts.")
@click.option("--seed", type=int, help="The same number gives the same text.")
@click.option("--past-end", type=click.Choice(["slide", "restart"]), default="slide", show_default=True,
              help="Beyond the context: slide (exact, each token costs a full pass) or restart (quick, forgets half at times).")
@click.option("--no-cache", is_flag=True, help="Run the whole text again for each token: the same tokens, slowly.")
@click.option("--int8", "in_int8", is_flag=True,
              help="Weights rounded to 8 bits: faster, and a slightly other model (eval tells).")
@click.option("--quiet", is_flag=True, help="Print the text alone.")
def command(run, prompt, tokens, temperature, top_k, top_p, repetition_penalty, stop, beams, length_penalty, seed, past_end,
            no_cache, in_int8, quiet):
    """Let the model in the folder RUN continue a prompt.

    \b
      nanolm generate runs/pydocs --prompt "Return the number of" --seed 1
    """
    from nanolm import kernels
    from nanolm.generation import console
    from nanolm.training import run_folder
    refuse_without_effect(beams)
    kernels.use(kernels.choose())
    kernels.warm_up()
    p, config, tokenizer = run_folder.load(run)
    modules = {}
    if in_int8:
        from nanolm.generation import int8
        p, modules = int8.quantize(p), {"model": int8, "cache": int8}
    # In a shell, \n in an argument is two characters; people mean a line break. A text from stdin has its own.
    prompt, stop = read_stdin() if prompt == "-" else prompt.replace("\\n", "\n"), [s.replace("\\n", "\n") for s in stop]
    load_code(p, config, modules)
    console.write(prompt)
    start = time.perf_counter()
    if beams:
        made = beam_text(p, config, tokenizer, prompt, tokens, beams, length_penalty, stop, past_end, not no_cache, modules)
        console.write(made)
    else:
        from nanolm.generation import text
        made = text.generate(p, config, tokenizer, prompt, tokens, stream=console.write, temperature=temperature, top_k=top_k,
                             top_p=top_p, repetition_penalty=repetition_penalty, stop=stop, seed=seed, policy=past_end,
                             use_cache=not no_cache, **modules)
    seconds = time.perf_counter() - start
    console.write("\n")
    if not quiet:
        click.echo(f"({len(tokenizer.encode(made)) / seconds:.0f} tokens/s)", err=True)


def refuse_without_effect(beams):
    """Raise UsageError if an option was given that does nothing: those of drawing with --beams, and the reverse."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty", "seed") if beams else ("length_penalty",)
    for name in names:
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            reason = ("with --beams: beam search draws nothing, it looks for the likeliest text." if beams else
                      "without --beams: it compares the texts that beam search has found.")
            raise click.UsageError(f"--{name.replace('_', '-')} has no effect {reason}")


def load_code(p, config, modules):
    """Make one token: compiled code is loaded when it is first called, which should not count as slow writing."""
    import numpy as np

    from nanolm.generation import generate
    list(generate.tokens(p, config, np.zeros(1, np.int64), 1, temperature=0, **modules))


def read_stdin():
    """Return what stands on stdin. Raises ValueError if it is no text in the console's encoding."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"the prompt on stdin is not valid {error.encoding}: byte {error.start:,} cannot be decoded. Set "
                         f"PYTHONIOENCODING to its encoding, or give it as UTF-8.") from error


def beam_text(p, config, tokenizer, prompt, tokens, beams, length_penalty, stop, policy, use_cache, modules):
    """Return the text of the best beam, cut before the first stop string."""
    from nanolm.generation import beam, text
    ids = text.prompt_ids(tokenizer, prompt, config.block_size)
    best = beam.search(p, config, ids, tokens, beams, length_penalty, policy=policy, use_cache=use_cache, **modules)[0]
    made = tokenizer.decode(best.ids)
    return made[:min([at for at in map(made.find, stop) if at >= 0], default=len(made))]

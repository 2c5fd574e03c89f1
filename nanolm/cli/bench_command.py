"""`nanolm bench`: how fast nanolm is, beside PyTorch and beside what this machine can do at all."""
import sys

import click

FOLDER = click.option("--out", default="bench", show_default=True, type=click.Path(file_okay=False),
                      help="The folder for the picture and the JSON file with every single time.")


def rounds(default):
    return click.option("--rounds", default=default, show_default=True, type=click.IntRange(1),
                        help="How often everybody has a turn. The table shows the median of the rounds.")


@click.group("bench")
def command():
    """Measure, in turns with the peers that are installed, and as a share of the machine's own limits.

    \b
      nanolm bench train --shape all
      nanolm bench attention --rounds 3

    Close other programs first: a busy machine makes all of them slower, but not all of them equally.
    """


@command.command("train")
@click.option("--shape", default="medium", show_default=True, type=click.Choice(["small", "medium", "large", "all"]),
              help="4 layers x 128; 6 x 384; 12 x 768 with GPT-2's vocabulary.")
@rounds(7)
@FOLDER
def train_command(shape, rounds, out):
    """A training step: forward, backward, clipping, AdamW. About 2 minutes, with --shape all about 6."""
    from nanolm.bench import pictures, train
    shapes = train.SHAPES if shape == "all" else [shape]
    results = []
    about = begin()
    with Status() as say:
        for name in shapes:
            results.append(train.run(train.SHAPES[name], rounds, say))
            say.erase()
            click.echo(f"\n{train.SHAPES[name]}\n")
            show(train.HEADER, train.table(results[-1]), train.notes(results[-1]))
    finish(out, "train", results, {"train": pictures.train(results)}, about)


@command.command("finetune")
@click.option("--shape", default="minilm", show_default=True, type=click.Choice(["tiny", "minilm", "base", "all"]),
              help="2 layers x 128; 6 x 384; 12 x 768; all with BERT's vocabulary.")
@rounds(7)
@FOLDER
def finetune_command(shape, rounds, out):
    """A fine-tuning step of BERT for classifying texts. About 3 minutes, with --shape all about 8."""
    from nanolm.bench import finetune, pictures
    results = []
    about = begin()
    with Status() as say:
        for name in finetune.SHAPES if shape == "all" else [shape]:
            results.append(finetune.run(finetune.SHAPES[name], rounds, say))
            say.erase()
            click.echo(f"\n{finetune.SHAPES[name]}\n")
            show(finetune.HEADER, finetune.table(results[-1]), finetune.notes(results[-1]))
    finish(out, "finetune", results, {"finetune": pictures.train(results)}, about)


@command.command("attention")
@click.option("--tokens", "lengths", multiple=True, type=click.IntRange(8), metavar="T",
              help="A length; may be given several times.  [default: 128, 256, ... 8192]")
@rounds(5)
@FOLDER
def attention_command(lengths, rounds, out):
    """Causal attention alone, forward and backward: time and memory over the length. About 3 minutes."""
    from nanolm.bench import attention, pictures
    about = begin()
    with Status() as say:
        result = attention.run(lengths or attention.LENGTHS, rounds, say)
    show(attention.HEADER, attention.table(result), attention.notes(result))
    finish(out, "attention", result, {"attention": pictures.attention(result)}, about)


@command.command("layers")
@click.option("--shape", default="medium", show_default=True, type=click.Choice(["small", "medium", "large"]),
              help="The model and the batch of `nanolm bench train`.")
@rounds(5)
@FOLDER
def layers_command(shape, rounds, out):
    """Every layer: plain NumPy, its fast twin, PyTorch; and the roofline picture. About 2 minutes."""
    from nanolm.bench import layers, pictures, train
    about = begin()
    with Status() as say:
        result = layers.run(train.SHAPES[shape], rounds, say)
    click.echo(f"{train.SHAPES[shape]}\n")
    show(layers.HEADER, layers.table(result), layers.notes(result))
    finish(out, "layers", result, {"layers": pictures.layers(result), "roofline": pictures.roofline(result)}, about)


@command.command("generate")
@click.option("--tokens", default=64, show_default=True, type=click.IntRange(2), help="How many tokens each text has.")
@rounds(5)
@FOLDER
def generate_command(tokens, rounds, out):
    """GPT-2 124M writes: one text, beams, a batch of 8. About 4 minutes."""
    from nanolm.bench import generate, pictures
    about = begin()
    with Status() as say:
        result = generate.run(rounds, say, {**generate.SETTINGS, "tokens": tokens})
    show(generate.HEADER, generate.table(result), generate.notes(result))
    finish(out, "generate", result, {"generate": pictures.generate(result)}, about)


@command.command("chat")
@click.option("--tokens", default=64, show_default=True, type=click.IntRange(2), help="How many tokens the answer has.")
@rounds(5)
@FOLDER
def chat_command(tokens, rounds, out):
    """SmolLM2 reads a question and writes an answer. About 2 minutes."""
    from nanolm.bench import chat, pictures
    about = begin()
    with Status() as say:
        result = chat.run(rounds, say, {**chat.SETTINGS, "tokens": tokens})
    show(chat.HEADER, chat.table(result), chat.notes(result))
    finish(out, "chat", result, {"chat": pictures.chat(result)}, about)


@command.command("tricks")
@click.option("--trick", "names", multiple=True, metavar="NAME", help="One of them; may be given several times.  [default: all]")
@rounds(7)
@FOLDER
def tricks_command(names, rounds, out):
    """Each trick of the fast kernels alone, before and after. About 6 minutes."""
    from nanolm.bench import pictures, tricks
    for name in names:
        if name not in tricks.TRICKS:
            raise click.BadParameter(f"{name!r} is not one of them. There are: {', '.join(tricks.TRICKS)}.", param_hint="--trick")
    about = begin()
    with Status() as say:
        result = tricks.run(names, rounds, say)
    show(tricks.HEADER, tricks.table(result), tricks.notes(result))
    finish(out, "tricks", result, {"tricks": pictures.tricks(result)}, about)


def begin():
    """Show the machine; return its description."""
    from nanolm.bench import machine
    about = machine.describe()
    console_write(machine.sentence(about) + "\n\n")
    return about


def show(header, rows, notes):
    """Print a table and the sentences below it."""
    from nanolm.cli import table
    click.echo(table.text(header, rows))
    console_write("\n" + "".join(f"{sentence}\n" for sentence in notes))


def finish(out, bench, result, pictures, about):
    """Keep the result and say where."""
    from nanolm.bench import results
    paths = results.save(out, bench, result, pictures, about)
    console_write("\n" + "".join(f"wrote {path}\n" for path in paths))


def console_write(words):
    """Print, whatever the console can show: a path or an error message may hold any character."""
    from nanolm.generation import console
    console.write(words)


class Status:
    """A line on stderr that says what happens now; on a terminal the next one takes its place. Lasting ones stay."""

    def __enter__(self):
        self.length = 0
        return self

    def __call__(self, sentence, lasting=False):
        sentence = sentence.encode("ascii", "backslashreplace").decode()[:100]
        if lasting:
            self.erase()
            click.echo(sentence, err=True)
        elif sys.stderr.isatty():
            click.echo("\r" + sentence.ljust(self.length), nl=False, err=True)
            self.length = len(sentence)

    def erase(self):
        if self.length:
            click.echo("\r" + " " * self.length + "\r", nl=False, err=True)
        self.length = 0

    def __exit__(self, *error):
        self.erase()

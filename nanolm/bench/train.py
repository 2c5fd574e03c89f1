"""`nanolm bench train`: a whole training step of GPT-2 (forward, backward, clipping at 1.0, AdamW), ours and the peers'.

    ours, fast kernels      trainer.go's step          ours, plain NumPy       the same without the twins
    PyTorch eager           torch_gpt2.py              torch.compile           the same, compiled (needs a C++ compiler)
    limit                   the step's matrix products alone (limits.py), which is what 100 % stands for

All begin from the same weights and see the same tokens, so their losses must agree, and that is looked at.

GFLOP/s: the operations of the matrix products, 6 N P for P weights plus causal attention's half, by the time of the step.
Whoever does more operations than that (the scores twice, or all T T of them) gets no credit for it.

Tested    tests/test_bench.py.
"""
from dataclasses import asdict

from nanolm.bench import limits, peers, turns

SHAPES = {"small": limits.Shape("small", 4, 128, 4, 65, 12, 64),
          "medium": limits.Shape("medium", 6, 384, 6, 65, 8, 256),
          "large": limits.Shape("large", 12, 768, 12, 50257, 4, 64)}
OURS, PLAIN, EAGER, COMPILED = "ours, fast kernels", "ours, plain NumPy", "PyTorch eager", "torch.compile"
LIMIT, SHARED, LINEAR, READ, COPY = "limit: products alone", "limit: shared", "limit: linear", "read", "copy"
HEADER = ["", "ms a step", "quartiles", "times ours", "GFLOP/s", "of limit", "tokens/s", "peak MB"]


def contestants(shape):
    """Return {name: (make, arguments, why it cannot take part or None)} for turns.field."""
    shape, compiled = asdict(shape), peers.missing("torch", compiler=True)
    return {OURS: ("nanolm.bench.ours:train", {"kernels": "numba", "shape": shape}, peers.no_kernels()),
            PLAIN: ("nanolm.bench.ours:train", {"kernels": "numpy", "shape": shape}, None),
            EAGER: ("nanolm.bench.torch_gpt2:train", {"shape": shape}, peers.missing("torch")),
            COMPILED: ("nanolm.bench.torch_gpt2:train", {"shape": shape, "compiled": True}, compiled),
            LIMIT: ("nanolm.bench.limits:prepare", {"shape": shape}, None)}


def run(shape, rounds=7, say=turns.quiet, who=None, **options):
    """Return the result for one shape, a dict that JSON can hold. options: turn and pause, see turns.take.

    who: as contestants returns it; finetune.py has others.
    """
    with turns.field(who or contestants(shape), say) as (running, left_out):
        entries = {name: (contestant, "step") for name, contestant in running.items()}
        if LIMIT in running:
            entries |= {SHARED: (running[LIMIT], "shared"), LINEAR: (running[LIMIT], "linear"),
                        READ: (running[LIMIT], "read"), COPY: (running[LIMIT], "copy")}
        times = turns.warm(entries, left_out, say)
        say(f"{shape.name} ({shape}): {turns.plan(rounds, turns.duration(times, rounds))}", lasting=True)
        turns.take(entries, left_out, times, rounds, say, **options)
        peaks = {name: contestant.peak() for name, contestant in running.items() if name in times}
        ways = running[LIMIT].run("ways")["value"] if LIMIT in times else {}
    found = {name: t.summary() for name, t in times.items()}
    if SHARED in found and found[SHARED]["median"] < found[LIMIT]["median"]:
        found[LIMIT], found[SHARED] = found[SHARED], found[LIMIT]           # the limit is the best that the machine can do
    return {"shape": asdict(shape), "operations": limits.operations(shape), "rounds": rounds,
            "contestants": {name: {**found[name], "peak": peaks[name]} for name in peaks},
            "limits": {name: found[name] for name in (SHARED, LINEAR, READ, COPY) if name in found},
            "ways": ways, "left_out": left_out,
            "losses_agree": turns.agree([t.values for name, t in times.items() if name in peaks and name != LIMIT])}


def first(found):
    """Return the name that the others are compared with: our fast one, or our plain one if it is not there."""
    return next((name for name in (OURS, PLAIN) if name in found), next(iter(found)))


def table(result):
    """Return the rows under HEADER: time, quartiles, how many times ours, rate, share of the limit, tokens/s, memory."""
    found, shape = result["contestants"], result["shape"]
    ours = found[first(found)]["median"]
    rows = []
    for name, t in found.items():
        is_limit, peak = name == LIMIT, t["peak"]
        rows.append([name, f"{1e3 * t['median']:,.1f}", turns.spread(t),
                     f"{t['median'] / ours:.2f}", f"{result['operations'] / t['median'] / 1e9:,.0f}",
                     turns.share(found.get(LIMIT), t),
                     "" if is_limit else f"{shape['batch'] * shape['tokens'] / t['median']:,.0f}",
                     "" if is_limit or peak is None else f"{peak / 1e6:,.0f}"])
    return rows


def notes(result):
    """Return sentences for below the table: the other limits, what was left out, what makes the numbers doubtful."""
    lines = []
    if result["limits"]:
        linear, read, copy = (result["limits"][name]["median"] for name in (LINEAR, READ, COPY))
        lines.append(f"The products without attention's take {1e3 * linear:,.1f} ms. Memory: reading "
                     f"{limits.MEMORY / read / 1e9:.0f} GB/s, copying {limits.MEMORY / copy / 1e9:.0f} GB/s (read and written).")
    lines += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    if not result["losses_agree"]:
        lines.append("The losses differ, so not all computed the same: " + "; ".join(
            f"{name} {t['values']}" for name, t in result["contestants"].items() if name != LIMIT))
    return lines + turns.busy(result["contestants"])

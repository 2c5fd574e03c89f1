"""`nanolm bench tricks`: what each trick of the fast kernels gains, before and after, one at a time.

Each trick is two or more ways to compute the same (tricks_numbers.py, tricks_passes.py, tricks_products.py,
tricks_models.py); a test holds their answers together. The ways of a trick run in turn in one process (several where a
process can only be one way: an environment variable, the C library's memory). A round gives each way the median of its turn;
shown are the medians of the rounds. "times" and its quartiles are the ratio before / after within a round, so that a
machine that slows down slows both.

    ns              nanoseconds a number, the numbers that come in counted once
    GFLOP/s         two operations for each product of two numbers and its sum
    ms, MB          of one call

docs/speed.md explains every line of the table.   Tested  tests/test_bench_tricks.py.
"""
import os
from dataclasses import asdict, dataclass, field

from nanolm import kernels
from nanolm.bench import generate, turns

HEADER = ["trick", "before", "after", "", "it was", "it is", "times", "quartiles"]
PREPARE = "nanolm.bench.trick_ways:prepare"
VARIABLE = "OPENBLAS_CORETYPE"                          # which kernels OpenBLAS takes, whatever the processor can do
SCALE = {"ns": 1e9, "us": 1e6, "ms": 1e3}


@dataclass(frozen=True)
class Trick:
    title: str
    make: str                   # module and function that makes the ways
    unit: str
    file: str                   # where nanolm does it
    sizes: dict = field(default_factory=dict)           # the function's arguments
    another: dict = None        # and those of a second process, whose ways are compared with the first one's last
    blas: bool = False          # a second process, {"other": True}, runs without VARIABLE, if it is set


def numbers(title, function, file, unit="ns", **sizes):
    return Trick(title, f"nanolm.bench.tricks_numbers:{function}", unit, file, sizes)


def passes(title, function, file, unit="ns", **sizes):
    return Trick(title, f"nanolm.bench.tricks_passes:{function}", unit, file, sizes)


def products(title, function, file, unit="GFLOP/s", blas=False, **sizes):
    return Trick(title, f"nanolm.bench.tricks_products:{function}", unit, file, sizes, blas=blas)


def models(title, function, file, unit="ms", another=None, **sizes):
    return Trick(title, f"nanolm.bench.tricks_models:{function}", unit, file, sizes, another)


def freed(title, shape, fast):
    sizes = {"shape": shape, "fast": fast}
    return models(title, "freed", "training/memory.py", label="freed memory kept", **sizes,
                  another={**sizes, "label": "fresh pages every time", "keep": False})


TRICKS = {
    "exp": numbers("exponential", "exponential", "kernels/exp.py"),
    "maximum": numbers("largest of a row of 64", "maximum", "kernels/maximum.py"),
    "maximum-long": numbers("largest of a row of 384", "maximum", "kernels/maximum.py", columns=384),
    "sum": numbers("a sum", "sums", "kernels/compiled.py"),
    "rows": numbers("copying rows", "rows_sliced", "kernels/attention.py"),
    "alias": numbers("output over input", "aliased", "kernels/gelu.py"),
    "tiny": numbers("numbers below 1e-38", "tiny_numbers", "kernels/exp.py"),
    "layernorm": passes("layer norm", "norm", "kernels/layernorm.py"),
    "layernorm-back": passes("layer norm back", "norm", "kernels/layernorm.py", back=True),
    "gelu": passes("bias + GELU", "bias_and_gelu", "kernels/gelu.py"),
    "gelu-back": passes("bias + GELU back", "bias_and_gelu", "kernels/gelu.py", back=True),
    "gelu-erf": passes("bias + GELU, erf", "bias_and_gelu", "kernels/erf.py", form="erf"),
    "gelu-erf-back": passes("bias + GELU back, erf", "bias_and_gelu", "kernels/erf.py", back=True, form="erf"),
    "rmsnorm": passes("RMS norm", "root_norm", "kernels/rmsnorm.py"),
    "rmsnorm-back": passes("RMS norm back", "root_norm", "kernels/rmsnorm.py", back=True),
    "swiglu": passes("silu(g) * u", "gates", "kernels/swiglu.py"),
    "swiglu-back": passes("silu(g) * u back", "gates", "kernels/swiglu.py", back=True),
    "rotary": passes("rotary positions", "rotation", "kernels/rotary.py"),
    "loss": passes("cross-entropy", "loss", "kernels/cross_entropy.py"),
    "loss-back": passes("cross-entropy back", "loss", "kernels/cross_entropy.py", back=True),
    "dropout": passes("dropout", "dropped", "kernels/dropout.py"),
    "tied": passes("tied table's gradient", "tied", "kernels/embedding.py", "ms"),
    "adamw": passes("AdamW", "update", "kernels/adamw.py"),
    "norm": passes("gradients' norm", "length", "kernels/clipping.py"),
    "all-rows": products("product of all rows, 4 x 256 x 384", "all_rows", "kernels/linear.py"),
    "all-rows-short": products("product of all rows, 4 x 16 x 384", "all_rows", "kernels/linear.py", T=16),
    "tile": products("64 x 64 x 64", "small_product", "kernels/tile_product.py"),
    "turn": products("turning 64 x 64", "turned", "kernels/turning.py", "ns"),
    "small": products("384 x 128 x 512", "matrices", "kernels/matmul.py", blas=True, N=384, I=128, O=512),
    "medium": products("1024 x 384 x 1536", "matrices", "kernels/matmul.py", blas=True),
    "medium-dx": products("1024 x 1536 x 384, W turned", "matrices", "kernels/matmul.py", blas=True, kind="dx"),
    "medium-dw": products("384 x 1024 x 1536, x turned", "matrices", "kernels/matmul.py", blas=True, kind="dW"),
    "large": products("256 x 768 x 3072", "matrices", "kernels/matmul.py", blas=True, N=256, I=768, O=3072),
    "head": products("256 x 768 x 50257", "matrices", "kernels/matmul.py", blas=True, N=256, I=768, O=50257),
    "tiles-128": models("attention, T 128", "scores", "kernels/attention.py", B=16, T=128),
    "tiles-512": models("attention, T 512", "scores", "kernels/attention.py", B=4, T=512),
    "tiles-2048": models("attention, T 2048", "scores", "kernels/attention.py", B=1, T=2048),
    "skip-256": models("causal, T 256", "skipped", "kernels/tiles.py", B=8, T=256),
    "skip-2048": models("causal, T 2048", "skipped", "kernels/tiles.py", B=1, T=2048),
    "kept": models("memory, T 2048", "kept", "kernels/attention.py", "MB", measures="bytes"),
    "workers-small": models("workers, small", "workers", "training/parallel.py", shape="small"),
    "workers-medium": models("workers, medium", "workers", "training/parallel.py", shape="medium"),
    "workers-large": models("workers, large", "workers", "models/cost.py", shape="large"),
    "freed-small": freed("memory kept, small, plain", "small", False),
    "freed-medium": freed("memory kept, medium, plain", "medium", False),
    "freed-medium-fast": freed("memory kept, medium, fast", "medium", True),
    "decoding": models("decoding, GPT-2 124M", "decoding", "kernels/decode.py", config=generate.SETTINGS["config"]),
}


def contestants(trick):
    """Return {process: ...} for turns.field."""
    reason = None if kernels.available() else "Numba is not installed. To install it: pip install numba"
    arguments = {"make": trick.make, **trick.sizes}
    found = {"here": (PREPARE, arguments, reason)}
    if trick.another:
        found["another"] = (PREPARE, {"make": trick.make, **trick.another}, reason)
    if trick.blas and VARIABLE in os.environ:
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        found["unset"] = (PREPARE, {**arguments, "other": True}, reason, environment)
    return found


def run(names=None, rounds=7, say=turns.quiet, turn=0.05, tricks=TRICKS, **options):
    """Return the result, a dict that JSON can hold, of the tricks of these names (None: all). options: pause, see turns.take."""
    names = list(names or tricks)
    found = []
    for k, name in enumerate(names):
        say(f"{k + 1} of {len(names)}: {tricks[name].title}", lasting=True)
        found.append({"name": name, **one(tricks[name], rounds, say, turn, **options)})
    return {"rounds": rounds, "tricks": found}


def one(trick, rounds, say, turn, **options):
    """Return the result for one trick."""
    entries, about = {}, {}
    with turns.field(contestants(trick), say) as (running, left_out):
        for process, contestant in list(running.items()):
            try:
                about[process] = contestant.run("about")["value"]
            except turns.Failed as error:
                left_out[process] = str(error)
                continue
            entries |= {way: (contestant, way) for way in about[process]["ways"]}
        times = turns.warm(entries, left_out, say)
        if entries:
            turns.take(entries, left_out, times, rounds, say, turn, **options)
    here = about.get("here", {"ways": [], "count": 1, "pairs": []})
    pairs = here["pairs"] + [[way, here["ways"][-1]] for process, told in about.items() if process != "here" and here["ways"]
                             for way in told["ways"]]
    found = {way: t.summary() for way, t in times.items()}
    return {**asdict(trick), "count": here["count"], "pairs": [pair for pair in pairs if all(way in found for way in pair)],
            "ways": found, "left_out": left_out,
            "kernels": {process: told["blas"] for process, told in about.items()}}


def amount(trick, way):
    """Return a way's number in the trick's unit."""
    t = trick["ways"][way]
    if trick["unit"] == "MB":
        return t["values"][-1] / 1e6
    seconds = t["median"] / t["values"][-1]             # a run repeats a short way, and says how often
    if trick["unit"] == "GFLOP/s":
        return trick["count"] / seconds / 1e9
    return SCALE[trick["unit"]] * seconds / (trick["count"] if trick["unit"] == "ns" else 1)


def ratios(trick, before, after):
    """Return the quartiles of before / after, round by round: how many times as long it took."""
    if trick["unit"] == "MB":
        return [amount(trick, before) / amount(trick, after)] * 3
    middles = [[turns.quartiles(seconds)[1] / t["values"][-1] for seconds in t["rounds"]]
               for t in (trick["ways"][way] for way in (before, after))]
    return turns.quartiles([b / a for b, a in zip(*middles)])


def table(result):
    """Return the rows under HEADER: one for each pair of ways."""
    rows = []
    for trick in result["tricks"]:
        for k, (before, after) in enumerate(trick["pairs"]):
            low, times, high = ratios(trick, before, after)
            rows.append([trick["title"] if k == 0 else "", before, after, trick["unit"],
                         *(f"{amount(trick, way):,.3g}" if amount(trick, way) < 100 else f"{amount(trick, way):,.0f}"
                           for way in (before, after)), f"{times:.2f}", f"{low:.2f} - {high:.2f}"])
    return rows


def notes(result):
    """Return sentences for below the table."""
    lines, seen = [], {}
    for trick in result["tricks"]:
        lines += [f"{trick['title']}: left out: {reason}" for reason in dict.fromkeys(trick["left_out"].values())]
        seen |= trick["kernels"] if trick["blas"] else {}
    if "here" in seen:
        other = f"; with {VARIABLE} unset: {seen['unset']}" if "unset" in seen else ""
        lines.append(f"NumPy's BLAS: {seen['here']}{other}.")
    return lines

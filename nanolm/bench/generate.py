"""`nanolm bench generate`: GPT-2 with 124 million random weights writes 64 tokens after a prompt of 8, with a key-value cache.

    one sequence, the likeliest token each time;  beam search, 4 beams;  a batch of 8 prompts

The limit is reading: each pass of the model reads every weight once (all but the table of positions), whatever it
computes, and the keys and values so far. The bytes of a pass by the machine's reading rate are the least time that a pass
can take. A batch reads the weights once for all its rows, so it makes more tokens of the same reading; there the
arithmetic begins to count.

The rate of a machine's memory is shared with whoever else is on it: here it was 50 GB/s in some seconds and 80 in others.
So reading is measured right before each contestant's turn, and "of limit" is the median over the rounds of the share
within a round.

All have the same weights; in float32 they must write the same tokens, and that is looked at. (With int8 weights the
model is another one, slightly.) The peer is transformers' `generate`, use_cache, greedy or with the same beams.

Tested    tests/test_bench.py.
"""
import statistics

from nanolm.bench import limits, peers, turns

OURS, INT8, PLAIN, PEER = "ours, fast kernels", "ours, int8 weights", "ours, plain NumPy", "transformers"
READ = "limit: reading"
SETTINGS = {"prompt": 8, "tokens": 64, "beams": 4, "batch": 8,
            "config": {"vocab_size": 50257, "block_size": 1024, "n_layer": 12, "n_head": 12, "n_embd": 768}}
TASKS = {"one": "one sequence", "beam": "{beams} beams", "batch": "{batch} prompts"}
HEADER = ["", "", "tokens/s", "ms a token", "quartiles", "times ours", "GB/s", "of limit", "peak MB"]


def contestants(settings):
    ours = "nanolm.bench.ours_generate:prepare"
    return {OURS: (ours, {"kernels": "numba", **settings}, peers.no_kernels()),
            INT8: (ours, {"kernels": "numba", "int8": True, **settings}, peers.no_kernels()),
            PLAIN: (ours, {"kernels": "numpy", **settings}, None),
            PEER: ("nanolm.bench.transformers_generate:prepare", settings, peers.missing("torch", "transformers")),
            READ: ("nanolm.bench.limits:prepare", {}, None)}


def bytes_a_pass(settings, int8=False):
    """Return how many bytes of weights, keys and values one pass of the model reads, on average over the text."""
    c = settings["config"]
    C, L, V = c["n_embd"], c["n_layer"], c["vocab_size"]
    matrices, outputs = V * C + 12 * L * C * C, V + 9 * L * C               # numbers; answers of all products, a scale each
    small = (13 * L + 2) * C                                                # biases and norms
    cache = 2 * L * C * (settings["prompt"] + settings["tokens"] / 2)
    return (matrices + 4 * outputs if int8 else 4 * matrices) + 4 * (small + cache)


def run(rounds=5, say=turns.quiet, settings=SETTINGS, memory=limits.MEMORY, **options):
    """Return the result, a dict that JSON can hold. options: turn and pause, see turns.take."""
    field = contestants(settings)
    field[READ] = field[READ][0], {"memory": memory}, None
    with turns.field(field, say) as (running, left_out):
        entries = {}
        for task in TASKS:
            for name, contestant in running.items():
                if name != READ:
                    if READ in running:
                        entries[f"{READ} before {name}: {task}"] = running[READ], "read"
                    entries[f"{name}: {task}"] = contestant, task
        for contestant in running.values():
            contestant.ask(forget_peak=True)            # making the weights took more memory than using them will
        times = turns.warm(entries, left_out, say, times=1)
        say(f"{turns.plan(rounds, turns.duration(times, rounds))}", lasting=True)
        turns.take(entries, left_out, times, rounds, say, **options)
        peaks = {name: contestant.peak() for name, contestant in running.items()
                 if any(name == label.split(":")[0] for label in times)}
    found = {label: t.summary() for label, t in times.items() if not label.startswith(READ)}
    read = {label.removeprefix(f"{READ} before "): t.summary() for label, t in times.items() if label.startswith(READ)}
    rates = sorted(memory / t["median"] for t in read.values())
    return {"settings": settings, "rounds": rounds, "contestants": found, "peaks": peaks, "left_out": left_out, "read": read,
            "read_bytes": memory, "bytes_a_second": statistics.median(rates) if rates else None, "agree": agreement(found)}


def agreement(found):
    """Return {task: how many of the tokens are the same in all float32 contestants, as a share}."""
    shares = {}
    for task in TASKS:
        texts = [t["values"][0] for label, t in found.items() if label.endswith(": " + task) and not label.startswith(INT8)]
        rows = list(zip(*texts))                                            # each row of tokens, as all of them wrote it
        same = sum(len(set(tokens)) == 1 for row in rows for tokens in zip(*row))
        shares[task] = same / max(1, sum(len(row[0]) for row in rows))
    return shares


def share(result, label, size):
    """Return for a cell which share of the memory's rate `label` reaches, whose pass reads `size` bytes: see above."""
    if label not in result["read"]:
        return ""
    shares = []
    for passes, reads in zip(result["contestants"][label]["rounds"], result["read"][label]["rounds"]):
        rate = size * result["settings"]["tokens"] / statistics.median(passes)
        shares.append(rate * statistics.median(reads) / result["read_bytes"])
    return f"{100 * statistics.median(shares):.0f} %"


def table(result):
    """Return the rows under HEADER: one sequence, beams, batch; the peak is that of all three, the model once made."""
    settings, found, rows = result["settings"], result["contestants"], []
    for task, title in TASKS.items():
        mine = {label.split(": ")[0]: t for label, t in found.items() if label.endswith(": " + task)}
        base = next((mine[name]["median"] for name in (OURS, PLAIN, PEER) if name in mine), None)
        for k, (name, t) in enumerate(mine.items()):
            texts = settings["batch"] if task == "batch" else 1
            seconds = t["median"] / settings["tokens"]                      # a pass of the model
            size, peak = bytes_a_pass(settings, int8=name == INT8), result["peaks"][name]
            rows.append([title.format(**settings) if k == 0 else "", name, f"{texts / seconds:,.1f}", f"{1e3 * seconds:,.1f}",
                         turns.spread({key: t[key] / settings["tokens"] for key in ("low", "high")}),
                         f"{t['median'] / base:.2f}", f"{size / seconds / 1e9:.1f}", share(result, f"{name}: {task}", size),
                         "" if peak is None else f"{peak / 1e6:,.0f}"])
    return rows


def notes(result):
    """Return sentences for below the table."""
    lines = []
    if result["bytes_a_second"]:
        lines.append(f"A pass reads {bytes_a_pass(result['settings']) / 1e6:,.0f} MB in float32, "
                     f"{bytes_a_pass(result['settings'], int8=True) / 1e6:,.0f} MB in int8; "
                     f"this machine read {result['bytes_a_second'] / 1e9:.1f} GB/s (the median of all turns): 100 %.")
    lines += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    lines += [f"{TASKS[task].format(**result['settings'])}: only {100 * share:.0f} % of the tokens are the same."
              for task, share in result["agree"].items() if share < 1]
    return lines + turns.busy(result["contestants"])

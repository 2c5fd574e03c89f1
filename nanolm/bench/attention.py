"""`nanolm bench attention`: causal attention alone, forward and backward, over 128 to 8,192 tokens; its time and its memory.

    q, k, v, dy (B, 6, T, 64), float32, with B T = 2,048 up to T = 2,048, and B = 1 beyond

Memory is the peak that the operating system saw, less what the process had with its inputs made and its libraries loaded: a new
process for each length and contestant. The plain layer, which keeps T x T numbers a head, takes part as long as it fits.

The limit is the time of attention's six products (q k^T, P v; dy v^T, P^T dy, ds k, ds^T q), the causal half, at the rate
of products of (256, 64) by (64, 256), whose scores stay in a core's own cache. A seventh, the scores made again in
backward, is work of the method and gets no credit.

Tested    tests/test_bench.py.
"""
from nanolm.bench import limits, machine, peers, turns

HEADS, CHANNELS, TOKENS = 6, 64, 2048
LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192)
OURS, PLAIN, PEER, LIMIT = "ours, fast kernels", "ours, plain NumPy", "PyTorch SDPA", "limit: products alone"
TILES = limits.Shape("tiles", 1, HEADS * CHANNELS, HEADS, 1, TOKENS // 256, 256)
HEADER = ["T", "B", "", "ms", "quartiles", "times ours", "GFLOP/s", "of limit", "MB above inputs"]


def operations(batch, tokens, heads=HEADS, channels=CHANNELS):
    """Return the operations of the six products, half of each."""
    return 6 * batch * heads * 2 * tokens * tokens * channels // 2


def fits(batch, tokens, heads=HEADS):
    """Return whether the plain layer's arrays of T x T (five at a time) take no more than a third of the free memory."""
    have = machine.available()
    return have is None or 5 * 4 * batch * heads * tokens * tokens < have / 3


def contestants(batch, tokens):
    arguments = {"batch": batch, "heads": HEADS, "tokens": tokens, "channels": CHANNELS}
    too_long = None if fits(batch, tokens) else f"{tokens:,} x {tokens:,} scores a head do not fit in a third of the free memory"
    return {OURS: ("nanolm.bench.ours:attention", {"kernels": "numba", **arguments}, peers.no_kernels()),
            PEER: ("nanolm.bench.torch_gpt2:attention", arguments, peers.missing("torch")),
            PLAIN: ("nanolm.bench.ours:attention", {"kernels": "numpy", **arguments}, too_long)}


def run(lengths=LENGTHS, rounds=5, say=turns.quiet, **options):
    """Return {"lengths": [a result for each], "rounds"}. options: turn and pause, see turns.take."""
    with turns.field({LIMIT: ("nanolm.bench.limits:prepare", {"shape": vars(TILES), "memory": 2**20}, None)}) as (limit, _):
        return {"rounds": rounds, "lengths": [one_length(T, rounds, limit, say, **options) for T in lengths]}


def one_length(T, rounds, limit, say, **options):
    """Return the result for one length; limit: {LIMIT: the worker that measures the products' rate}."""
    batch = max(1, TOKENS // T)
    with turns.field(contestants(batch, T), say) as (running, left_out):
        before = {name: contestant.ask(forget_peak=True)["resident"] for name, contestant in running.items()}
        entries = {name: (contestant, "step") for name, contestant in running.items()}
        entries |= {name: (worker, "heads") for name, worker in limit.items()}
        times = turns.warm(entries, left_out, say)
        say(f"T = {T:,}: {turns.plan(rounds, turns.duration(times, rounds))}", lasting=True)
        turns.take(entries, left_out, times, rounds, say, **options)
        found = {name: t.summary() for name, t in times.items()}
        for name in [name for name in running if name in found]:
            peak = running[name].peak()
            found[name]["memory"] = None if peak is None or before[name] is None else max(0, peak - before[name])
    if LIMIT in found:                                  # the same rate, for as much work as this length is
        work = operations(batch, T) / limits.operations(TILES, linear=False)
        for key in ("median", "low", "high"):
            found[LIMIT][key] *= work
    return {"tokens": T, "batch": batch, "operations": operations(batch, T), "contestants": found, "left_out": left_out,
            "agree": turns.agree([found[name]["values"][0] for name in (OURS, PLAIN, PEER) if name in found])}


def table(result):
    """Return the rows under HEADER, for each length one row for each contestant."""
    rows = []
    for at in result["lengths"]:
        found = at["contestants"]
        ours = next((found[name]["median"] for name in (OURS, PLAIN, PEER) if name in found), None)
        for k, (name, t) in enumerate(found.items()):
            memory = t.get("memory")
            rows.append([f"{at['tokens']:,}" if k == 0 else "", str(at["batch"]) if k == 0 else "", name,
                         f"{1e3 * t['median']:,.1f}", turns.spread(t), f"{t['median'] / ours:.2f}" if ours else "",
                         f"{at['operations'] / t['median'] / 1e9:,.0f}", turns.share(found.get(LIMIT), t),
                         "" if memory is None else f"{memory / 1e6:,.1f}"])
    return rows


def notes(result):
    """Return sentences for below the table."""
    lines, left_out = [], {}
    for at in result["lengths"]:
        for name, reason in at["left_out"].items():
            left_out.setdefault(f"{name} is left out: {reason}", []).append(f"{at['tokens']:,}")
        if not at["agree"]:
            lines.append(f"T = {at['tokens']:,}: the answers differ, so not all computed the same.")
        lines += [f"T = {at['tokens']:,}: {sentence}" for sentence in turns.busy(at["contestants"])]
    return [f"T = {', '.join(lengths)}: {what}" for what, lengths in left_out.items()] + lines

"""`nanolm bench layers`: every layer's plain functions, their fast twins and PyTorch's operation, forward and backward.

This table is what shows that a twin earns its lines. Everything is timed as it runs in a training step: each core has
its share of the batch, one thread a share (PyTorch: one call for the whole batch, a thread for each core). Shapes are
those of `nanolm bench train`, the medium model's by default; --shape large has GPT-2's vocabulary.

How much a layer has to do, whoever does it. Products: 2 operations for each product of two numbers and its sum, causal attention
half of them. The others by the number of elements, with an exponential, an erf, a root or a division counted as one operation;
these counts (WORK) place a kernel in the roofline picture and mean little beyond that.

    bytes       every array that goes in or comes out, once. What is read again from the caches is not counted
    roofline    GFLOP/s attained over operations a byte. Ceilings: the machine's product rate (flat; NumPy's BLAS or our own
                product, whichever is faster), and its bandwidth times the operations a byte (slope). What stays in the caches
                may pass the memory's slope, up to the caches'

Tested    tests/test_bench.py.
"""
from dataclasses import asdict

from nanolm.bench import limits, peers, train, turns

OURS, PLAIN, PEER = "fast twin", "plain NumPy", "PyTorch"
LIMIT, READ, CACHED, OWN = "limit: products alone", "limit: memory", "limit: caches", "limit: our own product"
HEADER = ["layer", "", "ms plain", "ms twin", "ms PyTorch", "plain/twin", "PyTorch/twin", "twin ns/element", "GFLOP/s", "GB/s"]

# layer: (operations an element, bytes an element), forward and backward; products are counted exactly in `work`
WORK = {"gelu": ((10, 8), (15, 12)), "gelu_erf": ((5, 8), (9, 12)), "layernorm": ((8, 8), (14, 12)),
        "rmsnorm": ((5, 8), (10, 12)), "rotary": ((3, 8), (3, 8)), "cross_entropy": ((4, 4), (4, 8)),
        "dropout": ((2, 8), (2, 8)), "embedding": ((0, 8), (1, 8)),
        "adamw": ((14, 28), None), "clipping": ((2, 4), None), "summing": ((2, 12), None)}
ONCE = {"adamw": "step", "clipping": "norm", "summing": "two shards"}     # for all weights at once


def cases(shape):
    """Return {layer: elements}: what is timed, with how many numbers go into it."""
    N, C, V = shape.batch * shape.tokens, shape.n_embd, shape.vocab_size
    weights = V * C + shape.tokens * C + shape.n_layer * (12 * C * C + 13 * C) + 2 * C
    return {"linear": N * C, "attention": N * C, "mlp": N * C, "gelu": 4 * N * C, "gelu_erf": 4 * N * C, "swiglu": N * C,
            "layernorm": N * C, "rmsnorm": N * C, "rotary": N * C, "dropout": N * C,
            "embedding": N * C, "cross_entropy": N * V, **dict.fromkeys(ONCE, weights)}


def work(shape, layer, back):
    """Return (operations, bytes) of one pass of a layer over the whole batch; bytes of float32 arrays."""
    N, C, T = shape.batch * shape.tokens, shape.n_embd, shape.tokens
    if layer == "linear":                               # c_fc: C -> 4 C
        return (4 if back else 2) * N * C * 4 * C, 4 * (2 * N * C + 8 * C * C + 4 * N * C if back else 5 * N * C + 4 * C * C)
    if layer == "mlp":
        return (4 if back else 2) * 2 * N * C * 4 * C, 4 * (3 * N * C + 16 * C * C if back else 2 * N * C + 8 * C * C)
    if layer == "swiglu":                               # three matrices C x 4 C
        return (4 if back else 2) * 3 * N * C * 4 * C, 4 * (3 * N * C + 24 * C * C if back else 2 * N * C + 12 * C * C)
    if layer == "attention":
        return (4 if back else 2) * N * T * C, 4 * (8 if back else 4) * N * C
    operations, size = WORK[layer][back]
    return operations * cases(shape)[layer], size * cases(shape)[layer]


def ways(layer):
    """Return which passes a layer has: what happens once a step has no backward."""
    return ("forward",) if layer in ONCE else ("forward", "backward")


def contestants(shape):
    return {PLAIN: ("nanolm.bench.ours_layers:prepare", {"kernels": "numpy", "shape": asdict(shape)}, None),
            OURS: ("nanolm.bench.ours_layers:prepare", {"kernels": "numba", "shape": asdict(shape)}, peers.no_kernels()),
            PEER: ("nanolm.bench.torch_layers:prepare", {"shape": asdict(shape)}, peers.missing("torch")),
            LIMIT: ("nanolm.bench.limits:prepare", {"shape": asdict(shape)}, None)}


def run(shape=train.SHAPES["medium"], rounds=5, say=turns.quiet, turn=0.05, **options):
    """Return the result, a dict that JSON can hold. options: pause, see turns.take."""
    with turns.field(contestants(shape), say) as (running, left_out):
        entries = {f"{layer} {way}: {name}": (contestant, f"{layer} {way}")
                   for layer in cases(shape) for way in ways(layer)
                   for name, contestant in running.items() if name != LIMIT}
        if LIMIT in running:
            entries |= {LIMIT: (running[LIMIT], "linear"), READ: (running[LIMIT], "read"), CACHED: (running[LIMIT], "cached")}
        if OURS in running:
            entries[OWN] = running[OURS], "product alone"
        times = turns.warm(entries, left_out, say)
        say(f"{shape.name} ({shape}): {turns.plan(rounds, turns.duration(times, rounds, turn))}", lasting=True)
        turns.take(entries, left_out, times, rounds, say, turn, **options)
    found = {label: t.summary() for label, t in times.items()}
    limit = {name: found.pop(name) for name in (LIMIT, READ, CACHED, OWN) if name in found}
    for t in found.values():                            # a run repeats a short layer, and says how often
        for key in ("median", "low", "high"):
            t[key] /= t["values"][-1]
    rates = {}
    if LIMIT in limit:
        rates = {"products": limits.operations(shape, attention=False) / limit[LIMIT]["median"],
                 "memory": limit[READ]["values"][-1] / limit[READ]["median"],
                 "caches": limit[CACHED]["values"][-1] / limit[CACHED]["median"]}
    if OWN in limit:
        N, C = shape.batch * shape.tokens, shape.n_embd
        rates["own product"] = 8 * N * C * C * limit[OWN]["values"][-1] / limit[OWN]["median"]
    result = {"shape": asdict(shape), "rounds": rounds, "contestants": found, "limits": limit, "rates": rates,
              "left_out": left_out}
    if OWN in limit:                                    # a layer around it may have been luckier: a ceiling is above all
        rates["own product"] = max([rates["own product"]] + [rate for layer, _, _, rate in points(result)
                                                             if layer in ("linear", "mlp", "swiglu")])
    return result


def passes(result):
    """Return [(layer, way, {name: summary})] in the order in which they were measured."""
    found = {}
    for label, t in result["contestants"].items():
        what, name = label.split(": ")
        found.setdefault(tuple(what.split(" ")), {})[name] = t
    return [(layer, way, of) for (layer, way), of in found.items()]


def called(layer, way):
    """Return what a pass is called in a table: those of the whole model are neither forward nor backward."""
    return ONCE.get(layer, way)


def points(result):
    """Return [(layer, way, operations a byte, operations a second)] of our fastest kernels, for the roofline picture."""
    shape, found = limits.Shape(**result["shape"]), []
    for layer, way, of in passes(result):
        operations, size = work(shape, layer, way == "backward")
        if operations:
            t = of.get(OURS) or of[PLAIN]
            found.append((layer, way, operations / size, operations / t["median"]))
    return found


def table(result):
    """Return the rows under HEADER. One without a twin, or without a peer, has empty cells."""
    rows, shape = [], limits.Shape(**result["shape"])
    elements = cases(shape)
    for layer, way, of in passes(result):
        plain, twin, peer = (of[name]["median"] if name in of else None for name in (PLAIN, OURS, PEER))
        best, (operations, size) = twin or plain, work(shape, layer, way == "backward")
        rows.append([layer, called(layer, way), *("" if t is None else f"{1e3 * t:,.3f}" for t in (plain, twin, peer)),
                     *(f"{t / twin:.2f}" if t and twin else "" for t in (plain, peer)),
                     f"{1e9 * best / elements[layer]:.2f}", f"{operations / best / 1e9:,.1f}" if operations else "",
                     f"{size / best / 1e9:,.1f}"])
    return rows


def notes(result):
    """Return sentences for below the table."""
    lines = ["The last three columns are those of the twin" + (" (of plain NumPy where there is none)."
             if any(OURS not in of for _, _, of in passes(result)) else ".")]
    if "products" in result["rates"]:
        rates = {name: f"{rate / 1e9:,.0f}" for name, rate in result["rates"].items()}
        own = f" ({rates['own product']} by our own product at its best)" if "own product" in rates else ""
        lines.append(f"The machine: {rates['products']} GFLOP/s in the model's linear layers by NumPy's BLAS{own}, "
                     f"{rates['memory']} GB/s from memory, {rates['caches']} GB/s from the caches.")
    return lines + [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]

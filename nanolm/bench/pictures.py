"""The pictures of `nanolm bench`, each from the result of a benchmark as its JSON holds it: PNG bytes.

    train(results)      bars with their quartiles, and the limit as a line, a panel for each shape
    attention(result)   time and memory over the length, both axes logarithmic
    generate(result)    bars of tokens a second, and the limit
    chat(result)        bars of tokens a second, reading and writing, and the limit of writing
    layers(result)      bars: how many times as fast the twin is
    roofline(result)    each kernel's rate over its operations a byte, under the machine's ceilings
    tricks(result)      bars: how many times as long it took before

Tested    tests/test_bench.py.
"""
import io

from nanolm.bench import (attention as attention_bench, chat as chat_bench, generate as generate_bench, layers as layers_bench,
                          train as train_bench, tricks as tricks_bench)

COLORS = {"ours": "#4c78a8", "plain": "#9ecae9", "peer": "#e45756", "other": "#f2a65a", "limit": "#2e7d32"}
RATES = (1.0, 0.6)                                      # a kernel's points: forward dark, backward pale


def figure(width, height, panels=1):
    """Return a Figure and the list of its panels' axes, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg    # not pyplot: the caller's backend stays as it is
    from matplotlib.figure import Figure
    made = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(made)
    return made, list(made.subplots(1, panels, squeeze=False)[0])


def png(made):
    buffer = io.BytesIO()
    made.savefig(buffer, format="png")
    return buffer.getvalue()


def color(name):
    """Return the color of a contestant: ours blue (plain pale), the first peer red, the variants orange."""
    if "plain" in name:
        return COLORS["plain"]
    return COLORS["other" if "compile" in name or "int8" in name else "ours" if "ours" in name else "peer"]


def bars(axes, found, scale, unit):
    """Draw a horizontal bar for each of {name: summary}, its length scale(seconds), with the quartiles as a thin line."""
    names = list(found)[::-1]                           # the first on top
    for y, name in enumerate(names):
        t = found[name]
        length, ends = scale(t["median"]), sorted((scale(t["low"]), scale(t["high"])))
        axes.barh(y, length, color=color(name), height=0.7)
        axes.errorbar(length, y, xerr=[[max(0, length - ends[0])], [max(0, ends[1] - length)]], color="black", capsize=3,
                      linewidth=1)
        axes.annotate(f" {length:,.1f}" if length < 1000 else f" {length:,.0f}", (ends[1], y), va="center", fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, 1.2 * max((scale(t[key]) for t in found.values() for key in ("low", "high")), default=1))
    axes.set_xlabel(unit)


def line(axes, x, words):
    axes.axvline(x, color=COLORS["limit"], linestyle="--", linewidth=1.5)
    axes.set_title(axes.get_title() + f"\n{words}", fontsize=9, color="black")


def train(results):
    made, panels = figure(5.5 * len(results), 3, len(results))
    for axes, result in zip(panels, results):
        found = {name: t for name, t in result["contestants"].items() if name != train_bench.LIMIT}
        bars(axes, found, lambda seconds: 1e3 * seconds, "ms a training step (shorter is better)")
        title = "{n_layer} layers x {n_embd}, V {vocab_size}, {batch} x {tokens} tokens"
        axes.set_title(title.format(**result["shape"]), fontsize=10)
        if train_bench.LIMIT in result["contestants"]:
            limit = 1e3 * result["contestants"][train_bench.LIMIT]["median"]
            line(axes, limit, f"dashed: the matrix products alone, {limit:,.1f} ms")
    return png(made)


def attention(result):
    made, (left, right) = figure(11, 4.2, 2)
    lengths = [at["tokens"] for at in result["lengths"]]
    names = dict.fromkeys(name for at in result["lengths"] for name in at["contestants"])
    for name in names:
        at = [(a["tokens"], a["batch"] * a["tokens"], a["contestants"][name])
              for a in result["lengths"] if name in a["contestants"]]
        limit = name == attention_bench.LIMIT
        style = {"color": COLORS["limit"], "linestyle": "--"} if limit else {"color": color(name), "marker": "o", "markersize": 4}
        x = [tokens for tokens, _, _ in at]
        left.plot(x, [1e9 * t["median"] / all_tokens for _, all_tokens, t in at], label=name, **style)
        if not limit:
            left.fill_between(x, *([1e9 * t[key] / all_tokens for _, all_tokens, t in at] for key in ("low", "high")),
                              color=color(name), alpha=0.2)
            memory = [(tokens, t["memory"] / 1e6) for tokens, _, t in at if t.get("memory")]
            if memory:
                right.plot(*zip(*memory), label=name, **style)
    for axes, what in ((left, "ns a token, forward and backward"), (right, "MB above the inputs")):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(lengths, lengths)
        axes.set_xlabel("T, tokens a sequence")
        axes.set_ylabel(what)
        axes.grid(alpha=0.2)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    return png(made)


def generate(result):
    settings, tasks = result["settings"], generate_bench.TASKS
    made, panels = figure(5 * len(tasks), 3, len(tasks))
    for axes, (task, title) in zip(panels, tasks.items()):
        found = {label.split(": ")[0]: t for label, t in result["contestants"].items() if label.endswith(": " + task)}
        tokens = settings["tokens"] * (settings["batch"] if task == "batch" else 1)
        bars(axes, found, lambda seconds, tokens=tokens: tokens / seconds, "tokens a second (longer is better)")
        axes.set_title(title.format(**settings), fontsize=10)
        if result["bytes_a_second"]:
            limit = tokens / settings["tokens"] * result["bytes_a_second"] / generate_bench.bytes_a_pass(settings)
            line(axes, limit, f"dashed: reading the float32 weights once a pass, {limit:,.0f}")
            axes.set_xlim(0, max(axes.get_xlim()[1], 1.1 * limit))
    return png(made)


def chat(result):
    made, panels = figure(5.5 * len(chat_bench.TASKS), 2.6, len(chat_bench.TASKS))
    for axes, (task, title) in zip(panels, chat_bench.TASKS.items()):
        n = chat_bench.tokens(result, task)
        bars(axes, chat_bench.of_task(result, task), lambda seconds, n=n: n / seconds, "tokens a second (longer is better)")
        axes.set_title(title.format(**result["settings"]), fontsize=10)
        if task == "write" and result["bytes_a_second"] and result["bytes_a_pass"]:
            limit = result["bytes_a_second"] / result["bytes_a_pass"]
            line(axes, limit, f"dashed: reading the weights once a token, {limit:,.0f}")
            axes.set_xlim(0, max(axes.get_xlim()[1], 1.1 * limit))
    return png(made)


def layers(result):
    made, (axes,) = figure(8, 6)
    rows = [(f"{layer} {layers_bench.called(layer, way)}", of)
            for layer, way, of in layers_bench.passes(result) if layers_bench.OURS in of][::-1]
    for k, (name, shift) in enumerate(((layers_bench.PLAIN, 0.2), (layers_bench.PEER, -0.2))):
        for y, (_, of) in enumerate(rows):
            if name in of:
                times = of[name]["median"] / of[layers_bench.OURS]["median"]
                axes.barh(y + shift, times - 1, left=1, height=0.36, color=COLORS["plain" if k == 0 else "peer"], label=name)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.axvline(1, color=COLORS["ours"], linewidth=1.5)
    if rows:
        axes.set_xscale("log", base=2)
        handles = dict(zip(*axes.get_legend_handles_labels()[::-1]))
        axes.legend(handles.values(), handles.keys(), fontsize=8)
    axes.set_xlabel("time, in times of the fast twin's (right of the line: the twin is faster)")
    return png(made)


def roofline(result):
    made, (axes,) = figure(8, 5.5)
    found, rates = layers_bench.points(result), result["rates"]
    intensity = [x for _, _, x, _ in found]
    low, high = (min(intensity) / 2, 2 * max(intensity)) if found else (0.1, 100)
    flat = max(rates.get("products", 0), rates.get("own product", 0))
    for name, style in (("memory", "-"), ("caches", ":")):
        if name in rates:
            axes.plot([low, flat / rates[name], high], [low * rates[name] / 1e9] + 2 * [flat / 1e9], style, color=COLORS["limit"],
                      label=f"{name}: {rates[name] / 1e9:,.0f} GB/s, products: {flat / 1e9:,.0f} GFLOP/s")
    if flat > rates.get("products", flat):
        axes.axhline(rates["products"] / 1e9, color=COLORS["limit"], linewidth=0.8, linestyle="--",
                     label=f"products by NumPy's BLAS, as it is set here: {rates['products'] / 1e9:,.0f} GFLOP/s")
    for layer, way, x, rate in found:
        axes.plot(x, rate / 1e9, "o" if way == "forward" else "s", color=COLORS["ours"], alpha=RATES[way == "backward"])
        axes.annotate(f"{layer}{' back' if way == 'backward' else ''}", (x, rate / 1e9), xytext=(4, 3),
                      textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte (each array in or out counted once)")
    axes.set_ylabel("GFLOP/s (GELU and its like: an exponential is one operation)")
    axes.grid(alpha=0.2)
    if rates:
        axes.legend(fontsize=8, loc="lower right")
    return png(made)


def tricks(result):
    rows = [(trick, *pair) for trick in result["tricks"] for pair in trick["pairs"]][::-1]
    made, (axes,) = figure(11, 1 + 0.22 * len(rows))
    for y, (trick, before, after) in enumerate(rows):
        low, times, high = tricks_bench.ratios(trick, before, after)
        axes.barh(y, times - 1, left=1, height=0.7, color=COLORS["ours" if times >= 1 else "peer"])
        axes.errorbar(times, y, xerr=[[times - low], [high - times]], color="black", capsize=2, linewidth=1)
        axes.annotate(f" {times:.2f}", (max(high, 1), y), va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [f"{trick['title']}: {before}" for trick, before, _ in rows], fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_ylim(-1, len(rows))
    if rows:
        axes.set_xscale("log", base=2)
    axes.set_xlabel("time before / time after (memory: bytes), 1 = no gain")
    return png(made)

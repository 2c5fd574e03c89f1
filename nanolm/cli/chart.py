"""The loss curve in plain ASCII, for a terminal that shows no pictures: loss.png in miniature.

    ..... training (mean of each column's steps)     o validation     ----- a baseline, its name at the end

The chart libraries we looked at draw axes with characters outside ASCII, which some consoles cannot show.
"""
import math

from nanolm.training import plots

WIDTH, HEIGHT = 56, 16


def curve(records, corpus):
    """Return the chart as one string, no line above 80 characters, from the lines of metrics.jsonl and corpus.json."""
    per_token = corpus["train_tokens"] / corpus["train_characters"] / math.log(2)        # nats a token -> bits a character
    train = [(r["step"], r["loss"] * per_token) for r in records if "loss" in r]
    validation = [(r["step"], r["validation"]["bits_per_character"]) for r in records if "validation" in r]
    baselines = {name: bits for name, bits in corpus["baselines"].items() if name in plots.PLOTTED}
    if corpus["floor"] is not None:
        baselines["floor"] = corpus["floor"]
    if not train or not validation:
        return "(no evaluation yet, so there is no curve to draw)"
    heights = [bits for _, bits in validation] + list(baselines.values())
    low, high, last = min(heights), max(heights), max(train[-1][0], validation[-1][0])

    def row(bits):                                                          # 0 at the top
        return min(max(round((high - bits) / (high - low or 1) * (HEIGHT - 1)), 0), HEIGHT - 1)

    def column(step):
        return min((step - 1) * WIDTH // last if step else 0, WIDTH - 1)

    grid, names = [[" "] * WIDTH for _ in range(HEIGHT)], [[] for _ in range(HEIGHT)]
    for name, bits in baselines.items():
        grid[row(bits)] = list("-" * WIDTH)
        names[row(bits)].append(name.replace(" after training", ""))
    columns = {}
    for step, bits in train:
        columns.setdefault(column(step), []).append(bits)
    for at, found in columns.items():
        if sum(found) / len(found) <= high:                                 # the first steps lie above the picture
            grid[row(sum(found) / len(found))][at] = "."
    for step, bits in validation:
        grid[row(bits)][column(step)] = "o"
    lines = ["bits per character       . training   o validation   - simpler methods"]
    for r in range(HEIGHT):
        bits = high - r / (HEIGHT - 1) * (high - low)
        lines.append(f"{bits:5.2f} |{''.join(grid[r])} {', '.join(names[r])}".rstrip()[:79])
    lines.append("      +" + "-" * WIDTH)
    lines.append(f"       step 1{f'step {last:,}':>{WIDTH - 6}}")
    return "\n".join(lines)

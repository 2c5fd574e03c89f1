"""The loss curve in plain ASCII, for a terminal that shows no pictures: loss.png in miniature.

    ..... training (mean of each column's steps)     o validation     ----- a baseline, its name at the end

The chart libraries we looked at draw axes with characters outside ASCII, which some consoles cannot show.
"""
import math

from nanolm.training import plots

WIDTH, HEIGHT = 56, 16                           # columns and rows of the picture, at most
MARGIN = 24                                      # columns for the numbers on its left and the names on its right


def curve(records, corpus, terminal=80):
    """Return the chart as one string, from the lines of metrics.jsonl and corpus.json.

    No line is longer than 79 characters, or `terminal` - 1, the terminal's columns, if that is less (39 at least).
    """
    width = min(max(terminal, 40) - MARGIN, WIDTH)
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
        return min((step - 1) * width // last if step else 0, width - 1)

    grid, names = [[" "] * width for _ in range(HEIGHT)], [[] for _ in range(HEIGHT)]
    for name, bits in baselines.items():
        grid[row(bits)] = list("-" * width)
        names[row(bits)].append(name.replace(" after training", ""))
    columns = {}
    for step, bits in train:
        columns.setdefault(column(step), []).append(bits)
    for at, found in columns.items():
        if sum(found) / len(found) <= high:                                 # the first steps lie above the picture
            grid[row(sum(found) / len(found))][at] = "."
    for step, bits in validation:
        grid[row(bits)][column(step)] = "o"
    legend = ["bits per character", ". training   o validation", "- simpler methods"]
    lines = ["   ".join(legend)] if width == WIDTH else legend
    for r in range(HEIGHT):
        bits = high - r / (HEIGHT - 1) * (high - low)
        lines.append(f"{bits:5.2f} |{''.join(grid[r])} {', '.join(names[r])}".rstrip()[:width + MARGIN - 1])
    lines.append("      +" + "-" * width)
    lines.append(f"       step 1{f'step {last:,}':>{width - 6}}")
    return "\n".join(lines)

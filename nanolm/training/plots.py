"""loss.png: how the loss fell, and past which baselines.

The y axis is bits per character, the one unit in which models with different tokens, n-grams and compressors can be
compared. A training loss of so many nats per token becomes bits per character by

    bits per character = loss / ln 2 * (tokens of the training text / characters of the training text)

on average over the text; a single batch may have longer or shorter tokens.

Tested    tests/test_trainer.py.
"""
import io
import math
from pathlib import Path

import numpy as np

from nanolm import files

PLOTTED = ("unigram", "bigram", "trigram", "4-gram", "5-gram", "lzma after training")
TRAIN, VALIDATION, BASELINE, FLOOR = "#4c78a8", "#e45756", "#777777", "#2e7d32"


def loss_curve(folder, records, corpus):
    """Write folder/loss.png from the lines of metrics.jsonl and corpus.json. Raises OSError if it cannot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg    # not pyplot: the caller's backend stays as it is
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes, records, corpus)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    files.atomic_write(Path(folder) / "loss.png", buffer.getvalue())


def draw(axes, records, corpus):
    """Draw the curves and the baselines on matplotlib axes (a notebook's, for example)."""
    train = [(r["step"], r["loss"]) for r in records if "loss" in r]
    validation = [(r["step"], r["validation"]["bits_per_character"]) for r in records if "validation" in r]
    lines = [(name, bits, BASELINE) for name, bits in corpus["baselines"].items() if name in PLOTTED]
    if corpus["floor"] is not None:
        lines.append(("floor (exact)", corpus["floor"], FLOOR))

    if train:
        steps, losses = np.array(train).T
        bits = losses / math.log(2) * corpus["train_tokens"] / corpus["train_characters"]
        axes.plot(steps, bits, color=TRAIN, alpha=0.25, linewidth=0.8)
        axes.plot(steps, smooth(bits), color=TRAIN, linewidth=1.8, label="training (running mean)")
    if validation:
        steps, bits = np.array(validation).T
        axes.plot(steps, bits, color=VALIDATION, linewidth=1.8, marker="o", markersize=4, label="validation")
        axes.annotate(f"{bits.min():.3f}", (steps[bits.argmin()], bits.min()), xytext=(0, 9),
                      textcoords="offset points", ha="center", color=VALIDATION)

    values = [bits for _, bits, _ in lines] + [bits for _, bits in validation]
    if values:
        low, high = min(values), max(values)
        room = 0.08 * (high - low) + 0.05
        axes.set_ylim(max(0.0, low - 1.5 * room), high + room)
    for (name, bits, color), height in zip(lines, spread([bits for _, bits, _ in lines], axes.get_ylim())):
        axes.axhline(bits, color=color, linewidth=1, linestyle="--")
        axes.annotate(f"{name} {bits:.2f}", (1.01, height), xycoords=("axes fraction", "data"), va="center",
                      color=color, fontsize=9, annotation_clip=False)
    axes.set_xlabel("step (updates of the weights)")
    axes.set_ylabel("bits per character")
    axes.set_title(f"{corpus['name']}: how the loss fell. Dashed: simpler methods on the validation text", fontsize=10)
    axes.grid(alpha=0.2)
    if train or validation:
        axes.legend(loc="upper right")


def smooth(values, share=0.02):
    """Return the running mean of values over the last `share` of them (at least 1): fewer at the beginning."""
    width = max(1, int(share * len(values)))
    sums = np.cumsum(values)
    sums[width:] = sums[width:] - sums[:-width]
    return sums / np.minimum(np.arange(1, len(values) + 1), width)


def spread(heights, limits):
    """Return heights moved apart, in their order, so that labels written there do not overlap."""
    gap = 0.04 * (limits[1] - limits[0])
    placed, last = {}, -math.inf
    for k in sorted(range(len(heights)), key=lambda k: heights[k]):
        last = placed[k] = max(heights[k], last + gap)
    return [placed[k] for k in range(len(heights))]

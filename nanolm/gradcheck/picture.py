"""The report as a picture, for notebooks: each gradient as a grid of its entries, the wrong ones in red with a cross.

A right entry is grey, the darker the larger it is; so the shape of a mistake shows at a glance: one row, one head,
every masked place, all but the diagonal. Axes before the last two are stacked, with a white line between them.
"""
import base64
import html as escape
import io
import textwrap

import numpy as np

PANELS, CELLS = 12, 4096             # a picture of more is not looked at; the text has them all


def png(report):
    """Return the picture as PNG bytes, or None if there is nothing to draw. Opens no figure of pyplot's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    gradients = sorted(_all(report), key=lambda g: g.passed)[:PANELS]          # the wrong ones first, else their order
    if not gradients:
        return None
    columns = min(4, len(gradients))
    rows = -(-len(gradients) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for i, gradient in enumerate(gradients):
        _panel(figure.add_subplot(rows, columns, i + 1), gradient)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def html(report, text=None):
    """Return the text of the report and the picture below it, as one piece of HTML that needs no other file."""
    picture = png(report)
    shown = f"<pre style='font-family: monospace; line-height: 1.2'>{escape.escape(text or str(report))}</pre>"
    if picture is None:
        return shown
    data = base64.b64encode(picture).decode("ascii")
    caption = "<p>Each gradient as a grid of entries. Red with a cross: wrong. Grey: right, the darker the larger.</p>"
    return shown + f'<img alt="gradients, wrong entries in red" src="data:image/png;base64,{data}">' + caption


def _panel(axes, gradient):
    """Draw one gradient. Colours do not stand alone: wrong entries have a cross, and the title says how many."""
    values = gradient.values if gradient.values is not None else gradient.expected_values
    axes.set_xticks([])
    axes.set_yticks([])
    count = "" if gradient.wrong is None else f", {int(gradient.wrong.sum())} of {gradient.wrong.size}"
    axes.set_title(f"{gradient.name}\n{gradient.verdict}{'' if gradient.passed else count}", fontsize=9,
                   color="black" if gradient.passed else "#b00020")
    if values is None or values.size == 0 or values.size > CELLS or gradient.values is None and not gradient.passed:
        text = "right" if gradient.passed else gradient.reason
        axes.text(0.5, 0.5, _folded(text), ha="center", va="center", fontsize=8, transform=axes.transAxes)
        return
    finite = np.nan_to_num(np.abs(values), nan=0.0, posinf=0.0)
    grey = 0.93 - 0.45 * finite / max(finite.max(), 1e-300)
    picture = np.repeat(_grid(grey)[:, :, None], 3, axis=2)
    wrong = np.zeros(values.shape, bool) if gradient.wrong is None else gradient.wrong
    red = _grid(wrong.astype(float), gap=0.0) > 0
    picture[red] = (0.86, 0.08, 0.16)
    long = max(picture.shape[:2]) > 4 * min(picture.shape[:2])
    axes.imshow(picture, aspect="auto" if long else "equal", interpolation="nearest")
    if red.sum() <= 200:
        y, x = np.nonzero(red)
        axes.scatter(x, y, marker="x", color="white", s=14, linewidths=1)


def _grid(values, gap=1.0):
    """Return an array of any number of axes as rows and columns: the last two stay, earlier ones are stacked."""
    values = np.atleast_2d(values)
    blocks = values.reshape(-1, *values.shape[-2:])
    line = np.full((1, values.shape[-1]), gap)
    parts = [part for block in blocks for part in (block, line)]
    return np.concatenate(parts[:-1])


def _all(report):
    return report.gradients if hasattr(report, "gradients") else [g for r in report.reports for g in r.gradients]


def _folded(text, width=26):
    return "\n".join(textwrap.wrap(text, width)[:7])

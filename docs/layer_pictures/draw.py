"""A picture of 1600 by 900 units as SVG: text, arrays of numbers, boxes and arrows.

Blue and solid is the way forth, from left to right; orange and dashed the way back, from right to left. No text is smaller
than 28 units: on a slide that is 1.75 % of its width. Only attributes are used, no style sheets, markers or scripts, so that
programs for slides can read it; heads of arrows are triangles.
"""
from xml.sax.saxutils import escape

import numpy as np

from layer_pictures import width

W, H, EDGE = 1600, 900, 40
INK, GREY, LINE, PALE = "#1a1a1a", "#555555", "#8a8a8a", "#f0f0f0"
FORTH, BACK = "#005b9f", "#b04300"                   # blue and vermilion, darkened until white behind them reads well
TINT = {FORTH: (143, 196, 240), BACK: (250, 184, 134), GREY: (200, 200, 200)}     # of the largest number of an array
SANS = "Arial, Helvetica, Liberation Sans, DejaVu Sans, sans-serif"
MONO = "Consolas, Menlo, Liberation Mono, DejaVu Sans Mono, monospace"
TEXT, FORMULA = 30, 36


def number(value, decimals=2):
    """Return a number as text, with a real minus sign and no minus before zero."""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{round(float(value), 9):,.{decimals}f}"             # 0.125 also where a sum's order made it 0.12499999999999999
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def short(value):
    """Return a coordinate as text: at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def mixed(colour, share):
    """Return the tint of a colour: white for share 0, its full tint for 1. Sixteen steps, so that a last bit changes nothing."""
    share = round(round(min(max(share, 0), 1) * 16, 6)) / 16
    return "#" + "".join(f"{round(255 - (255 - c) * share):02x}" for c in TINT[colour])


class Picture:
    """What has been drawn so far. x goes to the right, y downwards; a text's y is its baseline."""

    def __init__(self, name, title, source, sees):
        """name: the file's; title: what is written on top; source: the file of nanolm; sees: the one sentence at the bottom."""
        self.name, self.title, self.source, self.sees = name, title, source, sees
        self.parts = []
        self.text(EDGE, 88, title, 52, bold=True)
        self.text(W - EDGE, 84, source, 28, GREY, "end", mono=True)
        lines = width.wrapped(sees, TEXT, W - 2 * EDGE - 40)
        assert len(lines) <= 2, f"{name}: what to see takes {len(lines)} lines"
        self.rect(EDGE, 796, W - 2 * EDGE, 84, PALE, "none", radius=10)
        for i, line in enumerate(lines):
            self.text(EDGE + 20, (849, 829)[len(lines) - 1] + 38 * i, line, TEXT)

    def rect(self, x, y, w, h, fill="#ffffff", line=LINE, thick=2, radius=0, dashed=False):
        """Draw a box."""
        more = (f' rx="{radius}"' if radius else "") + (' stroke-dasharray="10 7"' if dashed else "")
        edge = "" if line == "none" else f' stroke="{line}" stroke-width="{thick}"'
        place = f'x="{short(x)}" y="{short(y)}" width="{short(w)}" height="{short(h)}"'
        self.parts.append(f'<rect {place} fill="{fill}"{edge}{more}/>')

    def text(self, x, y, text, size=TEXT, colour=INK, anchor="start", mono=False, bold=False):
        """Write one line; x_{t} and W^{T} are indices, which need size 36 to be as large as 28 themselves."""
        text = text.replace("  ", "\u00a0\u00a0")                                       # SVG makes one of two plain spaces
        assert size >= 28 and (size >= FORMULA or not width.INDEX.search(text)), f"{self.name}: {text!r} is too small to read"
        if not text:
            return
        more = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (f' font-family="{MONO}"' if mono else "")
        more += (' font-weight="bold"' if bold else "") + ("" if colour == INK else f' fill="{colour}"')
        self.parts.append(f'<text x="{short(x)}" y="{short(y)}" font-size="{size}"{more}>{indexed(text, size)}</text>')

    def formula(self, x, y, text, colour=INK, anchor="start", size=FORMULA):
        """Write a formula."""
        self.text(x, y, text, size, colour, anchor)

    def head(self, forth, back="", y=156, colour=BACK):
        """Write the formula of the way forth under the title, and that of the way back, or a remark, to its right."""
        self.formula(EDGE, y, forth, FORTH)
        if back:
            self.formula(W - EDGE, y, back, colour, "end")

    def array(self, x, y, values, colour=FORTH, cell=(100, 44), decimals=2, name="", shown=True, thick=False, framed=()):
        """Draw a matrix to scale, a cell a number, the darker the larger; return the x and y where it ends.

        shown False: no numbers, only tints. thick: a thick frame, for what is learned. framed: cells (row, column) to point at.
        Booleans are 1 or a dot. name: is kept in the file, for the tests.
        """
        values = np.atleast_2d(np.asarray(values))
        rows, columns = values.shape
        said = [[truth(v) if values.dtype == bool else number(v, decimals) for v in row] for row in values]
        largest = np.abs(np.where(np.isfinite(values), values, 0)).max() or 1
        self.parts.append(f'<g data-array="{escape(name)}">')
        for i, j in np.ndindex(rows, columns):
            share = abs(float(values[i, j])) / largest if np.isfinite(values[i, j]) else 0
            self.rect(x + j * cell[0], y + i * cell[1], *cell, mixed(colour, share), thick=1)
            if shown:
                self.text(x + (j + 0.5) * cell[0], y + i * cell[1] + cell[1] / 2 + 10, said[i][j], 28, anchor="middle", mono=True)
        self.parts.append("</g>")
        self.rect(x, y, columns * cell[0], rows * cell[1], "none", INK, 5 if thick else 2)
        for i, j in framed:
            self.rect(x + j * cell[0] + 2, y + i * cell[1] + 2, cell[0] - 4, cell[1] - 4, "none", INK, 4)
        return x + columns * cell[0], y + rows * cell[1]

    def arrow(self, points, colour=FORTH, thick=4, dashed=None, head=True):
        """Draw a line through the points, with a head at the last; dashed unless told otherwise if it is the way back."""
        dashed = colour == BACK if dashed is None else dashed
        points = [np.array(p, dtype=float) for p in points]
        way = points[-1] - points[-2]
        way, tip = way / np.sqrt((way * way).sum()), points[-1]
        if head:
            points[-1] = tip - 14 * way
        line = " ".join(f"{short(x)},{short(y)}" for x, y in points)
        dash = ' stroke-dasharray="12 8"' if dashed else ""
        self.parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{thick}"{dash}/>')
        if head:
            foot, side = tip - 20 * way, 9 * np.array([-way[1], way[0]])
            corners = " ".join(f"{short(x)},{short(y)}" for x, y in (tip, foot + side, foot - side))
            self.parts.append(f'<polygon points="{corners}" fill="{colour}"/>')

    def road(self, y, forth, back):
        """Draw the way forth and the way back across the whole picture, with the two calls of the layer's functions."""
        self.text(EDGE, y - 12, forth, 28, FORTH, mono=True)
        self.arrow([(EDGE, y), (W - EDGE, y)], FORTH)
        self.arrow([(W - EDGE, y + 16), (EDGE, y + 16)], BACK)
        self.text(W - EDGE, y + 50, back, 28, BACK, "end", mono=True)

    def svg(self):
        """Return the file's text."""
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" width="{W}" height="{H}" role="img" '
                f'font-family="{SANS}" fill="{INK}">\n<title>{escape(self.title)}</title>\n'
                f'<desc>{escape(self.sees)} A picture of nanolm, MIT licence.</desc>\n'
                f'<rect width="{W}" height="{H}" rx="16" fill="#ffffff"/>\n')
        return head + "\n".join(self.parts) + "\n</svg>\n"


def truth(value):
    """Return how a boolean is written in an array."""
    return "1" if value else "·"


def indexed(text, size):
    """Return a text as SVG, its indices smaller and lowered or raised."""
    made, at, low = "", 0, 0                                        # low: how far below the line the pen is
    for match in width.INDEX.finditer(text):
        between, shift = text[at:match.start()], round(size * (0.22 if match.group(1) == "_" else -0.36))
        if between:
            made, low = made + shifted(between, -low), 0
        made += f'<tspan font-size="{round(size * width.SMALL)}" dy="{shift - low}">{escape(match.group(2))}</tspan>'
        at, low = match.end(), shift
    return made + (shifted(text[at:], -low) if text[at:] else "")


def shifted(text, shift):
    """Return a text, moved down by `shift`."""
    return f'<tspan dy="{shift}">{escape(text)}</tspan>' if shift else escape(text)

"""Draw docs/pictures/tiny-gpt.svg: a whole GPT on one page, every number of it, forwards and backwards.

    python docs/tiny_gpt.py                     writes docs/pictures/tiny-gpt.svg
    python docs/tiny_gpt.py page.svg            writes another file

The code is that of notebooks/12_gpt2.ipynb, Step 7: the two cells whose first lines are below, up to where they use what
they define. So the page and the lesson cannot come to differ. Needs matplotlib.
"""
import io
import json
import math
import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from nanolm import params
from nanolm.layers import embedding, gelu, layernorm, linear, multihead
from nanolm.lesson import figure
from nanolm.models import gpt2

CELLS = (("# every array of a tiny GPT, forwards and backwards\n", "\n\np_tiny = "),
         ("# the picture of it, on one page\n", "\n\nfig = "))
TAG, NUMBER = re.compile(r"<[^>]*>"), re.compile(r"-?\d+\.\d+")             # the numbers of the text are between the tags


def cells():
    """Return the source of the notebook's two cells, without the lines that use them."""
    notebook = json.loads((HERE.parent / "notebooks/12_gpt2.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for first, end in CELLS:
        source, = (source for source in sources if source.startswith(first))
        yield source[:source.index(end)]


def drawing():
    """Return the page as the text of an SVG file, with letters as letters, so that it can be searched."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    layers = {"embedding": embedding, "gelu": gelu, "layernorm": layernorm, "linear": linear, "multihead": multihead}
    names = {**layers, "params": params, "figure": figure, "gpt2": gpt2, "math": math, "np": np, "plt": plt}
    for source in cells():
        exec(compile(source, "12_gpt2.ipynb", "exec"), names)  # noqa: S102 (our own notebook's cells)
    page = names["draw_tiny_gpt"](*names["tiny_gpt"](names["tiny_parameters"](), names["tiny_ids"], names["tiny_targets"]))
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tiny-gpt"}):
        out = io.StringIO()
        page.savefig(out, format="svg", metadata={"Date": None, "Title": "A whole GPT on one page"})
    return smaller(out.getvalue())


def smaller(svg):
    """Return the same drawing in about a third of the bytes: a cell is a <rect>, fonts are named once, one decimal is enough."""
    number = r"(-?[\d.]+)"
    cell = re.compile(rf'<g id="patch_\d+">\s*<path d="M {number} {number} \nL {number} {number} \nL {number} {number} \n'
                      rf'L [^"]*z\n" clip-path="[^"]*" style="fill: (#\w+); stroke: #ffffff; stroke-width: 0.6[^"]*"/>\s*</g>')

    def rect(match):
        left, bottom, right, _, _, top = (float(part) for part in match.groups()[:6])
        return (f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="{match.group(7)}" '
                f'stroke="#fff" stroke-width=".6"/>')

    svg = cell.sub(rect, svg)
    svg = re.sub(r"font-family: [^;\"]*'[^\"]*?sans-serif; ?", "", svg)
    svg = re.sub(r'(<svg [^>]*?)>', r'\1 font-family="DejaVu Sans, Verdana, Helvetica, sans-serif">', svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)
    svg = re.sub(r'<g id="text_\d+">\s*(<text[^>]*>[^<]*</text>)\s*</g>', r"\1", svg)
    head, body = svg.split("<defs>", 1)                                     # the head says which version of XML it is: leave it
    return head + "<defs>" + TAG.sub(lambda tag: NUMBER.sub(lambda m: f"{float(m.group()):.1f}", tag.group()), body)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures/tiny-gpt.svg"
    target.write_text(drawing(), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")

"""Draw the map of the package: which part may import which. Writes docs/pictures/package-map.svg.

    python docs/package_map.py

What stands in a row is written here; who imports whom and how many lines a part has are read from the files, and a part that
imported one of a higher row would stop this script. The arrows say just that: imports point downwards. The kernels stand
beside: they are twins of functions in other parts, and take their places when a program starts.

Tested    tests/test_package_map.py.
"""
import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from layer_pictures import draw  # noqa: E402 (beside this file)

ROWS = [[("cli", "the commands"), ("grading", "exercises, mistakes"), ("bench", "measured in turns")],
        [("training", "from loss to model"), ("generation", "from scores to text"), ("checkpoint", "others' weights"),
         ("gradcheck", "is it right?")],
        [("models", "GPT-2, Llama, BERT, two stacks"), ("data", "texts, batches, baselines")],
        [("layers", "a forward and a backward each"), ("text", "tokenizers")]]
BESIDE = ("kernels", "twins of the hot", "parts, in Numba")
SMALL = {"files", "params", "threads", "lesson", "__init__", "__main__"}        # helpers of a page, left out of the map


def imports(root):
    """Return {part: set of the parts that it imports}, and {part: lines of its files}."""
    found, lines = {}, {}
    for path in sorted((root / "nanolm").rglob("*.py")):
        part = path.relative_to(root / "nanolm").parts[0].removesuffix(".py")
        text = path.read_text(encoding="utf-8")
        lines[part] = lines.get(part, 0) + len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nanolm"):
                names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("nanolm.")]
            if set(names) - {part}:
                found.setdefault(part, set()).update(set(names) - {part})
    return found, lines


def upwards(found):
    """Return [(part, imported)] of the imports that would point upwards in the map."""
    row = {name: i for i, parts in enumerate(ROWS) for name, _ in parts}
    return [(part, other) for part, others in found.items() for other in others
            if part in row and other in row and row[other] < row[part]]


def picture(root=HERE.parent):
    """Return the map as a Picture. Raises ValueError if an import points upwards or a part has no place."""
    found, lines = imports(root)
    homeless = set(lines) - SMALL - {BESIDE[0]} - {name for row in ROWS for name, _ in row}
    if upwards(found) or homeless:
        raise ValueError(f"imports that point upwards: {upwards(found)}; parts without a place: {sorted(homeless)}. Mend ROWS "
                         f"or the import.")
    made = draw.Picture("package-map", "The package", "nanolm/", "A part imports only parts below it, or beside it. Read from "
                        "below: layers need nothing but NumPy.")
    for i, parts in enumerate(ROWS):
        y, w = 130 + 165 * i, (1230 - 24 * (len(parts) - 1)) / len(parts)
        for j, (name, says) in enumerate(parts):
            x = draw.EDGE + j * (w + 24)
            box(made, x, y, w, name, says, lines[name])
    made.rect(1300, 130, 260, 3 * 165 + 135, "#ffffff", draw.BACK, 3, 12, dashed=True)
    for k, (words, size) in enumerate([(BESIDE[0], 36), (BESIDE[1], 28), (BESIDE[2], 28), (f"{lines[BESIDE[0]]:,} lines", 28)]):
        made.text(1430, 330 + 60 * k, words, size, draw.BACK if k == 0 else draw.INK, "middle", mono=k == 0, bold=k == 0)
    for x in (draw.EDGE + 300, draw.EDGE + 930):
        for i in range(3):
            made.arrow([(x, 130 + 165 * i + 137), (x, 130 + 165 * (i + 1) - 4)])
    return made


def box(made, x, y, w, name, says, count):
    """Draw one part."""
    made.rect(x, y, w, 135, "#ffffff", draw.FORTH, 3, 12)
    made.text(x + w / 2, y + 46, name, 34, draw.FORTH, "middle", mono=True, bold=True)
    made.text(x + w / 2, y + 84, says, 28, anchor="middle")
    made.text(x + w / 2, y + 120, f"{count:,} lines", 28, draw.GREY, "middle")


if __name__ == "__main__":
    place = HERE / "pictures" / "package-map.svg"
    place.write_bytes(picture().svg().encode("utf-8"))
    print(place.relative_to(HERE.parent).as_posix())

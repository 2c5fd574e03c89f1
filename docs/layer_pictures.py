"""Draw the pictures of all layers for slides: docs/layers/*.svg, and the page docs/teaching/pictures.md that shows them.

    python docs/layer_pictures.py               makes all of them again, the same bytes
    python docs/layer_pictures.py attention     one or more of them, and not the page

The drawing is done by the package of the same name beside this file. Nothing but NumPy and nanolm is needed.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from layer_pictures import catalogue  # noqa: E402 (beside this file)


def main(names):
    """Write the pictures of these names, or all of them."""
    unknown = set(names) - set(catalogue.LESSONS)
    if unknown:
        sys.exit(f"there is no picture {sorted(unknown)[0]!r}. There are {', '.join(catalogue.LESSONS)}.")
    pictures = catalogue.pictures()
    for picture in pictures:
        if not names or picture.name in names:
            write(HERE / "layers" / f"{picture.name}.svg", picture.svg())
    if not names:
        write(HERE / "teaching" / "pictures.md", catalogue.page(pictures))


def write(path, text):
    """Write a text with the same line ends on every machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    print(f"{path.relative_to(HERE.parent).as_posix()}  {len(text.encode('utf-8')):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Where a file of the project is on the site, and links to it.

    nanolm/layers/softmax.py     -> reference/nanolm.layers.softmax       its docstrings and the file
    nanolm/layers/               -> reference/nanolm.layers
    notebooks/03_softmax.ipynb   -> notebooks/03_softmax
    docs/speed.md, datasets/...  -> the same place
    README.md                    -> index
    docs/equations.md            -> docs/equations                        no file: the build makes it (equations.py)
"""
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = {"docs/equations.md"}
MENTION = re.compile(r"\b((?:nanolm|notebooks|docs)/(?:[\w./-]|\\_)*[\w-]\.(?:py|ipynb|md))\b")      # of escaped text: a\_b.py
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
SPAN = re.compile(r"(?<![\[`\w])`([\w./]+\.py|notebooks/\w+\.ipynb)`(?![\]`])")
FENCE = re.compile(r"^(\s*)(```|~~~)")


def page_of(path):
    """Return the page ("reference/nanolm.layers.softmax") of a file or folder of the project, "" if it has none."""
    path = path.rstrip("/")
    if path.startswith("nanolm") and (ROOT / path).is_dir() and (ROOT / path / "__init__.py").exists():
        return "reference/" + path.replace("/", ".")
    if not (ROOT / path).is_file() and path not in MADE:
        return ""
    if path.startswith("nanolm/") and path.endswith(".py"):
        return "reference/" + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if path == "README.md":
        return "index"
    if re.fullmatch(r"(notebooks/\d\w+\.ipynb|(docs|datasets)/[\w/-]+\.md)", path):
        return path.rpartition(".")[0]
    return ""


def suffix(page):
    """Return the extension of a page's source in the folder that Sphinx reads."""
    return ".rst" if page.startswith("reference/nanolm") else ".ipynb" if page.startswith("notebooks/") else ".md"


def in_rest(text):
    """Return reStructuredText in which each file of the project that has a page is a link to it (underscores are escaped)."""
    def link(match):
        page = page_of(match.group(1).replace("\\", ""))
        return f":doc:`{match.group(1)} </{page}>`".replace("\\", "") if page else match.group(0)
    return MENTION.sub(link, text)


def in_markdown(text, at):
    """Return Markdown in which links and `code` that name files of the project lead to their pages.

    at: the page's own place in the project, "docs/tour.md". A link to a file that has no page loses its link and keeps its words.
    """
    fenced, folder, made = "", posixpath.dirname(at), []
    last = "nanolm"                                 # `layers/linear.py` and then `erf.py` beneath it

    def link(match):
        picture, words, target = match.groups()
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return match.group(0)
        full = posixpath.normpath(posixpath.join(folder, path))
        page = page_of(full)
        if picture or full.endswith((".png", ".svg")):
            return f"{picture}[{words}]({posixpath.relpath(full, folder or '.')})"
        return f"[{words}]({posixpath.relpath(page, folder or '.')}{suffix(page)}{'#' * bool(anchor)}{anchor})" if page else words

    def span(match):
        nonlocal last
        name = match.group(1)
        for full in (name, posixpath.join("nanolm", name), posixpath.join(last, name)):
            page = page_of(full)
            if page and (page.startswith("reference/") or page.startswith("notebooks/")):
                last = posixpath.dirname(full)
                return f"[`{name}`]({posixpath.relpath(page, folder or '.')}{suffix(page)})"
        return match.group(0)

    for line in text.split("\n"):
        fence = FENCE.match(line)
        if fence and (not fenced or fence.group(2) == fenced):
            fenced = "" if fenced else fence.group(2)
        elif not fenced:
            line = SPAN.sub(span, LINK.sub(link, line))
        made.append(line)
    return "\n".join(made)

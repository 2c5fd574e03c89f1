"""Lay out the folder that Sphinx reads: the project's texts at their places, and the pages that are made of it.

    index.md                     docs/site/index.md, with the table of the course
    notebooks/*.ipynb            the lessons
    docs/**/*.md, datasets/*.md  as they are, their links turned (links.py)
    reference/*.rst              a page for each module (reference.py)
    docs/equations.md            all equations, a page that is made (equations.py)
"""
import json
import shutil

import equations
import links
import reference
import terms


def lay_out(root, source):
    """Write the folder `source` from the project at `root`; return the number of pages."""
    lessons = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    for path in lessons:
        put(source / "notebooks" / path.name, notebook(path, root))
    for path in (*root.glob("docs/**/*.md"), *root.glob("datasets/*.md")):
        at = path.relative_to(root).as_posix()
        if not at.startswith(("docs/_site/", "docs/site/")):
            text = links.in_markdown(path.read_text(encoding="utf-8"), at)
            put(source / at, terms.as_glossary(text) if path.name == "glossary.md" else text)
    for path in (*root.glob("docs/pictures/*"), *root.glob("docs/layers/*.svg")):
        copy = source / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    put(source / "docs" / "equations.md", equations.page(lessons, root))
    reference.write(root, source)
    put(source / "index.md", index(root, lessons))
    return sum(1 for path in source.rglob("*") if path.suffix in (".md", ".rst", ".ipynb"))


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def notebook(path, root):
    """Return a lesson's JSON with its number in its title, the links of its text turned, the code of its pictures folded."""
    book, at = json.loads(path.read_text(encoding="utf-8")), path.relative_to(root).as_posix()
    for cell in book["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = links.in_markdown(text, at)
        elif "figure(" in text and any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            cell["metadata"]["tags"] = ["hide-input"]
    first = book["cells"][0]
    first["source"] = f"# {path.stem[:2]} {first['source'].removeprefix('# ')}"
    return json.dumps(book)


def index(root, lessons):
    """Return index.md: the page that is written, then the contents of the site."""
    text = links.in_markdown((root / "docs" / "site" / "index.md").read_text(encoding="utf-8"), "README.md")
    rows = "\n".join(f"| {path.stem[:2]} | [{equations.title(path)}](notebooks/{path.name}) |" for path in lessons)
    side = "\n".join(f"{path.stem[:2]} {equations.title(path).partition(':')[0]} <notebooks/{path.stem}>" for path in lessons)
    return text.replace("{{ lessons }}", f"| | lesson |\n|---|---|\n{rows}").replace("{{ lesson pages }}", side)

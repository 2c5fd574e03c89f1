"""A page for each module: what its docstrings say, and the file itself. And a page for each package, with its files in order.

Packages come in the order in which one may read them: layers, models, training, ...
"""
import ast
import shutil

from docstrings import sentences

PACKAGES = ("layers", "models", "training", "text", "data", "generation", "kernels", "gradcheck", "grading",
            "checkpoint", "bench", "cli")


def write(root, source):
    """Write reference/*.rst and reference/index.md into the folder that Sphinx reads."""
    folder = source / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((root / "nanolm").rglob("*.py")):
        module = name_of(path, root)
        if path.name == "__main__.py":
            continue
        (folder / f"{module}.rst").write_text(page(path, module, root), encoding="utf-8")
        copy = source / path.relative_to(root)      # what literalinclude reads
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    rows = "\n".join(f"| [`{package}`](nanolm.{package}.rst) | {first_paragraph(root / 'nanolm' / package / '__init__.py')} |"
                     for package in PACKAGES)
    (folder / "index.md").write_text(INDEX.format(rows=rows), encoding="utf-8")


INDEX = """# Reference

Every module of nanolm: its docstrings, and the file as it stands. Where to begin is told by the [tour](../docs/tour.md).

| package | what is in it |
|---|---|
{rows}

```{{toctree}}
:hidden:

nanolm
```
"""


def name_of(path, root):
    """Return "nanolm.layers.softmax" for its path."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def page(path, module, root):
    """Return the page of a module, in reStructuredText."""
    at = path.relative_to(root).as_posix()
    title = module if module == "nanolm" else module.removeprefix("nanolm.")
    shelf = path.name == "__init__.py" and module.count(".") < 2              # only packages stand in the contents at the side
    above = f" in :doc:`{module.rpartition('.')[0]}`" if module.count(".") > 1 else ""
    made = [*([] if shelf else [":orphan:", ""]), title, "=" * len(title), "", f"``{at}``{above}", ""]
    if path.name == "__init__.py":
        made += [f".. automodule:: {module}", "", *contents(path, root)]
    else:
        made += [f".. automodule:: {module}", "   :members:", ""]
    text = path.read_text(encoding="utf-8").strip()
    if text:
        made += ["The file", "--------", "", f".. literalinclude:: /{at}", "   :language: python", "   :linenos:", ""]
    return "\n".join(made)


def contents(path, root):
    """Return a list of a package's modules with their first paragraphs, and the contents for the side."""
    inside = sorted(p for p in path.parent.iterdir()
                    if (p.suffix == ".py" and not p.name.startswith("__")) or (p / "__init__.py").exists())
    if path.parent.name == "nanolm":
        inside.sort(key=lambda p: PACKAGES.index(p.name) if p.name in PACKAGES else len(PACKAGES))
    files = [p if p.suffix == ".py" else p / "__init__.py" for p in inside]
    made = []
    for file in files:
        name = name_of(file, root)
        made += [f":doc:`{name.rpartition('.')[2]} <{name}>`", f"    {sentences(first_paragraph(file))}", ""]
    shelves = [file for file in files if file.name == "__init__.py"] if path.parent.name == "nanolm" else []
    names = "\n".join(f"   {name_of(file, root).rpartition('.')[2]} <{name_of(file, root)}>" for file in shelves)
    return ["Contents", "--------", "", *made, *([".. toctree::", "   :hidden:", "", names, ""] if shelves else [])]


def first_paragraph(path):
    """Return the first paragraph of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "/")

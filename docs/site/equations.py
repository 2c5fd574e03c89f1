r"""The page of every equation: each formula of the lessons that has a label, the step that derives it, the files that cite it.

Read from the notebooks themselves: a displayed formula with \tag{S1} is the equation (S1), and the heading above it is its step.
"""
import json
import re
from pathlib import Path

import links

FORMULA = re.compile(r"\$\$(.+?)\$\$", re.S)
TAG = re.compile(r"\\tag\{(\w+)\}")
LABEL = re.compile(r"\(([A-Z]{1,2}\d{1,2}[a-z]?)\)")
HEAD = re.compile(r"^#+ +([^\n]*)", re.M)


def of_lesson(path):
    """Return [(labels, formula, heading)] of a notebook, in order; labels: those of its lines, most often one."""
    found, heading = [], ""
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        text = "".join(cell["source"])
        for match in re.finditer(rf"{HEAD.pattern}|{FORMULA.pattern}", text, re.M | re.S):
            if match.group(1):
                heading = match.group(1).strip()
            elif TAG.search(match.group(2)):
                found.append((TAG.findall(match.group(2)), match.group(2).strip(), heading))
    return found


def cited(root):
    """Return {label: [files of nanolm/ that name it]}, the grader's sentences left out."""
    files = {}
    for path in sorted((root / "nanolm").rglob("*.py")):
        at = path.relative_to(root).as_posix()
        if not at.startswith("nanolm/grading/"):
            for label in sorted(set(LABEL.findall(path.read_text(encoding="utf-8")))):
                files.setdefault(label, []).append(at)
    return files


def page(lessons, root):
    """Return the page, in Markdown; it is put beside docs/tour.md."""
    files = cited(root)
    made = ["# Every equation", "", "The formulas that the lessons derive and check by numbers, under the labels that the code's "
            "comments cite. Each leads to its step.", "",
            " ".join(f"[{path.stem[:2]}](#{anchor(chapter(path))})" for path in lessons if of_lesson(path)), ""]
    for path in lessons:
        here = of_lesson(path)
        if not here:
            continue
        made += [f"## [{chapter(path)}](../notebooks/{path.name})", ""]
        step = None
        for labels, formula, heading in here:
            if heading != step:
                made += [f"**[{heading}](../notebooks/{path.name}#{anchor(heading)})**", ""]
                step = heading
            made += [*(line for label in labels for line in (f"({label.lower()})=", "")), "$$", formula, "$$", ""]
            using = list(dict.fromkeys(file for label in labels for file in files.get(label, [])))
            if using:
                made += ["in " + ", ".join(f"[`{file.removeprefix('nanolm/')}`]({reference(file)})" for file in using), ""]
    return "\n".join(made)


def chapter(path):
    """Return "05 Layer norm: ..." of a lesson."""
    return f"{path.stem[:2]} {title(path)}"


def title(path):
    """Return the first heading of a notebook, without its #."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).split("\n")[0].removeprefix("# ")


def reference(file):
    """Return the way from this page to the page of a file of nanolm/."""
    return f"../{links.page_of(file)}.rst"


def anchor(heading):
    """Return the anchor that MyST gives a heading: GitHub's rule, its formulas left out."""
    text = re.sub(r"\$[^$]*\$", "", heading)
    return re.sub(r"[^\w\- ]", "", re.sub(r"[*`]", "", text).lower()).replace(" ", "-")

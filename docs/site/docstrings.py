"""Docstrings as pages show them: sentences become paragraphs, what is indented stays as it was set.

nanolm's docstrings are written to be read in the file: plain sentences, and indented tables and equations whose columns are
lined up. Sphinx would take them for reStructuredText. So

    a run of lines that are indented              becomes a literal block, every space kept
    "Source    Ba et al. 2016, ..."               becomes a paragraph of its own, what stands before the gap bold
    all else                                      becomes a paragraph, its special characters escaped, `code` as code
"""
import re

import links

FIELD = re.compile(r"^([A-Z][a-z]*(?: [a-z]+)?)\s{2,}(.*)")                  # Source, Tested, Errors, Left out, A file, ...
CODE = re.compile(r"`([^`\n]+)`")


def process(app, what, name, thing, options, lines):
    """Change the lines of a docstring in place; autodoc calls this for each."""
    lines[:] = rest("\n".join(lines)).split("\n")


def rest(text):
    """Return a docstring as reStructuredText."""
    made = []
    for run in runs(text.split("\n")):
        if run[0].startswith(" "):
            made += ["::", "", *(f"    {line}" for line in run), ""]
        elif FIELD.match(run[0]):
            for words in fields(run):
                made += [words, ""]
        else:
            made += [sentences(" ".join(run)), ""]
    return "\n".join(made)


def runs(lines):
    """Yield runs of lines: indented ones (with the blank lines between them), or a paragraph up to a blank line."""
    run = []
    for line in lines:
        indented = line.startswith(" ")
        if run and (not line.strip() if not run[0].startswith(" ") else line.strip() and not indented):
            yield trimmed(run)
            run = []
        if line.strip() or (run and run[0].startswith(" ")):
            if run and not run[0].startswith(" ") and indented and not FIELD.match(run[0]):
                yield trimmed(run)
                run = []
            run.append(line)
    if run:
        yield trimmed(run)


def trimmed(run):
    """Return a run without the blank lines at its end."""
    while run and not run[-1].strip():
        run = run[:-1]
    return run


def fields(run):
    """Return one paragraph for each field of a run such as "Source    ..." with its continuation lines."""
    found = []
    for line in run:
        match = FIELD.match(line)
        if match:
            found.append([match.group(1), match.group(2)])
        else:
            found[-1].append(line.strip())
    return [f"**{head}**  {sentences(' '.join(words))}" for head, *words in found]


def sentences(text):
    """Return a paragraph with its special characters escaped, `code` as code and files of the project as links."""
    parts, made = CODE.split(text), ""
    for i, part in enumerate(parts):
        if i % 2:
            made += f"``{part}``" + "\\ " * parts[i + 1][:1].isalnum()       # `strengthen`ed: reST wants a gap that is not seen
        else:
            made += links.in_rest(escaped(part))
    return made


def escaped(text):
    """Return plain text for reStructuredText."""
    return re.sub(r"([\\*_|`])", r"\\\1", text)

"""The README says what is true: its code is the source's, its examples run, its files exist."""
import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def blocks(text):
    """Return [(language, code)] of the fenced blocks."""
    return re.findall(r"```(\w*)\n(.*?)```", text, flags=re.S)


BLOCKS = blocks(README)


def without_docstrings(path):
    """Return the lines of a module's functions, from def to end, without docstrings; and its imports."""
    source = path.read_text(encoding="utf-8")
    lines, skip = source.splitlines(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            skip.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return "\n".join(line for n, line in enumerate(lines, 1) if n not in skip)


def test_the_layer_shown_is_the_source():
    shown = next(code for language, code in BLOCKS if "np.exp(y, out=y)" in code)
    assert shown.strip() == without_docstrings(ROOT / "nanolm" / "layers" / "softmax.py").strip()


def test_the_examples_run_and_print_what_is_shown(capsys):
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("gradient-check.md", "command-line.md")]
    shown = [block for page in pages for block in blocks(page)]
    python = [code for language, code in shown if language == "python"]
    assert len(python) == 2
    for code in python:
        exec(compile(code, "docs", "exec"), {})
    printed = capsys.readouterr().out.strip()
    shown = next(code for language, code in shown if language == "text" and "WRONG" in code)
    drop_numbers = re.compile(r"[-\d.e+]+")            # the last digits may differ on another processor
    assert drop_numbers.sub("#", printed) == drop_numbers.sub("#", shown.strip())


def links(text):
    return [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
def test_every_file_that_is_linked_exists(text):
    assert len(links(text)) >= 30
    for link in links(text):
        assert (ROOT / link).exists(), link


def test_the_course_lists_each_lesson_with_its_minutes():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        minutes = re.search(r"In (?:about )?(\d+) minutes", first).group(1)
        for text in (README, CHINESE):
            assert re.search(rf"^\| \[{path.stem[:2]} [^|]*\]\(notebooks/{path.name}\) \| {minutes} \|", text, re.M), path.name


def test_the_chinese_readme_says_the_same():
    """The same files, the same commands, the same code, the same numbers; in Chinese."""
    assert set(links(README)) - {"README.zh-CN.md"} == set(links(CHINESE)) - {"README.md"}
    assert [code for _, code in BLOCKS] == [code for _, code in blocks(CHINESE)]
    assert len(re.findall(r"[\u4e00-\u9fff]", CHINESE)) > 800
    numbers = re.compile(r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d(?![\w.])")
    table = [line for line in README.split("\n") if line.startswith("| ") and "](notebooks" not in line]
    theirs = [line for line in CHINESE.split("\n") if line.startswith("| ") and "](notebooks" not in line]
    assert [sorted(numbers.findall(line)) for line in table] == [sorted(numbers.findall(line)) for line in theirs]


def test_there_is_one_command_for_each_of_the_two():
    commands = re.findall(r"^python3 -m venv .*$", README, flags=re.M)
    assert [command.split("/")[-1] for command in commands] == ["nanolm train", "pytest"]

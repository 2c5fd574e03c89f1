"""The README says what is true: its code is the source's, its examples run, its files exist."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.S)


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
    python = [code for language, code in BLOCKS if language == "python" and "np.exp(y, out=y)" not in code]
    assert len(python) == 2
    for code in python:
        exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out.strip()
    shown = next(code for language, code in BLOCKS if language == "text" and "WRONG" in code)
    drop_numbers = re.compile(r"[-\d.e+]+")            # the last digits may differ on another processor
    assert drop_numbers.sub("#", printed) == drop_numbers.sub("#", shown.strip())


def test_every_file_that_is_linked_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert len(links) >= 6
    for link in links:
        assert (ROOT / link).exists(), link


def test_there_is_one_command_for_each_of_the_two():
    commands = re.findall(r"^python3 -m venv .*$", README, flags=re.M)
    assert [command.split("/")[-1] for command in commands] == ["nanolm train", "pytest"]

"""Every file of the project that a sentence of it names is there: docstrings, notebooks, docs, README."""
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
NAMED = re.compile(r"(?<![\w/.-])((?:nanolm|tests|notebooks|docs|datasets|kernels|layers|models|training|generation|gradcheck|bench|data|text|cli)"
                   r"/[\w/.-]*\w\.(?:py|ipynb|md|png|svg))(?![\w/])")
MADE = {"docs/equations.md"}                         # by docs/build.py, for the site alone
FILES = [path for pattern in ("README*.md", "docs/*.md", "docs/teaching/*.md", "docs/*.py", "docs/site/*.py", "datasets/*.md", "nanolm/**/*.py", "notebooks/*.ipynb",
                                "notebooks/*.py")
         for path in sorted(TOP.glob(pattern))]


def test_files_were_found():
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_named_files_exist(path):
    for name in set(NAMED.findall(path.read_text(encoding="utf-8"))) - MADE:
        assert any((folder / name).exists() for folder in (TOP, TOP / "nanolm", TOP / "docs")), f"there is no {name}"

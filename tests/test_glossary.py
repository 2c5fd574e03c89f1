"""docs/glossary.md: every letter of the layers is there, every term has its Chinese one, and every link leads somewhere."""
import ast
import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
TEXT = GLOSSARY.read_text(encoding="utf-8")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ANCHOR = re.compile(r'<a id="([^"]*)"></a>')
AXIS = re.compile(r"\d*([A-Z](?: [A-Z])*)(?:/\d)?")         # T, 3C, H D, D/2


def rows(part):
    """Return the table below the heading that starts so: lists of three cells."""
    section = TEXT.split(f"\n## {part}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def letters_of_shapes():
    """Return the capitals that name axes in the shapes, such as (B, T, C), of the layers' docstrings and comments."""
    found = set()
    for path in sorted((ROOT / "nanolm" / "layers").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        texts = re.findall(r"#(.*)", source)
        texts += [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Module, ast.FunctionDef))]
        for shape in re.findall(r"\(([^()]*)\)", "\n".join(texts)):
            found |= axes(shape)
    return found


def axes(shape):
    """Return the letters of "B, T, 3C"; none if it is not a shape, as "x, rate" is not."""
    items = [item.strip() for item in shape.rstrip(",").split(",")]
    matches = [AXIS.fullmatch(item) for item in items]
    if not all(match or item == "..." or item.isdigit() for match, item in zip(matches, items)):
        return set()
    return {letter for match in matches if match for letter in match.group(1).split()}


LETTERS, TERMS, INDEX = rows("Letters"), rows("Terms"), rows("中文索引")


def anchor_of(row):
    return ANCHOR.search(row[0]).group(1)


def test_a_shape_is_read_as_one():
    assert axes("B, T, 3C") == {"B", "T", "C"} and axes("..., T, D/2") == {"T", "D"} and axes("C, H D") == {"C", "H", "D"}
    assert axes("P, dropout, rng") == set() and axes("MF2") == set() and axes("x @ W") == set()


def test_the_tables_are_there_and_have_three_columns():
    assert len(LETTERS) >= 40 and len(TERMS) >= 120 and len(INDEX) >= len(TERMS)
    for row in LETTERS + TERMS + INDEX:
        assert len(row) == 3 and all(row), row


def test_every_file_that_is_linked_exists():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
    assert len(links) >= len(LETTERS) + len(TERMS)
    missing = sorted({link for link in links if not (GLOSSARY.parent / link).exists()})
    assert not missing


@pytest.mark.parametrize("row", LETTERS + TERMS, ids=anchor_of)
def test_each_entry_has_chinese_and_leads_to_a_lesson(row):
    assert CHINESE.search(row[2])
    assert not CHINESE.search(row[1])
    assert re.search(r"\]\((\.\./notebooks/\d\d_\w+\.ipynb|[\w-]+\.md)\)$", row[1])


def test_the_letters_of_the_layers_are_explained():
    explained = {letter for row in LETTERS for letter in re.findall(r"`([A-Z])`", row[0])}
    letters = letters_of_shapes()
    assert {"B", "T", "S", "C", "H", "D", "F", "V", "N", "G", "M", "E", "I", "O"} <= letters
    assert letters <= explained


def test_anchors_are_unique():
    anchors = ANCHOR.findall(TEXT)
    assert len(anchors) == TEXT.count('id="')
    assert len({anchor.lower() for anchor in anchors}) == len(anchors)
    assert all(ANCHOR.search(row[0]) for row in LETTERS + TERMS)


def test_links_within_the_page_lead_to_anchors():
    targets = re.findall(r'href="#([^"]*)"', TEXT)
    assert len(targets) >= len(INDEX)
    assert set(targets) <= set(ANCHOR.findall(TEXT))
    assert "](#" not in TEXT                            # the site's builder knows no HTML anchors in Markdown's own links


def test_the_terms_are_in_alphabetical_order():
    names = [re.sub(r"[^a-z0-9 ]", "", ANCHOR.sub("", row[0]).lower().replace("-", " ")) for row in TERMS]
    assert names == sorted(names)


def test_the_index_is_that_of_the_terms():
    terms = {anchor_of(row): row for row in TERMS}
    listed = {}
    for chinese, _, english in INDEX:
        target, name = re.fullmatch(r'<a href="#([^"]+)">(.+)</a>', english).groups()
        assert name == ANCHOR.sub("", terms[target][0])
        listed.setdefault(target, set()).add(ANCHOR.sub("", chinese))
    for anchor, row in terms.items():
        assert listed.get(anchor) == set(re.sub(r"（[^）]*）$", "", row[2]).split(" / ")), row[0]


def test_the_index_is_sorted_by_pinyin():
    plain = [without_tones(row[1]) for row in INDEX]
    assert plain == sorted(plain)
    for chinese, pinyin, _ in INDEX:                    # a syllable for each character
        characters = len(CHINESE.findall(chinese))
        words = re.findall(r"[^\u4e00-\u9fff\s]+", ANCHOR.sub("", chinese).replace("器-解", "器 解"))
        assert len(pinyin.split()) == characters + len(words), chinese


def without_tones(pinyin):
    return "".join(c for c in unicodedata.normalize("NFD", pinyin.lower()) if not unicodedata.combining(c))

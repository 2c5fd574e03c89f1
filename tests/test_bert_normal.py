"""BERT's normalisation: what becomes of characters, words, where they stood; the tables against unicodedata."""
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm.text import bert_normal, ranges, splitter, unicode_bert

ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))      # lone surrogates and NUL too
MARKS = st.text(st.sampled_from("ae \u00e9\u0301\u0316\u034f\u05b0\u302e\u302f\u08d4\u1b44\u0f71\U0001d165\U0001d16e\x85"))
WAYS = [(True, None), (False, None), (True, False), (False, True)]


@pytest.mark.parametrize("s, words", [
    ("It\u2019s  CAF\u00c9\u4e2d!", ["it", "\u2019", "s", "cafe", "\u4e2d", "!"]),       # the example of the docstring
    ("", []), (" \t\n\r\u00a0\u3000\u2028", []), ("a\tb\nc\u00a0d\u3000e\u2003f", list("abcdef")),
    ("a\x00b\x07c\u200bd\ufeffe\ufffdf\ue000g\u00adh", ["abcdefgh"]),                    # controls go, and join
    ("a\x0bb\x0cc\x1cd\x85e", ["abcde"]),                                                # white space elsewhere, controls here
    ("don't stop-me @ 3.50$+2", ["don", "'", "t", "stop", "-", "me", "@", "3", ".", "50", "$", "+", "2"]),
    ("\u4e2d\u6587ab\u3042\u3044\uac00", ["\u4e2d", "\u6587", "ab\u3042\u3044\u1100\u1161"]),   # kana and hangul stay together
    ("\u00c5ngstr\u00f6m \u212b A\u030a a\u0301\u0323", ["angstrom", "a", "a", "a"]),
    ("\u03a3\u039f\u03a6\u039f\u03a3 \u0130I \u1e9e \u00d8", ["\u03c3\u03bf\u03c6\u03bf\u03c3", "ii", "\u00df", "\u00f8"]),
    ("a\u2260b\u037ec", ["a", "=", "b", ";", "c"]),                                      # punctuation that NFD brings out
    ("\u0301\u0301", []), ("\ud800a\udfff", ["a"]), ("\U0001f600 ok", ["\U0001f600", "ok"]),
    ("\U0002b820x\U0002b920x", ["\U0002b820x", "\U0002b920", "x"]),                      # the gap in CHINESE
])
def test_uncased_by_hand(s, words):
    assert bert_normal.words(s) == words


@pytest.mark.parametrize("lowercase, strip, words", [
    (True, None, ["cafe", "ii", "e"]), (False, None, ["CAF\u00c9", "\u0130I", "e\u0301"]),
    (True, False, ["caf\u00e9", "i\u0307i", "e\u0301"]), (False, True, ["CAFE", "II", "e"])])
def test_cased_and_accents(lowercase, strip, words):
    assert bert_normal.words("CAF\u00c9 \u0130I e\u0301", lowercase, strip) == words


def test_marks_that_stay_are_sorted():
    """Classes: U+08D4 230, U+302E 224, U+1B44 9. What is stripped separates only if its class is 0."""
    high, middle, low = "\u08d4", "\u302e", "\u1b44"
    assert bert_normal.words(f"a{high}{low}{middle}") == [f"a{low}{middle}{high}"]
    assert bert_normal.words(f"a{high}\u0301{low}") == [f"a{low}{high}"]                 # U+0301 has class 230
    assert bert_normal.words(f"a{high}\u034f{low}") == [f"a{high}{low}"]                 # U+034F has class 0: a wall
    assert bert_normal.words(f"a{high}b{low}") == [f"a{high}b{low}"]
    assert bert_normal.words(f"a{high}{low}", lowercase=False) == [f"a{high}{low}"]      # no NFD, no sorting


@pytest.mark.parametrize("lowercase, strip", WAYS)
@given(st.one_of(ANY_STR, MARKS, st.text("aB \u00e9.")))
def test_places(lowercase, strip, s):
    """The words with places are the words, and each character comes from its place."""
    found = bert_normal.words_with_places(s, lowercase, strip)
    assert [word for word, _ in found] == bert_normal.words(s, lowercase, strip)
    for word, places in found:
        assert len(word) == len(places)
        for character, place in zip(word, places):
            made = bert_normal.pieces(s[place], lowercase, lowercase if strip is None else strip)
            assert character in "".join(piece for piece, _ in made)


@given(st.one_of(ANY_STR, MARKS), st.integers(1, 9))
def test_a_text_may_be_cut_at_ends(s, size):
    parts = list(splitter.cut(s, size, bert_normal.ENDS))
    assert "".join(parts) == s and [word for part in parts for word in bert_normal.words(part)] == bert_normal.words(s)


@given(st.text("aB \u00e9\u4e2d.\u0301"))
def test_a_second_time_changes_nothing(s):
    once = bert_normal.words(s)
    assert bert_normal.words(" ".join(once)) == once


def test_the_table_forgets(monkeypatch):
    monkeypatch.setattr(bert_normal, "TABLE_SIZE", 3)
    table = bert_normal._Table(True, True)
    assert "ABCD\u00c9FGB".translate(table) == "abcdefgb" and len(table) <= 3


def test_the_tables_against_this_pythons_unicode():
    """Counts, and categories where this Python knows the character: a table may be older than it, never otherwise."""
    tables = {name: ranges.code_points(getattr(unicode_bert, name)) for name in
              ("REMOVED", "MARKS", "PUNCTUATION", "CHINESE", "DECOMPOSED")}
    assert {name: len(found) for name, found in tables.items()} == {
        "REMOVED": 139729, "MARKS": 1567, "PUNCTUATION": 726, "CHINESE": 81264, "DECOMPOSED": 13232}
    assert all(found == sorted(set(found)) for found in tables.values())
    category = {c: unicodedata.category(chr(c)) for c in range(0x110000)}
    assert {c for c in tables["REMOVED"] if category[c][0] != "C"} == {0xFFFD}
    assert {c for c in tables["MARKS"] if category[c] != "Mn"} <= {0x1734, 0x1171E}      # Unicode 14 and 16 changed them
    assert {c for c in tables["PUNCTUATION"] if category[c][0] != "P"} == {*map(ord, "$+<=>^`|~"), 0x166D, 0x111C9}
    assert all(unicodedata.normalize("NFD", chr(c)) != chr(c) for c in tables["DECOMPOSED"])
    for c in range(0x300, 0x370):                                            # the accents of Europe, all of them
        assert c in tables["MARKS"]
    assert all(c in tables["PUNCTUATION"] for c in range(33, 127) if not chr(c).isalnum())
    lower = bert_normal._lower_case()
    assert len(lower) == 1488
    for capital, small in lower.items():
        if category[ord(capital)] != "Cn" and category[ord(small[0])] != "Cn":
            assert small == capital.lower(), hex(ord(capital))
    assert all(chr(c).lower() == lower.get(chr(c), chr(c)) for c in range(0x1C89))       # Unicode 16 added U+1C89
    for number, table in unicode_bert.CLASSES.items():
        assert all(unicodedata.combining(chr(c)) == number for c in ranges.code_points(table))

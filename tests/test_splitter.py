"""How text is cut before BPE: the byte alphabet, the classes of characters, GPT-2's regular expression."""
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nanolm.text import byte_alphabet, ranges, splitter, unicode16

ANY_STR = st.text(st.one_of(st.characters(), st.integers(0xD800, 0xDFFF).map(chr)))      # lone surrogates and NUL too
TRICKY = st.text(st.sampled_from(list("aZ\u00e9\u4e2d1\u00b2\u0663.'-\u2019 \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"
                                      "\u2003\u2028\u200b\u200d\ufeff\u0301\ufe0f\U0001f600\ue000\ud800\x00stvrelmd"
                                      "!S\U00011de3")))


# ---- byte_alphabet.py

def test_byte_alphabet():
    assert sorted(byte_alphabet.ORDER) == list(range(256)) and len(set(byte_alphabet.SYMBOLS)) == 256
    assert byte_alphabet.show(b"Hi \n\x00\xad\xff!") == "Hi\u0120\u010a\u0100\u0143\u00ff!"
    assert byte_alphabet.ORDER[:2] == [33, 34] and byte_alphabet.ORDER[188:190] == [0, 1]
    assert all(symbol.isprintable() and symbol != " " for symbol in byte_alphabet.SYMBOLS)


# ---- unicode16.py and splitter.py

def test_unicode_classes():
    spaces, letters, numbers = map(ranges.code_points, (unicode16.SPACES, unicode16.LETTERS, unicode16.NUMBERS))
    assert (len(spaces), len(letters), len(numbers)) == (25, 141028, 1911)
    classes = [set(spaces), set(letters), set(numbers)]
    assert len(set.union(*classes)) == 25 + 141028 + 1911                    # no code point twice
    assert {chr(c) for c in spaces} == {chr(c) for c in range(0x110000) if chr(c).isspace()} - set("\x1c\x1d\x1e\x1f")
    newer = float(unicodedata.unidata_version.rsplit(".", 1)[0]) > 16        # than the table
    for table, kind in ((classes[1], "L"), (classes[2], "N")):
        for c in range(0x110000):
            category = unicodedata.category(chr(c))
            if category == "Cn":
                continue                                                     # or this Python is older
            if c in table:
                assert category[0] == kind, hex(c)
            elif not newer:
                assert category[0] != kind, hex(c)


@pytest.mark.parametrize("s, pieces", [
    ("It's 3 o'clock:  go", ["It", "'s", " 3", " o", "'", "clock", ":", " ", " go"]),
    ("", []), (" ", [" "]), ("   ", ["   "]), ("a  ", ["a", "  "]), ("  a", [" ", " a"]), ("\n\na", ["\n", "\n", "a"]),
    ("don't DON'T", ["don", "'t", " DON", "'", "T"]), ("he's I'd I'm", ["he", "'s", " I", "'d", " I", "'m"]),
    ("they're", ["they", "'re"]), ("we'll've", ["we", "'ll", "'ve"]), ("''s", ["''", "s"]),
    ("x'", ["x", "'"]), (" 's", [" '", "s"]), ("a1b2", ["a", "1", "b", "2"]), ("12 345", ["12", " 345"]),
    ("e\u0301a", ["e", "\u0301", "a"]),                                      # a combining accent is no letter
    ("a\x1cb", ["a", "\x1c", "b"]), (" \x1c", [" \x1c"]),                    # not a space, whatever `re` says
    ("a\x85b", ["a", "\x85", "b"]), ("a\xa0b", ["a", "\xa0", "b"]), (" \u200b ", [" \u200b", " "]),
    ("x\u00b2\u0663", ["x", "\u00b2\u0663"]), (" \u4e2d\u6587", [" \u4e2d\u6587"]),
    (" \u088f", [" \u088f"]), ("a\u088fb", ["a", "\u088f", "b"]),            # a letter in Unicode 17, not in 16
    ("a\ud800\ue000", ["a", "\ud800\ue000"]),
])
def test_split_by_hand(s, pieces):
    assert splitter.split(s) == pieces


@pytest.mark.parametrize("kind, s, pieces", [
    ("smollm", "  in 1999", [" ", " in", " ", "1", "9", "9", "9"]), ("smollm", "   7", ["   ", "7"]),
    ("smollm", "a1's 2", ["a", "1", "'s", " ", "2"]), ("smollm", "x\u00b2\u0663", ["x", "\u00b2", "\u0663"]),
    ("smollm", "\U00011de3\U00011de4 ", ["\U00011de3", "\U00011de4", " "]),         # digits in Unicode 17
    ("smollm", "It's  ok.\n\nOk", ["It", "'s", " ", " ok", ".", "\n", "\n", "Ok"]),
    ("llama3", "  in 1999", [" ", " in", " ", "199", "9"]), ("llama3", "a1234567", ["a", "123", "456", "7"]),
    ("llama3", "(see) IT'S \"so\"", ["(see", ")", " IT", "'S", " \"", "so", "\""]),
    ("llama3", "ok!\n\n  x \n y", ["ok", "!\n\n", " ", " x", " \n", " y"]), ("llama3", "a \u00a0", ["a", " \u00a0"]),
    ("llama3", "it'\u017fab", ["it", "'\u017f", "ab"]), ("llama3", "a\tb\rc", ["a", "\tb", "\r", "c"]),
    ("gpt2", "(see) IT'S 1999", ["(", "see", ")", " IT", "'", "S", " 1999"])])
def test_other_kinds_by_hand(kind, s, pieces):
    assert splitter.split(s, kind) == pieces


@pytest.mark.parametrize("kind", splitter.KINDS)
def test_ascii_is_split_by_either_expression_alike(kind):
    everything = "".join(a + b + c for a in map(chr, range(128)) for b in " 'a1.\n" for c in map(chr, range(128)))
    for_ascii, for_any, _ = splitter.expressions(kind)
    assert for_ascii.findall(everything) == for_any.findall(everything)


@pytest.mark.parametrize("kind", splitter.KINDS)
@given(st.one_of(ANY_STR, TRICKY), st.integers(1, 20))
@example("a!\n\nb! \n", 1)
def test_split_loses_nothing_and_stretches_change_nothing(kind, s, size):
    assert "".join(splitter.split(s, kind)) == s
    parts = list(splitter.stretches(s, size, kind))
    assert "".join(parts) == s and all(len(part) >= size for part in parts[:-1])
    assert [word for part in parts for word in splitter.split(part, kind)] == splitter.split(s, kind)


def test_stretches_are_short_where_there_are_spaces():
    assert max(map(len, splitter.stretches("ten chars " * 10000))) <= splitter.STRETCH + 10

"""Any text on any console: no UnicodeEncodeError, no orders to the terminal, nothing escaped without need."""
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolm.generation import console


@given(st.text(),
       st.sampled_from(["utf-8", "ascii", "cp1252", "cp437", "latin-1", "utf-16", "cp932", "no-such-encoding"]))
def test_any_text_reaches_any_console(s, encoding):
    shown = console.printable(s, encoding)
    shown.encode("ascii" if encoding == "no-such-encoding" else encoding)
    assert not any(ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160 for c in shown)
    if s.isascii() and s.isprintable():
        assert shown == s                                               # nothing is escaped without need


@pytest.mark.parametrize("encoding, expected", [
    ("utf-8", "\u20ac\u00e9 \\x1b[2J\\x0d \U0001f600 \\ud800\n\t."),
    ("cp1252", "\u20ac\u00e9 \\x1b[2J\\x0d \\U0001f600 \\ud800\n\t."),
    ("ascii", "\\u20ac\\xe9 \\x1b[2J\\x0d \\U0001f600 \\ud800\n\t.")])
def test_what_is_escaped(encoding, expected):
    assert console.printable("\u20ac\u00e9 \x1b[2J\r \U0001f600 \ud800\n\t.", encoding) == expected


def test_write_goes_to_the_stream_at_once(capsys):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", newline="")
    console.write("\U0001f600\u20ac", stream)
    assert raw.getvalue() == b"\\U0001f600\x80"                         # flushed: the bytes are there before close
    console.write("ok\n")
    assert capsys.readouterr().out == "ok\n"
    memory = io.StringIO()                                              # has no encoding
    console.write("\u20ac", memory)
    assert memory.getvalue() == "\u20ac"

r"""Write any text to any console: what it cannot show, or must not obey, is escaped; never a UnicodeEncodeError.

A model may produce any Unicode character. A console has an encoding (UTF-8, but also cp1252, cp437, ASCII) and may have
no such character; Python then raises UnicodeEncodeError, in the middle of a long run. And a control character is an
order to the terminal: ESC can clear the screen or change the window's title, a carriage return overwrites the line.

    a character the encoding has no bytes for        its code: \xe9, \u20ac, \U0001f600
    a control character other than \n and \t         its code: \x1b, \r as \x0d

Tested    tests/test_console.py.
"""
import re
import sys

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")       # C0 without \t and \n, DEL, C1


def printable(text, encoding="utf-8"):
    """Return text with every character that `encoding` lacks, and every control character but \\n and \\t, escaped.

    An encoding that Python does not know counts as ASCII.
    """
    text = CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")


def write(text, stream=None):
    """Write text to a text stream (sys.stdout by default) at once, so that streamed text is seen as it comes."""
    stream = sys.stdout if stream is None else stream
    stream.write(printable(text, getattr(stream, "encoding", None) or "utf-8"))
    stream.flush()

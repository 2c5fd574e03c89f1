r"""Cut text into pre-tokens, the pieces that BPE never joins: roughly words, each with the space before it.

Without this step BPE would learn "dog.", "dog!" and "dog?" as three tokens, and a corpus would be one word of millions
of bytes. GPT-2 cuts with one regular expression. At each place the first alternative that fits is taken:

    '(?:[sdmt]|ll|ve|re)     an English ending: 's 'd 'm 't 'll 've 're, in lower case and with the straight apostrophe
     ?\p{L}+                 letters, with one space before them if there is one
     ?\p{N}+                 numbers, likewise
     ?[^\s\p{L}\p{N}]+       anything else that is not a space, likewise
    \s+(?!\S)                spaces, but without the last one if a word follows: that one belongs to the word
    \s+                      whatever spaces are left

    "It's 3 o'clock:  go"    ->  "It" "'s" " 3" " o" "'" "clock" ":" " " " go"

The pieces joined are the text, always: every character is a space, a letter, a number or none of these.

Which characters those are is written out in unicode16.py, so that Python's own `re` gives the same pieces as tiktoken
on any Unicode, whichever Python runs it. What \s means to `re` is not used: it takes U+001C to U+001F as well.

Most text is ASCII, where the classes are short, and the same expression built with them runs six times as fast
(30 MB/s against 5). So there are two, and each stretch of some thousand characters is cut by the one that fits it.

Source    Radford and others 2019, GPT-2, encoder.py.   Tested  tests/test_splitter.py, tests/peers/test_tiktoken.py.
"""
import re

from nanolm.text import unicode16

STRETCH = 2000              # characters that are cut at a time: few enough that most stretches are all ASCII


def _ranges(table):
    """Return "41-5A AA" as the inside of a regular expression's [...]: \U00000041-\U0000005A\U000000AA."""
    return "-".join([f"\\U{int(code, 16):08X}" for code in table.split("-")])


def _class(table):
    return "".join([_ranges(entry) for entry in table.split()])


def _pattern(space, letter, number):
    return re.compile(rf"'(?:[sdmt]|ll|ve|re)| ?[{letter}]+| ?[{number}]+| ?[^{space}{letter}{number}]+"
                      rf"|[{space}]+(?![^{space}])|[{space}]+")


_SPACE = _class(unicode16.SPACES)
UNICODE = _pattern(_SPACE, _class(unicode16.LETTERS), _class(unicode16.NUMBERS))
ASCII = _pattern(r"\t-\r ", "A-Za-z", "0-9")
_WORD_ENDS = re.compile(rf"[^{_SPACE}](?=[{_SPACE}])")


def split(text):
    """Return the pre-tokens of the str `text`, a list of strs that joined are the text."""
    return (ASCII if text.isascii() else UNICODE).findall(text)


def stretches(text, size=STRETCH):
    """Yield `text` in stretches of `size` characters or somewhat more, cut where two pre-tokens meet in any case.

    split of the stretches, one after the other, is split of the whole: memory stays small however long the text. The
    safe place is before a space that follows something else. No pre-token goes across it, for a space is only ever
    the start of one; nothing before it looks past it, and nothing after it looks back.
    """
    start = 0
    while start < len(text):
        end = _WORD_ENDS.search(text, start + size - 1)
        end = end.end() if end else len(text)
        yield text[start:end]
        start = end

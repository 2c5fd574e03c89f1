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

Later models changed this a little, mostly for numbers, which are easier to add up if they are not cut at random:

    kind      "  in 1999"                   numbers             what else is not as with GPT-2
    gpt2      " " " in" " 1999"             in one piece
    smollm    " " " in" " " "1" "9" "9" "9" each digit alone    spaces before a digit all stay together
    llama3    " " " in" " " "199" "9"       three digits each   endings in any case; letters take one sign before them,
                                                                "(see"; signs take the line's end after them, "!\n";
                                                                line ends stay with the spaces before them

Which characters those are is written out in unicode16.py, so that Python's own `re` gives the same pieces as tiktoken
on any Unicode, whichever Python runs it. What \s means to `re` is not used: it takes U+001C to U+001F as well.

Most text is ASCII, where the classes are short, and the same expression built with them runs six times as fast
(30 MB/s against 5). So there are two, and each stretch of some thousand characters is cut by the one that fits it.

Source    Radford and others 2019, GPT-2, encoder.py; SmolLM2's and Llama 3's tokenizer.json (pre_tokenizer).
Tested    tests/test_splitter.py, tests/peers/test_tiktoken.py, tests/peers/test_bpe_tokenizers.py.
"""
import functools
import re

from nanolm.text import ranges, unicode16

STRETCH = 2000              # characters that are cut at a time: few enough that most stretches are all ASCII
KINDS = ("gpt2", "smollm", "llama3")

# The digits that "smollm" takes apart are those of Unicode 17, 13 more than unicode16.NUMBERS: in Hugging Face's
# tokenizers Rust itself says what a digit is, whereas the letters and numbers of its expressions are of Unicode 16.
DIGITS = unicode16.NUMBERS + " 11DE0-11DE9 16FF4-16FF6"


def _gpt2(space, letter, number, _):
    return re.compile(rf"'(?:[sdmt]|ll|ve|re)| ?[{letter}]+| ?[{number}]+| ?[^{space}{letter}{number}]+"
                      rf"|[{space}]+(?![^{space}])|[{space}]+")


def _smollm(space, letter, number, digit):
    # Two steps in one: digits apart, then GPT-2's expression on what is between them. To the second step a digit is the
    # end of the text, and so (?!\S) holds before one. No number is left to it: all are digits.
    return re.compile(rf"[{digit}]|'(?:[sdmt]|ll|ve|re)| ?[{letter}]+| ?[^{space}{letter}{digit}]+"
                      rf"|[{space}]+(?![^{space}{digit}])|[{space}]+")


def _llama3(space, letter, number, _):
    # Regardless of case, the long s of old print, U+017F, is an s too. It is the only other letter that folds to one of these.
    return re.compile(rf"'(?:[sdmtSDMT\u017f]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n{letter}{number}]?[{letter}]+|[{number}]{{1,3}}"
                      rf"| ?[^{space}{letter}{number}]+[\r\n]*|[{space}]*[\r\n]+|[{space}]+(?![^{space}])|[{space}]+")


_SPACE = ranges.character_class(unicode16.SPACES)
_UNICODE_CLASSES = [_SPACE, *map(ranges.character_class, (unicode16.LETTERS, unicode16.NUMBERS, DIGITS))]
_ASCII_CLASSES = [r"\t-\r ", "A-Za-z", "0-9", "0-9"]


@functools.cache
def expressions(kind):
    """Return three regular expressions of a kind: the pieces of ASCII text, those of any text, and safe ends (`cut`)."""
    if kind not in KINDS:
        raise ValueError(f"there is no way to split text called {kind!r}. Choose one of: {', '.join(KINDS)}.")
    pattern = {"gpt2": _gpt2, "smollm": _smollm, "llama3": _llama3}[kind]
    space, letter, number, _ = _UNICODE_CLASSES
    # A space after anything else begins a piece, but in Llama 3's way "!" takes the line's end after it; not so a letter.
    before = f"[{letter}{number}]" if kind == "llama3" else f"[^{space}]"
    return pattern(*_ASCII_CLASSES), pattern(*_UNICODE_CLASSES), re.compile(f"{before}(?=[{space}])")


ASCII, UNICODE, _ = expressions("gpt2")


def split(text, kind="gpt2"):
    """Return the pre-tokens of the str `text`, a list of strs that joined are the text."""
    for_ascii, for_any, _ = expressions(kind)
    return (for_ascii if text.isascii() else for_any).findall(text)


def stretches(text, size=STRETCH, kind="gpt2"):
    """Yield `text` in stretches of `size` characters or somewhat more, cut where two pre-tokens meet in any case.

    split of the stretches, one after the other, is split of the whole: memory stays small however long the text. The
    safe place is before a space that follows something else. No pre-token goes across it, for a space is only ever
    the start of one; nothing before it looks past it, and nothing after it looks back.
    """
    return cut(text, size, expressions(kind)[2])


def cut(text, size, ends):
    """Yield `text` in stretches of `size` characters or more, each but the last cut where the expression `ends` ends."""
    start = 0
    while start < len(text):
        end = ends.search(text, start + size - 1)
        end = end.end() if end else len(text)
        yield text[start:end]
        start = end

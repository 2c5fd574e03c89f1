r"""BERT's way to cut text into words: clean it, lower its case, strip its accents, split at spaces and punctuation.

WordPiece has no bytes to fall back on: a character that its vocabulary lacks makes the whole word [UNK]. So the text is
made plain first, and much is thrown away. Step by step, for "It\u2019s  CAF\u00c9\u4e2d!":

    1. clean       controls, U+0000 and U+FFFD go; every white space becomes a space
    2. Chinese     an ideograph gets a space on both sides: these languages write no spaces
    3. accents     NFD writes an e acute as e and a combining accent; then the accents (MARKS) go            uncased only
    4. lower case  character by character: the Greek sigma at the end of a word is no exception              uncased only
    5. split       at spaces, which go, and before and after each punctuation character, which stays

    ->  "it" "\u2019" "s" "cafe" "\u4e2d" "!"

Each step looks at one character alone. So a table from a character to what becomes of it does all five, with a space
around what stands alone, and words are what is left between spaces: 1 pass in C, by str.translate. The table fills as
characters come.

One thing is not done character by character: NFD also sorts a run of combining marks by their class, so that
what looks the same is the same. Accents that go leave no trace of their order. But 83 marks stay (unicode_bert.CLASSES):
Unicode called them marks after BERT's tables were made, or they take space. Where one turns up, the text is done again
by `pieces`, the slow way, which also remembers for each character where it came from.

Uncased means lower case and stripped accents; cased, neither. strip_accents alone may be set to the other.

Source    Devlin and others 2019, BERT, tokenization.py (BasicTokenizer), in the order of Hugging Face's BertNormalizer.
Tested    tests/test_bert_normal.py; tests/peers/test_wordpiece_tokenizers.py against tokenizers.
"""
import functools
import re
import unicodedata
from itertools import groupby

from nanolm.text import ranges, unicode16, unicode_bert

TABLE_SIZE = 1 << 14        # characters that a table remembers; then it starts anew: a text with all of Unicode stays cheap

_SPACES = ranges.character_class(unicode16.SPACES)
_BLANKS = ranges.character_class("9-A D 20 3000")
ENDS = re.compile(f"[^{_SPACES}](?=[{_BLANKS}])")           # where a text may be cut in two: splitter.cut


def words(text, lowercase=True, strip_accents=None):
    """Return the words of the str `text`, a list of strs without spaces. strip_accents=None: if lowercase."""
    strip = lowercase if strip_accents is None else strip_accents
    result = text.translate(_table(lowercase, strip))
    if strip and _must_be_sorted(result):
        result = "".join([piece for piece, _ in pieces(text, lowercase, strip)])
    return result.split()


def words_with_places(text, lowercase=True, strip_accents=None):
    """Return [(word, places)]: the same words, and for each character of a word its index in `text`, a list of int."""
    strip = lowercase if strip_accents is None else strip_accents
    table = _table(lowercase, strip)
    made = [(table[ord(character)], i) for i, character in enumerate(text)]
    if strip and _must_be_sorted(text.translate(table)):
        made = pieces(text, lowercase, strip)
    result, word, places = [], [], []
    for piece, index in [*made, (" ", len(text))]:
        for character in piece:
            if character != " ":
                word.append(character)
                places.append(index)
            elif word:
                result.append(("".join(word), places))
                word, places = [], []
    return result


def pieces(text, lowercase, strip):
    """Return [(what became of it, its index in `text`)] for each character that NFD makes of `text`, in NFD's order."""
    if not strip:
        return [(_lower(cleaned, lowercase), i) for i, c in enumerate(text) for cleaned in _cleaned(c)]
    split = [(d, i) for i, c in enumerate(text) for cleaned in _cleaned(c) for d in _nfd(cleaned)]
    result = []
    for is_mark, run in groupby(split, key=lambda entry: _class(entry[0]) > 0):
        result += sorted(run, key=lambda entry: _class(entry[0])) if is_mark else run        # sorted keeps ties in order
    return [(_lower(d, lowercase), i) for d, i in result if not _is("MARKS", d)]


def _must_be_sorted(result):
    """Return whether any of the 83 marks that stay is in `result`."""
    return not result.isascii() and _matcher("CLASSES").search(result) is not None


# ---- one character

@functools.cache
def _table(lowercase, strip):
    return _Table(lowercase, strip)


class _Table(dict):
    """Code point -> what becomes of it, made when it is first asked for."""

    def __init__(self, lowercase, strip):
        self.lowercase, self.strip = lowercase, strip

    def __missing__(self, code):
        if len(self) >= TABLE_SIZE:
            self.clear()
        made = "".join([piece for piece, _ in pieces(chr(code), self.lowercase, self.strip)])
        self[code] = made
        return made


def _cleaned(character):
    """Steps 1 and 2: "" if it is removed, " " for white space, with a space on both sides if it is Chinese."""
    if _is("REMOVED", character):
        return ""
    if _is("SPACES", character):
        return " "
    return f" {character} " if _is("CHINESE", character) else character


def _nfd(character):
    return unicodedata.normalize("NFD", character) if _is("DECOMPOSED", character) else character


def _lower(character, lowercase):
    """Steps 4 and 5: in lower case, if asked for, and with a space on both sides if it is punctuation."""
    if lowercase:
        character = _lower_case().get(character, character)
    return f" {character} " if _is("PUNCTUATION", character) else character


def _class(character):
    """Return the combining class, 0 for what is not a mark: marks are sorted by it between two of class 0."""
    if _is("MARKS", character):
        return unicodedata.combining(character)              # old marks: the same in every Unicode
    return _classes().get(character, 0)


# ---- the tables of unicode_bert.py, each made ready when it is first needed

def _is(name, character):
    return _matcher(name).match(character) is not None


@functools.cache
def _matcher(name):
    table = getattr(unicode16 if name == "SPACES" else unicode_bert, name)
    if name == "CLASSES":
        table = " ".join(table.values())
    return re.compile(f"[{ranges.character_class(table)}]")


@functools.cache
def _classes():
    return {chr(code): number for number, table in unicode_bert.CLASSES.items() for code in ranges.code_points(table)}


@functools.cache
def _lower_case():
    result = {"\u0130": "i\u0307"}
    for entry in unicode_bert.LOWER.split():
        capitals, _, distance = entry.partition(":")
        capitals, _, step = capitals.partition("/")
        for code in ranges.code_points(capitals)[::int(step or 1)]:
            result[chr(code)] = chr(code + int(distance, 16))
    return result

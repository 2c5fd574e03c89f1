"""Cut a text into passages that an encoder can read whole: paragraphs, and of a long one its sentences.

    every text is cut                             at blank lines; a part of more than `most` tokens
                                                  at the ends of sentences; what is still too long
                                                  at line breaks; then
                                                  at spaces; then
                                                  in two halves, again and again
    parts of one cut are joined again             while they fit: sentences to passages of nearly `most` tokens,
                                                  a paragraph of fewer than LEAST tokens that ends like no sentence,
                                                  such as a heading, to what follows it

Nothing overlaps, and only white space stands between two passages: together they are the text.

MOST is 128 because all-MiniLM-L6-v2 was trained on texts of up to so many tokens, [CLS] and [SEP] among them. A vector has
room for one thought, not for a chapter: a longer passage would be found less well.

Tested    tests/test_search.py.
"""
import re

MOST = 128                                      # tokens of a passage, [CLS] and [SEP] among them
LEAST = 16                                      # tokens: a paragraph of fewer may be a heading
GAPS = [re.compile(pattern) for pattern in (r"\n[^\S\n]*\n\s*", r"(?<=[.!?])\s+", r"\n\s*", r"\s+")]


def cut(text, count, most=MOST - 2):
    """Return the passages of `text` as [(start, end, tokens)], text[start:end] without white space around it.

    count: a function from a str to its number of tokens; most: tokens of a passage (at least 1). A single character of more
    tokens stays whole.
    """
    return parts(text, *trimmed(text, 0, len(text)), count, most, 0) if text.strip() else []


def parts(text, start, end, count, most, level):
    """Return the passages of text[start:end]; the gaps before `level` have been tried. Level 0, blank lines, is always cut."""
    n = count(text[start:end])
    if level > 0 and (n <= most or end - start <= 1):
        return [(start, end, n)]
    if level == len(GAPS):
        middle = (start + end) // 2
        halves = [trimmed(text, start, middle), trimmed(text, middle, end)]
        return [part for a, b in halves if a < b for part in parts(text, a, b, count, most, level)]
    found, at = [], start
    for gap in [*GAPS[level].finditer(text, start, end), None]:
        a, b = trimmed(text, at, gap.start() if gap else end)
        if a < b:
            found += parts(text, a, b, count, most, level + 1)
        at = gap.end() if gap else end
    return joined(text, found, most, level)


def joined(text, found, most, level):
    """Return found with passages joined to the next where the two fit together: headings at level 0, everything below."""
    result = []
    for start, end, n in found:
        if result and result[-1][2] + n <= most and (level > 0 or is_heading(text, *result[-1])):
            start, _, before = result.pop()
            n += before                         # no token of WordPiece reaches across white space
        result.append((start, end, n))
    return result


def is_heading(text, start, end, n):
    """Return True for a paragraph that looks like a heading: few tokens, and no full stop."""
    return n < LEAST and text[end - 1] not in ".!?"


def trimmed(text, start, end):
    """Return start and end moved inwards over white space."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))

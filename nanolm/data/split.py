"""Split documents into a training and a validation text that cannot leak into each other.

A validation loss is worth something only if the model has not read the text it is asked to predict. Text repeats
itself: the same licence stands at the end of two files, the same explanation in two manuals. Cutting the last tenth
off a long string leaves such copies on both sides, and a model that merely remembers looks as if it understood. So:

1. A document (a file, a help page, a stretch of a long text) goes to one side whole.
2. Of documents that are exactly equal, only the first is kept.
3. Which side: documents stand in the order of hash(seed, text), and from the front validation takes each one that
   still fits into its budget, min(fraction of all characters, cap). The hash depends on nothing but the seed and the
   document, so the split is the same on every machine. A document longer than a quarter of the budget always goes to
   training: validation should be many documents, not one.
4. A paragraph of a validation document that also stands in the training text is removed from validation, whatever
   its length. Two paragraphs are the same if they differ in nothing but white space. Paragraphs are separated by
   blank lines; in a text without a single blank line (a list of names) every line is a paragraph.
5. Where `near` is given, a validation paragraph is also removed if at least half of its runs of `near` words stand
   somewhere in the training text: a copy with a few words changed. pydocs uses near=8: manuals quote docstrings.
   It is off for the reader's own text: in formulas, lyrics or logs such runs are the language, not a leak.

Sides keep the documents' original order. Training text and validation text are two strings, so no window of tokens
ever crosses from one to the other.

A document here is a string that ends with its own separator (see `document`): the text of one side is just
"".join(documents). The separator is one blank line.
"""
import hashlib
import re
from dataclasses import dataclass

FRACTION = 0.1                  # of all characters go to validation ...
CAP = 150_000                   # ... but no more than this many: evaluating should be quick
BLANK_LINES = re.compile(r"(\n(?:[^\S\n]*\n)+)")          # [^\S\n]: white space other than a newline


@dataclass(frozen=True)
class Split:
    train: tuple                # of documents (str)
    validation: tuple           # of documents (str), after removal of what also stands in training
    duplicates: int             # documents dropped because an equal one came before
    removed: int                # paragraphs taken out of validation ...
    removed_characters: int     # ... and how many characters that was

    def texts(self):
        """Return the training text and the validation text."""
        return "".join(self.train), "".join(self.validation)

    def __str__(self):
        train, validation = self.texts()
        return (f"training {len(train):,} characters in {len(self.train):,} documents, "
                f"validation {len(validation):,} characters in {len(self.validation):,} documents; "
                f"dropped {self.duplicates:,} duplicate documents; removed from validation {self.removed:,} paragraphs "
                f"({self.removed_characters:,} characters) that stand in training too")


def document(text):
    """Return text as a document: no empty lines around it, and one blank line after it, the separator."""
    return text.strip("\n") + "\n\n"


def normal(paragraph):
    """Return the paragraph with every run of white space as one space: the form in which paragraphs are compared."""
    return " ".join(paragraph.split())


def paragraphs(text, by_lines=False):
    """Return [(paragraph, separator after it)]; joined in order they give text back exactly.

    by_lines: every line is a paragraph (for a text without blank lines).
    """
    pieces = re.split(r"(\n+)", text) if by_lines else BLANK_LINES.split(text)
    return list(zip(pieces[0::2], pieces[1::2] + [""]))


def runs(text, length):
    """Yield every run of `length` consecutive words of text, as a tuple; none if length is None."""
    words = text.split()
    for i in range(len(words) - length + 1 if length else 0):
        yield tuple(words[i:i + length])


def split(documents, fraction=FRACTION, cap=CAP, seed=0, near=None):
    """Return the Split of documents (a list of str) by the rules above.

    fraction of all characters, at most cap characters, go to validation. Raises ValueError if either side is left
    without text.
    """
    unique = list(dict.fromkeys(documents))                             # rule 2; keeps the first, and the order
    duplicates = len(documents) - len(unique)
    by_lines = not any(BLANK_LINES.search(text.strip()) for text in unique)

    budget = min(cap, int(fraction * sum(map(len, unique))))
    chosen, size = set(), 0
    for text in sorted(unique, key=lambda text: _hash(text, seed)):     # rule 3
        if len(text) <= budget / 4 and size + len(text) <= budget:
            chosen.add(text)
            size += len(text)
    train = [text for text in unique if text not in chosen]             # rule 1

    known = {normal(paragraph) for text in train for paragraph, _ in paragraphs(text, by_lines)}
    copied = _shared_runs(train, [text for text in unique if text in chosen], near)
    validation, removed, removed_characters = [], 0, 0
    for text in unique:
        if text not in chosen:
            continue
        kept = []
        for paragraph, separator in paragraphs(text, by_lines):         # rule 4
            own = list(runs(paragraph, near))
            near_copy = own and sum(run in copied for run in own) >= len(own) / 2           # rule 5
            if normal(paragraph) and (normal(paragraph) in known or near_copy):
                removed += 1
                removed_characters += len(paragraph) + len(separator)
            else:
                kept.append(paragraph + separator)
        if "".join(kept).strip():
            validation.append("".join(kept))
    if not "".join(train).strip() or not validation:
        raise ValueError(_nothing_left(len(unique), duplicates, removed))
    return Split(tuple(train), tuple(validation), duplicates, removed, removed_characters)


def chunks(text, size):
    """Cut text into contiguous stretches of `size` to 2 `size` characters (the last may be shorter).

    Joined, they are text again. A cut is made at the first blank line after `size` characters; if none comes before
    2 `size`, at the first line's end; else at the first space; else right there. One long text becomes documents this
    way.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 character, not {size}.")
    pieces, start = [], 0
    while len(text) - start > size:
        low, high = start + size, min(start + 2 * size, len(text))
        cut = low
        for boundary in (BLANK_LINES.pattern, r"\n", r"\s+"):
            match = re.compile(boundary).search(text, low, high)
            if match:
                cut = match.end()
                break
        pieces.append(text[start:cut])
        start = cut
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def _shared_runs(train, validation, length):
    """Return the runs of words that stand on both sides. Only validation's, which are few, are held in memory."""
    wanted = {run for text in validation for run in runs(text, length)}
    return {run for text in train for run in runs(text, length) if run in wanted} if wanted else set()


def _hash(text, seed):
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=str(seed).encode()[:64]).digest()


def _nothing_left(documents, duplicates, removed):
    if removed:
        return (f"no text is left for validation: all {removed:,} paragraphs chosen for it stand in the training text "
                f"too. The text repeats itself; give one that does not.")
    return (f"{documents:,} different documents (and {duplicates:,} duplicates) are too few, or too unequal in length, "
            f"to split into training and validation. Give more text.")

"""What a corpus is: a text to learn from, another text to be measured on, and a few words about both.

The two texts share no document and no paragraph (split.py says how, and why that matters). Both are plain str: one
element of either is one Unicode code point, which is what nanolm calls a character in "bits per character".
"""
import collections
import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Corpus:
    """A named pair of texts.

    name              what load() was asked for
    train             the text that a model may learn from
    validation        the text that it is measured on, never trained on
    about             where the text is from, how much of it there is, what was removed: a few lines for people
    floor             nats per character that no model can beat on average, where it is known exactly; else None
    validation_floor  the same for this very validation text: -log p(validation) / len(validation); else None
    """
    name: str
    train: str
    validation: str
    about: str = ""
    floor: float | None = None
    validation_floor: float | None = None

    @property
    def fingerprint(self):
        """16 hexadecimal digits that change when either text does: a resumed run checks that its text is the same."""
        digest = hashlib.blake2b(digest_size=8)
        for text in (self.train, "\0", self.validation):
            digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def opening(self, words=3):
        """Return the words that most paragraphs of the training text begin with: where a model's own text may begin too.

        Letters and single spaces only; the first such opening wins a tie. "" if no paragraph begins with so many words.
        """
        begin = rf"(?:^|\n\s*\n)[ \t]*((?:[^\W\d_]+ ){{{words - 1}}}[^\W\d_]+)\b"
        found = collections.Counter(re.findall(begin, self.train))
        return found.most_common(1)[0][0] if found else ""

    def __repr__(self):                                 # the default repr would print both texts in full
        return f"Corpus({self.name!r}, train {len(self.train):,} and validation {len(self.validation):,} characters)"

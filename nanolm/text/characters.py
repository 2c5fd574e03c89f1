r"""One token a character: the simplest tokenizer that loses nothing.

    id        0 ... 255        the bytes 0 to 255
    id      256 ... V - 1      the characters of the training text that are not ASCII, in order of their numbers

An ASCII character is one byte in UTF-8, the very same number, so its token is there already: "a" is id 97. A character
beyond ASCII that training never saw is written as its two to four UTF-8 bytes, one token each. So every str can be
encoded, and decodes to itself; a text with the characters of the training text has exactly one token a character.

    Characters.train("caf\u00e9").encode("\u00e9a\u00e8")    ->    256, 97, 195, 168

is an e acute, which it knows, an a, and an e grave, which it does not know, as two bytes.

The other way round there is no choice to make: each token stands for some bytes, and decode joins them.

Errors    TypeError for text that is not a str; ValueError for ids that are out of range.
Tested    tests/test_characters.py.
"""
import numpy as np

from nanolm.text import store, utf8


class Characters:
    """A vocabulary of the 256 bytes and `characters`, a sequence of different one-character strs beyond ASCII."""

    def __init__(self, characters):
        self.characters = list(characters)
        for character in self.characters:
            if not (isinstance(character, str) and len(character) == 1 and ord(character) >= 128):
                raise ValueError(f"characters must be strs of one character beyond ASCII, but one is {character!a}.")
        self._tokens = [bytes([value]) for value in range(256)]              # id -> bytes
        self._tokens += [utf8.to_bytes(character) for character in self.characters]
        self._id = {chr(value): value for value in range(128)}               # character -> id
        self._id.update((character, 256 + i) for i, character in enumerate(self.characters))
        if len(self._id) != 128 + len(self.characters):
            raise ValueError("characters holds the same character twice.")

    @classmethod
    def train(cls, text):
        """Return a tokenizer that knows every character of the str `text`, which may be empty."""
        return cls(sorted(character for character in set(utf8.text_checked(text)) if ord(character) >= 128))

    @property
    def vocab_size(self):
        """How many tokens there are: ids run from 0 to vocab_size - 1."""
        return len(self._tokens)

    def encode(self, text):
        """Return the ids of the str `text`, int32 (T,)."""
        ids = []
        for character in utf8.text_checked(text):
            known = self._id.get(character)
            if known is not None:
                ids.append(known)
            else:
                ids.extend(utf8.to_bytes(character))            # bytes are integers 0 to 255: their own ids
        return np.array(ids, dtype=np.int32)

    def decode(self, ids):
        """Return the str of `ids`, any 1-D sequence of integers. Half a character becomes U+FFFD (see utf8.py)."""
        return utf8.to_text(b"".join([self._tokens[i] for i in utf8.ids_checked(ids, self.vocab_size)]))

    def token_bytes(self, token_id):
        """Return the bytes of one token: one byte, or the two to four bytes of a character."""
        return self._tokens[utf8.id_checked(token_id, self.vocab_size)]

    def save(self, folder):
        """Write folder/tokenizer.json, whole or not at all. Raises OSError with a sentence if it cannot."""
        store.write(folder, {"type": "characters", "characters": self.characters})

    @classmethod
    def load(cls, folder):
        """Return the tokenizer that `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
        return store.build(folder, "characters", lambda content: cls(content["characters"]))

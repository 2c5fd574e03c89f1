"""Byte-level byte-pair encoding, the tokenizer of GPT-2: common words are one token, rare ones a few, nothing is lost.

A character model spends most of its steps on letters that were never in doubt. A word model has no token for the
next new word. BPE is in between: it starts from the 256 bytes, so any text has tokens, and adds the commonest
pair of neighbours again and again, so frequent strings become single tokens. Read on in this order:

    byte_alphabet.py   how a byte is shown in a vocabulary file, and which id it has
    splitter.py        text    -> pre-tokens, roughly words: "Hello there" -> "Hello" " there"
    bpe_train.py       a corpus -> merges, which pairs to join, in order
    merging.py         one pre-token and the merges -> its tokens
    this file          all of it together

    id   0 ... 255        the bytes, in the order of GPT-2's byte alphabet
    id 256 ... 255 + M    the merges 1 to M, in the order they were learned
    id 256 + M ...        special tokens, such as <|endoftext|>, which no text is ever encoded to

A merge's place in the list is thus its rank and, plus 256, the id of the token it makes. tiktoken keeps no merges: it
ranks two neighbours by the bytes they join to. The ids are the same. For suppose a token t = x + y, and different
neighbours x' and y' that spell t. Up to the merge of t nothing joins across the borders of this stretch, so it has gone
just as the word t alone goes, which ends in x + y, and so x' and y' cannot have come about.

Special tokens. encode takes everything as ordinary text: "<|endoftext|>" in a document becomes the tokens of its 13
characters, as in tiktoken's encode_ordinary, so that no text can forge the end of a document. Whoever means the
special token puts its id, tokenizer.special["<|endoftext|>"], where it belongs. decode writes it as its name.

Sources   Sennrich, Haddow, Birch 2016, arXiv:1508.07909; Radford and others 2019, GPT-2, section 2.2 and encoder.py.
Tested    tests/test_bpe.py; tests/peers/test_tiktoken.py: GPT-2's ids on every code point.
"""
import operator
from collections import Counter

import numpy as np

from nanolm.text import bpe_train, byte_alphabet, gpt2_files, merging, splitter, store, utf8

CACHE_WORDS = 1 << 15       # encoded pre-tokens to remember; then all are forgotten, and it starts anew
CACHE_LENGTH = 32           # characters of the longest worth remembering: 2 MB for English, 42 MB at the very worst

_BYTE_ID = {byte: token_id for token_id, byte in enumerate(byte_alphabet.ORDER)}


class BPE:
    """A vocabulary of the 256 bytes, a list of `merges`, pairs (left id, right id), and names of `special` tokens.

    merges    dict (left id, right id) -> id of the token they make      special   dict name -> id
    Raises ValueError if a merge names a token that does not come before it, or makes one that is there already.
    """

    def __init__(self, merges, special=()):
        self.merges = {}
        self._tokens = [bytes([byte]) for byte in byte_alphabet.ORDER]       # id -> bytes
        for left, right in merges:
            if not (0 <= left < len(self._tokens) and 0 <= right < len(self._tokens)):
                raise ValueError(f"merge {len(self.merges)} joins tokens {left} and {right}, but a merge can only join "
                                 f"tokens that come before it, 0 to {len(self._tokens) - 1}.")
            self.merges[left, right] = len(self._tokens)
            self._tokens.append(self._tokens[left] + self._tokens[right])
        if len(set(self._tokens)) != len(self._tokens):
            raise ValueError("two merges make the same token; each token must be made by one merge.")
        _check_special(special)
        self.special = {name: len(self._tokens) + i for i, name in enumerate(special)}
        if len(self.special) != len(special):
            raise ValueError(f"two special tokens have the same name: {list(special)}.")
        self._tokens += [name.encode("utf-8") for name in special]
        self._cache = {}                                                     # pre-token -> tuple of ids

    @classmethod
    def train(cls, text, vocab_size, progress=None, special=()):
        """Return a tokenizer with `vocab_size` tokens learned from the str `text`; the rules are in bpe_train.py.

        It has fewer if the text runs out of pairs that occur twice. Of the tokens, 256 are bytes and len(special) are
        special. The same text gives the same tokenizer anywhere. progress(done, total), if given, is called after each
        merge. Raises TypeError if vocab_size is not an integer, ValueError if it is too small.
        """
        _check_special(special)
        try:
            n_merges = operator.index(vocab_size) - 256 - len(special)
        except TypeError:
            raise TypeError(f"vocab_size must be an integer, but came as {type(vocab_size).__name__}.") from None
        if n_merges < 0:
            raise ValueError(f"vocab_size is {vocab_size}, but the 256 bytes and the special tokens need "
                             f"{256 + len(special)}. Ask for that many or more.")
        counts = Counter()
        for stretch in splitter.stretches(utf8.text_checked(text)):
            counts.update(splitter.split(stretch))
        words = {tuple(_byte_ids(word)): count for word, count in counts.items()}
        return cls(bpe_train.learn(words, n_merges, 256, progress), special)

    @classmethod
    def from_gpt2(cls, encoder_json, vocab_bpe):
        """Return GPT-2's own tokenizer, 50,257 tokens, from the two files it is published as.

        Raises FileNotFoundError or ValueError with a sentence that names the file if one is missing, damaged, or not
        of GPT-2's kind.
        """
        return cls(*gpt2_files.read(encoder_json, vocab_bpe))

    @property
    def vocab_size(self):
        """How many tokens there are: ids run from 0 to vocab_size - 1."""
        return len(self._tokens)

    def encode(self, text):
        """Return the ids of the str `text`, int32 (T,). Everything is ordinary text, names of special tokens too."""
        arrays = [np.zeros(0, dtype=np.int32)]
        for stretch in splitter.stretches(utf8.text_checked(text)):
            ids = []
            for word in splitter.split(stretch):
                ids.extend(self._cache.get(word) or self._encode_word(word))
            arrays.append(np.array(ids, dtype=np.int32))
        return np.concatenate(arrays)

    def _encode_word(self, word):
        ids = tuple(merging.merge(_byte_ids(word), self.merges))
        if len(word) <= CACHE_LENGTH:
            if len(self._cache) >= CACHE_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def decode(self, ids):
        """Return the str of `ids`, any 1-D sequence of integers; special tokens are written as their names.

        A text's own ids give back the text. Other ids may join to bytes that are not UTF-8, such as half a character:
        each stretch that cannot be read becomes U+FFFD (see utf8.py). Raises ValueError for ids out of range.
        """
        return utf8.to_text(b"".join([self._tokens[i] for i in utf8.ids_checked(ids, self.vocab_size)]))

    def token_bytes(self, token_id):
        """Return the bytes of one token, which need not be whole characters."""
        return self._tokens[utf8.id_checked(token_id, self.vocab_size)]

    def save(self, folder):
        """Write folder/tokenizer.json, whole or not at all: the merges as GPT-2 writes them, and the special names."""
        lines = [" ".join(byte_alphabet.show(self._tokens[i]) for i in pair) for pair in self.merges]
        store.write(folder, {"type": "bpe", "merges": lines, "special": list(self.special)})

    @classmethod
    def load(cls, folder):
        """Return the tokenizer that `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
        return store.build(folder, "bpe", lambda content: cls(gpt2_files.pairs(content["merges"]), content["special"]))


def _check_special(special):
    if isinstance(special, str):
        raise TypeError(f"special must be a list of names, but came as the str {special!a}. Write [{special!a}].")
    for name in special:
        if not isinstance(name, str) or not name or any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(f"the name of a special token must be a str of whole characters, but one is {name!a}.")


def _byte_ids(word):
    return [_BYTE_ID[byte] for byte in utf8.to_bytes(word)]

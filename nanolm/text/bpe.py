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
Tested    tests/test_bpe.py; tests/peers/test_tiktoken.py: GPT-2's ids on every code point; test_bpe_tokenizers.py.
"""
import operator
from collections import Counter

import numpy as np

from nanolm.text import bpe_train, byte_alphabet, gpt2_files, merging, model_ids, special_names, splitter, store, utf8

CACHE_WORDS = 1 << 15       # encoded pre-tokens to remember; then all are forgotten, and it starts anew
CACHE_LENGTH = 32           # characters of the longest worth remembering: 2 MB for English, 42 MB at the very worst

_BYTE_ID = {byte: token_id for token_id, byte in enumerate(byte_alphabet.ORDER)}


class BPE:
    """A vocabulary of the 256 bytes, a list of `merges`, pairs (left id, right id), and names of `special` tokens.

    merges    dict (left id, right id) -> id of the token they make      special   dict name -> id
    split     "gpt2", "smollm" or "llama3": how text is cut first (splitter.py)
    ids       None, or a model's own ids: one for each of the 256 bytes and each merge, in the order above, None for a
              byte that has no token, which encode leaves out; then `special` must be a dict name -> id
    Raises ValueError if a merge names a token that does not come before it, if two make the same token (with `ids`:
    unless both have the same id), or if the ids do not run from 0 to the last.
    """

    def __init__(self, merges, special=(), split="gpt2", ids=None):
        self.merges = {}
        spelled = [bytes([byte]) for byte in byte_alphabet.ORDER]            # id -> bytes, before `ids`
        for left, right in merges:
            if not (0 <= left < len(spelled) and 0 <= right < len(spelled)):
                raise ValueError(f"merge {len(self.merges)} joins tokens {left} and {right}, but a merge can only join "
                                 f"tokens that come before it, 0 to {len(spelled) - 1}.")
            self.merges[left, right] = len(spelled)
            spelled.append(spelled[left] + spelled[right])
        if len(self.merges) + 256 != len(spelled) or ids is None and len(set(spelled)) != len(spelled):
            raise ValueError("two merges make the same token; each token must be made by one merge.")
        special_names.checked(special)
        if len(set(special)) != len(special):
            raise ValueError(f"two special tokens have the same name: {list(special)}.")
        self.ids, self._again = None, {}                                     # a token's later merges -> its first
        if ids is None:
            special = {name: len(spelled) + i for i, name in enumerate(special)}
            self._tokens = spelled + [name.encode("utf-8") for name in special]          # id -> bytes
        else:
            self.ids = list(ids)
            self._tokens = model_ids.tokens(spelled, self.ids, special)
            first = {token: i for i, token in reversed(list(enumerate(spelled)))}
            self._again = {i: first[token] for i, token in enumerate(spelled) if first[token] != i}
        self._byte_id = {byte: i for byte, i in _BYTE_ID.items() if self.ids is None or self.ids[i] is not None}
        self.split = split
        splitter.expressions(split)                                          # refuses an unknown one
        self.special = dict(special)
        self._names = special_names.expression(self.special)
        self._cache = {}                                                     # pre-token -> tuple of ids

    @classmethod
    def train(cls, text, vocab_size, progress=None, special=()):
        """Return a tokenizer with `vocab_size` tokens learned from the str `text`; the rules are in bpe_train.py.

        It has fewer if the text runs out of pairs that occur twice. Of the tokens, 256 are bytes and len(special) are
        special. The same text gives the same tokenizer anywhere. progress(done, total), if given, is called after each
        merge. Raises TypeError if vocab_size is not an integer, ValueError if it is too small.
        """
        special_names.checked(special)
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

    def encode(self, text, special=False):
        """Return the ids of the str `text`, int32 (T,). Everything is ordinary text, names of special tokens too;
        with special=True each name becomes its id, and what is between two names is encoded by itself."""
        utf8.text_checked(text)
        arrays = [np.zeros(0, dtype=np.int32)]
        for i, part in enumerate(self._names.split(text) if special else [text]):
            if i % 2 == 1:                                                   # text, name, text, name, ..., text
                arrays.append(np.array([self.special[part]], dtype=np.int32))
                continue
            for stretch in splitter.stretches(part, kind=self.split):
                ids = []
                for word in splitter.split(stretch, self.split):
                    ids.extend(self._cache.get(word) or self._encode_word(word))
                arrays.append(np.array(ids, dtype=np.int32))
        return np.concatenate(arrays)

    def _encode_word(self, word):
        ids = tuple(self.merged(utf8.to_bytes(word)))
        if len(word) <= CACHE_LENGTH:
            if len(self._cache) >= CACHE_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def merged(self, data):
        """Return the ids that the bytes of one pre-token merge to, a list; bytes without a token are left out."""
        known = [self._byte_id[byte] for byte in data if byte in self._byte_id]
        ids = merging.merge(known, self.merges, self._again)
        return ids if self.ids is None else [self.ids[i] for i in ids]

    @property
    def missing(self):
        """The bytes that have no token, and that encode leaves out: none, but for some models' own ids."""
        return bytes([byte for byte in range(256) if byte not in self._byte_id])

    def id_of(self, name):
        """Return the id of a special token. Raises KeyError with a sentence if there is none of this name."""
        return special_names.id_of(self.special, name)

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
        spelled = [bytes([byte]) for byte in byte_alphabet.ORDER]
        lines = []
        for left, right in self.merges:
            lines.append(f"{byte_alphabet.show(spelled[left])} {byte_alphabet.show(spelled[right])}")
            spelled.append(spelled[left] + spelled[right])
        content = {"type": "bpe", "merges": lines, "special": list(self.special)}
        if self.split != "gpt2":
            content["split"] = self.split
        if self.ids is not None:
            content.update(special=self.special, ids=self.ids)
        store.write(folder, content)

    @classmethod
    def load(cls, folder):
        """Return the tokenizer that `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
        return store.build(folder, "bpe", lambda content: cls(
            gpt2_files.pairs(content["merges"]), content["special"], content.get("split", "gpt2"), content.get("ids")))


def _byte_ids(word):
    return [_BYTE_ID[byte] for byte in utf8.to_bytes(word)]

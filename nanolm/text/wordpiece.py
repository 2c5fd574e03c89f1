"""WordPiece, the tokenizer of BERT: each word is cut into the longest pieces that the vocabulary has, from left to right.

BPE remembers in which order to join. WordPiece remembers only the pieces, and takes at each place the longest that fits.
A piece that does not begin a word is written with ## before it, so "ing" at the start and "##ing" later are two tokens:

    unaffable      una is in the vocabulary, unaf is not           una
      ffable       ##ff is, ##ffa is not                           una ##ff
        able       ##able is                                       una ##ff ##able                               (TK6)

If at some place nothing fits, the whole word becomes [UNK]; so does a word of more than 100 characters. What a word is,
and what it loses beforehand (case and accents, for an uncased vocabulary), says bert_normal.py; so, unlike with BPE, decode
cannot give back the text. It gives the words with spaces between. To find a token in the text, ask `offsets`.

A token's id is its place in the vocabulary. Five have a meaning of their own, by custom with these names:

    [PAD] fills a batch up    [UNK] an unknown word    [CLS] begins an input    [SEP] ends each text    [MASK] a gap to fill

encode takes their names in a text as ordinary text, "[", "mask", "]", so that no text can forge them; encode(text,
special=True) takes them for the tokens. BERT reads one text or a pair, each token with the number of its text:

    ids        [CLS] a a a [SEP] b b [SEP]            from encode_pair(a, b)
    segments     0   0 0 0   0   1 1   1

Source    Schuster and Nakajima 2012; Wu and others 2016, arXiv:1609.08144, section 4.1; Devlin and others 2019, BERT.
Tested    tests/test_wordpiece.py; tests/peers/test_wordpiece_tokenizers.py: equal to Hugging Face's tokenizers.
"""
import operator
from collections import Counter

import numpy as np

from nanolm.text import bert_files, bert_normal, special_names, splitter, store, utf8, wordpiece_train

CACHE_WORDS = 1 << 15       # words to remember; then all are forgotten, and it starts anew
CACHE_LENGTH = 32           # characters of the longest worth remembering

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class WordPiece:
    """A `vocabulary`, a list of different tokens, with [UNK] among them; and how text is made plain.

    lowercase        True for an uncased vocabulary      strip_accents     None: as lowercase says; or True or False
    longest_word     characters of a word; a longer one is [UNK]           special    dict name -> id
    Raises TypeError or ValueError with a sentence for a vocabulary that is none.
    """

    def __init__(self, vocabulary, lowercase=True, strip_accents=None, longest_word=100):
        self.vocabulary = list(vocabulary)
        for token in self.vocabulary:
            if not isinstance(token, str) or not token:
                raise TypeError(f"a vocabulary must be a list of strs that are not empty, but one is {token!a}.")
        if len(set(self.vocabulary)) != len(self.vocabulary):
            twice = Counter(self.vocabulary).most_common(1)[0][0]
            raise ValueError(f"the vocabulary has the token {twice!a} more than once; ids would not be clear.")
        if "[UNK]" not in self.vocabulary:
            raise ValueError("the vocabulary lacks [UNK], the token of unknown words. Put it first, or read a BERT's vocab.txt.")
        if lowercase not in (True, False) or strip_accents not in (None, True, False):
            raise TypeError(f"lowercase must be True or False, strip_accents too, or None, but they are {lowercase!a} and "
                            f"{strip_accents!a}.")
        if type(longest_word) is not int or longest_word < 0:
            raise TypeError(f"longest_word must be a whole number of characters, 0 or more, but it is {longest_word!a}.")
        self.lowercase, self.strip_accents, self.longest_word = bool(lowercase), strip_accents, longest_word
        id_of = {token: i for i, token in enumerate(self.vocabulary)}
        self.special = {name: id_of[name] for name in SPECIAL if name in id_of}
        self._names = special_names.expression(self.special)
        self._first = {token: i for token, i in id_of.items() if not token.startswith("##") and token not in self.special}
        self._later = {token[2:]: i for token, i in id_of.items() if token.startswith("##")}
        self._longest = max(map(len, [*self._first, *self._later, "?"]))     # no piece is longer
        self._cache = {}                                                     # word -> tuple of ids

    @classmethod
    def train(cls, text, vocab_size, lowercase=True, strip_accents=None, progress=None):
        """Return a tokenizer with at most `vocab_size` tokens learned from the str `text`; wordpiece_train.py says how.

        The five special ones are among them, ids 0 to 4. Raises TypeError if vocab_size is not an integer, ValueError if
        it is too small for the characters of the text.
        """
        try:
            room = operator.index(vocab_size) - len(SPECIAL)
        except TypeError:
            raise TypeError(f"vocab_size must be an integer, but came as {type(vocab_size).__name__}.") from None
        counts = Counter()
        for stretch in splitter.cut(utf8.text_checked(text), splitter.STRETCH, bert_normal.ENDS):
            counts.update(bert_normal.words(stretch, lowercase, strip_accents))
        learned = wordpiece_train.learn(counts, room, progress)
        return cls(SPECIAL + learned, lowercase, strip_accents)

    @classmethod
    def from_vocab_txt(cls, path, lowercase=True, strip_accents=None):
        """Return the tokenizer of a BERT's vocab.txt, one token a line. lowercase=False for a cased one.

        Raises FileNotFoundError or ValueError with a sentence that names the file.
        """
        return bert_files.build(path, lambda: (bert_files.vocab_txt(path), lowercase, strip_accents), cls)

    @classmethod
    def from_tokenizer_json(cls, path):
        """Return the tokenizer of a BERT's tokenizer.json, Hugging Face's file. What is not BERT's way is refused.

        Raises FileNotFoundError or ValueError with a sentence that names the file.
        """
        return bert_files.build(path, lambda: bert_files.tokenizer_json(path), cls)

    @property
    def vocab_size(self):
        """How many tokens there are: ids run from 0 to vocab_size - 1."""
        return len(self.vocabulary)

    def id_of(self, name):
        """Return the id of a special token, such as "[MASK]". Raises KeyError with a sentence if there is none."""
        return special_names.id_of(self.special, name)

    def encode(self, text, special=False):
        """Return the ids of the str `text`, int32 (T,), without [CLS] and [SEP]; with special=True names become ids."""
        utf8.text_checked(text)
        arrays = [np.zeros(0, dtype=np.int32)]
        for i, part in enumerate(self._names.split(text) if special else [text]):
            if i % 2 == 1:                                                   # text, name, text, name, ..., text
                arrays.append(np.array([self.special[part]], dtype=np.int32))
                continue
            for stretch in splitter.cut(part, splitter.STRETCH, bert_normal.ENDS):
                ids = []
                for word in bert_normal.words(stretch, self.lowercase, self.strip_accents):
                    ids.extend(self._cache.get(word) or self._encode_word(word))
                arrays.append(np.array(ids, dtype=np.int32))
        return np.concatenate(arrays)

    def _encode_word(self, word):
        ids = tuple([token_id for token_id, _, _ in self._cut(word)])
        if len(word) <= CACHE_LENGTH:
            if len(self._cache) >= CACHE_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def _cut(self, word):
        """Return [(id, start, end)], the pieces of a word, or [UNK] alone."""
        unknown = [(self.special["[UNK]"], 0, len(word))]
        if len(word) > self.longest_word:
            return unknown
        pieces, start, known = [], 0, self._first
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):          # the longest first, (TK6)
                token_id = known.get(word[start:end])
                if token_id is not None:
                    break
            else:
                return unknown
            pieces.append((token_id, start, end))
            start, known = end, self._later
        return pieces

    def offsets(self, text):
        """Return where each token of encode(text) stands in `text`: int32 (T, 2), text[start:end] is what it was made of.

        Of what belongs to no token, such as spaces and an accent that was stripped, nothing is covered at the ends.
        """
        result = []
        for word, places in bert_normal.words_with_places(utf8.text_checked(text), self.lowercase, self.strip_accents):
            for _, start, end in self._cut(word):
                result.append((min(places[start:end]), max(places[start:end]) + 1))      # NFD may have sorted some marks
        return np.array(result, dtype=np.int32).reshape(-1, 2)

    def encode_pair(self, a, b=None, max_length=None):
        """Return ids and segments, int32 (T,), of BERT's input: [CLS] a [SEP], segment 0, and b [SEP], segment 1.

        max_length: tokens altogether. Beyond that tokens go from the end of the longer text, one by one; where both are
        of one length, from the one that was the shorter, or from `a`. Raises ValueError if it leaves no room.
        """
        cls, sep = self.id_of("[CLS]"), self.id_of("[SEP]")
        first, second = self.encode(a), None if b is None else self.encode(b)
        if max_length is not None:
            room = operator.index(max_length) - (2 if b is None else 3)
            if room < 0:
                raise ValueError(f"max_length is {max_length}, but [CLS] and each [SEP] need {2 if b is None else 3}. Ask "
                                 f"for more.")
            n, m = lengths(len(first), 0 if b is None else len(second), room)
            first, second = first[:n], second if b is None else second[:m]
        ids = [[cls], first, [sep]] + ([] if b is None else [second, [sep]])
        ids = np.concatenate(ids).astype(np.int32)
        segments = (np.arange(len(ids)) >= len(first) + 2).astype(np.int32)
        return ids, segments

    def decode(self, ids):
        """Return the words of `ids`, a str with spaces between them; special tokens are written as their names."""
        tokens = [self.vocabulary[i] for i in utf8.ids_checked(ids, self.vocab_size)]
        return "".join([token[2:] if token.startswith("##") and i > 0 else (" " if i else "") + token
                        for i, token in enumerate(tokens)])

    def token_bytes(self, token_id):
        """Return the bytes that a token adds to a text: the rest of a word, or a space and the start of one."""
        token = self.vocabulary[utf8.id_checked(token_id, self.vocab_size)]
        return utf8.to_bytes(token[2:] if token.startswith("##") else " " + token)

    def save(self, folder):
        """Write folder/tokenizer.json, whole or not at all. Raises OSError with a sentence if it cannot."""
        store.write(folder, {"type": "wordpiece", "vocabulary": self.vocabulary, "lowercase": self.lowercase,
                             "strip_accents": self.strip_accents, "longest_word": self.longest_word})

    @classmethod
    def load(cls, folder):
        """Return the tokenizer that `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
        return store.build(folder, "wordpiece", lambda content: cls(
            content["vocabulary"], content["lowercase"], content["strip_accents"], content["longest_word"]))


def lengths(n, m, room):
    """Return how much of two texts of n and m tokens is kept if `room` are allowed; encode_pair says by which rule."""
    short, long = min(n, m), max(n, m)
    if n + m > room:
        long = max(short, room - short)                      # cut the longer one, at most down to the shorter ...
        if short + long > room:
            short, long = room // 2, room - room // 2        # ... then both, by turns, the one that was shorter first
    return (short, long) if n <= m else (long, short)

"""Learn WordPiece's vocabulary: BPE's training, on letters that know whether they begin a word.

WordPiece's own training was described but never published: join the pair whose joining makes the text most likely. With N
pieces in the text, each drawn by its share, a join of x and y gains about

    count(xy) ln(N count(xy) / (count(x) count(y))) nats                                                         (TK5)

at the places where it is made (the shares of the other pieces move a little as well). Hugging Face's course takes
count(xy) / (count(x) count(y)), the gain for each place and not for the text: of the words below it would join ##g ##s
first (5 places, 9 nats), the likelihood ##u ##g (20 places, 29 nats). Hugging Face's trainer takes the pair with the
largest count, as BPE does (bpe_train.py). So do we; only the letters differ:

    hugs 5   hug 10   pug 5   pun 12          h ##u ##g ##s,   h ##u ##g,   p ##u ##g,   p ##u ##n
    1.  ##u ##g   -> ##ug      20     5 + 10 + 5
    2.  h ##ug    -> hug       15     without its second ##: the joined piece begins a word, as h does
    3.  p ##u     -> pu        12

The order of the joins is then forgotten. The vocabulary holds the letters, each alone and with ##, and every piece that was
made; wordpiece.py cuts by the longest, which need not be how training cut.

A text has more characters than there is room for: of Chinese alone some thousand. The commonest 1,000 are kept, and words with
any other teach nothing; they are [UNK] later.

The same text gives the same vocabulary anywhere: ties go to the pair whose pieces came first, letters in the order of their
code points.

Source    Schuster and Nakajima 2012, section 3; Hugging Face's course, chapter 6 (the ratio); tokenizers' WordPieceTrainer.
Tested    tests/test_wordpiece_train.py.
"""
from collections import Counter

from nanolm.text import bpe_train

ALPHABET = 1000             # different characters to keep


def learn(word_counts, n_tokens, progress=None):
    """Return at most `n_tokens` pieces, a list of strs: the letters, the letters with ##, and the joined ones in order.

    word_counts maps words, strs, to how often each occurs. progress(done, total), if given, is called after each join.
    Raises ValueError if n_tokens is less than the letters need.
    """
    characters = Counter()
    for word, count in word_counts.items():
        for character in word:
            characters[character] += count
    letters = sorted(characters, key=lambda character: (-characters[character], character))[:ALPHABET]
    known = set(letters)
    words = {word: count for word, count in word_counts.items() if known.issuperset(word)}
    pieces = sorted(letters) + sorted({"##" + character for word in words for character in word[1:]})
    if n_tokens < len(pieces):
        raise ValueError(f"vocab_size leaves {n_tokens} tokens, but the characters of the text need {len(pieces)}, each alone "
                         f"and as the continuation of a word. Ask for that many and the 5 special tokens, or more.")
    place = {piece: i for i, piece in enumerate(pieces)}
    spelled = {}
    for word, count in words.items():
        spelled[tuple([place[word[0]], *[place["##" + character] for character in word[1:]]])] = count
    for left, right in bpe_train.learn(spelled, n_tokens - len(pieces), len(pieces), progress):
        pieces.append(pieces[left] + pieces[right][2:])
    return pieces

"""Learn BPE's merges: join the commonest pair of neighbours into a new token, again and again.

Start with every word w as its bytes; it occurs f_w times. Count how often each two tokens stand side by side. Join the
commonest pair everywhere: that is the first merge, and a new token. Count again, and go on until there are enough tokens.

    count(x, y) = sum over words of f_w times the number of places i of w with w_i = x, w_(i+1) = y               (TK2)
    the next merge is the pair with the largest count                                                            (TK3)

With the words of Sennrich and others, and how often each occurs:

    low 5   lower 2   newest 6   widest 3          pairs:  e s 9   s t 9   w e 8   l o 7   o w 7   n e 6   e w 6 ...

    1.  e s   -> es         9     (s t has 9 too: see the rule on ties)
    2.  es t  -> est        9
    3.  l o   -> lo         7     (w e has 2 now: in newest the e went into est)
    4.  lo w  -> low        7
    5.  e w   -> ew         6     newest is now  n ew est

A word never seen, lowest, comes out as low + est: two tokens that mean something. This is why BPE is used.

The rules, so that the same text gives the same merges anywhere:
  - pairs are counted inside words, each word as often as it occurs; in "aaa" the pair a a counts twice;
  - the commonest pair wins; of equally common ones that with the smaller left id, and then the smaller right id;
  - inside a word, pairs are joined from left to right;
  - it ends early when no pair occurs twice: a token seen once teaches nothing.

Counting all pairs again for each merge would cost the whole corpus each time. Three things make it fast: each different
word is kept once, with its count; `where` knows which words hold a pair, and only those are visited; a heap hands
out the commonest pair.

Source    Sennrich, Haddow, Birch 2016, arXiv:1508.07909, algorithm 1; the toy words are from it.
Tested    tests/test_bpe.py, against a version that counts everything again.
"""
import heapq
from collections import Counter, defaultdict
from itertools import pairwise


def learn(word_counts, n_merges, first_id, progress=None):
    """Return the merges, a list of at most `n_merges` pairs (left id, right id) in the order they were learned.

    word_counts maps words, tuples of ids, to how often each occurs. The first merge makes the token first_id, the next
    first_id + 1, and so on. progress(done, n_merges), if given, is called after each merge, and at the end.
    """
    words = [list(word) for word in word_counts]
    counts = list(word_counts.values())
    pair_count = Counter()
    where = defaultdict(set)                                 # pair -> indices of words that hold it, or once held it
    for index, word in enumerate(words):
        for pair in pairwise(word):
            pair_count[pair] += counts[index]
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in pair_count.items()]
    heapq.heapify(heap)                                      # commonest first; of equals, the smallest pair

    merges = []
    while len(merges) < n_merges:
        pair = _pop_commonest(heap, pair_count)              # (TK3)
        if pair is None:
            break
        joined = first_id + len(merges)
        merges.append(pair)
        new_pairs = set()
        for index in where.pop(pair):
            word, count = words[index], counts[index]
            for old in pairwise(word):                       # take the word out of the counts ...
                pair_count[old] -= count
            word = words[index] = join(word, pair, joined)
            for new in pairwise(word):                       # ... and put it back, with the pair joined: (TK2) by its changes
                pair_count[new] += count
                if joined in new:
                    new_pairs.add(new)
                    where[new].add(index)
        for new in new_pairs:
            heapq.heappush(heap, (-pair_count[new], new))
        if progress:
            progress(len(merges), n_merges)
    if progress and len(merges) < n_merges:
        progress(n_merges, n_merges)
    return merges


def _pop_commonest(heap, pair_count):
    """Return the commonest pair and take it from the heap; None if none occurs twice.

    A merge only lowers the counts of pairs that were there before. The heap is not told; so what it hands out is an
    upper bound. If the count has fallen since, the pair goes back with its count of today.
    """
    while heap:
        count, pair = heapq.heappop(heap)
        if -count == pair_count[pair]:
            return pair if -count >= 2 else None
        if pair_count[pair] > 0:
            heapq.heappush(heap, (-pair_count[pair], pair))
    return None


def join(word, pair, joined):
    """Return the list `word` with each `pair` of neighbours, from left to right, replaced by the id `joined`."""
    result = []
    i = 0
    while i < len(word):
        if word[i] == pair[0] and i + 1 < len(word) and word[i + 1] == pair[1]:
            result.append(joined)
            i += 2
        else:
            result.append(word[i])
            i += 1
    return result

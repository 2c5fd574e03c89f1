"""Apply learned merges to one pre-token: bytes in, tokens out.

    merges    dict (left id, right id) -> the id of the two joined; a merge learned earlier has a smaller id

The rule is one sentence: of all neighbours that have a merge, join those whose merge was learned first, the leftmost
if there are several; repeat until no neighbours have one. This replays training on the word, so a word ends up cut as
training would have cut it.

    the next pair is that with the smallest merges[x, y] of all neighbours x, y that have one                    (TK4)


    merges = {e s: es, es t: est, l o: lo, lo w: low}           learned in this order
    l o w e s t  ->  l o w es t  ->  l o w est  ->  lo w est  ->  low est

The plain way, to look at all neighbours again in each round, needs up to n rounds of n looks for n bytes. That is well
enough for words, but a million letters without a space (a DNA sequence, a hostile prompt) would take days. So the
merges that are possible now wait in a heap, and each round costs log n. For English words both take about as long.

Source    Sennrich, Haddow, Birch 2016, arXiv:1508.07909.   Tested  tests/test_bpe.py, against the plain way.
"""
import heapq
from itertools import pairwise


def merge(ids, merges, again=None):
    """Return the list `ids` with every merge applied that can be, as a new list.

    again: where two merges make the same token, the number of the second -> the id of the token, the first's number.
    """
    ids, again = list(ids), again or {}
    end = len(ids)
    left = list(range(-1, end - 1))                          # place of the token before; -1: none
    right = list(range(1, end + 1))                          # place of the token after; end: none
    heap = [(merges[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in merges]
    heapq.heapify(heap)                                      # learned first comes first, and then leftmost

    while heap:
        joined, i = heapq.heappop(heap)                      # (TK4)
        j = right[i]
        if j == end or merges.get((ids[i], ids[j])) != joined:
            continue                                         # out of date: one of the two was merged meanwhile
        ids[i], ids[j] = again.get(joined, joined), None     # the token at i takes in the one on its right, at j
        right[i] = right[j]
        if right[i] < end:
            left[right[i]] = i
        for a, b in ((left[i], i), (i, right[i])):           # two new pairs of neighbours
            if a >= 0 and b < end and (ids[a], ids[b]) in merges:
                heapq.heappush(heap, (merges[ids[a], ids[b]], a))
    return [token for token in ids if token is not None]

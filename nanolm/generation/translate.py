"""Translation: encode a source once, then write its target like any text. With its source given, a seq2seq is a language model.

    P(target | source) = product over t of P(target_t | target_0 ... target_t-1, source)                          (X7)

Window, generate.tokens and beam.search ask a model only for the scores of the next token. Given answers them: it holds a
model's sources, and has the functions that they look for. So nothing about sampling or beams is written a second time:

    given = translate.Given(p, config, source)
    generate.tokens(p, config, [start_id], n, rng=rng, model=given, cache=given)            draws
    beam.search(p, config, [start_id], n, model=given, cache=given)                         beams

A target begins with start_id, as in training, and is over with stop_id, or after n tokens: n <= block_size, because a
target that lost its beginning would be another one. Work: the encoder once, then a token at a time (seq2seq_cache.py).

Source    beams and length penalty: Vaswani et al. 2017, arXiv:1706.03762, section 6.1: 4 beams, a = 0.6, n the source's
          length + 50.
Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_seq2seq_cache.py.
"""
import numpy as np

from nanolm import threads
from nanolm.generation import beam as beams, sampling, seq2seq_cache, window
from nanolm.layers import check
from nanolm.models import seq2seq


class Given:
    """A seq2seq whose sources are given: both model= and cache= of Window, generate.tokens and beam.search."""

    def __init__(self, p, config, source, source_lengths=None):
        """Encode source (B, S), once. Raises ValueError or TypeError as seq2seq.encode does."""
        with threads.one_for_blas():                                        # see window.py
            self.memory, _ = seq2seq.encode(p, source, config, source_lengths)
        self.lengths = source_lengths

    def logits(self, p, ids, config):
        """Return the scores (B, T, V) for the whole targets ids (B, T), without a cache; of one source, for any B."""
        memory, lengths = self.memory, self.lengths
        if len(memory) == 1 < len(ids):                                     # beams: all of one source
            memory = np.repeat(memory, len(ids), axis=0)
            lengths = None if lengths is None else np.repeat(lengths, len(ids))
        return seq2seq.decode(p, memory, ids, config, lengths)[0]

    def empty(self, p, config, batch_size=1):
        """Return a SourceCache: no target token yet, keys and values of all sources."""
        if batch_size != len(self.memory):
            raise ValueError(f"there are {len(self.memory)} sources, so as many targets must begin, but {batch_size} do.")
        return seq2seq_cache.start(p, self.memory, config, self.lengths)

    def extend(self, p, ids, kv, config, last=False):
        """seq2seq_cache.extend."""
        return seq2seq_cache.extend(p, ids, kv, config, last)

    def select(self, kv, rows, spare=None):
        """seq2seq_cache.select."""
        return seq2seq_cache.select(kv, rows, spare)


def greedy(p, config, source, n, start_id, stop_id=None, source_lengths=None):
    """Return a list of B lists: for each source of source (B, S) the likeliest next token each time, n at most.

    A target that ends by itself ends in stop_id; its row is then dropped from the work, and the others go on.
    Raises ValueError or TypeError for an argument that makes no sense, see seq2seq.forward.
    """
    _check(config, n, start_id, stop_id)
    given = Given(p, config, source, source_lengths)
    text = window.Window(p, config, model=given, cache=given)
    made, going = [[] for _ in source], np.arange(len(source))
    tokens = np.full(len(source), start_id)
    for _ in range(n):
        tokens = sampling.greedy(text.read(tokens[:, None]))                # (B,), one for each target that goes on
        for row, token in zip(going, tokens):
            made[row].append(int(token))
        if stop_id is not None and stop_id in tokens:
            rest = np.flatnonzero(tokens != stop_id)
            if len(rest) == 0:
                break
            text.select(rest)
            going, tokens = going[rest], tokens[rest]
    return made


def beam(p, config, source, n, start_id, stop_id=None, beam_width=4, length_penalty=0.6, use_cache=True):
    """Return up to beam_width beam.Hypothesis, best score first, for one source (S,): 1 to n tokens, without start_id.

    Raises ValueError or TypeError for an argument that makes no sense, see seq2seq.forward and beam.search.
    """
    _check(config, n, start_id, stop_id)
    given = Given(p, config, np.asarray(source)[None])
    return beams.search(p, config, [start_id], n, beam_width, length_penalty, stop_id, use_cache=use_cache,
                        model=given, cache=given)


def _check(config, n, start_id, stop_id):
    check.whole("n", n, least=1)
    if n > config.block_size:
        raise ValueError(f"n must be at most block_size = {config.block_size}, because the start token and n - 1 more are "
                         f"read, but it is {n}.")
    for name, token in (("start_id", start_id), ("stop_id", stop_id)):
        if token is None and name == "stop_id":
            continue
        check.whole(name, token, least=0)
        if token >= config.vocab_size:
            raise ValueError(f"{name} is {token}, but the target's tokens are 0 to {config.vocab_size - 1}.")

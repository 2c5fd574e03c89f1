"""Beam search: follow the W likeliest beginnings at once, and return the likeliest whole texts found.

Greedy takes the likeliest token each time and cannot go back: "a nice" may be likelier than "a dog", and yet every way
to go on after "a nice" be so unlikely that "a dog barks" beats them all. Trying all V^n texts is out of reach. So:

    keep W beginnings, with s = sum of ln P(token | tokens before it)
    append each of the V tokens to each of them: W V candidates, s + ln softmax(z)_v
    one that ends in stop_id is finished; of the others the W best go on
    stop after n tokens, or when no live beginning can beat the W best finished ones any more

A longer text has a smaller product of probabilities, so texts of different lengths are compared by

    score = s / lp(t),    lp(t) = ((5 + t) / 6)^a,    t tokens made (stop_id counts), a >= 0 the length penalty    (BM1)

a = 0 compares plain log-probabilities, and so favours short texts; 0.6 to 1 is usual in translation. Without stop_id
all texts have n tokens, and a changes nothing. When to stop: s can only fall and lp only rise, up to lp(n), so a live
beginning can never score above s / lp(n).

Work: W rows through the model a token, and one copy of the cache's filled part when beams change places. With
W >= V^(n - 1) nothing is ever dropped and the search is exhaustive. Without stop_id, W = 1 is greedy. With it, it is not: greedy
ends where stop_id is the likeliest token; here a text that ends earlier is kept beside the one that goes on, and the better
score wins.

Source    score: Wu et al. 2016, arXiv:1609.08144, eq. 14, without its coverage term.
Tested    tests/test_beam.py, against exhaustive search.
"""
import math
from dataclasses import dataclass

import numpy as np

from nanolm.generation import sampling, window


@dataclass(frozen=True)
class Hypothesis:
    ids: tuple                  # the tokens made, without the prompt; the last is stop_id if it ended by itself
    log_probability: float      # nats, s above: the sum over ids
    score: float                # s / lp(len(ids)), (BM1)


def search(p, config, ids, n, beam_width=4, length_penalty=0.0, stop_id=None, policy="slide", use_cache=True,
           **modules):
    """Return up to beam_width Hypothesis objects, best score first, that continue the prompt ids (T,) by 1 to n tokens.

    Nothing is random; of equal candidates the one with the lower parent, then the lower id, goes on. policy, use_cache
    and modules: see window.py.

    Raises ValueError if the prompt is empty, n or beam_width is below 1, length_penalty is negative or not finite, or
    stop_id is no token.
    """
    ids = np.asarray(ids)
    _check(ids, n, beam_width, length_penalty, stop_id, config.vocab_size)
    text = window.Window(p, config, policy, use_cache, **modules)
    z = text.read(ids[None])                                                # (1, V)
    made = np.zeros((1, 0), dtype=np.int64)                                 # (W, t), the live beginnings
    s = np.zeros(1)                                                         # (W,)
    finished = []
    for t in range(1, n + 1):
        candidates = s[:, None] + _log_softmax(z)                           # (W, V)
        if stop_id is not None:
            finished += [_hypothesis((*row, stop_id), total, length_penalty)
                         for row, total in zip(made.tolist(), candidates[:, stop_id]) if total > -np.inf]
            finished = _best(finished, beam_width)
            candidates[:, stop_id] = -np.inf                                # these go on no further
        flat = candidates.reshape(-1)
        if flat.max() == -np.inf:                                           # every candidate has ended
            return finished
        best = np.flatnonzero(sampling.keep_top_k(flat, beam_width) > -np.inf)
        parents, tokens = np.divmod(best, candidates.shape[1])              # flat index = parent * V + token
        made, s = np.column_stack([made[parents], tokens]), flat[best]
        bound = s.max() / _lp(n, length_penalty)
        if t == n or (len(finished) == beam_width and finished[-1].score >= bound):
            break
        if not np.array_equal(parents, np.arange(len(z))):                  # copying the cache costs something
            text.select(parents)
        z = text.read(tokens[:, None])
    cut = [_hypothesis(row, total, length_penalty) for row, total in zip(made.tolist(), s)]
    return _best(finished + cut, beam_width)                                # if the loop ended early, none of cut wins


def _lp(t, length_penalty):
    return ((5 + t) / 6) ** length_penalty


def _hypothesis(ids, s, length_penalty):
    return Hypothesis(tuple(ids), float(s), float(s) / _lp(len(ids), length_penalty))


def _best(hypotheses, n):
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)[:n]


def _log_softmax(z):
    """Return ln softmax(z) for z (W, V), in float64: sums over many tokens are compared."""
    z = sampling.checked(z)
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _check(ids, n, beam_width, length_penalty, stop_id, vocab_size):
    if ids.ndim != 1 or len(ids) == 0:
        raise ValueError(f"ids must be the prompt's token ids, shape (T,) with at least one, but has the shape "
                         f"{ids.shape}.")
    for name, value in (("n", n), ("beam_width", beam_width)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, but is {value!r}.")
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty must be a finite number, 0 or more, but is {length_penalty}. "
                         f"0 compares plain log-probabilities, 1 lets longer texts win more often.")
    if stop_id is not None and not 0 <= stop_id < vocab_size:
        raise ValueError(f"stop_id is {stop_id}, but the model's tokens are 0 to {vocab_size - 1}.")

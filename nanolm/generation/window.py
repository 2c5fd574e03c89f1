"""The window: which tokens the model sees, and what happens when the text outgrows the context.

GPT-2 has one learned vector for each of its S = block_size positions and none for position S. A text of n > S tokens
has to lose its beginning. Two ways to do it, by the first token that is still seen:

    slide       n - S                               the last S tokens, always; gpt2.logits(p, ids[:, -S:])      (GN10)
    restart     step * ceil((n - S) / step),        when the window is full, keep its last S - step = S // 2    (GN11)
                step = S - S // 2                   tokens and go on, so that it holds S // 2 + 1 to S tokens

Sliding is what people expect, and dear: each token moves every other one place down, its position vector changes, and
with it every key and value (kv_cache.py). Nothing can be kept, so every token costs a full forward over S tokens.
Restarting pays one forward over S // 2 + 1 tokens for every S - S // 2 tokens made, and has its cache in between:
about two positions run through the model for each token, not S. The price: just after a restart the model sees only
half as far back.

Both are pure functions of n. So the cache is only a matter of speed: with and without it the same tokens are seen.

One thread. The products for one new token are too small to share out: BLAS, the library behind them, is held to one
thread while the model reads. On a busy machine of two cores (load 5) the second thread only made the first one wait: a
token of GPT-2 small took 80 to 106 ms with one thread and 371 to 738 ms with two. An idle machine was not measured.

Tested    tests/test_kv_cache.py: the logits of both policies against gpt2.logits on this window, at every position.
"""

import numpy as np

from nanolm import threads
from nanolm.generation import kv_cache
from nanolm.models import gpt2

POLICIES = ("slide", "restart")


def first_seen(n, block_size, policy="slide"):
    """Return the index of the first of n tokens that the model sees; it sees tokens[first_seen:]."""
    if policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}, but must be one of {', '.join(map(repr, POLICIES))}.")
    if n <= block_size:
        return 0
    if policy == "slide":
        return n - block_size                               # (GN10)
    step = block_size - block_size // 2
    return step * -(-(n - block_size) // step)              # (GN11); -(-a // b) is a / b rounded up


class Window:
    """The text so far, rows of the same length, and the model that reads on.

        window = Window(p, config)
        logits = window.read(prompt)                        # (B, T) ids -> (B, V), the scores of the next token
        logits = window.read(next_id)                       # (B, 1): only this token runs through the model

    use_cache=False runs the whole window through model.logits each time: slow, and the same to rounding. Another
    model brings its own two modules: model with logits(p, ids, config), and cache with empty, extend and select.
    """

    def __init__(self, p, config, policy="slide", use_cache=True, model=gpt2, cache=kv_cache):
        first_seen(0, config.block_size, policy)            # an unknown policy is refused now, not 1,000 tokens later
        self.p, self.config, self.policy, self.use_cache = p, config, policy, use_cache
        self.model, self.cache = model, cache
        self.ids = None                                     # (B, n), every token read so far
        self.first = 0                                      # the first of them that the model sees
        self.kv = self.spare = None

    def read(self, ids):
        """Append ids (B, T), T >= 1, and return the logits (B, V) of the token that comes next.

        Raises ValueError for ids of another shape or outside the vocabulary; the window is then as it was before.
        """
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.shape[1] == 0 or (self.ids is not None and len(ids) != len(self.ids)):
            rows = "B" if self.ids is None else len(self.ids)
            raise ValueError(f"ids must have the shape ({rows}, T) with at least one token, but has {ids.shape}.")
        text = ids if self.ids is None else np.concatenate([self.ids, ids], axis=1)
        first, kv = first_seen(text.shape[1], self.config.block_size, self.policy), self.kv
        with threads.one_for_blas():
            if not self.use_cache:
                logits = self.model.logits(self.p, text[:, first:], self.config)
            elif kv is not None and first == self.first:
                logits = self.cache.extend(self.p, ids, kv, self.config, last=True)
            else:                                           # the beginning, or all positions have moved
                kv = self.cache.empty(self.p, self.config, len(ids))
                logits = self.cache.extend(self.p, text[:, first:], kv, self.config, last=True)
        self.ids, self.first, self.kv = text, first, kv     # last: an error on the way leaves the window as it was
        return logits[:, -1]

    def select(self, rows):
        """Make row i what row rows[i] was. Beam search reorders, repeats and drops rows by this."""
        self.ids = self.ids[rows]
        if self.kv is not None:
            # the cache of two tokens ago is nobody's any more: the two change places
            self.kv, self.spare = self.cache.select(self.kv, rows, self.spare), self.kv

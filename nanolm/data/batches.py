"""From one long array of token ids to (B, T) arrays: what goes in, and what should come out.

    ids       i_0 i_1 i_2 ... i_{n-1}                     the whole text, tokenized
    inputs    i_s     ... i_{s+T-1}      (T,)             a window that starts at s
    targets   i_{s+1} ... i_{s+T}        (T,)             the same, one later: at each position the next token  (TR1)

A window therefore reads T + 1 tokens, and windows start T apart: the last token of one is the first of the next,
once as a target and once as an input, so every token is a target exactly once.

Epoch e draws an offset in [0, T) and a permutation of the windows from a generator seeded by (seed, e) alone. The
offset moves all windows, so that a token is not always at the same place in its window; up to T - 1 tokens at the
beginning and T - 1 at the end sit an epoch out. A batch that the end of an epoch leaves incomplete is filled from the
next one, so every batch has B rows.

Where a run stands is two integers, the epoch and how many of its windows were given out; a run that is restored from
them sees the very batches it would have seen.

Derived   notebooks/14_training.ipynb.  Tested  tests/test_batches.py.
"""
import numpy as np


class Batches:
    """Batches of training windows, without end.

        batches = Batches(ids, batch_size=12, block_size=64, seed=1)
        ids, targets = batches.next()                   # (B, T) and (B, T), int64

    ids is a one-dimensional array of integers of at least block_size + 1. Raises TypeError or ValueError otherwise.
    """

    def __init__(self, ids, batch_size, block_size, seed=0):
        self.ids = _checked(ids, block_size)
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
            if not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}.")
        if len(self.ids) < block_size + 1:
            raise ValueError(f"too few tokens: {len(self.ids):,}, and a window of block_size={block_size:,} reads "
                             f"{block_size + 1:,}. Give more text, or a block_size of at most {len(self.ids) - 1:,}.")
        self.batch_size, self.block_size, self.seed = int(batch_size), int(block_size), int(seed)
        self._begin(0)

    def _begin(self, epoch, position=0):
        rng = np.random.default_rng([self.seed, epoch])
        offset = rng.integers(min(self.block_size, len(self.ids) - self.block_size))
        windows = (len(self.ids) - offset - 1) // self.block_size
        self.starts = offset + self.block_size * rng.permutation(windows)
        self.epoch, self.position = epoch, position

    def next(self):
        """Return ids and targets, (B, T) each, int64."""
        starts = []
        while len(starts) < self.batch_size:
            if self.position == len(self.starts):
                self._begin(self.epoch + 1)
            taken = self.starts[self.position:self.position + self.batch_size - len(starts)]
            starts.extend(taken)
            self.position += len(taken)
        rows = np.asarray(starts)[:, None] + np.arange(self.block_size + 1)         # (B, T + 1)
        window = self.ids[rows].astype(np.int64)
        return np.ascontiguousarray(window[:, :-1]), np.ascontiguousarray(window[:, 1:])        # (TR1)

    def state(self):
        """Return {"epoch", "position"}: plain integers, ready for JSON."""
        return {"epoch": self.epoch, "position": self.position}

    def restore(self, state):
        """Go on from a state() of batches with the same ids, block_size and seed.

        Raises ValueError if it cannot be one; nothing is changed then.
        """
        try:
            epoch, position = int(state["epoch"]), int(state["position"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"state must be what state() returned, a dict with epoch and position, "
                             f"not {state!r}.") from None
        if epoch < 0 or position < 0:
            raise ValueError(f"epoch and position must not be negative, and state is {state!r}.")
        before = self.state()
        self._begin(epoch, position)
        if position > len(self.starts):
            windows = len(self.starts)
            self._begin(**before)
            raise ValueError(f"state says that {position:,} windows of epoch {epoch:,} are done, but there are only "
                             f"{windows:,}: it belongs to another text, block_size or seed.")


def _checked(ids, block_size):
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"ids must be one-dimensional, one long row of tokens, not of shape {ids.shape}.")
    if ids.dtype.kind not in "iu" and ids.size:
        raise TypeError(f"ids must be integers, not {ids.dtype}.")
    if not isinstance(block_size, (int, np.integer)) or block_size < 1:
        raise ValueError(f"block_size must be an integer of at least 1, not {block_size!r}.")
    return ids

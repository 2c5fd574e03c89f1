"""Loss and gradients of one batch, computed in shards and summed: the heart of a training step.

A batch of B rows is cut into shards of whole rows. The loss is a mean over the N targets that count, and shard k has
N_k of them, so

    loss = sum_k (N_k / N) loss_k            dloss/dw = sum_k (N_k / N) dloss_k/dw                              (TR5)

exactly: differentiation is linear. (The plain mean of the shards' gradients is right only if all N_k are equal.)
The same sum serves three purposes:

    gradient accumulation    one shard after the other (workers = 1): a large batch in the memory of a small one
    threads                  several shards at once (workers = 2): two cores, twice as fast
    many machines            each computes some of the shards, and the sum becomes an all-reduce: ranks.py

The shards are summed in their order, never in the order in which they finish. So the result depends on the number
of shards (in the last digits, because sums are rounded) but not on the number of workers, and not on timing.

Source    Goyal et al. 2017, "Accurate, large minibatch SGD", arXiv:1706.02677, section 3, on getting the weights of
          the shards right.
Derived   notebooks/14_training.ipynb.  Tested  tests/test_step.py.
"""
import numpy as np

from nanolm import params as parameters
from nanolm.training import parallel, summing

IGNORED = -100                                          # cross_entropy's ignore_index: a target that does not count


def shard_slices(n_rows, shards):
    """Return slices that cut n_rows rows into `shards` parts whose sizes differ by at most one; never an empty one."""
    shards = min(shards, n_rows)
    edges = [n_rows * k // shards for k in range(shards + 1)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:])]


def dropout_generators(seed, step, shards):
    """Return one generator for each shard, made from (seed, step, shard) alone.

    Nothing is carried over from one step to the next, so a resumed run draws what the uninterrupted one drew.
    """
    return [np.random.default_rng([seed, step, shard]) for shard in range(shards)]


def loss_and_gradients(model, p, ids, targets, config, rngs=None, shards=1, workers=1, mine=None):
    """Return the loss of a batch (a float, nats per counted target) and its gradients (flat dict, yours to write to).

    model      module with forward(p, ids, targets, config, rng) -> loss, cache and backward(cache) -> dp
    p          nested parameters of the model
    ids        (B, T) integers          targets  (B, T) integers, IGNORED where there is nothing to predict
    rngs       one generator for each shard, for dropout; None: no dropout
    shards     in how many parts the rows are cut (no more than B)
    workers    how many shards are computed at a time
    mine       the numbers of the shards to compute here, in order; None: all. Of fewer than all, the result is these
               shards' part of both sums, with no gradient ({}) where none of them has a target that counts
    Raises ValueError if no target counts.
    """
    rows = shard_slices(len(ids), shards)
    counts = [int(np.count_nonzero(targets[r] != IGNORED)) for r in rows]
    total = sum(counts)
    if total == 0:
        raise ValueError("no target in this batch counts (all are ignored), so it has no loss and no gradient.")

    def one_shard(k):
        rng = None if rngs is None else rngs[k]
        loss, cache = model.forward(p, ids[rows[k]], targets[rows[k]], config, rng=rng)
        return loss, parameters.flatten(model.backward(cache))

    counted = [k for k in (range(len(rows)) if mine is None else mine) if counts[k] > 0]
    loss = 0.0

    def parts():
        nonlocal loss
        for k, (shard_loss, shard_grads) in zip(counted, parallel.ordered_map(one_shard, counted, workers)):
            loss += counts[k] / total * float(shard_loss)           # (TR5)
            yield counts[k] / total, shard_grads

    grads = summing.weighted_sum(parts())
    return loss, grads

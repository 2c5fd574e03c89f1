"""The weighted sum of the shards' gradients, name by name, in the memory of the first.

    total = share_0 g_0 + share_1 g_1 + ...

The arrays of the first shard become the total: a model's backward makes its gradients for its caller, and nobody else
has them. An array of a later shard is let go as soon as it is added.

Tested    tests/test_step.py.  Fast twin  kernels/summing.py.
"""


def weighted_sum(parts):
    """Return {name: array}, the sum of share * g over parts, an iterable of (share, {name: g}); {} if there is none.

    The dicts and the first one's arrays are used up. In their order: rounding depends on it.
    """
    total, before = {}, 1.0                             # before: what total must still be multiplied by
    for share, grads in parts:
        if not total:
            total, before = grads, share
            continue
        for name in total:
            add(total[name], before, grads.pop(name), share)
        before = 1.0
    if before != 1:
        for g in total.values():
            g *= before
    return total


def add(total, before, g, share):
    """total = before * total + share * g, in place."""
    if before != 1:
        total *= before
    total += share * g

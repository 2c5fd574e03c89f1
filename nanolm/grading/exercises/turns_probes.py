"""Properties of dropout, rotary positions and masks that hold whatever the numbers are: what no gradient check sees.

Each is called with the student's function and a draw (draws.py), and returns True or a sentence with numbers.
"""
import numpy as np

from nanolm.layers import attention


def first(y):
    """Return y of (y, cache), or y."""
    return np.asarray(y[0] if isinstance(y, tuple) else y)


def uses_the_generator(forward, draw):
    """Two generators drop different numbers, and one in the same state the same ones."""
    x, rate = draw.array(40, 50), 0.5
    one, again, other = (first(forward(x.copy(), rate, np.random.default_rng(seed))) for seed in (3, 3, 4))
    if not np.array_equal(one, again):
        return "Called twice with a generator in the same state, it drops different numbers: draw from rng, and nothing else."
    if np.array_equal(one, other):
        return "Two generators that give different numbers drop the same entries: the mask does not come from rng."
    return True


def drops_the_share(forward, draw):
    """About the share `rate` becomes zero, over many calls: where a row has one mask, one call has few chances."""
    x = 1 + np.abs(draw.array(40, 40))
    share = float(np.mean([(first(forward(x.copy(), 0.3, np.random.default_rng(seed))) == 0).mean() for seed in range(24)]))
    return True if abs(share - 0.3) < 0.06 else (f"With the rate 0.3 a share of {share:.2f} of {24 * x.size} numbers became "
                                                 "zero: rate is the share that is dropped.")


def keeps_the_mean(forward, draw):
    """The mean of y is that of x, within what chance allows, over many calls."""
    x = np.ones((40, 40))
    mean = float(np.mean([first(forward(x.copy(), 0.3, np.random.default_rng(seed))).mean() for seed in range(24)]))
    return True if abs(mean - 1) < 0.1 else (f"With x = 1 everywhere and the rate 0.3 the mean of y is {mean:.2f}; dividing "
                                              "what is kept by 1 - rate keeps it at 1.")


def keeps_lengths(forward, draw):
    """A rotation changes the length of no token's vector."""
    x = draw.array(5, 6)
    before, after = np.linalg.norm(x, axis=-1), np.linalg.norm(first(forward(x, base=10.0, offset=2)), axis=-1)
    t = int(np.argmax(np.abs(after - before)))
    return True if np.allclose(before, after) else (f"A rotation keeps lengths, but token {t}'s vector has the length "
                                                    f"{before[t]:.3g} before and {after[t]:.3g} after.")


def depends_on_distance_alone(forward, draw):
    """q at place t and k at place s: their product depends on t - s and not on where they stand."""
    q, k = draw.array(1, 6), draw.array(1, 6)
    product = [(first(forward(q, base=10.0, offset=3 + n)) * first(forward(k, base=10.0, offset=1 + n))).sum() for n in (0, 5)]
    return True if np.isclose(*product) else (f"A query at position 3 and a key at 1 have the product {product[0]:.3g}, the same "
                                              f"two at 8 and 6 {product[1]:.3g}: it must depend on their distance alone.")


def stays_at_position_zero(forward, draw):
    """The angle at position 0 is 0."""
    x = draw.array(1, 4)
    moved = float(np.abs(first(forward(x, base=10.0, offset=0)) - x).max())
    return True if moved < 1e-12 else f"At position 0 all angles are 0 and y must be x, but a channel moved by {moved:.3g}."


def no_leak(causal, draw):
    """Change a later token: no earlier query's answer may move."""
    T, S = 4, 6
    mask = np.asarray(causal(T, S))
    if mask.shape != (T, S) or mask.dtype != bool:
        return True                                                         # said already, in plainer words
    q, k, v = draw.array(T, 3), draw.array(S, 3), draw.array(S, 3)
    y = attention.forward(q, k, v, mask)[0]
    for key in range(S - 1, 0, -1):
        other_k, other_v = k.copy(), v.copy()
        other_k[key], other_v[key] = 5.0, -5.0
        moved = np.abs(attention.forward(q, other_k, other_v, mask)[0] - y).max(axis=1)
        early = [i for i in range(T) if i + S - T < key and moved[i] > 1e-9]
        if early:
            i = early[0]
            return (f"With it, attention looks into the future: of {S} tokens number {key} was changed, and the answer of query "
                    f"{i}, which stands at place {i + S - T}, moved by {moved[i]:.3g}.")
    return True


def sees_itself(causal, draw):
    """Each query sees all keys up to its own place."""
    T, S = 4, 6
    mask = np.asarray(causal(T, S))
    if mask.shape != (T, S) or mask.dtype != bool:
        return True
    blind = [(i, j) for i in range(T) for j in range(i + S - T + 1) if not mask[i, j]]
    return True if not blind else (f"With T = 4 and S = 6, query {blind[0][0]}, which stands at place {blind[0][0] + 2}, cannot "
                                   f"see key {blind[0][1]}, which does not lie in its future.")


def padding_unseen(padding, draw):
    """Change the filling: nothing may move."""
    lengths, S = np.array([2, 4, 3]), 5
    mask = np.asarray(padding(lengths, S))
    if mask.shape != (3, 1, 1, S) or mask.dtype != bool:
        return True
    q, k, v = draw.array(3, 1, 2, 3), draw.array(3, 1, S, 3), draw.array(3, 1, S, 3)
    other_k, other_v = k.copy(), v.copy()
    for b, n in enumerate(lengths):
        other_k[b, :, n:], other_v[b, :, n:] = 5.0, -5.0
    moved = np.abs(attention.forward(q, other_k, other_v, mask)[0] - attention.forward(q, k, v, mask)[0]).max(axis=(1, 2, 3))
    b = int(np.argmax(moved))
    return True if moved[b] < 1e-9 else (f"The filling is seen: with lengths {lengths.tolist()} and S = {S} only the filling was "
                                         f"changed, and the answers of sequence {b} moved by {moved[b]:.3g}.")

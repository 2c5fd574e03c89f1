"""Sampling: from a model's logits, V scores, to one next token.

In the order in which `distribution` applies them (what is off changes nothing):

    penalize      z_i = z_i / r if z_i > 0 else z_i * r       for every token i already in the text              (GN5)
    sharpen       z_i = (z_i - max z) / t                     t < 1 sharpens, t > 1 flattens, 0 is greedy        (GN2)
    keep_top_k    z_i = -inf for all but the k largest                                                           (GN3)
    keep_top_p    z_i = -inf for all but the fewest tokens, likeliest first, whose shares add up to p            (GN4)
    softmax       y_i = exp(z_i) / sum_j exp(z_j)
    draw          the first i with y_0 + ... + y_i > u,  u uniform in [0, 1)                                     (GN1)

The order matters: a temperature leaves the k largest the k largest, but it changes how many tokens make up the share p.
So top-p comes after temperature, and its shares are those of the k tokens that top-k left.

Rules for the edges. Equal logits: the lower id comes first, for greedy, top-k and top-p alike, so that top_k=1, a tiny
top_p and temperature 0 all pick the same token. k > V keeps all V. p = 1 keeps all. A logit of -inf is a token that
cannot be drawn, and it stays so. NaN or +inf, or nothing but -inf, is an error: it comes from broken weights.

    logits (..., V), any number of rows, float; every function returns float64, and changes nothing it was given.

float64, whatever the model computed in: this is V numbers a token, cheap beside the model, and a temperature of
1e-50 or a sum of 50,257 small shares is then no special case.

Source    top-k: Fan, Lewis, Dauphin 2018, arXiv:1805.04833, sec. 5.4. top-p ("nucleus"): Holtzman et al. 2020,
          arXiv:1904.09751, sec. 3.1. repetition penalty: Keskar et al. 2019 (CTRL), arXiv:1909.05858, sec. 4.1; they
          divide every score by r, which makes a negative one likelier: multiplying those is the usual repair.
Tested    tests/test_sampling.py.
"""
import math

import numpy as np

from nanolm.layers import softmax


def check(temperature=1.0, top_k=None, top_p=1.0, repetition_penalty=1.0):
    """Raise ValueError or TypeError, in a sentence, if a setting makes no sense. Cheap: call it before any work."""
    for name, value in (("temperature", temperature), ("top_p", top_p), ("repetition_penalty", repetition_penalty)):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{name} must be a number, not {value!r}.")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is {temperature}, but must be 0 (always the likeliest token) or a finite number "
                         f"above it. 1 leaves the model's shares as they are; try 0.8.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, but it is a share: above 0 and at most 1. 1 keeps every token.")
    if not 0 < repetition_penalty < math.inf:
        raise ValueError(f"repetition_penalty is {repetition_penalty}, but must be a finite number above 0. "
                         f"1 turns it off; the CTRL paper uses 1.2.")
    if top_k is not None:
        if isinstance(top_k, bool) or not isinstance(top_k, (int, np.integer)):
            raise TypeError(f"top_k must be a whole number or None, not {top_k!r}.")
        if top_k < 1:
            raise ValueError(f"top_k is {top_k}, but at least 1 token must stay. Write None to keep all of them.")


def greedy(logits):
    """Return the id of the largest logit of every row, (...) int64; of equal ones the lowest id."""
    return checked(logits).argmax(axis=-1)


def penalize(logits, ids, penalty):
    """Return logits (..., V) with every token that occurs in ids (..., T) made less likely by penalty > 1.

    A token that occurs ten times is penalised once. penalty 1 changes nothing, below 1 encourages repeats. Softmax does
    not care where the zero of the logits is, this rule does: it is a heuristic, not a property of a distribution.
    """
    check(repetition_penalty=penalty)
    z = checked(logits)
    if penalty == 1:
        return z
    seen = np.zeros(z.shape, dtype=bool)
    np.put_along_axis(seen, np.asarray(ids, dtype=np.int64), True, axis=-1)
    return np.where(seen, np.where(z > 0, z / penalty, z * penalty), z)        # (GN5)


def sharpen(logits, t):
    """Return (logits - max) / t; for t = 0 its limit with ties to the lowest id: 0 for the argmax, -inf for the rest.

    Subtracting the maximum changes no share, and keeps a tiny t from turning the largest logit into inf.
    """
    check(temperature=t)
    z = checked(logits)
    if t == 0:
        limit = np.full(z.shape, -np.inf)
        np.put_along_axis(limit, z.argmax(axis=-1)[..., None], 0.0, axis=-1)
        return limit
    with np.errstate(over="ignore"):                        # a tiny t: the quotient is -inf, a share of zero
        return (z - z.max(axis=-1, keepdims=True)) / t      # (GN2)


def keep_top_k(logits, k):
    """Return logits with all but the k largest of every row set to -inf. k None, or k >= V, keeps all."""
    check(top_k=k)
    z = checked(logits)
    if k is None or k >= z.shape[-1]:
        return z
    return keep_largest(z, np.full(z.shape[:-1] + (1,), int(k)))               # (GN3)


def keep_top_p(logits, p):
    """Return logits with all but the smallest set whose shares add up to at least p set to -inf; at least one stays."""
    check(top_p=p)
    z = checked(logits)
    if p == 1:                                              # a sum of shares may round to 1 too early, or never
        return z
    shares, _ = softmax.forward(z)
    n = [reaching(row, p) for row in shares.reshape(-1, z.shape[-1])]
    return keep_largest(z, np.reshape(n, z.shape[:-1] + (1,)))                 # (GN4)


def reaching(shares, p):
    """Return how many of the largest of shares (V,) it takes for their sum to reach p; V if rounding keeps it below.

    Sorting all V would cost more than everything else here. But tokens whose shares are below (1 - p) / V make up less
    than 1 - p together, so the others reach p: only these are sorted; half of that bound leaves room for rounding.
    """
    V = len(shares)
    for least in ((1 - p) / (2 * V), -1.0):                 # -1: all of them, should rounding be worse than that
        largest_first = np.sort(shares[shares > least])[::-1]
        short_of_p = largest_first.cumsum() < p             # after 1, 2, 3, ... tokens: not there yet
        if not short_of_p.all():
            return int(short_of_p.sum()) + 1                # and the one that gets there stays too
    return V


def distribution(logits, ids=(), temperature=1.0, top_k=None, top_p=1.0, repetition_penalty=1.0):
    """Return the shares (..., V) from which the next token is drawn, after all the settings, in the order above.

    ids (..., T): the text so far, read by the repetition penalty alone. Raises ValueError or TypeError (see check).
    """
    z = penalize(logits, ids, repetition_penalty)
    z = sharpen(z, temperature)
    z = keep_top_k(z, top_k)
    z = keep_top_p(z, top_p)
    shares, _ = softmax.forward(z)
    return shares


def draw(shares, rng):
    """Return one id for every row of shares (..., V), (...) int64: id i with probability shares_i / sum.

    Uses exactly one uniform number of rng (a numpy Generator) a row, whatever the shares. A share of 0 is never drawn.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator, not {rng!r}. Make one with np.random.default_rng(seed).")
    cumulative = np.cumsum(shares, axis=-1)
    u = rng.random(cumulative.shape[:-1] + (1,)) * cumulative[..., -1:]     # the sum may have rounded to 1 - 1e-16
    return (cumulative <= u).sum(axis=-1)                   # (GN1): how many ids lie wholly below u; the next one holds it


def choose(logits, ids, rng, temperature=1.0, top_k=None, top_p=1.0, repetition_penalty=1.0):
    """Return the next token of every row, (...) int64: drawn from `distribution`, or at temperature 0 the likeliest.

    Temperature 0 draws nothing from rng, which may then be None.
    """
    if temperature == 0:
        return greedy(penalize(logits, ids, repetition_penalty))
    return draw(distribution(logits, ids, temperature, top_k, top_p, repetition_penalty), rng)


def keep_largest(z, n):
    """Return z with all but the n (..., 1) largest of every row set to -inf; of equal ones the lowest ids stay."""
    rows = zip(z.reshape(-1, z.shape[-1]), n.reshape(-1))
    threshold = np.reshape([nth_largest(row, k) for row, k in rows], n.shape)
    kept = z >= threshold
    if (kept.sum(axis=-1, keepdims=True) > n).any():        # several equal the threshold
        above, equal = z > threshold, z == threshold
        room = n - above.sum(axis=-1, keepdims=True)        # how many of the equal ones may stay
        kept = above | (equal & (equal.cumsum(axis=-1) <= room))
    return np.where(kept, z, -np.inf)


def nth_largest(z, n):
    """Return the n-th largest of z (V,), 1 <= n <= V."""
    left = z[z > -np.inf]                                   # after top-k: few of V
    if n > len(left):
        return -np.inf
    return np.partition(left, len(left) - n)[len(left) - n]     # puts one number where sorting would, and costs less


def checked(logits):
    """Return logits as float64, or raise ValueError naming what is wrong with them."""
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(f"logits must have the shape (..., V) with one score a token, but have {z.shape}.")
    if not (z < np.inf).all():                              # False for NaN too
        raise ValueError("the logits hold NaN or +inf, so no token can be chosen. The model's weights are broken: "
                         "look at them, or go back to an earlier checkpoint.")
    if (z.max(axis=-1) == -np.inf).any():
        raise ValueError("every logit is -inf: no token is left to choose from. Forbid fewer tokens.")
    return z

"""Answers to the variants around softmax. Each function takes the student's numbers n and returns the answer."""
import math

import numpy as np
from collected import built


# ---------------------------------------------------------------------------------------- tempered_softmax.backward
@built("tempered_softmax.backward")
def inner_product(n):
    def backward(dy, cache):
        (y,) = cache
        return y / n["tau"] * (dy - np.einsum("...c,...c->...", dy, y)[..., None])
    return backward


@built("tempered_softmax.backward")
def whole_jacobian(n):
    def backward(dy, cache):
        y = cache[0].reshape(-1, cache[0].shape[-1])
        rows = [(np.diag(row) - np.outer(row, row)) @ up / n["tau"] for row, up in zip(y, dy.reshape(y.shape))]
        return np.array(rows).reshape(dy.shape)
    return backward


@built("tempered_softmax.backward")
def two_terms(n):
    def backward(dy, cache):
        g = cache[0] * dy
        g = g - cache[0] * np.sum(g, axis=-1, keepdims=True)
        return np.asfortranarray(g / n["tau"])
    return backward


@built("tempered_softmax.backward", "library_temperature", wrong=True)
def plain_softmax(n):
    def backward(dy, cache):
        y, = cache
        return y * dy - y * (y * dy).sum(-1)[..., None]
    return backward


@built("tempered_softmax.backward", "multiplied_by_tau", wrong=True)
def times_tau(n):
    def backward(dy, cache):
        y, = cache
        g = dy * n["tau"]
        return y * (g - np.sum(g * y, -1, keepdims=True))
    return backward


@built("tempered_softmax.backward", "diagonal_only", "library_temperature", wrong=True)
def diagonal(n):
    def backward(dy, cache):
        y, = cache
        return dy * (y - y**2)
    return backward


@built("tempered_softmax.backward", "sum_term_missing", "sum_not_subtracted", wrong=True)
def no_sum(n):
    def backward(dy, cache):
        return np.multiply(dy, cache[0]) / n["tau"]
    return backward


# ---------------------------------------------------------------------------------------- sloped_attention
def distance(T, S):
    return np.array([[abs(t - s) for s in range(S)] for t in range(T)], float).reshape(T, S)


def shares(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@built("sloped_attention.forward")
def einsums(n):
    def forward(q, k, v, slopes):
        T, S, D = q.shape[2], k.shape[2], q.shape[3]
        scores = np.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(D) - n["slope"] * np.einsum("h,ts->hts", slopes, distance(T, S))
        return np.einsum("bhts,bhsd->bhtd", shares(scores), v)
    return forward


@built("sloped_attention.forward")
def head_by_head(n):
    def forward(q, k, v, slopes):
        y = np.zeros(q.shape)
        for b, h in np.ndindex(q.shape[:2]):
            scores = q[b, h] @ k[b, h].T * q.shape[-1]**-0.5 - n["slope"] * slopes[h] * distance(q.shape[2], k.shape[2])
            y[b, h] = shares(scores) @ v[b, h]
        return y, None
    return forward


@built("sloped_attention.forward")
def query_by_query(n):
    def forward(q, k, v, slopes):
        y = np.zeros(q.shape)
        for b, h, t in np.ndindex(q.shape[:3]):
            z = [q[b, h, t] @ one / math.sqrt(q.shape[-1]) - abs(t - s) * slopes[h] * n["slope"] for s, one in enumerate(k[b, h])]
            e = [math.exp(one - max(z)) for one in z]
            for s, one in enumerate(e):
                y[b, h, t] += one / sum(e) * v[b, h, s]
        return y
    return forward


@built("sloped_attention.forward", "bias_after_softmax", wrong=True)
def bias_too_late(n):
    def forward(q, k, v, slopes):
        P = shares(q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]))
        return (P - n["slope"] * slopes.reshape(-1, 1, 1) * distance(q.shape[2], k.shape[2])) @ v
    return forward


@built("sloped_attention.forward", "no_bias", "scale_forgotten", wrong=True)
def bare(n):
    def forward(q, k, v, slopes):
        return shares(q @ k.transpose(0, 1, 3, 2)) @ v
    return forward


def scores_gradient(dy, v, P):
    dP = np.einsum("bhtd,bhsd->bhts", dy, v)
    return P * (dP - np.sum(P * dP, axis=-1, keepdims=True))


@built("sloped_attention.backward")
def batched(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dS = scores_gradient(dy, v, P)
        scaled = dS / math.sqrt(q.shape[-1])
        return (scaled @ k, scaled.transpose(0, 1, 3, 2) @ q, P.transpose(0, 1, 3, 2) @ dy,
                -n["slope"] * np.einsum("bhts,ts->h", dS, distance(*P.shape[-2:])))
    return backward


@built("sloped_attention.backward")
def loops_over_heads(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dq, dk, dv, dslopes = (np.zeros(a.shape) for a in (q, k, v, slopes))
        for b, h in np.ndindex(P.shape[:2]):
            share = P[b, h]
            dshare = dy[b, h] @ v[b, h].T
            dz = share * dshare - share * np.diag(dshare @ share.T)[:, None]
            dq[b, h], dk[b, h] = dz @ k[b, h] * q.shape[-1]**-0.5, dz.T @ q[b, h] * q.shape[-1]**-0.5
            dv[b, h] = share.T @ dy[b, h]
            dslopes[h] -= n["slope"] * np.sum(dz * distance(*share.shape))
        return dq, dk, dv, dslopes
    return backward


@built("sloped_attention.backward")
def rows_of_y(n):
    """The sum over keys of P dP is the inner product of dy and y."""
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        y = P @ v
        dS = P * (dy @ v.swapaxes(2, 3) - np.einsum("bhtd,bhtd->bht", dy, y)[..., None])
        root = q.shape[-1]**0.5
        by_head = (dS * distance(*P.shape[-2:])).sum(0).reshape(len(slopes), -1).sum(1)
        return [np.einsum("bhts,bhsd->bhtd", dS, k) / root, np.einsum("bhts,bhtd->bhsd", dS, q) / root,
                np.einsum("bhts,bhtd->bhsd", P, dy), by_head * -n["slope"]]
    return backward


@built("sloped_attention.backward", "rate_forgotten", wrong=True)
def without_the_rate(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dS = scores_gradient(dy, v, P)
        root = math.sqrt(q.shape[-1])
        return (dS @ k / root, np.swapaxes(dS, 2, 3) @ q / root, np.swapaxes(P, 2, 3) @ dy,
                -np.einsum("bhts,ts->h", dS, distance(*P.shape[-2:])))
    return backward


@built("sloped_attention.backward", "softmax_diagonal", "dslopes_sign", wrong=True)
def diagonal_and_plus(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dS = dy @ v.transpose(0, 1, 3, 2) * P * (1 - P)
        root = math.sqrt(q.shape[-1])
        return (dS @ k / root, dS.transpose(0, 1, 3, 2) @ q / root, P.transpose(0, 1, 3, 2) @ dy,
                n["slope"] * (dS * distance(*P.shape[-2:])).sum((0, 2, 3)))
    return backward


@built("sloped_attention.backward", "scale_forgotten", wrong=True)
def unscaled(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dS = scores_gradient(dy, v, P)
        return (np.einsum("bhts,bhsd->bhtd", dS, k), np.einsum("bhts,bhtd->bhsd", dS, q), np.einsum("bhts,bhtd->bhsd", P, dy),
                -n["slope"] * np.einsum("bhts,ts->h", dS, distance(*P.shape[-2:])))
    return backward


@built("sloped_attention.backward", "dslopes_scaled", wrong=True)
def scaled_too_early(n):
    def backward(dy, cache):
        q, k, v, slopes, P = cache
        dS = scores_gradient(dy, v, P) / np.sqrt(q.shape[-1])
        return dS @ k, dS.swapaxes(-1, -2) @ q, P.swapaxes(-1, -2) @ dy, -n["slope"] * np.tensordot(dS.sum(0),
                                                                                                    distance(*P.shape[-2:]), 2)
    return backward


# ---------------------------------------------------------------------------------------- smoothed_loss
@built("smoothed_loss.forward")
def row_by_row(n):
    def forward(logits, targets):
        V, total, count = logits.shape[-1], 0.0, 0
        for z, target in zip(logits.reshape(-1, V), targets.ravel()):
            if target == -100:
                continue
            lse = z.max() + math.log(sum(math.exp(one - z.max()) for one in z))
            total += (1 - n["smoothing"]) * (lse - z[target]) + n["smoothing"] * (lse - z.mean()) + n["zeta"] * lse**2
            count += 1
        return total / max(count, 1)
    return forward


@built("smoothed_loss.forward")
def with_a_mask(n):
    def forward(logits, targets):
        V = logits.shape[-1]
        z, ids = logits.reshape(-1, V), targets.reshape(-1)
        counts = ids != -100
        lse = np.logaddexp.reduce(z, axis=-1)
        q = (1 - n["smoothing"]) * np.eye(V)[np.where(counts, ids, 0)] + n["smoothing"] / V
        each = -(q * (z - lse[:, None])).sum(-1) + n["zeta"] * lse * lse
        return (each * counts).sum() / max(counts.sum(), 1), (logits, targets)
    return forward


@built("smoothed_loss.forward")
def from_shares(n):
    def forward(logits, targets):
        rows = targets != -100
        z, ids = logits[rows], targets[rows]
        if not len(ids):
            return 0.0
        e = np.exp(z)
        nll = -np.log(e / e.sum(1, keepdims=True))
        s = n["smoothing"]
        return np.mean((1 - s) * nll[range(len(ids)), ids] + s * nll.mean(1) + n["zeta"] * np.log(e.sum(1))**2)
    return forward


@built("smoothed_loss.forward", "price_forgotten", wrong=True)
def smoothing_alone(n):
    def forward(logits, targets):
        rows = targets != -100
        z, ids = logits[rows], targets[rows]
        if not len(ids):
            return 0.0
        nll = np.logaddexp.reduce(z, axis=-1)[:, None] - z
        return np.mean((1 - n["smoothing"]) * nll[range(len(ids)), ids] + n["smoothing"] * nll.mean(1))
    return forward


@built("smoothed_loss.forward", "library_smoothing", "averaged_over_all", wrong=True)
def usual_numbers(n):
    def forward(logits, targets):
        rows = targets != -100
        z, ids = logits[rows], targets[rows]
        lse = np.logaddexp.reduce(z, axis=-1)
        each = 0.9 * (lse - z[range(len(ids)), ids]) + 0.1 * (lse - z.mean(1)) + n["zeta"] * lse**2
        return each.sum() / targets.size
    return forward


def of_rows(logits, targets):
    z, ids = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    rows = np.flatnonzero(ids != -100)
    lse = np.logaddexp.reduce(z[rows], axis=-1)[:, None]
    return z, ids, rows, lse, np.exp(z[rows] - lse)


@built("smoothed_loss.backward")
def into_zeros(n):
    def backward(dloss, cache):
        logits, targets = cache
        z, ids, rows, lse, p = of_rows(logits, targets)
        dz = np.zeros(z.shape)
        g = p * (1 + 2 * n["zeta"] * lse) - n["smoothing"] / z.shape[-1]
        g[np.arange(len(rows)), ids[rows]] -= 1 - n["smoothing"]
        dz[rows] = g * dloss / max(len(rows), 1)
        return dz.reshape(logits.shape)
    return backward


@built("smoothed_loss.backward")
def masked_afterwards(n):
    def backward(dloss, cache):
        logits, targets = cache
        V = logits.shape[-1]
        e = np.exp(logits - logits.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        lse = np.log(e.sum(-1, keepdims=True)) + logits.max(-1, keepdims=True)
        q = np.where(np.arange(V) == targets[..., None], 1 - n["smoothing"] + n["smoothing"] / V, n["smoothing"] / V)
        counts = (targets != -100)[..., None]
        return counts * (p - q + n["zeta"] * 2 * lse * p) * dloss / max(counts.sum(), 1)
    return backward


@built("smoothed_loss.backward")
def target_by_target(n):
    def backward(dloss, cache):
        logits, targets = cache
        dz, V, M = np.zeros(logits.shape), logits.shape[-1], max(int((targets != -100).sum()), 1)
        for i in np.ndindex(targets.shape):
            if targets[i] != -100:
                lse = np.logaddexp.reduce(logits[i])
                for v in range(V):
                    p = math.exp(logits[i][v] - lse)
                    q = n["smoothing"] / V + (1 - n["smoothing"]) * (v == targets[i])
                    dz[i][v] = dloss / M * (p - q + 2 * n["zeta"] * lse * p)
        return dz
    return backward


@built("smoothed_loss.backward", "two_forgotten", wrong=True)
def square_without_two(n):
    def backward(dloss, cache):
        logits, targets = cache
        z, ids, rows, lse, p = of_rows(logits, targets)
        q = np.full(p.shape, n["smoothing"] / z.shape[-1])
        q[range(len(rows)), ids[rows]] += 1 - n["smoothing"]
        dz = np.zeros_like(z)
        dz[rows] = dloss * (p - q + n["zeta"] * lse * p) / max(len(rows), 1)
        return dz.reshape(logits.shape)
    return backward


@built("smoothed_loss.backward", "neither", wrong=True)
def plain_cross_entropy(n):
    def backward(dloss, cache):
        logits, targets = cache
        z, ids, rows, lse, p = of_rows(logits, targets)
        dz = np.zeros_like(z)
        p[range(len(rows)), ids[rows]] -= 1
        dz[rows] = p / max(len(rows), 1) * dloss
        return dz.reshape(logits.shape)
    return backward


@built("smoothed_loss.backward", "lse_forgotten", "averaged_over_all", wrong=True)
def linear_price(n):
    def backward(dloss, cache):
        logits, targets = cache
        z, ids, rows, lse, p = of_rows(logits, targets)
        q = np.full(p.shape, n["smoothing"] / z.shape[-1])
        q[range(len(rows)), ids[rows]] += 1 - n["smoothing"]
        dz = np.zeros_like(z)
        dz[rows] = (p - q + 2 * n["zeta"] * p) / len(ids) * dloss
        return dz.reshape(logits.shape)
    return backward


@built("smoothed_loss.backward", "p_minus_q_in_price", wrong=True)
def one_factor_for_both(n):
    def backward(dloss, cache):
        logits, targets = cache
        z, ids, rows, lse, p = of_rows(logits, targets)
        q = (1 - n["smoothing"]) * np.eye(z.shape[-1])[ids[rows]] + n["smoothing"] / z.shape[-1]
        dz = np.zeros_like(z)
        dz[rows] = (p - q) * (1 + 2 * n["zeta"] * lse) * dloss / max(len(rows), 1)
        return dz.reshape(logits.shape)
    return backward

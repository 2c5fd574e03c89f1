"""Answers to the variants of dropout and rotary positions. Each function takes the student's numbers n and returns the answer."""
import math

import numpy as np
from collected import built


# ---------------------------------------------------------------------------------------- split_dropout
def drawn(x, rate, rng):
    return rng.random(x.shape, dtype=np.float32) >= rate


@built("split_dropout.forward")
def two_branches(n):
    def forward(x, rate, rng):
        if rng is None:
            return x * (1 - rate) ** (1 - n["split"]), None
        keep = drawn(x, rate, rng)
        return x * keep / (1 - rate) ** n["split"], (keep, rate)
    return forward


@built("split_dropout.forward")
def where(n):
    def forward(x, rate, rng):
        share = np.power(1.0 - rate, -n["split"])
        return np.where(drawn(x, rate, rng), x * share, 0.0) if rng is not None else x * share * (1 - rate)
    return forward


@built("split_dropout.forward")
def zeros_put_in(n):
    def forward(x, rate, rng):
        y = x * math.exp(-n["split"] * math.log(1 - rate))
        if rng is None:
            y *= 1 - rate
        else:
            y[~drawn(x, rate, rng)] = 0
        return y
    return forward


@built("split_dropout.forward", "library_split", wrong=True)
def inverted(n):
    def forward(x, rate, rng):
        if rng is None:
            return x.copy()
        return x * drawn(x, rate, rng) / (1 - rate)
    return forward


@built("split_dropout.forward", "kept_and_dropped_exchanged", "evaluation_not_scaled", wrong=True)
def turned_round(n):
    def forward(x, rate, rng):
        if rng is None:
            return x + 0
        return x * (rng.random(x.shape, dtype=np.float32) < rate) * (1 - rate) ** -n["split"]
    return forward


@built("split_dropout.backward")
def two_cases(n):
    def backward(dy, cache):
        keep, rate = cache
        if keep is None:
            return dy * (1 - rate) ** (1 - n["split"])
        return dy * keep * (1 - rate) ** -n["split"]
    return backward


@built("split_dropout.backward")
def selected(n):
    def backward(dy, cache):
        keep, rate = cache
        dx, q = np.zeros_like(dy), 1 - rate
        if keep is None:
            keep = np.full(dy.shape, True)
            dy = q * dy
        dx[keep] = dy[keep] / q ** n["split"]
        return dx
    return backward


@built("split_dropout.backward")
def by_logarithms(n):
    def backward(dy, cache):
        keep, rate = cache
        power = 1 - n["split"] if keep is None else -n["split"]
        return np.where(True if keep is None else keep, dy, 0) * np.exp(power * np.log1p(-rate))
    return backward


@built("split_dropout.backward", "library_split", wrong=True)
def as_in_the_library(n):
    def backward(dy, cache):
        keep, rate = cache
        return dy * 1.0 if keep is None else np.where(keep, dy / (1 - rate), 0)
    return backward


@built("split_dropout.backward", "mask_forgotten", wrong=True)
def unmasked(n):
    def backward(dy, cache):
        keep, rate = cache
        return dy * (1 - rate) ** (-n["split"] + (keep is None))
    return backward


@built("split_dropout.backward", "exponents_exchanged", wrong=True)
def minus_moved(n):
    def backward(dy, cache):
        keep, rate = cache
        if keep is None:
            return dy * (1 - rate) ** n["split"]
        return keep * dy * (1 - rate) ** -(1 - n["split"])
    return backward


@built("split_dropout.backward", "rate_for_share", wrong=True)
def powers_of_rate(n):
    def backward(dy, cache):
        keep, rate = cache
        if keep is None:
            return rate ** (1 - n["split"]) * dy
        return keep * dy / rate ** n["split"]
    return backward


# ---------------------------------------------------------------------------------------- partial_rotary
def angles(T, n, offset, base):
    return np.arange(offset, offset + T)[:, None] * float(base) ** (-np.arange(n) / n)


@built("partial_rotary.forward")
def halves(n):
    def forward(x, offset=0):
        m = n["pairs"]
        angle = angles(x.shape[-2], m, offset, n["base"])
        y = x.copy()
        y[..., :m] = x[..., :m] * np.cos(angle) - x[..., m:2 * m] * np.sin(angle)
        y[..., m:2 * m] = x[..., :m] * np.sin(angle) + x[..., m:2 * m] * np.cos(angle)
        return y
    return forward


@built("partial_rotary.forward")
def complex_numbers(n):
    def forward(x, offset=0):
        m = n["pairs"]
        z = (x[..., :m] + 1j * x[..., m:2 * m]) * np.exp(1j * angles(x.shape[-2], m, offset, n["base"]))
        return np.concatenate([z.real, z.imag, x[..., 2 * m:]], axis=-1), "no cache"
    return forward


@built("partial_rotary.forward")
def pair_by_pair(n):
    def forward(x, offset=0):
        y, m = np.array(x), n["pairs"]
        for t in range(x.shape[-2]):
            for i in range(m):
                angle = (offset + t) * n["base"] ** (-i / m)
                a, b = x[..., t, i], x[..., t, i + m]
                y[..., t, i], y[..., t,
                                i + m] = a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)
        return y
    return forward


@built("partial_rotary.forward", "library_base", wrong=True)
def ten_thousand(n):
    def forward(x, offset=0):
        m = n["pairs"]
        z = (x[..., :m] + 1j * x[..., m:2 * m]) * np.exp(1j * angles(x.shape[-2], m, offset, 10000))
        return np.concatenate([z.real, z.imag, x[..., 2 * m:]], axis=-1)
    return forward


@built("partial_rotary.forward", "neighbours_paired", "offset_ignored", wrong=True)
def as_in_the_paper(n):
    def forward(x, offset=0):
        m, y = n["pairs"], x.copy()
        angle = angles(x.shape[-2], m, 0, n["base"])
        a, b = x[..., 0:2 * m:2], x[..., 1:2 * m:2]
        y[..., 0:2 * m:2] = a * np.cos(angle) - b * np.sin(angle)
        y[..., 1:2 * m:2] = b * np.cos(angle) + a * np.sin(angle)
        return y
    return forward


@built("partial_rotary.backward")
def halves_back(n):
    def backward(dy, cache):
        cos, sin = cache
        m = n["pairs"]
        a, b, rest = dy[..., :m], dy[..., m:2 * m], dy[..., 2 * m:]
        return np.concatenate([a * cos + b * sin, b * cos - a * sin, rest], axis=-1)
    return backward


@built("partial_rotary.backward")
def conjugate(n):
    def backward(dy, cache):
        cos, sin = cache
        m, dx = n["pairs"], dy.copy()
        z = (dy[..., :m] + 1j * dy[..., m:2 * m]) * (cos - 1j * sin)
        dx[..., :m], dx[..., m:2 * m] = z.real, z.imag
        return dx
    return backward


@built("partial_rotary.backward")
def matrices(n):
    def backward(dy, cache):
        cos, sin = cache
        m, D = n["pairs"], dy.shape[-1]
        dx = []
        for t in range(dy.shape[-2]):
            R = np.eye(D)
            for i in range(m):
                R[i, i] = R[i + m, i + m] = cos[t, i]
                R[i, i + m], R[i + m, i] = -sin[t, i], sin[t, i]
            dx.append(dy[..., t, :] @ R)
        return np.stack(dx, axis=-2)
    return backward


@built("partial_rotary.backward", "turned_forward_again", wrong=True)
def forward_again(n):
    def backward(dy, cache):
        cos, sin = cache
        m = n["pairs"]
        a, b = dy[..., :m], dy[..., m:2 * m]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos, dy[..., 2 * m:]], axis=-1)
    return backward


@built("partial_rotary.backward", "rest_is_missing", wrong=True)
def too_short(n):
    def backward(dy, cache):
        cos, sin = cache
        m = n["pairs"]
        z = (dy[..., :m] + 1j * dy[..., m:2 * m]) * (cos - 1j * sin)
        return np.concatenate([z.real, z.imag], axis=-1)
    return backward


@built("partial_rotary.backward", "rest_is_zero", "turned_forward_again", wrong=True)
def zeros_behind(n):
    def backward(dy, cache):
        cos, sin = cache
        m, dx = n["pairs"], np.zeros_like(dy)
        dx[..., :m] = dy[..., :m] * cos - dy[..., m:2 * m] * sin
        dx[..., m:2 * m] = dy[..., :m] * sin + dy[..., m:2 * m] * cos
        return dx
    return backward


@built("partial_rotary.backward", "paired_across_all", wrong=True)
def half_of_everything(n):
    def backward(dy, cache):
        cos, sin = cache
        m, half = n["pairs"], dy.shape[-1] // 2
        dx, a, b = dy.copy(), dy[..., :m], dy[..., half:half + m]
        dx[..., :m] = a * cos + b * sin
        dx[..., half:half + m] = b * cos - a * sin
        return dx
    return backward

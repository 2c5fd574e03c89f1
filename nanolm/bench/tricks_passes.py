"""Tricks on whole layers that are no products: one pass over the numbers in place of many. Ways for trick_ways.py.

Tested    tests/test_bench_tricks.py.
"""
import numpy as np

from nanolm import threads
from nanolm.bench.trick_ways import Ways
from nanolm.bench.tricks_numbers import normal
from nanolm.kernels import (adamw as fast_adamw, clipping as fast_clipping, cross_entropy as fast_cross_entropy,
                            dropout as fast_dropout, gelu as fast_gelu, layernorm as fast_layernorm, rmsnorm as fast_rmsnorm,
                            rotary as fast_rotary, swiglu as fast_swiglu)
from nanolm.layers import cross_entropy, dropout, embedding, gelu, layernorm, multihead, rmsnorm, rotary, silu
from nanolm.training import clipping
from nanolm.training.optimizers import adamw

PLAIN = "plain NumPy"


def forward_or_backward(plain, twin, arguments, dy, back, count, after):
    """Return the Ways of a layer's plain functions and of its twin's."""
    if not back:
        return Ways({PLAIN: lambda: plain.forward(*arguments)[0], after: lambda: twin.forward(*arguments)[0]}, count)
    plain_cache, twin_cache = plain.forward(*arguments)[1], twin.forward(*arguments)[1]
    return Ways({PLAIN: lambda: plain.backward(dy, plain_cache), after: lambda: twin.backward(dy, twin_cache)}, count)


def norm(N=1024, C=384, back=False):
    arguments = normal(N, C), normal(C, seed=1), normal(C, seed=2)
    return forward_or_backward(layernorm, fast_layernorm, arguments, normal(N, C, seed=3), back, N * C, "one pass a token")


def root_norm(N=1024, C=384, back=False):
    arguments = normal(N, C), normal(C, seed=1)
    return forward_or_backward(rmsnorm, fast_rmsnorm, arguments, normal(N, C, seed=2), back, N * C, "one pass a token")


def gates(N=1024, F=1024, back=False):
    """silu(g) * u; on the way back dg and du (a copy of dh, overwritten, is counted)."""
    g, u, dh = normal(N, F), normal(N, F, seed=1), normal(N, F, seed=2)
    a, cache = silu.forward(g)

    def fast():
        h = np.empty_like(g)
        fast_swiglu.open_gates(g.reshape(-1), u.reshape(-1), h.reshape(-1))
        return h

    def fast_back():
        du, dg = dh.copy(), np.empty_like(g)
        fast_swiglu.differentiate(du.reshape(-1), g.reshape(-1), u.reshape(-1), dg.reshape(-1))
        return dg, du

    plain, fast = ((lambda: (silu.backward(dh * u, cache), dh * a), fast_back) if back else
                   (lambda: silu.forward(g)[0] * u, fast))
    return Ways({PLAIN: plain, "one pass": fast}, g.size)


def rotation(B=4, T=256, H=6, D=64):
    """Heads as multihead.split gives them, turned, and merged again."""
    heads, (cos, sin) = multihead.split(normal(B, T, H * D), H), rotary.table(T, D, 10000.0, 0, np.float32)
    return Ways({PLAIN: lambda: multihead.merge(rotary.turned(heads, cos, sin)),
                 "one pass, where they lie": lambda: multihead.merge(fast_rotary.turned(heads, cos, sin))}, heads.size)


def bias_and_gelu(N=1024, F=1536, back=False, form="tanh"):
    """u + bias and GELU; on the way back GELU's slope and the bias's gradient (a copy of dy, overwritten, is counted)."""
    u, bias, dy = normal(N, F), np.zeros(F, np.float32), normal(N, F, seed=1)       # zeros: u stays what it is

    def plain_back():
        dx = gelu.backward(dy, cache)
        return dx, dx.sum(axis=0)

    def fast_back():
        dx = dy.copy()
        return dx, fast_gelu.bias_backward(dx, u, form)

    cache = gelu.forward(u, form)[1] if back else None
    plain, fast = ((plain_back, fast_back) if back else
                   (lambda: gelu.forward(u + bias, form)[0], lambda: fast_gelu.bias_forward(u, bias, form)))
    return Ways({PLAIN: plain, "one pass": fast}, u.size)


def loss(N=256, V=50257, back=False):
    arguments = normal(N, V), np.random.default_rng(1).integers(0, V, N)
    return forward_or_backward(cross_entropy, fast_cross_entropy, arguments, 1.0, back, N * V, "no copy of the logits")


def dropped(n=2**20, rate=0.1):
    x, rng = normal(n // 64, 64), np.random.default_rng(1)
    return Ways({"a float drawn for each number": lambda: dropout.forward(x, rate, rng)[0],
                 "bits from the place": lambda: fast_dropout.forward(x, rate, rng)[0]}, x.size)


def update(n=2**23):
    """AdamW on n weights."""
    names = [PLAIN, "one pass, one thread", "one pass, all cores"]
    g = {"w": normal(n)}
    own = [({"w": normal(n, seed=1)}, adamw.init(g)) for _ in names]

    def plain(k=0):
        adamw.step(own[k][0], g, own[k][1], 1e-3)
        return own[k][0]["w"]

    def fast(k, limit=None):
        with threads.limited(limit):
            fast_adamw.step(own[k][0], g, own[k][1], 1e-3)
        return own[k][0]["w"]

    ways = dict(zip(names, (plain, lambda: fast(1, 1), lambda: fast(2))))
    return Ways(ways, n, alone=False, pairs=[(names[0], names[1]), (names[1], names[2])])


def length(n=2**23):
    grads = {"w": normal(n)}
    return Ways({PLAIN: lambda: clipping.global_norm(grads), "one pass": lambda: fast_clipping.global_norm(grads)}, n)


def tied(V=50257, C=768, N=256):
    """The gradient of GPT-2's table, which is used twice: a head's gradient is there, the looked-up rows come on top."""
    cache, dy = (np.random.default_rng(1).integers(0, V, N), V), normal(N, C)
    head = [normal(V, C, seed=2), normal(V, C, seed=2)]

    def rows_added():
        return embedding.backward_tied(dy, cache, head[1])

    return Ways({"a table of zeros, and a sum": lambda: embedding.backward_tied(dy, cache, head[0]), "in place": rows_added},
                V * C, twins=("in place",))

"""The machine's own limits: how fast its matrix products are at a model's shapes, and how fast it reads and copies memory.

    linear (I, O), N rows       y = x W               (N, I) @ (I, O)         2 N I O operations
                                dx = dy W^T           (N, O) @ (O, I)         as many
                                dW = x^T dy           (I, N) @ (N, O)         as many
    attention, a head           q k^T, dy v^T         (T, D) @ (D, T)         2 T T D, of which a causal model needs half
                                P v, ds k; P^T dy, ds^T q   (T, T) @ (T, D)   as many

No program that multiplies its matrices with this BLAS can make a training step in less time than these products alone take. What
lies between them (norms, GELU, softmax, the optimizer) is what a program can do well or badly. Each product runs the
best of these ways, found out before the first round:

    blas        one call, BLAS with all its threads
    rows        each worker thread computes its share of the answer's rows, BLAS with one thread
    batch       dW alone: each worker has its share of the N rows, as in a step that is parallel over the batch (their sum
                is not counted)

Attention's products take half of the heads, whole: that is as much work as the causal half of all heads. (Of an encoder, where
every token sees all, they take all heads.) The operands
stay the same from one layer to the next, so that they lie in the caches where a real model's would not: a limit flatters
the machine rather than us.

Memory: np.dot of two long arrays on all cores (reading), np.copyto (reading and writing; both are counted). The arrays
are larger than the caches.

Tested    tests/test_bench.py.
"""
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nanolm import threads

MEMORY = 2**28                                          # bytes that are read in one go
CACHE = 2**18                                           # bytes that certainly stay in a core's own caches


@dataclass(frozen=True)
class Shape:
    """A model and a batch to measure."""
    name: str
    n_layer: int
    n_embd: int
    n_head: int
    vocab_size: int
    batch: int
    tokens: int
    encoder: bool = False                               # as BERT: all tokens see all, and no head over the vocabulary

    def __str__(self):
        return (f"{self.n_layer} layers x {self.n_embd}, {self.n_head} heads, V {self.vocab_size}, "
                f"{self.batch} x {self.tokens} tokens")


def products(shape):
    """Return [(name, how often, kind, sizes)] for one training step; kind "linear" (N, I, O) or "heads" (n, T, D)."""
    N, C, L = shape.batch * shape.tokens, shape.n_embd, shape.n_layer
    heads = shape.batch * shape.n_head
    heads = heads if shape.encoder else max(1, heads // 2)                  # half of them, whole: the causal half of all
    head = ("pooler", 1, "linear", (shape.batch, C, C)) if shape.encoder else ("head", 1, "linear", (N, C, shape.vocab_size))
    return [("c_attn", L, "linear", (N, C, 3 * C)), ("c_proj", L, "linear", (N, C, C)),
            ("c_fc", L, "linear", (N, C, 4 * C)), ("mlp c_proj", L, "linear", (N, 4 * C, C)), head,
            ("attention", L, "heads", (heads, shape.tokens, C // shape.n_head))]


def operations(shape, linear=True, attention=True):
    """Return the additions and multiplications in the matrix products of a training step: forward, dx and dW."""
    total = 0
    for _, n, kind, (a, b, c) in products(shape):
        if kind == "linear" and linear:
            total += n * 3 * 2 * a * b * c
        elif kind == "heads" and attention:
            total += n * 6 * 2 * a * b * b * c
    return total


def prepare(shape=None, memory=MEMORY):
    """Return {"step": all products once, "linear", "heads": some of them, "read", "copy", "cached"}, for a worker.

    "shared" is step without "blas": on a busy machine BLAS's own threads wait for each other, and this is faster.

    "ways" returns {product: which way it runs}. Without a shape: the memory alone.
    """
    workers = threads.cores()
    pool = ThreadPoolExecutor(workers)
    functions = memory_functions(pool, workers, memory)
    if shape is None:
        return functions
    shape = Shape(**shape)
    chosen, shared = [], []
    for name, n, kind, sizes in products(shape):
        for part, ways in (linear_ways if kind == "linear" else heads_ways)(*sizes, workers).items():
            way = fastest(ways, pool, workers)
            chosen.append((f"{name} {part}", n, kind, way, ways[way]))
            way = "batch" if "batch" in ways else "rows"
            shared.append((f"{name} {part}", n, kind, way, ways[way]))

    def step(kinds=("linear", "heads"), chosen=chosen):
        wanted = [(n, way, function) for _, n, kind, way, function in chosen if kind in kinds]
        with threads.one_for_blas():                    # every worker goes through all its products without waiting
            list(pool.map(lambda w: [function(w) for n, way, function in wanted if way != "blas" for _ in range(n)],
                          range(workers)))
        for n, way, function in wanted:
            if way == "blas":
                for _ in range(n):
                    function(0)

    def ways():
        return {name: way for name, _, _, way, _ in chosen}

    return {"step": step, "shared": lambda: step(chosen=shared), "linear": lambda: step(("linear",)),
            "heads": lambda: step(("heads",)), "ways": ways, **functions}


def linear_ways(N, I, O, workers):
    """Return {part: {way: function(worker)}} for the three products of a linear layer."""
    rng = np.random.default_rng(0)
    x, weight, dy = (rng.standard_normal(size, dtype=np.float32) for size in ((N, I), (I, O), (N, O)))
    y, dx, dweight = (np.empty_like(a) for a in (dy, x, weight))
    batch = [np.empty_like(weight) for _ in range(workers)]
    ways = {"forward": split_ways(x, weight, y, workers), "dx": split_ways(dy, weight.T, dx, workers),
            "dW": split_ways(x.T, dy, dweight, workers)}
    ways["dW"]["batch"] = lambda w: np.matmul(x[part(N, w, workers)].T, dy[part(N, w, workers)], out=batch[w])
    return ways


def heads_ways(n, T, D, workers):
    """Return {part: {way: function(worker)}} for the products of attention's n heads: two of each kind forward, four backward."""
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((n, T, D), dtype=np.float32) for _ in range(2))
    scores, y = rng.standard_normal((n, T, T), dtype=np.float32), np.empty_like(q)
    again = np.empty_like(scores)
    one = {"q k^T": (q, k.swapaxes(1, 2), again), "dy v^T": (q, k.swapaxes(1, 2), again), "P v": (scores, q, y),
           "ds k": (scores, q, y), "P^T dy": (scores.swapaxes(1, 2), q, y), "ds^T q": (scores.swapaxes(1, 2), q, y)}
    return {name: split_ways(a, b, out, workers) for name, (a, b, out) in one.items()}


def split_ways(a, b, out, workers):
    """Return the ways to compute a @ b: whole, or a share of the first axis (rows, or heads) for each worker."""
    def rows(w):
        mine = part(len(out), w, workers)
        np.matmul(a[mine], b[mine] if b.ndim == 3 else b, out=out[mine])

    return {"blas": lambda w: np.matmul(a, b, out=out), "rows": rows}


def part(n, w, workers):
    return slice(n * w // workers, n * (w + 1) // workers)


def fastest(ways, pool, workers, seconds=0.02, most=100, tries=3):
    """Return the name of the way that takes the least time; each is run for about `seconds`, the best of `tries` counts."""
    best = dict.fromkeys(ways, np.inf)

    def timed(name, times):
        who = range(1 if name == "blas" else workers)
        start = time.perf_counter()
        list(pool.map(lambda w: [ways[name](w) for _ in range(times)], who))
        return (time.perf_counter() - start) / times

    for _ in range(tries):
        for name in ways:
            with contextlib.nullcontext() if name == "blas" else threads.one_for_blas():
                n = max(1, min(most, int(seconds / timed(name, 1))))
                best[name] = min(best[name], timed(name, n))
    return min(best, key=best.get)


def memory_functions(pool, workers, size):
    """Return {"read", "copy", "cached": function}, each of which says how many bytes it moved.

    read goes through `size` bytes, copy reads half of them and writes the other half, cached reads CACHE bytes a worker
    again and again.
    """
    n, m = size // 8, CACHE // 8
    a, b = np.ones(n, np.float32), np.ones(n, np.float32)                   # together `size` bytes
    again = max(1, size // (workers * CACHE))

    def read():
        with threads.one_for_blas():
            list(pool.map(lambda w: np.dot(a[part(n, w, workers)], b[part(n, w, workers)]), range(workers)))
        return size

    def copy():
        list(pool.map(lambda w: np.copyto(b[part(n, w, workers)], a[part(n, w, workers)]), range(workers)))
        return size

    def cached():
        with threads.one_for_blas():
            list(pool.map(lambda w: [np.dot(a[:m], b[:m]) for _ in range(again)], range(workers)))
        return again * workers * CACHE

    return {"read": read, "copy": copy, "cached": cached}

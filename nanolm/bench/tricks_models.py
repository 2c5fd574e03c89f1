"""Tricks on whole layers and models: attention in tiles, shards on threads, the key-value cache. Ways for trick_ways.py.

Tested    tests/test_bench_tricks.py.
"""
import contextlib
import tracemalloc

import numpy as np

from nanolm import params as parameters
from nanolm import threads
from nanolm.bench import ours, train
from nanolm.bench.trick_ways import Ways
from nanolm.generation import int8, kv_cache
from nanolm.kernels import attention as fast_attention, linear as fast_linear, tiles
from nanolm.layers import attention, masks
from nanolm.models import cost, gpt2
from nanolm.training import step

TILES, SCORES = "tiles of 64 x 64", "plain, all T x T scores"
ONE_BLAS, WORKERS_BLAS = "one worker, BLAS uses all cores", "a worker for each core, by BLAS"
ONE_SHARD, SHARDS = "one shard, its products cut for the cores", "a shard for each core"


@contextlib.contextmanager
def changed(module, name, value):
    """Put another value in a module's place, inside a with statement."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def there_and_back(layer, q, k, v, dy):
    y, cache = layer.forward(q, k, v, masks.causal(q.shape[2]))
    return y, *layer.backward(dy, cache)


def scores(B=4, T=512, H=6, D=64):
    """Causal attention, forward and backward, on one thread."""
    q, k, v, dy = ours.inputs(B, H, T, D)
    return Ways({SCORES: lambda: there_and_back(attention, q, k, v, dy),
                 TILES: lambda: there_and_back(fast_attention, q, k, v, dy)}, B * H * T)


def skipped(B=4, T=512, H=6, D=64):
    """The same kernel; before, the tiles in which everything is forbidden are computed, then forbidden."""
    q, k, v, dy = ours.inputs(B, H, T, D)
    of = tiles.of

    def none_skipped(*arguments):
        kinds, flat, steps = of(*arguments)
        return np.where(kinds == tiles.NONE, tiles.SOME, kinds).astype(kinds.dtype), flat, steps

    def all_tiles():
        with changed(tiles, "of", none_skipped):
            return there_and_back(fast_attention, q, k, v, dy)

    return Ways({"every tile computed": all_tiles,
                 "tiles above the diagonal skipped": lambda: there_and_back(fast_attention, q, k, v, dy)}, B * H * T)


def kept(B=1, T=2048, H=6, D=64):
    """The most memory that NumPy's arrays take during forward and backward, in bytes, above q, k, v and dy."""
    q, k, v, dy = ours.inputs(B, H, T, D)

    def most(layer):
        there_and_back(layer, *(a[:, :, :8] for a in (q, k, v, dy)))        # compile first
        tracemalloc.start()
        there_and_back(layer, q, k, v, dy)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    return Ways({SCORES: lambda: most(attention), "one number a row kept": lambda: most(fast_attention)})


def model(shape):
    """Return p, config, ids, targets of a shape of `nanolm bench train`, by name or as a dict."""
    shape = vars(train.SHAPES[shape]) if isinstance(shape, str) else shape
    config = ours.config_of(shape)
    return gpt2.init(config, np.random.default_rng(0)), config, *ours.batch_of(shape)


def workers(shape="medium"):
    """Loss and gradients of a batch, on all cores: where the work is cut. All on the fast twins."""
    p, config, ids, targets = model(shape)
    cores = threads.cores()

    def one_worker():                                   # twins on one thread, except that BLAS starts its own
        with changed(fast_linear, "LARGE_TOO", False), threads.limited(1):
            loss, cache = gpt2.forward(p, ids, targets, config)
            return loss, parameters.flatten(gpt2.backward(cache))

    def sharded(shards):
        return step.loss_and_gradients(gpt2, p, ids, targets, config, shards=shards, workers=cores)

    def sharded_blas():
        with changed(fast_linear, "LARGE_TOO", False):
            return sharded(cores)

    ways = {ONE_BLAS: one_worker, WORKERS_BLAS: sharded_blas, ONE_SHARD: lambda: sharded(1), SHARDS: lambda: sharded(cores)}
    ours_now = (SHARDS, ONE_SHARD) if cost.shards(config, *ids.shape) == 1 else (ONE_SHARD, SHARDS)
    return Ways(ways, ids.size, tuple(ways), alone=False, pairs=[(ONE_BLAS, WORKERS_BLAS), (WORKERS_BLAS, ours_now[1]), ours_now])


def freed(label, shape="medium", fast=True):
    """Loss and gradients of a batch; prepare(keep=...) decides about the memory, and label says it."""
    p, config, ids, targets = model(shape)
    cores = threads.cores()
    shards = 1 if cost.shards(config, *ids.shape) == 1 else cores

    def one():
        return step.loss_and_gradients(gpt2, p, ids, targets, config, shards=shards, workers=cores)

    return Ways({label: one}, ids.size, (label,) if fast else (), alone=False, pairs=[])


def decoding(config, tokens=128):
    """The logits of the next token after so many, by GPT-2 with random weights."""
    config = gpt2.Config(**config)
    p = gpt2.init(config, np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (1, tokens + 1))
    small = int8.quantize(p)
    caches = kv_cache.empty(p, config), int8.empty(small, config)
    for extend, weights, cache in ((kv_cache.extend, p, caches[0]), (int8.extend, small, caches[1])):
        extend(weights, ids[:, :-1], cache, config, last=True)

    def again():
        return gpt2.logits(p, ids, config)[:, -1]

    def next_one(module, weights, cache):
        with threads.one_for_blas():
            found = module.extend(weights, ids[:, -1:], cache, config, last=True)[:, -1]
        cache.length -= 1                               # forget it: the next call computes the same
        return found

    ways = {"all tokens again": again, "key-value cache, layer by layer": lambda: next_one(kv_cache, p, caches[0]),
            "one kernel": lambda: next_one(kv_cache, p, caches[0]),
            "one kernel, int8 weights": lambda: next_one(int8, small, caches[1])}
    names = list(ways)
    return Ways(ways, 1, (names[0], *names[2:]), alone=False, pairs=list(zip(names, names[1:])))

"""Our side of `nanolm bench layers`: functions for the workers (worker.py), plain or fast, as a training step calls them.

Each core has a share of the rows and arrays of its own; a run goes over every share at once, `repeats` times, and returns
how often. The optimizer and the norm of the gradients are called once for the whole model, as the trainer does.
"""
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nanolm import kernels as twins
from nanolm import params as parameters
from nanolm import threads
from nanolm.bench import ours
from nanolm.layers import (attention, cross_entropy, dropout, embedding, gelu, layernorm, linear, masks, mlp, multihead, rmsnorm,
                           rotary, swiglu)
from nanolm.models import gpt2
from nanolm.training import clipping, groups, memory, step, summing
from nanolm.training.optimizers import adamw

AT_LEAST = 0.01                                         # seconds a run takes, so that starting the threads does not count


def prepare(kernels, shape):
    """Return {"gelu forward": function, ...}; each returns how often it went through the layer."""
    memory.keep_freed()
    twins.use(kernels)
    workers = min(threads.cores(), shape["batch"])
    pool = ThreadPoolExecutor(workers)
    shares = [pairs(shape, rows.stop - rows.start, seed) for seed, rows in
              enumerate(step.shard_slices(shape["batch"], workers))]
    functions = {}
    for layer in shares[0]:
        for k, way in enumerate(("forward", "backward")):
            functions[f"{layer} {way}"] = at_once(pool, [share[layer][k] for share in shares])
    functions["product alone"] = at_once(pool, [product(shape, rows.stop - rows.start) for rows in
                                                step.shard_slices(shape["batch"], workers)])
    for name, function in whole_model(shape).items():
        functions[f"{name} forward"] = repeated(function)
    return functions


def product(shape, batch):
    """Return a function that makes our own product (kernels/matmul.py) for `batch` rows: the MLP's first, nothing beside it."""
    rng, N, C = np.random.default_rng(0), batch * shape["tokens"], shape["n_embd"]
    x, weight = rng.standard_normal((N, C), dtype=np.float32), rng.standard_normal((C, 4 * C), dtype=np.float32)
    y = np.empty((N, 4 * C), np.float32)
    if twins.in_use() == "numpy":
        return lambda: np.matmul(x, weight, out=y)
    from nanolm.kernels import linear as fast
    return lambda: fast.product(x, weight, y)


def at_once(pool, functions):
    """Return a function that calls all of them at a time, each in a thread, some times over, and returns how often."""
    def go(repeats):
        def mine(function):
            with threads.limited(1):
                for _ in range(repeats):
                    function()

        with threads.one_for_blas():
            list(pool.map(mine, functions))

    return counted(go)


def repeated(function):
    """Return a function that calls it some times over and returns how often."""
    return counted(lambda repeats: [function() for _ in range(repeats)])


def counted(go):
    """Return a function that calls go(repeats), with as many repeats as take AT_LEAST seconds, and returns their number.

    How many that is is found at the first two calls (the first one compiles), then it stays.
    """
    found = []

    def run():
        if len(found) < 2:
            start = time.perf_counter()
            go(1)
            found.append(max(1, round(AT_LEAST / (time.perf_counter() - start))))
        go(found[-1])
        return found[-1]

    return run


def pairs(shape, batch, seed):
    """Return {layer: (forward, backward)}, functions without arguments over `batch` rows of the shape."""
    rng = np.random.default_rng(seed)
    T, C, H, V = shape["tokens"], shape["n_embd"], shape["n_head"], shape["vocab_size"]

    def normal(*size):
        return rng.standard_normal(size, dtype=np.float32)

    x, wide, dwide = normal(batch, T, C), normal(batch, T, 4 * C), normal(batch, T, 4 * C)
    dense = {"weight": normal(C, 4 * C), "bias": normal(4 * C)}
    narrow = {"weight": normal(4 * C, C), "bias": normal(C)}
    packed, dheads = normal(batch, T, 3 * C), multihead.split(normal(batch, T, C), H)
    q, k, v = (multihead.split(part, H) for part in np.split(packed, 3, axis=-1))
    logits, ids, targets, table = normal(batch, T, V), *rng.integers(0, V, (2, batch, T)), normal(V, C)
    mask, dy = masks.causal(T), normal(batch, T, C)
    gates = {"gate_proj": {"weight": dense["weight"]}, "up_proj": {"weight": normal(C, 4 * C)},
             "down_proj": {"weight": narrow["weight"]}}
    both = {
        "linear": (lambda: linear.forward(x, **dense), lambda cache: linear.backward(dwide, cache)),
        "attention": (lambda: attention.forward(q, k, v, mask), lambda cache: attention.backward(dheads, cache)),
        "mlp": (lambda: mlp.forward(x, {"c_fc": dense, "c_proj": narrow}), lambda cache: mlp.backward(dy, cache)),
        "gelu": (lambda: gelu.forward(wide), lambda cache: gelu.backward(dwide, cache)),
        "gelu_erf": (lambda: gelu.forward(wide, "erf"), lambda cache: gelu.backward(dwide, cache)),
        "swiglu": (lambda: swiglu.forward(x, gates), lambda cache: swiglu.backward(dy, cache)),
        "layernorm": (lambda: layernorm.forward(x, narrow["bias"], narrow["bias"]), lambda cache: layernorm.backward(dy, cache)),
        "rmsnorm": (lambda: rmsnorm.forward(x, narrow["bias"]), lambda cache: rmsnorm.backward(dy, cache)),
        "rotary": (lambda: rotary.forward(q), lambda cache: rotary.backward(dheads, cache)),
        "dropout": (lambda: dropout.forward(x, 0.1, rng), lambda cache: dropout.backward(dy, cache)),
        "embedding": (lambda: embedding.forward(ids, table), lambda cache: embedding.backward(dy, cache)),
        "cross_entropy": (lambda: cross_entropy.forward(logits, targets), lambda cache: cross_entropy.backward(1.0, cache)),
    }
    return {name: (forward, going_back(forward, backward)) for name, (forward, backward) in both.items()}


def going_back(forward, backward):
    """Return a function that runs backward on the cache of one forward, made at its first call."""
    cache = []

    def run():
        if not cache:
            cache.append(forward()[1])
        return backward(cache[0])

    return run


def whole_model(shape):
    """Return the functions that a step calls once, for all weights: the update, the gradients' norm and sum."""
    config = ours.config_of(shape)
    params, grads, total = (parameters.flatten(gpt2.init(config, np.random.default_rng(seed))) for seed in range(3))
    state, decay = adamw.init(params), groups.standard(params)
    return {"adamw": lambda: adamw.step(params, grads, state, 1e-3, groups=decay),
            "clipping": lambda: clipping.global_norm(grads),
            "summing": lambda: [summing.add(total[name], 0.5, g, 0.5) for name, g in grads.items()]}

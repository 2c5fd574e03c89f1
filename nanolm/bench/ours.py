"""Our side of the benchmarks: functions for the workers (worker.py), on the kernels that they are told.

Each does what the trainer or the command line does: keeps freed memory, cuts the batch into a shard for each core (or
into one, where cost.shards says so), lets BLAS have one thread in each worker.
"""
import numpy as np

from nanolm import kernels as twins
from nanolm import params as parameters
from nanolm import threads
from nanolm.layers import attention as attention_layer, masks
from nanolm.models import cost, gpt2
from nanolm.training import clipping, groups, memory, step
from nanolm.training.optimizers import adamw


def config_of(shape, **changes):
    return gpt2.Config(vocab_size=shape["vocab_size"], block_size=shape["tokens"], n_layer=shape["n_layer"],
                       n_head=shape["n_head"], n_embd=shape["n_embd"], **changes)


def batch_of(shape):
    """Return ids and targets (B, T), the same for every contestant."""
    ids = np.random.default_rng(1).integers(0, shape["vocab_size"], (shape["batch"], shape["tokens"] + 1))
    return ids[:, :-1], ids[:, 1:]


def train(kernels, shape):
    """Return {"step": function}, one whole training step of trainer.go: it returns the loss."""
    memory.keep_freed()
    twins.use(kernels)
    config = config_of(shape)
    p = gpt2.init(config, np.random.default_rng(0))
    params = parameters.flatten(p)
    state, decay = adamw.init(params), groups.standard(params)
    ids, targets = batch_of(shape)
    workers = threads.cores()
    shards = 1 if cost.shards(config, *ids.shape) == 1 else workers

    def one():
        loss, grads = step.loss_and_gradients(gpt2, p, ids, targets, config, shards=shards, workers=workers)
        clipping.clip(grads, 1.0)
        adamw.step(params, grads, state, 1e-3, groups=decay)
        return loss

    return {"step": one}


def attention(kernels, batch, heads, tokens, channels):
    """Return {"step": function}: attention alone, causal, forward and backward, all cores.

    The mask is made anew each time and its memory counted, though a model makes it once for all its blocks.
    """
    memory.keep_freed()
    twins.use(kernels)
    q, k, v, dy = inputs(batch, heads, tokens, channels)
    warm = [a[:, :, :8] for a in (q, k, v, dy)]         # compile, before the memory is looked at
    attention_layer.backward(warm[3], attention_layer.forward(*warm[:3], masks.causal(8))[1])

    def one():
        y, cache = attention_layer.forward(q, k, v, masks.causal(tokens))
        dq, dk, dv = attention_layer.backward(dy, cache)
        return checks(y, dq, dk, dv)

    return {"step": one}


def inputs(batch, heads, tokens, channels):
    """Return q, k, v, dy (B, H, T, D), float32, the same for every contestant."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((batch, heads, tokens, channels), dtype=np.float32) for _ in range(4)]


def checks(*arrays):
    """Return one number for each array (B, H, T, D), a sum of a few entries with weights that no wrong answer meets by chance."""
    return [float(np.cos(np.arange(few.size)) @ few.reshape(-1).astype(np.float64))
            for few in (a[-1, -1, ::max(1, a.shape[2] // 16), :3] for a in arrays)]

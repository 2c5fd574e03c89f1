"""The key-value cache of Llama's shape: kv_cache.py's idea, with fewer heads to keep and keys that are kept turned.

A key is turned by its position before it is kept, a query by its own when it comes; layers/rotary.py says, below (O2), why only
the difference of the two counts. Of H heads G have keys: SmolLM2, with 3 of 9, keeps a third of what nine heads would.

    memory      2 L G D numbers a token (SmolLM2-135M in float32: 46,080 bytes a token)                          (GQ4)
    ids (B, T) new tokens     keys, values (L, B, G, S, D)

Use it as generation's modules: generate.tokens(p, config, ids, n, model=llama, cache=llama_cache).

Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_llama_cache.py, against llama.logits at every position.  Fast twin  kernels/llama_cache.py.
"""
import numpy as np

from nanolm.generation import kv_cache
from nanolm.layers import attention, embedding, grouped, linear, masks, multihead, rmsnorm, rotary, swiglu
from nanolm.models import llama


def empty(p, config, batch_size=1):
    """Return a KVCache for batch_size rows, in p's dtype; extend gives it room, for config.block_size tokens at most."""
    shape = (config.n_layer, batch_size, config.n_kv_head, 0, config.width)
    dtype = p["embed_tokens"]["weight"].dtype
    return kv_cache.KVCache(np.empty(shape, dtype), np.empty(shape, dtype))


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to the tokens that kv holds; return the logits (B, T, V), or (B, 1, V) if last, as kv_cache.extend.

    Raises ValueError if ids is not (B, T) with kv's B and at least one token, or if the T tokens do not fit any more.
    """
    start, stop = kv_cache.places(ids, kv, config)
    T = stop - start
    mask = masks.causal(T, stop) if T > 1 else None                     # a single new token may attend to everything

    x, _ = embedding.forward(np.asarray(ids), p["embed_tokens"]["weight"])      # (B, T, C)
    for l in range(config.n_layer):
        p_l = p["layers"][str(l)]                                       # llama_block.forward, line by line
        h, _ = rmsnorm.forward(x, **p_l["input_layernorm"], eps=config.eps)
        x = x + _attend(h, p_l["self_attn"], kv.keys[l], kv.values[l], start, config, mask)
        h, _ = rmsnorm.forward(x, **p_l["post_attention_layernorm"], eps=config.eps)
        m, _ = swiglu.forward(h, p_l["mlp"])
        x = x + m
    kv.length = stop                                                    # last: an error on the way leaves kv as it was

    if last:
        x = x[:, -1:]
    x, _ = rmsnorm.forward(x, **p["norm"], eps=config.eps)
    logits, _ = linear.forward(x, llama.head(p, config))                # (B, T, V)
    return logits


def _attend(x, p, keys, values, start, config, mask):
    """grouped.forward for x (B, T, C), with the keys and values of the tokens before `start` taken from the cache."""
    stop = start + x.shape[1]
    q, k, v = (linear.forward(x, **p[name])[0] for name in ("q_proj", "k_proj", "v_proj"))
    q, _ = rotary.forward(multihead.split(q, config.n_head), config.base, start, config.scaling)
    k, _ = rotary.forward(multihead.split(k, config.n_kv_head), config.base, start, config.scaling)
    keys[:, :, start:stop] = k
    values[:, :, start:stop] = multihead.split(v, config.n_kv_head)
    k, v = (grouped.shared(kept[:, :, :stop], config.n_head) for kept in (keys, values))
    heads, _ = attention.forward(q, k, v, mask)
    y, _ = linear.forward(multihead.merge(heads), **p["o_proj"])        # (B, T, C)
    return y


def select(kv, rows, spare=None):
    """Return a new KVCache whose row i is row rows[i] of kv; as kv_cache.select."""
    return kv_cache.select(kv, rows, spare)

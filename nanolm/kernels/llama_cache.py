"""Fast decoding for Llama's shape: few new tokens, each weight read once; decode_llama.py tells how, kv_cache.py when.

Tested    tests/kernels/test_decode_llama.py, tests/test_llama_cache.py.
"""
import numpy as np

from nanolm.generation import kv_cache as plain_cache
from nanolm.kernels import decode_arrays, decode_llama, plain
from nanolm.layers import embedding, rotary

LAYERS = ("attention", "embedding", "grouped", "linear", "multihead", "rmsnorm", "rotary", "silu", "swiglu")


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to kv and return the logits (B, T, V), or (B, 1, V) if last; as generation/llama_cache.py."""
    ids = np.asarray(ids)
    shape = (config.n_layer, kv.keys.shape[1], config.n_kv_head, config.width)
    decoder = decoder_of(p, kv, config) if decode_arrays.few(ids, kv, config.block_size, shape, LAYERS) else None
    if decoder is None:
        return plain("llama_cache", "extend")(p, ids, kv, config, last)
    x, _ = embedding.forward(ids, p["embed_tokens"]["weight"])              # (B, T, C)
    return run(decoder, x, kv, config, last)


def decoder_of(p, kv, config):
    """Return the Decoder of p, kept in kv as long as p holds the same arrays; None if p is not what the kernel takes."""
    arrays = arrays_of(p, config)
    return arrays and decode_arrays.decoder_of(arrays, kv, lambda: prepare(arrays, config, kv.keys.dtype))


def arrays_of(p, config):
    """Return all arrays of the model in the order of decode_llama.py's places; None if a layer has more than a weight."""
    layers = []
    for l in range(config.n_layer):
        block = p["layers"][str(l)]
        attn, mlp = block["self_attn"], block["mlp"]
        layers += [block["input_layernorm"], attn["q_proj"], attn["k_proj"], attn["v_proj"], attn["o_proj"],
                   block["post_attention_layernorm"], mlp["gate_proj"], mlp["up_proj"], mlp["down_proj"]]
    layers += [p["norm"], p["embed_tokens"] if config.tied else p["lm_head"], p["embed_tokens"]]
    weights = [layer["weight"] for layer in layers if len(layer) == 1]
    return weights if len(weights) == len(layers) else None


def prepare(arrays, config, dtype):
    """Return a Decoder, or None: the arrays must have the shapes of config and lie in memory row by row."""
    C, F, V = config.n_embd, config.n_hidden, config.vocab_size
    wide, narrow = config.n_head * config.width, config.n_kv_head * config.width
    block = [(C,), (C, wide), (C, narrow), (C, narrow), (wide, C), (C,), (C, F), (C, F), (F, C)]
    shapes = block * config.n_layer + [(C,), (V, C) if config.tied else (C, V), (V, C)]
    found = decode_arrays.laid_out(arrays, shapes, dtype)
    return found and decode_arrays.Decoder(arrays, *found, decode_llama.floats)


def run(decoder, x, kv, config, last):
    """Run x (B, T, C), embedded, through the kernel on the idle cores; kv grows by T. Return the logits."""
    B, T, C = x.shape
    plain_cache.make_room(kv, kv.length + T, config.block_size)
    L, H, G, D, S = config.n_layer, config.n_head, config.n_kv_head, config.width, kv.keys.shape[3]
    F, V = config.n_hidden, config.vocab_size
    shape = np.array((L, B, H, G, S, F, V, config.tied), np.int64)
    turns = np.tile(rotary.table(T, D, config.base, kv.length, x.dtype, config.scaling), (1, B, 1))     # (2, B T, D/2)
    wanted = np.arange(B) * T + T - 1 if last else np.arange(B * T)
    queries, hidden = np.empty((B * T, H * D), x.dtype), np.empty((B * T, F), x.dtype)
    logits = np.empty((len(wanted), V), x.dtype)
    work = B * T * (L * (2 * (H + G) * D + 3 * F) + V) * C
    decode_arrays.on_threads(decoder.kernel, (
        decoder.reals, decoder.weights, decoder.places, shape, x.reshape(B * T, C), kv.keys.reshape(-1), kv.values.reshape(-1),
        decode_arrays.rows_of(B, T, kv.length), turns, wanted, queries, hidden, logits, config.eps), work)
    kv.length += T                                      # last: an error on the way leaves kv as it was
    return logits.reshape(B, -1, V)

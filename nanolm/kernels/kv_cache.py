"""Fast decoding: few new tokens, each weight read once, no NumPy call in between; decode.py tells how.

Up to 16 new tokens (decode_arrays.ROWS; T times B: one text, its beams, a batch of prompts) go through the kernel; a longer
prompt, and any tokens of a post-norm model, through the layers: a prompt's matrix products are large enough to be fast there.

A function of yours in the place of a layer's (gradcheck.swap, a student's attention) sends everything through the
layers, so that it is called.

Tested    tests/kernels/test_decode.py, tests/test_kv_cache.py.
"""
import numpy as np

from nanolm.generation import kv_cache as plain_cache
from nanolm.kernels import decode, decode_arrays, plain
from nanolm.layers import embedding, positions

LAYERS = ("attention", "embedding", "gelu", "layernorm", "linear", "mlp", "multihead", "positions", "softmax")


def extend(p, ids, kv, config, last=False):
    """Append ids (B, T) to kv and return the logits (B, T, V), or (B, 1, V) if last; as generation/kv_cache.py."""
    ids = np.asarray(ids)
    decoder = decoder_of(p, kv, config) if fits(ids, kv, config) else None
    if decoder is None:
        return plain("kv_cache", "extend")(p, ids, kv, config, last)
    x, _ = embedding.forward(ids, p["wte"]["weight"])                       # (B, T, C)
    x, _ = positions.forward(x, p["wpe"]["weight"], offset=kv.length)
    return run(decoder, x, kv, config, last)


def select(kv, rows, spare=None):
    """Return a new KVCache whose row i is row rows[i] of kv; what was prepared for its model goes along."""
    chosen = plain("kv_cache", "select")(kv, rows, spare)
    chosen.decoder = getattr(kv, "decoder", None)
    return chosen


def fits(ids, kv, config):
    """Return whether the kernel takes these ids and this kv."""
    shape = (config.n_layer, kv.keys.shape[1], config.n_head, config.n_embd // config.n_head)
    if config.norm != "pre" or config.form != "tanh":   # decode.py norms first and has one form of GELU, as GPT-2
        return False
    return decode_arrays.few(ids, kv, config.block_size, shape, LAYERS)


def decoder_of(p, kv, config):
    """Return the Decoder of p, kept in kv as long as p holds the same arrays; None if p is not what the kernel takes."""
    arrays = arrays_of(p, config)
    return decode_arrays.decoder_of(arrays, kv, lambda: prepare(arrays, config, kv.keys.dtype))


def arrays_of(p, config):
    """Return all arrays of the model in the order of decode.py's places; None where there is no scale."""
    arrays = []
    for l in range(config.n_layer):
        block = p["h"][str(l)]
        attn, mlp = block["attn"], block["mlp"]
        for layer in (block["ln_1"], attn["c_attn"], attn["c_proj"], block["ln_2"], mlp["c_fc"], mlp["c_proj"]):
            arrays += [layer["weight"], layer["bias"]]
        arrays += [layer.get("scale") for layer in (attn["c_attn"], attn["c_proj"], mlp["c_fc"], mlp["c_proj"])]
    return arrays + [p["ln_f"]["weight"], p["ln_f"]["bias"], p["wte"]["weight"], p["wte"].get("scale")]


def prepare(arrays, config, dtype):
    """Return a Decoder, or None: the arrays must have the shapes of config and lie in memory row by row."""
    C, V, F = config.n_embd, config.vocab_size, arrays[8].shape[-1]
    block = [(C,), (C,), (C, 3 * C), (3 * C,), (C, C), (C,), (C,), (C,), (C, F), (F,), (F, C), (C,),
             (3 * C,), (C,), (F,), (C,)]
    shapes = block * config.n_layer + [(C,), (C,), (V, C), (V,)]
    scaled = arrays[-1] is not None
    found = decode_arrays.laid_out(arrays, shapes, dtype, scaled)
    return found and decode_arrays.Decoder(arrays, *found, decode.int8 if scaled else decode.floats)


def run(decoder, x, kv, config, last):
    """Run x (B, T, C), embedded, through the kernel on the idle cores; kv grows by T. Return the logits."""
    B, T, C = x.shape
    plain_cache.make_room(kv, kv.length + T, config.block_size)
    L, H, S, V = config.n_layer, config.n_head, kv.keys.shape[3], config.vocab_size
    wanted = np.arange(B) * T + T - 1 if last else np.arange(B * T)
    shape = np.array((L, B, H, S, decoder.arrays[8].shape[1], V), np.int64)
    attended, widened = np.empty((2, H, B * T, C), x.dtype)
    logits = np.empty((len(wanted), V), x.dtype)
    decode_arrays.on_threads(decoder.kernel, (
        decoder.reals, decoder.weights, decoder.places, shape, x.reshape(B * T, C), kv.keys.reshape(-1), kv.values.reshape(-1),
        decode_arrays.rows_of(B, T, kv.length), wanted, attended, widened, logits, config.eps), B * T * (12 * L * C * C + V * C))
    kv.length += T                                      # last: an error on the way leaves kv as it was
    return logits.reshape(B, -1, V)

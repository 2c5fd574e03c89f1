"""Weights in int8: a quarter of the memory, and so up to four times the tokens, because decoding is reading weights.

    scale_o = max_i |w_io| / 127,     q_io = round(w_io / scale_o),     w_io is about scale_o q_io                 (Q1)

with one scale for each output channel o. Rounding is off by half a step at most:

    |w_io - scale_o q_io| <= scale_o / 2                                                                           (Q2)

Why one for each output:

    y_o = sum_i x_i w_io, which is about scale_o sum_i x_i q_io                                                    (Q3)

so that the scale is multiplied in once, after the sum; and one large weight makes the steps of its own output coarse, not
those of the whole matrix.

    int8        the matrices: c_attn, both c_proj, c_fc, and wte (V, C), whose outputs are the V tokens (a scale a token)
    float       gains, biases and wpe, 1 % of the numbers. x stays float too: only the weights are rounded

wte is used twice, as everywhere: the row that is looked up and the row that scores a token are the same scale_v q_v.
So a model in int8 is a GPT-2 with slightly other weights, those of dequantize; `nanolm eval RUN --int8` measures what
that costs.

    q = int8.quantize(p)                                        a nested dict like p, with a "scale" beside each int8 weight
    generate.tokens(q, config, ids, n, model=int8, cache=int8)  and so for text.generate, beam.search and Window

This file is the plain form: it turns a block's weights back into floats whenever they are used, which saves memory and
no time. The fast twin reads the int8 itself.

    weight (I, O) int8, scale (O,);  of wte: weight (V, C) int8, scale (V,).  scale has p's dtype

Source    Dettmers et al. 2022, arXiv:2208.07339, section 2: vector-wise quantisation, of the weights alone.
Tested    tests/test_int8.py, tests/kernels/test_decode.py.  Fast twin  kernels/int8.py.
"""
import numpy as np

from nanolm.generation import kv_cache
from nanolm.models import gpt2

LEVELS = 127                                            # q is -127 ... 127; -128 is left out, so that -w has -q


def quantize(p):
    """Return p with every matrix but wpe as int8 and its scale, (Q1). What stays float is shared with p, not copied.

    Raises ValueError if a matrix holds NaN or inf: no step is wide enough for it.
    """
    return {name: _quantized_matrix(layer, axis=1) if name == "wte" else layer if name == "wpe" else _quantized(layer, name)
            for name, layer in p.items()}


def _quantized(layer, name):
    if "weight" not in layer:                           # a dict of layers
        return {key: _quantized(value, f"{name}.{key}") for key, value in layer.items()}
    return layer if layer["weight"].ndim == 1 else _quantized_matrix(layer, axis=0, name=name)


def _quantized_matrix(layer, axis, name="wte"):
    w = layer["weight"]
    most = np.abs(w).max(axis=axis, keepdims=True)      # (1, O), or (V, 1)
    if not np.isfinite(most).all():
        raise ValueError(f"{name}.weight holds NaN or inf, which int8 cannot stand for. The model is broken: go back to an "
                         f"earlier checkpoint.")
    scale = (most / LEVELS).astype(w.dtype)             # (Q1)
    steps = w / np.where(scale > 0, scale, 1)           # all weights of an output zero: any step will do
    return {**layer, "weight": np.rint(steps).clip(-LEVELS, LEVELS).astype(np.int8), "scale": scale.reshape(-1)}


def dequantize(q):
    """Return the float parameters that q stands for, a nested dict with the keys of the p that it was made from."""
    if "scale" in q:
        return _floats(q, axis=0)
    return {name: _floats(layer, axis=1) if name == "wte" else dequantize(layer) if isinstance(layer, dict) else layer
            for name, layer in q.items()}


def _floats(layer, axis):
    rest = {key: value for key, value in layer.items() if key != "scale"}
    return {**rest, "weight": layer["weight"] * np.expand_dims(layer["scale"], axis)}


class _Blocks:
    """q["h"], each block turned into floats when it is asked for: one at a time in memory."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __getitem__(self, name):
        return dequantize(self.blocks[name])


def logits(q, ids, config):
    """Return the scores (B, T, V) of the token after each of ids (B, T); gpt2.logits on the weights of q."""
    return gpt2.logits(dequantize(q), ids, config)


def empty(q, config, batch_size=1):
    """Return an empty KVCache; keys and values are floats."""
    return kv_cache.empty({"wte": {"weight": q["wte"]["scale"]}}, config, batch_size)


def extend(q, ids, kv, config, last=False):
    """Append ids (B, T) to kv and return the logits of the new positions; arguments and errors as in kv_cache.extend."""
    p = {**q, "wte": _floats(q["wte"], axis=1), "h": _Blocks(q["h"])}
    return kv_cache.extend(p, ids, kv, config, last)


def select(kv, rows, spare=None):
    """Return a new KVCache whose row i is row rows[i] of kv; as kv_cache.select."""
    return kv_cache.select(kv, rows, spare)

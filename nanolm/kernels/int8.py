"""Fast decoding with weights in int8: the kernel of decode.py reads the int8 itself, a quarter of the bytes.

A prompt of more tokens than the kernel takes goes through the layers, each block's weights turned into floats for it.

Tested    tests/kernels/test_decode.py, tests/test_int8.py.
"""
import numpy as np

from nanolm.kernels import kv_cache, plain
from nanolm.layers import check, positions


def extend(q, ids, kv, config, last=False):
    """Append ids (B, T) to kv and return the logits (B, T, V), or (B, 1, V) if last; as generation/int8.py."""
    ids = np.asarray(ids)
    decoder = kv_cache.decoder_of(q, kv, config) if kv_cache.fits(ids, kv, config) else None
    if decoder is None:
        return plain("int8", "extend")(q, ids, kv, config, last)
    wte = q["wte"]
    check.integers("ids", ids, 0, len(wte["scale"]))
    x = wte["weight"][ids] * wte["scale"][ids][..., None]                   # (B, T, C)
    x, _ = positions.forward(x, q["wpe"]["weight"], offset=kv.length)
    return kv_cache.run(decoder, x, kv, config, last)

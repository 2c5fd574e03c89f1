"""Wrong backwards of Llama's layers: rotary, swiglu, grouped, llama_block, llama."""
import numpy as np
from wrong import wrong

from nanolm.layers import llama_block, rotary
from nanolm.models import llama
from nanolm.params import flatten, unflatten


# -------------------------------------------------------------------------------- rotary
@wrong("rotary")
def angles_of_position_zero_on(dy, cache):
    """The offset is forgotten on the way back; here: all positions turn as the one before them."""
    cos, sin = (np.roll(table, 1, axis=0) for table in cache)
    if len(cos) == 1:
        cos, sin = cos * 0 + 1, sin * 0
    return rotary.turned(dy, cos, -sin)


# -------------------------------------------------------------------------------- llama_block
@wrong("llama_block")
def llama_attention_has_no_gradient(dy, cache):
    dx, dp = llama_block.backward(dy, cache)
    return dx, {**dp, "self_attn": unflatten({name: 0 * d for name, d in flatten(dp["self_attn"]).items()})}


# -------------------------------------------------------------------------------- llama
def changed(change):
    dp = None

    def backward(cache):
        nonlocal dp
        dp = flatten(llama.backward(cache))
        return unflatten({name: change(name, d) for name, d in dp.items()})
    return backward


@wrong("llama")
def llama_blocks_crossed(cache):
    dp = llama.backward(cache)
    last = str(len(dp["layers"]) - 1)
    if last == "0":
        return {**dp, "norm": {"weight": -dp["norm"]["weight"]}}
    return {**dp, "layers": {**dp["layers"], "0": dp["layers"][last], last: dp["layers"]["0"]}}


@wrong("llama")
def llama_head_twice(cache):
    return changed(lambda name, d: 2 * d if name in ("embed_tokens.weight", "lm_head.weight") else d)(cache)


@wrong("llama")
def llama_down_proj_turned(cache):
    return changed(lambda name, d: d.T if "down_proj" in name else d)(cache)


@wrong("llama")
def llama_one_row_wrong(cache):
    def change(name, d):
        if not name.endswith("0.mlp.up_proj.weight"):
            return d
        d = d.copy()
        d[1, 2] *= 1.01
        return d
    return changed(change)(cache)

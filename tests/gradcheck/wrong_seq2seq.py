"""Wrong backwards of the encoder-decoder and its parts: relu, mlp with relu, decoder_block, seq2seq."""
import numpy as np
from wrong import wrong

from nanolm import gradcheck
from nanolm.layers import block, decoder_block, linear, mlp, multihead, relu
from nanolm.models import seq2seq
from nanolm.params import flatten, unflatten


# -------------------------------------------------------------------------------- relu
@wrong("relu")
def relu_in_place(dy, cache):
    dy *= cache[0] > 0
    return dy


# -------------------------------------------------------------------------------- mlp
@wrong("mlp")
def relu_skipped(dy, cache):
    with gradcheck.swap(relu, backward=lambda d, c: d):
        return mlp.backward(dy, cache)


# -------------------------------------------------------------------------------- decoder_block
@wrong("decoder_block")
def decoder_values_alone_reach_memory(dy, cache):
    """The keys' part of memory's gradient forgotten."""
    own = linear.backward

    def without_keys(d, c):
        if d.shape[-1] == 2 * c[0].shape[-1] and c[1].shape[1] == d.shape[-1]:          # k and v side by side, from memory
            d = d.copy()
            dx, dweight, dbias = own(d, c)
            d[..., :d.shape[-1] // 2] = 0
            return own(d, c)[0], dweight, dbias
        return own(d, c)
    with gradcheck.swap(linear, backward=without_keys):
        return decoder_block.backward(dy, cache)


@wrong("decoder_block")
def decoder_skip_forgotten(dy, cache):
    """The skip around self-attention: what mlp and cross-attention send goes on through attn alone."""
    own = multihead.backward

    def minus_skip(d, c):
        result = own(d, c)
        return (result[0] - d, result[1]) if len(result) == 2 else result
    with gradcheck.swap(multihead, backward=minus_skip):
        return decoder_block.backward(dy, cache)


@wrong("decoder_block")
def decoder_cross_attention_missing(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dx, dmemory, {name: d for name, d in dp.items() if name != "cross_attn"}


# -------------------------------------------------------------------------------- seq2seq
def _changed(cache, change):
    return unflatten({name: change(name, d) for name, d in flatten(seq2seq.backward(cache)).items()})


@wrong("seq2seq")
def blocks_of_the_encoder_crossed(cache):
    dp = seq2seq.backward(cache)
    h = dp["encoder"]["h"]
    last = str(len(h) - 1)
    crossed = {**h, "0": h[last], last: h["0"]} if last != "0" else {"0": {**h["0"], "ln_1": h["0"]["ln_2"]}}
    return {**dp, "encoder": {**dp["encoder"], "h": crossed}}


@wrong("seq2seq")
def encoder_skip_forgotten(cache):
    own = block.backward
    with gradcheck.swap(block, backward=lambda d, c: (own(d, c)[0] - d, own(d, c)[1])):
        return seq2seq.backward(cache)


@wrong("seq2seq")
def decoder_in_the_wrong_order(cache):
    dp = seq2seq.backward(cache)
    return {**dp, "decoder": {**dp["decoder"], "h": dict(zip(dp["decoder"]["h"], reversed(dp["decoder"]["h"].values())))}} \
        if len(dp["decoder"]["h"]) > 1 else _changed(cache, lambda name, d: -d if "cross" in name else d)


@wrong("seq2seq")
def positions_get_a_gradient(cache):
    return {**seq2seq.backward(cache), "positions": {"weight": np.ones((3, 4))}}


@wrong("seq2seq")
def seq2seq_one_entry_off(cache):
    def off(name, d):
        if name != "decoder.h.0.cross_attn.c_attn.weight":
            return d
        return d * np.where(np.arange(d.size) == 5, 1 + 1e-4, 1).reshape(d.shape)
    return _changed(cache, off)

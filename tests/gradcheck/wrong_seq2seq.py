"""Wrong backwards of the encoder-decoder and its parts: relu, mlp with relu, decoder_block, seq2seq."""
import numpy as np
from wrong import wrong

from nanolm import gradcheck
from nanolm.layers import block, decoder_block, dropout, embedding, layernorm, linear, mlp, multihead, relu
from nanolm.models import seq2seq
from nanolm.params import flatten, unflatten


# -------------------------------------------------------------------------------- relu
@wrong("relu")
def relu_passes_everything(dy, cache):
    return dy


@wrong("relu")
def relu_again(dy, cache):
    """max(dy, 0): ReLU of the gradient, not where x was positive."""
    return np.maximum(dy, 0)


@wrong("relu")
def relu_times_y(dy, cache):
    return dy * cache[0]


@wrong("relu")
def relu_of_the_negative(dy, cache):
    return dy * (cache[0] <= 0)


@wrong("relu")
def relu_leaks(dy, cache):
    return dy * np.where(cache[0] > 0, 1, 0.01).astype(dy.dtype)


@wrong("relu")
def relu_without_dy(dy, cache):
    return (cache[0] > 0).astype(dy.dtype)


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
def decoder_memory_gets_nothing(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dx, 0 * dmemory, dp


@wrong("decoder_block")
def decoder_memory_before_x(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dmemory, dx, dp


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
def decoder_queries_do_not_reach_x(dy, cache):
    own = multihead.backward

    def from_memory_alone(d, c):
        dx, *rest = own(d, c)
        return (0 * dx if len(rest) == 2 else dx, *rest)
    with gradcheck.swap(multihead, backward=from_memory_alone):
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
def decoder_attentions_exchanged(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dx, dmemory, {**dp, "attn": dp["cross_attn"], "cross_attn": dp["attn"]}


@wrong("decoder_block")
def decoder_norms_exchanged(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dx, dmemory, {**dp, "ln_2": dp["ln_3"], "ln_3": dp["ln_2"]}


@wrong("decoder_block")
def decoder_norm_skipped(dy, cache):
    with gradcheck.swap(layernorm, backward=lambda d, c, own=layernorm.backward: (d, *own(d, c)[1:])):
        return decoder_block.backward(dy, cache)


@wrong("decoder_block")
def decoder_dropout_forgotten(dy, cache):
    with gradcheck.swap(dropout, backward=lambda d, c: d):
        return decoder_block.backward(dy, cache)


@wrong("decoder_block")
def decoder_cross_attention_missing(dy, cache):
    dx, dmemory, dp = decoder_block.backward(dy, cache)
    return dx, dmemory, {name: d for name, d in dp.items() if name != "cross_attn"}


# -------------------------------------------------------------------------------- seq2seq
def _changed(cache, change):
    return unflatten({name: change(name, d) for name, d in flatten(seq2seq.backward(cache)).items()})


@wrong("seq2seq")
def memory_of_the_last_block_alone(cache):
    """dmemory overwritten by each decoder block where it should be added up: the first block's is left."""
    own, calls = decoder_block.backward, []

    def counting(d, c):
        dx, dmemory, dp = own(d, c)
        calls.append(1)
        return dx, dmemory if len(calls) == len(cache[2][1]) else 0 * dmemory, dp
    if len(cache[2][1]) == 1:
        return _changed(cache, lambda name, d: 0 * d if name.startswith("encoder") else d)
    with gradcheck.swap(decoder_block, backward=counting):
        return seq2seq.backward(cache)


@wrong("seq2seq")
def encoder_hears_nothing(cache):
    return _changed(cache, lambda name, d: 0 * d if name.startswith("encoder") else d)


@wrong("seq2seq")
def table_without_the_source(cache):
    own, width = embedding.backward, cache[1][0][1][0].shape                # the source's ids
    with gradcheck.swap(embedding, backward=lambda d, c: own(d, c) * (c[0].shape != width)):
        return seq2seq.backward(cache)


@wrong("seq2seq")
def table_without_the_target(cache):
    own, width = embedding.backward, cache[2][0][1][0].shape                # the target's ids
    with gradcheck.swap(embedding, backward=lambda d, c: own(d, c) * (c[0].shape != width)):
        return seq2seq.backward(cache)


@wrong("seq2seq")
def table_without_the_output(cache):
    own = linear.backward

    def silent(d, c):
        dx, dweight, dbias = own(d, c)
        return dx, dweight if dbias is not None else 0 * dweight, dbias     # the head alone has no bias
    with gradcheck.swap(linear, backward=silent):
        return seq2seq.backward(cache)


@wrong("seq2seq")
def sqrt_C_forgotten(cache):
    shared, (c_source, *c_encode), (c_target, *c_decode), c_loss = cache
    return seq2seq.backward((shared, ((1.0, *c_source[1:]), *c_encode), ((1.0, *c_target[1:]), *c_decode), c_loss))


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

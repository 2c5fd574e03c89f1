"""Right backwards of the encoder-decoder and its parts, written another way than nanolm's. All must pass."""
import numpy as np
from right import block_on_other_layers, embedding_one_hot, layernorm_by_jacobians, linear_by_einsum, right

from nanolm import gradcheck
from nanolm.layers import block, cross_entropy, decoder_block, dropout, embedding, layernorm, linear, mlp, multihead, relu
from nanolm.models import seq2seq
from nanolm.params import flatten, unflatten


@right("relu")
def relu_by_where(dy, cache):
    y, = cache
    return np.where(y == 0, 0, dy).astype(dy.dtype)


@right("relu")
def relu_by_slope(dy, cache):
    y, = cache
    return dy * np.sign(y)                                                  # y is never below 0


@right("decoder_block")
def decoder_block_on_other_layers(dy, cache):
    with gradcheck.swap(layernorm, backward=layernorm_by_jacobians), gradcheck.swap(linear, backward=linear_by_einsum):
        return decoder_block.backward(dy, cache)


@right("decoder_block")
def decoder_block_in_three_parts(dy, cache):
    """The three branches are alike: x + f(x) with a norm before or after it; memory's gradient comes out of the second."""
    norm, *c = cache
    names, d, dp = [("ln_1", "attn"), ("ln_2", "cross_attn"), ("ln_3", "mlp")], dy, {}
    for (name, branch), one in reversed(list(zip(names, (c[:3], c[3:6], c[6:])))):
        layer = mlp if branch == "mlp" else multihead
        c_norm, c_layer, c_drop = one if norm == "pre" else (one[2], one[0], one[1])
        if norm == "post":
            d, dweight, dbias = layernorm.backward(d, c_norm)
        inner, *dmemories, dp[branch] = layer.backward(dropout.backward(d, c_drop), c_layer)
        if norm == "pre":
            inner, dweight, dbias = layernorm.backward(inner, c_norm)
        dp[name] = {"weight": dweight, "bias": dbias}
        d = d + inner
        if dmemories:
            dmemory, = dmemories
    return d, dmemory, dp


@right("seq2seq")
def seq2seq_on_other_layers(cache):
    with (gradcheck.swap(embedding, backward=embedding_one_hot), gradcheck.swap(block, backward=_block),
          gradcheck.swap(relu, backward=relu_by_where)):
        return seq2seq.backward(cache)


_block_backward = block.backward


def _block(dy, cache):
    with gradcheck.swap(block, backward=_block_backward):
        return block_on_other_layers(dy, cache)


@right("seq2seq")
def seq2seq_block_by_block(cache):
    """The encoder run backward once for each decoder block's gradient by memory, and the results added: it is linear."""
    shared, c_encode, c_decode, c_loss = cache
    found, own = [], decoder_block.backward

    def noting(d, c):
        dx, dmemory, dp = own(d, c)
        found.append(dmemory)
        return dx, dmemory, dp
    with gradcheck.swap(decoder_block, backward=noting):
        _, dtarget, ddecoder, dhead = seq2seq.decode_backward(cross_entropy.backward(1.0, c_loss), c_decode)
    parts = [seq2seq.encode_backward(dmemory, c_encode) for dmemory in found]
    dsource = sum(table for table, _ in parts)
    flats = [flatten(dp) for _, dp in parts]
    dencoder = unflatten({name: sum(flat[name] for flat in flats) for name in flats[0]})
    stacks = {"decoder": ddecoder, "encoder": dencoder}
    if shared:
        return {**stacks, "embed": {"weight": dhead.T + dsource + dtarget}}
    return {**stacks, "head": {"weight": dhead}, "target_embed": {"weight": dtarget}, "source_embed": {"weight": dsource}}

"""Answers to the exercise on the encoder-decoder, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import block, cross_entropy, decoder_block, dropout, embedding, layernorm, linear
from nanolm.models import seq2seq_input


def looked_up(dx, c_input, root=lambda r: r, undo=dropout.backward):
    scale, (ids, V), _, c_drop = c_input
    table = np.zeros((V, dx.shape[-1]))
    np.add.at(table, ids, undo(dx, c_drop) * root(scale))
    return table


@right("seq2seq.backward")
def from_scratch(cache, gather=lambda all_of_them: sum(all_of_them), join=lambda s, t, o: s + t + o, root=lambda r: r,
                 dloss=lambda c: 1.0,
                 norm=lambda d, through: through, encoder_order=reversed, decoder_order=reversed, loss_cache=lambda c: c,
                 undo=dropout.backward,
                 start=lambda memory, dy: memory):
    shared, enc, dec, c_loss = cache
    d = cross_entropy.backward(dloss(c_loss), loss_cache(c_loss))
    dhead = np.einsum("btc,btv->cv", dec[3][0], d)
    dy, dp, memories = d @ dec[3][1].T, {"encoder": {"h": {}}, "decoder": {"h": {}}}, []
    for side, (c_input, caches, c_norm, *_), order in (("decoder", dec, decoder_order), ("encoder", enc, encoder_order)):
        if side == "encoder":
            dtarget, dy = looked_up(dy, dec[0], root, undo), start(gather(memories), dy)
        if c_norm is not None:
            through, w, b = layernorm.backward(dy, c_norm)
            dp[side]["norm"] = {"weight": w, "bias": b}
            dy = norm(dy, through)
        for i in order(range(len(caches))):
            if side == "decoder":
                dy, memory, dp[side]["h"][str(i)] = decoder_block.backward(dy, caches[i])
                memories.append(memory)
            else:
                dy, dp[side]["h"][str(i)] = block.backward(dy, caches[i])
    dsource = looked_up(dy, enc[0], root, undo)
    if shared:
        return {**dp, "embed": {"weight": join(dsource, dtarget, dhead.T)}}
    return {**dp, "source_embed": {"weight": dsource}, "target_embed": {"weight": dtarget}, "head": {"weight": dhead}}


@right("seq2seq.backward")
def line_by_line(cache):
    shared, (c_source, c_encoder, c_en), (c_target, c_decoder, c_dn, c_head), c_loss = cache
    dy, dhead, _ = linear.backward(cross_entropy.backward(1, c_loss), c_head)
    decoder, encoder, dmemory = {}, {}, np.zeros(1)
    if c_dn is not None:
        dy, *norm = layernorm.backward(dy, c_dn)
        decoder["norm"] = dict(zip(("weight", "bias"), norm))
    h = []
    for c in c_decoder[::-1]:
        dy, one, grads = decoder_block.backward(dy, c)
        dmemory = np.add(dmemory, one)
        h.append(grads)
    decoder["h"] = {str(i): g for i, g in enumerate(h[::-1])}
    if c_en is not None:
        dmemory, *norm = layernorm.backward(dmemory, c_en)
        encoder["norm"] = dict(zip(("weight", "bias"), norm))
    h = []
    for c in c_encoder[::-1]:
        dmemory, grads = block.backward(dmemory, c)
        h.append(grads)
    encoder["h"] = {str(i): g for i, g in enumerate(h[::-1])}
    tables = seq2seq_input.backward(dmemory, c_source), seq2seq_input.backward(dy, c_target)
    dp = {"encoder": encoder, "decoder": decoder}
    return {"embed": {"weight": np.sum([*tables, dhead.T], axis=0)}, **dp} if shared else \
        {"source_embed": {"weight": tables[0]}, "target_embed": {"weight": tables[1]}, **dp, "head": {"weight": dhead}}


@right("seq2seq.backward")
def place_by_place(cache):
    """The loss is a mean: the gradients of its places, added."""
    def add(a, b):
        return {key: add(a[key], b[key]) for key in a} if isinstance(a, dict) else a + b
    shared, enc, dec, c_loss = cache
    d, total = cross_entropy.backward(1.0, c_loss), None
    for t in range(d.shape[1]):
        part = np.zeros_like(d)
        part[:, t] = d[:, t]
        dy, dhead, _ = linear.backward(part, dec[3])
        one = below(shared, enc, dec, dy, dhead)
        total = one if total is None else add(total, one)
    return total


def below(shared, enc, dec, dy, dhead):
    """What comes below the output: the decoder, the encoder, the tables."""
    def closed(d, c_norm):
        if c_norm is None:
            return d, {}
        d, w, b = layernorm.backward(d, c_norm)
        return d, {"norm": {"weight": w, "bias": b}}
    dy, decoder = closed(dy, dec[2])
    decoder["h"], dmemory = {}, 0
    for i in range(len(dec[1]) - 1, -1, -1):
        dy, one, decoder["h"][str(i)] = decoder_block.backward(dy, dec[1][i])
        dmemory = dmemory + one
    dx, encoder = closed(dmemory, enc[2])
    encoder["h"] = {}
    for i in range(len(enc[1]) - 1, -1, -1):
        dx, encoder["h"][str(i)] = block.backward(dx, enc[1][i])
    s, t = seq2seq_input.backward(dx, enc[0]), seq2seq_input.backward(dy, dec[0])
    dp = {"encoder": encoder, "decoder": decoder}
    return {**dp, "embed": {"weight": s + t + dhead.T}} if shared else \
        {**dp, "source_embed": {"weight": s}, "target_embed": {"weight": t}, "head": {"weight": dhead}}


@wrong("seq2seq.backward", "memory_overwritten")
def memory_is_a_variable(cache):
    return from_scratch(cache, gather=lambda all_of_them: all_of_them[-1])


@wrong("seq2seq.backward", "memory_of_the_last_block")
def memory_of_one_block(cache):
    return from_scratch(cache, gather=lambda all_of_them: all_of_them[0])


@wrong("seq2seq.backward", "memory_averaged")
def memory_mean(cache):
    return from_scratch(cache, gather=lambda all_of_them: np.mean(all_of_them, axis=0))


@wrong("seq2seq.backward", "table_without_the_output")
def untied(cache):
    return from_scratch(cache, join=lambda s, t, o: s + t)


@wrong("seq2seq.backward", "table_without_the_source")
def source_forgotten(cache):
    return from_scratch(cache, join=lambda s, t, o: t + o)


@wrong("seq2seq.backward", "table_by_the_output_only")
def lookups_forgotten(cache):
    return from_scratch(cache, join=lambda s, t, o: o)


@wrong("seq2seq.backward", "table_averaged")
def mean_of_three(cache):
    return from_scratch(cache, join=lambda s, t, o: np.mean([s, t, o], axis=0))


@wrong("seq2seq.backward", "sqrt_C_forgotten")
def no_scale(cache):
    return from_scratch(cache, root=lambda r: 1.0)


@wrong("seq2seq.backward", "smoothing_forgotten")
def plain_loss(cache):
    return from_scratch(cache, loss_cache=lambda c: (*c[:-1], 0.0))


@wrong("seq2seq.backward", "decoder_blocks_in_forward_order")
def decoder_first_to_last(cache):
    return from_scratch(cache, decoder_order=iter)


@wrong("seq2seq.backward", "encoder_blocks_in_forward_order")
def encoder_first_to_last(cache):
    return from_scratch(cache, encoder_order=iter)


@wrong("seq2seq.backward", "loss_over_all_tokens")
def over_all(cache):
    return from_scratch(cache, dloss=lambda c: len(c[2]) / c[0][..., 0].size)


@wrong("seq2seq.backward", "input_dropout_forgotten")
def inputs_not_dropped(cache):
    return from_scratch(cache, undo=lambda d, c: d)


@wrong("seq2seq.backward", "memory_overwritten", "table_without_the_target")
def two_at_once(cache):
    return from_scratch(cache, gather=lambda all_of_them: all_of_them[-1], join=lambda s, t, o: s + o)


@wrong("seq2seq.backward", "final_norms_skipped")
def stacks_norms_jumped_over(cache):
    return from_scratch(cache, norm=lambda d, through: d)


@wrong("seq2seq.backward", "target_factor")
def half_of_the_target(cache):
    return from_scratch(cache, join=lambda s, t, o: s + t / 2 + o)


@wrong("seq2seq.backward")
def scaled_memory(cache):
    return from_scratch(cache, gather=lambda all_of_them: 0.7 * sum(all_of_them))


@wrong("seq2seq.backward")
def lookup_by_assignment(cache):
    """Only the last place of each id counts at the source: not in the catalogue."""
    dp = from_scratch(cache)
    if not cache[0]:
        ids, V = cache[1][0][1]
        counts = np.bincount(ids.ravel(), minlength=V)[:, None]
        dp["source_embed"] = {"weight": dp["source_embed"]["weight"] / np.maximum(counts, 1)}
    else:
        dp["embed"] = {"weight": dp["embed"]["weight"] - 0.5 * embedding.backward(np.ones((*cache[1][0][1][0].shape,
                                                                                           dp["embed"]["weight"].shape[1])),
                                                                                 cache[1][0][1])}
    return dp

"""Answers to the exercises on BERT's encoder and its pre-training, as students write them: right ones, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import block, cross_entropy, dropout, embedding, gelu, layernorm, linear, pooler, positions, relu
from nanolm.models import bert


def one_hot(ids, n):
    return np.eye(n)[ids.reshape(-1)]


def add(a, b):
    return {key: add(a[key], b[key]) for key in a} if isinstance(a, dict) else a + b


# ---------------------------------------------------------------------------------------- bert.backward
@right("bert.backward")
def encoder_from_scratch(dx, cache, dhead=None, numbers=lambda n: range(n - 1, -1, -1), ln=lambda d, through: through,
                         undo=dropout.backward,
                         segments=lambda S, d: S.T @ d, head=lambda found, dhead: found if dhead is None else found + dhead,
                         words=lambda hot, d: hot.T @ d):
    (ids, V), (seg, n), (places, _), c_norm, c_drop, c_blocks = cache
    h = {}
    for i in numbers(len(c_blocks)):
        dx, h[str(i)] = block.backward(dx, c_blocks[i])
    through, w, b = layernorm.backward(undo(dx, c_drop), c_norm)
    d = ln(undo(dx, c_drop), through)
    rows, T = d.reshape(-1, d.shape[-1]), d.shape[1]
    dwpe = np.zeros((places, d.shape[-1]))
    dwpe[:T] = np.einsum("btc->tc", d)
    return {"h": h, "ln_e": {"weight": w, "bias": b}, "wpe": {"weight": dwpe}, "wse": {"weight": segments(one_hot(seg, n), rows)},
            "wte": {"weight": head(words(one_hot(ids, V), rows), dhead)}}


@right("bert.backward")
def encoder_by_the_layers(dx, cache, dhead=None):
    c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks = cache
    h = [None] * len(c_blocks)
    for i, c in reversed(list(enumerate(c_blocks))):
        dx, h[i] = block.backward(dx, c)
    dx, *norm = layernorm.backward(dropout.backward(dx, c_drop), c_norm)
    tables = {name: embedding.backward(dx, c) for name, c in (("wte", c_wte), ("wse", c_wse))}
    tables["wpe"] = positions.backward(dx, c_wpe)[1]
    if dhead is not None:
        tables["wte"] += dhead
    return {**{name: {"weight": t} for name, t in tables.items()}, "ln_e": dict(zip(["weight", "bias"], norm)),
            "h": {f"{i}": d for i, d in enumerate(h)}}


@right("bert.backward")
def encoder_by_linearity(dx, cache, dhead=None):
    """The first token's gradient and the others', added."""
    first, others = np.zeros_like(dx), dx.copy()
    first[:, 0], others[:, 0] = dx[:, 0], 0
    return add(encoder_from_scratch(first, cache, dhead), encoder_from_scratch(others, cache, None))


@wrong("bert.backward", "head_forgotten")
def ignores_dhead(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache)


@wrong("bert.backward", "segments_zero")
def segments_do_not_learn(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, segments=lambda S, d: 0 * (S.T @ d))


@wrong("bert.backward", "segments_mixed_up")
def one_segment_for_all(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, segments=lambda S, d: np.ones_like(S).T @ d)


@wrong("bert.backward", "first_norm_skipped")
def first_norm_jumped_over(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, ln=lambda d, through: d)


@wrong("bert.backward", "blocks_in_forward_order")
def encoder_first_to_last(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, numbers=range)


@wrong("bert.backward", "dropout_forgotten")
def no_dropout_here(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, undo=lambda d, c: d)


@wrong("bert.backward", "lookup_overwritten")
def last_of_repeated(dx, cache, dhead=None):
    def words(hot, d):
        table = np.zeros((hot.shape[1], d.shape[1]))
        for n in range(len(d)):
            table[hot[n].argmax()] = d[n]
        return table
    return encoder_from_scratch(dx, cache, dhead, words=words)


@wrong("bert.backward", "head_forgotten", "segments_halved")
def two_of_them(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, segments=lambda S, d: S.T @ d / 2)


@wrong("bert.backward")
def a_third_of_the_words(dx, cache, dhead=None):
    return encoder_from_scratch(dx, cache, dhead, words=lambda hot, d: hot.T @ d / 3)


# ---------------------------------------------------------------------------------------- bert_pretraining.backward
@right("bert_pretraining.backward")
def pretraining_by_hand(cache, dloss=(1.0, 1.0), meet=lambda masked, pooled: masked + pooled, tied=True, bend=True,
                        place=lambda rows, n: rows,
                        norm=lambda d, through: through):
    (B, T, C), rows, c_bert, (form, c_transform, c_bend, c_norm, (h, table, _)), c_loss, c_pair = cache
    dz = cross_entropy.backward(dloss[0], c_loss)
    d = np.einsum("mv,cv->mc", dz, table)
    through, g, b = layernorm.backward(d, c_norm)
    d = norm(d, through)
    if bend:
        d = np.where(c_bend[0] > 0, d, 0) if form == "relu" else gelu.backward(d, c_bend)
    d, wt, bt = linear.backward(d, c_transform)
    dx = np.zeros((B * T, C))
    for row, one in zip(place(rows, B * T), d):
        dx[row] += one
    dx = dx.reshape(B, T, C)
    dp = {"ln": {"weight": g, "bias": b}, "transform": {"weight": wt, "bias": bt}, "head": {"bias": dz.sum(axis=0)}}
    if c_pair:
        c_pooler, c_next, c_nsp = c_pair
        d, w, bias = linear.backward(cross_entropy.backward(dloss[1], c_nsp), c_next)
        pooled, dp["pooler"] = pooler.backward(d, c_pooler)
        dp["next"] = {"weight": w, "bias": bias}
        dx = meet(dx, pooled)
    return {**dp, "bert": bert.backward(dx, c_bert, dz.T @ h if tied else None)}


@right("bert_pretraining.backward")
def pretraining_by_the_layers(cache):
    shape, rows, c_bert, (form, c1, c2, c3, c4), c_loss, pair = cache
    dh, dhead, db = linear.backward(cross_entropy.backward(1, c_loss), c4)
    dh, g, bn = layernorm.backward(dh, c3)
    dh, w, b = linear.backward({"relu": relu}.get(form, gelu).backward(dh, c2), c1)
    dx = np.zeros(shape).reshape(-1, shape[2])
    np.add.at(dx, rows, dh)
    dp = dict(transform=dict(weight=w, bias=b), ln=dict(weight=g, bias=bn), head=dict(bias=db))
    dx = dx.reshape(shape)
    if pair is not None:
        d, wn, bn = linear.backward(cross_entropy.backward(1, pair[2]), pair[1])
        other, dp["pooler"] = pooler.backward(d, pair[0])
        dp["next"], dx = dict(weight=wn, bias=bn), other + dx
    return {"bert": bert.backward(dx, c_bert, np.asfortranarray(dhead.T)), **dp}


@right("bert_pretraining.backward")
def pretraining_loss_by_loss(cache):
    """(J1) is a sum: each loss alone, and added."""
    if cache[-1] is None:
        return pretraining_by_hand(cache)
    return add(pretraining_by_hand(cache, (1.0, 0.0)), pretraining_by_hand(cache, (0.0, 1.0)))


@wrong("bert_pretraining.backward", "pair_does_not_reach_the_encoder")
def pooler_overwritten(cache):
    return pretraining_by_hand(cache, meet=lambda masked, pooled: masked)


@wrong("bert_pretraining.backward", "masked_do_not_reach_the_encoder")
def masked_overwritten(cache):
    dp = pretraining_by_hand(cache, meet=lambda masked, pooled: pooled)
    return dp if cache[-1] is not None else {**dp, "bert": bert.backward(np.zeros(cache[0]), cache[2],
                                                                         cross_entropy.backward(1.0,
                                                                                                cache[4]).T @ cache[3][4][0])}


@wrong("bert_pretraining.backward", "table_as_head_forgotten")
def not_tied(cache):
    return pretraining_by_hand(cache, tied=False)


@wrong("bert_pretraining.backward", "losses_averaged")
def half_each(cache):
    return pretraining_by_hand(cache, (0.5, 0.5))


@wrong("bert_pretraining.backward", "rows_put_back_first")
def put_at_the_front(cache):
    return pretraining_by_hand(cache, place=lambda rows, n: range(len(rows)))


@wrong("bert_pretraining.backward", "bend_skipped", "norm_skipped")
def transform_in_a_hurry(cache):
    return pretraining_by_hand(cache, bend=False, norm=lambda d, through: d)


@wrong("bert_pretraining.backward")
def two_ways_multiplied(cache):
    return pretraining_by_hand(cache, meet=lambda masked, pooled: masked - pooled)

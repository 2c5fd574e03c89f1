"""Answers to the exercises on BERT's heads, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from answers_bert import add
from collected import right, wrong

from nanolm.layers import cross_entropy, dropout, linear, pooler
from nanolm.models import bert


# ---------------------------------------------------------------------------------------- bert_sequence.backward
@right("bert_sequence.backward")
def sequence_by_hand(cache, dloss=lambda M: 1.0, undo=dropout.backward, bend=lambda y: 1 - y * y, place=lambda dx, d: dx[:, 0]):
    c_bert, (shape, (x0, W, _), (y,)), c_drop, (h, Wc, _), c_loss = cache
    dz = cross_entropy.backward(dloss(max(len(c_loss[2]), 1)), c_loss)
    d = undo(dz @ Wc.T, c_drop) * bend(y)
    dx = np.zeros(shape)
    place(dx, d)[:] = d @ W.T
    return {"classifier": {"weight": h.T @ dz, "bias": dz.sum(0)}, "pooler": {"weight": x0.T @ d, "bias": d.sum(axis=0)},
            "bert": bert.backward(dx, c_bert)}


@right("bert_sequence.backward")
def sequence_by_the_layers(cache):
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dy, w, b = linear.backward(cross_entropy.backward(1, c_loss), c_head)
    dx, dp = pooler.backward(dropout.backward(dy, c_drop), c_pooler)
    return dict(bert=bert.backward(dx, c_bert, None), pooler=dp, classifier=dict(weight=w, bias=b))


@right("bert_sequence.backward")
def text_by_text(cache):
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dz, total = cross_entropy.backward(1.0, c_loss), None
    for b in range(len(dz)):
        part = np.zeros_like(dz)
        part[b] = dz[b]
        dy, w, bias = linear.backward(part, c_head)
        dx, dp = pooler.backward(dropout.backward(dy, c_drop), c_pooler)
        one = {"bert": bert.backward(dx, c_bert), "pooler": dp, "classifier": {"weight": w, "bias": bias}}
        total = one if total is None else add(total, one)
    return total


@wrong("bert_sequence.backward", "last_token_gets_it")
def at_the_end(cache):
    return sequence_by_hand(cache, place=lambda dx, d: dx[:, -1])


@wrong("bert_sequence.backward", "dropout_forgotten")
def sequence_without_dropout(cache):
    return sequence_by_hand(cache, undo=lambda d, c: d)


@wrong("bert_sequence.backward", "loss_divided_twice")
def sequence_mean_twice(cache):
    return sequence_by_hand(cache, dloss=lambda M: 1 / M)


@wrong("bert_sequence.backward", "encoder_spread_out")
def one_dict_for_all(cache):
    dp = sequence_by_hand(cache)
    return {**dp.pop("bert"), **dp}


@wrong("bert_sequence.backward")
def tanh_forgotten(cache):
    return sequence_by_hand(cache, bend=lambda y: 1.0)


# ---------------------------------------------------------------------------------------- bert_token.backward
@right("bert_token.backward")
def token_by_hand(cache, dloss=lambda M, N: 1.0, undo=dropout.backward, kept=lambda dx: dx):
    c_bert, c_drop, (h, W, _), c_loss = cache
    dz = cross_entropy.backward(dloss(max(len(c_loss[2]), 1), dz_rows(c_loss)), c_loss)
    dx = undo(np.einsum("btk,ck->btc", dz, W), c_drop)
    return {"bert": bert.backward(kept(dx), c_bert), "classifier": {"weight": np.einsum("btc,btk->ck", h, dz),
                                                                    "bias": dz.sum((0, 1))}}


def dz_rows(c_loss):
    return c_loss[0].shape[0] * c_loss[0].shape[1]


@right("bert_token.backward")
def token_by_the_layers(cache):
    c_bert, c_drop, c_head, c_loss = cache
    dx, w, b = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    return {"classifier": {"bias": b, "weight": w}, "bert": bert.backward(dropout.backward(dx, c_drop), c_bert)}


@right("bert_token.backward")
def token_by_token(cache):
    c_bert, c_drop, c_head, c_loss = cache
    dz, dx = cross_entropy.backward(1.0, c_loss), None
    dx = np.zeros(dz.shape[:2] + c_head[1].shape[:1])
    for b in range(len(dz)):
        for t in range(dz.shape[1]):
            dx[b, t] = c_head[1] @ dz[b, t]
    rows = dz.reshape(-1, dz.shape[-1])
    return {"bert": bert.backward(dropout.backward(dx, c_drop), c_bert),
            "classifier": {"weight": np.asfortranarray(c_head[0].reshape(len(rows), -1).T @ rows),
                           "bias": np.array([sum(c) for c in rows.T])}}


@wrong("bert_token.backward", "loss_over_all")
def token_over_all(cache):
    return token_by_hand(cache, dloss=lambda M, N: M / N)


@wrong("bert_token.backward", "dropout_forgotten")
def token_without_dropout(cache):
    return token_by_hand(cache, undo=lambda d, c: d)


@wrong("bert_token.backward", "first_token_only")
def as_a_pooler_would(cache):
    return token_by_hand(cache, kept=lambda dx: dx * (np.arange(dx.shape[1]) == 0)[:, None])


@wrong("bert_token.backward", "head_turned")
def classifier_turned(cache):
    dp = token_by_hand(cache)
    return {**dp, "classifier": {**dp["classifier"], "weight": dp["classifier"]["weight"].T}}


@wrong("bert_token.backward", "loss_summed", "dropout_forgotten")
def token_two_at_once(cache):
    return token_by_hand(cache, dloss=lambda M, N: float(M), undo=lambda d, c: d)


# ---------------------------------------------------------------------------------------- bert_span.backward
@right("bert_span.backward")
def span_by_hand(cache, a=0.5, b=0.5, join=lambda s, e: (s, e)):
    c_bert, (h, W, _), c_start, c_end = cache
    dz = np.zeros((*c_start[0].shape, 2))
    dz[..., 0], dz[..., 1] = join(cross_entropy.backward(a, c_start), cross_entropy.backward(b, c_end))
    return {"bert": bert.backward(dz @ W.T, c_bert), "span": {"weight": np.einsum("btc,btk->ck", h, dz),
                                                              "bias": dz.sum(axis=(0, 1))}}


@right("bert_span.backward")
def span_halved_afterwards(cache):
    c_bert, c_head, c_start, c_end = cache
    dz = np.concatenate([cross_entropy.backward(1.0, c)[..., None] for c in (c_start, c_end)], axis=-1) * 0.5
    dx, w, b = linear.backward(dz, c_head)
    return {"span": {"weight": w, "bias": b}, "bert": bert.backward(dx, c_bert)}


@right("bert_span.backward")
def span_one_end_at_a_time(cache):
    return add(span_by_hand(cache, b=0.0), span_by_hand(cache, a=0.0))


@wrong("bert_span.backward", "losses_added")
def span_added(cache):
    return span_by_hand(cache, 1.0, 1.0)


@wrong("bert_span.backward", "start_and_end_exchanged")
def span_turned(cache):
    return span_by_hand(cache, join=lambda s, e: (e, s))


@wrong("bert_span.backward", "start_alone")
def span_start(cache):
    return span_by_hand(cache, join=lambda s, e: (s, 0))


@wrong("bert_span.backward", "losses_added", "start_and_end_exchanged")
def span_two_at_once(cache):
    return span_by_hand(cache, 1.0, 1.0, lambda s, e: (e, s))


@wrong("bert_span.backward")
def span_both_in_both(cache):
    return span_by_hand(cache, join=lambda s, e: (s + e, s + e))

"""Wrong backwards of BERT's layers and heads: tanh, pooler, bert_pretraining, bert_sequence, bert_token, bert_span."""
import numpy as np
from wrong import wrong

from nanolm import gradcheck
from nanolm.layers import block, cross_entropy, dropout, embedding, gelu, layernorm, linear, pooler, positions, tanh
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.params import flatten, unflatten


# -------------------------------------------------------------------------------- tanh
@wrong("tanh")
def tanh_of_the_answer(dy, cache):
    (y,) = cache
    return dy * (1 - np.tanh(y) ** 2)


@wrong("tanh")
def tanh_square_forgotten(dy, cache):
    (y,) = cache
    return dy * (1 - y)


@wrong("tanh")
def tanh_as_a_sigmoid(dy, cache):
    (y,) = cache
    return dy * y * (1 - y)


@wrong("tanh")
def tanh_wrong_sign(dy, cache):
    (y,) = cache
    return dy * (1 + y * y)


@wrong("tanh")
def tanh_ignores_upstream(dy, cache):
    (y,) = cache
    return 1 - y * y


# -------------------------------------------------------------------------------- pooler
def _pooler(dy, cache, place=0, bend=True):
    shape, c_dense, c_tanh = cache
    dh = tanh.backward(dy, c_tanh) if bend else dy
    dfirst, dweight, dbias = linear.backward(dh, c_dense)
    dx = np.zeros(shape, dfirst.dtype)
    dx[:, place] = dfirst
    return dx, {"weight": dweight, "bias": dbias}


@wrong("pooler")
def pooler_tanh_skipped(dy, cache):
    return _pooler(dy, cache, bend=False)


@wrong("pooler")
def last_token_for_first(dy, cache):
    return _pooler(dy, cache, place=-1)


@wrong("pooler")
def every_token_gets_it(dy, cache):
    dx, dp = pooler.backward(dy, cache)
    return np.repeat(dx[:, :1], dx.shape[1], axis=1), dp


@wrong("pooler")
def spread_over_the_tokens(dy, cache):
    dx, dp = pooler.backward(dy, cache)
    return np.repeat(dx[:, :1] / dx.shape[1], dx.shape[1], axis=1), dp


@wrong("pooler")
def pooler_weight_turned(dy, cache):
    dx, dp = pooler.backward(dy, cache)
    return dx, {**dp, "weight": dp["weight"].T}


@wrong("pooler")
def pooler_first_text_only(dy, cache):
    dx, dp = pooler.backward(dy, cache)
    dx = dx.copy()
    dx[1:] = 0
    return dx, dp


# -------------------------------------------------------------------------------- the encoder, under each head
def encoder(dx, cache, dhead=None, lookup=True, segments_of=embedding.backward, norm=True, last=True):
    """bert.backward, with a part left out or done in another way."""
    c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks = cache
    dblocks = {}
    for i in reversed(range(len(c_blocks))):
        dx, dblocks[str(i)] = block.backward(dx, c_blocks[i])
    if not last:
        dblocks["0"] = unflatten({name: 0 * d for name, d in flatten(dblocks["0"]).items()})
    dx = dropout.backward(dx, c_drop)
    through, dweight, dbias = layernorm.backward(dx, c_norm)
    dx = through if norm else dx
    dx, dwpe = positions.backward(dx, c_wpe)
    dwte = embedding.backward(dx, c_wte) * lookup
    dwte = dwte if dhead is None else dwte + dhead
    return {"wte": {"weight": dwte}, "wse": {"weight": segments_of(dx, c_wse)}, "wpe": {"weight": dwpe},
            "ln_e": {"weight": dweight, "bias": dbias}, "h": {str(i): dblocks[str(i)] for i in range(len(c_blocks))}}


def on(model, **changes):
    """Return the model's backward on an encoder that is wrong in one way."""
    def backward(cache):
        with gradcheck.swap(bert, backward=lambda dx, cache, dhead=None: encoder(dx, cache, dhead, **changes)):
            return model.backward(cache)
    return backward


def changed(model, change):
    """Return the model's backward with change(name, gradient) done to each gradient."""
    def backward(cache):
        return unflatten({name: change(name, d) for name, d in flatten(model.backward(cache)).items()})
    return backward


def first_of_repeated(dy, cache):
    """dweight[ids] = dy: of the tokens in one segment the last alone counts."""
    ids, V = cache
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    dweight[ids] = dy
    return dweight


def file(model, name, backward):
    """File a backward that was made and not written, under a name."""
    backward.__name__ = f"{model.__name__.rsplit('.', 1)[-1]}_{name}"
    wrong(model.__name__.rsplit(".", 1)[-1])(backward)


def one_entry(name, d):
    if not name.endswith("h.0.mlp.c_fc.weight"):
        return d
    d = d.copy()
    d[1, 2] *= 1.01
    return d


def keys_and_values_crossed(name, d):
    q, k, v = np.split(d, 3, axis=-1) if "c_attn" in name else (d, None, None)
    return d if k is None else np.concatenate([q, v, k], axis=-1)


for model in (bert_pretraining, bert_sequence, bert_token, bert_span):
    file(model, "lookup_forgotten", on(model, lookup=False))
    file(model, "segments_overwritten", on(model, segments_of=first_of_repeated))
    file(model, "segments_forgotten", on(model, segments_of=lambda dy, cache: 0 * embedding.backward(dy, cache)))
    file(model, "first_norm_skipped", on(model, norm=False))
    file(model, "last_block_forgotten", on(model, last=False))
    file(model, "one_entry", changed(model, one_entry))
    file(model, "keys_and_values_crossed", changed(model, keys_and_values_crossed))
    file(model, "sign_of_a_norm_bias", changed(model, lambda name, d: -d if name.endswith("ln_2.bias") else d))


# -------------------------------------------------------------------------------- bert_pretraining
def _pretraining(cache, masked=True, pair=True, tied=True, bend=True, at=lambda rows: rows):
    shape, rows, c_bert, (_, c_transform, c_gelu, c_norm, c_head), c_loss, c_pair = cache
    dp, dx = {}, 0
    if c_pair is not None:
        c_pooler, c_next, c_next_loss = c_pair
        dpooled, dweight, dbias = linear.backward(cross_entropy.backward(1.0, c_next_loss), c_next)
        dx, dpooler = pooler.backward(dpooled, c_pooler)
        dp = {"pooler": dpooler, "next": {"weight": dweight, "bias": dbias}}
    dh, dhead, dbias_head = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    dh, dgain, dbias_norm = layernorm.backward(dh, c_norm)
    dh = gelu.backward(dh, c_gelu) if bend else dh
    dh, dtransform, dbias = linear.backward(dh, c_transform)
    dmasked = np.zeros((shape[0] * shape[1], shape[2]), dh.dtype)
    dmasked[at(rows)] = dh
    dx = dx * pair + dmasked.reshape(shape) * masked
    return {"bert": bert.backward(dx, c_bert, dhead.T if tied else None), "transform": {"weight": dtransform, "bias": dbias},
            "ln": {"weight": dgain, "bias": dbias_norm}, "head": {"bias": dbias_head}, **dp}


@wrong("bert_pretraining")
def masked_tokens_do_not_reach_the_encoder(cache):
    return _pretraining(cache, masked=False)


@wrong("bert_pretraining")
def next_sentence_does_not_reach_the_encoder(cache):
    return _pretraining(cache, pair=False)


@wrong("bert_pretraining")
def table_as_head_forgotten(cache):
    return _pretraining(cache, tied=False)


@wrong("bert_pretraining")
def transform_without_gelu(cache):
    return _pretraining(cache, bend=False)


@wrong("bert_pretraining")
def gathered_rows_put_back_first(cache):
    return _pretraining(cache, at=lambda rows: np.arange(len(rows)))


@wrong("bert_pretraining")
def the_two_losses_averaged(cache):
    return changed(bert_pretraining, lambda name, d: 0.5 * d)(cache)


@wrong("bert_pretraining")
def head_bias_forgotten(cache):
    return changed(bert_pretraining, lambda name, d: 0 * d if name == "head.bias" else d)(cache)


# -------------------------------------------------------------------------------- bert_sequence, bert_token
@wrong("bert_sequence")
def sequence_loss_summed(cache):
    return changed(bert_sequence, lambda name, d: 2 * d)(cache)


@wrong("bert_sequence")
def sequence_pooler_skipped(cache):
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dy, dweight, dbias = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    dy = dropout.backward(dy, c_drop)
    _, dpooler = pooler.backward(dy, c_pooler)
    dx = np.zeros(c_pooler[0], dy.dtype)
    dx[:, 0] = dy
    return {"bert": bert.backward(dx, c_bert), "pooler": dpooler, "classifier": {"weight": dweight, "bias": dbias}}


@wrong("bert_sequence")
def sequence_head_dropout_forgotten(cache):
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    return bert_sequence.backward((c_bert, c_pooler, (None, 1.0), c_head, c_loss))


@wrong("bert_token")
def token_head_dropout_forgotten(cache):
    c_bert, c_drop, c_head, c_loss = cache
    return bert_token.backward((c_bert, (None, 1.0), c_head, c_loss))


@wrong("bert_token")
def token_first_place_alone(cache):
    c_bert, c_drop, c_head, c_loss = cache
    dy, dweight, dbias = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    dx = np.zeros_like(dy)
    dx[:, 0] = dropout.backward(dy, c_drop)[:, 0]
    return {"bert": bert.backward(dx, c_bert), "classifier": {"weight": dweight, "bias": dbias}}


# -------------------------------------------------------------------------------- bert_span
def _span(cache, shares=(0.5, 0.5), turned=False):
    c_bert, c_head, c_start, c_end = cache
    ends = [cross_entropy.backward(share, c) if share else 0 * cross_entropy.backward(1.0, c)
            for share, c in zip(shares, (c_start, c_end))]
    dx, dweight, dbias = linear.backward(np.stack(ends[::-1] if turned else ends, axis=-1), c_head)
    return {"bert": bert.backward(dx, c_bert), "span": {"weight": dweight, "bias": dbias}}


@wrong("bert_span")
def losses_added_not_averaged(cache):
    return _span(cache, (1.0, 1.0))


@wrong("bert_span")
def start_alone(cache):
    return _span(cache, (0.5, 0))


@wrong("bert_span")
def end_alone(cache):
    return _span(cache, (0, 0.5))


@wrong("bert_span")
def start_and_end_crossed(cache):
    return _span(cache, turned=True)

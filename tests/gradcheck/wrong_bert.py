"""Wrong backwards of BERT's heads, most of them on an encoder that is wrong in one way."""
import numpy as np
from wrong import wrong

from nanolm import gradcheck
from nanolm.layers import block, dropout, embedding, layernorm, positions
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.params import flatten, unflatten


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


# -------------------------------------------------------------------------------- bert_sequence
@wrong("bert_sequence")
def sequence_loss_summed(cache):
    return changed(bert_sequence, lambda name, d: 2 * d)(cache)

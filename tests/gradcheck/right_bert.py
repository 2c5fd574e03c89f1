"""Right backwards of BERT's layers and heads, written another way than nanolm's. All must pass."""
import numpy as np
from right import (block_split_by_linearity, cross_entropy_by_one_hot, embedding_one_hot, layernorm_through_the_graph,
                   linear_by_einsum, positions_by_einsum, right)

from nanolm import gradcheck
from nanolm.layers import block, cross_entropy, embedding, gelu, layernorm, linear, pooler, positions, tanh
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token
from nanolm.params import flatten, unflatten


@right("tanh")
def tanh_in_two_factors(dy, cache):
    (y,) = cache
    return dy * (1 - y) * (1 + y)


@right("tanh")
def tanh_entry_by_entry(dy, cache):
    (y,) = cache
    dx = np.empty_like(y)
    for i in np.ndindex(y.shape):
        dx[i] = dy[i] - dy[i] * y[i] ** 2
    return np.asfortranarray(dx)


@right("pooler")
def pooler_by_one_hot(dy, cache):
    (B, T, C), (first, weight, _), (y,) = cache
    dh = dy * (1 - y * y)
    dx = np.einsum("t,bo,io->bti", np.eye(T, dtype=dy.dtype)[0], dh, weight)
    return dx, {"bias": dh.sum(axis=0), "weight": np.einsum("bi,bo->io", first, dh)}


@right("pooler")
def pooler_text_by_text(dy, cache):
    shape, (first, weight, _), (y,) = cache
    dx, dp = np.zeros(shape, dy.dtype), {"weight": np.zeros_like(weight), "bias": np.zeros_like(weight[0])}
    for b in range(len(dy)):
        dh = dy[b] * (1 - y[b] ** 2)
        dx[b, 0] = weight @ dh
        dp["weight"] += np.outer(first[b], dh)
        dp["bias"] += dh
    return dx, dp


def on_other_layers(model):
    def backward(cache):
        with (gradcheck.swap(embedding, backward=embedding_one_hot), gradcheck.swap(positions, backward=positions_by_einsum),
              gradcheck.swap(layernorm, backward=layernorm_through_the_graph), gradcheck.swap(linear, backward=linear_by_einsum),
              gradcheck.swap(tanh, backward=tanh_in_two_factors),
              gradcheck.swap(cross_entropy, backward=cross_entropy_by_one_hot)):
            return model.backward(cache)
    return backward


def in_another_order(model):
    """Keys in another order, Fortran order in memory, and blocks that split their gradient in two."""
    own = block.backward

    def split(dy, cache):
        with gradcheck.swap(block, backward=own):
            return block_split_by_linearity(dy, cache)

    def backward(cache):
        with gradcheck.swap(block, backward=split):
            dp = flatten(model.backward(cache))
        return unflatten({name: np.asfortranarray(d) for name, d in reversed(dp.items())})
    return backward


for model in (bert_pretraining, bert_sequence, bert_token, bert_span):
    for make in (on_other_layers, in_another_order):
        backward = make(model)
        backward.__name__ = f"{model.__name__.rsplit('.', 1)[-1]}_{make.__name__}"
        right(model.__name__.rsplit(".", 1)[-1])(backward)


@right("bert_pretraining")
def masked_tokens_as_one_hot_rows(cache):
    """x[rows] as a product with a matrix of zeros and ones, turned on the way back; the two losses one after the other."""
    shape, rows, c_bert, (_, c_transform, c_gelu, c_norm, c_head), c_loss, c_pair = cache
    chosen = np.eye(shape[0] * shape[1])[rows]                               # (M, B T)
    dh, dhead, dbias_head = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    dh, dgain, dbias_norm = layernorm.backward(dh, c_norm)
    dh, dtransform, dbias = linear.backward(gelu.backward(dh, c_gelu), c_transform)
    dx = (chosen.T.astype(dh.dtype) @ dh).reshape(shape)
    dp = {"transform": {"weight": dtransform, "bias": dbias}, "ln": {"weight": dgain, "bias": dbias_norm},
          "head": {"bias": dbias_head}}
    encoder = flatten(bert.backward(dx, c_bert, dhead.T))
    if c_pair is not None:
        dpooled, dweight, dbias = linear.backward(cross_entropy.backward(1.0, c_pair[2]), c_pair[1])
        dx, dp["pooler"] = pooler.backward(dpooled, c_pair[0])
        dp["next"] = {"weight": dweight, "bias": dbias}
        encoder = {name: d + encoder[name] for name, d in flatten(bert.backward(dx, c_bert)).items()}
    return {"bert": unflatten(encoder), **dp}


@right("bert_span")
def start_and_end_one_after_the_other(cache):
    """Each cross-entropy goes back through the whole encoder alone; the gradients add."""
    c_bert, (x, weight, _), c_start, c_end = cache
    total, dweight, dbias = None, [], []
    for i, c in enumerate((c_start, c_end)):
        dz = 0.5 * cross_entropy.backward(1.0, c)
        dp = flatten(bert.backward(dz[..., None] * weight[:, i], c_bert))
        total = dp if total is None else {name: total[name] + dp[name] for name in dp}
        dweight.append(np.einsum("btc,bt->c", x, dz))
        dbias.append(dz.sum())
    return {"bert": unflatten(total), "span": {"weight": np.stack(dweight, axis=1), "bias": np.stack(dbias)}}

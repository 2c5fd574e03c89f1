"""Answers to the exercise on GPT-2's backward, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import block, cross_entropy, dropout, embedding, layernorm, linear, positions


def scatter(ids, dx, V):
    """The lookup's gradient as a product with one-hot rows."""
    return np.eye(V)[ids.ravel()].T @ dx.reshape(-1, dx.shape[-1])


def softmax_minus_one_hot(c_loss, divide=lambda M, N: M):
    """dlogits, written out."""
    logits, _, rows, picked, _ = c_loss
    V = logits.shape[-1]
    z = logits.reshape(-1, V)
    p = np.exp(z - z.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    d = np.zeros_like(p)
    for row, target in zip(rows, picked):
        d[row] = p[row]
        d[row, target] -= 1
    return (d / divide(max(len(rows), 1), len(z))).reshape(logits.shape)


# ---------------------------------------------------------------------------------------- gpt2.backward
@right("gpt2.backward")
def from_scratch(cache, start=softmax_minus_one_hot, numbers=lambda n: range(n - 1, -1, -1), join=lambda head,
                 lookup: head + lookup,
                 last=lambda d, through: through, wpe=lambda dx: dx.sum(0), find=scatter, undo=dropout.backward, top_of=lambda dx,
                 top: dx):
    c_wte, (rows, _), c_drop, c_blocks, c_norm, (x, table, _), c_loss = cache
    (ids, V), C = c_wte, x.shape[-1]
    d = start(c_loss)
    head = d.reshape(-1, V).T @ x.reshape(-1, C)
    dx = d @ table.T
    dp = {"h": {}}
    if c_norm is not None:
        through, w, b = layernorm.backward(dx, c_norm)
        dp["ln_f"] = {"weight": w, "bias": b}
        dx = last(dx, through)
    top = dx
    for i in numbers(len(c_blocks)):
        dx, dp["h"][f"{i}"] = block.backward(top_of(dx, top), c_blocks[i])
    dx = undo(dx, c_drop)
    places = np.zeros((rows, C))
    places[:ids.shape[1]] = wpe(dx)
    dp["wpe"] = {"weight": places}
    dp["wte"] = {"weight": join(head, find(ids, dx, V))}
    return dp


@right("gpt2.backward")
def with_the_layers(cache):
    c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss = cache
    dx, dhead, _ = linear.backward(cross_entropy.backward(1, c_loss), c_head)
    dp = {}
    if c_norm:
        dx, *norm = layernorm.backward(dx, c_norm)
        dp["ln_f"] = dict(zip(("weight", "bias"), norm))
    grads = []
    for c in c_blocks[::-1]:
        dx, one = block.backward(dx, c)
        grads.insert(0, one)
    dx, dwpe = positions.backward(dropout.backward(dx, c_drop), c_wpe)
    return {**dp, "h": {str(i): g for i, g in enumerate(grads)}, "wpe": {"weight": dwpe},
            "wte": {"weight": np.asfortranarray(embedding.backward_tied(dx, c_wte, dhead.T))}}


@right("gpt2.backward")
def recursive(cache):
    c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss = cache

    def down(dx, i):
        if i < 0:
            return dx, {}
        dx, one = block.backward(dx, c_blocks[i])
        bottom, others = down(dx, i - 1)
        return bottom, {**others, str(i): one}

    dx, dhead, _ = linear.backward(cross_entropy.backward(1.0, c_loss), c_head)
    dp = {}
    if c_norm is not None:
        dx, w, b = layernorm.backward(dx, c_norm)
        dp = {"ln_f": {"weight": w, "bias": b}}
    dx, blocks = down(dx, len(c_blocks) - 1)
    dx = dropout.backward(dx, c_drop)
    lookup = np.zeros_like(dhead.T)
    np.add.at(lookup, c_wte[0], dx)
    return {"wte": {"weight": dhead.T + lookup}, "wpe": {"weight": positions.backward(dx, c_wpe)[1]}, "h": blocks, **dp}


@wrong("gpt2.backward", "head_only")
def table_from_the_output(cache):
    return from_scratch(cache, join=lambda head, lookup: head)


@wrong("gpt2.backward", "lookup_only")
def table_from_the_lookup(cache):
    return from_scratch(cache, join=lambda head, lookup: lookup)


@wrong("gpt2.backward", "table_twice")
def tied_and_so_twice(cache):
    dp = from_scratch(cache)
    return {**dp, "wte": {"weight": dp["wte"]["weight"] + dp["wte"]["weight"]}}


@wrong("gpt2.backward", "blocks_in_forward_order")
def first_to_last(cache):
    return from_scratch(cache, numbers=range)


@wrong("gpt2.backward", "first_block_left_out")
def range_ends_too_early(cache):
    return from_scratch(cache, numbers=lambda n: range(n - 1, 0, -1))


@wrong("gpt2.backward", "lookup_overwritten")
def plus_equals(cache):
    def find(ids, dx, V):
        table = np.zeros((V, dx.shape[-1]))
        table[ids] += dx
        return table
    return from_scratch(cache, find=find)


@wrong("gpt2.backward", "final_norm_skipped")
def last_norm_jumped_over(cache):
    return from_scratch(cache, last=lambda d, through: d)


@wrong("gpt2.backward", "loss_divided_twice")
def mean_of_a_mean(cache):
    return from_scratch(cache, start=lambda c: cross_entropy.backward(1.0 / max(len(c[2]), 1), c))


@wrong("gpt2.backward", "loss_over_all_tokens")
def divides_by_all(cache):
    return from_scratch(cache, start=lambda c: softmax_minus_one_hot(c, lambda M, N: N))


@wrong("gpt2.backward", "positions_averaged")
def mean_over_the_batch(cache):
    return from_scratch(cache, wpe=lambda dx: dx.mean(axis=0))


@wrong("gpt2.backward", "positions_zero", "positions_left_out")
def no_positions(cache):
    dp = from_scratch(cache)
    del dp["wpe"]
    return dp


@wrong("gpt2.backward", "each_block_from_the_top")
def the_same_dx_for_all(cache):
    return from_scratch(cache, top_of=lambda dx, top: top)


@wrong("gpt2.backward", "embedding_dropout_forgotten")
def no_dropout_back(cache):
    return from_scratch(cache, undo=lambda d, c: d)


@wrong("gpt2.backward", "head_only", "final_norm_skipped")
def two_at_once(cache):
    return from_scratch(cache, last=lambda d, through: d, join=lambda head, lookup: head)


@wrong("gpt2.backward", "lookup_factor")
def a_third_of_the_lookup(cache):
    return from_scratch(cache, join=lambda head, lookup: head + lookup / 3)


@wrong("gpt2.backward", "block_keys_whole_numbers")
def numbers_for_keys(cache):
    dp = from_scratch(cache)
    return {**dp, "h": {int(i): d for i, d in dp["h"].items()}}


@wrong("gpt2.backward")
def sum_over_the_wrong_axis(cache):
    def wpe(dx):
        return np.repeat(dx.sum(axis=1)[:1], dx.shape[1], axis=0)
    return from_scratch(cache, wpe=wpe)

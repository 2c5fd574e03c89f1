"""Answers to the exercise on Llama's backward, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from answers_gpt2 import scatter, softmax_minus_one_hot
from collected import right, wrong

from nanolm.layers import cross_entropy, embedding, linear, llama_block, rmsnorm


# ---------------------------------------------------------------------------------------- llama.backward
@right("llama.backward")
def llama_from_scratch(cache, start=softmax_minus_one_hot, numbers=lambda n: range(n - 1, -1, -1), join=lambda head,
                       lookup: head + lookup,
                       last=lambda d, through: through, find=scatter, look_at_tied=True):
    tied, (ids, V), c_blocks, c_norm, (x, head, _), c_loss = cache
    d = start(c_loss)
    dhead = np.einsum("btc,btv->cv", x, d)
    dx = d @ head.T
    through, gain = rmsnorm.backward(dx, c_norm)
    dx = last(dx, through)
    layers = {}
    for i in numbers(len(c_blocks)):
        dx, layers[str(i)] = llama_block.backward(dx, c_blocks[i])
    lookup = find(ids, dx, V)
    dp = {"norm": {"weight": gain}, "layers": layers}
    if tied or not look_at_tied:
        return {**dp, "embed_tokens": {"weight": join(dhead.T, lookup)}}
    return {**dp, "embed_tokens": {"weight": lookup}, "lm_head": {"weight": dhead}}


@right("llama.backward")
def llama_with_the_layers(cache):
    tied, c_embed, c_blocks, c_norm, c_head, c_loss = cache
    dx, dhead, _ = linear.backward(cross_entropy.backward(1, c_loss), c_head)
    dx, gain = rmsnorm.backward(dx, c_norm)
    layers = []
    for c in reversed(c_blocks):
        dx, one = llama_block.backward(dx, c)
        layers.append(one)
    dp = {"layers": dict(zip(map(str, range(len(layers))), layers[::-1])), "norm": {"weight": gain}}
    dp["embed_tokens"] = {"weight": embedding.backward(dx, c_embed) + (dhead.T if tied else 0)}
    return dp if tied else {**dp, "lm_head": {"weight": np.ascontiguousarray(dhead)}}


@right("llama.backward")
def llama_one_target_at_a_time(cache):
    """The loss is a mean, so the gradient is the sum of its terms' gradients."""
    tied, c_embed, c_blocks, c_norm, c_head, c_loss = cache
    d = cross_entropy.backward(1.0, c_loss)

    def add(a, b):
        return {key: add(a[key], b[key]) for key in a} if isinstance(a, dict) else a + b

    total = None
    for t in range(d.shape[1]):
        part = np.zeros_like(d)
        part[:, t] = d[:, t]
        one = llama_from_scratch(cache, start=lambda c, part=part: part)
        total = one if total is None else add(total, one)
    return total


@wrong("llama.backward", "always_tied")
def llama_always_tied(cache):
    return llama_from_scratch(cache, look_at_tied=False)


@wrong("llama.backward", "head_only")
def llama_head_alone(cache):
    return llama_from_scratch(cache, join=lambda head, lookup: head)


@wrong("llama.backward", "blocks_in_forward_order")
def llama_first_to_last(cache):
    return llama_from_scratch(cache, numbers=range)


@wrong("llama.backward", "final_norm_skipped")
def llama_norm_jumped_over(cache):
    return llama_from_scratch(cache, last=lambda d, through: d)


@wrong("llama.backward", "factor")                              # "-M times the right one"
def llama_minus_and_sum(cache):
    return llama_from_scratch(cache, start=lambda c: -cross_entropy.backward(float(len(c[2])), c))


@wrong("llama.backward", "final_norm_left_out")
def llama_without_its_norm(cache):
    dp = llama_from_scratch(cache)
    return {key: d for key, d in dp.items() if key != "norm"}


@wrong("llama.backward", "head_only", "blocks_in_forward_order")
def llama_two_at_once(cache):
    return llama_from_scratch(cache, join=lambda head, lookup: head, numbers=range)


@wrong("llama.backward")
def llama_down_proj_turned(cache):
    dp = llama_from_scratch(cache)
    layers = {i: {**d, "mlp": {**d["mlp"], "down_proj": {"weight": d["mlp"]["down_proj"]["weight"].T}}} for i,
              d in dp["layers"].items()}
    return {**dp, "layers": layers}


@wrong("llama.backward")
def llama_one_entry(cache):
    dp = llama_from_scratch(cache)
    up = dp["layers"]["0"]["mlp"]["up_proj"]["weight"].copy()
    up[1, 1] *= 1.01
    dp["layers"]["0"]["mlp"]["up_proj"] = {"weight": up}
    return dp

"""Exercises on multi-head attention: cutting, putting together, the layer with and without a memory."""
from dataclasses import replace

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.attention import mask_for
from nanolm.grading.exercises.attention import steps as attention_steps
from nanolm.grading.exercises.probes import MULTIHEAD
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import cutting
from nanolm.grading.mistakes import heads as mistakes
from nanolm.layers import attention, multihead

CACHE = ("The cache is (has_memory, n_head, c_in, c_heads, c_out): c_heads is attention's cache, c_out = (merged, weight, True) "
         "that of c_proj's linear layer, ")
IMPORTS = "import numpy as np\n\nfrom nanolm.layers import attention, linear\nfrom nanolm.layers.multihead import merge, split"


def parameters(draw, C):
    """Return p for C channels, no bias zero."""
    return {"c_attn": {"weight": draw.array(C, 3 * C, scale=C**-0.5), "bias": draw.array(3 * C)},
            "c_proj": {"weight": draw.array(C, C, scale=C**-0.5), "bias": draw.array(C)}}


def arguments(draw, memory):
    B, T, H, D = draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 3), draw.whole(1, 3)
    T = draw.choice(T, T, H, T + 5)                                         # T = H: a forgotten transpose keeps the shape
    S = draw.choice(T, draw.whole(1, 5)) if memory else T
    C = H * D
    kwargs = {"mask": mask_for(draw, (B, H), T, S)}
    if memory:
        kwargs["memory"] = build.as_it_may_lie(draw, draw.array(B, S, C))
    if draw.choice(False, False, False, True):
        kwargs |= {"dropout": 0.3, "rng": draw.generator()}
    sizes = {"C": C, "H": H, "D": D, "B": B, "T": T, **({"S": S} if memory else {}), "N": B * T}
    return (build.as_it_may_lie(draw, draw.array(B, T, C)), parameters(draw, C), H), kwargs, sizes


def self_backward(draw):
    args, kwargs, sizes = arguments(draw, memory=False)
    return build.backward_call(multihead, draw, *args, **kwargs, sizes=sizes)


def cross_backward(draw):
    args, kwargs, sizes = arguments(draw, memory=True)
    return build.backward_call(multihead, draw, *args, **kwargs, sizes=sizes)


def either_forward(draw):
    args, kwargs, sizes = arguments(draw, memory=draw.choice(False, True))
    return build.forward_call(multihead, *args, **kwargs, sizes=sizes)


def cases(memory):
    """Return a function that gives gradcheck's cases, those with a memory or those without."""
    def sizes_of(shown):
        (B, T, C), H = shown["x"].shape, shown["n_head"]
        return {"C": C, "H": H, "D": C // H, "B": B, "T": T, "S": shown.get("memory", shown["x"]).shape[1]}
    return lambda: (call for call in build.backward_cases(multihead, sizes_of)() if ("memory" in call.shown) == memory)


def split_inputs(draw):
    B, T, H, D = draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 3), draw.whole(1, 3)
    T = draw.choice(T, T, H)
    return build.forward_call(multihead, draw.array(B, T, H * D), H, name="split", sizes={"B": B, "T": T, "H": H, "D": D})


def merge_inputs(draw):
    B, T, H, D = draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 3), draw.whole(1, 3)
    T = draw.choice(T, T, H)
    return build.forward_call(multihead, draw.array(B, H, T, D), name="merge", sizes={"B": B, "T": T, "H": H, "D": D})


def self_terms(dy, cache):
    """dx is the sum of three ways, (H1)."""
    if cache[0]:
        return {}
    weight, C = cache[2][1], dy.shape[-1]
    dq, dk, dv = inner(dy, cache)
    return {"dx": [Term(f"way_by_{name}", f"the way by {name}, d{name} @ W_{name}^T, (H1)", d @ weight[:, i * C:(i + 1) * C].T)
                   for i, (name, d) in enumerate(zip("qkv", (dq, dk, dv)))]}


def inner(dy, cache):
    """Return dq, dk, dv, each (B, T, C)."""
    _, n_head, _, c_heads, (_, weight, _) = cache
    return [multihead.merge(d) for d in attention.backward(multihead.split(dy @ weight.T, n_head), c_heads)]


def steps(dy, cache):
    """The gradients on the way down: c_proj, attention's own, then those of q, k and v put together again."""
    has_memory, H, c_in, c_heads, (merged, weight, _) = cache
    q, k, v, *_ = c_heads
    (x, W_x, _), (source, W_source, _) = c_in if has_memory else (c_in, c_in)
    C = x.shape[-1]
    W_q, W_k, W_v = W_x[:, :C], W_source[:, -2 * C:-C], W_source[:, -C:]
    dkept, dP, dscores, dproducts, dq, dk, dv = attention_steps(dy, c_heads)

    def to_y(heads):
        return multihead.merge(heads) @ weight

    def on(step, **more):
        return replace(step, rest=lambda value: to_y(step.rest(value)), **more)

    def flat(step, name, after, *called):
        return Step(name, multihead.merge(step.value), lambda a: to_y(step.rest(multihead.split(a, H))), called, after=(after,),
                    label=f"d{name[1]} put together to (B, T, C)")

    bias = {name: heads - multihead.split(a @ W, H) for name, heads, a, W in
            (("q", q, x, W_q), ("k", k, source, W_k), ("v", v, source, W_v))}
    chain = [
        Step("dmerged", merged, lambda a: a @ weight, ("dconcat", "dm", "dout", "dh")),
        Step("dheads", multihead.split(merged, H), to_y, ("dheads", "do", "dz"), label="dmerged cut into heads (B, H, T, D)"),
        on(dkept, after=("dheads",)), on(dP), on(dscores), on(dproducts),
        on(dq, name="dq of the heads", after=("dproducts",)), on(dk, name="dk of the heads", after=("dproducts",)),
        on(dv, name="dv of the heads", after=("dheads",)),
        flat(dq, "dq", "dq of the heads"), flat(dk, "dk", "dk of the heads"), flat(dv, "dv", "dv of the heads"),
    ]
    if has_memory:
        def from_memory(memory):
            keys, values = multihead.split(memory @ W_k, H) + bias["k"], multihead.split(memory @ W_v, H) + bias["v"]
            return to_y(plain(q, keys, values, c_heads))
        return [*chain, Step("dx", x, lambda x: to_y(dq.rest(multihead.split(x @ W_q, H) + bias["q"])), after=("dq",)),
                Step("dmemory", source, from_memory, after=("dk", "dv"))]

    def from_x(x):
        return to_y(plain(*(multihead.split(x @ W, H) + bias[name] for name, W in (("q", W_q), ("k", W_k), ("v", W_v))), c_heads))
    return [*chain, Step("dx", x, from_x, after=("dq", "dk", "dv"))]


def plain(q, k, v, c_heads):
    """Return attention's answer for other q, k and v, with the mask and the dropout of its cache; takes complex numbers."""
    changed = (q, k, v, *c_heads[3:])
    scores = next(step for step in attention_steps(None, changed) if step.name == "dscores")
    return scores.rest(scores.value)


def exercises(constants):
    hints = ("Five lines of forward: packed = linear(x, c_attn), cut in three, split into heads, attention, merge, "
             "linear(merged, c_proj). Go through them from the bottom, and call linear.backward and attention.backward.",
             "dmerged, dweight, dbias = linear.backward(dy, c_out) gives c_proj's two gradients, and the gradient of the merged "
             "heads.",
             "merge's backward is split, and split's backward is merge.")
    return [
        build.forward(multihead, ("heads",), split_inputs, name="split", level=1, minutes=10, notebook="09_multihead",
                      task="Cut x (B, T, C) into n_head heads: return (B, H, T, D), D = C / H, where head h has the channels h D "
                           "... (h + 1) D - 1 of every token, (H2).",
                      mistakes=cutting.SPLIT,
                      hints=("The channels are cut, not the tokens: reshape the last axis alone, to (B, T, H, D).",
                             "Then the axes T and H change places: transpose(0, 2, 1, "
                             "3).", "B, T, C = x.shape; D = C // n_head.")),
        build.forward(multihead, ("x",), merge_inputs, name="merge", level=1, minutes=10, notebook="09_multihead",
                      task="Put heads (B, H, T, D) together: return (B, T, C), C = H D, the channels of head 0 first. It undoes "
                           "split.",
                      mistakes=cutting.MERGE,
                      hints=("Go split's way back: first the transpose, then the "
                             "reshape.", "transpose(0, 2, 1, 3) gives (B, T, H, D).",
                             "B, H, T, D = heads.shape, and reshape(B, T, H * D).")),
        build.forward(multihead, ("y",), either_forward, level=2, minutes=40, notebook="09_multihead", imports=IMPORTS,
                      task="Write the forward of multi-head attention, (H1) to (H3). x is (B, T, C); p is {\"c_attn\": "
                           "{\"weight\" (C, 3C), \"bias\" (3C,)}, \"c_proj\": {\"weight\" (C, C), \"bias\" (C,)}}. Without "
                           "memory q, k and v all come from x; with memory (B, S, C) only q does, and k and v come from memory. "
                           "attention.forward(q, k, v, mask, dropout, rng) returns (heads, cache). Return y (B, T, C) (and a "
                           "cache, if you like: it is not looked at).",
                      mistakes=mistakes.FORWARD, probes=MULTIHEAD,
                      hints=("packed = x @ weight + bias is (B, T, 3C): its first C columns are q, then k, then v.",
                             "split(q, n_head) gives (B, H, T, D). Write it yourself if you like: the transpose is what matters.",
                             "With a memory: q = x @ weight[:, :C] + bias[:C], and k and v from memory @ weight[:, C:] + "
                             "bias[C:].",
                             "y = merge(heads) @ p[\"c_proj\"][\"weight\"] + p[\"c_proj\"][\"bias\"].")),
        build.backward(multihead, ("dx", "dp"), self_backward, level=3, minutes=60, notebook="09_multihead", imports=IMPORTS,
                       cases=cases(False),
                       task="Write the backward of multi-head "
                            "self-attention. " + CACHE + "c_in = (x, weight, True) that of c_attn's. attention.backward and "
                                                         "linear.backward may be called. has_memory is False. Return dx (B, T, "
                                                         "C) and dp, a dict with p's keys: c_attn, c_proj, each with weight and "
                                                         "bias.",
                       mistakes=mistakes.BACKWARD, terms=self_terms, steps=steps,
                       hints=(*hints, "x W_attn was cut in three, so put the three gradients side by side: np.concatenate([dq, "
                                      "dk, dv], axis=-1).",
                              "linear.backward of that and c_in gives dx (the sum over the three users), and c_attn's weight and "
                              "bias.")),
        replace(build.backward(multihead, ("dx", "dmemory", "dp"), cross_backward, level=3, minutes=40, notebook="19_seq2seq",
                               imports=IMPORTS,
                               cases=cases(True), mistakes=mistakes.CROSS, steps=steps,
                               task="Write the backward of multi-head "
                                    "cross-attention. " + CACHE + "c_in = (c_q, c_kv), c_q = (x, weight[:, :C], True) and c_kv = "
                                                                  "(memory, weight[:, C:], True). attention.backward and "
                                                                  "linear.backward may be called. has_memory is True. Return dx "
                                                                  "(B, T, C), dmemory (B, S, C) and dp, a dict with p's keys: "
                                                                  "c_attn, c_proj, each with weight (C, 3C) or (C, C) and bias.",
                               hints=(*hints, "q came from x: linear.backward(dq, c_q). k and v came from memory, packed side by "
                                              "side: linear.backward(np.concatenate([dk, dv], axis=-1), c_kv).",
                                      "c_attn's weight is the two gradients side by side again: np.concatenate([dweight_q, "
                                      "dweight_kv], axis=-1).")),
                name="multihead.cross_backward", signature="def cross_backward(dy, cache):",
                docstring="Return dx, dmemory, dp, shaped like x, memory and p."),
    ]

"""Exercises on grouped-query attention: sharing keys, summing their gradients, the layer."""
from dataclasses import replace

import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.attention import mask_for
from nanolm.grading.exercises.attention import steps as attention_steps
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import cutting
from nanolm.grading.mistakes import grouped as mistakes
from nanolm.layers import attention, grouped, masks, multihead, rotary

IMPORTS = ("import numpy as np\n\nfrom nanolm.layers import attention, linear, rotary\nfrom nanolm.layers.grouped import shared, "
           "summed\nfrom nanolm.layers.multihead import merge, split")


def arguments(draw):
    B, T, C = draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 6)
    G, users, D = draw.whole(1, 3), draw.whole(1, 3), draw.choice(2, 2, 4)
    T = draw.choice(T, T, T + 5)
    H = G * users
    C = draw.choice(C, H * D)                                               # square o_proj, as in most models
    p = {"q_proj": {"weight": draw.array(C, H * D, scale=C**-0.5)}, "k_proj": {"weight": draw.array(C, G * D, scale=C**-0.5)},
         "v_proj": {"weight": draw.array(C, G * D, scale=C**-0.5)},
         "o_proj": {"weight": draw.array(H * D, C, scale=(H * D)**-0.5)}}
    kwargs = {"mask": mask_for(draw, (B, H), T, T), "base": draw.share(10000.0, 20.0, 3.0), "offset": draw.whole(0, 3)}
    kwargs |= {"scaling": ("linear", 3.0)} if draw.choice(False, False, False, True) else {}
    sizes = {"H": H, "G": G, "H/G": users, "D": D, "C": C, "B": B, "T": T, "N": B * T}
    return (build.as_it_may_lie(draw, draw.array(B, T, C)), p, H, G), kwargs, sizes


def sizes_of(shown):
    """Return the sizes of gradcheck's ready-made cases."""
    (B, T, C), H, G = shown["x"].shape, shown["n_head"], shown["n_kv_head"]
    return {"H": H, "G": G, "H/G": H // G, "D": shown["q_proj.weight"].shape[1] // H, "C": C, "B": B, "T": T}


def backward_inputs(draw):
    args, kwargs, sizes = arguments(draw)
    return build.backward_call(grouped, draw, *args, **kwargs, sizes=sizes)


def forward_inputs(draw):
    args, kwargs, sizes = arguments(draw)
    return build.forward_call(grouped, *args, **kwargs, sizes=sizes)


def forward_cases():
    """Yield a Call with everything at once."""
    rng = np.random.default_rng(1)
    shapes = {"q_proj": (5, 16), "k_proj": (5, 8), "v_proj": (5, 8), "o_proj": (16, 5)}
    p = {name: {"weight": rng.standard_normal(shape)} for name, shape in shapes.items()}
    yield build.forward_call(grouped, rng.standard_normal((2, 6, 5)), p, 4, 2, mask=masks.causal(6).copy(), base=30.0, offset=5,
                       scaling=("llama3", 8.0, 1.0, 4.0, 30))


def shared_inputs(draw):
    B, G, users, S, D = draw.whole(1, 3), draw.whole(1, 3), draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 3)
    return build.forward_call(grouped, draw.array(B, G, S, D), G * users, name="shared",
                        sizes={"H": G * users, "G": G, "H/G": users, "B": B, "S": S, "D": D})


def summed_inputs(draw):
    B, G, users, S, D = draw.whole(1, 3), draw.whole(1, 3), draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 3)
    return build.forward_call(grouped, draw.array(B, G * users, S, D), G, name="summed",
                        sizes={"H": G * users, "G": G, "H/G": users, "B": B, "S": S, "D": D})


def terms(dy, cache):
    """dx is the sum of three ways."""
    H, G, c_q, c_k, c_v, c_turn, c_heads, (_, weight, _) = cache
    dq, dk, dv = attention.backward(multihead.split(dy @ weight.T, H), c_heads)
    dk, dv = grouped.summed(dk, G), grouped.summed(dv, G)
    ways = rotary.backward(dq, c_turn), rotary.backward(dk, c_turn), dv
    return {"dx": [Term(f"way_by_{name}", f"the way by {name}, d{name} @ W_{name}^T", multihead.merge(d) @ c[1].T)
                   for name, d, c in zip("qkv", ways, (c_q, c_k, c_v))]}


def steps(dy, cache):
    """The gradients on the way down: o_proj, attention's own, summed over each group, turned back, put together."""
    H, G, (x, W_q, _), (_, W_k, _), (_, W_v, _), (cos, sin), c_heads, (merged, weight, _) = cache
    dkept, dP, dscores, dproducts, dq, dk, dv = attention_steps(dy, c_heads)
    flat = {name: x @ W for name, W in (("q", W_q), ("k", W_k), ("v", W_v))}

    def to_y(heads):
        return multihead.merge(heads) @ weight

    def on(step, **more):
        return replace(step, rest=lambda value: to_y(step.rest(value)), **more)

    def turned(a):
        return rotary.turned(a, cos, sin)

    def summed_step(step, name):
        groups = step.value[:, ::H // G]
        return Step(f"{name} summed", groups, lambda a: to_y(step.rest(grouped.shared(a, H))), after=(f"{name} of the heads",),
                    label=f"{name} summed over the heads of each group, (GQ3)")

    def from_x(x):
        q, k, v = (multihead.split(x @ W, n) for W, n in ((W_q, H), (W_k, G), (W_v, G)))
        changed = (turned(q), grouped.shared(turned(k), H), grouped.shared(v, H), *c_heads[3:])
        scores = next(step for step in attention_steps(None, changed) if step.name == "dscores")
        return to_y(scores.rest(scores.value))

    return [
        Step("dmerged", merged, lambda a: a @ weight, ("dconcat", "dm", "dout", "dh")),
        Step("dheads", multihead.split(merged, H), to_y, ("dheads", "do", "dz"), label="dmerged cut into heads (B, H, T, D)"),
        on(dkept, after=("dheads",)), on(dP), on(dscores), on(dproducts),
        on(dq, name="dq of the heads", after=("dproducts",)), on(dk, name="dk of the heads", after=("dproducts",)),
        on(dv, name="dv of the heads", after=("dheads",)),
        summed_step(dk, "dk"), summed_step(dv, "dv"),
        Step("dq", flat["q"], lambda a: to_y(dq.rest(turned(multihead.split(a, H)))), after=("dq of the heads",),
             label="dq turned back, (B, T, H D)"),
        Step("dk", flat["k"], lambda a: to_y(dk.rest(grouped.shared(turned(multihead.split(a, G)), H))), after=("dk summed",),
             label="dk turned back, (B, T, G D)"),
        Step("dv", flat["v"], lambda a: to_y(dv.rest(grouped.shared(multihead.split(a, G), H))), after=("dv summed",),
             label="dv put together, (B, T, G D)"),
        Step("dx", x, from_x, after=("dq", "dk", "dv")),
    ]


def exercises(constants):
    return [
        build.forward(grouped, ("kv",), shared_inputs, name="shared", level=1, minutes=10, notebook="20_after_gpt2",
                      task="kv (B, G, S, D) holds the keys (or values) of G groups. Return (B, H, S, D), H = n_head: each "
                           "group's head once for each of the H / G heads that use it, neighbours sharing one, (GQ1).",
                      mistakes=cutting.SHARED,
                      hints=("With H = 4 and G = 2 the heads are k_0, k_0, k_1, k_1: heads 0 and 1 are group 0.",
                             "np.repeat does that, np.tile does "
                             "not.", "The heads are axis 1, and each is repeated n_head // G times.")),
        build.forward(grouped, ("d",), summed_inputs, name="summed", level=1, minutes=10, notebook="20_after_gpt2",
                      task="d (B, H, S, D) holds a gradient for each of H heads. Return (B, G, S, D), G = n_kv_head: the sum "
                           "over the H / G heads of each group, (GQ3). It is the backward of shared.",
                      mistakes=cutting.SUMMED,
                      hints=("A key with H / G users gets the sum of their gradients.",
                             "Give the users of a group an axis of their own: (B, G, H / G, S, D). Neighbours belong to a group, "
                             "so G comes first.", "Then sum over axis 2.")),
        build.forward(grouped, ("y",), forward_inputs, level=3, minutes=40, notebook="20_after_gpt2", imports=IMPORTS,
                      cases=forward_cases,
                      task="Write the forward of grouped-query attention, (GQ1) and (GQ2). x is (B, T, C); p has q_proj, k_proj, "
                           "v_proj and o_proj, each {\"weight\"} without a bias. rotary.forward(a, base, offset, scaling), "
                           "attention.forward(q, k, v, mask), split, merge and shared may be called. Return y (B, T, C) (and a "
                           "cache, if you like: it is not looked at).",
                      mistakes=mistakes.FORWARD,
                      hints=("q has n_head heads, k and v have n_kv_head: split each with its own number.",
                             "Turn q and k with rotary.forward, each head by itself; v is not turned.",
                             "shared(k, n_head) and shared(v, n_head) have as many heads as "
                             "q.", "y = merge(heads) @ p[\"o_proj\"][\"weight\"].")),
        build.backward(grouped, ("dx", "dp"), backward_inputs, level=3, minutes=60, notebook="20_after_gpt2", imports=IMPORTS,
                       cases=build.backward_cases(grouped, sizes_of),
                       task="Write the backward of grouped-query attention, (GQ1) to (GQ3). The cache is (n_head, n_kv_head, "
                            "c_q, c_k, c_v, c_turn, c_heads, c_o): c_q = (x, weight, False), c_k, c_v and c_o are linear's; "
                            "c_turn is rotary's, for queries and keys alike; c_heads is attention's. linear.backward, "
                            "rotary.backward and attention.backward may be called, split, merge and summed too. "
                            "Return dx (B, T, C) and dp, a dict with p's keys: q_proj, k_proj, v_proj, o_proj, each {\"weight\"}.",
                       mistakes=mistakes.BACKWARD, terms=terms, steps=steps,
                       hints=("Write forward's lines down and go through them from the bottom: o_proj, merge, attention, shared, "
                              "rotary, split, linear.",
                              "dmerged, dweight, _ = linear.backward(dy, c_o); merge's backward is split.",
                              "attention.backward gives dk and dv for H heads: each key had H / G users, so sum over them.",
                              "rotary.backward turns dq and dk back; v was not turned.",
                              "x had three users: add the three dx of linear.backward(merge(d), c).")),
    ]

"""Exercises on the decoder's block, which listens to a memory, and on Llama's."""
from nanolm.gradcheck.draws import dense, gated, groups, heads, norm
from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.exercises.blocks import IMPORTS, cases_of, dropout_of, mask_of, sizes_of, tokens, without_parameters
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import decoder_block as decoder_mistakes
from nanolm.grading.mistakes import llama_block as llama_mistakes
from nanolm.layers import decoder_block, dropout, grouped, layernorm, llama_block, masks, mlp, multihead, rmsnorm, swiglu


# ------------------------------------------------------------------------------------------------ decoder_block
def decoder_arguments(draw):
    B, T, C, H = sizes_of(draw)
    S, F, rng = draw.choice(T, draw.whole(1, 5), draw.whole(1, 5)), draw.choice(C, C + 1, 3), draw.generator()
    p = {"ln_1": norm(rng, C), "attn": heads(rng, C), "ln_2": norm(rng, C), "cross_attn": heads(rng, C), "ln_3": norm(rng, C),
         "mlp": {"c_fc": dense(rng, C, F), "c_proj": dense(rng, F, C)}}
    options = {"mask": draw.choice(None, masks.causal(T).copy()),
               "memory_mask": masks.padding([draw.whole(0, S) for _ in range(B)], S) if draw.choice(False, True) else None,
               "norm": draw.choice("post", "pre"), "form": draw.share("relu", "tanh", "erf"), "eps": draw.share(1e-5, 1e-5, 0.3),
               **dropout_of(draw)}
    args = tokens(draw, rng, B, T, C), tokens(draw, rng, B, S, C), p, H
    return args, options, {"B": B, "T": T, "S": S, "C": C, "H": H, "F": F, "N": B * T}


def decoder_backward(draw):
    args, kwargs, sizes = decoder_arguments(draw)
    return without_parameters(build.backward_call(decoder_block, draw, *args, **kwargs, sizes=sizes))


def decoder_forward(draw):
    args, kwargs, sizes = decoder_arguments(draw)
    return without_parameters(build.forward_call(decoder_block, *args, **kwargs, sizes=sizes))


def decoder_steps(dy, cache):
    """The gradients of the x between the parts, in backward's order, and memory's."""
    kind, *c = cache
    order = ((c[6], c[7], c[8]), (c[3], c[4], c[5]), (c[0], c[1], c[2]))
    if kind == "post":
        order = tuple((c_norm, c_branch, c_drop) for c_branch, c_drop, c_norm in order)
    dx, steps = dy, []
    for (c_norm, c_branch, c_drop), branch, name in zip(order, (mlp, multihead, multihead),
                                                        ("MLP", "cross-attention", "self-attention")):
        d = layernorm.backward(dx, c_norm)[0] if kind == "post" else dx
        skip = d
        d, *dmemory, _ = branch.backward(dropout.backward(d, c_drop), c_branch)
        d = layernorm.backward(d, c_norm)[0] if kind == "pre" else d
        steps += [Step("dmemory", gradient=dmemory[0], called=("dmemory", "dmem"))] if dmemory else []
        dx = skip + d
        last = name == "self-attention"
        steps.append(Step("dx" if last else f"The gradient of the x before the {name}", gradient=dx,
                          called=("dx",) if last else ()))
    return steps


# ------------------------------------------------------------------------------------------------ llama_block
def llama_arguments(draw):
    G, D, C = draw.choice(1, 1, 2), draw.choice(2, 2, 4), draw.whole(3, 5)
    H, F, rng = G * draw.choice(1, 2, 3), draw.choice(C, C + 1, 3), draw.generator()
    B, T = draw.whole(1, 3), draw.whole(1, 5)
    p = {"input_layernorm": {"weight": norm(rng, C)["weight"]}, "self_attn": groups(rng, C, H * D, G * D),
         "post_attention_layernorm": {"weight": norm(rng, C)["weight"]}, "mlp": gated(rng, C, F)}
    options = {"mask": mask_of(draw, B, T), "base": draw.share(10000.0, 20.0, 3.0), "eps": draw.share(1e-5, 1e-5, 0.3)}
    return (tokens(draw, rng, B, T, C), p, H, G), options, {"B": B, "T": T, "C": C, "H": H, "G": G, "D": D, "F": F, "N": B * T}


def llama_backward(draw):
    args, kwargs, sizes = llama_arguments(draw)
    return without_parameters(build.backward_call(llama_block, draw, *args, **kwargs, sizes=sizes))


def llama_forward(draw):
    args, kwargs, sizes = llama_arguments(draw)
    return without_parameters(build.forward_call(llama_block, *args, **kwargs, sizes=sizes))


def llama_steps(dy, cache):
    c1, c2, c3, c4 = cache
    out = swiglu.backward(dy, c4)[0]
    normed = rmsnorm.backward(out, c3)[0]
    middle = dy + normed
    out_1 = grouped.backward(middle, c2)[0]
    return [Step("The gradient that comes out of the MLP", gradient=out), Step("The gradient that comes out of its norm",
                                                                               gradient=normed),
            Step("The gradient of the x between the halves", gradient=middle),
            Step("The gradient that comes out of the attention",
                                                                                    gradient=out_1),
            Step("dx", gradient=middle + rmsnorm.backward(out_1, c1)[0], called=("dx",))]


def llama_terms(dy, cache):
    c1, c2, c3, c4 = cache
    by_mlp = rmsnorm.backward(swiglu.backward(dy, c4)[0], c3)[0]
    by_attention, by_both = (rmsnorm.backward(grouped.backward(d, c2)[0], c1)[0] for d in (dy, by_mlp))
    return {"dx": [Term("past_both", "the way past both branches, through the two +", dy),
                   Term("by_mlp", "the way through the MLP and past the attention", by_mlp),
                   Term("by_attention", "the way past the MLP and through the attention", by_attention),
                   Term("by_both", "the way through the MLP and then through the attention", by_both)]}


def exercises(constants):
    return [
        build.backward(decoder_block, ("dx", "dmemory", "dp"), decoder_backward, level=3, minutes=45, notebook="19_seq2seq",
                       mistakes=decoder_mistakes.BACKWARD, steps=decoder_steps, imports=IMPORTS, cases=cases_of(decoder_block),
                       task='Write the backward of a decoder\'s block. The cache is (norm, c1, ..., c9). With norm "post", (X1): '
                            'c1 self-attention, c2 its dropout, c3 ln_1, c4 cross-attention, c5 its dropout, c6 ln_2, c7 MLP, c8 '
                            'its dropout, c9 ln_3. With norm "pre", (X2), each norm comes before its branch: c1 ln_1, c2 '
                            'self-attention, c3 its dropout, c4 ln_2, c5 cross-attention, c6 its dropout, c7 ln_3, c8 MLP, c9 '
                            'its dropout. Call the layers\' own backwards (multihead\'s returns dx, dmemory, dp for the '
                            'cross-attention). Return dx, dmemory, dp; dp has the keys ln_1, attn, ln_2, cross_attn, ln_3, mlp.',
                       hints=("It is block.backward with a third part in the middle. Write forward's lines from the bottom to "
                              "the top.",
                              "Each of the three parts ends in a + and so begins, going back, with a fork: what came through the "
                              "+ and what came through the branch add.",
                              "The cross-attention has two inputs: dh, dmemory, dcross = multihead.backward(db, its cache). dh "
                              "goes on as x's gradient does, dmemory is returned as it is.",
                              "Post-norm, the last part: dsum, dweight_3, dbias_3 = layernorm.backward(dy, c9); dm = "
                              "dropout.backward(dsum, c8); dx, dmlp = mlp.backward(dm, c7); dx = dsum + dx. The other two look "
                              "the same.")),
        build.forward(decoder_block, ("y",), decoder_forward, level=2, minutes=25, notebook="19_seq2seq",
                      mistakes=decoder_mistakes.FORWARD,
                      imports=IMPORTS,
                      task='Write the forward of a decoder\'s block: norm "post" is (X1), "pre" is (X2) in the docstring of '
                           'nanolm/layers/decoder_block.py. p has ln_1, attn, ln_2, cross_attn, ln_3, mlp. Call '
                           'layernorm.forward, multihead.forward(x, p, n_head, mask, memory, dropout, rng), mlp.forward and '
                           'dropout.forward; each returns its answer and a cache. rng is used from top to bottom, in each part '
                           'by the branch first and then by the dropout of its answer. Return y (and a cache, if you like: it is '
                           'not looked at).',
                      hints=("Three parts, each x = x + something: self-attention, cross-attention, MLP.",
                             "The cross-attention takes its queries from x and memory=memory; its mask is memory_mask.",
                             "Post-norm: a = attention(x), x = ln_1(x + dropout(a)). Pre-norm: h = ln_1(x), x = x + "
                             "dropout(attention(h)). memory is never normed here.")),
        build.backward(llama_block, ("dx", "dp"), llama_backward, level=3, minutes=30, notebook="20_after_gpt2",
                       mistakes=llama_mistakes.BACKWARD,
                       terms=llama_terms, steps=llama_steps, imports="from nanolm.layers import grouped, rmsnorm, swiglu",
                       cases=cases_of(llama_block),
                       task="Write the backward of Llama's block, (LB1). The cache is (c1, c2, c3, c4): of input_layernorm "
                            "(rmsnorm), self_attn (grouped), post_attention_layernorm (rmsnorm) and mlp (swiglu). Call "
                            "rmsnorm.backward, grouped.backward and swiglu.backward. Return dx, shaped like x, and dp, a dict "
                            "with p's keys: input_layernorm and post_attention_layernorm (each a dict with weight), self_attn, "
                            "mlp.",
                       hints=("Forward is h = norm(x); x = x + attention(h); h = norm_2(x); y = x + mlp(h). Go through it from "
                              "the bottom.",
                              "y = x + m: dy goes into mlp's backward, and past it. What comes out of the norm is added to dy.",
                              "dh, dmlp = swiglu.backward(dy, c4); dx, dweight_2 = rmsnorm.backward(dh, c3); dx = dy + dx. The "
                              "first half is the same with this dx in dy's place.")),
        build.forward(llama_block, ("y",), llama_forward, level=2, minutes=15, notebook="20_after_gpt2",
                      mistakes=llama_mistakes.FORWARD,
                      imports="from nanolm.layers import grouped, rmsnorm, swiglu",
                      task="Write the forward of Llama's block, (LB1) in the docstring of nanolm/layers/llama_block.py. Call "
                           "rmsnorm.forward, grouped.forward(x, p, n_head, n_kv_head, mask, base, scaling=scaling) and "
                           "swiglu.forward; each returns its answer and a cache. Return y (and a cache, if you like: it is not "
                           "looked at).",
                      hints=("Two halves, x = x + something(norm(x)) each.",
                             "post_attention_layernorm is the norm before the MLP, whatever its name says.",
                             "Hand on eps to both norms, and mask, base and scaling to the attention.")),
    ]

"""Exercises on the block of GPT-2 and BERT, pre-norm and post-norm."""
import inspect

from nanolm.gradcheck.draws import dense, heads, norm
from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import blocks as mistakes
from nanolm.layers import block, dropout, layernorm, masks, mlp, multihead


def sizes_of(draw):
    """Return B, T, C, H of tokens: small, and all different most of the time."""
    H = draw.choice(1, 2, 2, 3)
    C = H * draw.choice(2, 3) if H > 1 else draw.whole(3, 5)                # not 2: two channels, normed, are 1 and -1 always
    return draw.whole(1, 3), draw.whole(1, 5), C, H


def mask_of(draw, B, T):
    """Return one of the masks that a block may get: none, causal, padding, any; a row may be empty."""
    kind = draw.choice("none", "causal", "causal", "padding", "any")
    if kind == "padding":
        return masks.padding([draw.whole(1, T) for _ in range(B)], T)
    return {"none": lambda: None, "causal": lambda: masks.causal(T).copy(), "any": lambda: draw.booleans(T, T)}[kind]()


def dropout_of(draw):
    return {"dropout": draw.share(0.3, 0.5), "rng": draw.generator()} if draw.choice(False, False, True) else {}


def tokens(draw, rng, *shape):
    """Return x with few digits. Not drawn by `draw`, whose smallest, zeros, is no example for a norm."""
    return (draw.choice(1, 1, 2) * rng.standard_normal(shape)).round(1)


def block_arguments(draw):
    B, T, C, H = sizes_of(draw)
    F, rng = draw.choice(C, C + 1, 2 * C, 3), draw.generator()
    p = {"ln_1": norm(rng, C), "attn": heads(rng, C), "ln_2": norm(rng, C),
         "mlp": {"c_fc": dense(rng, C, F), "c_proj": dense(rng, F, C)}}
    options = {"mask": mask_of(draw, B, T), "norm": draw.choice("pre", "post"), "form": draw.share("tanh", "erf", "relu"),
               "eps": draw.share(1e-5, 1e-5, 0.3), **dropout_of(draw)}
    return (tokens(draw, rng, B, T, C), p, H), options, {"B": B, "T": T, "C": C, "H": H, "F": F, "N": B * T, "D": C // H}


def block_backward(draw):
    args, kwargs, sizes = block_arguments(draw)
    return without_parameters(build.backward_call(block, draw, *args, **kwargs, sizes=sizes))


def block_forward(draw):
    args, kwargs, sizes = block_arguments(draw)
    return without_parameters(build.forward_call(block, *args, **kwargs, sizes=sizes))


def without_parameters(call):
    """Return the Call, whose twelve or more parameters are not shown: who wants them finds them in call.args."""
    call.shown = {name: value for name, value in call.shown.items() if "." not in name and name != "rng"}
    return call


def cases_of(module):
    """Return a function that gives gradcheck's ready-made cases, without the parameters, and with what forward has by itself."""
    defaults = {name: one.default for name, one in inspect.signature(module.forward).parameters.items() if isinstance(one.default,
                                                                                                                      str)}

    def cases():
        for call in build.backward_cases(module)():
            call.shown = {**defaults, **call.shown}
            yield without_parameters(call)
    return cases


def block_parts(cache):
    """Return norm and the two halves in backward's order, ((name, branch, its cache, norm's cache, dropout's cache), ...)."""
    kind, c1, c2, c3, c4, c5, c6 = cache
    if kind == "pre":
        return kind, (("m", mlp, c5, c4, c6), ("a", multihead, c2, c1, c3))
    return kind, (("m", mlp, c4, c6, c5), ("a", multihead, c1, c3, c2))


def block_steps(dy, cache):
    """Every intermediate gradient of block.backward, in backward's order."""
    kind, halves = block_parts(cache)
    dx, steps = dy, []
    for number, (name, branch, c_branch, c_norm, c_drop) in zip((2, 1), halves):
        if kind == "post":
            dx = layernorm.backward(dx, c_norm)[0]
            steps.append(Step(f"dsum_{number}, behind ln_{number}'s backward", gradient=dx,
                              called=(f"dsum_{number}", f"dsum{number}")))
        d = dropout.backward(dx, c_drop)
        if c_drop[0] is not None:
            steps.append(Step(f"d{name}, before the dropout", gradient=d, called=(f"d{name}",)))
        d = branch.backward(d, c_branch)[0]
        steps.append(Step(f"The gradient that comes out of the {'MLP' if name == 'm' else 'attention'}", gradient=d))
        if kind == "pre":
            d = layernorm.backward(d, c_norm)[0]
            steps.append(Step(f"The gradient that comes out of ln_{number}", gradient=d))
        dx = dx + d
        steps.append(Step("The gradient of the x between the halves" if number == 2 else "dx", gradient=dx,
                          called=("dx_mid", "dmid") if number == 2 else ("dx", "dx_in")))
    return steps


def block_terms(dy, cache):
    """dx is a sum of four ways: past both branches, through the MLP, through the attention, through both."""
    kind, (second, first) = block_parts(cache)

    def through(d, half):
        _, branch, c_branch, c_norm, c_drop = half
        d = branch.backward(dropout.backward(d, c_drop), c_branch)[0]
        return layernorm.backward(d, c_norm)[0] if kind == "pre" else d

    def top(d, half):
        return layernorm.backward(d, half[3])[0] if kind == "post" else d
    past = top(dy, second)
    by_mlp = through(past, second)
    past, by_mlp = top(past, first), top(by_mlp, first)
    return {"dx": [Term("past_both", "the way past both branches, through the two +", past),
                   Term("by_mlp", "the way through the MLP and past the attention", by_mlp),
                   Term("by_attention", "the way past the MLP and through the attention", through(past, first)),
                   Term("by_both", "the way through the MLP and then through the attention", through(by_mlp, first))]}


BLOCK_CACHE = ('The cache is (norm, c1, ..., c6). With norm "pre", (B1): c1 of ln_1, c2 of the attention (multihead), c3 of its '
               'dropout, c4 of ln_2, c5 of the MLP, c6 of its dropout. With norm "post", (B2): c1 attention, c2 its dropout, c3 '
               'ln_1, c4 MLP, c5 its dropout, c6 ln_2. Call the layers\' own backwards (layernorm, multihead, mlp, dropout: from '
               'nanolm.layers import ...) with them.')
IMPORTS = "from nanolm.layers import dropout, layernorm, mlp, multihead"


def exercises(constants):
    return [
        build.backward(block, ("dx", "dp"), block_backward, level=3, minutes=40, notebook="11_block", mistakes=mistakes.BACKWARD,
                       terms=block_terms, steps=block_steps, imports=IMPORTS, cases=cases_of(block),
                       task=f"Write the backward of a block. {BLOCK_CACHE} Return dx, shaped like x, and dp, a dict with p's "
                            f"keys: ln_1 and ln_2 (each with weight and bias), attn and mlp (what multihead.backward and "
                            f"mlp.backward return).",
                       hints=("Write forward's lines on paper, from the bottom to the top, and beside each what it does to a "
                              "gradient.",
                              "A line x = x + f(x) is a fork: the gradient goes back unchanged through the + and through f, and "
                              "the two add.",
                              "Pre-norm's second half: dm = dropout.backward(dy, c6); dh, dmlp = mlp.backward(dm, c5); "
                              "dx, dweight, dbias = layernorm.backward(dh, c4); and then the fork.",
                              "dx = dy + dx closes the fork. The first half is the same once more, beginning with this dx in "
                              "dy's place.",
                              "Post-norm begins each half with dsum, dweight, dbias = layernorm.backward(...), because the norm "
                              "came last; the fork then adds dsum.")),
        build.forward(block, ("y",), block_forward, level=2, minutes=25, notebook="11_block", mistakes=mistakes.FORWARD,
                      imports=IMPORTS,
                      task='Write the forward of a block: norm "pre" is (B1), "post" is (B2) in the docstring of '
                           'nanolm/layers/block.py. p has ln_1, attn, ln_2, mlp. Call layernorm.forward, multihead.forward, '
                           'mlp.forward and dropout.forward; each returns its answer and a cache. rng is used in this order: by '
                           'the attention, by the dropout of its answer, by the dropout of the MLP\'s answer. Return y (and a '
                           'cache, if you like: it is not looked at).',
                      hints=("Each half is x = x + something. Write the attention's half first, then the MLP's with the new x.",
                             "Pre-norm: h = ln_1(x), a = attention(h), x = x + dropout(a). The + takes x, not h.",
                             "Post-norm: a = attention(x), x = ln_1(x + dropout(a)).",
                             "Hand on what is given: mask and n_head to the attention, form to the MLP, eps to the norms, "
                             "dropout and rng to the attention and to both dropouts.")),
    ]

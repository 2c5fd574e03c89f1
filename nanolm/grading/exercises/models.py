"""Exercises on whole models: GPT-2 and Llama. What all models' exercises share stands first."""
import inspect

import numpy as np

from nanolm.gradcheck import cases as ready
from nanolm.gradcheck.draws import randomised
from nanolm.grading.exercise import Call, Probe, Term
from nanolm.grading.exercises import build
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import gpt2 as gpt2_mistakes
from nanolm.grading.mistakes import gpt2_forward as forward_mistakes
from nanolm.grading.mistakes import llama as llama_mistakes
from nanolm.layers import block, cross_entropy, dropout, embedding, layernorm, linear, llama_block, positions, rmsnorm
from nanolm.models import gpt2, llama


def model_call(module, args, kwargs=None, sizes=None, title=""):
    """Return the Call of a model's backward(cache) after forward(*args, **kwargs). args: p, ids, ..., config."""
    loss, cache = build.own(module, "forward")(*args, **(kwargs or {}))
    return Call((cache,), shown=told(module, args, kwargs or {}), sizes=sizes or {}, title=title)


def told(module, args, kwargs, name="forward"):
    """Return what a person wants to see of a model's arguments: no parameters, and the fields of config one by one."""
    bound = inspect.signature(getattr(module, name)).bind(*args, **kwargs).arguments
    shown = {}
    for key, value in bound.items():
        if hasattr(value, "__dataclass_fields__"):
            shown |= {field: getattr(value, field) for field in value.__dataclass_fields__ if field != "block_size"}
        elif value is not None and key not in ("p", "rng"):
            shown[key] = value
    return shown


def model_cases(module):
    """Return a function that gives the Calls of gradcheck's ready-made cases of a model."""
    def cases():
        for case in ready.of(module.__name__.rsplit(".", 1)[-1]):
            yield model_call(module, case.args, case.kwargs, title=case.title)
    return cases


def shape(draw):
    """Return B, T, V, L, H, C: small, and all different most of the time; C is never 2, where a norm is a sign."""
    H = draw.choice(1, 2)
    B, T, V, L = draw.whole(1, 3), draw.whole(1, 5), draw.whole(2, 8), draw.choice(1, 2, 2, 2, 3)
    return B, T, V, L, H, draw.choice(4, 6) if H == 2 else draw.whole(3, 5)


def targets_of(draw, B, T, V):
    """Return targets (B, T), some of them -100, at least one not."""
    targets = np.where(draw.booleans(B, T, share=0.75), draw.ids((B, T), V), -100)
    targets[0, 0] = draw.whole(0, V - 1)
    return targets


def dropped(draw):
    """Return a rate and a generator, or 0 and None."""
    return (draw.share(0.3, 0.5), draw.generator()) if draw.choice(False, False, True) else (0.0, None)


# ------------------------------------------------------------------------------------------------ gpt2
def gpt2_arguments(draw):
    B, T, V, L, H, C = shape(draw)
    (rate, rng), numbers = dropped(draw), draw.generator()
    config = gpt2.Config(V, T + draw.whole(0, 2), L, H, C, rate, draw.share(1e-5, 1e-5, 0.3), draw.choice("pre", "pre", "post"),
                         draw.whole(2, 6), draw.share("tanh", "erf", "relu"))
    p, ids = randomised(gpt2.init(config, numbers), numbers), draw.ids((B, T), V)
    sizes = {"B": B, "T": T, "V": V, "L": L, "H": H, "C": C, "N": B * T}
    return p, ids, targets_of(draw, B, T, V), config, rng, sizes


def gpt2_backward(draw):
    p, ids, targets, config, rng, sizes = gpt2_arguments(draw)
    return model_call(gpt2, (p, ids, targets, config), {"rng": rng}, {**sizes, "M": int((targets != -100).sum())})


def gpt2_forward(draw):
    p, ids, targets, config, rng, sizes = gpt2_arguments(draw)
    args = (p, ids, targets, config)
    return Call(args, {"rng": rng}, told(gpt2, args, {}), {**sizes, "M": int((targets != -100).sum())})


def gpt2_logits(draw):
    p, ids, _, config, _, sizes = gpt2_arguments(draw)
    return Call((p, ids, config), shown=told(gpt2, (p, ids, config), {}, "logits"), sizes=sizes)


def eleven_blocks():
    """Eleven blocks: sorted as words, "10" comes before "2"."""
    rng = np.random.default_rng(3)
    config = gpt2.Config(5, 3, 11, 1, 3, n_hidden=3)
    args = randomised(gpt2.init(config, rng), rng), np.array([[1, 4, 1]]), config
    yield Call(args, shown=told(gpt2, args, {}, "logits"), title="eleven blocks")


def gpt2_steps(cache):
    c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss = cache
    dlogits = cross_entropy.backward(1.0, c_loss)
    dx, dhead, _ = linear.backward(dlogits, c_head)
    steps = [Step("dlogits", gradient=dlogits, called=("dlogits", "dz")),
             Step("the output's gradient of wte, (C, V)", gradient=dhead, called=("dhead",)),
             Step("dx below the output", gradient=dx, after=("dlogits",))]
    if c_norm is not None:
        dx = layernorm.backward(dx, c_norm)[0]
        steps.append(Step("dx below ln_f", gradient=dx))
    for i in reversed(range(len(c_blocks))):
        dx = block.backward(dx, c_blocks[i])[0]
        steps.append(Step(f"dx below block {i}", gradient=dx))
    dx = dropout.backward(dx, c_drop)
    steps.append(Step("dx below the dropout", gradient=dx))
    return [*steps, Step("the lookup's gradient of wte, (V, C)", gradient=embedding.backward(dx, c_wte), called=("dlookup",)),
            Step("wpe's gradient", gradient=positions.backward(dx, c_wpe)[1], called=("dwpe",), after=("dx below the dropout",))]


def gpt2_terms(cache):
    """wte's gradient is a sum of two."""
    steps = {step.name: step.gradient for step in gpt2_steps(cache)}
    return {'dp["wte"]["weight"]': [Term("head", "the output's gradient", steps["the output's gradient of wte, (C, V)"].T),
                                    Term("lookup", "the lookup's gradient", steps["the lookup's gradient of wte, (V, C)"])]}


def no_token_reads_the_future(function, draw):
    """Change one token: the logits before it must not move."""
    p, ids, _, config, _, _ = gpt2_arguments(draw)
    while ids.shape[1] < 3 or config.vocab_size < 3:
        p, ids, _, config, _, _ = gpt2_arguments(draw)
    before = function(p, ids, config)
    changed = ids.copy()
    changed[:, -1] = (changed[:, -1] + 1) % config.vocab_size
    after = function(p, changed, config)
    before, after = (np.asarray(z[0] if isinstance(z, tuple) else z) for z in (before, after))
    if before.ndim != 3 or before.shape != after.shape or before.shape[:2] != ids.shape:
        return True                                 # another mistake, which the numbers tell
    moved = np.abs(before - after)[:, :-1].max()
    return True if not moved > 1e-9 else (f"The future is read: with another last token the logits of the tokens before it "
                                          f"change by up to {moved:.2g}. A token may see itself and what came before it.")


# ------------------------------------------------------------------------------------------------ llama
def llama_backward(draw):
    B, T, V, L, _, C = shape(draw)
    G, D, numbers = draw.choice(1, 2), draw.choice(2, 4), draw.generator()
    config = llama.Config(V, T + draw.whole(0, 2), L, G * draw.choice(1, 2), G, C, draw.whole(2, 6), D, draw.share(10000.0, 20.0),
                          draw.share(1e-5, 0.3), draw.choice(True, False))
    p, ids, targets = randomised(llama.init(config, numbers), numbers), draw.ids((B, T), V), targets_of(draw, B, T, V)
    sizes = {"B": B, "T": T, "V": V, "L": L, "C": C, "N": B * T, "M": int((targets != -100).sum())}
    return model_call(llama, (p, ids, targets, config), sizes=sizes)


def llama_steps(cache):
    tied, c_embed, c_blocks, c_norm, c_head, c_loss = cache
    dlogits = cross_entropy.backward(1.0, c_loss)
    dx, dhead, _ = linear.backward(dlogits, c_head)
    steps = [Step("dlogits", gradient=dlogits, called=("dlogits", "dz")), Step("dhead", gradient=dhead, called=("dhead",)),
             Step("dx below the output", gradient=dx, after=("dlogits",))]
    dx = rmsnorm.backward(dx, c_norm)[0]
    steps.append(Step("dx below the last norm", gradient=dx))
    for i in reversed(range(len(c_blocks))):
        dx = llama_block.backward(dx, c_blocks[i])[0]
        steps.append(Step(f"dx below block {i}", gradient=dx))
    return [*steps, Step("the lookup's gradient", gradient=embedding.backward(dx, c_embed))]


GPT2_CACHE = ("The cache is (c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss): of embedding.forward, positions.forward, "
              "dropout.forward, a list with one of block.forward for each block, of layernorm.forward for ln_f (None for norm "
              "\"post\", which has no ln_f), of linear.forward(x, wte.T), which gave the logits, and of cross_entropy.forward.")
OWN = (gpt2.logits, gpt2.forward, gpt2.trunk)
FORWARD_IMPORTS = "from nanolm.layers import block, cross_entropy, dropout, embedding, layernorm, linear, masks, positions"


def exercises(constants):
    return [
        build.backward(gpt2, ("dp",), gpt2_backward, level=3, minutes=45, notebook="12_gpt2", mistakes=gpt2_mistakes.BACKWARD,
                       terms=gpt2_terms,
                       steps=gpt2_steps, cases=model_cases(gpt2),
                       imports="from nanolm.layers import block, cross_entropy, dropout, embedding, layernorm, linear, positions",
                       task=f"Write the backward of GPT-2. {GPT2_CACHE} Call these layers' own backwards. Return dp, a nested "
                            f"dict with p's keys: wte, wpe and ln_f as p has them (ln_f only for norm \"pre\"), and h with the "
                            f"keys \"0\", \"1\", ... and what block.backward returned for each.",
                       hints=("Forward was: lookup, positions, dropout, the blocks, ln_f, output, loss. Begin with the last.",
                              "dlogits = cross_entropy.backward(1.0, c_loss), because the loss is what everything is "
                              "differentiated of. Then dx, dhead, _ = linear.backward(dlogits, c_head).",
                              "for i in reversed(range(len(c_blocks))): dx, dblocks[str(i)] = block.backward(dx, c_blocks[i]).",
                              "wte was used twice: its gradient is embedding.backward(dx, c_wte), with the dx from the very "
                              "bottom, plus dhead.T, which is what embedding.backward_tied(dx, c_wte, dhead.T) adds up.")),
        build.forward(gpt2, ("logits",), gpt2_logits, name="logits", level=2, minutes=30, notebook="12_gpt2",
                      mistakes=forward_mistakes.LOGITS,
                      cases=eleven_blocks, own=OWN, probes=(Probe("future_leak", no_token_reads_the_future),),
                      imports=FORWARD_IMPORTS,
                      task="Write the way from ids (B, T) to the logits (B, T, V) of GPT-2, without dropout. p is a nested dict: "
                           "wte and wpe with weight, h with the blocks \"0\", \"1\", ..., ln_f (only for config.norm \"pre\"). "
                           "Call the layers: block.forward(x, p, n_head, mask, norm, form, eps) and the others. config has "
                           "vocab_size, block_size, n_layer, n_head, n_embd, norm, form, eps.",
                      hints=("Three parts: token plus position; the blocks; norm and output.",
                             "x = wte[ids] + wpe[0 ... T - 1], or embedding.forward and positions.forward, which return x and a "
                             "cache.",
                             "The mask is masks.causal(T). Block i's parameters are p[\"h\"][str(i)].",
                             "The output is tied: x @ wte.T, after layernorm.forward(x, **p[\"ln_f\"], eps=config.eps) for norm "
                             "\"pre\".")),
        build.forward(gpt2, ("loss",), gpt2_forward, level=2, minutes=30, notebook="12_gpt2", mistakes=forward_mistakes.LOSS,
                      own=OWN,
                      imports=FORWARD_IMPORTS,
                      task="Write the forward of GPT-2: the loss, in nats a token, of ids and targets (B, T). targets are the "
                           "ids, one place on already; -100 does not count. As in gpt2.logits, but with dropout when an rng is "
                           "given: after token plus position, and handed on to the blocks, block.forward(x, p, n_head, mask, "
                           "norm, form, eps, dropout, rng). Return the loss (and a cache, if you like: it is not looked at).",
                      hints=("Write the logits first, then cross_entropy.forward(logits, targets), which returns the loss and a "
                             "cache.",
                             "The loss is the mean over the targets that count, not over all B T.",
                             "Dropout comes after x = token + position, before the first block: x, _ = dropout.forward(x, "
                             "config.dropout, rng).")),
        build.backward(llama, ("dp",), llama_backward, level=3, minutes=40, notebook="20_after_gpt2",
                       mistakes=llama_mistakes.BACKWARD,
                       steps=llama_steps, cases=model_cases(llama),
                       imports="from nanolm.layers import cross_entropy, embedding, linear, llama_block, rmsnorm",
                       task="Write the backward of Llama. The cache is (tied, c_embed, c_blocks, c_norm, c_head, c_loss): "
                            "whether the table is the head as well, and the caches of embedding.forward, a list with one of "
                            "llama_block.forward for each block, of rmsnorm.forward, of linear.forward(x, head) and of "
                            "cross_entropy.forward. Call these layers' own backwards. Return dp, a nested dict with p's keys: "
                            "embed_tokens and norm with weight, layers with \"0\", \"1\", ..., and lm_head with weight, only "
                            "where tied is False.",
                       hints=("Forward was: lookup, blocks, norm, output, loss. Begin with the last.",
                              "dlogits = cross_entropy.backward(1.0, c_loss); dx, dhead, _ = linear.backward(dlogits, c_head).",
                              "If tied, dhead.T is the second part of the table's gradient (embedding.backward_tied); if not, "
                              "dhead is lm_head's.")),
    ]

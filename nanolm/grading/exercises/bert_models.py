"""Exercises on BERT: its encoder, and its heads for pre-training, for a text, for each token and for an answer's place."""
import numpy as np

from nanolm.gradcheck.draws import randomised
from nanolm.grading.exercise import Call
from nanolm.grading.exercises import build
from nanolm.grading.exercises.models import dropped, model_call, model_cases, shape, targets_of, told
from nanolm.grading.inside import Step
from nanolm.grading.mistakes import bert as mistakes
from nanolm.grading.mistakes import bert_heads
from nanolm.grading.mistakes import bert_pretraining as pretraining_mistakes
from nanolm.layers import block, cross_entropy, dropout, gelu, layernorm, linear, pooler, positions, relu, tanh
from nanolm.models import bert, bert_pretraining, bert_sequence, bert_span, bert_token


def arguments(draw, model, **more):
    """Return p, ids, config, options and sizes of one of BERT's models."""
    B, T, V, L, H, C = shape(draw)
    (rate, rng), numbers = dropped(draw), draw.generator()
    config = bert.Config(V, T + draw.whole(0, 2), L, H, C, draw.whole(2, 6), draw.choice(2, 3), dropout=rate,
                         eps=draw.share(1e-12, 0.3),
                         form=draw.share("erf", "tanh", "relu"), **more)
    p, options = randomised(model.init(config, numbers), numbers), {"rng": rng}
    if draw.choice(True, True, False):
        options["segments"] = draw.ids((B, T), config.n_segment)
    if draw.choice(False, True):
        options["mask"] = np.arange(T) < np.array([draw.whole(1, T) for _ in range(B)])[:, None]
    return p, draw.ids((B, T), V), config, options, {"B": B, "T": T, "V": V, "L": L, "H": H, "C": C, "N": B * T}


def unpadded(targets, options):
    """Return targets (B, T) with -100 at padding."""
    return np.where(options["mask"], targets, -100) if "mask" in options else targets


def encoder_backward(draw):
    p, ids, config, options, sizes = arguments(draw, bert)
    x, cache = bert.forward(p, ids, config, **options)
    dx = draw.upstream(*x.shape)
    dhead = draw.array(config.vocab_size, config.n_embd) if draw.choice(False, True) else None
    shown = {**told(bert, (p, ids, config), options), "dx": dx, **({} if dhead is None else {"dhead": dhead})}
    return Call((dx, cache), {} if dhead is None and draw.choice(True, False) else {"dhead": dhead}, shown, sizes)


def sequence_backward(draw):
    p, ids, config, options, sizes = arguments(draw, bert_sequence, n_class=draw.whole(2, 5))
    targets = targets_of(draw, 1, sizes["B"], config.n_class)[0]
    return model_call(bert_sequence, (p, ids, targets, config), options, {**sizes, "K": config.n_class,
                                                                          "M": int((targets != -100).sum())})


def token_backward(draw):
    p, ids, config, options, sizes = arguments(draw, bert_token, n_class=draw.whole(2, 5), pooler=draw.choice(True, False))
    targets = unpadded(targets_of(draw, sizes["B"], sizes["T"], config.n_class), options)
    return model_call(bert_token, (p, ids, targets, config), options, {**sizes, "K": config.n_class,
                                                                       "M": int((targets != -100).sum())})


def span_backward(draw):
    p, ids, config, options, sizes = arguments(draw, bert_span, pooler=draw.choice(True, False))
    lengths = options["mask"].sum(axis=1) if "mask" in options else np.full(sizes["B"], sizes["T"])
    targets = np.array([[draw.whole(0, int(n) - 1), draw.whole(0, int(n) - 1)] for n in lengths])
    targets[~draw.booleans(*targets.shape, share=0.8)] = -100
    targets[0] = 0
    return model_call(bert_span, (p, ids, targets, config), options, sizes)


def pretraining_backward(draw):
    p, ids, config, options, sizes = arguments(draw, bert_pretraining, pooler=draw.choice(True, True, True, False))
    targets = unpadded(np.where(draw.booleans(*ids.shape, share=0.4), targets_of(draw, *ids.shape, config.vocab_size), -100),
                       options)
    targets[0, 0] = draw.whole(0, config.vocab_size - 1)
    following = draw.ids((sizes["B"],), 2)
    following[1:] = np.where(draw.booleans(sizes["B"] - 1, share=0.8), following[1:], -100)
    options = {**options, "next_targets": following} if config.pooler else options
    return model_call(bert_pretraining, (p, ids, targets, config), options, {**sizes, "M": int((targets != -100).sum())})


def encoder_steps(dx, cache, dhead=None):
    c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks = cache
    steps = []
    for i in reversed(range(len(c_blocks))):
        dx = block.backward(dx, c_blocks[i])[0]
        steps.append(Step(f"dx below block {i}", gradient=dx))
    if c_drop[0] is not None:
        dx = dropout.backward(dx, c_drop)
        steps.append(Step("dx below the dropout", gradient=dx))
    dx = layernorm.backward(dx, c_norm)[0]
    return [*steps, Step("dx below ln_e, the three tables' gradient", gradient=dx),
            Step("wpe's gradient", gradient=positions.backward(dx, c_wpe)[1])]


def sequence_steps(cache):
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)
    dy = linear.backward(dz, c_head)[0]
    steps = [Step("dz", gradient=dz, called=("dlogits",)), Step("dy below the classifier", gradient=dy)]
    dy = dropout.backward(dy, c_drop)
    return [*steps, Step("dy below the dropout", gradient=dy), Step("dh below the pooler's tanh",
                                                                    gradient=tanh.backward(dy, c_pooler[2])),
            Step("dx, the encoder's upstream gradient", gradient=pooler.backward(dy, c_pooler)[0])]


def pretraining_steps(cache):
    shape, rows, c_bert, (form, c_transform, c_bend, c_norm, c_head), c_loss, c_pair = cache
    dz = cross_entropy.backward(1.0, c_loss)
    dh = linear.backward(dz, c_head)[0]
    steps = [Step("dz", gradient=dz, called=("dlogits",)), Step("dh below the output", gradient=dh)]
    dh = layernorm.backward(dh, c_norm)[0]
    steps.append(Step("dh below ln", gradient=dh))
    dh = (relu if form == "relu" else gelu).backward(dh, c_bend)
    steps.append(Step("dh below the bend", gradient=dh))
    dh = linear.backward(dh, c_transform)[0]
    dx = np.zeros(shape)
    dx.reshape(-1, shape[-1])[rows] = dh
    steps += [Step("dh of the masked tokens", gradient=dh), Step("dx by way of the masked tokens", gradient=dx)]
    above = (steps[-1].name,)
    if c_pair is not None:
        c_pooler, c_next, c_next_loss = c_pair
        dy = linear.backward(cross_entropy.backward(1.0, c_next_loss), c_next)[0]
        by_pooler = pooler.backward(dy, c_pooler)[0]
        steps += [Step("dy of the pooler", gradient=dy, after=()), Step("dx by way of the pooler", gradient=by_pooler)]
        dx, above = dx + by_pooler, (*above, steps[-1].name)
    return [*steps, Step("dx, the encoder's upstream gradient", gradient=dx, after=above)]


def token_steps(cache):
    c_bert, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)
    dy = linear.backward(dz, c_head)[0]
    return [Step("dz", gradient=dz, called=("dlogits",)), Step("dx below the classifier", gradient=dy),
            Step("dx below the dropout, the encoder's upstream gradient", gradient=dropout.backward(dy, c_drop))]


def span_steps(cache):
    c_bert, c_head, c_start, c_end = cache
    dz = np.stack([cross_entropy.backward(0.5, c) for c in (c_start, c_end)], axis=-1)
    return [Step("dz", gradient=dz, called=("dlogits",)), Step("dx, the encoder's upstream gradient",
                                                               gradient=linear.backward(dz, c_head)[0])]


def exercises(constants):
    shared = {"level": 3, "notebook": "18_bert"}
    return [
        build.backward(bert, ("dp",), encoder_backward, **shared, minutes=35, mistakes=mistakes.BERT, steps=encoder_steps,
                       cases=tuple,
                       imports="from nanolm.layers import block, dropout, embedding, layernorm, positions",
                       task="Write the backward of BERT's encoder. dx (B, T, C) is the gradient of what it gave. The cache is "
                            "(c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks): of embedding.forward for the tokens and for the "
                            "segments, of positions.forward, of layernorm.forward (ln_e), of dropout.forward, and a list with "
                            "one of block.forward for each block. dhead (V, C), if it is not None, is the gradient of wte's "
                            "second use, to be added. Return dp with the keys wte, wse, wpe, ln_e, and h with \"0\", \"1\", ...",
                       hints=("Forward was: three tables added, ln_e, dropout, blocks. Begin with the last block.",
                              "A sum hands its gradient on whole: all three tables get the dx that comes out of ln_e's backward.",
                              "wte: embedding.backward(dx, c_wte), or embedding.backward_tied(dx, c_wte, dhead) if dhead is "
                              "given. wse: embedding.backward(dx, c_wse).")),
        build.backward(bert_pretraining, ("dp",), pretraining_backward, **shared, minutes=50,
                       mistakes=pretraining_mistakes.PRETRAINING,
                       steps=pretraining_steps,
                       cases=model_cases(bert_pretraining),
                       imports="from nanolm.layers import cross_entropy, gelu, layernorm, linear, pooler, relu\nfrom "
                               "nanolm.models import bert",
                       task="Write the backward of BERT's pre-training, (J1). The cache is (shape, rows, c_bert, (form, "
                            "c_transform, c_bend, c_norm, c_head), c_loss, c_pair): x's shape (B, T, C); rows, the numbers of "
                            "the masked tokens among all B T, h = x.reshape(-1, C)[rows]; bert.forward's cache; then transform "
                            "(linear), its bend (relu if form is \"relu\", else gelu), ln, the output linear(h, wte.T, bias); "
                            "cross_entropy's; and c_pair, None without a pooler, else (c_pooler, c_next, c_next_loss). Return dp "
                            "with p's keys: bert, transform, ln, head (bias alone), and with a pooler pooler and next.",
                       hints=("Two losses, two ways down, and they meet at x: the masked tokens' rows, and the pooler's first "
                              "token.",
                              "The rows go back where they came from: dmasked = zeros of (B T, C); dmasked[rows] = dh; then "
                              "reshape.",
                              "dx is the sum of both ways, and goes into bert.backward(dx, c_bert, dhead.T): wte is the output's "
                              "matrix too.",
                              "The first way: cross_entropy, linear (c_head), layernorm, gelu or relu, linear (c_transform).")),
        build.backward(bert_sequence, ("dp",), sequence_backward, **shared, minutes=20, mistakes=bert_heads.SEQUENCE,
                       steps=sequence_steps,
                       cases=model_cases(bert_sequence),
                       imports="from nanolm.layers import cross_entropy, dropout, linear, pooler\nfrom nanolm.models import bert",
                       task="Write the backward of BERT with a class for each text. The cache is (c_bert, c_pooler, c_drop, "
                            "c_head, c_loss): of bert.forward, pooler.forward, dropout.forward, linear.forward and "
                            "cross_entropy.forward. Call their backwards. Return dp with p's keys: bert, pooler, classifier "
                            "(weight and bias).",
                       hints=("Five calls, from the last line of forward to its first.", "dz = cross_entropy.backward(1.0, "
                                                                                         "c_loss) comes first.",
                              "pooler.backward returns dx and its parameters' gradients; dx goes into bert.backward.")),
        build.backward(bert_token, ("dp",), token_backward, **shared, minutes=15, mistakes=bert_heads.TOKEN,
                       cases=model_cases(bert_token),
                       steps=token_steps, imports="from nanolm.layers import cross_entropy, dropout, linear\nfrom nanolm.models "
                                                  "import bert",
                       task="Write the backward of BERT with a class for each token. The cache is (c_bert, c_drop, c_head, "
                            "c_loss): of bert.forward, dropout.forward, linear.forward and cross_entropy.forward. Call their "
                            "backwards. Return dp with p's keys: bert, classifier (weight and bias).",
                       hints=("Four calls, from the last line of forward to its first.", "dz = cross_entropy.backward(1.0, "
                                                                                         "c_loss) comes first.",
                              "The last is bert.backward(dx, c_bert), which returns what stands under \"bert\".")),
        build.backward(bert_span, ("dp",), span_backward, **shared, minutes=20, mistakes=bert_heads.SPAN,
                       cases=model_cases(bert_span),
                       steps=span_steps,
                       imports="from nanolm.layers import cross_entropy, linear\nfrom nanolm.models import bert",
                       task="Write the backward of BERT pointing at an answer, (SP1). The cache is (c_bert, c_head, c_start, "
                            "c_end): of bert.forward, of linear.forward, which gave z (B, T, 2), and of the two "
                            "cross_entropy.forward, over z[..., 0] and z[..., 1]. Call their backwards. Return dp with p's keys: "
                            "bert, span (weight and bias).",
                       hints=("The loss is half of one cross-entropy plus half of the other: each backward starts with 0.5.",
                              "Put dstart and dend (B, T) side by side again: np.stack([dstart, dend], axis=-1).",
                              "Then linear.backward(dz, c_head) and bert.backward(dx, c_bert).")),
    ]

"""Pictures of the whole models: gpt2, bert and seq2seq. Their numbers come from a small one of each, before any training."""
import math

import numpy as np

from layer_pictures import flow
from layer_pictures.draw import BACK, FORTH, GREY, INK, Picture, number
from layer_pictures.flow import Step
from nanolm import params
from nanolm.layers import masks
from nanolm.models import bert, bert_pretraining, gpt2, seq2seq


def millions(shapes):
    """Return how many numbers a nested dict of shapes asks for, in millions."""
    total = sum(math.prod(shape) for shape in params.flatten(shapes).values())
    return number(total / 1e6, 1) + " M" if total >= 1e6 else number(total, 0)


def norm(*dp):
    """Return the length of gradients, all their numbers taken as one vector, as a text."""
    return number(math.sqrt(sum((g * g).sum() for d in dp for g in params.flatten(d).values())), 3)


def gpt2_picture():
    small = gpt2.Config(vocab_size=100, block_size=16, n_layer=2, n_head=2, n_embd=16)
    rng = np.random.default_rng(60)
    p, text = gpt2.init(small, rng, np.float64), rng.integers(0, 100, (4, 17))
    loss, cache = gpt2.forward(p, text[:, :-1], text[:, 1:], small)
    dp = gpt2.backward(cache)
    shapes = gpt2.shapes(gpt2.PRESETS["gpt2"])
    picture = Picture("gpt2", "GPT-2", "nanolm/models/gpt2.py",
                      "Backward is forward's lines from bottom to top; the table wte is used twice "
                      "and so gets two gradients, added.")
    picture.head("logits = ln_f(block_{i}(wte[ids] + wpe)) wte^{T}", "dwte = output's + lookup's")
    middles = flow.model(picture, [
        Step("wte[ids]", "(B, T, C)", millions(shapes["wte"]), "dwte", norm(dp["wte"])),
        Step("+ wpe", "(B, T, C)", millions(shapes["wpe"]), "dwpe", norm(dp["wpe"])),
        Step("block/× L", "(B, T, C)", millions(shapes["h"]), "dblocks", norm(dp["h"]), True),
        Step("ln_f", "(B, T, C)", millions(shapes["ln_f"]), "dln_f", norm(dp["ln_f"])),
        Step("x wte", "(B, T, V)", "0 (tied)", "dlogits", ""), Step("cross-/entropy", "one number", "0", "dloss = 1", "")],
        ("comes out", "weights", "gradient", "its size"), 250)
    flow.tied(picture, [middles[0], middles[4]], 250, "one table, used twice")
    attends(picture, middles[2], masks.causal(5), "causal: only back")
    picture.text(middles[5], 488, f"loss {number(loss)}", 30, FORTH, "middle", bold=True)
    picture.text(middles[5], 528, f"ln V = {number(math.log(100))}", 28, GREY, "middle")
    footing(picture, f"weights: GPT-2 small, {millions(shapes)} in all")
    return picture


def attends(picture, middle, mask, words):
    """Draw a small mask beneath the blocks: who may attend to whom."""
    picture.array(middle - 45, 446, mask, FORTH, (18, 18), name="mask", shown=False)
    picture.text(middle + 62, 500, words, 28, INK)


def footing(picture, left):
    """Write whose the numbers are."""
    picture.text(40, 722, left, 28, GREY)
    picture.text(1560, 762, "loss, and the gradients' sizes: a small untrained model", 28, GREY, "end")


def bert_picture():
    small = bert.Config(vocab_size=100, block_size=16, n_layer=2, n_head=2, n_embd=16)
    rng = np.random.default_rng(61)
    p, ids = bert_pretraining.init(small, rng, np.float64), rng.integers(0, 100, (4, 12))
    targets = np.where(rng.random(ids.shape) < 0.2, ids, -100)
    loss, cache = bert_pretraining.forward(p, ids, targets, small, rng.integers(0, 2, 4))
    dp = bert_pretraining.backward(cache)
    every = bert_pretraining.shapes(bert.Config())
    shapes, d = every["bert"], dp["bert"]
    tables = ("wte", "wse", "wpe")
    picture = Picture("bert", "BERT", "nanolm/models/bert_pretraining.py",
                      "Every token sees the whole text, to its left and right; it learns to guess the masked tokens, "
                      "and whether sentence 2 follows.")
    picture.head("loss = loss(masked tokens) + loss(next sentence)", "dx: of both, added")
    middles = flow.model(picture, [
        Step("wte + wse/+ wpe", "(B, T, C)", millions({t: shapes[t] for t in tables}), "dtables", norm(*(d[t] for t in tables))),
        Step("ln_e", "(B, T, C)", millions(shapes["ln_e"]), "dln_e", norm(d["ln_e"])),
        Step("block/× L", "(B, T, C)", millions(shapes["h"]), "dblocks", norm(d["h"]), True),
        Step("transform", "(M, C)", millions({n: every[n] for n in ("transform", "ln")}),
             "dtransform", norm(dp["transform"], dp["ln"])),
        Step("h wte/+ bias", "(M, V)", millions(every["head"]), "dhead", norm(dp["head"])),
        Step("cross-/entropy", "one number", "0", "dloss = 1", "")], ("comes out", "weights", "gradient", "its size"), 250)
    flow.tied(picture, [middles[0], middles[4]], 250, "one table, used twice")
    attends(picture, middles[2], masks.padding([4], 5)[0, 0].repeat(5, axis=0), "all but padding")
    picture.text(middles[5], 488, f"loss {number(loss)}", 30, FORTH, "middle", bold=True)
    picture.text(middles[5], 528, f"ln V + ln 2 = {number(math.log(100) + math.log(2))}", 28, GREY, "middle")
    footing(picture, f"weights: BERT base, {millions(every)} in all, its pooler and next-sentence head included; "
                     "M: the masked tokens")
    return picture


def seq2seq_picture():
    small = seq2seq.Config(vocab_size=50, block_size=12, n_layer=2, n_head=2, n_embd=16, n_hidden=32,
                           dropout=0.0, label_smoothing=0.0)
    rng = np.random.default_rng(62)
    p, source, text = seq2seq.init(small, rng, np.float64), rng.integers(0, 50, (3, 7)), rng.integers(0, 50, (3, 6))
    loss, cache = seq2seq.forward(p, source, text[:, :-1], text[:, 1:], small)
    dp, shapes = seq2seq.backward(cache), seq2seq.shapes(seq2seq.Config())
    picture = Picture("seq2seq", "Encoder and decoder", "nanolm/models/seq2seq.py",
                      "The decoder's queries ask the source's keys and values: memory goes into every decoder block, "
                      "and from each a gradient comes back.")
    picture.head("logits = decode(encode(source), target)", "dmemory = Σ_{i} dmemory_{i}")
    boxes = {}
    for name, x, y, lines, stack in (("source", 250, 220, "embed √C/+ sines", False),
                                     ("encoder", 620, 220, "encoder block/× L", True),
                                     ("target", 250, 500, "embed √C/+ sines", False),
                                     ("decoder", 620, 500, "decoder block/× L", True),
                                     ("head", 1010, 500, "y embed", False), ("loss", 1340, 500, "cross-/entropy", False)):
        wide = 290 if stack else 220
        flow.box(picture, x, y, wide, 92, lines, FORTH, stack)
        boxes[name] = (x, x + wide + (20 if stack else 4), y)
    for a, b, shape in (("source", "encoder", "(B, S, C)"), ("target", "decoder", "(B, T, C)"),
                        ("decoder", "head", ""), ("head", "loss", "")):
        picture.arrow([(boxes[a][1], boxes[a][2] + 32), (boxes[b][0] - 4, boxes[a][2] + 32)])
        picture.arrow([(boxes[b][0] - 4, boxes[a][2] + 66), (boxes[a][1], boxes[a][2] + 66)], BACK)
        picture.text((boxes[a][1] + boxes[b][0]) / 2, boxes[a][2] + 18, shape, 28, INK, "middle")
    beside(picture, loss)
    sizes = (("source", 344, millions(shapes["embed"]), norm(dp["embed"])),
             ("encoder", 344, millions(shapes["encoder"]), norm(dp["encoder"])),
             ("decoder", 624, millions(shapes["decoder"]), norm(dp["decoder"])))
    for name, y, weights, size in sizes:
        middle = (boxes[name][0] + boxes[name][1]) / 2
        picture.text(middle, y + 6, weights, 28, INK, "middle")
        picture.text(middle, y + 42, f"|d| = {size}", 28, BACK, "middle", mono=True)
    picture.text(40, 722, f"weights: the first Transformer's base model, {millions(shapes)} in all", 28, GREY)
    picture.text(1560, 762, "loss and |d|, the gradients' sizes: a small untrained model", 28, GREY, "end")
    return picture


def beside(picture, loss):
    """Draw what goes in on the left, memory's ways down to the decoder and back, and the masks and the loss."""
    for y, name, shape in ((220, "source", "(B, S)"), (500, "target", "(B, T)")):
        picture.text(40, y + 40, name, 30, bold=True)
        picture.text(40, y + 78, shape, 28)
        picture.arrow([(160, y + 46), (246, y + 46)])
    picture.arrow([(930, 252), (990, 252), (990, 440), (800, 440), (800, 480)])
    picture.arrow([(740, 480), (740, 424), (960, 424), (960, 286), (930, 286)], BACK)
    picture.text(1010, 262, "memory (B, S, C)", 30, FORTH, bold=True)
    picture.text(1010, 312, "k and v of every decoder block", 28, FORTH)
    picture.text(1010, 362, "dmemory: L gradients, added", 28, BACK)
    picture.text(1120, 634, "(B, T, V)", 28, INK, "middle")
    picture.text(1450, 634, f"loss {number(loss)}", 30, FORTH, "middle", bold=True)
    picture.text(40, 630, "one table,", 28, GREY)
    picture.text(40, 666, "used three times: source, target, output", 28, GREY)

"""Our side of `nanolm bench finetune`, and the model and the batch that all contestants get."""
import itertools

import numpy as np

from nanolm import kernels as twins
from nanolm.models import bert, bert_sequence
from nanolm.training import finetune, memory

LR, WEIGHT_DECAY, CLIP = 2e-5, 0.01, 1.0                 # BERT's paper, appendix A.3: 5e-5, 3e-5 or 2e-5
CLS, SEP, PADDING = 101, 102, 0                         # in the published vocabulary; a smaller one has 1, 2 and 0


def model_of(shape):
    """Return p and config, the same for every contestant: random weights, as bert_sequence.init draws them.

    Only the classifier's are larger: with logits near 0 the loss would be ln 2 whatever the encoder does, and equal losses
    would show nothing.
    """
    config = bert.Config(vocab_size=shape["vocab_size"], block_size=shape["tokens"], n_layer=shape["n_layer"],
                         n_head=shape["n_head"], n_embd=shape["n_embd"])
    rng, C = np.random.default_rng(0), config.n_embd
    p = bert_sequence.init(config, rng)
    p["classifier"]["weight"] = (50 / C * rng.standard_normal((C, config.n_class))).astype(np.float32)     # logits of about 1
    return p, config


def batch_of(shape):
    """Return ids, targets, segments and lengths: pairs of sentences, T / 4 to T tokens with [CLS] and two [SEP]."""
    rng, B, T, V = np.random.default_rng(1), shape["batch"], shape["tokens"], shape["vocab_size"]
    cls, sep = (CLS, SEP) if V > 1000 else (1, 2)
    lengths = rng.integers(max(T // 4, 5), T, B, endpoint=True)
    lengths[0] = T                                                          # the longest text gives T
    ids = rng.integers(V // 10, V, (B, T))
    place = np.arange(T)
    first = lengths // 2                                                    # here the first sentence ends
    ids[:, 0] = cls
    ids[np.arange(B), first] = ids[np.arange(B), lengths - 1] = sep
    ids[place >= lengths[:, None]] = PADDING
    segments = ((place > first[:, None]) & (place < lengths[:, None])).astype(np.int64)
    return ids, rng.integers(0, 2, B), segments, lengths


def prepare(kernels, shape):
    """Return {"step": function}, one step of finetune.steps on the same batch each time: it returns the loss."""
    memory.keep_freed()
    twins.use(kernels)
    p, config = model_of(shape)
    ids, targets, segments, lengths = batch_of(shape)
    batch = ids, targets, {"segments": segments, "mask": lengths}
    steps = finetune.steps(bert_sequence, p, config, itertools.repeat(batch), steps=10**9, lr=LR, warmup=0,     # so many that
                           weight_decay=WEIGHT_DECAY, clip=CLIP)                                # the rate hardly falls
    return {"step": lambda: next(steps).loss}

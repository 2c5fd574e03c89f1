"""BERT with a head that answers a question by pointing: which tokens of the text are the answer's first and last?

    start_t, end_t = bert(ids)_t W + b                (B, T) each   two scores a token; -inf at padding
    loss = (cross-entropy(start, first) + cross-entropy(end, last)) / 2                                          (SP1)

    p = {"bert", "span" {"weight" (C, 2), "bias" (2,)}}, no pooler whatever config says

With P the softmax of start over the places, and B texts that count (end and last alike):

    dstart_t = (P_t - [t = first]) / (2 B)                                          (B, T)                        (SP2)

The T tokens are the classes here: each cross-entropy chooses one of T places. The question is segment 0, the text segment 1.
targets (B, 2) are the places of the answer's first and last token; -100 does not count, say where the answer was cut off.

An answer cannot lie in the padding, so padding scores -inf: its share is exactly zero. The published code lets padding
compete; its loss is a little larger for texts that were padded, and the same for the others.

Source    Devlin et al. 2018, arXiv:1810.04805, section 4.2; (SP1), the half too, as in its published code.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
import numpy as np

from nanolm.layers import check, cross_entropy, linear
from nanolm.models import bert


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's."""
    return {"bert": bert.shapes(config), "span": bert.dense(config.n_embd, 2)}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: see bert.init. For fine-tuning, put a trained "bert" in it."""
    return bert.drawn(shapes(config), rng, dtype)


def forward(p, ids, targets, config, segments=None, mask=None, rng=None):
    """Return loss (SP1), nats, and the cache. targets (B, 2): places. For the rest and the errors see bert.forward."""
    z, c_trunk = trunk(p, ids, config, segments, mask, rng)
    check_places(targets, ids, mask)
    loss_start, c_start = cross_entropy.forward(z[..., 0], targets[:, 0])
    loss_end, c_end = cross_entropy.forward(z[..., 1], targets[:, 1])
    loss = (loss_start + loss_end) * z.dtype.type(0.5)                      # NumPy 1 widens a float32 number times 0.5
    return loss, (*c_trunk, c_start, c_end)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    c_bert, c_head, c_start, c_end = cache
    dstart, dend = cross_entropy.backward(0.5, c_start), cross_entropy.backward(0.5, c_end)         # (SP2)
    dz = np.stack([dstart, dend], axis=-1)                                  # (B, T, 2); zero at padding: its share is zero
    dx, dweight, dbias = linear.backward(dz, c_head)                        # z = linear(x, span)
    return {"bert": bert.backward(dx, c_bert), "span": {"weight": dweight, "bias": dbias}}


def logits(p, ids, config, segments=None, mask=None):
    """Return the scores of each token as the answer's first and as its last, (B, T) each, without dropout."""
    z, _ = trunk(p, ids, config, segments, mask)
    return z[..., 0], z[..., 1]


def trunk(p, ids, config, segments=None, mask=None, rng=None):
    """Return both scores (B, T, 2) and the caches on the way; forward and logits share it."""
    check.keys("p", p, tuple(shapes(config)))
    check.dense("span", p["span"], config.n_embd, 2, "which config asks for")
    x, c_bert = bert.forward(p["bert"], ids, config, segments, mask, rng)
    z, c_head = linear.forward(x, **p["span"])                              # (B, T, C) -> (B, T, 2)
    tokens = bert.real_tokens(mask, ids)
    if tokens is not None:
        np.copyto(z, -np.inf, where=~tokens[..., None])                     # z is ours
    return z, (c_bert, c_head)


def check_places(targets, ids, mask):
    """Raise TypeError or ValueError unless targets (B, 2) are places of tokens, or -100."""
    B, T = ids.shape
    check.integers("targets", targets, 0, T, spared=-100)
    check.shape("targets", targets, (B, 2), "the places of the answer's first and last token for each of ids")
    tokens = bert.real_tokens(mask, ids)
    if tokens is None:
        return
    counts = targets != -100
    wrong = np.argwhere(counts & ~tokens[np.arange(B)[:, None], np.where(counts, targets, 0)])
    if len(wrong):
        b, i = (int(k) for k in wrong[0])
        raise ValueError(f"an answer cannot lie in the padding, but targets[{b}, {i}] is {targets[b, i]}, and mask says that "
                         f"this is padding.")

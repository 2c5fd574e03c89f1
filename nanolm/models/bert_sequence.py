"""BERT with a head that gives a text, or a pair of texts, one of K classes.

    y = dropout(pooler(bert(ids)))                    (B, C)        what [CLS] has gathered
    logits = y W + b                                  (B, K)        K = config.n_class                             (J5)
    loss = cross-entropy(logits, targets)             one number, nats a text; targets (B,), -100 does not count

    p = {"bert", "pooler", "classifier" {"weight" (C, K), "bias" (K,)}}

Source    Devlin et al. 2018, arXiv:1810.04805, section 4.1; the pooler and the dropout are in its published code.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
import numpy as np

from nanolm.layers import check, cross_entropy, dropout, linear, pooler
from nanolm.models import bert


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's. Raises ValueError if config has no pooler."""
    if not config.pooler:
        raise ValueError("bert_sequence needs the pooler, but config.pooler is False.")
    C = config.n_embd
    return {"bert": bert.shapes(config), "pooler": bert.dense(C, C), "classifier": bert.dense(C, config.n_class)}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: see bert.init. For fine-tuning, put a trained "bert" and "pooler" in it."""
    return bert.drawn(shapes(config), rng, dtype)


def forward(p, ids, targets, config, segments=None, mask=None, rng=None):
    """Return loss (nats a text) and the cache. targets (B,): classes. For the rest and the errors see bert.forward."""
    z, c_trunk = trunk(p, ids, config, segments, mask, rng)
    loss, c_loss = cross_entropy.forward(z, targets)
    return loss, (*c_trunk, c_loss)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)                                # loss = cross_entropy(z, targets)
    dy, dweight, dbias = linear.backward(dz, c_head)                        # z = linear(y, classifier)
    dy = dropout.backward(dy, c_drop)                                       # y = dropout(y)
    dx, dpooler = pooler.backward(dy, c_pooler)                             # y = pooler(x)
    return {"bert": bert.backward(dx, c_bert), "pooler": dpooler, "classifier": {"weight": dweight, "bias": dbias}}


def logits(p, ids, config, segments=None, mask=None):
    """Return the scores (B, K) of the classes of each text, without dropout."""
    return trunk(p, ids, config, segments, mask)[0]


def trunk(p, ids, config, segments=None, mask=None, rng=None):
    """Return the logits (B, K) and the caches on the way; forward and logits share it."""
    check.keys("p", p, tuple(shapes(config)))
    check.dense("classifier", p["classifier"], config.n_embd, config.n_class, "which config asks for")
    x, c_bert = bert.forward(p["bert"], ids, config, segments, mask, rng)
    y, c_pooler = pooler.forward(x, p["pooler"])                            # (B, T, C) -> (B, C)
    y, c_drop = dropout.forward(y, config.dropout, rng)
    z, c_head = linear.forward(y, **p["classifier"])                        # (B, C) -> (B, K), (J5)
    return z, (c_bert, c_pooler, c_drop, c_head)

"""BERT with a head that gives each token one of K classes: is it a noun, does a name begin here, and so on.

    y = dropout(bert(ids))                            (B, T, C)
    logits = y W + b                                  (B, T, K)     K = config.n_class                             (J6)
    loss = cross-entropy(logits, targets)             one number, nats a token; targets (B, T), -100 does not count

    p = {"bert", "classifier" {"weight" (C, K), "bias" (K,)}}, no pooler whatever config says

Targets at padding must be -100. Of a word in several pieces mostly the first alone has a target, and the others -100.

Source    Devlin et al. 2018, arXiv:1810.04805, section 5.3; the dropout is in its published code.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
import numpy as np

from nanolm.layers import check, cross_entropy, dropout, linear
from nanolm.models import bert


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's."""
    return {"bert": bert.shapes(config), "classifier": bert.dense(config.n_embd, config.n_class)}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: see bert.init. For fine-tuning, put a trained "bert" in it."""
    return bert.drawn(shapes(config), rng, dtype)


def forward(p, ids, targets, config, segments=None, mask=None, rng=None):
    """Return loss (nats a token) and the cache. targets (B, T): classes. For the rest and the errors see bert.forward."""
    z, c_trunk = trunk(p, ids, config, segments, mask, rng)
    bert.check_targets(targets, ids, config.n_class, mask)
    loss, c_loss = cross_entropy.forward(z, targets)
    return loss, (*c_trunk, c_loss)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    c_bert, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)                                # loss = cross_entropy(z, targets)
    dy, dweight, dbias = linear.backward(dz, c_head)                        # z = linear(y, classifier)
    dx = dropout.backward(dy, c_drop)                                       # y = dropout(x)
    return {"bert": bert.backward(dx, c_bert), "classifier": {"weight": dweight, "bias": dbias}}


def logits(p, ids, config, segments=None, mask=None):
    """Return the scores (B, T, K) of the classes of each token, without dropout. At padding they mean nothing."""
    return trunk(p, ids, config, segments, mask)[0]


def trunk(p, ids, config, segments=None, mask=None, rng=None):
    """Return the logits (B, T, K) and the caches on the way; forward and logits share it."""
    check.keys("p", p, tuple(shapes(config)))
    check.dense("classifier", p["classifier"], config.n_embd, config.n_class, "which config asks for")
    x, c_bert = bert.forward(p["bert"], ids, config, segments, mask, rng)
    y, c_drop = dropout.forward(x, config.dropout, rng)
    z, c_head = linear.forward(y, **p["classifier"])                        # (B, T, C) -> (B, T, K), (J6)
    return z, (c_bert, c_drop, c_head)

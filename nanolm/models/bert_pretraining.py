"""BERT's pre-training: guess the tokens that were masked, and say whether the second sentence follows the first.

    x = bert(ids)                                     (B, T, C)
    h = ln(gelu(x W_transform + b_transform))         (M, C)        only at the M masked tokens; gelu with erf, or
                                                                    what else config.form says
    z = h wte^T + b_head                              (M, V)        the embedding, used a second time ("tied"), and a bias
    y = pooler(x) W_next + b_next                     (B, 2)        0: the second sentence follows, 1: it is a random one
    loss = cross-entropy(z, masked tokens) + cross-entropy(y, next_targets)                                       (J1)

Two losses stand on one trunk, so what arrives at x is a sum; so is what arrives at the table, which is used twice, as a
lookup and as the output:

    dx = dx by the masked tokens + dx by the pooler                                 (B, T, C)                      (J3)
    dwte = the sum of dx over the places where a token stands + dz^T h               (V, C)                        (J4)

    p = {"bert", "pooler", "transform" {(C, C), (C,)}, "ln", "head" {"bias" (V,)}, "next" {(C, 2), (2,)}}

targets (B, T) hold the tokens that were masked, and -100 everywhere else: data/masking.py makes them. Where the target is
-100 no logits are computed: of seven tokens only one is masked, and the table is the largest matrix of the model.
Without a pooler (config.pooler False) "pooler" and "next" are not in p, and the loss is that of the masked tokens alone.

Source    Devlin et al. 2018, arXiv:1810.04805, section 3.1 and appendix A.2; the transform is in its published code.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
import numpy as np

from nanolm.layers import check, cross_entropy, gelu, layernorm, linear, pooler, relu
from nanolm.models import bert


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's."""
    C = config.n_embd
    words = {"bert": bert.shapes(config), "transform": bert.dense(C, C), "ln": {"weight": (C,), "bias": (C,)},
             "head": {"bias": (config.vocab_size,)}}
    return {**words, "pooler": bert.dense(C, C), "next": bert.dense(C, 2)} if config.pooler else words


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: see bert.init."""
    return bert.drawn(shapes(config), rng, dtype)


def forward(p, ids, targets, config, next_targets=None, segments=None, mask=None, rng=None):
    """Return loss (J1), nats, and the cache.

    targets (B, T): the masked tokens; next_targets (B,): 0 or 1; -100 does not count in either. next_targets None: the
    second term is 0. segments, mask, rng and the errors: see bert.forward.
    """
    x, c_bert = bert.forward(trunk_of(p, config), ids, config, segments, mask, rng)
    bert.check_targets(targets, ids, config.vocab_size, mask)
    rows = np.flatnonzero(targets.reshape(-1) != -100)                      # (M,)
    h = x.reshape(-1, x.shape[-1])[rows]                                    # (B, T, C) -> (M, C)
    z, c_words = words(h, p, config)
    loss, c_loss = cross_entropy.forward(z, targets.reshape(-1)[rows])
    if not config.pooler:
        return loss, (x.shape, rows, c_bert, c_words, c_loss, None)
    next_targets = np.full(len(ids), -100) if next_targets is None else next_targets
    check.integers("next_targets", next_targets, 0, 2, spared=-100)
    check.shape("next_targets", next_targets, ids.shape[:1], "one for each pair of sentences")
    pooled, c_pooler = pooler.forward(x, p["pooler"])
    y, c_next = linear.forward(pooled, **p["next"])                         # (B, C) -> (B, 2)
    next_loss, c_next_loss = cross_entropy.forward(y, next_targets)
    return loss + next_loss, (x.shape, rows, c_bert, c_words, c_loss, (c_pooler, c_next, c_next_loss))


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    shape, rows, c_bert, (form, c_transform, c_bend, c_norm, c_head), c_loss, c_pair = cache
    dp = {}
    if c_pair is not None:
        c_pooler, c_next, c_next_loss = c_pair
        dy = cross_entropy.backward(1.0, c_next_loss)                       # loss + next_loss: 1 for each
        dpooled, dweight, dbias = linear.backward(dy, c_next)               # y = linear(pooled, next)
        dx, dpooler = pooler.backward(dpooled, c_pooler)                    # pooled = pooler(x)
        dp = {"pooler": dpooler, "next": {"weight": dweight, "bias": dbias}}
    dz = cross_entropy.backward(1.0, c_loss)                                # loss = cross_entropy(z, targets[rows])
    dh, dhead, dbias_head = linear.backward(dz, c_head)                     # z = linear(h, wte.T, head)
    dh, dgain, dbias_norm = layernorm.backward(dh, c_norm)                  # h = ln(h)
    dh = relu.backward(dh, c_bend) if form == "relu" else gelu.backward(dh, c_bend)     # h = gelu(h), or relu(h)
    dh, dtransform, dbias = linear.backward(dh, c_transform)                # h = linear(x, transform)
    dmasked = np.zeros(shape, dtype=dh.dtype)
    dmasked.reshape(-1, shape[-1])[rows] = dh                               # h = x[rows]: no row is there twice
    dx = dmasked if c_pair is None else dx + dmasked                        # x went two ways, (J3)
    return {"bert": bert.backward(dx, c_bert, dhead.T),                     # wte was used twice, (J4)
            "transform": {"weight": dtransform, "bias": dbias}, "ln": {"weight": dgain, "bias": dbias_norm},
            "head": {"bias": dbias_head}, **dp}


def logits(p, ids, config, segments=None, mask=None):
    """Return the scores of every token (B, T, V), and of next or not (B, 2), None without a pooler; without dropout."""
    x, _ = bert.forward(trunk_of(p, config), ids, config, segments, mask)
    z, _ = words(x, p, config)
    if not config.pooler:
        return z, None
    pooled, _ = pooler.forward(x, p["pooler"])
    return z, linear.forward(pooled, **p["next"])[0]


def words(x, p, config):
    """Return the scores (..., V) of all tokens at x (..., C), and the form and the four caches."""
    h, c_transform = linear.forward(x, **p["transform"])
    h, c_bend = relu.forward(h) if config.form == "relu" else gelu.forward(h, config.form)
    h, c_norm = layernorm.forward(h, **p["ln"], eps=config.eps)
    z, c_head = linear.forward(h, p["bert"]["wte"]["weight"].T, p["head"]["bias"])      # tied: the table read the other way
    return z, (config.form, c_transform, c_bend, c_norm, c_head)


def trunk_of(p, config):
    """Return p["bert"], after a look at the rest of p. Raises ValueError or TypeError if p is not of config."""
    C = config.n_embd
    check.keys("p", p, tuple(shapes(config)))
    check.dense("transform", p["transform"], C, C, "which config asks for")
    check.keys("head", p["head"], ("bias",))
    if config.pooler:
        check.dense("next", p["next"], C, 2, "which config asks for")
    return p["bert"]

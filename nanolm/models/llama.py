"""Llama's shape, what became of GPT-2: no table of positions, no biases, RMS norm, SwiGLU, grouped queries.

    x = embed_tokens[ids]                               (B, T, C)     positions come in later, inside each attention
    x = llama_block_i(x),   i = 0 ... L - 1             (B, T, C)
    logits = norm(x) W_head                             (B, T, V)     W_head = lm_head, or embed_tokens^T if tied    (LB3)
    loss = cross-entropy(logits, targets)               one number, nats a token; targets are the ids, one place on

The dotted names of the parameters, "layers.0.self_attn.q_proj.weight" and so on, are those of the published checkpoints.
SmolLM2, Llama 1 to 3 and TinyLlama have this shape; Llama 3.1 and 3.2 with `scaling` as rotary.py's (O5).

Source    Touvron et al. 2023, arXiv:2302.13971, section 2.2.  SmolLM2: Allal et al. 2025, arXiv:2502.02737, table of sizes.
Derived   notebooks/20_after_gpt2.ipynb.
Tested    tests/test_llama.py, tests/test_golden.py, tests/peers/test_llama_transformers.py.
"""
import math
from dataclasses import dataclass, fields

import numpy as np

from nanolm.layers import check, cross_entropy, embedding, linear, llama_block, masks, rmsnorm, rotary


@dataclass(frozen=True)
class Config:
    """The shape of a model. Defaults: SmolLM2 with 135 million parameters."""
    vocab_size: int = 49152          # V, how many tokens there are
    block_size: int = 8192           # the longest context, in tokens
    n_layer: int = 30                # L, blocks
    n_head: int = 9                  # H, heads of queries
    n_kv_head: int = 3               # G, heads of keys and values
    n_embd: int = 576                # C, channels a token
    n_hidden: int = 1536             # F, the MLP's hidden channels
    head_dim: int = 0                # D, channels a head; 0: n_embd / n_head
    base: float = 100000.0           # rotary's
    eps: float = 1e-5                # RMS norm's
    tied: bool = True                # the embedding is used a second time, as the head
    scaling: tuple | None = None     # rotary's: how its angles are slowed for long texts

    def __post_init__(self):
        for field in fields(self):
            least = 0 if field.name == "head_dim" else 1
            if field.type in (int, "int"):
                check.whole(field.name, getattr(self, field.name), least)
        for name in ("base", "eps"):
            if not check.real(name, getattr(self, name)) > 0:
                raise ValueError(f"{name} must be above 0, but it is {getattr(self, name)}.")
        rotary.check_scaling(self.scaling)
        if not isinstance(self.tied, bool):
            raise TypeError(f"tied must be True or False, but it is {self.tied!r}.")
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_kv_head must divide n_head, but {self.n_head} / {self.n_kv_head} is not whole. Each head of "
                             f"keys serves n_head / n_kv_head heads of queries.")
        if not self.head_dim and self.n_embd % self.n_head:
            raise ValueError(f"n_head must divide n_embd, but {self.n_embd} / {self.n_head} is not whole; or say head_dim.")
        if self.width % 2:
            raise ValueError(f"each head must have an even number of channels, because they are turned in pairs, but it has "
                             f"{self.width}.")

    @property
    def width(self):
        """D, channels a head."""
        return self.head_dim or self.n_embd // self.n_head


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's: what a file of weights must hold."""
    C, F, D = config.n_embd, config.n_hidden, config.width
    wide, narrow = config.n_head * D, config.n_kv_head * D
    block = {"input_layernorm": {"weight": (C,)},
             "self_attn": {"q_proj": {"weight": (C, wide)}, "k_proj": {"weight": (C, narrow)},
                           "v_proj": {"weight": (C, narrow)}, "o_proj": {"weight": (wide, C)}},
             "post_attention_layernorm": {"weight": (C,)},
             "mlp": {"gate_proj": {"weight": (C, F)}, "up_proj": {"weight": (C, F)}, "down_proj": {"weight": (F, C)}}}
    model = {"embed_tokens": {"weight": (config.vocab_size, C)}, "layers": {str(i): block for i in range(config.n_layer)},
             "norm": {"weight": (C,)}}
    return model if config.tied else {**model, "lm_head": {"weight": (C, config.vocab_size)}}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: gains 1, the rest normal with standard deviation 0.02.

    The two projections that add to the residual stream are divided by sqrt(2 L), as in gpt2.init. rng: a
    numpy.random.Generator; dtype: float32 or float64.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, but it is {np.dtype(dtype)}.")
    residual = 1 / math.sqrt(2 * config.n_layer)

    def drawn(shape, name):
        if isinstance(shape, dict):
            return {key: drawn(value, key if key != "weight" else name) for key, value in shape.items()}
        if len(shape) == 1:
            return np.ones(shape, dtype)
        return (rng.standard_normal(shape) * 0.02 * (residual if name in ("o_proj", "down_proj") else 1)).astype(dtype)

    return drawn(shapes(config), "")


def forward(p, ids, targets, config, rng=None):
    """Return loss (nats a token) and the cache of every layer.

    ids, targets (B, T): integers; a target of -100 does not count. rng is not used: there is no dropout.
    Raises ValueError if ids are not (B, T) with T <= block_size or hold what is no token, or if p is not of config.
    """
    z, c_trunk = trunk(p, ids, config)
    loss, c_loss = cross_entropy.forward(z, targets)
    return loss, (*c_trunk, c_loss)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    tied, c_embed, c_blocks, c_norm, c_head, c_loss = cache
    dlogits = cross_entropy.backward(1.0, c_loss)                           # loss = cross_entropy(z, targets)
    dx, dhead, _ = linear.backward(dlogits, c_head)                         # z = linear(x, head)
    dx, dgain = rmsnorm.backward(dx, c_norm)                                # x = rmsnorm(x, norm)
    dblocks = {}
    for i in reversed(range(len(c_blocks))):
        dx, dblocks[str(i)] = llama_block.backward(dx, c_blocks[i])         # x = llama_block(x)
    dp = {"layers": {str(i): dblocks[str(i)] for i in range(len(c_blocks))}, "norm": {"weight": dgain}}
    if tied:                                                                # the table was used twice: lookup + output
        return {"embed_tokens": {"weight": embedding.backward_tied(dx, c_embed, dhead.T)}, **dp}
    return {"embed_tokens": {"weight": embedding.backward(dx, c_embed)}, **dp, "lm_head": {"weight": dhead}}


def logits(p, ids, config):
    """Return the scores (B, T, V) of the token after each of ids (B, T)."""
    return trunk(p, ids, config)[0]


def trunk(p, ids, config):
    """Return the logits (B, T, V) and the caches on the way; forward and logits share it."""
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or not 1 <= ids.shape[1] <= config.block_size:
        shape = ids.shape if isinstance(ids, np.ndarray) else check.described(ids)
        raise ValueError(f"ids must be an array (B, T) with 1 <= T <= block_size = {config.block_size}, but it is {shape}. "
                         f"Cut a longer text into pieces; put a single sequence in brackets: ids[None].")
    check_parameters(p, config)
    x, c_embed = embedding.forward(ids, p["embed_tokens"]["weight"])
    mask = masks.causal(ids.shape[1])
    c_blocks = []
    for i in range(config.n_layer):
        x, c = llama_block.forward(x, p["layers"][str(i)], config.n_head, config.n_kv_head, mask, config.base, config.eps,
                                   config.scaling)
        c_blocks.append(c)
    x, c_norm = rmsnorm.forward(x, **p["norm"], eps=config.eps)
    z, c_head = linear.forward(x, head(p, config))
    return z, (config.tied, c_embed, c_blocks, c_norm, c_head)


def head(p, config):
    """Return the matrix (C, V) that gives the logits: lm_head, or the table read the other way."""
    return p["embed_tokens"]["weight"].T if config.tied else p["lm_head"]["weight"]


def check_parameters(p, config):
    """Raise TypeError or ValueError, with a sentence, unless p are parameters of a model of this config."""
    check.keys("p", p, ("embed_tokens", "layers", "norm") + (() if config.tied else ("lm_head",)))
    check.keys('p["layers"], one entry a block,', p["layers"], tuple(str(i) for i in range(config.n_layer)))
    check.keys("embed_tokens", p["embed_tokens"], ("weight",))
    check.floats(**{"embed_tokens weight": p["embed_tokens"]["weight"]})
    check.shape("embed_tokens weight", p["embed_tokens"]["weight"], (config.vocab_size, config.n_embd), "which config asks for")

"""GPT-2: a stack of pre-norm blocks that reads a text and, at every token, predicts the next one.

    x = wte[ids] + wpe[0 ... T - 1]                 (B, T, C)     token plus position, then dropout               (GP1)
    x = block_i(x),   i = 0 ... L - 1               (B, T, C)     attention sees only what came before            (GP2)
    logits = ln_f(x) wte^T                          (B, T, V)     the embedding, used a second time ("tied")      (GP3)
    loss = cross-entropy(logits, targets)           one number, nats a token; targets are the ids, one place on   (GP4)

Its predecessor GPT is the same with post-norm blocks (B2), whose last norm is the last block's: norm "post", and no ln_f.

The dotted names of the parameters, "h.0.attn.c_attn.weight" and so on, are those of the published checkpoint.

Source    Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3; tied embedding: Press,
          Wolf 2016, arXiv:1608.05859. GPT: Radford et al. 2018, "Improving language understanding by generative
          pre-training", section 4.1.
Derived   notebooks/12_gpt2.ipynb.  Tested  tests/test_gpt2.py, tests/test_golden.py, tests/peers/test_gpt2_torch.py,
          tests/peers/test_gpt_transformers.py.
"""
import math
from dataclasses import dataclass, fields, replace

import numpy as np

from nanolm.layers import block, check, cross_entropy, dropout, embedding, layernorm, linear, masks, positions


@dataclass(frozen=True)
class Config:
    """The shape of a GPT-2. Defaults: the published model with 124 million parameters."""
    vocab_size: int = 50257          # V, how many tokens there are
    block_size: int = 1024           # the longest context, in tokens
    n_layer: int = 12                # L, blocks
    n_head: int = 12                 # H, attention heads a block
    n_embd: int = 768                # C, channels a token
    dropout: float = 0.0             # share dropped while training: embedding, attention weights, both branches
    eps: float = 1e-5                # layer norm's
    norm: str = "pre"                # where a block norms: "pre" (GPT-2) or "post" (GPT), see layers/block.py
    n_hidden: int = 0                # F, the MLP's hidden channels; 0: 4 n_embd
    form: str = "tanh"               # the MLP's bend: GELU's "tanh" (GPT-2) or "erf" form, or "relu", see layers/mlp.py

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "n_hidden" else 1
            if field.type in (int, "int") and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                kind = "" if type(value) is int else f" ({type(value).__name__}, not int)"
                raise ValueError(f"{field.name} must be a whole number of at least {least}, but it is {value!r}{kind}.")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head must divide n_embd, but {self.n_embd} / {self.n_head} is not whole. "
                             f"Each head gets n_embd / n_head channels.")
        check.share("dropout", self.dropout)
        if not check.real("eps", self.eps) > 0:
            raise ValueError(f"eps must be above 0, but it is {self.eps}.")
        if self.norm not in ("pre", "post"):
            raise ValueError(f'norm must be "pre" (as in GPT-2) or "post" (as in GPT), but it is {self.norm!r}.')
        if self.form not in ("tanh", "erf", "relu"):
            raise ValueError(f'form must be "tanh" (as in GPT-2), "erf" or "relu", but it is {self.form!r}.')

    @property
    def width(self):
        """F, the MLP's hidden channels."""
        return self.n_hidden or 4 * self.n_embd


PRESETS = {
    "nano": Config(vocab_size=1024, block_size=128, n_layer=4, n_head=4, n_embd=128),       # minutes on a laptop
    "mini": Config(vocab_size=2048, block_size=256, n_layer=6, n_head=6, n_embd=384),       # an hour on a laptop
    "gpt": Config(vocab_size=40478, block_size=512, norm="post"),
    "gpt2": Config(),
    "gpt2-medium": Config(n_layer=24, n_head=16, n_embd=1024),
    "gpt2-large": Config(n_layer=36, n_head=20, n_embd=1280),
    "gpt2-xl": Config(n_layer=48, n_head=25, n_embd=1600),
}


def preset(name, **changes):
    """Return the Config of that name with some fields changed: preset("nano", dropout=0.1).

    Raises ValueError if there is no such preset or no such field.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}. The presets are {', '.join(PRESETS)}.")
    unknown = set(changes) - {field.name for field in fields(Config)}
    if unknown:
        raise ValueError(f"a GPT-2 config has no field {sorted(unknown)[0]!r}. "
                         f"Its fields are {', '.join(field.name for field in fields(Config))}.")
    return replace(PRESETS[name], **changes)


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: normal with standard deviation 0.02, gains 1, biases 0.

    The two projections that add to the residual stream in each block are divided by sqrt(2 L): 2 L of them are summed,
    and the sum shall not grow with depth, (GP10). (Post-norm norms it after each: there they are like the others.)
    rng: a numpy.random.Generator; dtype: float32 or float64.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, but it is {np.dtype(dtype)}.")
    C, F = config.n_embd, config.width
    residual = 0.02 / math.sqrt(2 * config.n_layer) if config.norm == "pre" else 0.02

    def normal(*shape, std=0.02):
        return (rng.standard_normal(shape) * std).astype(dtype)

    def dense(n_in, n_out, std=0.02):
        return {"weight": normal(n_in, n_out, std=std), "bias": np.zeros(n_out, dtype)}

    def norm():
        return {"weight": np.ones(C, dtype), "bias": np.zeros(C, dtype)}

    model = {
        "wte": {"weight": normal(config.vocab_size, C)},
        "wpe": {"weight": normal(config.block_size, C)},
        "h": {str(i): {"ln_1": norm(),
                       "attn": {"c_attn": dense(C, 3 * C), "c_proj": dense(C, C, residual)},
                       "ln_2": norm(),
                       "mlp": {"c_fc": dense(C, F), "c_proj": dense(F, C, residual)}}
              for i in range(config.n_layer)},
    }
    return {**model, "ln_f": norm()} if config.norm == "pre" else model


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's: what a file of weights must hold."""
    C, F = config.n_embd, config.width

    def dense(n_in, n_out):
        return {"weight": (n_in, n_out), "bias": (n_out,)}

    norm = {"weight": (C,), "bias": (C,)}
    block = {"ln_1": norm, "attn": {"c_attn": dense(C, 3 * C), "c_proj": dense(C, C)},
             "ln_2": norm, "mlp": {"c_fc": dense(C, F), "c_proj": dense(F, C)}}
    model = {"wte": {"weight": (config.vocab_size, C)}, "wpe": {"weight": (config.block_size, C)},
             "h": {str(i): block for i in range(config.n_layer)}}
    return {**model, "ln_f": norm} if config.norm == "pre" else model


def forward(p, ids, targets, config, rng=None):
    """Return loss (nats a token) and the cache of every layer.

    ids, targets (B, T): integers; a target of -100 does not count. rng: a Generator turns dropout on, None off.
    Raises ValueError if ids are not (B, T) with T <= block_size or hold what is no token, or if p is not of config.
    """
    z, c_trunk = trunk(p, ids, config, rng)
    loss, c_loss = cross_entropy.forward(z, targets)
    return loss, (*c_trunk, c_loss)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss = cache
    dlogits = cross_entropy.backward(1.0, c_loss)
    dx, dhead, _ = linear.backward(dlogits, c_head)                         # z = linear(x, wte.T)
    dp_f, dblocks = {}, {}
    if c_norm is not None:                                                  # norm "pre"
        dx, dweight, dbias = layernorm.backward(dx, c_norm)
        dp_f = {"ln_f": {"weight": dweight, "bias": dbias}}
    for i in reversed(range(len(c_blocks))):
        dx, dblocks[str(i)] = block.backward(dx, c_blocks[i])
    dx = dropout.backward(dx, c_drop)
    dx, dwpe = positions.backward(dx, c_wpe)
    dwte = embedding.backward_tied(dx, c_wte, dhead.T)                      # wte was used twice: lookup + output, (GP9)
    return {"wte": {"weight": dwte}, "wpe": {"weight": dwpe},
            "h": {str(i): dblocks[str(i)] for i in range(len(c_blocks))}, **dp_f}


def logits(p, ids, config):
    """Return the scores (B, T, V) of the token after each of ids (B, T), without dropout."""
    return trunk(p, ids, config)[0]


def trunk(p, ids, config, rng=None):
    """Return the logits (B, T, V) and the caches on the way; forward and logits share it."""
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or not 1 <= ids.shape[1] <= config.block_size:
        shape = ids.shape if isinstance(ids, np.ndarray) else check.described(ids)
        raise ValueError(f"ids must be an array (B, T) with 1 <= T <= block_size = {config.block_size}, but it is {shape}. "
                         f"Cut a longer text into pieces; put a single sequence in brackets: ids[None].")
    check_parameters(p, config)
    x, c_wte = embedding.forward(ids, p["wte"]["weight"])
    x, c_wpe = positions.forward(x, p["wpe"]["weight"])
    x, c_drop = dropout.forward(x, config.dropout, rng)
    mask = masks.causal(ids.shape[1])
    c_blocks, c_norm = [], None
    for i in range(config.n_layer):
        x, c = block.forward(x, p["h"][str(i)], config.n_head, mask, config.norm, config.form, config.eps,
                             config.dropout, rng)
        c_blocks.append(c)
    if config.norm == "pre":                                                # post-norm blocks have normed x already
        x, c_norm = layernorm.forward(x, **p["ln_f"], eps=config.eps)
    z, c_head = linear.forward(x, p["wte"]["weight"].T)                     # tied: the table read the other way
    return z, (c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head)


def check_parameters(p, config):
    """Raise TypeError or ValueError, with a sentence, unless p are parameters of a model of this config."""
    check.keys("p", p, ("wte", "wpe", "h") + (("ln_f",) if config.norm == "pre" else ()))
    check.keys('p["h"], one entry a block,', p["h"], tuple(str(i) for i in range(config.n_layer)))
    for name, rows in (("wte", config.vocab_size), ("wpe", config.block_size)):
        check.keys(name, p[name], ("weight",))
        check.floats(**{f"{name} weight": p[name]["weight"]})
        check.shape(f"{name} weight", p[name]["weight"], (rows, config.n_embd), "which config asks for")

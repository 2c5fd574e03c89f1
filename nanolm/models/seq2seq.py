"""The Transformer, encoder and decoder: it reads a source text as a whole and writes a target text, token by token.

    x = embed[source] sqrt(C) + sin/cos positions       (B, S, C)     seq2seq_input.py
    memory = encoder_block_i(x),   i = 0 ... L - 1      (B, S, C)     every source token sees the whole source
    y = embed[target_in] sqrt(C) + sin/cos positions    (B, T, C)
    y = decoder_block_i(y, memory),   i = 0 ... L - 1   (B, T, C)     sees the target so far, and all of memory
    logits = y embed^T                                  (B, T, V)
    loss = cross-entropy(logits, targets)               one number, nats a token, smoothed

targets are target_in one place on: <start> a b c goes in, a b c <end> is to come out. Both are padded to one length; targets
of -100 do not count, and the causal mask keeps what was filled in behind a text away from it. Sources are padded behind
too, with any token; source_lengths says where each ends, and then no token of encoder or decoder attends to the filling.

Memory gets a gradient from each decoder block, the one table of tokens from its three users, and all of them add:

    dmemory = sum over the decoder's blocks of dmemory_i                                                          (X5)
    dembed  = as source's table + as target's table + as output                                                   (X6)

norm "pre" norms once more at the end of each stack; "post", the paper's, has that norm in its last block.

Source    Vaswani et al. 2017, arXiv:1706.03762, section 3, sizes: table 3; one table for all: section 3.4, Press, Wolf 2016,
          arXiv:1608.05859. They do not say how weights begin: here normal, with Glorot's spread.
Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_seq2seq.py, tests/test_golden.py, tests/peers/test_seq2seq_torch.py.
"""
import math
from dataclasses import dataclass, fields

import numpy as np

from nanolm.layers import block, check, cross_entropy, decoder_block, layernorm, linear, masks
from nanolm.models import seq2seq_input


@dataclass(frozen=True)
class Config:
    """The shape of a model. Defaults: the paper's base model, English to German."""
    vocab_size: int = 37000          # V, tokens of the target, and of the source unless source_vocab_size says otherwise
    block_size: int = 512            # the longest source, and the longest target, in tokens
    n_layer: int = 6                 # L, blocks of the encoder, and as many of the decoder
    n_head: int = 8                  # H, attention heads a block
    n_embd: int = 512                # C, channels a token
    n_hidden: int = 2048             # F, the MLP's hidden channels
    source_vocab_size: int = 0       # tokens of the source, if it has a table of its own; 0: vocab_size
    shared: bool = True              # source, target and output use one table
    dropout: float = 0.1             # share dropped while training: embeddings, attention weights, all branches
    label_smoothing: float = 0.1     # see cross_entropy; 0 for the plain loss, whose exponential is the perplexity
    norm: str = "post"               # "post", the paper's, or "pre"
    form: str = "relu"               # the MLP's bend: "relu", "tanh" or "erf" (GELU's two)
    eps: float = 1e-5                # layer norm's

    def __post_init__(self):
        for field in fields(self):
            if field.type in (int, "int"):
                check.whole(field.name, getattr(self, field.name), 0 if field.name == "source_vocab_size" else 1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head must divide n_embd, but {self.n_embd} / {self.n_head} is not whole. "
                             f"Each head gets n_embd / n_head channels.")
        if self.shared and self.source_vocab_size not in (0, self.vocab_size):
            raise ValueError(f"source_vocab_size is {self.source_vocab_size} and vocab_size {self.vocab_size}, so they cannot "
                             f"share one table. Make the two equal, or say shared=False.")
        check.share("dropout", self.dropout)
        check.share("label_smoothing", self.label_smoothing)
        for name, known in (("norm", ("post", "pre")), ("form", ("relu", "tanh", "erf"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, but it is {getattr(self, name)!r}.")
        if not check.real("eps", self.eps) > 0:
            raise ValueError(f"eps must be above 0, but it is {self.eps}.")


def shapes(config):
    """Return the shape of every parameter, a nested dict like init's: what a file of weights must hold."""
    C, F, V = config.n_embd, config.n_hidden, config.vocab_size

    def dense(n_in, n_out):
        return {"weight": (n_in, n_out), "bias": (n_out,)}

    def stack(part):
        blocks = {"h": {str(i): part for i in range(config.n_layer)}}
        return {**blocks, "norm": norm} if config.norm == "pre" else blocks

    norm, heads = {"weight": (C,), "bias": (C,)}, {"c_attn": dense(C, 3 * C), "c_proj": dense(C, C)}
    wide = {"c_fc": dense(C, F), "c_proj": dense(F, C)}
    stacks = {"encoder": stack({"ln_1": norm, "attn": heads, "ln_2": norm, "mlp": wide}),
              "decoder": stack({"ln_1": norm, "attn": heads, "ln_2": norm, "cross_attn": heads, "ln_3": norm, "mlp": wide})}
    if config.shared:
        return {"embed": {"weight": (V, C)}, **stacks}
    return {"source_embed": {"weight": (config.source_vocab_size or V, C)}, "target_embed": {"weight": (V, C)}, **stacks,
            "head": {"weight": (C, V)}}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters, a nested dict: gains 1, biases 0, the rest normal.

    Tables have the standard deviation 1 / sqrt(C): times sqrt(C) it is 1, and so is that of the first logits. A matrix
    (in, out) has sqrt(2 / (in + out)), Glorot's, which keeps numbers about as large on the way up and gradients on the way
    down; c_attn counts as the three matrices (C, C) that it is. rng: a numpy.random.Generator; dtype: float32 or float64.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, but it is {np.dtype(dtype)}.")

    def drawn(shape, name):
        if isinstance(shape, dict):
            return {key: drawn(value, name if key == "weight" else key) for key, value in shape.items()}
        if len(shape) == 1:
            return np.zeros(shape, dtype) if name == "bias" else np.ones(shape, dtype)
        if name.endswith("embed") or name == "head":
            std = 1 / math.sqrt(config.n_embd)
        else:
            std = math.sqrt(2 / (shape[0] + (shape[0] if name == "c_attn" else shape[1])))
        return (rng.standard_normal(shape) * std).astype(dtype)

    return drawn(shapes(config), "")


def forward(p, source, target_in, targets, config, source_lengths=None, rng=None):
    """Return loss (nats a token, smoothed as config says) and the cache of every layer.

    source (B, S), target_in, targets (B, T): integers; a target of -100 does not count. source_lengths: how many tokens of
    each source are text, B integers; None: all S. rng: a Generator turns dropout on, None off.
    Raises ValueError or TypeError if shapes do not fit together, a text is longer than block_size, an id is no token, or p
    is not of config.
    """
    memory, c_encode = encode(p, source, config, source_lengths, rng)
    z, c_decode = decode(p, memory, target_in, config, source_lengths, rng)
    loss, c_loss = cross_entropy.forward(z, targets, label_smoothing=config.label_smoothing)
    return loss, (config.shared, c_encode, c_decode, c_loss)


def backward(cache):                                                        # forward's lines, bottom to top
    """Return dp: the gradient of the loss by every parameter, a nested dict with p's keys."""
    shared, c_encode, c_decode, c_loss = cache
    dz = cross_entropy.backward(1.0, c_loss)                                # loss = cross_entropy(z, targets)
    dmemory, dtarget, ddecoder, dhead = decode_backward(dz, c_decode)       # z = decode(memory, target_in)
    dsource, dencoder = encode_backward(dmemory, c_encode)                  # memory = encode(source)
    if shared:                                                              # one table, used three times:
        return {"embed": {"weight": dsource + dtarget + dhead.T},           # source + target + output, (X6)
                "encoder": dencoder, "decoder": ddecoder}
    return {"source_embed": {"weight": dsource}, "target_embed": {"weight": dtarget},
            "encoder": dencoder, "decoder": ddecoder, "head": {"weight": dhead}}


def logits(p, source, target_in, config, source_lengths=None):
    """Return the scores (B, T, V) of the token after each of target_in (B, T), without dropout."""
    memory, _ = encode(p, source, config, source_lengths)
    return decode(p, memory, target_in, config, source_lengths)[0]


def encode(p, source, config, source_lengths=None, rng=None):
    """Return memory (B, S, C), all that the decoder will know of source (B, S), and the caches on the way."""
    check_parameters(p, config)
    x, c_input = seq2seq_input.forward(source, table(p, config, "source"), config, rng, name="source")
    mask = source_mask(source_lengths, *x.shape[:2])
    c_blocks = []
    for i in range(config.n_layer):
        x, c = block.forward(x, p["encoder"]["h"][str(i)], config.n_head, mask, config.norm, config.form, config.eps,
                             config.dropout, rng)
        c_blocks.append(c)
    memory, c_norm = normed(x, p["encoder"], config)
    return memory, (c_input, c_blocks, c_norm)


def encode_backward(dmemory, cache):                                        # encode's lines, bottom to top
    """Return the gradients by the source's table and by p["encoder"]."""
    c_input, c_blocks, c_norm = cache
    dx, dnorm = normed_backward(dmemory, c_norm)
    dblocks = {str(i): None for i in range(len(c_blocks))}                  # the keys in p's order
    for i in reversed(range(len(c_blocks))):
        dx, dblocks[str(i)] = block.backward(dx, c_blocks[i])
    return seq2seq_input.backward(dx, c_input), {"h": dblocks, **dnorm}


def decode(p, memory, target_in, config, source_lengths=None, rng=None):
    """Return the scores (B, T, V) of the token after each of target_in (B, T), and the caches. memory: encode's."""
    check_parameters(p, config)
    check.floats(memory=memory)
    y, c_input = seq2seq_input.forward(target_in, table(p, config, "target"), config, rng, name="target_in")
    if memory.ndim != 3 or len(memory) != len(y):
        raise ValueError(f"target_in must hold one text for each source, but memory, what encode made of the sources, has "
                         f"the shape {memory.shape}, and target_in {target_in.shape}.")
    mask, memory_mask = masks.causal(y.shape[1]), source_mask(source_lengths, *memory.shape[:2])
    c_blocks = []
    for i in range(config.n_layer):
        y, c = decoder_block.forward(y, memory, p["decoder"]["h"][str(i)], config.n_head, mask, memory_mask, config.norm,
                                     config.form, config.eps, config.dropout, rng)
        c_blocks.append(c)
    y, c_norm = normed(y, p["decoder"], config)
    z, c_head = linear.forward(y, head(p, config))
    return z, (c_input, c_blocks, c_norm, c_head)


def decode_backward(dz, cache):                                             # decode's lines, bottom to top
    """Return dmemory and the gradients by the target's table, by p["decoder"] and by the head (C, V)."""
    c_input, c_blocks, c_norm, c_head = cache
    dy, dhead, _ = linear.backward(dz, c_head)                              # z = linear(y, head)
    dy, dnorm = normed_backward(dy, c_norm)                                 # y = normed(y)
    dmemory, dblocks = 0, {str(i): None for i in range(len(c_blocks))}      # the keys in p's order
    for i in reversed(range(len(c_blocks))):
        dy, dmemory_i, dblocks[str(i)] = decoder_block.backward(dy, c_blocks[i])
        dmemory = dmemory + dmemory_i                                       # every decoder block used memory: L gradients, (X5)
    return dmemory, seq2seq_input.backward(dy, c_input), {"h": dblocks, **dnorm}, dhead


def normed(x, p, config):
    """Return x after the norm that ends a pre-norm stack, and its cache; x and None for post-norm, whose last block norms."""
    return layernorm.forward(x, **p["norm"], eps=config.eps) if config.norm == "pre" else (x, None)


def normed_backward(dx, c_norm):
    """Return dx and the gradients that the stack's dict gets for it: none for post-norm."""
    if c_norm is None:
        return dx, {}
    dx, dweight, dbias = layernorm.backward(dx, c_norm)
    return dx, {"norm": {"weight": dweight, "bias": dbias}}


def table(p, config, side):
    """Return the table of tokens (V, C) of one side, "source" or "target"."""
    return p["embed" if config.shared else side + "_embed"]["weight"]


def head(p, config):
    """Return the matrix (C, V) that gives the logits: the table read the other way, or one of its own."""
    return p["embed"]["weight"].T if config.shared else p["head"]["weight"]


def source_mask(lengths, B, S):
    """Return the mask (B, 1, 1, S) that is True at the first lengths[b] tokens of source b; None, all, for None."""
    if lengths is None:
        return None
    mask = masks.padding(lengths, S)
    if len(mask) != B:
        raise ValueError(f"source_lengths must hold one length for each source, {B}, but it holds {len(mask)}.")
    return mask


def check_parameters(p, config):
    """Raise TypeError or ValueError, with a sentence, unless p are parameters of a model of this config."""
    expected = shapes(config)
    check.keys("p", p, tuple(expected))
    for stack in ("encoder", "decoder"):
        check.keys(f'p["{stack}"]', p[stack], tuple(expected[stack]))
        check.keys(f'p["{stack}"]["h"], one entry a block,', p[stack]["h"], tuple(expected[stack]["h"]))
    for name in set(expected) - {"encoder", "decoder"}:
        check.keys(name, p[name], ("weight",))
        check.floats(**{f"{name} weight": p[name]["weight"]})
        check.shape(f"{name} weight", p[name]["weight"], expected[name]["weight"], "which config asks for")

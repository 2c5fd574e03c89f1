"""BERT's encoder: a stack of post-norm blocks in which every token sees the whole text, to its left and to its right.

    x = wte[ids] + wse[segments] + wpe[0 ... T - 1]     (B, T, C)     token, segment and position, added           (J2)
    x = dropout(ln_e(x))                                (B, T, C)
    x = block_i(x),   i = 0 ... L - 1                   (B, T, C)     post-norm, GELU with erf; padding is not seen

    ids, segments (B, T)     mask: None, lengths (B,), or booleans (B, T), True = a token, False = padding

This file is the trunk, and no loss stands at its end. The heads are files of their own, each with a loss:

    bert_pretraining    which token was masked, and does the second sentence follow the first?     pre-training
    bert_sequence       one class for a text                 bert_token     one class for each token
    bert_span           where in the text does the answer begin, and where does it end?

A text begins with [CLS], id 101 in the published vocabulary; [SEP], id 102, ends each sentence. Segment 0 is the first
sentence with its [SEP], segment 1 the second. Padding stands at the end.

    here, inside p["bert"]                       in the published checkpoints, after "bert."
    wte, wse, wpe                                embeddings.word_, token_type_, position_embeddings
    ln_e                                         embeddings.LayerNorm
    h.0.attn.c_attn, q, k, v side by side        encoder.layer.0.attention.self.query, .key, .value
    h.0.attn.c_proj                              encoder.layer.0.attention.output.dense
    h.0.ln_1                                     encoder.layer.0.attention.output.LayerNorm
    h.0.mlp.c_fc                                 encoder.layer.0.intermediate.dense
    h.0.mlp.c_proj, h.0.ln_2                     encoder.layer.0.output.dense, encoder.layer.0.output.LayerNorm

A matrix is (in, out) here and (out, in) there; bert_names.py turns one form into the other, heads too.

Source    Devlin et al. 2018, arXiv:1810.04805, section 3 and appendix A.2; eps and the order of the sums: its published code.
Tested    tests/test_bert.py, tests/peers/test_bert_transformers.py.
"""
from dataclasses import dataclass, fields

import numpy as np

from nanolm.layers import block, check, dropout, embedding, layernorm, masks, positions


@dataclass(frozen=True)
class Config:
    """The shape of a model. Defaults: BERT base, uncased, with 110 million parameters."""
    vocab_size: int = 30522          # V, how many tokens there are
    block_size: int = 512            # the longest text, in tokens
    n_layer: int = 12                # L, blocks
    n_head: int = 12                 # H, attention heads a block
    n_embd: int = 768                # C, channels a token
    n_hidden: int = 0                # F, the MLP's hidden channels; 0: 4 n_embd
    n_segment: int = 2               # kinds of segments
    n_class: int = 2                 # classes, for bert_sequence and bert_token
    pooler: bool = True              # False: a checkpoint that has none; bert_pretraining is then the masked tokens alone
    dropout: float = 0.0             # share dropped while training; the paper's is 0.1
    eps: float = 1e-12               # layer norm's
    form: str = "erf"                # the bend: GELU's "erf" form (BERT) or "tanh", or "relu", see layers/mlp.py

    def __post_init__(self):
        for field in fields(self):
            if field.type in (int, "int"):
                check.whole(field.name, getattr(self, field.name), least=0 if field.name == "n_hidden" else 1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head must divide n_embd, but {self.n_embd} / {self.n_head} is not whole. "
                             f"Each head gets n_embd / n_head channels.")
        if not isinstance(self.pooler, bool):
            raise TypeError(f"pooler must be True or False, but it is {self.pooler!r}.")
        check.share("dropout", self.dropout)
        if not check.real("eps", self.eps) > 0:
            raise ValueError(f"eps must be above 0, but it is {self.eps}.")
        if self.form not in ("erf", "tanh", "relu"):
            raise ValueError(f'form must be "erf" (as in BERT), "tanh" or "relu", but it is {self.form!r}.')

    @property
    def width(self):
        """F, the MLP's hidden channels."""
        return self.n_hidden or 4 * self.n_embd


def shapes(config):
    """Return the shape of every parameter of the encoder, a nested dict: what stands in a model's p["bert"]."""
    C, F, norm = config.n_embd, config.width, {"weight": (config.n_embd,), "bias": (config.n_embd,)}
    one = {"ln_1": norm, "attn": {"c_attn": dense(C, 3 * C), "c_proj": dense(C, C)},
           "ln_2": norm, "mlp": {"c_fc": dense(C, F), "c_proj": dense(F, C)}}
    return {"wte": {"weight": (config.vocab_size, C)}, "wse": {"weight": (config.n_segment, C)},
            "wpe": {"weight": (config.block_size, C)}, "ln_e": norm, "h": {str(i): one for i in range(config.n_layer)}}


def dense(n_in, n_out):
    """Return the shapes of a linear layer's parameters."""
    return {"weight": (n_in, n_out), "bias": (n_out,)}


def init(config, rng, dtype=np.float32):
    """Return fresh parameters of the encoder: normal with standard deviation 0.02, gains 1, biases 0.

    The published code cuts the normal at two standard deviations; this one is not cut. rng: a numpy.random.Generator;
    dtype: float32 or float64.
    """
    return drawn(shapes(config), rng, dtype)


def drawn(wanted, rng, dtype):
    """Return init's arrays for a nested dict of shapes; the heads' init calls it too."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, but it is {np.dtype(dtype)}.")

    def one(name, shape):
        if isinstance(shape, dict):
            return {key: one(key, value) for key, value in shape.items()}
        if len(shape) == 2:
            return (rng.standard_normal(shape) * 0.02).astype(dtype)
        return np.ones(shape, dtype) if name == "weight" else np.zeros(shape, dtype)            # a gain, a bias
    return one("", wanted)


def forward(p, ids, config, segments=None, mask=None, rng=None):
    """Return x (B, T, C), a vector for each token, and the cache of every layer. p: a model's p["bert"].

    ids (B, T); segments (B, T) or None, all 0; mask: see the top. What comes out at padding is not to be used.
    rng: a Generator turns dropout on, None off.
    Raises ValueError if ids are not an array (B, T) with T <= block_size, or something does not fit; TypeError on wrong dtypes.
    """
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or not 1 <= ids.shape[1] <= config.block_size:
        shape = ids.shape if isinstance(ids, np.ndarray) else check.described(ids)
        raise ValueError(f"ids must be an array (B, T) with 1 <= T <= block_size = {config.block_size}, but it is {shape}. "
                         f"Cut a longer text into pieces; put a single sequence in brackets: ids[None].")
    segments = np.zeros(ids.shape, np.int64) if segments is None else segments
    check.integers("segments", segments, 0, config.n_segment)
    check.shape("segments", segments, ids.shape, "one segment for each of ids")
    check_parameters(p, config)
    tokens = real_tokens(mask, ids)
    attend = None if tokens is None else tokens[:, None, None, :]           # (B, 1, 1, T): no query sees a key of padding
    x, c_wte = embedding.forward(ids, p["wte"]["weight"])
    s, c_wse = embedding.forward(segments, p["wse"]["weight"])
    x, c_wpe = positions.forward(x + s, p["wpe"]["weight"])                 # (J2)
    x, c_norm = layernorm.forward(x, **p["ln_e"], eps=config.eps)
    x, c_drop = dropout.forward(x, config.dropout, rng)
    c_blocks = []
    for i in range(config.n_layer):
        x, c = block.forward(x, p["h"][str(i)], config.n_head, attend, norm="post", form=config.form, eps=config.eps,
                             dropout=config.dropout, rng=rng)
        c_blocks.append(c)
    return x, (c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks)


def backward(dx, cache, dhead=None):                                        # forward's lines, bottom to top
    """Return dp, a nested dict with p's keys.

    dhead: the gradient of wte's second use as the head of bert_pretraining, (V, C), handed over; None: there was none.
    """
    c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks = cache
    dblocks = {}
    for i in reversed(range(len(c_blocks))):
        dx, dblocks[str(i)] = block.backward(dx, c_blocks[i])               # x = block(x)
    dx = dropout.backward(dx, c_drop)                                       # x = dropout(x)
    dx, dweight, dbias = layernorm.backward(dx, c_norm)                     # x = ln_e(x)
    dx, dwpe = positions.backward(dx, c_wpe)                                # x = (x + s) + wpe
    dwse = embedding.backward(dx, c_wse)                                    # x + s: both tables get the whole of dx
    dwte = embedding.backward(dx, c_wte) if dhead is None else embedding.backward_tied(dx, c_wte, dhead)
    return {"wte": {"weight": dwte}, "wse": {"weight": dwse}, "wpe": {"weight": dwpe},
            "ln_e": {"weight": dweight, "bias": dbias}, "h": {str(i): dblocks[str(i)] for i in range(len(c_blocks))}}


def real_tokens(mask, ids):
    """Return the booleans (B, T), True where ids hold a token and no padding; None for mask None: there is no padding.

    Raises ValueError or TypeError if mask is not what forward asks for, or a text does not begin with a token.
    """
    if mask is None:
        return None
    mask, (B, T) = np.asarray(mask), ids.shape
    if mask.shape == (B,) and mask.dtype.kind in "iu":
        mask = masks.padding(mask, T)[:, 0, 0]                              # (B, T)
    if mask.shape != (B, T) or mask.dtype != bool:
        raise ValueError(f"mask must be the lengths (B,) = ({B},), whole numbers, or booleans (B, T) = ({B}, {T}), True = a "
                         f"token, but it holds {mask.dtype} of the shape {mask.shape}. Turn ones and zeros with mask == 1.")
    if not mask[:, 0].all():
        raise ValueError(f"each text must begin with a token, [CLS], but mask says that text {int(np.argmin(mask[:, 0]))} "
                         f"begins with padding. Pad at the end.")
    return mask


def check_targets(targets, ids, n, mask):
    """Raise TypeError or ValueError unless targets (B, T) lie in 0 ... n - 1 or are -100, and are -100 at padding."""
    check.integers("targets", targets, 0, n, spared=-100)
    check.shape("targets", targets, ids.shape, "one target for each of ids")
    tokens = real_tokens(mask, ids)
    wrong = np.argwhere((targets != -100) & ~tokens) if tokens is not None else ()
    if len(wrong):
        b, t = (int(i) for i in wrong[0])
        raise ValueError(f"targets must be -100 at padding, but targets[{b}, {t}] is {targets[b, t]} and mask says that this "
                         f"is padding.")


def check_parameters(p, config):
    """Raise TypeError or ValueError, with a sentence, unless p are parameters of an encoder of this config."""
    check.keys('p["bert"]', p, ("wte", "wse", "wpe", "ln_e", "h"))
    check.keys('p["bert"]["h"], one entry a block,', p["h"], tuple(str(i) for i in range(config.n_layer)))
    for name, rows in (("wte", config.vocab_size), ("wse", config.n_segment), ("wpe", config.block_size)):
        check.keys(name, p[name], ("weight",))
        check.floats(**{f"{name} weight": p[name]["weight"]})
        check.shape(f"{name} weight", p[name]["weight"], (rows, config.n_embd), "which config asks for")

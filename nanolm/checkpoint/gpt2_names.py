"""GPT-2's published tensors and ours: the same names and the same turning; some files say "transformer." in front.

    ours                            transformers
    wte.weight                      transformer.wte.weight, and lm_head.weight once more (tied)
    h.0.attn.c_attn.weight          transformer.h.0.attn.c_attn.weight: (in, out) there too, a "Conv1D"
                                    h.0.attn.bias, h.0.attn.masked_bias: the causal mask, in old files; not a parameter

Settings that do not change what is computed are not looked at: dropout, use_cache, the token ids, how weights were
initialised, summary_*, and reorder_and_upcast_attn, which says in which order the same product is made.

Tested    tests/test_checkpoint_files.py, tests/test_checkpoint_settings.py, tests/peers/test_checkpoint_transformers.py,
          tests/peers/test_variants_transformers.py.
"""
import re

from nanolm import params
from nanolm.checkpoint import fitting
from nanolm.models import gpt2

CONFIG = {"vocab_size": "vocab_size", "n_positions": "block_size", "n_layer": "n_layer", "n_head": "n_head", "n_embd": "n_embd",
          "layer_norm_epsilon": "eps"}
ALIASES = {"n_positions": "max_position_embeddings", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
           "n_embd": "hidden_size"}
ONLY = {"scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,), "tie_word_embeddings": (True,)}
WRITTEN = {"tanh": "gelu_new", "erf": "gelu", "relu": "relu"}
NO_PARAMETER = re.compile(r"h\.\d+\.attn\.(masked_)?bias")


def writes(model, config):
    """Return whether this is the layout in which a model of this config is published."""
    return model is gpt2 and config.norm == "pre"


def shapes(model, config):
    """Return the shape of every parameter of such a model, a nested dict."""
    return gpt2.shapes(config)


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return gpt2


def config_from(published, source, flat=None):
    """Return the Config that a config.json (a dict) describes. Raises ValueError, naming the file, for what we do not have."""
    fitting.only(published, ONLY, source, "GPT-2")
    form = fitting.activation(published, "activation_function", "gelu_new", source, "GPT-2")
    width = published.get("n_inner")
    c = fitting.fields(published, CONFIG, source, {"layer_norm_epsilon": 1e-5}, ALIASES)
    hidden = 4 * c["n_embd"] if width is None else fitting.number(width, "n_inner", source)
    if hidden == 0:                                     # to Config 0 means the usual width
        raise ValueError(f"{source} says n_inner = 0, an MLP without hidden channels.")
    return gpt2.Config(**c, n_hidden=0 if hidden == 4 * c["n_embd"] else hidden, form=form)


def config_to(config, model=None):
    """Return config as the dict that transformers keeps in config.json."""
    return {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": WRITTEN[config.form],
            "tie_word_embeddings": True, **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()},
            "n_ctx": config.block_size, "n_inner": config.n_hidden or None,
            **{name: config.dropout for name in ("embd_pdrop", "attn_pdrop", "resid_pdrop")}}


def from_published(flat, config, source, model=None):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    fitting.blocks(config, flat, source)
    flat = fitting.renamed(flat, lambda name: name.removeprefix("transformer."), source)
    flat = {name: a for name, a in flat.items() if not NO_PARAMETER.fullmatch(name)}
    return fitting.fitted(fitting.tied(flat, "wte.weight", "lm_head.weight", source), gpt2.shapes(config), source)


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return {"transformer." + name: a for name, a in params.flatten(p).items()}

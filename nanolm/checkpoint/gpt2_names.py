"""GPT-2's published tensors and ours: the same names and the same turning; some files say "transformer." in front.

    ours                            transformers
    wte.weight                      transformer.wte.weight, and lm_head.weight once more (tied)
    h.0.attn.c_attn.weight          transformer.h.0.attn.c_attn.weight: (in, out) there too, a "Conv1D"
                                    h.0.attn.bias, h.0.attn.masked_bias: the causal mask, in old files; not a parameter

Tested    tests/test_checkpoint_files.py, tests/peers/test_checkpoint_transformers.py.
"""
import re

from nanolm import params
from nanolm.checkpoint import fitting
from nanolm.models import gpt2

CONFIG = {"vocab_size": "vocab_size", "n_positions": "block_size", "n_layer": "n_layer", "n_head": "n_head", "n_embd": "n_embd",
          "layer_norm_epsilon": "eps"}


MODELS = (gpt2,)


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return gpt2


def config_from(published, source, flat=None):
    """Return the Config that a config.json (a dict) describes. Raises ValueError, naming the file, for what we do not have."""
    for name, wanted in (("activation_function", ("gelu_new", "gelu_pytorch_tanh")),
                         ("n_inner", (None, 4 * published.get("n_embd", 0))),
                         ("scale_attn_weights", (True,)), ("scale_attn_by_inverse_layer_idx", (False,)),
                         ("tie_word_embeddings", (True,))):
        if published.get(name, wanted[0]) not in wanted:
            raise ValueError(f"{source} says {name} = {published[name]!r}; nanolm's GPT-2 has {wanted[-1]!r} only.")
    if "layer_norm_epsilon" not in published:           # transformers leaves its default out of some files
        published = {**published, "layer_norm_epsilon": 1e-5}
    return gpt2.Config(**fitting.fields(published, CONFIG, source))


def config_to(config, model=None):
    """Return config as the dict that transformers keeps in config.json. Raises ValueError for GPT's post-norm."""
    if config.norm != "pre":
        raise ValueError('a model with norm = "post" is a GPT, not a GPT-2, and nanolm does not write that layout.')
    return {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
            "tie_word_embeddings": True, **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()},
            "n_ctx": config.block_size, "bos_token_id": None, "eos_token_id": None,
            **{name: config.dropout for name in ("embd_pdrop", "attn_pdrop", "resid_pdrop")}}


def from_published(flat, config, source, model=None):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    flat = {name.removeprefix("transformer."): a for name, a in flat.items()}
    no_parameter = re.compile(r"lm_head\.weight|h\.\d+\.attn\.(masked_)?bias")
    flat = {name: a for name, a in flat.items() if not no_parameter.fullmatch(name)}
    return fitting.fitted(flat, gpt2.shapes(config), source)


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return {"transformer." + name: a for name, a in params.flatten(p).items()}

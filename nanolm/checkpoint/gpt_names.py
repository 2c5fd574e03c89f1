"""GPT, GPT-2's predecessor, as transformers publishes it ("openai-gpt"), and ours: gpt2.Config with norm "post".

    ours                            transformers
    wte.weight                      transformer.tokens_embed.weight, and lm_head.weight once more (tied)
    wpe.weight                      transformer.positions_embed.weight
    h.0.attn.c_attn.weight          transformer.h.0.attn.c_attn.weight: (in, out) there too

No ln_f: the last block ends with a norm. What is called "gelu" there is the tanh form. Its tokenizer, words in pieces that
end in </w>, is not read.

Source    Radford et al. 2018; the names of openai-community/openai-gpt on the hub.
Tested    tests/test_checkpoint_files.py, tests/test_checkpoint_settings.py, tests/peers/test_checkpoint_transformers.py,
          tests/peers/test_variants_transformers.py.
"""
from nanolm import params
from nanolm.checkpoint import fitting, gpt2_names
from nanolm.models import gpt2

ACTIVATIONS = {"gelu": "tanh", "relu": "relu"}
WRITTEN = {"tanh": "gelu", "relu": "relu"}
THEIRS = {"wte.weight": "tokens_embed.weight", "wpe.weight": "positions_embed.weight"}
OURS = {theirs: ours for ours, theirs in THEIRS.items()}


def writes(model, config):
    """Return whether this is the layout in which a model of this config is published."""
    return model is gpt2 and config.norm == "post"


def shapes(model, config):
    """Return the shape of every parameter of such a model, a nested dict."""
    return gpt2.shapes(config)


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return gpt2


def config_from(published, source, flat=None):
    """Return the Config that a config.json (a dict) describes. Raises ValueError, naming the file, for what we do not have."""
    fitting.only(published, {"tie_word_embeddings": (True,)}, source, "GPT")
    form = fitting.activation(published, "afn", "gelu", source, "GPT", ACTIVATIONS)
    c = fitting.fields(published, gpt2_names.CONFIG, source, {"layer_norm_epsilon": 1e-5}, gpt2_names.ALIASES)
    return gpt2.Config(**c, norm="post", form=form)


def config_to(config, model=None):
    """Return config as the dict that transformers keeps in config.json. Raises ValueError for what a GPT there has not."""
    if config.form not in WRITTEN or config.n_hidden not in (0, 4 * config.n_embd):
        raise ValueError(f"transformers' GPT has the forms {' and '.join(WRITTEN)} and MLPs of 4 n_embd channels, but config has "
                         f"form = {config.form!r} and n_hidden = {config.n_hidden}; it cannot be written in that layout.")
    return {"model_type": "openai-gpt", "architectures": ["OpenAIGPTLMHeadModel"], "afn": WRITTEN[config.form],
            "tie_word_embeddings": True,
            **{theirs: getattr(config, ours) for theirs, ours in gpt2_names.CONFIG.items()},
            **{name: config.dropout for name in ("embd_pdrop", "attn_pdrop", "resid_pdrop")}}


def from_published(flat, config, source, model=None):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    fitting.blocks(config, flat, source)
    flat = fitting.renamed(flat, lambda name: OURS.get(name.removeprefix("transformer."), name.removeprefix("transformer.")),
                           source)
    flat = {name: a for name, a in flat.items() if not gpt2_names.NO_PARAMETER.fullmatch(name) and name != "position_ids"}
    return fitting.fitted(fitting.tied(flat, "wte.weight", "lm_head.weight", source), gpt2.shapes(config), source)


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return {"transformer." + THEIRS.get(name, name): a for name, a in params.flatten(p).items()}

"""Llama's published tensors and ours: other names in front, matrices (out, in) in place of (in, out), in GGUF pairs side by side.

    ours                                  transformers                                  GGUF
    embed_tokens.weight                   model.embed_tokens.weight                     token_embd.weight
    layers.0.input_layernorm.weight       model.layers.0.input_layernorm.weight         blk.0.attn_norm.weight
    layers.0.self_attn.q_proj.weight      model.layers.0.self_attn.q_proj.weight ^T     blk.0.attn_q.weight ^T, reordered
    norm.weight                           model.norm.weight                             output_norm.weight
    lm_head.weight                        lm_head.weight ^T                             output.weight ^T

Reordered: rotary.py turns channel i with channel i + D/2 of each head, GGUF's programs channel 2i with 2i + 1. The rows of the
matrices that make q and k are put in the order that each side needs; the scores q . k do not see it.

Settings that do not change what is computed are not looked at: attention_dropout, use_cache, the token ids, how weights were
initialised, and pretraining_tp, which says in which parts the same sum is made.

Tested    tests/test_checkpoint_files.py, tests/test_checkpoint_settings.py, tests/test_checkpoint_gguf.py,
          tests/peers/test_smollm2.py, tests/peers/test_variants_transformers.py.
"""
from nanolm import params
from nanolm.checkpoint import fitting
from nanolm.models import llama

GGUF = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
CONFIG = {"vocab_size": "vocab_size", "max_position_embeddings": "block_size", "num_hidden_layers": "n_layer",
          "num_attention_heads": "n_head", "hidden_size": "n_embd", "intermediate_size": "n_hidden", "rms_norm_eps": "eps"}
ONLY = {"hidden_act": ("silu", "swish"), "attention_bias": (False,), "mlp_bias": (False,), "partial_rotary_factor": (1.0, None),
        "sliding_window": (None,), "tie_word_embeddings": (False, True)}
SCALING = {"linear": ("factor",), "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")}


def writes(model, config):
    """Return whether this is the layout in which a model of this config is published."""
    return model is llama


def shapes(model, config):
    """Return the shape of every parameter of such a model, a nested dict."""
    return llama.shapes(config)


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return llama


def config_from(published, source, flat=None):
    """Return the Config that a config.json (a dict) describes. Raises ValueError, naming the file, for what we do not have."""
    fitting.only(published, ONLY, source, "Llama")
    c = fitting.fields(published, CONFIG, source, {"rms_norm_eps": 1e-6})
    base, scaling = rope(published, source)
    heads, width = (None if published.get(name) is None else fitting.number(published[name], name, source)
                    for name in ("num_key_value_heads", "head_dim"))
    if width is not None and width < 1:                 # to Config 0 means n_embd / n_head
        raise ValueError(f"{source} says head_dim = {width}; a head has at least 2 channels.")
    if width is not None and width * c["n_head"] == c["n_embd"]:
        width = None                                    # the usual
    return llama.Config(**c, n_kv_head=c["n_head"] if heads is None else heads, head_dim=width or 0, base=base, scaling=scaling,
                        tied=published.get("tie_word_embeddings", False))


def rope(published, source):
    """Return base and scaling, rotary's arguments, of a config.json: the table rope_scaling, or rope_parameters (newer).

    Raises ValueError, naming the file, for a type of scaling that rotary.py does not have.
    """
    tables = [published[name] for name in ("rope_scaling", "rope_parameters") if published.get(name)]
    for table in tables:
        if not isinstance(table, dict) or any(isinstance(value, (dict, list)) for value in table.values()):
            raise ValueError(f"{source} says {fitting.shown(table)} of its rotary positions, where a table of numbers belongs.")
    if len(tables) == 2:
        for name in tables[0].keys() & tables[1].keys():
            if tables[0][name] != tables[1][name]:
                raise ValueError(f"{source} says {name} = {fitting.shown(tables[0][name])} in rope_scaling and "
                                 f"{fitting.shown(tables[1][name])} in rope_parameters.")
    table = tables[0] if tables else {}
    base = float(fitting.number(table.get("rope_theta", published.get("rope_theta", 10000.0)), "rope_theta", source))
    if table.get("partial_rotary_factor") not in (None, 1):
        raise ValueError(f"{source} says partial_rotary_factor = {fitting.shown(table['partial_rotary_factor'])}; nanolm's Llama "
                         f"turns all channels.")
    kind = table.get("rope_type") or table.get("type") or "default"
    if kind == "default":
        return base, None
    if kind not in SCALING:
        raise ValueError(f"{source} asks for rotary positions of the type {fitting.shown(kind)}; nanolm has default, "
                         f"{', '.join(SCALING)}.")
    table = {"original_max_position_embeddings": published["max_position_embeddings"], **table}
    if "original_max_position_embeddings" in published:  # transformers, too, takes this one first
        table["original_max_position_embeddings"] = published["original_max_position_embeddings"]
    missing = [name for name in SCALING[kind] if name not in table]
    if missing:
        raise ValueError(f"{source} asks for rotary positions of the type {kind!r}, but does not say {missing[0]!r}.")
    return base, (kind, *(fitting.number(table[name], name, source) for name in SCALING[kind]))


def config_to(config, model=None):
    """Return config as the dict that transformers keeps in config.json."""
    kind, *values = config.scaling or ("default",)
    scaling = {"rope_type": kind, **dict(zip(SCALING.get(kind, ()), values))}
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
            **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()},
            "num_key_value_heads": config.n_kv_head, "head_dim": config.width, "tie_word_embeddings": config.tied,
            "rope_theta": config.base, "rope_scaling": scaling if values else None,                     # before transformers 5
            "rope_parameters": {**scaling, "rope_theta": config.base}, "attention_bias": False, "mlp_bias": False}


def from_published(flat, config, source, model=None):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    fitting.blocks(config, flat, source)
    flat = fitting.renamed({name: a for name, a in flat.items() if not name.endswith("rotary_emb.inv_freq")},
                           lambda name: name.removeprefix("model."), source)
    if config.tied:
        flat = fitting.tied(flat, "embed_tokens.weight", "lm_head.weight", source)
    return fitting.fitted({name: transposed(name, a) for name, a in flat.items()}, llama.shapes(config), source)


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return {name if name.startswith("lm_head") else "model." + name: transposed(name, a) for name, a in params.flatten(p).items()}


def transposed(name, a):
    """Return a linear layer's matrix transposed, (out, in) there, (in, out) here, (RW2); a table of tokens, (V, C), as it is."""
    return a.T if a.ndim == 2 and not name.startswith("embed_tokens") else a


def from_gguf(flat, config, source):
    """Return p from GGUF's tensors, floats by now, a flat dict; names, order of channels and turning as said above."""
    fitting.blocks(config, flat, source)
    ours, unread = {}, dict(flat)
    for name in params.flatten(llama.shapes(config)):
        theirs = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
                  "lm_head.weight": "output.weight"}.get(name) or gguf_name(name)
        if theirs not in unread:
            raise ValueError(f"{source} has no tensor {theirs!r}, which a Llama of its config needs. It is damaged, or "
                             f"another model.")
        a = unread.pop(theirs)
        if ".q_proj." in name or ".k_proj." in name:
            a = halves(a, config.n_head if ".q_proj." in name else config.n_kv_head, source, theirs)
        ours[name] = transposed(name, a)
    if unread:
        raise ValueError(f"{source} has a tensor {min(unread)!r} that nanolm's Llama does not have ({len(unread)} such).")
    return fitting.fitted(ours, llama.shapes(config), source)


def gguf_name(name):
    """Return GGUF's name of a tensor of a block: layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight."""
    _, block, rest = name.split(".", 2)
    return f"blk.{block}.{GGUF[rest.removesuffix('.weight')]}.weight"


def halves(a, heads, source, name):
    """Return the rows (heads D, C) of q or k with the pairs 2i, 2i + 1 of each head put at i, i + D/2."""
    if a.ndim != 2 or a.shape[0] % (2 * heads):
        raise ValueError(f"the tensor {name!r} of {source} has the shape {a.shape}, which {heads} heads do not divide "
                         f"into pairs.")
    D = a.shape[0] // heads
    return a.reshape(heads, D // 2, 2, a.shape[1]).swapaxes(1, 2).reshape(a.shape)

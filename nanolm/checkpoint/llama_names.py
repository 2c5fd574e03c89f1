"""Llama's published tensors and ours: other names in front, matrices (out, in) in place of (in, out), in GGUF pairs side by side.

    ours                                  transformers                                  GGUF
    embed_tokens.weight                   model.embed_tokens.weight                     token_embd.weight
    layers.0.input_layernorm.weight       model.layers.0.input_layernorm.weight         blk.0.attn_norm.weight
    layers.0.self_attn.q_proj.weight      model.layers.0.self_attn.q_proj.weight ^T     blk.0.attn_q.weight ^T, turned
    norm.weight                           model.norm.weight                             output_norm.weight
    lm_head.weight                        lm_head.weight ^T                             output.weight ^T

Turned: rotary.py turns channel i with channel i + D/2 of each head, GGUF's programs channel 2i with 2i + 1. The rows of the
matrices that make q and k are put in the order that each side needs; the scores q . k do not see it.

Tested    tests/test_checkpoint_gguf.py, tests/peers/test_smollm2.py.
"""
from nanolm import params
from nanolm.checkpoint import fitting
from nanolm.models import llama

GGUF = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", 
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
CONFIG = {"vocab_size": "vocab_size", "max_position_embeddings": "block_size", "num_hidden_layers": "n_layer",
          "num_attention_heads": "n_head", "hidden_size": "n_embd", "intermediate_size": "n_hidden", "rms_norm_eps": "eps"}


MODELS = (llama,)


def model_of(published, source):
    """Return the module that computes what a config.json (a dict) describes."""
    return llama


def config_from(published, source, flat=None):
    """Return the Config that a config.json (a dict) describes. Raises ValueError, naming the file, for what we do not have."""
    c = fitting.fields(published, CONFIG, source)
    rope = {}
    for name in ("rope_scaling", "rope_parameters"):    # the older and the newer name
        found = published.get(name) or {}
        if not isinstance(found, dict):
            raise ValueError(f"{source} says {name} = {found!r}, where a table belongs.")
        rope = found or rope
        kind = found.get("rope_type", found.get("type", "default"))
        if kind in ("default", None):
            continue
        raise ValueError(f"{source} asks for rotary positions of the type {kind!r}; nanolm has the plain ones of Llama 1 to 3.0.")
    for name, wanted in (("hidden_act", "silu"), ("attention_bias", False), ("mlp_bias", False)):
        if published.get(name, wanted) != wanted:
            raise ValueError(f"{source} says {name} = {published[name]!r}; nanolm's Llama has {wanted!r} only.")
    return llama.Config(**c, n_kv_head=published.get("num_key_value_heads") or c["n_head"],
                        head_dim=published.get("head_dim") or 0, tied=published.get("tie_word_embeddings", False),
                        base=float(rope.get("rope_theta", published.get("rope_theta", 10000.0))))


def config_to(config, model=None):
    """Return config as the dict that transformers keeps in config.json."""
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
            **{theirs: getattr(config, ours) for theirs, ours in CONFIG.items()},
            "num_key_value_heads": config.n_kv_head, "head_dim": config.width, "tie_word_embeddings": config.tied,
            "rope_theta": config.base, "rope_parameters": {"rope_type": "default", "rope_theta": config.base},
            "attention_bias": False, "mlp_bias": False}


def from_published(flat, config, source, model=None):
    """Return p from transformers' tensors, a flat dict. Raises ValueError that names the file and the tensor."""
    flat = {name.removeprefix("model."): a for name, a in flat.items() if not name.endswith("rotary_emb.inv_freq")}
    if config.tied:
        flat.pop("lm_head.weight", None)                # some files hold the table twice
    return fitting.fitted({name: turned(name, a) for name, a in flat.items()}, llama.shapes(config), source)


def to_published(p):
    """Return the tensors of p as transformers wants them, a flat dict."""
    return {name if name.startswith("lm_head") else "model." + name: turned(name, a) for name, a in params.flatten(p).items()}


def turned(name, a):
    """A linear layer's matrix is (out, in) there and (in, out) here; a table of tokens is (V, C) in both."""
    return a.T if a.ndim == 2 and not name.startswith("embed_tokens") else a


def from_gguf(flat, config, source):
    """Return p from GGUF's tensors, floats by now, a flat dict; names, order of channels and turning as said above."""
    ours = {}
    for name in params.flatten(llama.shapes(config)):
        theirs = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
                  "lm_head.weight": "output.weight"}.get(name) or gguf_name(name)
        if theirs not in flat:
            raise ValueError(f"{source} has no tensor {theirs!r}, which a Llama of its config needs. It is damaged, or "
                             f"another model.")
        a = flat[theirs]
        if ".q_proj." in name or ".k_proj." in name:
            a = halves(a, config.n_head if ".q_proj." in name else config.n_kv_head, source, theirs)
        ours[name] = turned(name, a)
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

"""What a Llama, a BERT or an encoder-decoder costs: parameters and operations, one row a layer, counted from its shapes.

    B sequences of T tokens, N = B T;   C channels a token, D channels a head, H heads, V tokens in the vocabulary

    row                 parameters                FLOPs of forward
    embeddings          V C, and of positions     0, a lookup
    attention           all its arrays            2 N for each number in its matrices, and 4 N T H D for scores and answers
    any other layer     all its arrays            2 N for each number in its matrices; 2 B where one token a text is looked at
    head                0 if it is the embedding again          2 N C V

Counted as in cost.py, where GPT-2's table stands. What forward keeps for backward is not counted here. The source and the target
of an encoder-decoder are taken to have T tokens each. bert_pretraining is counted as its logits: all N tokens; its forward
computes transform and head at the masked ones alone, about a seventh of that.

Source    counting as in Kaplan et al. 2020, arXiv:2001.08361, table 1.
Tested    tests/test_cost_shapes.py, against init and against counted matrix products.
"""
import math

from nanolm import params
from nanolm.models import bert, bert_pretraining, bert_sequence, llama, seq2seq
from nanolm.models.cost import Row

EMBEDDINGS = ("embed_tokens", "wte", "wse", "wpe", "embed", "source_embed", "target_embed")


def rows(model, config, batch_size=1, n_tokens=None):
    """Return one cost.Row for each layer; activations are 0, not counted. model: llama, bert, one of its heads, or seq2seq.

    n_tokens: T, config.block_size by default. Raises ValueError unless batch_size >= 1 and 1 <= n_tokens <= block_size.
    """
    T = config.block_size if n_tokens is None else n_tokens
    if not 1 <= T <= config.block_size:
        raise ValueError(f"n_tokens must lie between 1 and block_size = {config.block_size}, but it is {n_tokens}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, but it is {batch_size}.")
    N, layers = batch_size * T, {}
    for name, shape in params.flatten(shapes(model, config)).items():
        layers.setdefault(layer_of(name), []).append(shape)
    if has_tied_head(model, config):
        layers.setdefault("head", [])
    table = []
    for name, arrays in layers.items():
        part = name.split(".")[-1]
        flops = 2 * N * sum(math.prod(shape) for shape in arrays if len(shape) == 2)
        if part in EMBEDDINGS:
            flops = 0
        elif part in ("pooler", "next") or (part == "classifier" and model is bert_sequence):
            flops //= T                                                     # [CLS] alone is looked at
        elif part.endswith("attn"):
            flops += 4 * N * T * width(model, config)
        elif part == "head" and has_tied_head(model, config):
            flops = 2 * N * config.n_embd * config.vocab_size
        table.append(Row(name, sum(math.prod(shape) for shape in arrays), flops, 0))
    return table


def shapes(model, config):
    """Return the shape of every parameter that the model's forward uses, a nested dict."""
    if model is not bert:
        return model.shapes(config)
    pooler = {"pooler": bert.dense(config.n_embd, config.n_embd)} if config.pooler else {}
    return {"bert": bert.shapes(config), **pooler}


def layer_of(name):
    """Return the layer that a parameter belongs to: "layers.0.self_attn" for "layers.0.self_attn.q_proj.weight"."""
    parts = name.split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[:numbers[0] + 2] if numbers else parts[:-1])


def has_tied_head(model, config):
    """Return True if the logits come from the embedding, read the other way."""
    return model is bert_pretraining or (model is llama and config.tied) or (model is seq2seq and config.shared)


def width(model, config):
    """Return H D, the channels of all heads together."""
    return config.n_head * config.width if model is llama else config.n_embd


def kv_numbers(model, config):
    """Return how many numbers the cache takes for each token (seq2seq: a target and a source token together); BERT: 0."""
    if model is llama:
        return 2 * config.n_layer * config.n_kv_head * config.width
    return 4 * config.n_layer * config.n_embd if model is seq2seq else 0    # its own keys and values, and memory's

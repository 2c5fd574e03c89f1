"""GGUF, the single file in which llama.cpp's programs keep a model: settings, vocabulary and (mostly quantised) weights.

The package `gguf` reads the file and turns the blocks of 4 or 8 bits with their scales into floats; what is ours is which
setting is which field of a Config, and which tensor is which parameter (llama_names.py). Weights take 4 bytes each then: a
model of 135 million parameters 0.54 GB.

Errors    ImportError if gguf is missing; ValueError: a sentence that names the file and what in it nanolm does not have.
Source    the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Tested    tests/test_checkpoint_gguf.py, tests/peers/test_smollm2.py.
"""
from pathlib import Path

import numpy as np

from nanolm.checkpoint import fitting, llama_names
from nanolm.models import llama

FIELDS = {"context_length": "block_size", "block_count": "n_layer", "attention.head_count": "n_head",
          "embedding_length": "n_embd", "feed_forward_length": "n_hidden", "attention.layer_norm_rms_epsilon": "eps"}
VOCABULARY = ("tokens", "merges", "token_type", "pre")


def read(path):
    """Return (config, p, vocabulary, settings) of a GGUF file of Llama's shape.

    vocabulary: {"tokens", "merges", "token_type", "pre"}, for text/hf_tokenizer.py. settings: all other fields that are no lists.
    """
    reader = opened(path)
    try:
        said = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    except Exception as error:                          # a str that is none
        raise damaged(path) from error
    lists = {f"tokenizer.ggml.{name}" for name in ("tokens", "merges", "token_type", "scores")}
    settings = {name: value for name, value in said.items() if name not in lists}
    if settings.get("general.architecture") != "llama":
        raise ValueError(f"{path} holds a model of the architecture {settings.get('general.architecture')!r}; of GGUF files "
                         f"nanolm reads those of Llama's shape ('llama').")
    flat = {tensor.name: floats(tensor, path) for tensor in reader.tensors}
    config = config_from(settings, flat, path)
    vocabulary = {name: said.get(f"tokenizer.ggml.{name}") for name in VOCABULARY}
    return config, llama_names.from_gguf(flat, config, str(path)), vocabulary, settings


def opened(path):
    """Return gguf's reader of the file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        import gguf
    except ImportError as error:
        raise ImportError(f"reading {path} needs the package gguf: pip install gguf.") from error
    try:
        return gguf.GGUFReader(str(path))
    except OSError:
        raise
    except Exception as error:                          # a truncated file ends in IndexError, ValueError, UnicodeDecodeError ...
        raise damaged(path) from error


def damaged(path):
    """Return the error for a file that gguf could not read; what it says itself is for programmers."""
    return ValueError(f"{path} is damaged: it is truncated, or no GGUF file. If it was downloaded, compare its size with the "
                      f"original's.")


def floats(tensor, path):
    """Return one tensor of the file as float32, (out, in) or (n,)."""
    import gguf
    try:
        return np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32)
    except Exception as error:
        raise ValueError(f"the tensor {tensor.name!r} of {path} is stored as {tensor.tensor_type.name}, which could not be "
                         f"turned into floats ({error}).") from error


def config_from(settings, flat, path):
    """Return the llama.Config that the file's settings describe."""
    missing = [name for name in FIELDS if f"llama.{name}" not in settings]
    if missing:
        raise ValueError(f"{path} does not say llama.{missing[0]}. It is damaged, or not a whole model.")

    def number(name, default):
        value = settings.get(f"llama.{name}", default)
        if isinstance(value, list) and len(set(value)) == 1:                # one for each block, all the same
            value = value[0]
        return fitting.number(value, f"llama.{name}", path)

    c = {ours: number(theirs, None) for theirs, ours in FIELDS.items()}
    if "token_embd.weight" not in flat:
        raise ValueError(f"{path} has no tensor 'token_embd.weight'. It is damaged, or not a whole model.")
    c["eps"] = float(np.format_float_positional(np.float32(c["eps"]), unique=True))         # 1e-05, not 9.999999747378752e-06
    try:
        config = llama.Config(**c, vocab_size=len(flat["token_embd.weight"]), head_dim=number("attention.key_length", 0),
                              n_kv_head=number("attention.head_count_kv", c["n_head"]), base=number("rope.freq_base", 10000.0),
                              tied="output.weight" not in flat, scaling=scaling_from(settings, flat, path))
    except (ValueError, TypeError) as error:            # of the Config: it does not know where its numbers came from
        raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    for name in ("rope.dimension_count", "attention.value_length"):
        if number(name, config.width) != config.width:
            raise ValueError(f"{path} says llama.{name} = {settings[f'llama.{name}']}, but its heads have {config.width} "
                             f"channels; nanolm's Llama turns all of them, and has values as wide as keys.")
    return config


def scaling_from(settings, flat, path):
    """Return rotary's scaling. Raises ValueError for one that rotary.py does not have, or that the file does not say in full."""
    kind = settings.get("llama.rope.scaling.type", "linear" if "llama.rope.scale_linear" in settings else "none")
    if "rope_freqs.weight" in flat:
        raise ValueError(f"{path} holds the scaled rotary positions of Llama 3.1 as a tensor, 'rope_freqs.weight', which nanolm "
                         f"does not read. Take the same model in Hugging Face's layout.")
    if kind == "none":
        return None
    if kind != "linear":
        raise ValueError(f"{path} asks for scaled rotary positions ({fitting.shown(kind)}); of GGUF files nanolm reads none and "
                         f"linear.")
    factor = settings.get("llama.rope.scaling.factor", settings.get("llama.rope.scale_linear"))
    return "linear", fitting.number(factor, "llama.rope.scaling.factor", path)

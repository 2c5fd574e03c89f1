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

from nanolm.checkpoint import llama_names
from nanolm.models import llama

FIELDS = {"context_length": "block_size", "block_count": "n_layer", "attention.head_count": "n_head", 
          "embedding_length": "n_embd", "feed_forward_length": "n_hidden", "attention.layer_norm_rms_epsilon": "eps"}
VOCABULARY = ("tokens", "merges", "token_type", "pre")


def read(path):
    """Return (config, p, vocabulary, settings) of a GGUF file of Llama's shape.

    vocabulary: {"tokens", "merges", "token_type", "pre"}, for text/hf_tokenizer.py. settings: all other fields that are no lists.
    """
    reader = opened(path)
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    settings = {name: field.contents() for name, field in fields.items() if not name.startswith("tokenizer.ggml.") or
                name.removeprefix("tokenizer.ggml.") not in ("tokens", "merges", "token_type", "scores")}
    if settings.get("general.architecture") != "llama":
        raise ValueError(f"{path} holds a model of the architecture {settings.get('general.architecture')!r}; of GGUF files "
                         f"nanolm reads those of Llama's shape ('llama').")
    flat = {tensor.name: floats(tensor, path) for tensor in reader.tensors}
    config = config_from(settings, flat, path)
    vocabulary = {name: fields[f"tokenizer.ggml.{name}"].contents() if f"tokenizer.ggml.{name}" in fields else None
                  for name in VOCABULARY}
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
    except Exception as error:                          # a truncated file ends in IndexError, ValueError, UnicodeDecodeError ...
        raise ValueError(f"{path} is damaged, or no GGUF file ({type(error).__name__}: {error}).") from error


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
    missing = [name for name in FIELDS if not isinstance(settings.get(f"llama.{name}"), (int, float))]
    if missing:
        raise ValueError(f"{path} does not say llama.{missing[0]}. It is damaged, or not a whole model.")
    scaling = settings.get("llama.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in flat:
        raise ValueError(f"{path} asks for scaled rotary positions ({scaling}); nanolm has the plain ones of Llama 1 to 3.0.")
    if "token_embd.weight" not in flat:
        raise ValueError(f"{path} has no tensor 'token_embd.weight'. It is damaged, or not a whole model.")
    c = {ours: settings[f"llama.{theirs}"] for theirs, ours in FIELDS.items()}
    c["eps"] = float(np.format_float_positional(np.float32(c["eps"]), unique=True))         # 1e-05, not 9.999999747378752e-06
    return llama.Config(**c, vocab_size=len(flat["token_embd.weight"]), head_dim=settings.get("llama.attention.key_length", 0),
                        n_kv_head=settings.get("llama.attention.head_count_kv", c["n_head"]),
                        base=settings.get("llama.rope.freq_base", 10000.0), tied="output.weight" not in flat)

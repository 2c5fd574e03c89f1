"""Our side of `nanolm bench generate`: functions for the workers (worker.py). Each returns the rows of tokens that it made."""
import numpy as np

from nanolm import kernels as twins
from nanolm.generation import beam, generate, window
from nanolm.generation import int8 as int8_cache
from nanolm.models import gpt2


def model_and_prompts(settings):
    """Return p, config and prompts (batch, prompt), the same for every contestant."""
    config = gpt2.Config(**settings["config"])
    prompts = np.random.default_rng(1).integers(0, config.vocab_size, (settings["batch"], settings["prompt"]))
    return gpt2.init(config, np.random.default_rng(0)), config, prompts


def prepare(kernels, int8=False, **settings):
    """Return {"one", "beam", "batch": function}; each makes settings["tokens"] tokens a row and returns them, rows of ids."""
    twins.use(kernels)
    p, config, prompts = model_and_prompts(settings)
    n, modules = settings["tokens"], {}
    if int8:
        p, modules = int8_cache.quantize(p), {"model": int8_cache, "cache": int8_cache}

    def one():
        return [list(generate.tokens(p, config, prompts[0], n, temperature=0, **modules))]

    def beams():
        best = beam.search(p, config, prompts[0], n, settings["beams"], **modules)[0]
        return [[int(token) for token in best.ids]]

    def batch():
        text = window.Window(p, config, **modules)
        made = [text.read(prompts).argmax(axis=-1)]                         # (batch,) each
        for _ in range(n - 1):
            made.append(text.read(made[-1][:, None]).argmax(axis=-1))
        return np.stack(made, axis=1).tolist()

    return {"one": one, "beam": beams, "batch": batch}

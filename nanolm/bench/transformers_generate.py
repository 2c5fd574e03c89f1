"""The peer of `nanolm bench generate`: transformers' GPT2LMHeadModel, its weights ours, nothing from the network."""
import numpy as np
import torch
import transformers

from nanolm import params as parameters
from nanolm import threads
from nanolm.bench import ours_generate, worker


def prepare(**settings):
    """Return {"one", "beam", "batch": function}, as ours_generate.prepare does."""
    transformers.logging.set_verbosity_error()
    p, config, prompts = ours_generate.model_and_prompts(settings)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=config.vocab_size, n_positions=config.block_size, n_layer=config.n_layer, n_head=config.n_head,
        n_embd=config.n_embd, bos_token_id=None, eos_token_id=None)).eval()
    with torch.no_grad():
        for name, w in parameters.flatten(p).items():
            model.get_parameter("transformer." + name).copy_(torch.from_numpy(w))       # (in, out) there too
    del p
    ids = torch.from_numpy(prompts)

    def write(rows, n=settings["tokens"], **more):
        with torch.inference_mode():
            made = model.generate(rows, attention_mask=torch.ones_like(rows), max_new_tokens=n, min_new_tokens=n, do_sample=False,
                                  use_cache=True, pad_token_id=0, **more)
        return np.asarray(made[:, rows.shape[1]:]).tolist()

    torch.set_num_threads(best_threads(lambda: write(ids[:1], n=4)))
    return {"one": lambda: write(ids[:1]), "beam": lambda: write(ids[:1], num_beams=settings["beams"], length_penalty=0.0),
            "batch": lambda: write(ids)}


def best_threads(function, times=3):
    """Return the number of threads, one or all cores, with which the function is faster: for one token one is often better."""
    took = {}
    for n in (1, threads.cores()):
        torch.set_num_threads(n)
        took[n] = min(worker.run(function, times, skip=1)["seconds"])
    return min(took, key=took.get)

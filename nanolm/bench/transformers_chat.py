"""The peer of `nanolm bench chat`: transformers' LlamaForCausalLM, its weights ours, nothing from the network."""
import numpy as np
import torch
import transformers

from nanolm.bench import ours_chat, transformers_generate
from nanolm.checkpoint import llama_names


def prepare(**settings):
    """Return {"read", "write": function}, as ours_chat.prepare does."""
    transformers.logging.set_verbosity_error()
    p, config, prompt = ours_chat.model_and_prompt(settings)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama_names.config_to(config))).eval()
    with torch.no_grad():
        for name, w in llama_names.to_published(p).items():
            model.get_parameter(name).copy_(torch.from_numpy(np.ascontiguousarray(w)))
    model.tie_weights()
    ids, kept = torch.from_numpy(prompt), transformers.DynamicCache(config=model.config)

    def run(rows, cache):
        with torch.inference_mode():
            return model(rows, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].numpy()

    def read():
        return run(ids, transformers.DynamicCache(config=model.config))

    def write(token, begin):
        more = kept.get_seq_length() - ids.shape[1]
        if begin and more:
            kept.crop(-more)                            # forget the answer of the last time
        return run(torch.tensor([[token]]), kept)

    run(ids, kept)
    reading = transformers_generate.best_threads(read)
    writing = transformers_generate.best_threads(lambda: write(int(prompt[0, 0]), True))
    done = ours_chat.answers(read, write, p, config, settings)

    def on(n, task):
        torch.set_num_threads(n)
        return done[task]()

    return {"read": lambda: on(reading, "read"), "write": lambda: on(writing, "write")}

"""Generation: choose a token, append it, run the model on it, and again.

    z     = logits of the next token, given all tokens so far               window.py: read(prompt)
    repeat n times:
        i = a token drawn from the shares that z and the settings give      sampling.py
        yield i
        z = logits of the next token, given i too                           window.py: read(i), one token's work

Tested    tests/test_generate.py; against transformers in tests/peers/test_generate_transformers.py.
"""
import numpy as np

from nanolm.generation import sampling, window


def tokens(p, config, ids, n, temperature=1.0, top_k=None, top_p=1.0, repetition_penalty=1.0, rng=None,
           policy="slide", use_cache=True, **modules):
    """Return a generator of n token ids (Python ints) that continue the prompt ids (T,), each as soon as it is made.

    rng: a numpy Generator; the same seed gives the same tokens on the same machine. None is enough at temperature 0,
    which draws nothing. The repetition penalty looks at all tokens so far, prompt included. policy, what the model sees
    of a text (or a prompt) longer than its context, and use_cache: see window.py; modules (model=, cache=) bring
    another model than GPT-2.

    Raises, before any work, ValueError or TypeError for a setting that makes no sense (see sampling.check), an empty
    prompt, a negative n, or a missing rng. Raises ValueError on the first token if the prompt holds unknown ids.
    """
    sampling.check(temperature, top_k, top_p, repetition_penalty)
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) == 0:
        raise ValueError(f"ids must be the prompt's token ids, shape (T,) with at least one, but has the shape "
                         f"{ids.shape}.")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"n, the number of tokens to make, must be a whole number, 0 or more, but it is {n!r}.")
    if temperature > 0 and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator, not {rng!r}, because temperature {temperature} draws at "
                        f"random. Make one with np.random.default_rng(seed), or ask for temperature=0.")
    text = window.Window(p, config, policy, use_cache, **modules)

    def steps():                                            # apart, so that the errors above come at the call
        z = text.read(ids[None]) if n else None
        for i in range(n):
            token = sampling.choose(z, text.ids, rng, temperature, top_k, top_p, repetition_penalty)       # (1,)
            yield int(token[0])
            if i + 1 < n:                                   # after the last one nobody wants to know what comes next
                z = text.read(token[None])

    return steps()

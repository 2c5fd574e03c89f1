"""Text generation: a prompt in, text out, piece by piece as it is made.

    prompt --encode--> ids --generate.tokens--> id, id, id ... --stopping.WholeCharacters--> whole characters
           --stopping.StopStrings--> the text up to the first stop string

Rules at the edges. An empty prompt starts from a line break, the token that beginnings of texts most often follow. A
prompt longer than the model's context keeps its end, with a warning that says how much was dropped. What is returned
never holds the prompt, nor the stop string. If max_tokens are made while a character or a possible stop string is half
done, what there is of it is returned: the first as U+FFFD.

Tested    tests/test_generate.py.
"""
import warnings

import numpy as np

from nanolm.generation import generate as generation
from nanolm.generation import stopping


def generate(p, config, tokenizer, prompt="", max_tokens=200, stream=None, **settings):
    """Return the text that continues prompt. stream, if given, is called with each piece (str) as soon as it is final.

    settings: temperature, top_k, top_p, repetition_penalty, stop, seed, policy, use_cache, as in pieces.
    """
    made = []
    for piece in pieces(p, config, tokenizer, prompt, max_tokens, **settings):
        made.append(piece)
        if stream is not None:
            stream(piece)
    return "".join(made)


def pieces(p, config, tokenizer, prompt="", max_tokens=200, temperature=1.0, top_k=None, top_p=1.0,
           repetition_penalty=1.0, stop=(), seed=None, policy="slide", use_cache=True, **modules):
    """Return a generator of non-empty strings that together continue prompt by at most max_tokens tokens.

    stop: strings (or one) before the first of which the text ends. seed: a whole number makes the text reproducible on
    the same machine; None draws another text each time. The other settings: generate.tokens and sampling.py.

    Raises ValueError or TypeError at the call, before any work, if a setting makes no sense, or if tokenizer and model
    have different vocabularies. Warns (UserWarning) if the prompt is longer than the context.
    """
    if not isinstance(prompt, str):
        raise TypeError(f"prompt must be a string, not {type(prompt).__name__}.")
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} tokens and the model {config.vocab_size}: they do "
                         f"not belong together. Load both from the same run.")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
        raise ValueError(f"seed must be a whole number, 0 or more, or None for another text each time, but is "
                         f"{seed!r}.")
    characters, until_stop = stopping.WholeCharacters(tokenizer), stopping.StopStrings(stop)
    ids = prompt_ids(tokenizer, prompt, config.block_size)
    tokens = generation.tokens(p, config, ids, max_tokens, temperature, top_k, top_p, repetition_penalty,
                               np.random.default_rng(seed), policy, use_cache, **modules)

    def steps():                                            # apart, so that the errors above come at the call
        for token in tokens:
            piece = until_stop.feed(characters.feed(token))
            if piece:
                yield piece
            if until_stop.stopped:
                return
        rest = until_stop.feed(characters.flush()) + until_stop.flush()
        if rest:
            yield rest

    return steps()


def prompt_ids(tokenizer, prompt, block_size):
    """Return the ids (T,), 1 <= T <= block_size, that the model starts from; see the rules at the edges above."""
    ids = np.asarray(tokenizer.encode(prompt or "\n"))
    if len(ids) > block_size:
        warnings.warn(f"the prompt has {len(ids)} tokens, but the model sees {block_size}: it starts from the last "
                      f"{block_size} and knows nothing of what stands before.", stacklevel=3)
        ids = ids[-block_size:]
    return ids

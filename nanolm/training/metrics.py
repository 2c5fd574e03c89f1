"""How good is a model? Four numbers about a text that it was not trained on.

    loss                = -(1 / N) sum_i ln P(token i | tokens before it)      nats per token, N predicted tokens (TR2)
    perplexity          = exp(loss)                     between how many equally likely tokens it wavers          (TR3)
    bits per character  = (N loss + ln V) / (ln 2 M)    M characters of the same text                             (TR4)
    accuracy            = share of tokens that it gives the highest probability

Loss and perplexity depend on the tokenizer: longer tokens are fewer and harder to predict. Bits per character do
not: they are the length of the whole text, compressed with the model's predictions, over its number of characters.
They alone can be compared between tokenizers, and with zlib. A model needs one token to start from and so predicts
all but the first; ln V nats, a uniform guess among V tokens, pay for that one.

A model sees at most T = block_size tokens, so the text is measured in windows. Each token is predicted once:

    stride = T       |-------T-------|-------T-------|       a token sees 1 to T tokens, the first of a window few
    stride = T / 2   |-------T-------|
                             |-------T-------|               only the right half counts: T / 2 + 1 to T tokens; two
                                     |-------T-------|       times the work, and a loss that is a little lower

All windows have length T, the last one too: it starts further left, and what was counted before does not count again.

Source    bits per character from token losses: Radford et al. 2019 (GPT-2), section 3.1.
Derived   notebooks/14_training.ipynb.  Tested  tests/test_metrics.py.
"""
import math

import numpy as np

from nanolm.layers import cross_entropy
from nanolm.training import parallel
from nanolm.training.step import IGNORED

LOGITS_AT_ONCE = 2**22                                  # numbers; 16 MiB of float32 logits a worker


def windows(ids, block_size, stride):
    """Return inputs and targets, (W, T) int64 each: every id but the first is a target exactly once, else IGNORED.

    T = min(block_size, len(ids) - 1). Raises ValueError if ids has fewer than two tokens, or unless
    1 <= stride <= block_size.
    """
    if len(ids) < 2:
        raise ValueError(f"the text to evaluate has {len(ids)} tokens; at least 2 are needed, one to see and one to "
                         f"predict.")
    if not 1 <= stride <= block_size:
        raise ValueError(f"stride is {stride}; it must lie between 1 and block_size = {block_size}, or tokens would be "
                         f"skipped.")
    T = min(block_size, len(ids) - 1)
    ends = [T]                                          # window: inputs ids[end - T:end], targets one to the right
    while ends[-1] < len(ids) - 1:
        ends.append(min(ends[-1] + stride, len(ids) - 1))
    rows = np.array(ends)[:, None] - T + np.arange(T)   # (W, T) positions of the inputs
    inputs, targets = ids[rows].astype(np.int64), ids[rows + 1].astype(np.int64)
    for k in range(1, len(ends)):
        targets[k, :T - (ends[k] - ends[k - 1])] = IGNORED      # counted in the window before
    return inputs, targets


def evaluate(model, p, config, ids, n_characters, stride=None, workers=1, mapped=parallel.ordered_map):
    """Return {"loss", "perplexity", "bits_per_character", "accuracy", "tokens"} of the model on the text `ids`.

    model          module with logits(p, ids, config) -> (B, T, V)
    ids            (M,) integers, the tokenized text
    n_characters   how many characters the same text has
    stride         see above; None: block_size
    mapped         what computes the pieces of the text: parallel.ordered_map, or that of several ranks
    Dropout is off. Raises ValueError as windows does.
    """
    inputs, targets = windows(ids, config.block_size, config.block_size if stride is None else stride)
    rows = max(1, LOGITS_AT_ONCE // (inputs.shape[1] * config.vocab_size))
    pieces = [slice(start, start + rows) for start in range(0, len(inputs), rows)]

    def measure(piece):
        logits, counted = model.logits(p, inputs[piece], config), targets[piece] != IGNORED
        mean, _ = cross_entropy.forward(logits, targets[piece], ignore_index=IGNORED)
        n = int(counted.sum())
        hits = int(((logits.argmax(axis=-1) == targets[piece]) & counted).sum())
        return n * float(mean), hits, n                 # sums, not means: the last piece may be smaller

    nats, hits, tokens = map(sum, zip(*mapped(measure, pieces, workers)))
    loss = nats / tokens                                # (TR2)
    return {"loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),   # (TR3); exp(710) overflows
            "bits_per_character": (nats + math.log(config.vocab_size)) / math.log(2) / n_characters,        # (TR4)
            "accuracy": hits / tokens,
            "tokens": tokens}

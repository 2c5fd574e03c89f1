"""BERT's masking: hide some tokens of a text, for the model to guess them.

    15 % of the tokens are chosen, never [CLS], [SEP] or padding. Of those that are chosen                      (MK1)
        80 %   become [MASK]
        10 %   become a random token of the vocabulary
        10 %   stay what they are
    targets: the token that stood there, where one was chosen; -100, which does not count, everywhere else      (MK2)

Why not [MASK] always: there is no [MASK] in the texts on which the model is used later. As any token may have been
replaced by another, the model must keep a good picture of every one of them, not of the [MASK] tokens alone.

Each token is chosen by a coin of its own, so the number differs from text to text, and a short one may go without. A
random token may be any of the vocabulary, special ones and the right one included, as in the published code.

Source    Devlin et al. 2018, arXiv:1810.04805, section 3.1, task 1, and appendix A.1; random tokens: its published code,
          which chooses 15 % of each text, rounded, at least one.
Tested    tests/test_masking.py.
"""
import numpy as np

IGNORE = -100


def masked(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15):
    """Return inputs and targets, arrays of integers shaped like ids, by (MK1) and (MK2). ids is not changed.

    ids      integers of any shape, 0 <= id < vocab_size
    mask_id  the id of [MASK]
    special  the ids that are never chosen: [CLS], [SEP], [PAD], and what else is no word
    rng      a numpy.random.Generator. The same generator gives the same places; call it anew for every epoch.
    tokens   booleans shaped like ids, False = padding, for padding that holds other ids than special ones; None: none
    share    how many of the tokens are chosen, 0 to 1

    Raises TypeError or ValueError if something does not fit.
    """
    check_arguments(ids, vocab_size, mask_id, special, rng, tokens, share)
    may = ~np.isin(ids, np.asarray(list(special), dtype=np.int64))
    if tokens is not None:
        may &= tokens
    chosen = may & (rng.random(ids.shape) < share)
    coin = rng.random(ids.shape)                                            # a second one for each token
    other = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    inputs = np.where(chosen & (coin < 0.8), ids.dtype.type(mask_id), ids)
    inputs = np.where(chosen & (coin >= 0.8) & (coin < 0.9), other, inputs)
    targets = np.where(chosen, ids.astype(np.int64), IGNORE)                # unsigned integers cannot hold -100
    return inputs, targets


def check_arguments(ids, vocab_size, mask_id, special, rng, tokens, share):
    """Raise TypeError or ValueError, with a sentence, unless the arguments of masked fit together."""
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        kind = f"an array of {ids.dtype}" if isinstance(ids, np.ndarray) else f"a {type(ids).__name__}"
        raise TypeError(f"ids must be a NumPy array of integers, but it is {kind}. Make one with np.asarray(ids).")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
        raise ValueError(f"ids must lie between 0 and vocab_size - 1 = {vocab_size - 1}, but they reach from {ids.min()} to "
                         f"{ids.max()}. Does vocab_size belong to this tokenizer?")
    if not isinstance(special, (list, tuple, set, frozenset, dict, np.ndarray)):
        raise TypeError(f"special must be a list of ids, but it is {special!r}. Write [{special!r}].")
    for name, value in [("mask_id", mask_id), *(("special", one) for one in special)]:
        if not isinstance(value, (int, np.integer)) or not 0 <= value < vocab_size:
            raise ValueError(f"{name} must hold ids between 0 and vocab_size - 1 = {vocab_size - 1}, but it holds {value!r}.")
    if tokens is not None and (not isinstance(tokens, np.ndarray) or tokens.dtype != bool or tokens.shape != ids.shape):
        what = f"{tokens.dtype} {tokens.shape}" if isinstance(tokens, np.ndarray) else type(tokens).__name__
        raise ValueError(f"tokens must be an array of booleans shaped like ids, {ids.shape}, False = padding, but it is {what}.")
    if not isinstance(share, (int, float, np.floating)):
        raise TypeError(f"share must be a number, but it is {share!r}.")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, but it is {share}.")

"""LoRA: fine-tune a large matrix by a small one. The published weight stays; what is learned is a product of two thin ones.

    W' = W + (alpha / r) A B            W (I, O) frozen,   A (I, r), B (r, O) learned,   r much smaller than I and O    (LR1)

In the beginning B = 0, so W' = W: fine-tuning starts from exactly the published model. The gradients follow from that of W',
which the model's backward gives anyway. With s = alpha / r, dW the gradient by W':

    dA = s dW B^T,      dB = s A^T dW                                                                                   (LR2)

(One entry, W'_io = W_io + s sum_k A_ik B_ko: so dA_ik = sum_o dW_io s B_ko, and dB_ko = sum_i s A_ik dW_io.)

A begins random, with the mean 0 and the variance 1 / r. Then A A^T is the identity on average, and the first step, which moves
B alone, moves W' by -lr s^2 A A^T dW: the step of full fine-tuning, seen through r random directions.

    E[A A^T]_ij = sum_k E[A_ik A_jk] = r (1 / r) [i = j] = [i = j]                                                      (LR3)

So no layer and no model has to know: form W', run the model, turn its gradient into those of A and B. Any matrix of any model
will do, by its dotted name. What it saves is what has to be kept for each weight that learns, and what has to be stored: for
GPT-2 small with r = 8 on the matrices of attention, 0.44 million numbers in place of 124 million have Adam's two averages
(3.5 MB, not 1 GB) and go into the file. What it does not save, in this form, is the product that makes dW; computing
x A B beside x W would save it, and would put a second path into every layer.

    adapters    flat dict {"h.0.attn.c_attn.weight.lora_a": A, "....lora_b": B}

Source    Hu et al. 2021, arXiv:2106.09685, eq. 3 and section 4.1.
Tested    tests/test_lora.py.
"""
from fnmatch import fnmatchcase

import numpy as np

from nanolm import params as parameters

A, B = ".lora_a", ".lora_b"


def init(p, patterns, rank, rng, whole=()):
    """Return fresh adapters for every matrix of p whose dotted name fits one of `patterns` ("h.*.attn.*.weight").

    A is normal with standard deviation 1 / sqrt(rank), B zero; both of W's dtype. rng: a numpy.random.Generator. whole: patterns
    of parameters that learn as they are, beside the adapters: a new head, say ("classifier.*"); a copy of each is among them.
    Raises ValueError if rank is below 1 or no smaller than a side of a matrix, or if a pattern fits no matrix; TypeError if rng
    is no Generator.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, but it is a {type(rng).__name__}. "
                        f"Make one with np.random.default_rng(seed).")
    matrices = {name: w for name, w in parameters.flatten(p).items() if w.ndim == 2}
    found = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        fitting = [name for name in matrices if fnmatchcase(name, pattern)]
        if not fitting:
            raise ValueError(f"the pattern {pattern!r} fits no matrix of this model. Its matrices: "
                             f"{', '.join(list(matrices)[:8])} ...")
        found |= {name: matrices[name] for name in fitting}
    adapters = {}
    for name, w in found.items():
        if isinstance(rank, bool) or not isinstance(rank, (int, np.integer)) or not 1 <= rank < min(w.shape):
            raise ValueError(f"rank must be a whole number of at least 1 and below both sides of every matrix, but it is "
                             f"{rank!r}, and {name} is {w.shape}.")
        adapters[name + A] = (rng.standard_normal((w.shape[0], rank)) / rank**0.5).astype(w.dtype)       # (LR3)
        adapters[name + B] = np.zeros((rank, w.shape[1]), w.dtype)
    for pattern in [whole] if isinstance(whole, str) else whole:
        fitting = {name: w.copy() for name, w in parameters.flatten(p).items() if fnmatchcase(name, pattern)}
        if not fitting or any(name in found for name in fitting):
            why = "a matrix that has an adapter too" if fitting else "no parameter"
            raise ValueError(f"the pattern {pattern!r} in whole fits {why}.")
        adapters |= fitting
    return adapters


def names(adapters):
    """Return the names of the matrices that have adapters."""
    return [name.removesuffix(A) for name in adapters if name.endswith(A)]


def wholes(adapters):
    """Return the names of the parameters that learn as they are."""
    return [name for name in adapters if not name.endswith((A, B))]


def merged(p, adapters, alpha=16.0):
    """Return parameters with W' for W, (LR1); all arrays without adapters are shared with p, and p is not changed.

    Merged once and for all, they are a model like any other: as fast as before, to be saved as before.
    """
    flat = dict(parameters.flatten(p))
    for name in [*names(adapters), *wholes(adapters)]:
        if name not in flat:
            raise ValueError(f"the adapters are for a matrix {name!r}, which p does not have. They belong to another model.")
    for name in wholes(adapters):
        flat[name] = adapters[name]
    for name in names(adapters):
        a, b = adapters[name + A], adapters[name + B]
        flat[name] = flat[name] + (float(alpha) / a.shape[1]) * (a @ b)         # (LR1)
    return parameters.unflatten(flat)


def backward(dp, adapters, alpha=16.0):
    """Return the gradients of the adapters, a flat dict with their names, from dp, the gradients by the merged parameters."""
    flat = parameters.flatten(dp)
    gradients = {name: flat[name] for name in wholes(adapters)}
    for name in names(adapters):
        a, b, dw = adapters[name + A], adapters[name + B], flat[name]
        s = float(alpha) / a.shape[1]
        gradients[name + A] = s * (dw @ b.T)                                    # W' = W + s a b, (LR2)
        gradients[name + B] = s * (a.T @ dw)                                    # (LR2)
    return gradients

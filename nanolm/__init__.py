"""nanolm: language models in plain NumPy, every forward and every backward pass by hand.

    layers      one file a layer: forward(...) -> y, cache and backward(dy, cache) -> gradients
    models      GPT-2: config, init, forward, backward
    text        tokenizers
    data        corpora and batches
    training    optimizers, schedules, the trainer, checkpoints
    generation  sampling, beam search, the key-value cache
    gradcheck   numerical derivatives and the report
    kernels     fast twins of the layers, compiled by Numba
    cli         the command `nanolm`

Importing nanolm loads none of these: write `from nanolm.layers import layernorm`. Start to read at
layers/linear.py, then follow the imports up to models/gpt2.py.
"""
import os

__version__ = "0.1.0"

_asked = os.environ.get("NANOLM_KERNELS")
if _asked == "numba":                                    # from the first import on
    from nanolm import kernels

    kernels.use("numba")
elif _asked not in (None, "", "numpy"):
    import warnings

    warnings.warn(f"NANOLM_KERNELS is {_asked!r} in the environment; it must be \"numba\" or \"numpy\". It is ignored.")

"""Read and write safetensors, the file format of the published checkpoints: named arrays and a header of text.

    8 bytes: length of the header | header: JSON of names, dtypes, shapes, places | the arrays, one after the other

A reader that knows JSON can read it; nothing in it is ever executed.

Source    https://github.com/huggingface/safetensors
Tested    tests/test_checkpoint.py.
"""
from pathlib import Path

import numpy as np


def to_bytes(arrays, metadata=None):
    """Return the bytes of a safetensors file: a flat dict of arrays, and a dict {str: str} for its header.

    The same arrays and at most one entry of metadata give the same bytes; of several, the library draws the order.

    The library copies the memory of an array as it lies, so an array that is a transposed view would be written in
    the wrong order; ascontiguousarray puts it in order first.
    """
    from safetensors.numpy import save
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=metadata or {})


def read(path):
    """Return the arrays and the header's text, {str: str}, of a safetensors file.

    Raises FileNotFoundError, or ValueError if it is no whole safetensors file, with a sentence that names it.
    """
    from safetensors import SafetensorError, safe_open
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, TypeError, KeyError) as error:     # TypeError, KeyError: a dtype that NumPy does not have
        raise ValueError(f"{path} is damaged: it is truncated or not a safetensors file ({error}).") from error

"""The tensors of a folder in Hugging Face's layout: one safetensors file, several with an index, or PyTorch's own format.

    model.safetensors                       names and arrays, and nothing that could be executed
    model.safetensors.index.json            {"weight_map": {name: file}}: the arrays are spread over several files
    pytorch_model.bin                       a pickle: read by PyTorch only, with weights_only, which refuses to run code

float16 and bfloat16 become float32. (bfloat16 is the upper half of a float32; NumPy has no such type.)

Errors    FileNotFoundError, ValueError: a sentence that names the file, and the tensor where it is one.
Tested    tests/test_checkpoint_files.py, tests/test_checkpoint_damaged.py.
"""
from pathlib import Path

import numpy as np

from nanolm import files
from nanolm.checkpoint import fitting

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
          "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}


def read(folder):
    """Return (flat dict of arrays, the name of what they were read from)."""
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return safetensors(folder / "model.safetensors"), str(folder / "model.safetensors")
    if index.is_file():
        return shards(index), str(index)
    if (folder / "pytorch_model.bin").is_file():
        return pickled(folder / "pytorch_model.bin"), str(folder / "pytorch_model.bin")
    raise FileNotFoundError(f"{folder} holds no weights: neither model.safetensors, nor model.safetensors.index.json, nor "
                            f"pytorch_model.bin.")


def safetensors(path):
    """Return the arrays of one safetensors file, a flat dict."""
    from safetensors import SafetensorError, deserialize
    try:
        tensors = deserialize(Path(path).read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: it is truncated or not a safetensors file ({error}).") from error
    return {name: array(tensor, name, path) for name, tensor in tensors}


def array(tensor, name, path):
    """Return safetensors' {"dtype", "shape", "data"} as a NumPy array."""
    kind, shape, data = tensor["dtype"], tensor["shape"], tensor["data"]
    if kind == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind not in DTYPES:
        raise ValueError(f"the tensor {name!r} of {path} holds {kind}, which nanolm does not read. It reads F16, BF16, "
                         f"F32 and F64.")
    return np.frombuffer(data, DTYPES[kind]).reshape(shape)


def shards(index):
    """Return the arrays that an index spreads over several files, a flat dict. Only files beside the index are opened.

    (A link beside it is followed: the hub's own cache is made of links.)
    """
    where = files.read_json(index)
    where = where.get("weight_map") if isinstance(where, dict) else None
    if not isinstance(where, dict) or not where or not all(isinstance(file, str) for file in where.values()):
        raise ValueError(f"{index} holds no table from tensors to files ('weight_map').")
    found = {}
    for file in sorted(set(where.values())):
        if Path(file).name != file or len(file) > 255 or "\0" in file:
            raise ValueError(f"{index} names the file {fitting.shown(file)}, which is not beside it. Nothing outside of its "
                             f"folder is opened.")
        if not (index.parent / file).is_file():
            raise FileNotFoundError(f"{index} names the file {file!r}, but there is none beside it. The download may be "
                                    f"incomplete.")
        for name, a in safetensors(index.parent / file).items():
            if name in found:
                raise ValueError(f"{index.parent / file} holds the tensor {fitting.shown(name)}, which another file of {index} "
                                 f"holds too. Which one is meant cannot be known.")
            found[name] = a
    missing = sorted(set(where) - set(found))
    if missing:
        raise ValueError(f"{index} promises the tensor {fitting.shown(missing[0])} in {where[missing[0]]!r}, but it is not "
                         f"there.")
    return found


def pickled(path):
    """Return the arrays of a pytorch_model.bin, a flat dict, if PyTorch is installed."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{path} is in PyTorch's own format, a pickle, which can hold code; only PyTorch can read it without "
                          f"running any. Install torch, or ask for the same model as model.safetensors.") from error
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:                          # pickle.UnpicklingError, and whatever a damaged file causes
        raise ValueError(f"{path} was not read: it holds more than tensors, or is damaged. Ask for the same model as "
                         f"model.safetensors.") from error
    if not isinstance(tensors, dict) or not all(isinstance(name, str) and torch.is_tensor(t) for name, t in tensors.items()):
        raise ValueError(f"{path} does not hold a table of tensors by their names.")
    return {name: unwrapped(t, name, path, torch) for name, t in tensors.items()}


def unwrapped(t, name, path, torch):
    """Return PyTorch's tensor as an array. Raises ValueError for a kind that NumPy does not have: sparse, quantised, float8."""
    try:
        t = t.detach().resolve_conj().resolve_neg()
        return (t.float() if t.dtype in (torch.bfloat16, torch.float16) else t).numpy()
    except (RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
        raise ValueError(f"the tensor {name!r} of {path} is of a kind that nanolm does not read ({t.dtype}, {t.layout}). It "
                         f"reads plain ones of float16, bfloat16, float32 and float64.") from error

"""Do the tensors of a file fit the model that its config describes? If not, a sentence names the file and the first misfit."""
import numpy as np

from nanolm import params

FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))


def fields(published, names, source):
    """Return {ours: value} of a config.json (a dict), names = {theirs: ours}.

    Raises ValueError, naming the file, if one is missing or no number.
    """
    missing = [name for name in names if name not in published]
    if missing:
        raise ValueError(f"{source} does not say {missing[0]!r}. It is not the config.json of such a model, or it is damaged.")
    wrong = [name for name in names if isinstance(published[name], bool) or not isinstance(published[name], (int, float))]
    if wrong:
        raise ValueError(f"{source} says {wrong[0]} = {published[wrong[0]]!r}, where a number belongs.")
    return {ours: published[theirs] for theirs, ours in names.items()}


def fitted(flat, shapes, source, dtype=np.float32):
    """Return the nested dict of flat's arrays in the order and shapes of `shapes`, as contiguous `dtype`.

    Raises ValueError, naming source and the first tensor, if one is missing, too much, of another shape, or holds no floats.
    """
    wanted = params.flatten(shapes)
    for name, shape in wanted.items():
        if name not in flat:
            raise ValueError(f"{source} has no tensor {name!r} (by nanolm's names), which its config asks for. It is truncated, "
                             f"or its config.json belongs to another model.")
        if flat[name].dtype not in FLOATS:
            raise ValueError(f"the tensor {name!r} of {source} holds {flat[name].dtype}; nanolm reads float16, bfloat16, "
                             f"float32 and float64.")
        if flat[name].shape != tuple(shape):
            raise ValueError(f"the tensor {name!r} of {source} has the shape {flat[name].shape}, but its config asks for "
                             f"{tuple(shape)} (by nanolm's layout, in x out).")
    extra = sorted(set(flat) - set(wanted))
    if extra:
        more = f", and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(f"{source} has a tensor {extra[0]!r} (by nanolm's names) that such a model does not have{more}. Its "
                         f"config.json may belong to another model.")
    return params.unflatten({name: np.ascontiguousarray(flat[name], dtype) for name in wanted})

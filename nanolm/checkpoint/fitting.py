"""Does a config.json say what nanolm has, and do the tensors fit it? If not, a sentence names the file and the first misfit.

Tested    tests/test_checkpoint_settings.py, tests/test_checkpoint_damaged.py.
"""
import numpy as np

from nanolm import files, params

FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))
ACTIVATIONS = {"gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh",
               "relu": "relu"}                          # transformers' names, and layers/mlp.py's forms
ALL_MODELS = {"quantization_config": (None,), "pruned_heads": (None, {}), "add_cross_attention": (False, None)}


def settings(path):
    """Return the dict that config.json holds. Raises FileNotFoundError, or ValueError if it is no JSON or no table."""
    published = files.read_json(path)
    if not isinstance(published, dict):
        raise ValueError(f"{path} holds no table of settings, but {shown(published)}. It is no model's config.json.")
    return published


def shown(value):
    """Return value as a sentence shows it, cut if it is long."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def number(value, what, source):
    """Return value, if it is a finite number of a size that can mean something. Raises ValueError that names the file."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -2**63 < value < 2**63:
        raise ValueError(f"{source} says {what} = {shown(value)}, where a number belongs.")
    return value


def fields(published, names, source, defaults=(), aliases=()):
    """Return {ours: number} of a config.json (a dict), names = {theirs: ours}.

    defaults: {theirs: value}, for what transformers leaves out; aliases: {theirs: another name that it takes}.
    Raises ValueError, naming the file, if one is missing, no number, or said twice with two values.
    """
    found, defaults = {}, dict(defaults)
    for theirs, ours in names.items():
        said = [name for name in (theirs, dict(aliases).get(theirs)) if name in published]
        if not said and theirs not in defaults:
            raise ValueError(f"{source} does not say {theirs!r}. It is not the config.json of such a model, or it is damaged.")
        values = [number(published[name], name, source) for name in said]
        if len(set(values)) > 1:
            raise ValueError(f"{source} says {said[0]} = {values[0]}, but {said[1]} = {values[1]}, and the two mean the same.")
        found[ours] = values[0] if said else defaults[theirs]
    return found


def only(published, table, source, model):
    """Raise ValueError, naming the file, unless each setting has one of the values that nanolm computes.

    table: {theirs: (the value if nothing is said, others that are as good)}. model: "GPT-2", for the sentence.
    """
    for name, allowed in {**ALL_MODELS, **table}.items():
        if published.get(name, allowed[0]) not in allowed:
            raise ValueError(f"{source} says {name} = {shown(published[name])}; nanolm's {model} has "
                             f"{' or '.join(map(repr, allowed))} only.")


def activation(published, name, default, source, model, known=ACTIVATIONS):
    """Return the form, as layers/mlp.py calls it, of the activation that a config.json names."""
    said = published.get(name, default)
    if not isinstance(said, str) or said not in known:
        raise ValueError(f"{source} says {name} = {shown(said)}; nanolm's {model} has {', '.join(known)}.")
    return known[said]


def blocks(config, flat, source):
    """Raise ValueError if the config asks for more blocks than the file has tensors: no list of so many is made then."""
    if config.n_layer > len(flat):
        raise ValueError(f"{source} has {len(flat)} tensors, too few for the {config.n_layer} blocks that its config asks for.")


def renamed(flat, name_of, source):
    """Return {name_of(name): array}. Raises ValueError, naming the file, if two become one."""
    ours = {}
    for name, a in flat.items():
        if name_of(name) in ours:
            raise ValueError(f"{source} has the tensor {name!r} twice, under two names of one meaning.")
        ours[name_of(name)] = a
    return ours


def tied(flat, table, head, source):
    """Return flat without the tensor `head`, which must be `table` once more; a file may hold either or both.

    Raises ValueError, naming the file, if they differ.
    """
    rest = {name: a for name, a in flat.items() if name != head}
    if head not in flat:
        return flat
    if table in flat and not np.array_equal(flat[table], flat[head], equal_nan=flat[head].dtype in FLOATS):
        raise ValueError(f"{source} has a tensor {head!r} that differs from {table!r}, though its config says, or means, that "
                         f"the two are one (tie_word_embeddings).")
    return {table: flat[head], **rest}


def fitted(flat, shapes, source, dtype=np.float32):
    """Return the nested dict of flat's arrays in the order and shapes of `shapes`, as contiguous `dtype` (None: as they are).

    Raises ValueError, naming source and the first tensor, if one is missing, too much, of another shape, or holds no floats.
    """
    wanted = params.flatten(shapes)
    for name, shape in wanted.items():
        if name not in flat:
            raise ValueError(f"{source} has no tensor {name!r} (by nanolm's names), which its config asks for. It is truncated, "
                             f"or its config.json belongs to another model.")
        check_floats(flat[name], name, source)
        if flat[name].shape != tuple(shape):
            raise ValueError(f"the tensor {name!r} of {source} has the shape {flat[name].shape}, but its config asks for "
                             f"{tuple(shape)} (by nanolm's layout, in x out).")
    extra = sorted(set(flat) - set(wanted))
    if extra:
        more = f", and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(f"{source} has a tensor {extra[0]!r} (by nanolm's names) that such a model does not have{more}. Its "
                         f"config.json may belong to another model.")
    return params.unflatten({name: np.ascontiguousarray(flat[name], dtype) for name in wanted})


def check_floats(a, name, source):
    """Raise ValueError, naming the file and the tensor, unless it holds floats."""
    if a.dtype not in FLOATS:
        raise ValueError(f"the tensor {name!r} of {source} holds {a.dtype}; nanolm reads float16, bfloat16, float32 and "
                         f"float64.")


def not_finite(p):
    """Return the names of the tensors of p, a nested dict, that hold a NaN or an infinite number."""
    return [name for name, a in params.flatten(p).items() if not np.isfinite(a).all()]

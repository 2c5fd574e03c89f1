"""Parameters are nested dicts of arrays; this file turns them into flat dicts with dotted names, and back.

    {"h": {"0": {"ln_1": {"weight": w}}}}    <->    {"h.0.ln_1.weight": w}

The nested form routes itself: `layernorm.forward(x, **p["ln_1"])`. The flat form is what optimizers and files
want: one name, one array. Both hold the very same arrays, never copies. Gradients have the same two forms.
"""


def flatten(p, prefix=""):
    """Return {dotted name: array} in the order of p. The arrays are shared with p, not copied."""
    flat = {}
    for key, value in p.items():
        if isinstance(value, dict):
            flat.update(flatten(value, prefix + key + "."))
        else:
            flat[prefix + key] = value
    return flat


def unflatten(flat):
    """Return the nested dict whose flatten is `flat`. The arrays are shared, not copied.

    Raises ValueError if one name is the beginning of another ("a" and "a.b"): "a" cannot be both array and dict.
    """
    p = {}
    for name, array in flat.items():
        *path, last = name.split(".")
        node = p
        for key in path:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ValueError(f"the names of the parameters clash: a part of {name!r} is itself the name of an array.")
        if last in node:
            raise ValueError(f"the names of the parameters clash: {name!r} is also the beginning of a longer name.")
        node[last] = array
    return p


def count(p):
    """Return how many numbers p holds. A tied matrix stands in p once and counts once."""
    return sum(array.size for array in flatten(p).values())

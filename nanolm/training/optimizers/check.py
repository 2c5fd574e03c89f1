"""The sentences an optimizer says when parameters and gradients do not fit together."""


def gradients(params, grads):
    """Raise ValueError unless grads has exactly the names and shapes of params."""
    for name, w in params.items():
        if name not in grads:
            raise ValueError(f"there is no gradient for the parameter {name!r}. Every parameter needs one; pass only "
                             f"the parameters that are to be trained.")
        if grads[name].shape != w.shape:
            raise ValueError(f"the gradient of {name!r} has shape {grads[name].shape}, but the parameter has shape "
                             f"{w.shape}. They must be equal.")
    for name in grads:
        if name not in params:
            raise ValueError(f"there is a gradient for {name!r}, but no parameter of that name.")

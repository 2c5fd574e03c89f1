"""check_model(gpt2, p, ids, targets, config): is model.backward the gradient of the loss by every parameter?

A model's parameters are too many to move one by one, so each tensor is tested along one random direction
(directions.py). If a tensor is wrong, the first wrong entry is found by halving. All else is `check`: shapes, keys,
what was written to, the second call, float32.
"""
from nanolm.gradcheck import arguments, checker, weak


def check_model(model, p, *args, wrt=None, method="auto", seed=0, rtol=None, atol=None, h=1e-4, float32=True, **kwargs):
    """Return a Report on dp = model.backward(cache), where loss, cache = model.forward(p, *args, **kwargs).

    p: nested dict of float64 arrays; args: what else forward takes, such as ids, targets, config. For the other
    options see check. Parameters fresh from init have gains of one and biases of zero, which hide mistakes: if all is
    right with them, the check is done again with random ones. Raises TypeError for float32 parameters: make them with
    init(config, rng, np.float64).
    """
    for key in ("forward", "backward"):
        if not callable(getattr(model, key, None)):
            raise TypeError(f"check_model needs a model, a module with forward and backward, "
                            f"but {model!r} has no {key}.")
    layer = checker.ending_in_loss(model)
    call = arguments.bind(model.forward, (p, *args), kwargs)
    notes = [note for note in weak.notes(call) if "everywhere" in note]            # equal axes abound in a model
    return checker.examine_twice(layer, call, notes, wrt=wrt, method=method, seed=seed, rtol=rtol, atol=atol,
                                 upstream=1.0, h=h, float32=float32, elementwise=False)

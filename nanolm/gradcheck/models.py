"""check_model(gpt2, p, ids, targets, config): is model.backward the gradient of the loss by every parameter?

A model's parameters are too many to move one by one, so each tensor is tested along one random direction
(directions.py). If a tensor is wrong, the first wrong entry is found by halving. All else is `check`: shapes, keys,
what was written to, the second call, float32.
"""
from nanolm.gradcheck import arguments, checker, weak


def check_model(model, p, *args, wrt=None, method="auto", seed=0, rtol=None, atol=None, h=1e-4, float32=True, **kwargs):
    """Return a Report on dp = model.backward(cache), where loss, cache = model.forward(p, *args, **kwargs).

    p: nested dict of float64 arrays; args: what else forward takes, such as ids, targets, config. For the other
    options see check. Parameters fresh from init have gains of one and biases of zero: use `cases.randomised(p, rng)`
    for a test that is not blind to them. Raises TypeError for float32 parameters: make them with init(config, rng,
    np.float64).
    """
    for key in ("forward", "backward"):
        if not callable(getattr(model, key, None)):
            raise TypeError(f"check_model needs a model, a module with forward and backward, "
                            f"but {model!r} has no {key}.")
    layer = checker.ending_in_loss(model)
    call = arguments.bind(model.forward, (p, *args), kwargs)
    report = checker.examine(layer, call, wrt, method, seed, rtol, atol, upstream=1.0, h=h, float32=float32,
                             elementwise=False)
    report.notes += [n for n in weak.notes(call) if "everywhere" in n]
    return report

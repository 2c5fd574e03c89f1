"""Stochastic gradient descent: a small step against the gradient.

    w <- w - lr g                                                                                               (OP1)

    g    gradient of the loss by w, on one batch: the true gradient plus noise, hence "stochastic"
    lr   learning rate; in units of w^2 per unit of loss, so no single value suits all tensors (see adam.py);
         below 2 / curvature, or the steps grow

Source    Robbins, Monro 1951, "A stochastic approximation method", Ann. Math. Statist. 22(3).
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_optimizers.py, tests/peers/test_optimizers_torch.py.
"""
from nanolm.training import groups as grouping
from nanolm.training.optimizers import check


def init(params):
    """Return the state {"t": 0}: SGD remembers nothing but the number of steps."""
    return {"t": 0}


def step(params, grads, state, lr, groups=None):
    """Move every array of params by one step, in place; `grads` is only read.

    params, grads   flat dicts {name: array}, same names, same shapes
    lr              learning rate of this step
    groups          {name: Group}, factors on lr (groups.py); None: no factors
    Raises ValueError if the names or shapes of grads are not those of params.
    """
    check.gradients(params, grads)
    state["t"] += 1
    for name, w in params.items():
        group = grouping.of(name, groups)
        w -= (lr * group.lr) * grads[name]              # (OP1)

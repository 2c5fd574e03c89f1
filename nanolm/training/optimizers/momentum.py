"""Momentum: step along a running sum of gradients, so that what they agree on adds up and the noise cancels.

    u <- mu u + g            u: the velocity, zero at the start; mu (about 0.9): how much of it is kept         (OP2)
    w <- w - lr u            heavy ball                                                                         (OP3)
    w <- w - lr (g + mu u)   Nesterov: the step as if the next velocity were known already                      (OP4)

After n equal gradients g, u = g (1 + mu + ... + mu^(n-1)), which tends to g / (1 - mu): at mu = 0.9 the step grows
to ten times that of plain SGD. Choose lr accordingly.

Source    Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Nesterov's form
          as in Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning",
          eq. 3-4. They put lr inside u; here, as in PyTorch, it stands outside, so that a change of lr acts at once.
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_optimizers.py, tests/peers/test_optimizers_torch.py.
"""
import numpy as np

from nanolm.training import groups as grouping
from nanolm.training.optimizers import check


def init(params):
    """Return the state: t = 0 and one velocity "u.<name>" of zeros for each parameter, of its shape and dtype."""
    state = {"t": 0}
    for name, w in params.items():
        state["u." + name] = np.zeros_like(w)
    return state


def step(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None):
    """Move every array of params by one step, in place, and the velocities too; `grads` is only read.

    params, grads   flat dicts {name: array}, same names, same shapes
    lr              learning rate of this step
    momentum        mu above, 0 <= mu < 1; 0 is plain SGD
    nesterov        take Nesterov's step instead of the heavy ball's
    groups          {name: Group}, factors on lr (groups.py); None: no factors
    Raises ValueError if the names or shapes of grads are not those of params.
    """
    check.gradients(params, grads)
    state["t"] += 1
    for name, w in params.items():
        g, u = grads[name], state["u." + name]
        group = grouping.of(name, groups)
        u *= momentum
        u += g                                          # (OP2)
        direction = g + momentum * u if nesterov else u
        w -= (lr * group.lr) * direction                # (OP4) if nesterov, else (OP3)

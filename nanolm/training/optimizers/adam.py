"""Adam: divide each weight's step by the usual size of its own gradient.

    t <- t + 1                                  t = 1 at the first step
    m <- beta1 m + (1 - beta1) g                running mean of the gradient                                    (OP5)
    v <- beta2 v + (1 - beta2) g^2              running mean of its square, element by element                  (OP6)
    m^ = m / (1 - beta1^t)                      m and v start at zero: early on they are too small by just      (OP7)
    v^ = v / (1 - beta2^t)                      these factors; without them step 1 is 3.2 times too long        (OP8)
    w <- w - lr m^ / (sqrt(v^) + eps)                                                                           (OP9)

The quotient has no units: if the loss is scaled by 1000, the step stays the same. At the first step it is
g / (|g| + eps), which is the sign of g; so lr is the distance a weight travels in one step, whatever its gradient.

Where eps stands matters as soon as gradients are as small as eps: outside the square root and after the bias
correction, as here. At |g| = 1e-6 the misplaced forms differ by 0.1 % to 80 %, at |g| = 1 by less than 1e-7: a
test with ordinary gradients cannot see it.

A price on large weights is added to the gradient (penalties.py) and then divided by sqrt(v^) too, so that weights
with large gradients hardly pay it. adamw.py is the remedy.

Source    Kingma, Ba 2015, "Adam: a method for stochastic optimization", arXiv:1412.6980, algorithm 1.
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_optimizers.py, tests/peers/test_optimizers_torch.py.
"""
import numpy as np

from nanolm.training import groups as grouping
from nanolm.training.optimizers import check


def init(params):
    """Return the state: t = 0, and "m.<name>" and "v.<name>" of zeros for each parameter, of its shape and dtype."""
    state = {"t": 0}
    for name, w in params.items():
        state["m." + name] = np.zeros_like(w)
        state["v." + name] = np.zeros_like(w)
    return state


def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, groups=None):
    """Move every array of params by one step, in place, and m and v too; `grads` is only read.

    params, grads   flat dicts {name: array}, same names, same shapes
    lr              learning rate of this step
    beta1, beta2    how much of m and v is kept, 0 <= beta < 1
    eps             keeps the quotient finite where v is zero; in units of the gradient
    groups          {name: Group}, factors on lr (groups.py); None: no factors
    Raises ValueError if the names or shapes of grads are not those of params.
    """
    check.gradients(params, grads)
    state["t"] += 1                                     # once a step, not once a parameter
    t = state["t"]
    for name, w in params.items():
        g, m, v = grads[name], state["m." + name], state["v." + name]
        group = grouping.of(name, groups)
        m *= beta1
        m += (1 - beta1) * g                            # (OP5)
        v *= beta2
        v += (1 - beta2) * np.square(g)                 # (OP6)
        m_hat = m / (1 - beta1 ** t)                    # (OP7)
        v_hat = v / (1 - beta2 ** t)                    # (OP8)
        w -= (lr * group.lr) * m_hat / (np.sqrt(v_hat) + eps)                   # (OP9)

"""AdamW: Adam's step, and beside it, decoupled from the gradient, a decay of the weights.

    w <- w - lr lambda w                        the decay: every weight loses the same share                    (OP10)
    w <- w - lr m^ / (sqrt(v^) + eps)           Adam's step, adam.py                                            (OP9)

A penalty (lambda/2) |w|^2 in the loss would add lambda w to the gradient. In SGD that is the same as this decay.
In Adam it is not: the quotient divides the penalty by sqrt(v^), so that of two equal weights the one with the
larger gradients decays less. With g = 0 the two are easy to tell apart: AdamW moves w by -lr lambda w, Adam with
a penalty by about -lr sign(w), whatever lambda.

GPT-2 and its successors decay matrices and leave biases and gains alone: groups.standard.

Source    Loshchilov, Hutter 2019, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2. Their
          decay is eta_t lambda w, with eta_t the schedule without its peak value alpha; here, as in PyTorch, it is
          lr lambda w with lr = alpha eta_t, so that lambda = 0.1 here is 0.1 alpha there.
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_optimizers.py, tests/peers/test_optimizers_torch.py.
"""
import numpy as np

from nanolm.training import groups as grouping
from nanolm.training.optimizers import adam, check


def init(params):
    """Return Adam's state: t = 0, and "m.<name>" and "v.<name>" of zeros for each parameter."""
    return adam.init(params)


def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    """Move every array of params by one step, in place, and m and v too; `grads` is only read.

    params, grads   flat dicts {name: array}, same names, same shapes
    lr              learning rate of this step
    beta1, beta2    how much of m and v is kept, 0 <= beta < 1
    eps             keeps the quotient finite where v is zero; in units of the gradient
    weight_decay    lambda above; a step takes the share lr * lambda of every weight
    groups          {name: Group}, factors on lr and weight_decay (groups.py); None: no factors, everything decays
    Raises ValueError if the names or shapes of grads are not those of params.
    """
    check.gradients(params, grads)
    state["t"] += 1                                     # once a step, not once a parameter
    correction1 = 1 - beta1 ** state["t"]
    correction2 = 1 - beta2 ** state["t"]
    for name, w in params.items():
        g, m, v = grads[name], state["m." + name], state["v." + name]
        group = grouping.of(name, groups)
        rate = lr * group.lr
        m *= beta1
        m += (1 - beta1) * g                            # (OP5)
        v *= beta2
        v += (1 - beta2) * np.square(g)                 # (OP6)

        update = v / correction2                        # (OP8); one array from here on: v^, its root, the quotient
        np.sqrt(update, out=update)
        update += eps
        np.divide(m, update, out=update)
        update *= rate / correction1                    # 1 / correction1 turns m into m^, (OP7)

        w *= 1 - rate * weight_decay * group.decay      # (OP10), first: it takes a share of the old weight
        w -= update                                     # (OP9)

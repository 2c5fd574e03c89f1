"""Penalties: a price on the size of the weights, added to the loss, and so to the gradient.

    L2(w) = (lambda / 2) sum w_i^2         dL2/dw_i = lambda w_i             pulls in proportion: weights shrink   (TR6)
    L1(w) = lambda sum |w_i|               dL1/dw_i = lambda sign(w_i)       pulls equally: small ones end near 0  (TR7)

    sign(0) = 0: at its corner |w| has no derivative; 0 lies between -1 and 1, so a weight of zero stays there.

These are coupled: the optimizer sees one gradient, that of loss plus penalty. AdamW's weight decay is decoupled:
it never enters the gradient (optimizers/adamw.py says what difference that makes).

Source    L2: Hoerl, Kennard 1970, "Ridge regression"; L1: Tibshirani 1996, "Regression shrinkage and selection
          via the lasso".
Derived   notebooks/14_training.ipynb.  Tested  tests/test_optimizers.py.
"""
import numpy as np

from nanolm.training import groups as grouping


def l2(params, strength, groups=None):
    """Return the price (a float) and its gradients (flat dict, shaped like params). Zero for groups with decay 0."""
    price, dparams = 0.0, {}
    for name, w in params.items():
        rate = strength * grouping.of(name, groups).decay
        price += rate / 2 * float(np.sum(np.square(w), dtype=np.float64))
        dparams[name] = rate * w                        # (TR6)
    return price, dparams


def l1(params, strength, groups=None):
    """Return the price (a float) and its gradients (flat dict, shaped like params). Zero for groups with decay 0."""
    price, dparams = 0.0, {}
    for name, w in params.items():
        rate = strength * grouping.of(name, groups).decay
        price += rate * float(np.sum(np.abs(w), dtype=np.float64))
        dparams[name] = rate * np.sign(w)               # (TR7)
    return price, dparams


def add(params, grads, l1_strength, l2_strength, groups=None):
    """Add the gradients of both penalties to grads, in place; return the sum of their prices (a float)."""
    total = 0.0
    for penalty, strength in ((l1, l1_strength), (l2, l2_strength)):
        if strength > 0:
            price, dparams = penalty(params, strength, groups)
            total += price
            for name, dw in dparams.items():
                grads[name] += dw                       # the loss and the penalty both depend on w
    return total

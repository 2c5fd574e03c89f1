"""ReLU, the rectified linear unit: pass on what is positive, and nothing else. The first Transformer's bend.

    y = max(x, 0)                                                                                                 (U1)

    x, y (...), no units

Backward: where x is positive, y moves with it; elsewhere y stays 0, whatever x does.

    dx = dy [x > 0]                                                                                               (U2)

At x = 0 there is a corner and no derivative; 0 is taken, as everybody does. Half of a random x sends no gradient back at
all, and a channel that is negative for every token of every text learns nothing more: it is dead. GELU bends the corner.

Source    Nair, Hinton 2010, "Rectified linear units improve restricted Boltzmann machines", ICML; in the Transformer:
          Vaswani et al. 2017, arXiv:1706.03762, section 3.3.
Derived   notebooks/19_seq2seq.ipynb.  Tested  tests/test_relu.py, tests/test_contract.py, tests/test_golden.py.
"""
import numpy as np

from nanolm.layers import check


def forward(x):
    """Return y, shaped like x, and cache = (y,): y says what was positive. NaN stays NaN.

    Raises TypeError unless x is an array of floats.
    """
    check.floats(x=x)
    y = np.maximum(x, 0)                                                    # (U1)
    return y, (y,)


def backward(dy, cache):
    """Return dx, shaped like dy."""
    y, = cache
    return dy * (y > 0)                                                     # y = max(x, 0), (U2)

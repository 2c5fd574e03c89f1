"""AdamW, fast: one pass over the weight, its gradient and the two averages.

A step reads w, g, m and v and writes w, m and v: 28 bytes a parameter, and memory is what it waits for. NumPy's lines
make fourteen passes; here it is one, on all cores. The formulas are (OP5) to (OP10) of training/optimizers/adam.py and
adamw.py.

Tested    tests/kernels/test_twins_of_training.py, and everything that holds the plain optimizer.
"""
import math

from nanolm import threads
from nanolm.kernels import plain
from nanolm.kernels.compiled import entry
from nanolm.kernels.usual import floats
from nanolm.training import groups as grouping
from nanolm.training.optimizers import check


def step(params, grads, state, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, groups=None):
    """Move every array of params by one step, in place, and m and v too. See training/optimizers/adamw.py."""
    arrays = [(w, grads.get(name), state.get("m." + name), state.get("v." + name)) for name, w in params.items()]
    if not all(floats(*four) and usual(four) for four in arrays):
        return plain("adamw", "step")(params, grads, state, lr, beta1, beta2, eps, weight_decay, groups)
    check.gradients(params, grads)
    state["t"] += 1                                     # once a step, not once a parameter
    correction1 = 1 - beta1 ** state["t"]
    correction2 = 1 - beta2 ** state["t"]
    for name, four in zip(params, arrays):
        group = grouping.of(name, groups)
        rate = lr * group.lr
        w, g, m, v = (a.reshape(-1) for a in four)
        keep = 1 - rate * weight_decay * group.decay

        def some(start, stop):
            move(w[start:stop], g[start:stop], m[start:stop], v[start:stop], beta1, 1 - beta1, beta2, 1 - beta2,
                 1 / correction2, eps, rate / correction1, keep)

        threads.split(some, w.size, least=2**17)


def usual(four):
    """Return whether all lie in memory in one piece, in the same order."""
    return all(a.flags.c_contiguous and a.shape == four[0].shape for a in four)


@entry("out1", "in1", "out1", "out1", "real", "real", "real", "real", "real", "real", "real", "real")
def move(w, g, m, v, beta1, rest1, beta2, rest2, lift2, eps, rate, keep):
    for i in range(w.size):                             # read all, then write all: m[i] written and read again took 1.5 times
        m_i = m[i] * beta1 + rest1 * g[i]                                   # (OP5)
        v_i = v[i] * beta2 + rest2 * (g[i] * g[i])                          # (OP6)
        w_i = w[i] * keep - rate * (m_i / (w.dtype.type(math.sqrt(v_i * lift2)) + eps))
        m[i], v[i], w[i] = m_i, v_i, w_i

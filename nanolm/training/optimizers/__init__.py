"""Optimizers: one file each, two functions each, no classes.

    state = adamw.init(params)                        {"t": 0, "m.wte.weight": zeros, ...}
    adamw.step(params, grads, state, lr, ...)         writes into params and state

`params` and `grads` are flat dicts, {dotted name: array} (nanolm.params.flatten). An optimizer is the one part
of nanolm that writes into the arrays it is given: changing the weights is its job. It writes into params and
state, never into grads. The arithmetic stays in the dtype of the parameters, float32 or float64.
"""

"""Schedules: the learning rate as a function of the step.

    step       updates made so far: 0 at the first update, total - 1 at the last
    warm-up    lr = peak (step + 1) / warmup                     for step < warmup, up to peak                  (OP13)
    then       u = (step - warmup) / (total - warmup)            0 after the warm-up, 1 at the end              (OP14)
    constant   lr = peak
    linear     lr = peak + u (final - peak)                                                                     (OP15)
    cosine     lr = final + (peak - final) (1 + cos(pi u)) / 2   slow, fast, slow                               (OP16)

Why warm up: Adam's v starts as a mean over very few gradients, so its first quotients are close to +-1 for every
weight, and full steps in such a direction spoil the initial weights. Why decay: at a constant rate the noise of the
batches keeps the weights moving about; a smaller rate lets them settle.

Source    cosine: Loshchilov, Hutter 2017, "SGDR", arXiv:1608.03983, eq. 5; warm-up then cosine as in Brown et al.
          2020 (GPT-3), arXiv:2005.14165, appendix B.
Derived   notebooks/13_optimizers.ipynb.  Tested  tests/test_schedules.py.
"""
import math


def constant(step, peak, warmup=0):
    """Return the learning rate at `step`: `peak`, after a linear warm-up of `warmup` steps."""
    if step < warmup:
        return peak * (step + 1) / warmup                                   # (OP13)
    return peak


def linear(step, peak, total, warmup=0, final=0.0):
    """Return the learning rate at `step`: warm-up, then a straight line from `peak` to `final` at step `total`."""
    if step < warmup:
        return peak * (step + 1) / warmup                                   # (OP13)
    return peak + progress(step, total, warmup) * (final - peak)            # (OP15)


def cosine(step, peak, total, warmup=0, final=0.0):
    """Return the learning rate at `step`: warm-up, then half a cosine from `peak` to `final` at step `total`."""
    if step < warmup:
        return peak * (step + 1) / warmup                                   # (OP13)
    u = progress(step, total, warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * u)) / 2         # (OP16)


def progress(step, total, warmup):
    """Return u: which share of the steps after the warm-up is done; 1 from step `total` on.

    Raises ValueError if there is no step left after the warm-up.
    """
    if total <= warmup:
        raise ValueError(f"the schedule has {total} steps in total and {warmup} of warm-up; total must be larger.")
    return min(1.0, (step - warmup) / (total - warmup))                     # (OP14)

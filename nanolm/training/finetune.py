"""Fine-tuning: go on training a model that somebody has trained, all of it, a part of it, or through LoRA.

    what learns                 freeze=()                                   everything
                                freeze=["wte.*", "h.0.*", "h.1.*"]          all but these: patterns of dotted names
                                adapters=lora.init(p, "h.*.weight", 8, rng)     the adapters alone; p stays as it is

    for result in finetune.steps(gpt2, p, config, batches, lr=1e-4, steps=200):  print(result.step, result.loss)

A batch is the tuple of arrays that the model's forward takes between p and config: (ids, targets). If more is to be said, a
dict of its keyword arguments comes last: (ids, targets, {"mask": lengths, "segments": segments}) for a head of BERT. AdamW,
a warm-up and then a cosine, the gradient clipped at 1.0. Frozen arrays are never written to, and have no state in the
optimizer. (The model's backward still computes their gradients: it has no switch.)

Tested    tests/test_lora.py.
"""
from fnmatch import fnmatchcase
from typing import NamedTuple

from nanolm import params as parameters
from nanolm.training import clipping, groups, lora, schedules
from nanolm.training.optimizers import adamw


class Result(NamedTuple):
    """What one step gave: its number (from 1), the loss before it, the gradient's length before clipping."""
    step: int
    loss: float
    norm: float


def steps(model, p, config, batches, steps, lr, warmup=0.1, weight_decay=0.01, clip=1.0, freeze=(), adapters=None,
          alpha=16.0, rng=None):
    """Return a generator that makes one step for each batch and yields its Result; p, or adapters, learn in place.

    batches    an iterable of tuples; training ends with it, or after `steps` steps
    lr         of the peak; warmup: the share of the steps until it is reached
    rng        a Generator turns the model's dropout on
    Raises ValueError before the first step if freeze fits nothing, or everything is frozen.
    """
    learning = adapters if adapters is not None else trainable(p, freeze)
    state, decays = adamw.init(learning), groups.standard(learning)

    def go():
        for t, batch in zip(range(steps), batches):
            q = p if adapters is None else lora.merged(p, adapters, alpha)
            arrays, options = (batch[:-1], batch[-1]) if isinstance(batch[-1], dict) else (batch, {})
            loss, cache = model.forward(q, *arrays, config, **options, rng=rng)
            dp = model.backward(cache)
            flat = parameters.flatten(dp) if adapters is None else lora.backward(dp, adapters, alpha)
            grads = {name: flat[name].copy() for name in learning}          # what backward returned is not ours to write to
            norm = clipping.clip(grads, clip)
            rate = schedules.cosine(t, lr, steps, int(warmup * steps))
            adamw.step(learning, grads, state, rate, weight_decay=weight_decay, groups=decays)
            yield Result(t + 1, float(loss), norm)

    return go()


def trainable(p, freeze=()):
    """Return the flat dict of p's arrays without those whose dotted name fits one of the patterns in `freeze`.

    Raises ValueError if a pattern fits nothing, or if nothing is left.
    """
    freeze = [freeze] if isinstance(freeze, str) else freeze
    flat = parameters.flatten(p)
    for pattern in freeze:
        if not any(fnmatchcase(name, pattern) for name in flat):
            raise ValueError(f"the pattern {pattern!r} in freeze fits no parameter. They are named "
                             f"{', '.join(list(flat)[:6])} ...")
    left = {name: w for name, w in flat.items() if not any(fnmatchcase(name, pattern) for pattern in freeze)}
    if not left:
        raise ValueError(f"freeze = {list(freeze)} leaves nothing that could learn.")
    return left

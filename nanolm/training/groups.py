"""Parameter groups: factors on the learning rate and on the decay, by the name of the parameter.

    lr of a tensor = lr * group.lr          decay (or penalty) of a tensor = decay * group.decay

Why biases and gains do not decay: decay pulls weights toward zero because a matrix of small entries gives a
smoother function. A gain of a layer norm has its natural value at 1, not 0, and a bias only moves a threshold;
pulling them to zero limits what the layer can say and smooths nothing. In GPT-2 exactly these are the
one-dimensional arrays; matrices, both embeddings among them, decay.

Source    Radford et al. 2018 (GPT-1), "Improving language understanding by generative pre-training", section 4.1:
          decay "on all non bias or gain weights".
"""
import math
from typing import NamedTuple


class Group(NamedTuple):
    """Two factors: `lr` on the learning rate, `decay` on weight decay and on the penalties L1 and L2."""
    lr: float = 1.0
    decay: float = 1.0


EVERYTHING = Group()


def of(name, groups):
    """Return the group of parameter `name`; the factors 1 and 1 where `groups` is None or does not list it."""
    return EVERYTHING if groups is None else groups.get(name, EVERYTHING)


def standard(params):
    """Return {name: Group} in which matrices decay and one-dimensional arrays (biases, gains) do not."""
    return {name: Group(decay=1.0 if w.ndim >= 2 else 0.0) for name, w in params.items()}


def scaled(groups, part, lr=1.0, decay=1.0):
    """Return groups in which every name that contains `part` has its factors multiplied by `lr` and `decay`.

    scaled(standard(params), "wte", lr=0.1): the token embedding learns ten times more slowly.
    Raises ValueError if no name contains `part`, or if a factor is negative or not finite.
    """
    for what, factor in (("lr", lr), ("decay", decay)):
        if not (math.isfinite(factor) and factor >= 0):
            raise ValueError(f"the factor {what} of a group is {factor}; it must be a number that is not negative.")
    if not any(part in name for name in groups):
        raise ValueError(f"no parameter has {part!r} in its name. The names begin with: {', '.join(list(groups)[:5])}.")
    return {name: Group(group.lr * lr, group.decay * decay) if part in name else group
            for name, group in groups.items()}

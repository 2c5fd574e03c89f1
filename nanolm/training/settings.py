"""Every knob of a training run, with its default, in one frozen dataclass; its JSON is settings.json.

A budget is a number of steps, never a time: the same settings give the same weights on a slow and on a fast machine.

Tested    tests/test_schedules.py.
"""
import json
import math
from dataclasses import asdict, dataclass, fields, replace

from nanolm.training import schedules
from nanolm.training.optimizers import adam, adamw, momentum, sgd

OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adamw}
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class Settings:
    steps: int = 2000                # updates of the weights
    batch_size: int = 32             # rows of block_size tokens in an update
    shards: int = 2                  # parts of a batch (no more than its rows), computed, then summed: see step.py
    workers: int = 0                 # how many shards at once; 0: one for each core. Never changes the result
    optimizer: str = "adamw"         # sgd, momentum, adam, adamw
    lr: float = 2e-3                 # the highest learning rate
    lr_final: float = 0.1            # where linear and cosine schedules end, as a share of lr
    schedule: str = "cosine"         # constant, linear, cosine
    warmup: float = 0.05             # share of the steps in which the rate rises to lr
    momentum: float = 0.9            # momentum only
    nesterov: bool = False           # momentum only
    beta1: float = 0.9               # adam and adamw
    beta2: float = 0.99              # adam and adamw
    eps: float = 1e-8                # adam and adamw
    weight_decay: float = 0.1        # adamw only; the others have l2. Matrices only, not biases and gains
    l1: float = 0.0                  # strength of the penalty |w|; matrices only
    l2: float = 0.0                  # strength of the penalty w^2 / 2; matrices only
    clip: float = 1.0                # largest norm of the gradient; 0: no limit
    patience: int = 0                # stop after so many evaluations without improvement; 0: never
    eval_every: int = 200            # steps between evaluations on the validation text
    save_every: int = 200            # steps between checkpoints
    seed: int = 1                    # of initial weights, order of the batches, dropout and samples
    dtype: str = "float32"           # float32, float64
    kernels: str = ""                # numba, numpy; "": whatever kernels.default() says when the run begins, kept from then on

    def __post_init__(self):
        for field in fields(self):
            check_type(field, getattr(self, field.name))
        for name in ("steps", "batch_size", "shards", "eval_every", "save_every"):
            check(name, getattr(self, name), getattr(self, name) >= 1, "must be at least 1")
        for name in ("workers", "warmup", "patience", "seed", "weight_decay", "l1", "l2", "clip", "lr_final"):
            check(name, getattr(self, name), getattr(self, name) >= 0, "must not be negative")
        for name in ("momentum", "beta1", "beta2"):
            check(name, getattr(self, name), 0 <= getattr(self, name) < 1, "must be at least 0 and below 1")
        for name in ("lr", "eps"):
            check(name, getattr(self, name), getattr(self, name) > 0, "must be positive")
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("dtype", ("float32", "float64")),
                              ("kernels", ("", "numba", "numpy"))):
            check(name, getattr(self, name), getattr(self, name) in allowed, f"must be one of {', '.join(filter(None, allowed))}")
        check("warmup", self.warmup, self.warmup < 1, "is a share of the steps and must be below 1")

    def learning_rate(self, step):
        """Return the learning rate of the update after `step` updates."""
        warmup = int(self.warmup * self.steps)
        if self.schedule == "constant":
            return schedules.constant(step, self.lr, warmup)
        schedule = {"linear": schedules.linear, "cosine": schedules.cosine}[self.schedule]
        return schedule(step, self.lr, self.steps, warmup, self.lr * self.lr_final)

    def optimizer_module(self):
        """Return the module with init and step."""
        return OPTIMIZERS[self.optimizer]

    def optimizer_arguments(self):
        """Return the keyword arguments of its step."""
        if self.optimizer == "sgd":
            return {}
        if self.optimizer == "momentum":
            return {"momentum": self.momentum, "nesterov": self.nesterov}
        betas = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        return betas if self.optimizer == "adam" else {**betas, "weight_decay": self.weight_decay}

    def to_json(self):
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, values):
        """Return Settings from a dict; what it lacks has its default. Raises ValueError as changed does."""
        if not isinstance(values, dict):
            raise ValueError(f"settings must be a dict of names and values, but came as {type(values).__name__}.")
        return cls().changed(**values)

    def changed(self, **changes):
        """Return Settings with some knobs turned. Raises ValueError, naming the knob, if it is unknown or wrong."""
        unknown = sorted(set(changes) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]!r}. The settings are: "
                             f"{', '.join(field.name for field in fields(self))}.")
        return replace(self, **changes)


def check_type(field, value):
    """Raise ValueError unless value has the type of the field; a whole number is a good float, True is no number."""
    kind = field.type
    good = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if kind is not bool and isinstance(value, bool):
        good = False
    if kind is float and good:
        good = math.isfinite(value)
    if not good:
        words = {int: "a whole number", float: "a finite number", str: "a text", bool: "True or False"}
        raise ValueError(f"the setting {field.name} is {value!r}; it must be {words[kind]}.")


def check(name, value, good, rule):
    if not good:
        raise ValueError(f"the setting {name} is {value!r}; it {rule}.")

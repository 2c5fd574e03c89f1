"""Ready-made cases: arguments for every layer, composite and model with which a wrong backward cannot hide.

float64; random parameters, gains and biases too; all axis sizes different, and one square case a layer; T > 1 and
T != S; repeated, ignored and unused ids; every kind of mask, with a row that may attend to nothing; dropout with a
generator that is replayed. The upstream gradients are drawn by `check`: three, none of them ones.

The arguments themselves are drawn in cases_layers.py, cases_composites.py and so on, a file for each family.

    for case in cases.of("layernorm"):   print(case.title);   print(case.run())

`nanolm gradcheck`, the tests and the notebooks all use these.
"""
import importlib
from dataclasses import dataclass, field

import numpy as np

from nanolm.gradcheck import cases_bert, cases_composites, cases_layers, cases_llama, cases_seq2seq, checker, models
from nanolm.gradcheck.draws import bare, dense, gated, groups, heads, norm, randomised  # noqa: F401  (for tests and lessons)

BUILDERS = {**cases_layers.BUILDERS, **cases_composites.BUILDERS, **cases_llama.BUILDERS, **cases_bert.BUILDERS,
            **cases_seq2seq.BUILDERS}
MODELS = (*cases_composites.MODELS, *cases_llama.MODELS, *cases_bert.MODELS, *cases_seq2seq.MODELS)


@dataclass(frozen=True)
class Case:
    """One set of arguments for one layer or model."""

    layer: str                              # "layernorm": nanolm.layers.layernorm; "gpt2": nanolm.models.gpt2
    title: str
    args: tuple
    kwargs: dict = field(default_factory=dict)
    of_model: bool = False

    def module(self):
        """Return the layer's or model's module."""
        return importlib.import_module(f"nanolm.{'models' if self.of_model else 'layers'}.{self.layer}")

    def run(self, forward=None, backward=None, **options):
        """Return the Report of this case, with your own forward or backward in place of the module's if given."""
        module = self.module()
        layer = checker.Pair(forward or module.forward, backward or module.backward, f"{self.layer}, {self.title}")
        check = models.check_model if self.of_model else checker.check
        return check(layer, *self.args, **self.kwargs, **options)


def names():
    """Return the names of all layers and models that have cases, in reading order."""
    return list(BUILDERS)


def of(name, seed=0):
    """Return the list of Cases of the layer or model `name`. Raises ValueError if there is none of that name."""
    if name not in BUILDERS:
        raise ValueError(f"there are no cases for {name!r}. There are cases for {', '.join(BUILDERS)}.")
    built = BUILDERS[name](np.random.default_rng(seed))
    return [Case(name, title, args, kwargs, name in MODELS) for title, args, kwargs in built]

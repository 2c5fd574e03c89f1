"""Ready-made cases: arguments for every layer, composite and model with which a wrong backward cannot hide.

float64; random parameters, gains and biases too; all axis sizes different, and one square case a layer; T > 1 and
T != S; repeated, ignored and unused ids; every kind of mask, with a row that may attend to nothing; dropout with a
generator that is replayed. The upstream gradients are drawn by `check`: three, none of them ones.

    for case in cases.of("layernorm"):   print(case.title);   print(case.run())

`nanolm gradcheck`, the tests and the notebooks all use these.
"""
import importlib
from dataclasses import dataclass, field

import numpy as np

from nanolm.gradcheck import checker, models
from nanolm.layers import masks
from nanolm.models import gpt2
from nanolm.params import flatten, unflatten


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


def randomised(p, rng, scale=0.3):
    """Return parameters like p in float64 with a random number added to each, so that no gain is 1 and no bias 0."""
    moved = {name: a.astype(np.float64) + scale * rng.standard_normal(a.shape) for name, a in flatten(p).items()}
    return unflatten(moved)


def dense(rng, n_in, n_out):
    """Return random parameters {"weight" (n_in, n_out), "bias" (n_out,)} of a linear layer."""
    return {"weight": rng.standard_normal((n_in, n_out)) / n_in**0.5, "bias": rng.standard_normal(n_out)}


def norm(rng, C):
    """Return random parameters {"weight" (C,), "bias" (C,)} of a layer norm."""
    return {"weight": 1 + 0.5 * rng.standard_normal(C), "bias": rng.standard_normal(C)}


def heads(rng, C):
    """Return random parameters of a multihead attention over C channels."""
    return {"c_attn": dense(rng, C, 3 * C), "c_proj": dense(rng, C, C)}


def _linear(rng):
    n = rng.standard_normal
    yield "batch of sequences", (n((2, 3, 4)), n((4, 5)), n(5)), {}
    yield "no bias", (n((3, 4)), n((4, 2))), {}
    yield "square", (n((4, 4)), n((4, 4)), n(4)), {}
    yield "one vector", (n(3), n((3, 5)), n(5)), {}
    yield "four axes", (n((2, 3, 2, 4)), n((4, 5)), n(5)), {}


def _gelu(rng):
    x = np.concatenate([np.linspace(-4, 4, 13), [0.0, 1e-3]]).reshape(3, 5)
    for form in ("tanh", "erf"):
        yield f"{form}, -4 to 4", (x,), {"form": form}
        yield f"{form}, far out", (np.outer([-1, 1], [4.5, 5.2, 6, 8, 12, 20, 40]),), {"form": form}   # exp(u) would overflow
        yield f"{form}, four axes", (rng.standard_normal((2, 3, 2, 4)),), {"form": form}


def _softmax(rng):
    n = rng.standard_normal
    yield "last axis", (2 * n((2, 3, 5)),), {}
    yield "middle axis", (2 * n((2, 5, 3)),), {"axis": 1}
    yield "first axis", (2 * n((4, 3)),), {"axis": 0}
    yield "four axes, the last but one", (2 * n((2, 2, 5, 3)),), {"axis": -2}
    yield "square", (2 * n((4, 4)),), {}
    yield "large scores", (n((3, 4)) + 800,), {}                            # exp(710) overflows
    yield "nearly one-hot", (8 * n((3, 5)),), {}


def _embedding(rng):
    ids = np.array([[1, 4, 1, 6], [4, 0, 2, 4], [2, 1, 0, 1]])              # 1 is used four times, 3 and 5 never
    yield "repeated and unused ids", (ids, rng.standard_normal((7, 5))), {}
    yield "square", (ids[:2], rng.standard_normal((7, 7))), {}
    yield "one sequence", (np.array([0, 3, 3, 3, 1]), rng.standard_normal((6, 3))), {}
    yield "three axes", (rng.integers(0, 11, (2, 3, 4)), rng.standard_normal((12, 2))), {}
    yield "a single id", (np.array(2), rng.standard_normal((4, 3))), {}


def _positions(rng):
    n = rng.standard_normal
    yield "more rows than tokens", (n((2, 3, 4)), n((6, 4))), {}
    yield "offset", (n((2, 3, 4)), n((7, 4))), {"offset": 2}
    yield "square", (n((3, 4, 4)), n((4, 4))), {}
    yield "no batch axis", (n((3, 5)), n((4, 5))), {}
    yield "four axes, offset", (n((2, 3, 3, 4)), n((9, 4))), {"offset": 4}


def _layernorm(rng):
    n = rng.standard_normal
    yield "random gain and bias", (2 * n((2, 3, 5)) + 1, n(5), n(5)), {}
    yield "square", (n((4, 4)), n(4), n(4)), {}
    yield "large eps", (n((3, 2, 4)), n(4), n(4)), {"eps": 0.3}
    yield "one token", (n(6), n(6), n(6)), {}
    yield "small variance", (0.05 * n((3, 5)) + 2, n(5), n(5)), {"eps": 1e-12}
    yield "four axes", (n((2, 3, 2, 5)), n(5), n(5)), {}
    equal = n((3, 5))
    equal[1] = 0.5
    yield "a token whose channels are equal", (equal, n(5), n(5)), {"eps": 0.1}


def _dropout(rng):
    yield "rate 0.4", (rng.standard_normal((3, 4, 5)), 0.4, np.random.default_rng(1)), {}
    yield "rate 0.75, square", (rng.standard_normal((6, 6)), 0.75, np.random.default_rng(2)), {}
    yield "rate 0.9, four axes", (rng.standard_normal((2, 3, 4, 5)), 0.9, np.random.default_rng(8)), {}
    yield "off", (rng.standard_normal((2, 3)), 0.4, None), {}


def _cross_entropy(rng):
    n = rng.standard_normal
    targets = np.array([[1, 4, -100], [1, -100, 0]])                        # two ignored, 1 twice, 2 and 3 never
    yield "ignored and repeated targets", (2 * n((2, 3, 5)), targets), {}
    yield "label smoothing", (2 * n((2, 3, 5)), targets), {"label_smoothing": 0.2}
    yield "square", (n((4, 4)), np.array([3, 3, 0, -100])), {}
    yield "another ignore_index", (n((5, 4)), np.array([3, 1, 2, 1, 0])), {"ignore_index": 1, "label_smoothing": 0.1}
    yield "one row", (n(5), np.array(3)), {}
    yield "more tokens than 100", (n((2, 103)), np.array([102, -100])), {}
    yield "large logits", (20 * n((4, 3)) + 800, np.array([0, 2, 2, 1])), {}                # exp(710) overflows
    yield "four axes", (n((2, 2, 3, 4)), rng.integers(0, 3, (2, 2, 3))), {}
    yield "nothing counts", (n((2, 3)), np.array([-100, -100])), {}


def _attention(rng):
    n = rng.standard_normal
    holes = rng.random((2, 1, 3, 5)) < 0.6
    holes[1, 0, 2] = False                                                  # this query may attend to nothing
    yield "causal, T = S", (n((2, 3, 4, 5)), n((2, 3, 4, 5)), n((2, 3, 4, 5))), {"mask": masks.causal(4)}
    yield "T != S, no mask", (n((2, 3, 4)), n((2, 5, 4)), n((2, 5, 4))), {}
    yield "T < S, causal", (n((2, 3, 4)), n((2, 5, 4)), n((2, 5, 4))), {"mask": masks.causal(3, 5)}
    yield "T > S", (n((2, 5, 4)), n((2, 3, 4)), n((2, 3, 4))), {}
    yield "one query, as in generation", (n((2, 2, 1, 3)), n((2, 2, 5, 3)), n((2, 2, 5, 4))), {}
    yield "one key", (n((2, 3, 4)), n((2, 1, 4)), n((2, 1, 5))), {}
    yield "more than 64 tokens", (n((70, 2)), n((70, 2)), n((70, 2))), {"mask": masks.causal(70)}   # kernels have tiles
    yield "one key far ahead", (4 * n((2, 3, 4)), 4 * n((2, 5, 4)), n((2, 5, 4))), {}
    yield "padding", (n((2, 1, 3, 4)), n((2, 1, 5, 4)), n((2, 1, 5, 4))), {"mask": masks.padding([2, 5], 5)}
    yield "a row that may attend to nothing", (n((2, 2, 3, 4)), n((2, 2, 5, 4)), n((2, 2, 5, 4))), {"mask": holes}
    yield "values of another width", (n((3, 2)), n((4, 2)), n((4, 5))), {}
    dropped = {"mask": masks.causal(3, 5), "dropout": 0.3, "rng": np.random.default_rng(3)}
    yield "dropout", (n((2, 3, 4)), n((2, 5, 4)), n((2, 5, 4))), dropped
    yield "square", (n((4, 4)), n((4, 4)), n((4, 4))), {}


def _multihead(rng):
    n = rng.standard_normal
    empty = rng.random((2, 1, 3, 3)) < 0.7
    empty[0, 0, 1] = False
    yield "self, causal", (n((2, 3, 4)), heads(rng, 4), 2), {"mask": masks.causal(3)}
    yield "self, a row that may attend to nothing", (n((2, 3, 4)), heads(rng, 4), 2), {"mask": empty}
    yield "self, three heads", (n((2, 4, 6)), heads(rng, 6), 3), {"mask": masks.causal(4)}
    yield "self, one head", (n((3, 2, 4)), heads(rng, 4), 1), {}
    yield "cross", (n((2, 3, 4)), heads(rng, 4), 2), {"memory": n((2, 5, 4))}
    padded = {"memory": n((2, 3, 6)), "mask": masks.padding([1, 3], 3)}
    yield "cross, padding, three heads", (n((2, 4, 6)), heads(rng, 6), 3), padded
    mixed = {"memory": n((1, 3, 6)), "mask": np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1]]) > 0, "dropout": 0.3}
    yield "cross, one sequence, dropout", (n((1, 4, 6)), heads(rng, 6), 2), {**mixed, "rng": np.random.default_rng(9)}
    yield "self, dropout", (n((2, 3, 4)), heads(rng, 4), 2), {"dropout": 0.3, "rng": np.random.default_rng(4)}
    yield "square", (n((4, 4, 4)), heads(rng, 4), 2), {"memory": n((4, 4, 4))}


def _mlp(rng):
    for form in ("tanh", "erf"):
        p = {"c_fc": dense(rng, 4, 7), "c_proj": dense(rng, 7, 4)}
        yield form, (rng.standard_normal((2, 3, 4)), p), {"form": form}
    yield "square", (rng.standard_normal((4, 4)), {"c_fc": dense(rng, 4, 4), "c_proj": dense(rng, 4, 4)}), {}
    yield "narrow", (rng.standard_normal((6, 5)), {"c_fc": dense(rng, 5, 3), "c_proj": dense(rng, 3, 5)}), {"form": "erf"}


def _block(rng):
    def p(C, F):
        return {"ln_1": norm(rng, C), "attn": heads(rng, C), "ln_2": norm(rng, C),
                "mlp": {"c_fc": dense(rng, C, F), "c_proj": dense(rng, F, C)}}
    n = rng.standard_normal
    yield "pre-norm, causal", (n((2, 3, 4)), p(4, 7), 2), {"mask": masks.causal(3)}
    yield "post-norm, padding, erf", (n((2, 3, 4)), p(4, 5), 2), {"mask": masks.padding([2, 3], 3), "norm": "post",
                                                                   "form": "erf"}
    empty = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]]) > 0
    yield "pre-norm, a row that may attend to nothing", (n((1, 3, 6)), p(6, 5), 3), {"mask": empty, "form": "erf"}
    yield "pre-norm, dropout", (n((2, 3, 4)), p(4, 5), 2), {"dropout": 0.3, "rng": np.random.default_rng(5)}
    yield "post-norm, dropout, square", (n((4, 4, 4)), p(4, 4), 2), {"norm": "post", "dropout": 0.2,
                                                                      "rng": np.random.default_rng(6)}


def _gpt2(rng):
    def example(config, T):
        ids = rng.integers(0, config.vocab_size - 2, (3, T))                # the last two tokens are never read
        ids[1] = ids[0]
        targets = rng.integers(1, config.vocab_size, (3, T))
        targets[1, 0] = targets[2, -1] = -100
        return (randomised(gpt2.init(config, rng), rng), ids, targets, config)
    yield "two blocks", example(gpt2.Config(11, 7, 2, 2, 6), 5), {}
    yield "one head, full context", example(gpt2.Config(9, 4, 1, 1, 5), 4), {}
    p = randomised(gpt2.init(gpt2.Config(5, 3, 1, 2, 4), rng), rng)
    yield "one token", (p, np.array([[2]]), np.array([[4]]), gpt2.Config(5, 3, 1, 2, 4)), {}
    yield "three blocks, dropout", example(gpt2.Config(10, 6, 3, 3, 6, dropout=0.2), 5), {"rng": np.random.default_rng(7)}


BUILDERS = {"linear": _linear, "gelu": _gelu, "softmax": _softmax, "embedding": _embedding, "positions": _positions,
            "layernorm": _layernorm, "dropout": _dropout, "cross_entropy": _cross_entropy, "attention": _attention,
            "multihead": _multihead, "mlp": _mlp, "block": _block, "gpt2": _gpt2}
MODELS = ("gpt2",)

"""Cases of the layers of GPT-2, of numbers up to attention: (title, arguments, options); cases.py says what they are for."""
import numpy as np

from nanolm.layers import masks


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


BUILDERS = {"linear": _linear, "gelu": _gelu, "softmax": _softmax, "embedding": _embedding, "positions": _positions,
            "layernorm": _layernorm, "dropout": _dropout, "cross_entropy": _cross_entropy, "attention": _attention}

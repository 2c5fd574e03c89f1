"""Cases of the composites of GPT-2 and of GPT-2 itself: (title, arguments, options); cases.py says what they are for."""
import numpy as np

from nanolm.gradcheck.draws import dense, heads, norm, randomised
from nanolm.layers import masks
from nanolm.models import gpt2


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
    yield "relu", (rng.standard_normal((2, 3, 4)), {"c_fc": dense(rng, 4, 7), "c_proj": dense(rng, 7, 4)}), {"form": "relu"}


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
    yield "post-norm, as GPT", example(gpt2.Config(9, 6, 2, 2, 4, norm="post"), 4), {}
    yield "the erf form, a narrow MLP", example(gpt2.Config(9, 6, 1, 2, 4, n_hidden=7, form="erf"), 4), {}


BUILDERS = {"multihead": _multihead, "mlp": _mlp, "block": _block, "gpt2": _gpt2}
MODELS = ("gpt2",)

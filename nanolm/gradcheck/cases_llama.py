"""Cases of the layers of Llama's shape and of the model: (title, arguments, options); cases.py says what they are for."""
import numpy as np

from nanolm.gradcheck.draws import gated, groups, randomised
from nanolm.layers import masks
from nanolm.models import llama


def _rmsnorm(rng):
    n = rng.standard_normal
    yield "random gain", (2 * n((2, 3, 5)) + 1, n(5)), {}
    yield "square", (n((4, 4)), n(4)), {}
    yield "large eps", (n((3, 2, 4)), n(4)), {"eps": 0.3}
    yield "one token", (n(6), n(6)), {}
    yield "small numbers", (0.01 * n((3, 5)), n(5)), {"eps": 1e-12}
    yield "four axes", (n((2, 3, 2, 5)), n(5)), {}


def _silu(rng):
    yield "-6 to 6", (np.concatenate([np.linspace(-6, 6, 13), [0.0, 1e-3]]).reshape(3, 5),), {}
    yield "far out", (np.outer([-1, 1], [8.0, 20, 40]),), {}
    yield "four axes", (rng.standard_normal((2, 3, 2, 4)),), {}


def _rotary(rng):
    n = rng.standard_normal
    yield "one head", (n((3, 4)),), {}
    yield "heads", (n((2, 3, 5, 6)),), {"base": 50.0}
    yield "offset", (n((2, 3, 4)),), {"offset": 7, "base": 100.0}
    yield "square", (n((4, 4, 4)),), {"base": 3.0}
    yield "one token, one pair", (n((2, 1, 2)),), {"offset": 2}
    yield "scaled as in Llama 3.1", (n((2, 5, 8)),), {"base": 50.0, "scaling": ("llama3", 8.0, 1.0, 4.0, 30)}


def _swiglu(rng):
    n = rng.standard_normal
    yield "three axes", (n((2, 3, 4)), gated(rng, 4, 7)), {}
    yield "square", (n((4, 4)), gated(rng, 4, 4)), {}
    yield "narrow", (n((6, 5)), gated(rng, 5, 3)), {}


def _grouped(rng):
    n = rng.standard_normal
    yield "two to a group, causal", (n((2, 3, 5)), groups(rng, 5, 16, 8), 4, 2), {"mask": masks.causal(3), "base": 20.0}
    yield "multi-query", (n((2, 4, 6)), groups(rng, 6, 6, 2), 3, 1), {"mask": masks.causal(4)}
    yield "as many keys as queries", (n((1, 3, 4)), groups(rng, 4, 8, 8), 2, 2), {}
    padded = {"mask": masks.causal(5) & masks.padding([3, 5], 5), "offset": 4, "base": 10.0}
    yield "padding, offset", (n((2, 5, 6)), groups(rng, 6, 16, 4), 4, 1), padded
    yield "square", (n((4, 4, 4)), groups(rng, 4, 4, 4), 1, 1), {"base": 3.0}


def _llama_block(rng):
    def p(C, wide, narrow, F):
        gain = {"weight": 1 + 0.5 * rng.standard_normal(C)}
        return {"input_layernorm": gain, "self_attn": groups(rng, C, wide, narrow),
                "post_attention_layernorm": {"weight": 1 + 0.5 * rng.standard_normal(C)}, "mlp": gated(rng, C, F)}
    n = rng.standard_normal
    yield "causal", (n((2, 3, 4)), p(4, 8, 4, 7), 2, 1), {"mask": masks.causal(3), "base": 30.0}
    yield "heads wider than the model, large eps", (n((2, 4, 3)), p(3, 12, 6, 5), 2, 1), {"mask": masks.causal(4), "eps": 0.2}
    yield "square", (n((4, 4, 4)), p(4, 4, 4, 4), 2, 2), {"base": 5.0}


def _llama(rng):
    def example(config, T):
        ids = rng.integers(0, config.vocab_size - 2, (3, T))                # the last two tokens are never read
        ids[1] = ids[0]
        targets = rng.integers(1, config.vocab_size, (3, T))
        targets[1, 0] = targets[2, -1] = -100
        return randomised(llama.init(config, rng), rng), ids, targets, config
    yield "two blocks, tied", example(llama.Config(11, 7, 2, 4, 2, 8, 5, base=20.0), 5), {}
    yield "a head of its own, wide heads", example(llama.Config(9, 4, 1, 2, 1, 6, 7, head_dim=4, tied=False), 4), {}
    yield "scaled angles", example(llama.Config(9, 6, 1, 2, 1, 8, 7, base=5.0, scaling=("linear", 3.0)), 5), {}
    config = llama.Config(5, 3, 1, 1, 1, 4, 3)
    yield "one token", (randomised(llama.init(config, rng), rng), np.array([[2]]), np.array([[4]]), config), {}


BUILDERS = {"rmsnorm": _rmsnorm, "silu": _silu, "rotary": _rotary, "swiglu": _swiglu, "grouped": _grouped,
            "llama_block": _llama_block, "llama": _llama}
MODELS = ("llama",)

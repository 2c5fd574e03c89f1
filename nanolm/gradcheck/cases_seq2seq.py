"""Cases of the encoder-decoder Transformer and its parts: (title, arguments, options); cases.py says what they are for."""
import numpy as np

from nanolm.gradcheck.draws import dense, heads, norm, randomised
from nanolm.layers import masks
from nanolm.models import seq2seq


def _relu(rng):
    x = np.concatenate([np.linspace(-4, 4, 14), [1e-2]]).reshape(3, 5)      # no 0: there is no derivative
    yield "-4 to 4", (x,), {}
    yield "far out", (np.outer([-1, 1], [8.0, 40, 1e4]),), {}
    yield "four axes", (rng.standard_normal((2, 3, 2, 4)),), {}


def _decoder_block(rng):
    def p(C, F):
        return {"ln_1": norm(rng, C), "attn": heads(rng, C), "ln_2": norm(rng, C), "cross_attn": heads(rng, C),
                "ln_3": norm(rng, C), "mlp": {"c_fc": dense(rng, C, F), "c_proj": dense(rng, F, C)}}
    n = rng.standard_normal
    yield "post-norm, causal", (n((2, 3, 4)), n((2, 5, 4)), p(4, 7), 2), {"mask": masks.causal(3)}
    yield "pre-norm, causal, padded memory, tanh", (n((2, 4, 6)), n((2, 3, 6)), p(6, 5), 3), {
        "mask": masks.causal(4), "memory_mask": masks.padding([1, 3], 3), "norm": "pre", "form": "tanh"}
    yield "post-norm, a memory of nothing, large eps", (n((2, 3, 4)), n((2, 4, 4)), p(4, 5), 1), {
        "memory_mask": masks.padding([0, 2], 4), "form": "erf", "eps": 0.3}
    yield "post-norm, dropout", (n((2, 3, 4)), n((2, 5, 4)), p(4, 5), 2), {
        "mask": masks.causal(3), "dropout": 0.3, "rng": np.random.default_rng(5)}
    yield "pre-norm, dropout, square", (n((4, 4, 4)), n((4, 4, 4)), p(4, 4), 2), {
        "norm": "pre", "dropout": 0.2, "rng": np.random.default_rng(6)}


def _seq2seq(rng):
    def example(config, S, T, B=3):
        sources = config.source_vocab_size or config.vocab_size
        source = rng.integers(0, sources - 2, (B, S))                       # the last tokens are never read
        target_in, targets = rng.integers(0, config.vocab_size - 1, (B, T)), rng.integers(1, config.vocab_size, (B, T))
        targets[1, 0] = targets[-1, -1] = -100
        return randomised(seq2seq.init(config, rng), rng), source, target_in, targets, config
    yield "post-norm, shared, padded sources", example(seq2seq.Config(11, 8, 2, 2, 6, 7), 4, 5), {
        "source_lengths": np.array([2, 4, 3])}
    yield "pre-norm, three tables, GELU", example(seq2seq.Config(9, 8, 2, 1, 4, 5, 13, False, norm="pre", form="tanh"), 5, 3), {}
    yield "pre-norm, shared, one block, plain loss", example(
        seq2seq.Config(7, 6, 1, 3, 6, 4, label_smoothing=0.0, norm="pre", form="erf"), 3, 6, B=2), {}
    yield "post-norm, dropout", example(seq2seq.Config(8, 6, 2, 2, 4, 6, dropout=0.2), 5, 4), {
        "source_lengths": np.array([5, 1, 4]), "rng": np.random.default_rng(7)}


BUILDERS = {"relu": _relu, "decoder_block": _decoder_block, "seq2seq": _seq2seq}
MODELS = ("seq2seq",)

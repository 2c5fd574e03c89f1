"""Random parameters of layers, composites and models, for the ready-made cases: no gain is 1 and no bias 0."""
import numpy as np

from nanolm.params import flatten, unflatten


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


def bare(rng, n_in, n_out):
    """Return random parameters {"weight" (n_in, n_out)} of a linear layer without a bias."""
    return {"weight": rng.standard_normal((n_in, n_out)) / n_in**0.5}


def groups(rng, C, wide, narrow):
    """Return random parameters of a grouped-query attention: `wide` channels of queries, `narrow` of keys."""
    return {"q_proj": bare(rng, C, wide), "k_proj": bare(rng, C, narrow), "v_proj": bare(rng, C, narrow),
            "o_proj": bare(rng, wide, C)}


def gated(rng, C, F):
    """Return random parameters of a SwiGLU with F hidden channels."""
    return {"gate_proj": bare(rng, C, F), "up_proj": bare(rng, C, F), "down_proj": bare(rng, F, C)}

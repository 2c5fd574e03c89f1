"""Answers to the exercise on block.forward, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import layernorm, mlp, multihead


# ---------------------------------------------------------------------------------------- block.forward, right
@right("block.forward")
def the_formula(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    from nanolm.layers import dropout as drop

    def ln(h, k):
        return layernorm.forward(h, p[k]["weight"], p[k]["bias"], eps)[0]

    def at(h):
        return drop.forward(multihead.forward(h, p["attn"], n_head, mask, None, dropout, rng)[0], dropout,
                                rng)[0]

    def ff(h):
        return drop.forward(mlp.forward(h, p["mlp"], form)[0], dropout, rng)[0]

    if norm == "pre":
        x = x + at(ln(x, "ln_1"))
        return x + ff(ln(x, "ln_2"))
    x = ln(x + at(x), "ln_1")
    return ln(x + ff(x), "ln_2")


@right("block.forward")
def with_a_cache_of_its_own(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    def ln(h, g):
        m = h.mean(-1, keepdims=True)
        return (h - m) / np.sqrt(((h - m)**2).mean(-1, keepdims=True) + eps) * g["weight"] + g["bias"]

    def drop(h):
        if rng is None or dropout == 0:
            return h
        return h * (rng.random(h.shape, dtype=np.float32) >= dropout) / (1 - dropout)

    cache = [x]
    for ln_name, name in (("ln_1", "attn"), ("ln_2", "mlp")):
        h = ln(x, p[ln_name]) if norm == "pre" else x
        out = multihead.forward(h, p[name], n_head, mask, dropout=dropout, rng=rng) if name == "attn" else mlp.forward(h, p[name],
                                                                                                                       form)
        x = x + drop(out[0])
        x = ln(x, p[ln_name]) if norm == "post" else x
        cache.append(x)
    return x, cache


@right("block.forward")
def sequence_by_sequence(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    """One sequence after the other where nothing is drawn at random; else all at once."""
    if rng is not None or np.ndim(mask) == 4:
        return the_formula(x, p, n_head, mask, norm, form, eps, dropout, rng)
    return np.concatenate([the_formula(one[None], p, n_head, mask, norm, form, eps) for one in x])


# ---------------------------------------------------------------------------------------- block.forward, wrong
@wrong("block.forward", "always_pre")
def knows_pre_norm_alone(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    return the_formula(x, p, n_head, mask, "pre", form, eps, dropout, rng)


@wrong("block.forward", "mlp_adds_to_the_input", "mlp_reads_the_input", "normed_added")
def one_name_for_two(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    """x is overwritten by the normed one."""
    from nanolm.layers import dropout as drop
    if norm == "post":
        return the_formula(x, p, n_head, mask, norm, form, eps, dropout, rng)
    x = layernorm.forward(x, **p["ln_1"], eps=eps)[0]
    x = x + drop.forward(multihead.forward(x, p["attn"], n_head, mask, dropout=dropout, rng=rng)[0], dropout, rng)[0]
    x = layernorm.forward(x, **p["ln_2"], eps=eps)[0]
    return x + drop.forward(mlp.forward(x, p["mlp"], form)[0], dropout, rng)[0]


@wrong("block.forward", "mask_forgotten")
def no_mask(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    return the_formula(x, p, n_head, None, norm, form, eps, dropout, rng)


@wrong("block.forward", "no_dropout_at_all")
def no_dropout(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    return the_formula(x, p, n_head, mask, norm, form, eps)


@wrong("block.forward", "eps_forgotten")
def eps_of_gpt2(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    return the_formula(x, p, n_head, mask, norm, form, 1e-5, dropout, rng)


@wrong("block.forward", "changes_arguments")
def adds_into_x(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None):
    y = the_formula(x, p, n_head, mask, norm, form, eps, dropout, rng)
    x += 1
    return y

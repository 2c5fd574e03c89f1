"""Answers to the exercises on GPT-2's logits and loss, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import block, cross_entropy, dropout, embedding, layernorm, masks, mlp, multihead, positions


# ---------------------------------------------------------------------------------------- gpt2.logits
def model(p, ids, config, rng=None, wpe=lambda t, T: t[:T], mask=masks.causal, names=lambda n: map(str, range(n)), top=lambda x,
          z: z, ln_f=True):
    table = p["wte"]["weight"]
    x = np.stack([table[row] for row in ids]) + wpe(p["wpe"]["weight"], ids.shape[1])
    x = dropout.forward(x, config.dropout, rng)[0]
    for name in names(config.n_layer):
        x, _ = block.forward(x, p["h"][name], config.n_head, mask(ids.shape[1]), norm=config.norm, form=config.form,
                             eps=config.eps,
                             dropout=config.dropout, rng=rng)
    if "ln_f" in p and ln_f:
        x = layernorm.forward(x, p["ln_f"]["weight"], p["ln_f"]["bias"], config.eps)[0]
    return top(x, np.einsum("btc,vc->btv", x, table))


@right("gpt2.logits")
def by_einsum(p, ids, config):
    return model(p, ids, config)


@right("gpt2.logits")
def sequence_by_sequence(p, ids, config):
    return np.concatenate([model(p, row[None], config) for row in ids]), None


@right("gpt2.logits")
def blocks_opened(p, ids, config):
    x, _ = embedding.forward(ids, p["wte"]["weight"])
    x, _ = positions.forward(x, p["wpe"]["weight"])
    may = np.tril(np.ones((ids.shape[1], ids.shape[1]))) > 0
    for i in range(config.n_layer):
        q = p["h"][str(i)]

        def ln(h, k, q=q):
            return layernorm.forward(h, **q[k], eps=config.eps)[0]

        if config.norm == "pre":
            x = x + multihead.forward(ln(x, "ln_1"), q["attn"], config.n_head, may)[0]
            x = x + mlp.forward(ln(x, "ln_2"), q["mlp"], config.form)[0]
        else:
            x = ln(x + multihead.forward(x, q["attn"], config.n_head, may)[0], "ln_1")
            x = ln(x + mlp.forward(x, q["mlp"], config.form)[0], "ln_2")
    if config.norm == "pre":
        x, _ = layernorm.forward(x, **p["ln_f"], eps=config.eps)
    return x @ p["wte"]["weight"].T


@wrong("gpt2.logits", "mask_forgotten")
def sees_all(p, ids, config):
    return model(p, ids, config, mask=lambda T: np.ones((T, T), bool))


@wrong("gpt2.logits", "positions_forgotten")
def bag_of_words(p, ids, config):
    return model(p, ids, config, wpe=lambda t, T: np.zeros((T, t.shape[1])))


@wrong("gpt2.logits", "blocks_sorted_as_words")
def alphabetical(p, ids, config):
    return model(p, ids, config, names=lambda n: sorted(map(str, range(n))))


@wrong("gpt2.logits", "final_norm_skipped")
def no_last_norm(p, ids, config):
    return model(p, ids, config, ln_f=False)


@wrong("gpt2.logits", "mask_without_the_diagonal")
def not_even_itself(p, ids, config):
    return model(p, ids, config, mask=lambda T: np.arange(T)[None] < np.arange(T)[:, None])


@wrong("gpt2.logits", "probabilities_returned")
def shares(p, ids, config):
    def top(x, z):
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)
    return model(p, ids, config, top=top)


@wrong("gpt2.logits", "future_leak")
def looks_one_ahead(p, ids, config):
    return model(p, ids, config, mask=lambda T: np.arange(T)[None] <= np.arange(T)[:, None] + 1)


@wrong("gpt2.logits", "positions_from_one", "final_norm_skipped")
def two_slips(p, ids, config):
    return model(p, ids, config, wpe=lambda t, T: t[(np.arange(T) + 1) % len(t)], ln_f=False)


@wrong("gpt2.logits", "library_called")
def by_the_library(p, ids, config):
    from nanolm.models import gpt2
    return gpt2.trunk(p, ids, config)[0]


# ---------------------------------------------------------------------------------------- gpt2.forward
def loss_of(p, ids, targets, config, rng=None, collect=lambda rows: sum(sum(row) for row in rows) / max(sum(map(len, rows)), 1),
            shift=False,
            keep=True):
    z = model(p, ids, config, rng)
    rows = []
    for b in range(len(ids)):
        row = []
        for t in range(ids.shape[1]):
            target = targets[b, t + 1] if shift and t + 1 < ids.shape[1] else targets[b, t]
            if target != -100 or not keep:
                one = z[b, t] - z[b, t].max()
                row.append(np.log(np.exp(one).sum()) - one[target if target != -100 else 0])
        rows.append(row)
    return collect(rows)


@right("gpt2.forward")
def loss_in_loops(*args, **kwargs):
    return loss_of(*args, **kwargs)


@right("gpt2.forward")
def loss_by_the_layer(p, ids, targets, config, rng=None):
    return cross_entropy.forward(model(p, ids, config, rng), targets)


@right("gpt2.forward")
def loss_by_log_probabilities(p, ids, targets, config, rng=None):
    z = model(p, ids, config, rng)
    z = z - z.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    counts = targets >= 0
    picked = log_p[np.nonzero(counts) + (targets[counts],)]
    return -picked.mean() if len(picked) else 0.0


@wrong("gpt2.forward", "mean_of_means")
def mean_of_the_sequences(*args, **kwargs):
    return loss_of(*args, **kwargs, collect=lambda rows: np.mean([sum(row) / max(len(row), 1) for row in rows]))


@wrong("gpt2.forward", "loss_summed")
def total(*args, **kwargs):
    return loss_of(*args, **kwargs, collect=lambda rows: sum(sum(row) for row in rows))


@wrong("gpt2.forward", "divided_by_batch")
def per_sequence(*args, **kwargs):
    return loss_of(*args, **kwargs, collect=lambda rows: sum(sum(row) for row in rows) / len(rows))


@wrong("gpt2.forward", "ignored_counted")
def everything_counts(*args, **kwargs):
    return loss_of(*args, **kwargs, keep=False)


@wrong("gpt2.forward", "mean_over_all")
def over_all_places(p, ids, targets, config, rng=None):
    return loss_of(p, ids, targets, config, rng, collect=lambda rows: sum(sum(row) for row in rows) / ids.size)


@wrong("gpt2.forward", "targets_are_the_ids")
def copies(p, ids, targets, config, rng=None):
    return cross_entropy.forward(model(p, ids, config, rng), ids)[0]


@wrong("gpt2.forward", "loss_in_bits")
def log2(*args, **kwargs):
    return loss_of(*args, **kwargs) / 0.6931471805599453


@wrong("gpt2.forward", "targets_shifted_again")
def shifted_here_too(p, ids, targets, config, rng=None):
    z = model(p, ids, config, rng)
    return cross_entropy.forward(z[:, :-1], targets[:, 1:])[0] if ids.shape[1] > 1 else cross_entropy.forward(z, targets)[0]

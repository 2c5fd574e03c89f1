"""Wrong answers to the exercises on GPT-2's logits and its loss."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.layers import block, dropout as dropout_layer, layernorm, masks, positions, softmax


def gpt2_logits(p, ids, config, rng=None, place="own", mask="causal", final="kept", blocks="own", head="tied", scale="none",
                hand_on="all",
                embed="own"):
    """gpt2.logits, and forward's way to the logits with an rng, with a switch wherever people go wrong."""
    T, wte, wpe = ids.shape[1], p["wte"]["weight"], p["wpe"]["weight"]
    x = wte[ids] * (wte.shape[1]**0.5 if scale == "embedding" else 1)
    rows = {"own": lambda: wpe[:T], "none": lambda: 0, "from one": lambda: np.roll(wpe, -1, axis=0)[:T], "last": lambda: wpe[-T:],
            "turned": lambda: wpe[:T][::-1], "sinusoidal": lambda: positions.sinusoidal(T, wpe.shape[1], wpe.dtype),
            "ids": lambda: wpe[ids % len(wpe)], "first": lambda: wpe[0]}[place]()
    x = x + rows
    if hand_on != "no embedding dropout":
        x, _ = dropout_layer.forward(x, config.dropout, rng)
    allowed = {"causal": lambda: masks.causal(T), "none": lambda: None, "turned": lambda: masks.causal(T)[::-1, ::-1].T,
               "strict": lambda: np.tril(np.ones((T, T), bool), -1), "future": lambda: np.triu(np.ones((T, T), bool))}[mask]()
    order = [str(i) for i in range(config.n_layer)]
    order = {"own": order, "reversed": order[::-1], "first always": ["0"] * len(order), "as words": sorted(p["h"]),
             "first left out": order[1:],
             "last left out": order[:-1], "first only": order[:1]}[blocks]
    inside = 0.0 if hand_on == "no dropout in the blocks" else config.dropout
    for i in order:
        x, _ = block.forward(x, p["h"][i], 1 if hand_on == "one head" else config.n_head, allowed,
                             "pre" if hand_on == "no norm" else config.norm,
                             "tanh" if hand_on == "no form" else config.form, 1e-5 if hand_on == "no eps" else config.eps, inside,
                             rng)
    if config.norm == "pre" and final != "skipped":
        x, _ = layernorm.forward(x, **p["ln_f"], eps=config.eps)
    if final == "twice" and config.norm == "pre":
        x, _ = layernorm.forward(x, **p["ln_f"], eps=config.eps)
    z = x @ wte.T * (wte.shape[1]**-0.5 if scale == "logits" else 1)
    return {"tied": lambda: z, "softmax": lambda: softmax.forward(z)[0], "log softmax": lambda: np.log(softmax.forward(z)[0]),
            "last token": lambda: z[:, -1], "last token kept": lambda: z[:, -1:], "vectors": lambda: x}[head]()


TRUNK = dict(
    positions_forgotten=("The positions are not added: x = wte[ids] + wpe[0 ... T - 1]. Without them the model cannot tell first "
                         "from last, but for the mask.", {"place": "none"}),
    positions_from_one=("The positions begin at 1. They are counted from 0: wpe[0 ... T - 1].", {"place": "from one"}),
    positions_from_the_end=("The last T rows of wpe are added. A text begins at position 0: the first T rows.",
                            {"place": "last"}),
    positions_turned=("The positions are added in reverse order.", {"place": "turned"}),
    positions_by_ids=("wpe is looked up by the ids. Its rows belong to places: row t to the token at place t.", {"place": "ids"}),
    position_zero_everywhere=("All tokens get the row of position 0. The token at place t gets row t.", {"place": "first"}),
    positions_sinusoidal=("The positions are sines and cosines (P3). GPT-2 learns them: p[\"wpe\"][\"weight\"].",
                          {"place": "sinusoidal"}),
    embedding_scaled=("The embedding is multiplied by sqrt(C). That is the first Transformer's; GPT-2 does not.",
                      {"scale": "embedding"}),
    logits_scaled=("The logits are divided by sqrt(C). That scale belongs inside attention; the logits are x wte^T.",
                   {"scale": "logits"}),
    mask_forgotten=("There is no causal mask: every token sees the ones that follow, and what is to be predicted is known.",
                    {"mask": "none"}),
    mask_future=("The mask is turned round: a token sees itself and what follows. masks.causal(T): itself and what came before.",
                 {"mask": "future"}),
    mask_without_the_diagonal=("The mask forbids a token to see itself. masks.causal(T) allows it: key j <= query i.",
                               {"mask": "strict"}),
    blocks_reversed=("The blocks are gone through from the last to the first. That is backward's order.", {"blocks": "reversed"}),
    first_block_always=("Every time it is the first block, p[\"h\"][\"0\"]: take p[\"h\"][str(i)].", {"blocks": "first always"}),
    blocks_sorted_as_words=('The blocks\' names are sorted as words: "10" comes before "2". Count: for i in '
                            'range(config.n_layer).',
                            {"blocks": "as words"}),
    first_block_left_out=("The first block is left out. Blocks are numbered from 0.", {"blocks": "first left out"}),
    last_block_left_out=("The last block is left out. There are config.n_layer of them.", {"blocks": "last left out"}),
    final_norm_skipped=("ln_f is left out: with norm \"pre\" x is normed once more before the output.", {"final": "skipped"}),
    final_norm_twice=("ln_f is applied twice.", {"final": "twice"}),
    one_head=("n_head is not handed on to the blocks: there is a single head.", {"hand_on": "one head"}),
    eps_forgotten=("eps is not handed on to the blocks: their norms take 1e-5 whatever config says.", {"hand_on": "no eps"}),
    form_forgotten=("form is not handed on to the blocks: the bend is \"tanh\" whatever config says.", {"hand_on": "no form"}),
    norm_forgotten=("norm is not handed on to the blocks: they are pre-norm whatever config says.", {"hand_on": "no norm"}),
)
LOGITS = ways(
    gpt2_logits, **TRUNK,
    probabilities_returned=("These are probabilities. The logits are the scores before the softmax: cross-entropy and sampling "
                            "take them as they are.", {"head": "softmax"}),
    log_probabilities_returned=("These are the logarithms of probabilities. The logits are the scores before the softmax.",
                                {"head": "log softmax"}),
    last_token_only=("Only the last token's logits are returned. There are logits after each of the tokens, (B, T, V).",
                     {"head": "last token"}),
    last_token_with_its_axis=("Only the last token's logits are returned, (B, 1, V). There are logits after each, (B, T, V).",
                              {"head": "last token kept"}),
    head_forgotten=("These are vectors (B, T, C), not logits: the output x wte^T is missing.", {"head": "vectors"}),
)


def gpt2_loss(p, ids, targets, config, rng=None, shift="none", over="counted", unit="nats", takes="logits", **more):
    """gpt2.forward's loss, with a switch wherever people go wrong."""
    z = gpt2_logits(p, ids, config, rng, **more)
    if shift == "again":
        z, targets = (z[:, :-1], targets[:, 1:]) if ids.shape[1] > 1 else (z, targets)
    if shift == "ids":
        targets = ids
    z = softmax.forward(z)[0] if takes == "probabilities" else z
    z = z - z.max(axis=-1, keepdims=True)
    nll_of = np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z
    counted = targets != -100
    nll = np.take_along_axis(nll_of, np.where(counted, targets, 0)[..., None], axis=-1)[..., 0]
    nll = np.where(counted, nll, nll if over == "ignored as zero" else 0)
    M, rows = max(int(counted.sum()), 1), np.maximum(counted.sum(axis=1), 1)
    loss = {"counted": lambda: nll.sum() / M, "all": lambda: nll.mean(), "sum": lambda: nll.sum(),
            "sequences": lambda: (nll.sum(axis=1) / rows).mean(),
            "batch": lambda: nll.sum() / len(ids), "ignored as zero": lambda: nll.mean(), "last": lambda: nll[:, -1].mean(),
            "a token": lambda: nll}[over]()
    return loss * {"nats": 1, "bits": 1 / np.log(2), "minus": -1}[unit] if unit != "perplexity" else np.exp(loss)


LOSS = ways(
    gpt2_loss, **{name: TRUNK[name] for name in ("positions_forgotten", "positions_from_one", "embedding_scaled",
                                                 "mask_forgotten", "mask_future",
                                                 "blocks_reversed", "first_block_always", "final_norm_skipped",
                                                 "norm_forgotten")},
    targets_shifted_again=("The targets are shifted here once more. They come shifted: targets[:, t] is the token after ids[:, "
                           "t].",
                           {"shift": "again"}),
    targets_are_the_ids=("The loss compares with ids: the model is asked for the token that it has just read. Compare with "
                         "targets.",
                         {"shift": "ids"}),
    mean_over_all=("The sum is divided by all B T tokens. Targets of -100 do not count in the number either: divide by those "
                   "that do, (C2).", {"over": "all"}),
    ignored_counted=("Targets of -100 count, as if they were token 0. They are left out of the sum and of the number, (C2).",
                     {"over": "ignored as zero"}),
    loss_summed=("The loss is the sum over the tokens. It is their mean, (C2): a longer text would have a larger loss.",
                 {"over": "sum"}),
    mean_of_means=("The loss is the mean of the sequences' means. All targets that count weigh alike, so sum them all and divide "
                   "once, (C2): the two differ as soon as one sequence has more -100 than another.", {"over": "sequences"}),
    divided_by_batch=("The sum is divided by the number of sequences. Divide by the number of targets that count, (C2).",
                      {"over": "batch"}),
    last_token_only=("Only the last token's loss counts here. Every token predicts the next one: all T places count.",
                     {"over": "last"}),
    loss_not_averaged=("A loss for each token is returned. The loss is one number, their mean, (C2).", {"over": "a token"}),
    loss_in_bits=("The loss is in bits. It is in nats: the natural logarithm.", {"unit": "bits"}),
    loss_sign=("The loss has the wrong sign: it is minus the logarithm of the target's probability, never below 0.",
               {"unit": "minus"}),
    perplexity_returned=("This is the perplexity, exp(loss).", {"unit": "perplexity"}),
    softmax_before_the_loss=("The logits went through a softmax before cross-entropy, which takes logits and does it itself.",
                             {"takes": "probabilities"}),
    embedding_dropout_forgotten=("Token plus position is not dropped: dropout.forward(x, config.dropout, rng) before the blocks.",
                                 {"hand_on": "no embedding dropout"}),
    block_dropout_forgotten=("dropout and rng are not handed on to the blocks.", {"hand_on": "no dropout in the blocks"}),
)

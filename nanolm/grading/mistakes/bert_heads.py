"""Wrong answers to the exercises on BERT's heads for a text, for each token and for an answer's place."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, shaped
from nanolm.layers import cross_entropy, dropout as dropout_layer, linear, pooler as pooler_layer
from nanolm.models import bert


def share(loss, c_loss, rows):
    """Return the dloss that goes with a wrong way of averaging. rows: how many there are, those that do not count too."""
    M = max(len(c_loss[2]), 1)
    return {"mean": 1.0, "divided twice": 1 / M, "summed": float(M), "all": M / rows, "minus": -1.0}[loss]


def of_loss(what, all_of_them):
    """Return {mistake: (sentence, switches)} of a mean over what counts."""
    return dict(
        loss_divided_twice=(f"All gradients are divided by the number of {what} once more. cross_entropy.backward has done it: "
                            f"dloss is 1.",
                            {"loss": "divided twice"}),
        loss_summed=(f"All gradients are those of the sum over the {what}. The loss is their mean (C2), and "
                     f"cross_entropy.backward(1.0, c_loss) divides already.", {"loss": "summed"}),
        loss_over_all=(f"All gradients are divided by {all_of_them}. Targets of -100 do not count: divide by those that do, as "
                       f"cross_entropy.backward(1.0, c_loss) does.", {"loss": "all"}),
        loss_sign=("All gradients have the wrong sign: backward starts with cross_entropy.backward(1.0, c_loss).",
                   {"loss": "minus"}))


def encoder(dx, c_bert, way):
    """Return dp["bert"], or what stands there when the encoder is forgotten."""
    dp = bert.backward(dx, c_bert)
    return {"zero": lambda: zeros(dp)}.get(way, lambda: dp)()


def zeros(tree):
    return {key: zeros(value) for key, value in tree.items()} if isinstance(tree, dict) else 0 * tree


def named(dp, names, form):
    """Return dp with a head's gradients left out, turned or exchanged."""
    if names == "head exchanged":
        dp = {**dp, "classifier": {"weight": dp["classifier"]["bias"], "bias": dp["classifier"]["weight"]}}
    if names == "head turned":
        dp = {**dp, "classifier": {**dp["classifier"], "weight": dp["classifier"]["weight"].T}}
    if names == "spread":
        dp = {**dp["bert"], **{key: d for key, d in dp.items() if key != "bert"}}
    return shaped({key: d for key, d in dp.items() if f"no {key}" != names}, form)


NAMES = dict(
    head_exchanged=("In classifier weight and bias are exchanged: linear.backward returns dx, dweight, dbias.",
                    {"names": "head exchanged"}),
    head_turned=("classifier's weight is turned: it is (in, out) here, as linear.backward returns it.", {"names": "head turned"}),
    head_left_out=("dp lacks classifier, the head's weight and bias.", {"names": "no classifier"}),
    encoder_left_out=('dp lacks bert, what bert.backward returns: the encoder learns as well: bert.backward(dx, c_bert).',
                      {"names": "no bert"}),
    encoder_spread_out=('The encoder\'s gradients stand in dp itself. p has them under "bert": dp["bert"] = bert.backward(dx, '
                        'c_bert).',
                        {"names": "spread"}),
    encoder_zero=("The encoder's gradients are zero: what comes out of the head's backward goes into bert.backward.",
                  {"into": "zero"}),
    keys_dotted=DOTTED,
)


def sequence_backward(cache, loss="mean", drop="kept", place="first", pool="kept", into="own", names="own", form="own"):
    """bert_sequence.backward, with a switch wherever people go wrong."""
    c_bert, c_pooler, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(share(loss, c_loss, len(c_loss[0])), c_loss)
    dy, dweight, dbias = linear.backward(dz, c_head)
    dy = dy if drop in ("forgotten", "too late") else dropout_layer.backward(dy, c_drop)
    dx, dpooler = pooler_layer.backward(dy, c_pooler)
    if pool == "skipped":
        dx = np.zeros_like(dx)
        dx[:, 0] = dy
    if drop == "too late":
        dx = dx.copy()
        dx[:, 0] = dropout_layer.backward(dx[:, 0], c_drop)
    first, T = dx[:, :1], dx.shape[1]
    dx = {"first": dx, "last": np.roll(dx, -1, axis=1), "all": np.repeat(first, T, axis=1),
          "spread": np.repeat(first / T, T, axis=1)}[place]
    dp = {"bert": encoder(dx, c_bert, into), "pooler": dpooler, "classifier": {"weight": dweight, "bias": dbias}}
    return named(dp, names, form)


SEQUENCE = ways(
    sequence_backward, **of_loss("texts", "all B texts"), **NAMES,
    dropout_forgotten=("The dropout before the classifier is forgotten: dropout.backward(dy, c_drop) comes before "
                       "pooler.backward.",
                       {"drop": "forgotten"}),
    dropout_too_late=("The dropout is undone after the pooler. In forward it came after the pooler, so in backward before it.",
                      {"drop": "too late"}),
    pooler_skipped=("The gradient does not go through the pooler: pooler.backward(dy, c_pooler) returns dx, dp, and that dx goes "
                    "on.",
                    {"pool": "skipped"}),
    pooler_left_out=("dp lacks pooler.", {"names": "no pooler"}),
    last_token_gets_it=("The gradient arrives at the last token. The pooler reads the first, [CLS]: (K1).", {"place": "last"}),
    every_token_gets_it=("Every token gets the gradient. The pooler reads the first token alone, [CLS], and the others get zero: "
                         "(K1).",
                         {"place": "all"}),
    spread_over_the_tokens=("The gradient is spread over all tokens, as if the pooler took their mean. It reads the first alone: "
                            "(K1).",
                            {"place": "spread"}),
)


def token_backward(cache, loss="mean", drop="kept", places="all", into="own", names="own", form="own"):
    """bert_token.backward, with a switch wherever people go wrong."""
    c_bert, c_drop, c_head, c_loss = cache
    dz = cross_entropy.backward(share(loss, c_loss, c_loss[0].size // c_loss[0].shape[-1]), c_loss)
    dy, dweight, dbias = linear.backward(dz, c_head)
    dx = dy if drop == "forgotten" else dropout_layer.backward(dy, c_drop)
    dx = dropout_layer.backward(dx, c_drop) if drop == "twice" else dx
    if places != "all":
        kept, at = np.zeros_like(dx), {"first": np.s_[:, 0], "last": np.s_[:, -1], "first text": np.s_[0]}[places]
        kept[at] = dx[at]
        dx = kept
    return named({"bert": encoder(dx, c_bert, into), "classifier": {"weight": dweight, "bias": dbias}}, names, form)


TOKEN = ways(
    token_backward, **of_loss("tokens", "all B T tokens"), **NAMES,
    dropout_forgotten=("The dropout before the classifier is forgotten: dropout.backward(dy, c_drop) comes before bert.backward.",
                       {"drop": "forgotten"}),
    dropout_twice=("The dropout is undone twice. bert.backward has a dropout of its own, in its own cache; this one is gone "
                   "through once.",
                   {"drop": "twice"}),
    first_token_only=("Only the first token's gradient reaches the encoder. Every token has a class, so all of them do; [CLS] "
                      "alone is bert_sequence's.", {"places": "first"}),
    last_token_only=("Only the last token's gradient reaches the encoder. Every token has a class, so all of them do.",
                     {"places": "last"}),
    first_text_only=("Only the first text's gradient reaches the encoder.", {"places": "first text"}),
)


def span_backward(cache, halves=(0.5, 0.5), order="own", into="own", names="own", form="own"):
    """bert_span.backward, with a switch wherever people go wrong."""
    c_bert, c_head, c_start, c_end = cache
    counts = [max(len(c[2]), 1) for c in (c_start, c_end)]
    if halves == "joint":                           # one mean over both, (sum of starts and ends) / (their number)
        halves = [count / sum(counts) for count in counts]
    ends = [cross_entropy.backward(half, c) for half, c in zip(halves, (c_start, c_end))]
    ends = ends[::-1] if order == "exchanged" else ends
    dx, dweight, dbias = linear.backward(np.stack(ends, axis=-1), c_head)
    dp = {"bert": encoder(dx, c_bert, into), "span": {"weight": dweight, "bias": dbias}}
    if names == "head exchanged":
        dp["span"] = {"weight": dbias, "bias": dweight}
    return shaped({**dp["bert"], "span": dp["span"]} if names == "spread" else {k: d for k,
                                                                                d in dp.items() if f"no {k}" != names}, form)


SPAN = ways(
    span_backward,
    losses_added=("The two losses are added. (SP1) is their mean: each gets the gradient 0.5.", {"halves": (1.0, 1.0)}),
    halved_twice=("Each loss gets the gradient 0.25. (SP1) has one half: 0.5 each.", {"halves": (0.25, 0.25)}),
    start_alone=("Only the start's loss sends a gradient back. (SP1) is the mean of both: dend is missing.",
                 {"halves": (0.5, 0.0)}),
    start_alone_in_full=("Only the start's loss sends a gradient back, and with 1. (SP1) is the mean of both, 0.5 each.",
                         {"halves": (1.0, 0.0)}),
    end_alone=("Only the end's loss sends a gradient back. (SP1) is the mean of both: dstart is missing.",
               {"halves": (0.0, 0.5)}),
    end_in_full=("The half stands at the start alone. (SP1) is the mean of both losses: 0.5 each.", {"halves": (0.5, 1.0)}),
    start_in_full=("The half stands at the end alone. (SP1) is the mean of both losses: 0.5 each.", {"halves": (1.0, 0.5)}),
    end_subtracted=("The end's gradient is subtracted. (SP1) adds the two losses.", {"halves": (0.5, -0.5)}),
    loss_sign=("All gradients have the wrong sign: backward starts with 0.5 for each of the losses.", {"halves": (-0.5, -0.5)}),
    one_mean_over_both=("The two losses are taken as one mean over all starts and ends. (SP1) is the mean of two means: where "
                        "some places are -100 the two differ.", {"halves": "joint"}),
    start_and_end_exchanged=("Start and end are exchanged: channel 0 of the head is the start, channel 1 the end, so dstart "
                             "comes first.",
                             {"order": "exchanged"}),
    head_exchanged=("In span weight and bias are exchanged: linear.backward returns dx, dweight, dbias.",
                    {"names": "head exchanged"}),
    head_left_out=("dp lacks span, the head's weight and bias.", {"names": "no span"}),
    **{name: NAMES[name] for name in ("encoder_left_out", "encoder_spread_out", "encoder_zero", "keys_dotted")},
)

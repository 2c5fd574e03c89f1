"""Wrong answers to the exercise on BERT's pre-training head."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, shaped
from nanolm.layers import cross_entropy, gelu, layernorm, linear, pooler as pooler_layer, relu
from nanolm.models import bert


def pretraining_backward(cache, masked="kept", pair="kept", tied="kept", bend="kept", norm="kept", rows_at="own",
                         dloss=(1.0, 1.0), names="own", form="own"):
    """bert_pretraining.backward, with a switch wherever people go wrong."""
    shape, rows, c_bert, (kind, c_transform, c_bend, c_norm, c_head), c_loss, c_pair = cache
    dx, dp, M = 0, {}, max(len(c_loss[2]), 1)
    dloss = {"all tokens": (M / (shape[0] * shape[1]), 1.0), "twice": (1 / M, 1.0)}.get(dloss, dloss)
    if c_pair is not None:
        c_pooler, c_next, c_next_loss = c_pair
        dpooled, dweight, dbias = linear.backward(cross_entropy.backward(dloss[1], c_next_loss), c_next)
        dx, dpooler = pooler_layer.backward(dpooled, c_pooler)
        dp = {"pooler": dpooler, "next": {"weight": dweight, "bias": dbias}}
    dh, dhead, dbias_head = linear.backward(cross_entropy.backward(dloss[0], c_loss), c_head)
    through, dgain, dbias_norm = layernorm.backward(dh, c_norm)
    dh = dh if norm == "skipped" else through
    if bend == "kept":
        dh = relu.backward(dh, c_bend) if kind == "relu" else gelu.backward(dh, c_bend)
    dh, dtransform, dbias = linear.backward(dh, c_transform)
    dmasked = np.zeros((shape[0] * shape[1], shape[2]))
    dmasked[{"own": rows, "first places": np.arange(len(rows)), "next places": (rows + 1) % len(dmasked)}[rows_at]] = dh
    dmasked = dmasked.reshape(shape)
    dx = {"kept": dx, "forgotten": 0 * dx}[pair] + {"kept": dmasked, "forgotten": 0 * dmasked}[masked]
    dx = dx / 2 if masked == "kept" and names == "averaged" and c_pair is not None else dx
    dp = {"bert": bert.backward(dx, c_bert, dhead.T if tied in ("kept", "twice") else None),
          "transform": {"weight": dtransform, "bias": dbias},
          "ln": {"weight": dgain, "bias": dbias_norm}, "head": {"bias": dbias_head}, **dp}
    if tied in ("twice", "at the head"):
        table_at = dp["bert"]["wte"]["weight"]
        dp = {**dp, "bert": {**dp["bert"], "wte": {"weight": table_at + dhead.T}}} if tied == "twice" else \
            {**dp, "head": {"weight": dhead, "bias": dbias_head}}
    if names == "head zero":
        dp["head"] = {"bias": 0 * dbias_head}
    return shaped({key: d for key, d in dp.items() if f"no {key}" != names}, form)


PRETRAINING = ways(
    pretraining_backward,
    masked_do_not_reach_the_encoder=("The masked tokens' gradient does not reach the encoder. x went two ways, to the masked "
                                     "tokens and to the pooler, and the two gradients add.", {"masked": "forgotten"}),
    pair_does_not_reach_the_encoder=("The pooler's gradient does not reach the encoder. x went two ways, to the masked tokens "
                                     "and to the pooler, and the two gradients add.", {"pair": "forgotten"}),
    two_ways_averaged=("The gradients of the masked tokens and of the pooler are averaged. x went both ways, and they add.",
                       {"names": "averaged"}),
    table_as_head_forgotten=("The table's second use is forgotten: z = h wte^T + bias, so dhead.T, what linear.backward gave for "
                             "wte, goes into bert.backward as its dhead.", {"tied": "forgotten"}),
    table_as_head_twice=("The head's gradient of wte is added twice: bert.backward(dx, c_bert, dhead.T) adds it already.",
                         {"tied": "twice"}),
    head_has_its_own_weight=("dp[\"head\"] has a weight. The matrix is wte itself, tied: hand dhead.T to bert.backward; head has "
                             "a bias alone.",
                             {"tied": "at the head"}),
    bend_skipped=("The gradient does not go through the transform's bend: gelu.backward, or relu.backward where form is "
                  "\"relu\", comes between ln and transform.", {"bend": "skipped"}),
    norm_skipped=("The gradient does not go through the head's norm: what layernorm.backward returns first is what goes on.",
                  {"norm": "skipped"}),
    rows_put_back_first=("The masked rows' gradients are put back at the first places. h = x[rows] took them from rows, so they "
                         "go back there: dmasked.reshape(-1, C)[rows] = dh.", {"rows_at": "first places"}),
    rows_one_on=("The masked rows' gradients are put back one place too late. h = x[rows]: they go back to rows.",
                 {"rows_at": "next places"}),
    losses_averaged=("Each loss gets the gradient 0.5. (J1) adds the two: 1 for each.", {"dloss": (0.5, 0.5)}),
    next_loss_forgotten=("The second loss sends no gradient back: (J1) adds both.", {"dloss": (1.0, 0.0)}),
    words_loss_forgotten=("The masked tokens' loss sends no gradient back: (J1) adds both.", {"dloss": (0.0, 1.0)}),
    words_over_all_tokens=("The masked tokens' gradients are divided by all B T tokens. The mean is over the masked ones (C2), "
                           "and cross_entropy.backward(1.0, c_loss) divides already.", {"dloss": "all tokens"}),
    words_divided_twice=("The masked tokens' gradients are divided by their number once more: cross_entropy.backward does that.",
                         {"dloss": "twice"}),
    loss_sign=("All gradients have the wrong sign: both backwards of the losses start with 1.", {"dloss": (-1.0, -1.0)}),
    head_bias_zero=("The head's bias has no gradient: linear.backward returns it third.", {"names": "head zero"}),
    head_left_out=("dp lacks head, with the bias of the output.", {"names": "no head"}),
    norm_left_out=("dp lacks ln, the head's norm.", {"names": "no ln"}),
    transform_left_out=("dp lacks transform.", {"names": "no transform"}),
    next_left_out=("dp lacks next, the second head's weight and bias.", {"names": "no next"}),
    keys_dotted=DOTTED,
)

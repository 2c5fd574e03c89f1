"""Wrong answers to the exercise on GPT-2's backward."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, of_stack, of_table, shaped, stack, table
from nanolm.layers import block, cross_entropy, dropout as dropout_layer, layernorm, linear, positions


def gpt2_backward(cache, loss="mean", blocks="chain", final="kept", drop="kept", wpe="own", wte="sum", lookup_gets="own",
                  form="own"):
    """gpt2.backward, with a switch wherever people go wrong."""
    c_wte, c_wpe, c_drop, c_blocks, c_norm, c_head, c_loss = cache
    M, (B, T) = max(len(c_loss[2]), 1), c_wte[0].shape
    dloss = {"mean": 1.0, "divided twice": 1 / M, "summed": M, "all tokens": M / (B * T), "minus": -1.0}[loss]
    dx, dhead, _ = linear.backward(cross_entropy.backward(dloss, c_loss), c_head)
    top, dp_f = dx, {}
    if c_norm is not None:
        through, dweight, dbias = layernorm.backward(dx, c_norm)
        dx = dx if final == "skipped" else through
        dp_f = {"ln_f": {"weight": dbias, "bias": dweight} if final == "exchanged" else {"weight": dweight, "bias": dbias}}
        dp_f = {} if final == "left out" else dp_f
    below = dx
    dx, dblocks = stack(dx, c_blocks, block.backward, blocks)
    through = dropout_layer.backward(dx, c_drop)
    at_lookup = dx if drop == "after positions" else through
    dx = dx if drop == "forgotten" else through
    dx, dwpe = positions.backward(dx, c_wpe)
    at_lookup = at_lookup if drop == "after positions" else dx
    at_lookup = {"own": at_lookup, "the head's": top, "the stack's": below}[lookup_gets]
    dwpe = {"own": lambda: dwpe, "zero": lambda: 0 * dwpe, "average": lambda: dwpe / B, "cut": lambda: dwpe[:T],
            "first sequence": lambda: positions.backward(dx[:1], c_wpe)[1],
            "all places": lambda: np.tile(dwpe.sum(axis=0), (len(dwpe), 1))}.get(wpe, lambda: dwpe)()
    dp = {"wte": {"weight": table(dhead.T, at_lookup, c_wte, wte if wte != "two names" else "lookup only")},
          "wpe": {"weight": dwpe}, "h": dblocks, **dp_f}
    if wpe == "left out":
        del dp["wpe"]
    return shaped({**dp, "lm_head": {"weight": dhead}} if wte == "two names" else dp, form)


BACKWARD = ways(
    gpt2_backward,
    **of_table("wte", "wte"), **of_stack("blocks", 'dp["h"]'),
    head_under_its_own_name=("The output's gradient stands under a name of its own, lm_head, that p does not have. wte is one "
                             "matrix that is used twice: its gradient is the sum of both.", {"wte": "two names"}),
    final_norm_skipped=("The gradient does not go through ln_f: what layernorm.backward returns first, dx, is what goes into the "
                        "last block.", {"final": "skipped"}),
    final_norm_exchanged=("In ln_f weight and bias are exchanged: layernorm.backward returns dx, dweight, dbias.",
                          {"final": "exchanged"}),
    final_norm_left_out=("dp lacks ln_f: pre-norm has a last norm of its own, with weight and bias.", {"final": "left out"}),
    loss_divided_twice=("All gradients are divided by the number of targets once more. cross_entropy.backward has done it: dloss "
                        "is 1.",
                        {"loss": "divided twice"}),
    loss_summed=("All gradients are those of the sum over the targets. The loss is their mean (C2), and "
                 "cross_entropy.backward(1.0, c_loss) divides already.", {"loss": "summed"}),
    loss_over_all_tokens=("All gradients are divided by all B T tokens. Targets of -100 do not count: divide by those that do, "
                          "as cross_entropy.backward(1.0, c_loss) does.", {"loss": "all tokens"}),
    loss_sign=("All gradients have the wrong sign. The gradient of the loss by itself is 1: backward starts with "
               "cross_entropy.backward(1.0, c_loss). That steps go against the gradient is the optimizer's business.",
               {"loss": "minus"}),
    embedding_dropout_forgotten=("The dropout after the embeddings is forgotten: dropout.backward(dx, c_drop) comes after the "
                                 "blocks and before positions.backward.", {"drop": "forgotten"}),
    lookup_before_the_dropout=("The lookup's gradient is taken from before dropout.backward. In forward the dropout comes after "
                               "token and position were added, so both get what dropout.backward returns.",
                               {"drop": "after positions"}),
    positions_zero=("wpe's gradient is zero: every sequence added the same rows, so they get the sum over the batch (P2).",
                    {"wpe": "zero"}),
    positions_left_out=("dp lacks wpe, the table of positions: positions.backward returns dx, dweight.", {"wpe": "left out"}),
    positions_averaged=("wpe's gradient is averaged over the batch. Every sequence used the same rows: sum over the batch (P2).",
                        {"wpe": "average"}),
    positions_cut=("wpe's gradient has T rows. It has as many as wpe itself, block_size; rows beyond T were not used and are "
                   "zero.",
                   {"wpe": "cut"}),
    positions_first_sequence=("wpe's gradient comes from the first sequence alone: sum over the batch (P2).",
                              {"wpe": "first sequence"}),
    positions_summed_over_places=("wpe's gradient is the same in all rows: it is summed over the places as well. Row t gets what "
                                  "arrives at place t (P2).", {"wpe": "all places"}),
    lookup_gets_the_heads_dx=("The lookup gets the gradient from right below the output. All blocks lie in between: the lookup "
                              "is at the bottom, so it gets dx after the last step.", {"lookup_gets": "the head's"}),
    lookup_gets_the_stacks_dx=("The lookup gets the gradient from above the blocks. It is at the bottom: it gets dx after all "
                               "blocks.",
                               {"lookup_gets": "the stack's"}),
    keys_dotted=DOTTED,
)

"""Wrong answers to the exercise on Llama's backward."""
from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, of_stack, of_table, shaped, stack, table
from nanolm.layers import cross_entropy, embedding, linear, llama_block, rmsnorm


def llama_backward(cache, loss="mean", blocks="chain", final="kept", tables="sum", lookup_gets="own", head="own", form="own"):
    """llama.backward, with a switch wherever people go wrong."""
    tied, c_embed, c_blocks, c_norm, c_head, c_loss = cache
    M, (B, T) = max(len(c_loss[2]), 1), c_embed[0].shape
    dloss = {"mean": 1.0, "divided twice": 1 / M, "summed": M, "all tokens": M / (B * T), "minus": -1.0}[loss]
    dx, dhead, _ = linear.backward(cross_entropy.backward(dloss, c_loss), c_head)
    top = dx
    through, dgain = rmsnorm.backward(dx, c_norm)
    dx = dx if final == "skipped" else through
    below = dx
    dx, dblocks = stack(dx, c_blocks, llama_block.backward, blocks)
    dx = {"own": dx, "the head's": top, "the stack's": below}[lookup_gets]
    dp = {"layers": dblocks, "norm": dgain if final == "bare" else {"weight": 0 * dgain if final == "zero" else dgain}}
    if final == "left out":
        del dp["norm"]
    if tied or head == "always tied":
        dp["embed_tokens"] = {"weight": table(dhead.T, dx, c_embed, tables)}
    else:
        dp["embed_tokens"] = {"weight": embedding.backward(dx, c_embed)}
    if not tied and head not in ("always tied", "left out") or head == "never tied":
        dp["lm_head"] = {"weight": dhead.T if head == "turned" else dhead}
        if head == "never tied" and tied:
            dp["embed_tokens"] = {"weight": embedding.backward(dx, c_embed)}
    return shaped(dp, form)


BACKWARD = ways(
    llama_backward,
    **of_table("tables", "embed_tokens"), **of_stack("blocks", 'dp["layers"]'),
    final_norm_skipped=("The gradient does not go through the last norm: what rmsnorm.backward returns first, dx, is what goes "
                        "into the last block.", {"final": "skipped"}),
    final_norm_zero=("The last norm's gain has no gradient: rmsnorm.backward returns dx, dweight.", {"final": "zero"}),
    final_norm_bare=('dp["norm"] is a bare array. It is a dict with the key weight, as in p.', {"final": "bare"}),
    final_norm_left_out=("dp lacks norm, the last norm's gain: rmsnorm.backward returns dx, dweight.", {"final": "left out"}),
    loss_divided_twice=("All gradients are divided by the number of targets once more. cross_entropy.backward has done it: dloss "
                        "is 1.",
                        {"loss": "divided twice"}),
    loss_summed=("All gradients are those of the sum over the targets. The loss is their mean (C2), and "
                 "cross_entropy.backward(1.0, c_loss) divides already.", {"loss": "summed"}),
    loss_over_all_tokens=("All gradients are divided by all B T tokens. Targets of -100 do not count: divide by those that do, "
                          "as cross_entropy.backward(1.0, c_loss) does.", {"loss": "all tokens"}),
    loss_sign=("All gradients have the wrong sign: backward starts with cross_entropy.backward(1.0, c_loss).", {"loss": "minus"}),
    lookup_gets_the_heads_dx=("The lookup gets the gradient from right below the output. All blocks lie in between: it gets dx "
                              "after the last step.", {"lookup_gets": "the head's"}),
    lookup_gets_the_stacks_dx=("The lookup gets the gradient from above the blocks. It is at the bottom: it gets dx after all "
                               "blocks.",
                               {"lookup_gets": "the stack's"}),
    always_tied=("tied is not looked at: the output's gradient goes to embed_tokens even where the model has a head of its own. "
                 "If tied is False, it belongs to lm_head.", {"head": "always tied"}),
    never_tied=("tied is not looked at: the output's gradient goes to lm_head even where p has none. If tied is True, it is "
                "added to embed_tokens.", {"head": "never tied"}),
    head_left_out=("lm_head is left out where the model has a head of its own: if tied is False, dp has it, with weight.",
                   {"head": "left out"}),
    keys_dotted=DOTTED,
)

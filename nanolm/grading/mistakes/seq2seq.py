"""Wrong answers to the exercise on the encoder-decoder's backward."""
from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, of_stack, shaped, stack
from nanolm.layers import block, cross_entropy, decoder_block, layernorm, linear
from nanolm.models import seq2seq_input


def seq2seq_backward(cache, loss="mean", smooth="kept", encoder="chain", decoder="chain", memory="sum", tables="all",
                     scale="kept", final="kept",
                     into="own", drop="kept", tied="own", form="own"):
    """seq2seq.backward, with a switch wherever people go wrong."""
    shared, (c_source, c_encoder, c_norm_e), (c_target, c_decoder, c_norm_d, c_head), c_loss = cache
    M, N = max(len(c_loss[2]), 1), c_loss[0].size // c_loss[0].shape[-1]
    dloss = {"mean": 1.0, "divided twice": 1 / M, "summed": float(M), "all tokens": M / N, "minus": -1.0}[loss]
    if smooth != "kept":
        c_loss = (*c_loss[:-1], 0.0)
    dy, dhead, _ = linear.backward(cross_entropy.backward(dloss, c_loss), c_head)
    dmemories = []

    def one(dy, c):
        dx, dmemory, dp = decoder_block.backward(dy, c)
        dmemories.append(dmemory)
        return dx, dp

    dy, norm_d = normed(dy, c_norm_d, final)
    dy, dblocks_d = stack(dy, c_decoder, one, decoder)
    dmemory = {"sum": lambda: sum(dmemories), "last computed": lambda: dmemories[-1], "first computed": lambda: dmemories[0],
               "average": lambda: sum(dmemories) / len(dmemories), "zero": lambda: 0 * dmemories[0],
               "dy": lambda: dy if dy.shape == dmemories[0].shape else 0 * dmemories[0]}[memory]()
    dtarget = lookup(dy, c_target, scale, drop)
    dx, norm_e = normed(dmemory, c_norm_e, final)
    dx, dblocks_e = stack(dx, c_encoder, block.backward, encoder)
    dsource = lookup(dx, c_source, scale, drop)
    dp = {"encoder": {"h": dblocks_e, **norm_e}, "decoder": {"h": dblocks_d, **norm_d}}
    if into == "exchanged":
        dp = {"encoder": dp["decoder"], "decoder": dp["encoder"]}
    if shared and tied != "three names":
        parts = {"source": dsource, "target": dtarget, "output": dhead.T}
        left = {"no source": ("target", "output"), "no target": ("source", "output"), "no output": ("source", "target"),
                "source only": ("source",),
                "target only": ("target",), "output only": ("output",)}.get(tables, tuple(parts))
        total = sum(parts[name] for name in left) / (3 if tables == "average" else 1)
        return shaped({"embed": {"weight": total + (dhead.T if tables == "output twice" else 0)}, **dp}, form)
    if not shared and tied == "exchanged":
        dsource, dtarget = dtarget, dsource
    return shaped({"source_embed": {"weight": dsource}, "target_embed": {"weight": dtarget}, **dp,
                   "head": {"weight": dhead.T if tied == "head turned" else dhead}}, form)


def normed(dx, c_norm, final):
    if c_norm is None:
        return dx, {}
    through, dweight, dbias = layernorm.backward(dx, c_norm)
    dx = dx if final == "skipped" else through
    return dx, {} if final == "left out" else {"norm": {"weight": dweight, "bias": dbias}}


def lookup(dx, c_input, scale, drop):
    """Return the table's gradient, with sqrt(C) forgotten, squared or inverted, or dropout forgotten."""
    root, c_embed, c_positions, c_drop = c_input
    root = {"kept": root, "forgotten": 1.0, "twice": root * root, "inverse": 1 / root}[scale]
    c_drop = (None, 1.0) if drop == "forgotten" else c_drop
    return seq2seq_input.backward(dx, (root, c_embed, c_positions, c_drop))


THREE = "embed is used three times, by the source, by the target and as the output's matrix: its gradient is the sum of three"
BACKWARD = ways(
    seq2seq_backward,
    **of_stack("encoder", 'dp["encoder"]["h"]', "the encoder's blocks", "encoder_"),
    **of_stack("decoder", 'dp["decoder"]["h"]', "the decoder's blocks", "decoder_"),
    memory_overwritten=("memory has the gradient of a single decoder block, the one that came last in backward: it was "
                        "overwritten in the loop. Every decoder block used memory, so all their dmemory add: dmemory = dmemory + "
                        "dmemory_i.",
                        {"memory": "last computed"}),
    memory_of_the_last_block=("memory has the gradient of the last decoder block alone. Every decoder block used memory, so all "
                              "their dmemory add.", {"memory": "first computed"}),
    memory_averaged=("memory has the average of the decoder blocks' gradients. Every block used memory: they add.",
                     {"memory": "average"}),
    memory_zero=("memory's gradient is zero, so the encoder hears nothing. decoder_block.backward returns dx, dmemory, dp: hand "
                 "dmemory, summed over the blocks, to the encoder.", {"memory": "zero"}),
    encoder_gets_the_decoders_dy=("The encoder gets dy, the gradient at the bottom of the decoder. It gets dmemory, summed over "
                                  "the decoder's blocks: memory is the only thread between the two stacks.", {"memory": "dy"}),
    table_without_the_source=(f"The source's lookup is missing. {THREE}.", {"tables": "no source"}),
    table_without_the_target=(f"The target's lookup is missing. {THREE}.", {"tables": "no target"}),
    table_without_the_output=(f"The output's gradient, dhead.T, is missing. {THREE}.", {"tables": "no output"}),
    table_by_the_source_only=(f"Only the source's lookup is there. {THREE}.", {"tables": "source only"}),
    table_by_the_target_only=(f"Only the target's lookup is there. {THREE}.", {"tables": "target only"}),
    table_by_the_output_only=(f"Only the output's gradient is there. {THREE}.", {"tables": "output only"}),
    table_averaged=(f"The three gradients of embed are averaged. {THREE}.", {"tables": "average"}),
    output_twice=(f"The output's gradient is added twice. {THREE}, each of them once.", {"tables": "output twice"}),
    table_under_three_names=("The three gradients stand under three names even where shared is True: p then has one table, "
                             "embed, and its gradient is their sum.", {"tied": "three names"}),
    tables_exchanged=("Where the model has tables of their own, the source's and the target's gradients are exchanged.",
                      {"tied": "exchanged"}),
    sqrt_C_forgotten=("sqrt(C) is forgotten at both lookups. x = embed[ids] sqrt(C) + positions, so the gradient is multiplied "
                      "by it too (I1): seq2seq_input.backward does that.", {"scale": "forgotten"}),
    sqrt_C_twice=("The lookups' gradients are multiplied by C. (I1) has sqrt(C), once, and seq2seq_input.backward does that "
                  "already.",
                  {"scale": "twice"}),
    sqrt_C_divided=("The lookups' gradients are divided by sqrt(C). (I1) multiplies, and so does its backward.",
                    {"scale": "inverse"}),
    input_dropout_forgotten=("The dropout of the inputs is forgotten at both lookups: dropout.backward comes first there, and "
                             "seq2seq_input.backward does that.", {"drop": "forgotten"}),
    final_norms_skipped=("The gradient does not go through the norms that end the pre-norm stacks.", {"final": "skipped"}),
    final_norms_left_out=("dp lacks the norms that end the pre-norm stacks: dp[\"encoder\"][\"norm\"] and "
                          "dp[\"decoder\"][\"norm\"].",
                          {"final": "left out"}),
    stacks_exchanged=("The encoder's and the decoder's gradients stand under each other's names.", {"into": "exchanged"}),
    smoothing_forgotten=("The loss' label smoothing is forgotten: the target's row is p - 1 there and p elsewhere, but (C4) is p "
                         "- q, with q spread a little over all tokens. cross_entropy.backward knows it from its cache.",
                         {"smooth": "forgotten"}),
    loss_divided_twice=("All gradients are divided by the number of targets once more. cross_entropy.backward has done it: dloss "
                        "is 1.",
                        {"loss": "divided twice"}),
    loss_summed=("All gradients are those of the sum over the targets. The loss is their mean (C2), and "
                 "cross_entropy.backward(1.0, c_loss) divides already.", {"loss": "summed"}),
    loss_over_all_tokens=("All gradients are divided by all B T tokens. Targets of -100 do not count: divide by those that do, "
                          "as cross_entropy.backward(1.0, c_loss) does.", {"loss": "all tokens"}),
    loss_sign=("All gradients have the wrong sign: backward starts with cross_entropy.backward(1.0, c_loss).", {"loss": "minus"}),
    keys_dotted=DOTTED,
)

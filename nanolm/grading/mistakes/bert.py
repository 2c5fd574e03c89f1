"""Wrong answers to the exercise on BERT's encoder."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.stacks import DOTTED, of_stack, shaped, stack, table
from nanolm.layers import block, dropout as dropout_layer, embedding, layernorm, positions


def bert_backward(dx, cache, dhead=None, blocks="chain", norm="kept", drop="kept", wte="own", wse="own", wpe="own", names="own",
                  form="own"):
    """bert.backward, with a switch wherever people go wrong."""
    c_wte, c_wse, c_wpe, c_norm, c_drop, c_blocks = cache
    B, top = c_wte[0].shape[0], dx
    dx, dblocks = stack(dx, c_blocks, block.backward, blocks)
    dx = dx if drop in ("forgotten", "too late") else dropout_layer.backward(dx, c_drop)
    above = dx
    through, dweight, dbias = layernorm.backward(dx, c_norm)
    dx = dx if norm == "skipped" else through
    dx = dropout_layer.backward(dx, c_drop) if drop == "too late" else dx
    dx, dwpe = positions.backward(dx, c_wpe)
    lookup = {"before the norm": above, "the top's": top}.get(wte, dx)
    dwte = embedding.backward(lookup, c_wte) if dhead is None else table(dhead, lookup, c_wte, {
        "head only": "head only", "no head": "lookup only", "average": "average", "head twice": "head twice"}.get(wte, "sum"))
    if wte == "overwritten":
        ids = c_wte[0]
        dwte = np.zeros_like(dwte)
        dwte[ids] = dx
        dwte = dwte if dhead is None else dwte + dhead
    dwse = embedding.backward(above if wse == "before the norm" else dx, c_wse)
    if wse == "overwritten":
        dwse = np.zeros_like(dwse)
        dwse[c_wse[0]] = dx
    dwse = {"zero": 0 * dwse, "half": dwse / 2, "all": dwse * 0 + dx.reshape(-1, dx.shape[-1]).sum(axis=0)}.get(wse, dwse)
    dwpe = {"zero": 0 * dwpe, "average": dwpe / B, "cut": dwpe[:dx.shape[1]]}.get(wpe, dwpe)
    dp = {"wte": {"weight": dwte}, "wse": {"weight": dwse}, "wpe": {"weight": dwpe},
          "ln_e": {"weight": dbias, "bias": dweight} if norm == "exchanged" else {"weight": dweight, "bias": dbias}, "h": dblocks}
    if names.startswith("no "):
        del dp[names[3:]]
    return shaped(dp, form)


BERT = ways(
    bert_backward,
    **of_stack("blocks", 'dp["h"]'),
    head_only=("wte has dhead alone. Where dhead is given, wte was used twice, and its gradient is dhead plus the lookup's: "
               "embedding.backward_tied(dx, c_wte, dhead).", {"wte": "head only"}),
    head_forgotten=("dhead is not added. Where it is given, wte was used a second time, as the head of bert_pretraining, and its "
                    "gradient is the sum: embedding.backward_tied(dx, c_wte, dhead).", {"wte": "no head"}),
    head_averaged=("Where dhead is given, wte has the average of its two gradients. It is their sum.", {"wte": "average"}),
    head_twice=("dhead is added twice. embedding.backward_tied adds it already.", {"wte": "head twice"}),
    lookup_overwritten=("wte: where an id occurs more than once, only its last place counts. dw[ids] = dx and dw[ids] += dx keep "
                        "the last of repeated ids; np.add.at adds them all, (E2).", {"wte": "overwritten"}),
    lookup_before_the_norm=("wte's gradient is taken from before ln_e's backward. In forward ln_e came after the three were "
                            "added, so all three tables get what it returned.", {"wte": "before the norm"}),
    lookup_gets_the_tops_dx=("wte's lookup gets the gradient that came into backward. It is at the bottom: all blocks lie in "
                             "between.",
                             {"wte": "the top's"}),
    first_norm_skipped=("The gradient does not go through ln_e: what layernorm.backward returns first, dx, is what the three "
                        "tables get.",
                        {"norm": "skipped"}),
    first_norm_exchanged=("In ln_e weight and bias are exchanged: layernorm.backward returns dx, dweight, dbias.",
                          {"norm": "exchanged"}),
    first_norm_left_out=("dp lacks ln_e, the norm behind the three tables.", {"names": "no ln_e"}),
    dropout_forgotten=("The dropout after ln_e is forgotten: dropout.backward(dx, c_drop) comes after the blocks and before "
                       "ln_e's backward.",
                       {"drop": "forgotten"}),
    dropout_too_late=("The dropout is undone after ln_e. In forward ln_e came first and dropout second; backward turns that "
                      "round.",
                      {"drop": "too late"}),
    segments_overwritten=("wse: of all tokens in a segment only the last counts. dw[segments] = dx keeps the last; "
                          "embedding.backward adds them all, (E2).", {"wse": "overwritten"}),
    segments_zero=("wse's gradient is zero. In x + s both tables get the whole of dx: embedding.backward(dx, c_wse).",
                   {"wse": "zero"}),
    segments_halved=("wse's gradient is half of what it should be. A sum hands its gradient on whole to each of what was added.",
                     {"wse": "half"}),
    segments_mixed_up=("wse's rows are all the same: each segment's row collects from its own tokens alone, (E2).",
                       {"wse": "all"}),
    segments_before_the_norm=("wse's gradient is taken from before ln_e's backward: all three tables were added before ln_e.",
                              {"wse": "before the norm"}),
    segments_left_out=("dp lacks wse, the table of segments: x = wte[ids] + wse[segments] + wpe[...].", {"names": "no wse"}),
    positions_zero=("wpe's gradient is zero: every text added the same rows, so they get the sum over the batch (P2).",
                    {"wpe": "zero"}),
    positions_averaged=("wpe's gradient is averaged over the batch: sum over it (P2).", {"wpe": "average"}),
    positions_cut=("wpe's gradient has T rows. It has as many as wpe itself; rows beyond T were not used and are zero.",
                   {"wpe": "cut"}),
    positions_left_out=("dp lacks wpe, the table of positions.", {"names": "no wpe"}),
    keys_dotted=DOTTED,
)

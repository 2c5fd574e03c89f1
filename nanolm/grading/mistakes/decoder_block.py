"""Wrong answers to the exercises on decoder_block: those of its three halves (halves.py), memory's, and those of the whole."""
from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.blocks import FORKS, NAMES, renamed
from nanolm.grading.mistakes.halves import half, of_half, of_run, run, ways_of
from nanolm.layers import dropout as dropout_layer, layernorm, mlp, multihead


def decoder_backward(dy, cache, order="backward", memory="own", drop_caches="own", gets="own", names="own", returns="own",
                     **more):
    """decoder_block.backward, with a switch wherever people go wrong."""
    norm, *c = cache
    if norm == "pre":
        c_ln_1, c_attn, c_drop_1, c_ln_2, c_cross, c_drop_2, c_ln_3, c_mlp, c_drop_3 = c
    else:
        c_attn, c_drop_1, c_ln_1, c_cross, c_drop_2, c_ln_2, c_mlp, c_drop_3, c_ln_3 = c
    if drop_caches == "exchanged":
        c_drop_1, c_drop_2 = c_drop_2, c_drop_1
    halves = [("mlp", "ln_3", mlp, c_ln_3, c_mlp, c_drop_3), ("cross_attn", "ln_2", multihead, c_ln_2, c_cross, c_drop_2),
              ("attn", "ln_1", multihead, c_ln_1, c_attn, c_drop_1)]
    if order == "attentions exchanged":
        halves[1:] = halves[:0:-1]
    dx, dmemory, dp = dy, None, {}
    for name, ln, branch, c_norm, c_branch, c_drop in halves if order != "forward" else halves[::-1]:
        start = dy if gets == f"{name} dy" else None
        dx, dnorm, of_memory, dp[name] = half(dx, norm, layernorm, c_norm, branch, c_branch, c_drop, branch_gets=start,
                                              **ways_of(more, name))
        dmemory = of_memory if of_memory is not None else dmemory
        dp[ln] = {"weight": dnorm[0], "bias": dnorm[1]}
    if memory == "added to x" and dmemory.shape == dx.shape:
        dx = dx + dmemory
    dmemory = {"zero": 0 * dmemory, "half": dmemory / 2, "twice": 2 * dmemory}.get(memory, dmemory)
    dp = renamed(dp, names)
    return {"own": (dx, dmemory, dp), "no memory": (dx, dp), "memory first": (dmemory, dx, dp),
            "dp second": (dx, dp, dmemory)}[returns]


ATTENTION = ("the self-attention", "ln_1 (in post-norm into the attention itself)", "x + a")
CROSS = ("the cross-attention", "ln_2 (in post-norm into the queries themselves)", "x + b")
MLP = ("the MLP", "ln_3 (in post-norm into the MLP itself)", "x + m")
ALL = ("attn", "cross_attn", "mlp")
BACKWARD = ways(
    decoder_backward,
    **of_half("attn", *ATTENTION), **of_half("cross_attn", *CROSS), **of_half("mlp", *MLP),
    skips_forgotten=(f"All three skips are missing. {FORKS}", {f"{name}_fork": "no skip" for name in ALL}),
    branches_forgotten=(f"What comes out of the three branches is thrown away: dx is only what passed through the three +. "
                        f"{FORKS}",
                        {f"{name}_fork": "no branch" for name in ALL}),
    norms_skipped=("x's gradient goes through none of the norms: what layernorm.backward returns first, dx, is what goes on.",
                   {f"{name}_ln": "skipped" for name in ALL}),
    skips_past_the_norms=("In post-norm the norms stand after the +, so a skip adds what the norm's backward returned (dsum), "
                          "not what arrived above the norm. dx = dy + dx is pre-norm's line.",
                          {f"{name}_fork": "past the norm" for name in ALL}),
    dropouts_forgotten=("All three dropouts are forgotten on the way back: what was dropped gets no gradient, and the rest is "
                        "divided by 1 - rate. dropout.backward with its own cache comes before each branch's backward (D2).",
                        {f"{name}_drop": "none" for name in ALL}),
    dropouts_on_the_skips=("The dropouts are applied to the skips as well. They dropped the branches' answers only; the skips "
                           "take the gradient from before dropout.backward.", {f"{name}_fork": "dropped skip" for name in ALL}),
    memory_zero=("dmemory is zero: cross-attention's keys and values come from memory, so multihead.backward returns dx, "
                 "dmemory, dp there, and dmemory is what the encoder learns by.", {"memory": "zero"}),
    memory_halved=("dmemory is half of what it should be. multihead.backward has added the keys' and the values' parts already: "
                   "hand it on as it is.", {"memory": "half"}),
    memory_twice=("dmemory is twice what it should be. multihead.backward has added the keys' and the values' parts already, and "
                  "a block uses memory once.", {"memory": "twice"}),
    memory_added_to_x=("dmemory is added to dx. x gave the queries, memory the keys and the values: they are two inputs with two "
                       "gradients (it only goes through where T and S are equal).", {"memory": "added to x"}),
    memory_not_returned=("It returns dx and dp, not dmemory, which stands between them: one gradient for each input, then dp.",
                         {"returns": "no memory"}),
    memory_first=("dmemory is returned before dx. The order is that of forward's arguments: x, memory, p.",
                  {"returns": "memory first"}),
    dp_second=("dp is returned before dmemory. The order is that of forward's arguments: x, memory, p.",
               {"returns": "dp second"}),
    cross_attention_gets_dy=("The cross-attention's backward starts from dy, the top of the block. The MLP's half lies in "
                             "between: it gets the gradient of the x between the two.", {"gets": "cross_attn dy"}),
    attention_gets_dy=("The self-attention's backward starts from dy, the top of the block. The other two halves lie in between: "
                       "it gets the gradient of the x after its own half.", {"gets": "attn dy"}),
    halves_in_forward_order=("The three parts are gone through in forward's order. Backward goes from the bottom of forward to "
                             "its top: MLP, cross-attention, self-attention.", {"order": "forward"}),
    attentions_in_forward_order=("The self-attention comes before the cross-attention. In forward the self-attention was first, "
                                 "so in backward it is last.", {"order": "attentions exchanged"}),
    attentions_exchanged=("The two attentions' gradients stand under each other's names: attn is the self-attention, cross_attn "
                          "the one that reads memory.", {"names": "attentions"}),
    last_norms_exchanged=("The gradients of ln_2 and ln_3 stand under each other's names: ln_2 is the cross-attention's, ln_3 "
                          "the MLP's.",
                          {"names": "last norms"}),
    dropout_caches_exchanged=("The caches of the first two dropouts are exchanged: each drops the very places that its own "
                              "forward dropped.", {"drop_caches": "exchanged"}),
    **NAMES,
)


def decoder_forward(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", form="relu", eps=1e-5, dropout=0.0, rng=None,
                    reads="memory", masks="own", hand_on="all", norms=("ln_1", "ln_2", "ln_3"),
                    order=("attn", "cross_attn", "mlp"),
                    kind="own", parts="own", attn_way="right", cross_attn_way="right", mlp_way="right"):
    """decoder_block.forward, with a switch wherever people go wrong."""
    if masks == "turned":
        mask, memory_mask = (m if m is None else ~m for m in (mask, memory_mask))
    if masks == "exchanged":
        mask, memory_mask = memory_mask, mask
    mask = None if masks == "no mask" else mask
    memory_mask = None if masks == "no memory mask" else memory_mask
    eps, form = 1e-5 if hand_on == "no eps" else eps, "relu" if hand_on == "no form" else form
    n_head = 1 if hand_on == "one head" else n_head
    norm = {"pre": "post", "post": "pre"}[norm] if kind == "exchanged" else kind if kind in ("pre", "post") else norm
    dropped = (lambda h: h) if hand_on in ("no dropout", "none at all") else lambda h: dropout_layer.forward(h, dropout, rng)[0]
    inside = 0.0 if hand_on in ("no dropout in attention", "none at all") else dropout
    own, cross = ("cross_attn", "attn") if parts == "exchanged" else ("attn", "attn" if parts == "one" else "cross_attn")
    ln = dict(zip(("attn", "cross_attn", "mlp"), norms))

    def attend(h):
        return multihead.forward(h, p[own], n_head, mask, dropout=inside, rng=rng)[0]

    def listen(h):
        keys = layernorm.forward(memory, **p[ln["cross_attn"]],
                                 eps=eps)[0] if reads == "normed memory" and norm == "pre" else memory
        if reads == "itself":
            return multihead.forward(h, p[cross], n_head, mask, dropout=inside, rng=rng)[0]
        return multihead.forward(h, p[cross], n_head, memory_mask, keys, inside, rng)[0]

    branches = {"attn": (attend, attn_way), "cross_attn": (listen, cross_attn_way),
                "mlp": (lambda h: mlp.forward(h, p["mlp"], form)[0],
                                                                                            mlp_way)}
    first = x
    for name in order:
        branch, way = branches[name]
        adds = first if reads == "adds to the input" and name == "mlp" else None
        x = run(x, norm, lambda h, name=name: layernorm.forward(h, **p[ln[name]], eps=eps)[0], branch, dropped, way, adds=adds)
    return x


FORWARD = ways(
    decoder_forward,
    **of_run("attn", "the self-attention", "x + a"), **of_run("cross_attn", "the cross-attention", "x + b"),
    **of_run("mlp", "the MLP", "x + m"),
    skips_forgotten=("All three skips are missing: the answer of each branch is added to x, it does not replace it.",
                     {f"{name}_way": "no skip" for name in ALL}),
    norms_skipped=("All three norms are missing: post-norm norms each sum (X1), pre-norm what goes into each branch (X2).",
                   {f"{name}_way": "no norm" for name in ALL}),
    norm_exchanged=('"pre" and "post" are exchanged: post-norm norms the sum (X1), pre-norm what goes into a branch (X2).',
                    {"kind": "exchanged"}),
    always_pre=('norm is not looked at: with "post" the norms stand after the sums (X1).', {"kind": "pre"}),
    always_post=('norm is not looked at: with "pre" the norms stand before the branches (X2).', {"kind": "post"}),
    memory_not_read=("The cross-attention does not get memory: it is a second self-attention. Its keys and values come from "
                     "memory.",
                     {"reads": "itself"}),
    memory_normed=("In pre-norm memory goes through ln_2 as well. Only the queries' x is normed here: see (X2).",
                   {"reads": "normed memory"}),
    mlp_adds_to_the_input=("The MLP's answer is added to the x that came into the block: what both attentions added is lost in "
                           "the sum.",
                           {"reads": "adds to the input"}),
    mask_forgotten=("mask is not handed on to the self-attention: every token sees the ones that follow.", {"masks": "no mask"}),
    memory_mask_forgotten=("memory_mask is not handed on to the cross-attention: it listens to the source's padding too.",
                           {"masks": "no memory mask"}),
    masks_exchanged=("The two masks are exchanged: mask (T, T) belongs to the self-attention, memory_mask (B, 1, 1, S) to the "
                     "cross-attention.", {"masks": "exchanged"}),
    masks_turned=("The masks are turned round: True means may attend.", {"masks": "turned"}),
    cross_attention_first=("The cross-attention comes before the self-attention. In (X1) and (X2) the target's tokens talk to "
                           "each other first.", {"order": ("cross_attn", "attn", "mlp")}),
    mlp_before_the_cross_attention=("The MLP comes before the cross-attention. It is the last of the three.",
                                    {"order": ("attn", "mlp", "cross_attn")}),
    attentions_exchanged=("The weights of the two attentions are exchanged: p[\"attn\"] is the self-attention's.",
                          {"parts": "exchanged"}),
    one_attention_twice=("p[\"attn\"] is used for the cross-attention as well; it has weights of its own, p[\"cross_attn\"].",
                         {"parts": "one"}),
    last_norms_exchanged=("ln_2 and ln_3 are exchanged: ln_2 belongs to the cross-attention, ln_3 to the MLP.",
                          {"norms": ("ln_1", "ln_3", "ln_2")}),
    form_forgotten=('form is not handed on to the MLP: its bend is "relu" whatever form says.', {"hand_on": "no form"}),
    eps_forgotten=("eps is not handed on to the norms: they take 1e-5 whatever it says.", {"hand_on": "no eps"}),
    one_head=("n_head is not handed on: both attentions have a single head.", {"hand_on": "one head"}),
    dropout_forgotten=("The branches' answers are not dropped: dropout.forward(a, dropout, rng) comes before each +.",
                       {"hand_on": "no dropout"}),
    attention_dropout_forgotten=("dropout and rng are not handed on to the attentions, which drop some of their weights.",
                                 {"hand_on": "no dropout in attention"}),
    no_dropout_at_all=("Nothing is dropped at all: dropout and rng go to the attentions, which drop some of their weights, and "
                       "each branch's answer goes through dropout.forward(a, dropout, rng) before the +.",
                       {"hand_on": "none at all"}),
)

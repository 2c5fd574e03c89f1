"""Wrong answers to the exercises on block: those of its halves (halves.py), and those of the whole."""
from nanolm.grading.exercise import ways, written
from nanolm.grading.mistakes.halves import half, of_half, of_run, run, ways_of
from nanolm.layers import dropout as dropout_layer, layernorm, mlp, multihead
from nanolm.params import flatten


def block_backward(dy, cache, order="backward", norm_caches="own", drop_caches="own", attn_gets="own", names="own", **more):
    """block.backward, with a switch wherever people go wrong."""
    norm, *c = cache
    if norm == "pre":
        c_ln_1, c_attn, c_drop_1, c_ln_2, c_mlp, c_drop_2 = c
    else:
        c_attn, c_drop_1, c_ln_1, c_mlp, c_drop_2, c_ln_2 = c
    if norm_caches == "exchanged":
        c_ln_1, c_ln_2 = c_ln_2, c_ln_1
    if drop_caches == "exchanged":
        c_drop_1, c_drop_2 = c_drop_2, c_drop_1
    halves = [("mlp", "ln_2", mlp, c_ln_2, c_mlp, c_drop_2), ("attn", "ln_1", multihead, c_ln_1, c_attn, c_drop_1)]
    dx, dp = dy, {}
    for name, ln, branch, c_norm, c_branch, c_drop in halves if order == "backward" else halves[::-1]:
        gets = dy if name == "attn" and attn_gets == "dy" else None
        dx, dnorm, _, dp[name] = half(dx, norm, layernorm, c_norm, branch, c_branch, c_drop, branch_gets=gets,
                                      **ways_of(more, name))
        dp[ln] = {"weight": dnorm[0], "bias": dnorm[1]}
    return dx, renamed(dp, names)


def renamed(dp, names):
    """Return dp with its gradients under the wrong names, or in the wrong form."""
    norms = [key for key in dp if key.startswith("ln_")]
    first, second = sorted(norms)[:2]
    return {"own": lambda: dp,
            "norms": lambda: {**dp, first: dp[second], second: dp[first]},
            "weight and bias": lambda: {**dp, **{ln: {"weight": dp[ln]["bias"], "bias": dp[ln]["weight"]} for ln in norms}},
            "dotted": lambda: flatten(dp),
            "first norm twice": lambda: {**dp, second: dp[first]},
            "second norm twice": lambda: {**dp, first: dp[second]},
            "no norms": lambda: {key: d for key, d in dp.items() if key not in norms},
            "lists": lambda: {**dp, **{ln: list(dp[ln].values()) for ln in norms}},
            "attentions": lambda: {**dp, "attn": dp["cross_attn"], "cross_attn": dp["attn"]},
            "last norms": lambda: {**dp, "ln_2": dp["ln_3"], "ln_3": dp["ln_2"]}}[names]()


NAMES = dict(
    norms_exchanged=("The gradients of ln_1 and ln_2 stand under each other's names: ln_1 belongs to the first half of forward, "
                     "and so comes last in backward.", {"names": "norms"}),
    weight_and_bias_exchanged=("In the norms weight and bias are exchanged: layernorm.backward returns dx, dweight, dbias, in "
                               "this order.",
                               {"names": "weight and bias"}),
    keys_dotted=('The keys of dp are dotted names. dp is nested as p is: dp["mlp"]["c_fc"]["weight"].', {"names": "dotted"}),
    norms_left_out=("dp lacks the norms: it has all of p's keys, ln_1 and ln_2 too, each a dict with weight and bias.",
                    {"names": "no norms"}),
    norms_in_lists=('The norms\' gradients are lists. dp is nested as p is: dp["ln_1"] is a dict with the keys weight and bias.',
                    {"names": "lists"}),
    first_norm_twice=("ln_2 has the gradients of ln_1: a variable was used again under the same name. Give each its own, "
                      "dweight_1 and dweight_2.", {"names": "first norm twice"}),
    second_norm_twice=("ln_1 has the gradients of ln_2: the wrong variable is returned, or it was never renewed. Give each norm "
                       "names of its own, dweight_1 and dweight_2.", {"names": "second norm twice"}),
)
FORKS = "In x = x + f(x) x goes two ways, through the + unchanged and through f; going back, the two gradients add."
BACKWARD = ways(
    block_backward,
    **of_half("mlp", "the MLP", "ln_2 (in post-norm into the MLP itself)", "x + m"),
    **of_half("attn", "the attention", "ln_1 (in post-norm into the attention itself)", "x + a"),
    skips_forgotten=(f"Both skips are missing. {FORKS} Without the + nothing reaches the lower blocks of a deep model undamped.",
                     {"mlp_fork": "no skip", "attn_fork": "no skip"}),
    branches_forgotten=(f"What comes out of MLP and attention is thrown away: dx is only what passed through the two +. {FORKS}",
                        {"mlp_fork": "no branch", "attn_fork": "no branch"}),
    forks_averaged=(f"At both forks the two gradients are averaged. {FORKS}", {"mlp_fork": "average", "attn_fork": "average"}),
    norms_skipped=("x's gradient goes through neither norm. What layernorm.backward returns first, dx, is what goes on, not what "
                   "was put into it.", {"mlp_ln": "skipped", "attn_ln": "skipped"}),
    skips_past_the_norms=("In post-norm the norms stand after the +, so a skip adds what the norm's backward returned (dsum), "
                          "not what arrived above the norm. dx = dy + dx is pre-norm's line.",
                          {"mlp_fork": "past the norm", "attn_fork": "past the norm"}),
    dropouts_forgotten=("Both dropouts are forgotten on the way back: what was dropped gets no gradient, and the rest is divided "
                        "by 1 - rate. dropout.backward with its own cache comes before each branch's backward (D2).",
                        {"mlp_drop": "none", "attn_drop": "none"}),
    dropouts_on_the_skips=("Both dropouts are applied to the skips as well. They dropped the branches' answers only; the skips "
                           "take the gradient from before dropout.backward.",
                           {"mlp_fork": "dropped skip", "attn_fork": "dropped skip"}),
    attention_gets_dy=("The attention's backward starts from dy, the gradient at the top of the block. The MLP's half lies in "
                       "between: attention gets the gradient of the x between the halves, what passed the MLP and what came out "
                       "of it together.", {"attn_gets": "dy"}),
    halves_in_forward_order=("The halves are gone through in forward's order, attention first. Backward goes through forward's "
                             "lines from the bottom to the top: first the MLP's half, then the attention's.",
                             {"order": "forward"}),
    norm_caches_exchanged=("The caches of the two norms are exchanged: each norm's backward needs what its own forward kept.",
                           {"norm_caches": "exchanged"}),
    dropout_caches_exchanged=("The caches of the two dropouts are exchanged: each drops the very places that its own forward "
                              "dropped.",
                              {"drop_caches": "exchanged"}),
    **NAMES,
) + written(
    dp_first=("dp is returned before dx. Backward returns the gradients of its inputs first, then dp.",
              lambda dy, cache: block_backward(dy, cache)[::-1]),
    dx_alone=("It returns dx alone: dp, the gradients of the parameters, is missing.",
              lambda dy, cache: block_backward(dy, cache)[0]),
)


def block_forward(x, p, n_head, mask=None, norm="pre", form="tanh", eps=1e-5, dropout=0.0, rng=None, kind="own", norms="own",
                  hand_on="all", second="own", order="attention first", attn_way="right", mlp_way="right"):
    """block.forward, with a switch wherever people go wrong."""
    ln_1, ln_2 = (p["ln_2"], p["ln_1"]) if norms == "exchanged" else (p["ln_1"], p["ln_1" if norms == "first twice" else "ln_2"])
    mask = {"no mask": None, "mask turned": mask if mask is None else ~mask}.get(hand_on, mask)
    eps = 1e-5 if hand_on == "no eps" else eps
    form = "tanh" if hand_on == "no form" else form
    n_head = 1 if hand_on == "one head" else n_head
    norm = {"pre": "post", "post": "pre"}[norm] if kind == "exchanged" else "pre" if kind == "always pre" else norm
    dropped = (lambda h: h) if hand_on in ("no dropout", "none at all") else lambda h: dropout_layer.forward(h, dropout, rng)[0]
    inside = 0.0 if hand_on in ("no dropout in attention", "none at all") else dropout
    branches = {"attn": (lambda h: multihead.forward(h, p["attn"], n_head, mask, dropout=inside, rng=rng)[0], ln_1, attn_way),
                "mlp": (lambda h: mlp.forward(h, p["mlp"], form)[0], ln_2, mlp_way)}
    first = x
    for name in ("attn", "mlp") if order == "attention first" else ("mlp", "attn"):
        branch, ln, way = branches[name]
        reads = first if name == "mlp" and second in ("reads the input", "parallel") else None
        adds = first if name == "mlp" and second == "adds to the input" else None
        x = run(x, norm, lambda h: layernorm.forward(h, **ln, eps=eps)[0], branch, dropped, way, reads, adds)
    return x


FORWARD = ways(
    block_forward,
    **of_run("attn", "the attention", "x + a"), **of_run("mlp", "the MLP", "x + m"),
    skips_forgotten=("Both skips are missing: the answer of each branch is added to x, it does not replace it.",
                     {"attn_way": "no skip", "mlp_way": "no skip"}),
    norms_skipped=("Both norms are missing: pre-norm norms what goes into each branch (B1), post-norm each sum (B2).",
                   {"attn_way": "no norm", "mlp_way": "no norm"}),
    norms_on_the_branches=("The norms are on the branches' answers. Pre-norm norms what goes in (B1), post-norm norms the sum "
                           "(B2).",
                           {"attn_way": "norms the branch", "mlp_way": "norms the branch"}),
    sums_dropped=("Dropout falls on both sums. It belongs on the branches' answers alone, before the +: x itself passes whole.",
                  {"attn_way": "drops the sum", "mlp_way": "drops the sum"}),
    normed_added=("In pre-norm the + takes x itself, as it came; here it takes the normed x, in both halves. Only the branches "
                  "see the normed one (B1).", {"attn_way": "adds the normed", "mlp_way": "adds the normed"}),
    norm_exchanged=('"pre" and "post" are exchanged: pre-norm norms what goes into a branch (B1), post-norm the sum (B2).',
                    {"kind": "exchanged"}),
    always_pre=('norm is not looked at: with "post" the norms stand after the sums (B2).', {"kind": "always pre"}),
    norms_exchanged=("The norms are exchanged: ln_1 belongs to the attention, ln_2 to the MLP.", {"norms": "exchanged"}),
    first_norm_twice=("ln_1 is used in both halves: the MLP's norm is ln_2.", {"norms": "first twice"}),
    mlp_reads_the_input=("The MLP reads the x that came into the block. It reads the x after the attention's half: first tokens "
                         "talk, then each thinks about what it heard.", {"second": "reads the input"}),
    mlp_adds_to_the_input=("The MLP's answer is added to the x that came into the block, so the attention's answer is lost on "
                           "the way round. x = x + a first, then x + m with the new x.", {"second": "adds to the input"}),
    mlp_first=("The MLP comes before the attention. In (B1) and (B2) the tokens talk first, then each thinks alone.",
               {"order": "mlp first"}),
    mask_forgotten=("mask is not handed on to the attention: every token sees every other, the future too.",
                    {"hand_on": "no mask"}),
    mask_turned=("The mask is turned round: True means may attend.", {"hand_on": "mask turned"}),
    form_forgotten=('form is not handed on to the MLP: its bend is "tanh" whatever form says.', {"hand_on": "no form"}),
    eps_forgotten=("eps is not handed on to the norms: they take 1e-5 whatever it says. BERT's is 1e-12.", {"hand_on": "no eps"}),
    one_head=("n_head is not handed on: the attention has a single head.", {"hand_on": "one head"}),
    dropout_forgotten=("The branches' answers are not dropped: dropout.forward(a, dropout, rng) comes before each +.",
                       {"hand_on": "no dropout"}),
    attention_dropout_forgotten=("dropout and rng are not handed on to the attention, which drops some of its weights.",
                                 {"hand_on": "no dropout in attention"}),
    no_dropout_at_all=("Nothing is dropped at all: dropout and rng go to the attention, which drops some of its weights, and "
                       "each branch's answer goes through dropout.forward(a, dropout, rng) before the +.",
                       {"hand_on": "none at all"}),
)

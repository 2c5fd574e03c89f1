"""Wrong answers to the exercises on llama_block: those of its halves (halves.py), and those of the whole."""
from nanolm.grading.exercise import ways, written
from nanolm.grading.mistakes.blocks import FORKS
from nanolm.grading.mistakes.halves import half, of_half, of_run, run, ways_of
from nanolm.layers import grouped, rmsnorm, swiglu
from nanolm.params import flatten

FIRST, SECOND = "input_layernorm", "post_attention_layernorm"


def llama_backward(dy, cache, order="backward", norm_caches="own", attn_gets="own", names="own", **more):
    """llama_block.backward, with a switch wherever people go wrong."""
    c1, c2, c3, c4 = cache
    if norm_caches == "exchanged":
        c1, c3 = c3, c1
    halves = [("mlp", "mlp", SECOND, swiglu, c3, c4), ("attn", "self_attn", FIRST, grouped, c1, c2)]
    dx, dp = dy, {}
    for name, key, ln, branch, c_norm, c_branch in halves if order == "backward" else halves[::-1]:
        gets = dy if name == "attn" and attn_gets == "dy" else None
        dx, (dweight,), _, dp[key] = half(dx, "pre", rmsnorm, c_norm, branch, c_branch, branch_gets=gets, **ways_of(more, name))
        dp[ln] = {"weight": dweight}
    return dx, {"own": lambda: dp, "norms": lambda: {**dp, FIRST: dp[SECOND], SECOND: dp[FIRST]}, "dotted": lambda: flatten(dp),
                "first norm twice": lambda: {**dp, SECOND: dp[FIRST]}, "second norm twice": lambda: {**dp, FIRST: dp[SECOND]},
                "no norms": lambda: {"self_attn": dp["self_attn"], "mlp": dp["mlp"]},
                "bare": lambda: {**dp, FIRST: dp[FIRST]["weight"], SECOND: dp[SECOND]["weight"]},
                "a bias": lambda: {**dp, FIRST: {**dp[FIRST], "bias": dy.reshape(-1, dy.shape[-1]).sum(0)}}}[names]()


BACKWARD = ways(
    llama_backward,
    **of_half("mlp", "the MLP", "post_attention_layernorm", "x + m", dropout=False, post=False),
    **of_half("attn", "the attention", "input_layernorm", "x + a", dropout=False, post=False),
    skips_forgotten=(f"Both skips are missing. {FORKS}", {"mlp_fork": "no skip", "attn_fork": "no skip"}),
    branches_forgotten=(f"What comes out of MLP and attention is thrown away: dx is only what passed through the two +. {FORKS}",
                        {"mlp_fork": "no branch", "attn_fork": "no branch"}),
    forks_averaged=(f"At both forks the two gradients are averaged. {FORKS}", {"mlp_fork": "average", "attn_fork": "average"}),
    norms_skipped=("x's gradient goes through neither norm: what rmsnorm.backward returns first, dx, is what goes on.",
                   {"mlp_ln": "skipped", "attn_ln": "skipped"}),
    attention_gets_dy=("The attention's backward starts from dy, the top of the block. The MLP's half lies in between: attention "
                       "gets the gradient of the x between the halves.", {"attn_gets": "dy"}),
    halves_in_forward_order=("The halves are gone through in forward's order, attention first. Backward goes through forward's "
                             "lines from the bottom to the top: first the MLP's half.", {"order": "forward"}),
    norm_caches_exchanged=("The caches of the two norms are exchanged: each norm's backward needs what its own forward kept.",
                           {"norm_caches": "exchanged"}),
    norms_exchanged=("The two norms' gradients stand under each other's names: input_layernorm is the attention's, "
                     "post_attention_layernorm stands before the MLP.", {"names": "norms"}),
    first_norm_twice=("post_attention_layernorm has the gradient of input_layernorm: a variable was used again under the same "
                      "name.",
                      {"names": "first norm twice"}),
    second_norm_twice=("input_layernorm has the gradient of post_attention_layernorm: the wrong variable is returned.",
                       {"names": "second norm twice"}),
    keys_dotted=('The keys of dp are dotted names. dp is nested as p is: dp["mlp"]["gate_proj"]["weight"].', {"names": "dotted"}),
    norms_left_out=("dp lacks the norms: it has all of p's keys, the norms' too, each a dict with weight.",
                    {"names": "no norms"}),
    norms_bare=('The norms\' gradients are bare arrays. dp is nested as p is: dp["input_layernorm"]["weight"].',
                {"names": "bare"}),
    norm_has_a_bias=("input_layernorm has a bias in dp. RMS norm has none, only a weight: (R2).", {"names": "a bias"}),
) + written(
    dp_first=("dp is returned before dx. Backward returns the gradients of its inputs first, then dp.",
              lambda dy, cache: llama_backward(dy, cache)[::-1]),
)


def llama_forward(x, p, n_head, n_kv_head, mask=None, base=10000.0, eps=1e-5, scaling=None, norms=(FIRST, SECOND), hand_on="all",
                  second="own", kind="pre", attn_way="right", mlp_way="right"):
    """llama_block.forward, with a switch wherever people go wrong."""
    mask = {"no mask": None, "mask turned": mask if mask is None else ~mask}.get(hand_on, mask)
    eps, base = 1e-5 if hand_on == "no eps" else eps, 10000.0 if hand_on == "no base" else base

    def attend(h):
        return grouped.forward(h, p["self_attn"], n_head, n_kv_head, mask, base, 1 if hand_on == "offset 1" else 0, scaling)[0]

    first = x
    for branch, ln, way in ((attend, norms[0], attn_way), (lambda h: swiglu.forward(h, p["mlp"])[0], norms[1], mlp_way)):
        late = branch is not attend
        x = run(x, kind, lambda h, ln=ln: rmsnorm.forward(h, **p[ln], eps=eps)[0], branch, lambda h: h, way,
                reads=first if late and second == "reads the input" else None,
                adds=first if late and second == "adds to the input" else None)
    return x


FORWARD = ways(
    llama_forward,
    **of_run("attn", "the attention", "x + a", dropout=False), **of_run("mlp", "the MLP", "x + m", dropout=False),
    skips_forgotten=("Both skips are missing: the answer of each branch is added to x, it does not replace it.",
                     {"attn_way": "no skip", "mlp_way": "no skip"}),
    norms_skipped=("Both norms are missing: each norms what goes into its branch (LB1).",
                   {"attn_way": "no norm", "mlp_way": "no norm"}),
    post_norm=("The norms stand after the sums. (LB1) is pre-norm: each norms what goes into its branch, and x passes the + "
               "unnormed.",
               {"kind": "post"}),
    norms_exchanged=("The norms are exchanged: input_layernorm belongs to the attention, post_attention_layernorm to the MLP.",
                     {"norms": (SECOND, FIRST)}),
    first_norm_twice=("input_layernorm is used in both halves: the MLP's is post_attention_layernorm.",
                      {"norms": (FIRST, FIRST)}),
    mlp_reads_the_input=("The MLP reads the x that came into the block. It reads the x after the attention's half (LB1).",
                         {"second": "reads the input"}),
    mlp_adds_to_the_input=("The MLP's answer is added to the x that came into the block, so the attention's answer is lost on "
                           "the way round. x = x + a first, then x + m with the new x.", {"second": "adds to the input"}),
    mask_forgotten=("mask is not handed on to the attention: every token sees every other, the future too.",
                    {"hand_on": "no mask"}),
    mask_turned=("The mask is turned round: True means may attend.", {"hand_on": "mask turned"}),
    eps_forgotten=("eps is not handed on to the norms: they take 1e-5 whatever it says. Llama 1's is 1e-6.",
                   {"hand_on": "no eps"}),
    base_forgotten=("base is not handed on to the attention: it turns by 10000 whatever base says. SmolLM2's is 100000.",
                    {"hand_on": "no base"}),
)

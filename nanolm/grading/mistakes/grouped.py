"""Wrong answers to the exercises on grouped-query attention; the labels (GQ1) to (GQ3) are those of layers/grouped.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.cutting import cut, shared, summed, together
from nanolm.layers import attention, linear, rotary


def grouped_backward(dy, cache, split="right", merge="right", group="right", turn_q="back", turn_k="back", turn_v="no",
                     users="q k v", order="q k v", inner="once", output="backward", o_proj="heads", total="sum", back="dx dp"):
    """grouped.backward, with a switch wherever people go wrong."""
    H, G, c_q, c_k, c_v, (cos, sin), c_heads, (merged, W_o, _) = cache
    x = c_q[0]

    def product(a, d):
        if total == "last":
            return a[-1].T @ d[-1]
        n = {"mean of tokens": x.shape[0] * x.shape[1], "mean of batch": x.shape[0]}.get(total, 1)
        return a.reshape(-1, a.shape[-1]).T @ d.reshape(-1, d.shape[-1]) / n

    def turned(d, way):
        return d if way == "no" else rotary.turned(d, cos, sin if way == "forward" else -sin)

    dmerged = {"backward": lambda: dy @ W_o.T, "not turned": lambda: dy @ W_o}[output]()
    dq, dk, dv = attention.backward(cut(dmerged, H, split), c_heads)
    if inner == "scaled again":
        dq, dk = dq * c_heads[4], dk * c_heads[4]
    dk, dv = summed(dk, G, group), summed(dv, G, group)
    dq, dk, dv = (together(turned(d, way), merge) for d, way in ((dq, turn_q), (dk, turn_k), (dv, turn_v)))
    d = dict(zip(order.split(), (dq, dk, dv)))
    ways_back = [d[name] @ c[1].T * (name in users.split()) for name, c in (("q", c_q), ("k", c_k), ("v", c_v))]
    dx = sum(ways_back) / (3 if back == "mean" else 1)
    dp = {f"{name}_proj": {"weight": product(x, d[name])} for name in "qkv"}
    dp["o_proj"] = {"weight": {"heads": lambda: product(merged, dy), "turned": lambda: product(merged, dy).T,
                               "dmerged": lambda: product(merged, dmerged)}[o_proj]()}
    return {"dp dx": (dp, dx), "skip": (dx + dy, dp)}.get(back, (dx, dp))


BACKWARD = ways(
    grouped_backward,
    group_mean=("dk and dv are averaged over a group: a key has H / G users, and their gradients add, (GQ3).", {"group": "mean"}),
    group_first_only=("dk and dv come from the first head of each group alone: a key has H / G users, and their gradients add, "
                      "(GQ3).",
                      {"group": "first"}),
    group_last_only=("dk and dv come from the last head of each group alone: a key has H / G users, and their gradients add, "
                     "(GQ3). Is a sum overwritten?", {"group": "last"}),
    group_interleaved=("dk and dv are summed over heads h, h + G, h + 2 G. Neighbours belong to a group: head h uses group "
                       "h // (H / G), (GQ1).", {"group": "interleaved"}),
    group_all_heads=("Every group gets the sum over all heads: only its own H / G heads use its keys, (GQ3).", {"group": "all"}),
    group_not_summed=("dk and dv have H heads still. Each key served H / G queries: sum over them to G heads, (GQ3).",
                      {"group": "not"}),
    rotary_forgotten=("q and k were turned by their positions, (GQ2), and their gradients are not turned back: rotary.backward.",
                      {"turn_q": "no", "turn_k": "no"}),
    rotary_forgotten_for_q=("dq is not turned back: q and k were both turned by their positions, (GQ2).", {"turn_q": "no"}),
    rotary_forgotten_for_k=("dk is not turned back: q and k were both turned by their positions, (GQ2).", {"turn_k": "no"}),
    rotary_forward=("The gradients of q and k are turned forward once more. They are turned BACK by the same angle: "
                    "rotary.backward, (O3).",
                    {"turn_q": "forward", "turn_k": "forward"}),
    rotary_on_values=("dv is turned as well: only q and k were turned by their positions, (GQ2).", {"turn_v": "back"}),
    split_without_transpose=("dmerged is cut into heads by a reshape alone, which mixes tokens with channels: multihead.split.",
                             {"split": "reshaped"}),
    merge_without_transpose=("The heads' gradients are put together by a reshape alone, which mixes tokens with channels: "
                             "multihead.merge.", {"merge": "reshaped"}),
    split_strided=("dmerged is cut with the axes D and H exchanged: head h has the channels h D ... (h + 1) D - 1: "
                   "multihead.split.",
                   {"split": "strided"}),
    q_forgotten=("The way by q is missing in dx: x has three users, q, k and v, and their gradients add.", {"users": "k v"}),
    k_forgotten=("The way by k is missing in dx: x has three users, q, k and v, and their gradients add.", {"users": "q v"}),
    v_forgotten=("The way by v is missing in dx: x has three users, q, k and v, and their gradients add.", {"users": "q k"}),
    only_q=("Only the way by q reaches dx: x has three users, q, k and v, and their gradients add.", {"users": "q"}),
    only_k=("Only the way by k reaches dx: x has three users, q, k and v, and their gradients add.", {"users": "k"}),
    only_v=("Only the way by v reaches dx: x has three users, q, k and v, and their gradients add. Is dx overwritten where it "
            "should be added to?", {"users": "v"}),
    mean_of_users=("dx is the mean of the three ways, by q, k and v: they add.", {"back": "mean"}),
    k_and_v_exchanged=("The gradients of k and v are in each other's place.", {"order": "q v k"}),
    output_not_turned=("dmerged = dy @ W_o takes o_proj's weight as it is: on the way back it must be turned, dy @ W_o^T. As it "
                       "is, it runs only if the weight is square.", {"output": "not turned"}),
    o_proj_turned=("The gradient of o_proj's weight is turned: merged^T @ dy, because the weight is (in, "
                   "out).", {"o_proj": "turned"}),
    o_proj_from_dmerged=("The gradient of o_proj's weight is made with dmerged. It is made with what came out of o_proj, dy: "
                         "merged^T @ dy.", {"o_proj": "dmerged"}),
    scaled_again=("dq and dk are multiplied by 1 / sqrt(D) once more: attention.backward has done "
                  "it.", {"inner": "scaled again"}),
    weights_mean_of_tokens=("The gradients of the weights are divided by the number of tokens B T. Every token uses the same "
                            "weight, so their gradients add.", {"total": "mean of tokens"}),
    weights_mean_of_batch=("The gradients of the weights are divided by B. Every sequence uses the same weight, so their "
                           "gradients add.",
                           {"total": "mean of batch"}),
    weights_last_sequence=("The gradients of the weights come from the last sequence alone: sum over all B of "
                           "them.", {"total": "last"}),
    skip_added=("dy is added to dx. That is the residual connection's, in llama_block.backward; this layer has "
                "none.", {"back": "skip"}),
    dp_first=("dp comes first: the order is that of forward's arguments, dx, dp.", {"back": "dp dx"}),
)


def grouped_forward(x, p, n_head, n_kv_head, mask=None, base=10000.0, offset=0, scaling=None, split="right", merge="right",
                    group="right", turn="q k", pairs="halves", of_base="given", slowed="given", positions="both", masked="used",
                    scale="D", output="o_proj", skip="no"):
    """grouped.forward's y, with a switch wherever people go wrong."""
    H, G = n_head, n_kv_head
    q, k, v = (linear.forward(x, **p[f"{name}_proj"])[0] for name in "qkv")
    D = q.shape[-1] // H
    base, scaling = base if of_base == "given" else 10000.0, scaling if slowed == "given" else None

    def turned(name, a):
        if name not in turn.split():
            return a
        if turn == "q k before":                                            # all channels at once, before the heads are cut
            return rotary.forward(a, base, offset, scaling)[0]
        place = {"both": offset, "queries": offset if name == "q" else 0}[positions]
        if pairs == "neighbours":
            apart = np.concatenate([a[..., 0::2], a[..., 1::2]], axis=-1)
            a = rotary.forward(apart, base, place, scaling)[0]
            return np.stack(np.split(a, 2, axis=-1), axis=-1).reshape(a.shape)
        return rotary.forward(a, base, place, scaling)[0]

    if turn == "q k before":
        q, k, v = (cut(a, h, split) for a, h in ((turned("q", q), H), (turned("k", k), G), (v, G)))
    else:
        q, k, v = (turned(name, cut(a, h, split)) for name, a, h in (("q", q, H), ("k", k, G), ("v", v, G)))
    q = q * {"D": 1.0, "missing": D**0.5, "twice": D**-0.5, "C": (D / x.shape[-1])**0.5}[scale]
    heads, _ = attention.forward(q, shared(k, H, group), shared(v, H, group), mask if masked == "used" else None)
    y = together(heads, merge)
    y = y @ p["o_proj"]["weight"] if output == "o_proj" else y @ p["o_proj"]["weight"].T if output == "turned" else y
    return y + x if skip == "added" else y


FORWARD = ways(
    grouped_forward,
    rotary_forgotten=("q and k are not turned by their positions, (GQ2): without it nothing knows where a token "
                      "stands.", {"turn": ""}),
    rotary_on_values=("v is turned as well: only q and k are, (GQ2). The position shows in who attends to whom, not in what is "
                      "read.",
                      {"turn": "q k v"}),
    rotary_on_q_only=("Only q is turned: q and k both are, so that q . k depends on how far apart they stand, "
                      "(GQ2).", {"turn": "q"}),
    rotary_on_k_only=("Only k is turned: q and k both are, so that q . k depends on how far apart they stand, "
                      "(GQ2).", {"turn": "k"}),
    rotary_before_split=("q and k are turned before they are cut into heads: the pairs are then made over all channels. Cut "
                         "first; each head of D channels is turned by itself, (GQ2).", {"turn": "q k before"}),
    neighbours_paired=("Channel 2i is turned with channel 2i + 1. Here channel i pairs with channel i + D/2, (O2).",
                       {"pairs": "neighbours"}),
    base_ignored=("base is not used: hand it on to rotary.forward.", {"of_base": "usual"}),
    scaling_ignored=("scaling is not used: hand it on to rotary.forward.", {"slowed": "no"}),
    offset_on_queries_only=("The offset reaches the queries and not the keys: all tokens of x stand at the same places, so q and "
                            "k get the same offset.", {"positions": "queries"}),
    groups_interleaved=("Head h uses group h % G. It is group h // (H / G): neighbours share, np.repeat and not np.tile, (GQ1).",
                        {"group": "interleaved"}),
    keys_divided=("The shared keys and values are divided by H / G. Every head of a group reads the whole of them, (GQ1).",
                  {"group": "divided"}),
    first_group_only=("All heads use the keys of the first group: head h uses group h // (H / G), (GQ1).", {"group": "first"}),
    only_first_user=("Only the first head of each group gets keys and values, the others zeros, (GQ1).", {"group": "zeros"}),
    split_without_transpose=("The heads are cut by a reshape alone, which mixes tokens with channels: multihead.split.",
                             {"split": "reshaped"}),
    merge_without_transpose=("The heads are put together by a reshape alone, which mixes tokens with channels: multihead.merge.",
                             {"merge": "reshaped"}),
    heads_without_transpose=("The heads are cut by a reshape alone and put together by one: every shape is right, and tokens and "
                             "channels are mixed: multihead.split and "
                             "multihead.merge.", {"split": "reshaped", "merge": "reshaped"}),
    heads_strided=("Head h takes every H-th channel: the axes D and H are exchanged. Head h has the channels h D ... (h + 1) D - "
                   "1: multihead.split.", {"split": "strided", "merge": "strided"}),
    mask_missing=("The mask is not used: hand it on to attention.forward.", {"masked": "no"}),
    scale_missing=("The scores are not divided by sqrt(D), the width of a head, (A1).", {"scale": "missing"}),
    scale_twice=("The scores are divided by D: attention.forward divides by sqrt(D) already, (A1).", {"scale": "twice"}),
    scale_by_C=("The scores are divided by sqrt(C): it is the width D of a head that counts, (A1).", {"scale": "C"}),
    output_missing=("The last step is missing: the heads, put together, go through o_proj, (GQ2).", {"output": "none"}),
    output_turned=("o_proj's weight is turned: it is stored (in, out), so y = merged @ weight. Turned, it runs only if it is "
                   "square.",
                   {"output": "turned"}),
    skip_added=("x is added to the answer. That is the residual connection's, in llama_block.forward; this layer has none.",
                {"skip": "added"}),
)

"""Wrong answers to the exercises on multi-head attention; the labels (H1) to (H5) are those of layers/multihead.py."""
import numpy as np

from nanolm.grading.exercise import ways
from nanolm.grading.mistakes.cutting import cut, together
from nanolm.layers import attention, linear
from nanolm.layers import dropout as dropout_layer


def multihead_backward(dy, cache, split="right", merge="right", users="q k v", packing="q k v", inner="once", output="backward",
                       memory="own", total="sum", bias="sum", proj="heads", back="dx dp"):
    """multihead.backward, with and without a memory, with a switch wherever people go wrong."""
    has_memory, H, c_in, c_heads, (merged, W_out, _) = cache
    (x, W_x, _), (source, W_source, _) = c_in if has_memory else (c_in, c_in)
    C = x.shape[-1]
    W = [*np.split(W_x, W_x.shape[1] // C, axis=1), *np.split(W_source, 2, axis=1)] if has_memory else np.split(W_x, 3, axis=1)
    over = {"sum": lambda a: a.reshape(-1, a.shape[-1]), "last": lambda a: a[-1], "first": lambda a: a[0]}.get(
        total, lambda a: a.reshape(-1, a.shape[-1]))
    part = {"mean of tokens": lambda a: a.shape[0] * a.shape[1], "mean of batch": len}.get(total, lambda a: 1)
    few = {"mean of tokens": lambda a: a.shape[0] * a.shape[1], "mean of batch": len}.get(bias, lambda a: 1)

    def product(a, d):
        return over(a).T @ over(d) / part(a)

    def summed(d):
        if bias == "zero":
            return np.zeros(d.shape[-1])
        return d.sum(axis=0) if bias == "first axis" else over(d).sum(axis=0) / few(d)

    dmerged = {"backward": lambda: dy @ W_out.T, "not turned": lambda: dy @ W_out, "skipped": lambda: dy}[output]()
    of_proj = {"heads": lambda: product(merged, dy), "x": lambda: product(x, dy), "turned": lambda: product(merged, dy).T,
               "dmerged": lambda: product(merged, dmerged)}[proj]()
    c_proj = {"weight": of_proj, "bias": summed(dy)}
    dq, dk, dv = (np.asarray(together(d, merge)) for d in attention.backward(cut(dmerged, H, split), c_heads))
    scale = c_heads[4]
    if inner == "scaled again":
        dq, dk = dq * scale, dk * scale
    elif inner == "not scaled":
        dq, dk = dq / scale, dk / scale
    dq, dk, dv = ({"q": dq, "k": dk, "v": dv}[letter] for letter in packing.partition(",")[0].split())
    used = users.split()
    ways_back = [d @ w.T for d, w in zip((dq, dk, dv), W)]
    dx = ways_back[0] if "q" in used else np.zeros_like(x)
    dsource = ("k" in used) * ways_back[1] + ("v" in used) * ways_back[2]
    if total == "mean of users":
        dx, dsource = (dx / 3, dsource / 3) if not has_memory else (dx, dsource / 2)
    dW = [product(a, d) for a, d in zip((x, source, source), (dq, dk, dv))]
    db = [summed(d) for d in (dq, dk, dv)]
    if packing.endswith(", by head"):                                       # q, k, v of the first head, then of the second
        dW, db = ([by_head(np.concatenate(parts, axis=-1), H)] for parts in (dW, db))
    c_attn = {"weight": np.concatenate(dW, axis=-1), "bias": np.concatenate(db, axis=-1)}
    dp = {"c_attn": c_attn, "c_proj": c_proj} if back != "by forward" else {"c_attn": c_proj, "c_proj": c_attn}
    if not has_memory:
        dx = dx + dsource
        return (dp, dx) if back == "dp dx" else (dx + dy, dp) if back == "dx + dy, dp" else (dx, dp)
    dsource = {"own": dsource, "zero": np.zeros_like(source)}.get(memory, dsource)
    if memory == "into dx":
        dx = dx + dsource
    return {"dmemory dx dp": (dsource, dx, dp), "dp dx": (dp, dx, dsource)}.get(back, (dx, dsource, dp))


def by_head(packed, H):
    """Return the columns q | k | v in the order q, k, v of head 0, then of head 1, and so on."""
    *before, C = packed.shape
    return packed.reshape(*before, 3, H, C // (3 * H)).swapaxes(-3, -2).reshape(*before, C)


BOTH = dict(
    split_without_transpose=("dmerged is cut into heads by a reshape alone: (B, H, T, D) has the right shape and mixes tokens "
                             "with channels. Reshape to (B, T, H, D), then transpose(0, 2, 1, 3), (H2).", {"split": "reshaped"}),
    merge_without_transpose=("The heads' gradients are put together by a reshape alone, which mixes tokens with channels. "
                             "Transpose to (B, T, H, D) first, then reshape to (B, T, C): merge is split backwards, "
                             "(H2).", {"merge": "reshaped"}),
    split_strided=("dmerged is cut with the axes D and H exchanged: head h has the channels h D ... (h + 1) D - 1, neighbours, "
                   "so the reshape is to (B, T, H, D), (H2).", {"split": "strided"}),
    merge_strided=("The heads' gradients are put together with the channels of all heads interleaved: head h has the channels h "
                   "D ... (h + 1) D - 1, so the reshape is from (B, T, H, D), (H2).", {"merge": "strided"}),
    split_reversed=("The last head gets the first channels: head 0 has the channels 0 ... D - 1, (H2).", {"split": "reversed"}),
    output_skipped=("The way back through c_proj is missing: y = merged W_proj + b_proj, so dmerged = dy @ W_proj^T, (H3).",
                    {"output": "skipped"}),
    output_not_turned=("dmerged = dy @ W_proj takes c_proj's weight as it is. It runs, because the matrix is square, but on the "
                       "way back it must be turned: dy @ W_proj^T, (H3).", {"output": "not turned"}),
    proj_turned=("The gradient of c_proj's weight is turned: merged^T @ dy and not dy^T @ merged, because y = merged @ W_proj, "
                 "(H3).",
                 {"proj": "turned"}),
    proj_from_x=("The gradient of c_proj's weight is made with x. Its input was the merged heads: merged^T @ dy, (H3).",
                 {"proj": "x"}),
    proj_from_dmerged=("The gradient of c_proj's weight is made with dmerged. It is made with what came out of c_proj, dy: "
                       "merged^T @ dy, (H3).", {"proj": "dmerged"}),
    scaled_again=("dq and dk are multiplied by 1 / sqrt(D) once more: attention.backward has done "
                  "it.", {"inner": "scaled again"}),
    scale_missing=("dq and dk are sqrt(D) times too large: the scale of the scores is missing on the way back, (A6).",
                   {"inner": "not scaled"}),
    k_and_v_exchanged=("The gradients of k and v are in each other's place in c_attn: its columns are q, k, v, in this order, "
                       "(H1).",
                       {"packing": "q v k"}),
    q_and_k_exchanged=("The gradients of q and k are in each other's place in c_attn: its columns are q, k, v, in this order, "
                       "(H1).",
                       {"packing": "k q v"}),
    packing_reversed=("The gradients stand in c_attn in the order v, k, q: its columns are q, k, v, (H1).", {"packing": "v k q"}),
    packing_k_v_q=("The gradients stand in c_attn in the order k, v, q: its columns are q, k, v, (H1).", {"packing": "k v q"}),
    packing_v_q_k=("The gradients stand in c_attn in the order v, q, k: its columns are q, k, v, (H1).", {"packing": "v q k"}),
    last_head_only=("Only the last head's gradients come back, the others are zero: is the array that they are put into made "
                    "anew in the loop over the heads? All H stand side by side, head h in the channels h D ... (h + 1) D - 1,"
                    " (H2).", {"merge": "last"}),
    packed_by_head=("The columns of c_attn's gradient are ordered head by head (q, k, v of the first, then of the second): they "
                    "are all of q, then all of k, then all of v, (H1).", {"packing": "q k v, by head"}),
    k_forgotten=("The way by k is missing in the gradient of the tokens: q, k and v are three users of one input, and their "
                 "gradients add, (H5).", {"users": "q v"}),
    v_forgotten=("The way by v is missing in the gradient of the tokens: q, k and v are three users of one input, and their "
                 "gradients add, (H5).", {"users": "q k"}),
    weights_mean_of_tokens=("The gradients of the weights are divided by the number of tokens B T. Every token uses the same "
                            "weight, so their gradients add: a sum, not a mean.", {"total": "mean of tokens"}),
    weights_mean_of_batch=("The gradients of the weights are divided by B. Every sequence uses the same weight, so their "
                           "gradients add: a sum, not a mean.", {"total": "mean of batch"}),
    weights_last_sequence=("The gradients of the weights and biases come from the last sequence alone: sum over all B of them.",
                           {"total": "last"}),
    weights_first_sequence=("The gradients of the weights and biases come from the first sequence alone: sum over all B of them.",
                            {"total": "first"}),
    bias_mean=("The gradients of the biases are divided by the number of tokens. Every token got the same bias, so their "
               "gradients add.",
               {"bias": "mean of tokens"}),
    bias_mean_of_batch=("The gradients of the biases are divided by B. Every token of every sequence got the same bias, so their "
                        "gradients add.", {"bias": "mean of batch"}),
    bias_first_axis=("The gradients of the biases are summed over the sequences alone, and have a token axis too many: sum over "
                     "both axes, (0, 1).", {"bias": "first axis"}),
    bias_zero=("The gradients of the biases are zero. Every token got the bias, so its gradient is the sum over all tokens. "
               "(Only that of the keys' part is zero.)", {"bias": "zero"}),
    keys_exchanged=("The gradients of c_attn and c_proj are in each other's place in dp.", {"back": "by forward"}),
    dp_first=("dp comes first: the order is that of forward's arguments, and p comes last.", {"back": "dp dx"}),
)
BACKWARD = ways(
    multihead_backward, **BOTH,
    q_forgotten=("The way by q is missing in dx: x has three users, q, k and v, and their gradients add, "
                 "(H5).", {"users": "k v"}),
    only_q=("Only the way by q reaches dx: x has three users, q, k and v, and their gradients add, (H5). Is dx overwritten where "
            "it should be added to?", {"users": "q"}),
    only_k=("Only the way by k reaches dx: x has three users, q, k and v, and their gradients add, (H5). Is dx overwritten where "
            "it should be added to?", {"users": "k"}),
    only_v=("Only the way by v reaches dx: x has three users, q, k and v, and their gradients add, (H5). Is dx overwritten where "
            "it should be added to?", {"users": "v"}),
    mean_of_users=("dx is the mean of the three ways, by q, k and v: they add, and nothing is divided, "
                   "(H5).", {"total": "mean of users"}),
    skip_added=("dy is added to dx. That is the residual connection's, in block.backward; multihead itself has none.",
                {"back": "dx + dy, dp"}),
)
CROSS = ways(
    multihead_backward, **BOTH,
    q_forgotten=("dx is zero: x was the source of the queries, so dx = dq @ W_q^T.", {"users": "k v"}),
    memory_forgotten=("dmemory is zero: memory was the source of the keys and the values, so both send a gradient back, and they "
                      "add.",
                      {"memory": "zero"}),
    memory_into_dx=("memory's gradient is added to dx as well. x and memory are two inputs: q leads to x, k and v to memory. (If "
                    "T is not S it cannot even be added.)", {"memory": "into dx"}),
    mean_of_users=("dmemory is the mean of the two ways, by k and v: they add, and nothing is "
                   "divided.", {"total": "mean of users"}),
    dmemory_first=("dmemory and dx are returned in each other's place: the order is dx, dmemory, dp.", {"back": "dmemory dx dp"}),
)


def multihead_forward(x, p, n_head, mask=None, memory=None, dropout=0.0, rng=None, split="right", merge="right", packing="q k v",
                      scale="D", masked="used", biases="both", output="c_proj", source="memory", dropped="weights", queries="x",
                      skip="none"):
    """multihead.forward's y, with a switch wherever people go wrong."""
    C, H = x.shape[-1], n_head
    weight, bias = p["c_attn"]["weight"], p["c_attn"]["bias"] * (biases in ("both", "c_attn"))
    other = x if memory is None or source == "x" else memory
    if packing == "by head":
        weight, bias = (a.reshape(*a.shape[:-1], H, 3, C // H).swapaxes(-3, -2).reshape(a.shape) for a in (weight, bias))
        packing = "q k v"
    place = packing.split()
    W = {name: (weight[:, i * C:(i + 1) * C], bias[i * C:(i + 1) * C]) for i, name in enumerate(place)}
    asking = other if queries == "memory" else x
    q, k, v = (linear.forward(a, *W[name])[0] for a, name in ((asking, "q"), (other, "k"), (other, "v")))
    q = q * {"D": 1.0, "C": H**-0.5, "missing": (C / H)**0.5, "twice": (C / H)**-0.5}[scale]
    q, k, v = (cut(a, H, split) for a in (q, k, v))
    heads, _ = attention.forward(q, k, v, mask if masked == "used" else None, dropout if dropped == "weights" else 0.0, rng)
    y = together(heads, merge)
    if output != "none":
        W_out = p["c_proj"]["weight"]
        y = y @ (W_out.T if output == "turned" else W_out) + p["c_proj"]["bias"] * (biases in ("both", "c_proj"))
    y = dropout_layer.forward(y, dropout, rng)[0] if dropped == "answers" else y
    return y + x if skip == "added" else y


FORWARD = ways(
    multihead_forward,
    split_without_transpose=("x is cut into heads by a reshape alone: (B, H, T, D) has the right shape and mixes tokens with "
                             "channels. Reshape to (B, T, H, D), then transpose(0, 2, 1, 3), (H2).", {"split": "reshaped"}),
    merge_without_transpose=("The heads are put together by a reshape alone, which mixes tokens with channels. Transpose to "
                             "(B, T, H, D) first, then reshape to (B, T, C).", {"merge": "reshaped"}),
    split_strided=("The heads are cut with the axes D and H exchanged: head h has the channels h D ... (h + 1) D - 1, "
                   "neighbours, so the reshape is to (B, T, H, D), (H2).", {"split": "strided"}),
    merge_strided=("The heads are put together with their channels interleaved: head h gives the channels h D ... (h + 1) D - 1, "
                   "so transpose to (B, T, H, D) and reshape, (H3).", {"merge": "strided"}),
    merge_reversed=("The heads are put together in the reverse order, or cut so: head 0 has the channels 0 ... D - 1, (H2).",
                    {"merge": "reversed"}),
    heads_without_transpose=("The heads are cut by a reshape alone and put together by one: every shape is right, and tokens and "
                             "channels are mixed, which no gradient check can see. Reshape to (B, T, H, D), THEN transpose, "
                             "(H2).",
                             {"split": "reshaped", "merge": "reshaped"}),
    heads_strided=("Head h takes every H-th channel: the axes D and H are exchanged, on the way in and on the way out. Head h "
                   "has the channels h D ... (h + 1) D - 1, so the reshape is to (B, T, H, D), "
                   "(H2).", {"split": "strided", "merge": "strided"}),
    v_and_k_exchanged=("k and v are taken from each other's columns of c_attn: they are q, k, v, in this order, (H1).",
                       {"packing": "q v k"}),
    q_and_k_exchanged=("q and k are taken from each other's columns of c_attn: they are q, k, v, in this order, (H1).",
                       {"packing": "k q v"}),
    packing_reversed=("The columns of c_attn are taken for v, k, q: they are q, k, v, (H1).", {"packing": "v k q"}),
    packing_k_v_q=("The columns of c_attn are taken for k, v, q: they are q, k, v, (H1).", {"packing": "k v q"}),
    packing_v_q_k=("The columns of c_attn are taken for v, q, k: they are q, k, v, (H1).", {"packing": "v q k"}),
    last_head_only=("Only the last head's answers are there, the channels of the others are zero: is the array that they are "
                    "put into made anew in the loop over the heads? All H stand side by side, head h in the channels h D ... "
                    "(h + 1) D - 1, (H3).", {"merge": "last"}),
    last_head_in_every_place=("The last head's answers stand in the place of every head: does the loop over the heads overwrite "
                              "what it found? Head h gives the channels h D ... (h + 1) D - 1, (H3).",
                              {"merge": "last everywhere"}),
    packed_by_head=("The columns of c_attn are taken head by head (q, k, v of the first, then of the second): they are all of q, "
                    "then all of k, then all of v, (H1). Split in three first, then cut the heads.", {"packing": "by head"}),
    scale_by_C=("The scores are divided by sqrt(C): each head has D = C / H channels, and sqrt(D) is right, "
                "(A1).", {"scale": "C"}),
    scale_missing=("The scores are not divided by sqrt(D), D = C / H, (A1).", {"scale": "missing"}),
    scale_twice=("The scores are divided by D: attention.forward divides by sqrt(D) already, (A1).", {"scale": "twice"}),
    mask_missing=("The mask is not used: hand it on to attention.forward.", {"masked": "no"}),
    biases_missing=("The biases are missing, both of them: x W_attn + b_attn, (H1), and heads W_proj + b_proj, (H3).",
                    {"biases": "none"}),
    proj_bias_missing=("c_proj's bias is missing, (H3).", {"biases": "c_attn"}),
    attn_bias_missing=("c_attn's bias is missing, (H1).", {"biases": "c_proj"}),
    output_missing=("The last step is missing: the heads, put together, go through c_proj, (H3).", {"output": "none"}),
    output_turned=("c_proj's weight is turned: it is stored (in, out), so y = merged @ weight + bias, "
                   "(H3).", {"output": "turned"}),
    memory_ignored=("memory is not used: with it, k and v come from memory and only q from x.", {"source": "x"}),
    queries_from_memory=("With a memory the queries come from it as well. It is x that asks: q from x, k and v from memory.",
                         {"queries": "memory"}),
    dropout_forgotten=("dropout and rng are not used: hand them on to attention.forward.", {"dropped": "none"}),
    dropout_on_answers=("Dropout acts on y. It belongs on the attention weights: hand dropout and rng on to attention.forward.",
                        {"dropped": "answers"}),
    skip_added=("x is added to the answer. That is the residual connection's, in block.forward; multihead itself has none.",
                {"skip": "added"}),
)

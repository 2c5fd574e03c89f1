"""Answers to the exercises on the decoder's block, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from answers_blocks import norm_by_hand, undo_dropout
from collected import right, wrong

from nanolm.layers import dropout, layernorm, mlp, multihead


# ---------------------------------------------------------------------------------------- decoder_block.backward
def by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: skip + branch, drop=undo_dropout, ln=norm_by_hand, order=(2, 1, 0),
              memory=lambda d: d, hand_over=lambda d, up, i: d):
    """The three parts in a loop; the wrong answers below differ from it in one line, which is a function."""
    norm, *c = cache
    parts = [c[i:i + 3] for i in (0, 3, 6)]
    names, branches = ("attn", "cross_attn", "mlp"), (multihead, multihead, mlp)
    dx, dp, dmemory = dy, {}, None
    for i in order:
        c_ln, c_f, c_drop = parts[i] if norm == "pre" else (parts[i][2], parts[i][0], parts[i][1])
        skip = dx
        if norm == "post":
            skip, w, b = ln(dx, c_ln)
        d, *dm, dp[names[i]] = branches[i].backward(drop(hand_over(skip, dy, i), c_drop), c_f)
        if norm == "pre":
            d, w, b = ln(d, c_ln)
        if dm:
            dmemory = memory(dm[0])
        dp[f"ln_{i + 1}"] = {"weight": w, "bias": b}
        dx = add(skip, d, dx, norm, i)
    return dx, dmemory, dp


@right("decoder_block.backward")
def in_a_loop(dy, cache):
    return by_a_loop(dy, cache)


@right("decoder_block.backward")
def in_a_list(dy, cache):
    return list(by_a_loop(np.asfortranarray(dy), cache, drop=dropout.backward, ln=layernorm.backward))


@right("decoder_block.backward")
def line_by_line(dy, cache):
    norm, c1, c2, c3, c4, c5, c6, c7, c8, c9 = cache
    if norm == "pre":
        up3, gm = mlp.backward(undo_dropout(dy, c9), c8)
        u3, w3, b3 = norm_by_hand(up3, c7)
        g2 = dy + u3
        up2, dmem, gc = multihead.backward(undo_dropout(g2, c6), c5)
        u2, w2, b2 = norm_by_hand(up2, c4)
        g1 = g2 + u2
        up1, ga = multihead.backward(undo_dropout(g1, c3), c2)
        u1, w1, b1 = norm_by_hand(up1, c1)
        out = np.stack([g1, u1]).sum(axis=0)
    else:
        s3, w3, b3 = norm_by_hand(dy, c9)
        u3, gm = mlp.backward(undo_dropout(s3, c8), c7)
        s2, w2, b2 = norm_by_hand(np.add(s3, u3), c6)
        u2, dmem, gc = multihead.backward(undo_dropout(s2, c5), c4)
        s1, w1, b1 = norm_by_hand(np.add(s2, u2), c3)
        u1, ga = multihead.backward(undo_dropout(s1, c2), c1)
        out = np.add(s1, u1)
    return (out, dmem, {"mlp": gm, "cross_attn": gc, "attn": ga, "ln_1": {"bias": b1, "weight": w1},
                        "ln_2": {"bias": b2, "weight": w2},
                        "ln_3": {"bias": b3, "weight": w3}})


@wrong("decoder_block.backward", "memory_zero")
def memory_is_a_constant(dy, cache):
    return by_a_loop(dy, cache, memory=np.zeros_like)


@wrong("decoder_block.backward", "cross_attn_skip_forgotten")
def no_way_past_the_source(dy, cache):
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: branch if i == 1 else skip + branch)


@wrong("decoder_block.backward", "skips_forgotten")
def a_plain_chain(dy, cache):
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: branch)


@wrong("decoder_block.backward", "cross_attn_branch_forgotten")
def queries_do_not_reach_x(dy, cache):
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: skip if i == 1 else skip + branch)


@wrong("decoder_block.backward", "attentions_in_forward_order")
def self_before_cross(dy, cache):
    return by_a_loop(dy, cache, order=(2, 0, 1))


@wrong("decoder_block.backward", "halves_in_forward_order")
def forwards(dy, cache):
    return by_a_loop(dy, cache, order=(0, 1, 2))


@wrong("decoder_block.backward", "memory_first")
def memory_before_x(dy, cache):
    dx, dmemory, dp = by_a_loop(dy, cache)
    return dmemory, dx, dp


@wrong("decoder_block.backward", "memory_not_returned")
def as_an_encoders_block(dy, cache):
    dx, _, dp = by_a_loop(dy, cache)
    return dx, dp


@wrong("decoder_block.backward", "skips_past_the_norms")
def past_the_norms(dy, cache):
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: up + branch)


@wrong("decoder_block.backward", "dropouts_on_the_skips")
def dropped_for_good(dy, cache):
    """In post-norm the skip is dropped too; in pre-norm all is right but for the same slip."""
    norm, *c = cache
    drops = [c[2], c[5], c[8]] if norm == "pre" else [c[1], c[4], c[7]]
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: undo_dropout(skip, drops[i]) + branch)


@wrong("decoder_block.backward", "last_norms_exchanged")
def norms_shifted(dy, cache):
    dx, dmemory, dp = by_a_loop(dy, cache)
    dp["ln_2"], dp["ln_3"] = dp["ln_3"], dp["ln_2"]
    return dx, dmemory, dp


@wrong("decoder_block.backward", "memory_twice", "attn_skip_forgotten")
def two_mistakes(dy, cache):
    return by_a_loop(dy, cache, add=lambda skip, branch, up, norm, i: branch if i == 0 else skip + branch, memory=lambda d: d + d)


@wrong("decoder_block.backward")
def memory_scaled_by_a_third(dy, cache):
    return by_a_loop(dy, cache, memory=lambda d: d / 3)


@wrong("decoder_block.backward", "attentions_exchanged")
def under_the_wrong_names(dy, cache):
    dx, dmemory, dp = by_a_loop(dy, cache)
    return dx, dmemory, {**dp, "attn": dp.pop("cross_attn"), "cross_attn": dp.pop("attn")}


# ---------------------------------------------------------------------------------------- decoder_block.forward
def formula(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", form="relu", eps=1e-5, dropout=0.0, rng=None,
            listens=True,
            drop_after=True, own_norms=True):
    from nanolm.layers import dropout as drop

    def branch(i, h):
        if i == 1:
            return multihead.forward(h, p["attn"], n_head, mask, dropout=dropout, rng=rng)[0]
        if i == 2 and listens:
            return multihead.forward(h, p["cross_attn"], n_head, memory_mask, memory=memory, dropout=dropout, rng=rng)[0]
        if i == 2:
            return multihead.forward(h, p["cross_attn"], n_head, mask, dropout=dropout, rng=rng)[0]
        return mlp.forward(h, p["mlp"], form)[0]

    for i in (1, 2, 3):
        ln = p[f"ln_{i}"] if own_norms else p["ln_1"]
        h = layernorm.forward(x, **ln, eps=eps)[0] if norm == "pre" else x
        a = branch(i, h)
        x = x + (drop.forward(a, dropout, rng)[0] if drop_after else a)
        x = layernorm.forward(x, **ln, eps=eps)[0] if norm == "post" else x
    return x


@right("decoder_block.forward")
def numbered(*args, **kwargs):
    return formula(*args, **kwargs), None


@right("decoder_block.forward")
def on_copies(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", form="relu", eps=1e-5, dropout=0.0, rng=None):
    return np.asfortranarray(formula(x.copy(), np.asfortranarray(memory), p, n_head, mask, memory_mask, norm, form, eps, dropout,
                                     rng))


@right("decoder_block.forward")
def spelled_out(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", form="relu", eps=1e-5, dropout=0.0, rng=None):
    def keep(a):
        return a if rng is None or not dropout else a * (rng.random(a.shape, dtype=np.float32) >= dropout) / (1 - dropout)

    def ln(h, g):
        mean, var = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
        return g["weight"] * (h - mean) / np.sqrt(var + eps) + g["bias"]

    pre = norm == "pre"
    a, _ = multihead.forward(ln(x, p["ln_1"]) if pre else x, p["attn"], n_head, mask, None, dropout, rng)
    x = x + keep(a)
    x = x if pre else ln(x, p["ln_1"])
    b, _ = multihead.forward(ln(x, p["ln_2"]) if pre else x, p["cross_attn"], n_head, memory_mask, memory, dropout, rng)
    x = x + keep(b)
    x = x if pre else ln(x, p["ln_2"])
    x = x + keep(mlp.forward(ln(x, p["ln_3"]) if pre else x, p["mlp"], form)[0])
    return x if pre else ln(x, p["ln_3"])


@wrong("decoder_block.forward", "memory_not_read")
def does_not_listen(*args, **kwargs):
    return formula(*args, **kwargs, listens=False)


@wrong("decoder_block.forward", "dropout_forgotten")
def only_attention_drops(*args, **kwargs):
    return formula(*args, **kwargs, drop_after=False)


@wrong("decoder_block.forward")
def one_norm_for_all(*args, **kwargs):
    return formula(*args, **kwargs, own_norms=False)


@wrong("decoder_block.forward", "masks_exchanged")
def masks_mixed_up(x, memory, p, n_head, mask=None, memory_mask=None, **kwargs):
    return formula(x, memory, p, n_head, memory_mask, mask, **kwargs)


@wrong("decoder_block.forward", "always_post")
def always_the_papers(x, memory, p, n_head, mask=None, memory_mask=None, norm="post", **kwargs):
    return formula(x, memory, p, n_head, mask, memory_mask, "post", **kwargs)

"""Answers to the exercise on block.backward, as students write them: right ones in other styles, and wrong ones."""
import numpy as np
from collected import right, wrong

from nanolm.layers import attention, dropout, gelu, layernorm, linear, mlp, multihead


def norm_by_hand(dy, cache):
    """Layer norm's backward, written out."""
    x, weight, mean, rstd = cache
    n, C = (x - mean) * rstd, x.shape[-1]
    g = dy * weight
    dx = rstd / C * (C * g - g.sum(-1, keepdims=True) - n * np.einsum("...c,...c->...", g, n)[..., None])
    return dx, (dy * n).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)


def undo_dropout(d, cache):
    keep, scale = cache
    return d if keep is None else np.where(keep, d * scale, 0.0)


# ---------------------------------------------------------------------------------------- block.backward, right
@right("block.backward")
def two_halves(dy, cache):
    """One inner function for both halves."""
    norm, *c = cache

    def half(d, c_ln, c_f, c_drop, f):
        if norm == "pre":
            inner, grads = f.backward(dropout.backward(d, c_drop), c_f)
            inner, w, b = layernorm.backward(inner, c_ln)
            return d + inner, {"weight": w, "bias": b}, grads
        d, w, b = layernorm.backward(d, c_ln)
        inner, grads = f.backward(dropout.backward(d, c_drop), c_f)
        return d + inner, {"weight": w, "bias": b}, grads

    order = (3, 4, 5, 0, 1, 2) if norm == "pre" else (5, 3, 4, 2, 0, 1)
    dx, ln_2, d_mlp = half(dy, *(c[i] for i in order[:3]), mlp)
    dx, ln_1, d_attn = half(dx, *(c[i] for i in order[3:]), multihead)
    return dx, dict(mlp=d_mlp, ln_2=ln_2, attn=d_attn, ln_1=ln_1)


@right("block.backward")
def four_ways(dy, cache):
    """dx as the sum of four ways through the block; the parameters' gradients from the sums that arrive."""
    norm, c1, c2, c3, c4, c5, c6 = cache
    if norm == "post":
        a, w2, b2 = norm_by_hand(dy, c6)
        by_mlp, d_mlp = mlp.backward(undo_dropout(a, c5), c4)
        total, w1, b1 = norm_by_hand(a + by_mlp, c3)
        by_attn, d_attn = multihead.backward(undo_dropout(total, c2), c1)
        ways = [total, by_attn]
    else:
        through, d_mlp = mlp.backward(undo_dropout(dy, c6), c5)
        by_mlp, w2, b2 = norm_by_hand(through, c4)
        pieces = [dy, by_mlp]
        through, d_attn = multihead.backward(undo_dropout(sum(pieces), c3), c2)
        by_attn, w1, b1 = norm_by_hand(through, c1)
        ways = [*pieces, by_attn]
    return [np.sum(ways, axis=0), {"ln_1": {"weight": w1, "bias": b1}, "attn": d_attn, "ln_2": {"weight": w2, "bias": b2},
                                   "mlp": d_mlp}]


@right("block.backward")
def all_layers_opened(dy, cache):
    """mlp and multihead by their parts, in Fortran order here and there."""
    norm, c1, c2, c3, c4, c5, c6 = cache

    def mlp_back(d, c):
        form, c_fc, c_bend, c_proj = c
        dh, W2, b2 = linear.backward(np.asfortranarray(d), c_proj)
        dh = dh * (c_bend[0] > 0) if form == "relu" else gelu.backward(dh, c_bend)
        dh, W1, b1 = linear.backward(dh, c_fc)
        return dh, {"c_proj": {"bias": b2, "weight": W2}, "c_fc": {"bias": b1, "weight": W1}}

    def attention_back(d, c):
        _, H, c_in, c_heads, c_out = c
        d, Wo, bo = linear.backward(d, c_out)
        B, T, C = d.shape
        parts = attention.backward(d.reshape(B, T, H, C // H).transpose(0, 2, 1, 3), c_heads)
        packed = np.concatenate([p.transpose(0, 2, 1, 3).reshape(B, T, C) for p in parts], axis=2)
        d, Wi, bi = linear.backward(packed, c_in)
        return d, {"c_attn": {"weight": Wi, "bias": bi}, "c_proj": {"weight": np.asfortranarray(Wo), "bias": bo}}

    dp = {}
    if norm == "pre":
        d, dp["mlp"] = mlp_back(undo_dropout(dy, c6), c5)
        d, w, b = norm_by_hand(d, c4)
        dp["ln_2"] = {"weight": w, "bias": b}
        middle = dy + d
        d, dp["attn"] = attention_back(undo_dropout(middle, c3), c2)
        d, w, b = norm_by_hand(d, c1)
        dp["ln_1"] = {"weight": w, "bias": b}
        return middle + d, dp
    s, w, b = norm_by_hand(dy, c6)
    dp["ln_2"] = {"weight": w, "bias": b}
    d, dp["mlp"] = mlp_back(undo_dropout(s, c5), c4)
    s, w, b = norm_by_hand(s + d, c3)
    dp["ln_1"] = {"weight": w, "bias": b}
    d, dp["attn"] = attention_back(undo_dropout(s, c2), c1)
    return s + d, dp


# ---------------------------------------------------------------------------------------- block.backward, wrong
def as_a_student(dy, cache, mid=lambda dy, d: dy + d, end=lambda mid, d: mid + d, mid_post=lambda s, d, dy: s + d,
                 end_post=lambda s, d: s + d,
                 drop=undo_dropout, ln=norm_by_hand, pack=None, attn_from=lambda mid, dy: mid):
    """Written from scratch, with the lines in which the answers below differ as functions."""
    norm, c1, c2, c3, c4, c5, c6 = cache
    if norm == "pre":
        d, d_mlp = mlp.backward(drop(dy, c6), c5)
        d, w2, b2 = ln(d, c4)
        m = mid(dy, d)
        d, d_attn = multihead.backward(drop(attn_from(m, dy), c3), c2)
        d, w1, b1 = ln(d, c1)
        dx = end(m, d)
    else:
        s, w2, b2 = ln(dy, c6)
        d, d_mlp = mlp.backward(drop(s, c5), c4)
        s, w1, b1 = ln(mid_post(s, d, dy), c3)
        d, d_attn = multihead.backward(drop(s, c2), c1)
        dx = end_post(s, d)
    dp = {"ln_1": {"weight": w1, "bias": b1}, "attn": d_attn, "ln_2": {"weight": w2, "bias": b2}, "mlp": d_mlp}
    return dx, pack(dp) if pack else dp


@wrong("block.backward", "skips_forgotten")
def chain_without_skips(dy, cache):
    return as_a_student(dy, cache, lambda dy, d: d, lambda m, d: d, lambda s, d, dy: d, lambda s, d: d)


@wrong("block.backward", "attn_skip_forgotten")
def second_plus_forgotten(dy, cache):
    return as_a_student(dy, cache, end=lambda m, d: d, end_post=lambda s, d: d)


@wrong("block.backward", "mlp_branch_forgotten")
def mlp_changes_nothing(dy, cache):
    return as_a_student(dy, cache, mid=lambda dy, d: dy, mid_post=lambda s, d, dy: s)


@wrong("block.backward", "skips_past_the_norms", "mlp_skip_past_the_norm")
def pre_norms_line_in_post_norm(dy, cache):
    return as_a_student(dy, cache, mid_post=lambda s, d, dy: dy + d)


@wrong("block.backward", "dropouts_forgotten")
def evaluated_not_trained(dy, cache):
    return as_a_student(dy, cache, drop=lambda d, c: d)


@wrong("block.backward")
def dropout_without_its_scale(dy, cache):
    return as_a_student(dy, cache, drop=lambda d, c: d if c[0] is None else d * c[0])


@wrong("block.backward", "attention_gets_dy")
def attention_starts_at_the_top(dy, cache):
    """Only in pre-norm; the catalogue's does it in post-norm too."""
    norm, c1, c2, c3, c4, c5, c6 = cache
    if norm == "post":
        s, w2, b2 = layernorm.backward(dy, c6)
        d, d_mlp = mlp.backward(dropout.backward(s, c5), c4)
        s, w1, b1 = layernorm.backward(s + d, c3)
        d, d_attn = multihead.backward(dropout.backward(dy, c2), c1)
        return s + d, {"ln_1": {"weight": w1, "bias": b1}, "attn": d_attn, "ln_2": {"weight": w2, "bias": b2}, "mlp": d_mlp}
    return as_a_student(dy, cache, attn_from=lambda m, dy: dy)


@wrong("block.backward", "norms_exchanged")
def packed_the_wrong_way_round(dy, cache):
    return as_a_student(dy, cache, pack=lambda dp: {"ln_1": dp["ln_2"], "attn": dp["attn"], "ln_2": dp["ln_1"], "mlp": dp["mlp"]})


@wrong("block.backward", "weight_and_bias_exchanged")
def bias_before_weight(dy, cache):
    def ln(d, c):
        dx, dbias, dweight = norm_by_hand(d, c)
        return dx, dweight, dbias
    return as_a_student(dy, cache, ln=ln)


@wrong("block.backward", "mlp_skip_forgotten", "norms_exchanged")
def two_things_at_once(dy, cache):
    return as_a_student(dy, cache, mid=lambda dy, d: d, mid_post=lambda s, d, dy: d,
                        pack=lambda dp: {**dp, "ln_1": dp["ln_2"], "ln_2": dp["ln_1"]})


@wrong("block.backward", "changes_arguments")
def adds_into_dy(dy, cache):
    def mid(dy, d):
        dy += d
        return dy
    return as_a_student(dy, cache, mid=mid, mid_post=lambda s, d, dy: s + d)


@wrong("block.backward", "by_mlp_factor", "by_both_factor", "past_both_factor")
def residual_scaled(dy, cache):
    """A DeepNet-like factor that this block does not have; the sum of four ways shows it."""
    return as_a_student(dy, cache, mid=lambda dy, d: dy + 0.5 * d, end=lambda m, d: m + d, mid_post=lambda s, d, dy: s + 0.5 * d)


@wrong("block.backward", "differs_between_calls")
def a_new_mask(dy, cache):
    return as_a_student(dy, cache, drop=lambda d, c: d if c[0] is None else d * (np.random.random(d.shape) < 0.5) * c[1])


@wrong("block.backward", "raises")
def norm_is_not_unpacked(dy, cache):
    c1, c2, c3, c4, c5, c6 = cache
    return mlp.backward(dropout.backward(dy, c6), c5)


@wrong("block.backward", "library_called")
def calls_the_library(dy, cache):
    from nanolm.layers import block
    return block.backward(dy, cache)

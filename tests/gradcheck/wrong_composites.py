"""Wrong backwards of multihead, mlp, block and GPT-2, whose parameters come in a dict: the checker must reject them."""
import numpy as np
from wrong import wrong

from nanolm import gradcheck
from nanolm.layers import block, linear, mlp, multihead
from nanolm.models import gpt2
from nanolm.params import flatten, unflatten


def _with(dp, name, change):
    """Return dp with the tensor `name` replaced by change(tensor)."""
    flat = flatten(dp)
    flat[name] = change(flat[name])
    return unflatten(flat)


# -------------------------------------------------------------------------------- multihead
@wrong("multihead")
def a_key_missing(dy, cache):
    *dx, dp = multihead.backward(dy, cache)
    return (*dx, {"c_attn": dp["c_attn"]})


@wrong("multihead")
def a_key_too_many(dy, cache):
    *dx, dp = multihead.backward(dy, cache)
    return (*dx, {**dp, "n_head": np.zeros(1)})


@wrong("multihead")
def dotted_keys(dy, cache):
    *dx, dp = multihead.backward(dy, cache)
    return (*dx, flatten(dp))


@wrong("multihead")
def a_list_of_gradients_for_p(dy, cache):
    *dx, dp = multihead.backward(dy, cache)
    return (*dx, list(flatten(dp).values()))


@wrong("multihead")
def key_bias_not_zero(dy, cache):                                            # its true gradient is exactly zero
    *dx, dp = multihead.backward(dy, cache)
    C = dx[0].shape[-1]
    return (*dx, _with(dp, "c_attn.bias", lambda b: b + 1e-8 * (np.arange(3 * C) == C)))


@wrong("multihead")
def a_none_for_the_mask(dy, cache):
    return (*multihead.backward(dy, cache), None)


# -------------------------------------------------------------------------------- mlp
@wrong("mlp")
def one_weight_turned(dy, cache):
    dx, dp = mlp.backward(dy, cache)
    return dx, _with(dp, "c_fc.weight", lambda w: w.T)


@wrong("mlp")
def one_bias_entry_off(dy, cache):
    dx, dp = mlp.backward(dy, cache)
    return dx, _with(dp, "c_proj.bias", lambda b: b * np.where(np.arange(b.size) == 1, 1 + 1e-6, 1))


@wrong("mlp")
def gradients_in_float32(dy, cache):
    dx, dp = mlp.backward(dy, cache)
    return dx, _with(dp, "c_fc.weight", lambda w: w.astype(np.float32))


@wrong("mlp")
def gradients_widened(dy, cache):                                            # only float32 arguments show it
    dx, dp = mlp.backward(dy, cache)
    return dx, _with(dp, "c_fc.bias", lambda b: b * np.ones(1))


# -------------------------------------------------------------------------------- block
@wrong("block")
def skip_forgotten(dy, cache):                                               # M
    dx, dp = block.backward(dy, cache)
    return dx - dy, dp


@wrong("block")
def branch_adds_to_dy(dy, cache):                                            # M: dout modified in place
    result = block.backward(dy, cache)
    dy += result[0]
    return dy, result[1]


@wrong("block")
def mlp_gradient_missing(dy, cache):
    dx, dp = block.backward(dy, cache)
    return dx, {k: v for k, v in dp.items() if k != "mlp"}


# -------------------------------------------------------------------------------- gpt2
@wrong("gpt2")
def blocks_in_the_wrong_order(cache):
    dp = gpt2.backward(cache)
    order = list(reversed(dp["h"])) if len(dp["h"]) > 1 else list(dp["h"])
    first = {"0": dp["h"][order[0]]} if len(order) > 1 else {"0": {**dp["h"]["0"], "ln_1": dp["h"]["0"]["ln_2"]}}
    return {**dp, "h": {**dp["h"], **first}}


@wrong("gpt2")
def one_entry_off_in_one_block(cache):
    def one_off(w):
        return w * np.where(np.arange(w.size) == 7, 1 + 1e-4, 1).reshape(w.shape)
    return _with(gpt2.backward(cache), "h.0.mlp.c_fc.weight", one_off)


@wrong("gpt2")
def every_linear_dx_a_ten_millionth_off(cache):
    with gradcheck.swap(linear, backward=lambda d, c, own=linear.backward: (own(d, c)[0] * (1 + 1e-7), *own(d, c)[1:])):
        return gpt2.backward(cache)

"""Wrong backwards of linear, gelu and softmax, as students write them: the checker must reject every one."""
import numpy as np
from wrong import wrong

from nanolm.layers import gelu, linear


# -------------------------------------------------------------------------------- linear
@wrong("linear")
def weight_from_last_sequence_only(dy, cache):                               # M
    dx, dweight, dbias = linear.backward(dy, cache)
    x = cache[0]
    return dx, x[-1].T @ dy[-1] if x.ndim == 3 else dweight, dbias


@wrong("linear")
def input_not_turned(dy, cache):                                             # M: dx = dout @ W, runs when square
    dx, dweight, dbias = linear.backward(dy, cache)
    weight = cache[1]
    return (dy @ weight if weight.shape[0] == weight.shape[1] else dx), dweight, dbias


def _linear_writes(x, weight, bias=None):
    y, cache = linear.forward(x, weight, bias)
    x *= 2                                                                   # M: x is changed after it was used
    return y, cache


@wrong("linear", _linear_writes)
def x_changed_later(dy, cache):
    return linear.backward(dy, cache)


@wrong("linear")
def one_gradient_missing(dy, cache):
    return linear.backward(dy, cache)[:2]


@wrong("linear")
def float32_inside(dy, cache):                                               # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx.astype(np.float32).astype(np.float64), dweight, dbias


@wrong("linear")
def integers_inside(dy, cache):                                              # M
    dx, dweight, dbias = linear.backward(dy, cache)
    return dx, dweight.astype(int).astype(float), dbias


@wrong("linear")
def one_entry_a_millionth_off(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    dweight.flat[-1] *= 1 + 1e-6
    return dx, dweight, dbias


@wrong("linear")
def adds_to_dy(dy, cache):                                                   # M: dout modified in place
    result = linear.backward(dy, cache)
    dy += 1
    return result


_last = []


def _linear_remembers(x, weight, bias=None):
    y, cache = linear.forward(x, weight, bias)
    _last[:] = [cache]
    return y, cache


@wrong("linear", _linear_remembers)
def cache_of_the_last_forward(dy, cache):                                    # M: stale cache
    return linear.backward(dy, _last[0])


_buffer = {}


@wrong("linear")
def buffer_used_again(dy, cache):
    dx, dweight, dbias = linear.backward(dy, cache)
    mine = _buffer.setdefault((dx.shape, dx.dtype), np.empty_like(dx))
    mine[...] = dx
    return mine, dweight, dbias


# -------------------------------------------------------------------------------- gelu
@wrong("gelu")
def no_inner_derivative(dy, cache):                                          # M
    x, form, share = cache
    return dy * (share + x * 2 * share * (1 - share))


@wrong("gelu")
def gelu_in_a_tuple(dy, cache):
    return (gelu.backward(dy, cache),)


# -------------------------------------------------------------------------------- softmax
@wrong("softmax")
def writes_to_cached_y(dy, cache):
    y, axis = cache
    y *= dy - (dy * y).sum(axis=axis, keepdims=True)
    return y

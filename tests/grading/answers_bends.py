"""Answers to the exercises on GELU, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


def of_one_number(f):
    """Return f, which takes Python numbers, as a function of arrays."""
    return np.vectorize(f, otypes=[np.float64])


# ---------------------------------------------------------------------------------------- gelu.backward, right
@right("gelu.backward")
def textbook(dy, cache):
    x, form, _ = cache
    if form == "tanh":
        k = math.sqrt(2 / math.pi)
        t = np.tanh(k * (x + 0.044715 * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * k * (1 + 0.134145 * x**2))
    Phi = 0.5 * (1 + of_one_number(math.erf)(x / math.sqrt(2)))
    return dy * (Phi + x * np.exp(-x**2 / 2) / math.sqrt(2 * math.pi))


@right("gelu.backward")
def number_by_number(dy, cache):
    x, form, share = cache
    dx = np.zeros_like(dy)
    for i in np.ndindex(dy.shape):
        if form == "erf":
            slope = math.exp(-x[i] ** 2 / 2) / (2 * math.pi) ** 0.5
        else:
            slope = 2 * share[i] * (1 - share[i]) * (2 / math.pi) ** 0.5 * (1 + 3 * 0.044715 * x[i] ** 2)
        dx[i] = dy[i] * share[i] + dy[i] * x[i] * slope
    return dx


@right("gelu.backward")
def node_by_node(dy, cache):
    x, form, share = cache
    dshare, dx = dy * x, dy * share                                         # y = x * share
    if form == "tanh":
        dt = dshare / 2
        du = dt * (1 - (2 * share - 1) ** 2)
        dcube = du * np.sqrt(2 / np.pi) * 0.044715
        dx = dx + du * np.sqrt(2 / np.pi) + dcube * 3 * np.square(x)
    else:
        dz = dshare * np.exp(-np.square(x / np.sqrt(2))) / np.sqrt(np.pi)   # share = (1 + erf(z)) / 2
        dx = dx + dz / np.sqrt(2)
    return np.asfortranarray(dx)


# ---------------------------------------------------------------------------------------- gelu.backward, wrong
@wrong("gelu.backward", "second_term_missing")
def share_held_constant(dy, cache):
    x, form, share = cache
    return np.stack([d * s for d, s in zip(dy.ravel(), share.ravel())]).reshape(x.shape)


@wrong("gelu.backward", "cube_three_forgotten", "erf_half_forgotten")
def a_slip_in_each_form(dy, cache):
    x, form, _ = cache
    if form == "tanh":
        u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        sech2 = 1 - np.tanh(u) ** 2
        return dy * (0.5 * (1 + np.tanh(u)) + 0.5 * x * sech2 * math.sqrt(2 / math.pi) * (1 + 0.044715 * x**2))
    cdf = 0.5 * (1 + of_one_number(math.erf)(x / math.sqrt(2)))
    return dy * (cdf + x * math.sqrt(2 / math.pi) * np.exp(-x * x / 2))


@wrong("gelu.backward", "inner_derivative_forgotten")
def chain_not_followed(dy, cache):
    x, form, share = cache
    if form == "erf":
        return dy * share + dy * x * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    tanh = 2 * share - 1
    return dy * share + dy * x * 0.5 * (1 - tanh * tanh)


@wrong("gelu.backward", "half_of_second_term_twice")
def as_a_logistic_function(dy, cache):
    x, form, share = cache
    if form == "erf":
        return dy * (share + x * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return dy * share * (1 + x * (1 - share) * inner)


@wrong("gelu.backward", "always_tanh_form")
def for_gpt2_only(dy, cache):
    x = cache[0]
    k, a = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(k * (x + a * x**3))
    return 0.5 * dy * (1 + t + x * (1 - t * t) * k * (1 + 3 * a * x * x))


@wrong("gelu.backward", "always_erf_form")
def for_bert_only(dy, cache):
    x = cache[0]
    return dy * np.array([0.5 * (1 + math.erf(v / 2**0.5)) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi)
                          for v in x.ravel()]).reshape(x.shape)


@wrong("gelu.backward", "root_of_two_pi_forgotten", "k_forgotten")
def constants_forgotten(dy, cache):
    x, form, share = cache
    if form == "tanh":
        return dy * (share + 0.5 * x * (1 - np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) ** 2) * (1 + 3 * 0.044715 * x**2))
    return dy * (share + x * np.exp(-0.5 * x**2))


@wrong("gelu.backward", "dy_forgotten")
def slope_alone(dy, cache):
    x, form, share = cache
    if form == "tanh":
        return share + 2 * x * share * (1 - share) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return share + x * np.exp(-x**2 / 2) / math.sqrt(2 * math.pi)


@wrong("gelu.backward", "precision")
def by_differences(dy, cache):
    x, form, _ = cache

    def f(x):
        if form == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + of_one_number(math.erf)(x / math.sqrt(2)))
    return dy * (f(x + 1e-5) - f(x - 1e-5)) / 2e-5


@wrong("gelu.backward")
def flat_beyond_five(dy, cache):
    x, form, share = cache
    slope = 2 * share * (1 - share) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2) if form == "tanh" \
        else np.exp(-x**2 / 2) / math.sqrt(2 * math.pi)
    return dy * np.where(np.abs(x) > 5, x > 0, share + x * slope)


# ---------------------------------------------------------------------------------------- gelu.forward
@right("gelu.forward")
def with_math_alone(x, form="tanh"):
    k = math.sqrt(2 / math.pi)
    one = {"tanh": lambda v: v * (1 + math.tanh(k * (v + 0.044715 * v**3))) / 2,
           "erf": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2}[form]
    return np.array([one(float(v)) for v in x.ravel()]).reshape(x.shape)


@right("gelu.forward")
def by_a_logistic_function(x, form="tanh"):
    """(1 + tanh u) / 2 is the logistic function of 2 u."""
    if form == "erf":
        return 0.5 * x * of_one_number(math.erfc)(-x / np.sqrt(2)), None
    return x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * np.power(x, 3)))), None


@right("gelu.forward")
def written_into_its_own_array(x, form="tanh"):
    y = np.zeros_like(x)
    y += x
    if form == "tanh":
        y *= 1 + np.tanh(0.7978845608028654 * x * (1 + 0.044715 * x**2))
    else:
        y *= 1 + of_one_number(math.erf)(x * 0.5**0.5)
    y /= 2
    return y


@wrong("gelu.forward", "erf_of_x", "cubic_term_forgotten")
def from_memory(x, form="tanh"):
    if form == "erf":
        return x * 0.5 * (1 + of_one_number(math.erf)(x))
    return x * 0.5 * (1 + np.tanh(x * np.sqrt(2 / np.pi)))


@wrong("gelu.forward", "always_tanh_form")
def form_not_looked_at(x, form="tanh"):
    return x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@wrong("gelu.forward", "k_not_multiplied_out")
def brackets_lost(x, form="tanh"):
    if form == "erf":
        return 0.5 * x * (1 + of_one_number(math.erf)(x / math.sqrt(2)))
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * x + 0.044715 * x**3))


@wrong("gelu.forward", "sigmoid_form")
def the_third_form(x, form="tanh"):
    return x * (1 + np.tanh(0.851 * x)) / 2

"""Answers to the exercises on ReLU, tanh and SiLU, as students write them: right ones in other styles, and wrong ones."""
import math

import numpy as np
from collected import right, wrong


# ---------------------------------------------------------------------------------------- relu
@right("relu.backward")
def by_where(dy, cache):
    return np.where(cache[0] > 0, dy, 0.0)


@right("relu.backward")
def by_index(dy, cache):
    dx = dy.copy()
    dx[cache[0] == 0] = 0
    return dx


@right("relu.backward")
def one_by_one(dy, cache):
    (y,) = cache
    return np.array([d if one > 0 else 0.0 for d, one in zip(dy.flatten(), y.flatten())]).reshape(dy.shape)


@right("relu.backward")
def by_sign(dy, cache):
    return np.sign(*cache) * dy


@wrong("relu.backward", "passes_everything")
def not_below_zero(dy, cache):
    dx = dy.copy()
    dx[cache[0] < 0] = 0
    return dx


@wrong("relu.backward", "mask_of_dy")
def relu_of_dy(dy, cache):
    return np.maximum(dy, 0)


@wrong("relu.backward", "mask_of_both")
def guided(dy, cache):
    return np.maximum(dy, 0) * np.sign(cache[0])


@wrong("relu.backward", "dy_forgotten")
def heaviside(dy, cache):
    return np.heaviside(cache[0], 0.0)


@wrong("relu.backward", "times_y", "sign")
def minus_the_product(dy, cache):
    return -np.einsum("...,...->...", dy, cache[0])


@wrong("relu.backward", "changes_arguments")
def in_place(dy, cache):
    dy[cache[0] <= 0] = 0
    return dy


@right("relu.forward")
def average_with_absolute(x):
    return (x + np.abs(x)) / 2


@right("relu.forward")
def clipped_from_below(x):
    return np.clip(x, 0, None), (x > 0,)


@right("relu.forward")
def comprehension(x):
    return np.array([max(0.0, float(v)) for v in x.ravel()]).reshape(x.shape)


@wrong("relu.forward", "largest_along_an_axis")
def method_max(x):
    return x.max(axis=0)


@wrong("relu.forward", "absolute_value")
def root_of_square(x):
    return np.sqrt(x * x)


@wrong("relu.forward", "leaks")
def leaky(x):
    return np.maximum(x, x / 100)


@wrong("relu.forward", "cut_at_six")
def for_phones(x):
    return np.minimum(np.maximum(x, 0.0), 6.0)


# ---------------------------------------------------------------------------------------- tanh
@right("tanh.backward")
def in_two_factors(dy, cache):
    y = cache[0]
    return dy * (1 - y) * (1 + y)


@right("tanh.backward")
def minus_a_part(dy, cache):
    y, = cache
    dx = np.array(dy)
    dx -= dy * y**2
    return dx


@right("tanh.backward")
def in_a_loop(dy, cache):
    dx = np.zeros_like(dy)
    for i, y in np.ndenumerate(cache[0]):
        dx[i] = dy[i] * (1.0 - y * y)
    return np.asfortranarray(dx)


@wrong("tanh.backward", "tanh_of_the_answer")
def hyperbolic_secant(dy, cache):
    return dy / np.cosh(cache[0]) ** 2


@wrong("tanh.backward", "logistic_derivative")
def as_the_logistic_function(dy, cache):
    y, = cache
    return dy * (y - np.square(y))


@wrong("tanh.backward", "brackets_missing")
def operator_precedence(dy, cache):
    return dy * 1 - np.power(cache[0], 2)


@wrong("tanh.backward", "square_forgotten", "twice")
def twice_and_no_square(dy, cache):
    y = cache[0]
    return 2 * dy - 2 * dy * y


@wrong("tanh.backward", "dy_forgotten")
def slope_of_tanh(dy, cache):
    return np.array([(1 - v) * (1 + v) for v in cache[0].ravel()]).reshape(dy.shape)


@right("tanh.forward")
def from_expm1(x):
    e = np.expm1(-2 * np.abs(x))
    return -np.sign(x) * e / (2 + e)


@right("tanh.forward")
def stretched_logistic(x):
    return 2 / (1 + np.exp(-2 * x)) - 1, None


@right("tanh.forward")
def with_math(x):
    return np.array([math.tanh(v) for v in x.flat]).reshape(x.shape)


@wrong("tanh.forward", "overflows")
def definition(x):
    return np.sinh(x) / np.cosh(x)


@wrong("tanh.forward", "half_the_argument")
def exponents_not_doubled(x):
    return 2 / (1 + np.exp(-x)) - 1


@wrong("tanh.forward", "hyperbolic_sine")
def numerator_alone(x):
    return np.sinh(x)


@wrong("tanh.forward", "logistic_not_shifted")
def logistic_of_twice(x):
    return 0.5 * (1 + np.tanh(x))


# ---------------------------------------------------------------------------------------- silu
@right("silu.backward")
def by_the_answer(dy, cache):
    x, s = cache
    y = x * s
    return dy * (y + s * (1 - y))


@right("silu.backward")
def product_rule_in_a_loop(dy, cache):
    x, s = cache
    return np.array([d * b + d * a * b * (1 - b) for d, a, b in zip(dy.ravel(), x.ravel(), s.ravel())]).reshape(dy.shape)


@right("silu.backward")
def logistic_anew(dy, cache):
    x = cache[0]
    s = 0.5 * (1 + np.tanh(x / 2))
    return np.asfortranarray(s * dy + x * dy / (4 * np.cosh(x / 2) ** 2))


@wrong("silu.backward", "second_term_missing")
def factor_held_constant(dy, cache):
    return np.prod([dy, cache[1]], axis=0)


@wrong("silu.backward", "logistic_derivative")
def without_the_product(dy, cache):
    s = cache[1]
    return dy * s - dy * s**2


@wrong("silu.backward", "derivative_of_y")
def y_for_s(dy, cache):
    x, s = cache
    y = x * s
    return dy * (s + y * (1 - y))


@wrong("silu.backward", "brackets_missing")
def dy_on_the_first_term(dy, cache):
    x, s = cache
    return s * dy + (x * s - x * s**2)


@wrong("silu.backward", "second_term_sign", "dy_forgotten")
def minus_and_no_dy(dy, cache):
    x, s = cache
    return s * (1 - x + x * s)


@wrong("silu.backward", "x_forgotten")
def two_less_s(dy, cache):
    return dy * cache[1] * (2 - cache[1])


@right("silu.forward")
def by_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.5 * x))


@right("silu.forward")
def two_cases(x):
    y = np.empty_like(x)
    up = x >= 0
    y[up] = x[up] / (1 + np.exp(-x[up]))
    e = np.exp(x[~up])
    y[~up] = x[~up] * e / (1 + e)
    return y, None


@right("silu.forward")
def math_exp(x):
    return np.array([v / (1 + math.exp(-v)) if v > -700 else 0.0 for v in x.ravel().tolist()]).reshape(x.shape)


@wrong("silu.forward", "overflows")
def exponentials_in_both(x):
    e = np.exp(x)
    return e / (e + 1) * x


@wrong("silu.forward", "exponent_sign")
def falls(x):
    return 0.5 * x * (1 - np.tanh(x / 2))


@wrong("silu.forward", "logistic_alone")
def forgot_the_product(x):
    return np.reciprocal(1 + np.exp(-x))


@wrong("silu.forward", "tanh_for_logistic")
def other_s(x):
    return np.multiply(x, np.tanh(x))

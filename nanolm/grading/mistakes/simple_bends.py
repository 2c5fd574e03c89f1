"""Wrong answers to the exercises on ReLU, tanh and SiLU: functions of one number each, so most are one line."""
import numpy as np

from nanolm.grading.exercise import ways, written

def relu_backward(dy, cache, passes="y > 0", upstream="dy", sign=1, elsewhere=0.0):
    """relu.backward, with the switches of its mistakes."""
    (y,) = cache
    mask = {"y > 0": y > 0, "everywhere": y >= 0, "y <= 0": y <= 0, "y > 1": y > 1, "y up to 1": (y > 0) & (y <= 1),
            "whole rows": np.broadcast_to((y > 0).any(axis=-1, keepdims=True), y.shape)}[passes]
    d = {"dy": dy, "ones": np.ones_like(dy), "times y": dy * y, "positive": np.maximum(dy, 0)}[upstream]
    return sign * np.where(mask, d, elsewhere * d)                          # (U2)


RELU_BACKWARD = ways(
    relu_backward,
    passes_everything=("dy passes everywhere. Where x is not positive, y stays 0 whatever x does: dx is 0 there, (U2). y is "
                       "never negative, so that y >= 0 and `not y < 0` are true everywhere: take y > 0.",
                       {"passes": "everywhere"}),
    mask_of_dy=("dy is cut where dy is negative. What counts is where x was positive, that is where y > 0, (U2).",
                {"passes": "everywhere", "upstream": "positive"}),
    mask_of_both=("dy is cut where x was not positive, which is right, and where dy is negative, which is not: a negative "
                  "gradient passes too, (U2).", {"upstream": "positive"}),
    dy_forgotten=("dy is forgotten: it is the derivative of ReLU alone, 1 or 0. The chain rule multiplies it by dy, (U2).",
                  {"upstream": "ones"}),
    times_y=("dy is multiplied by y. The derivative of ReLU is 1 where x is positive, not y: (U2).", {"upstream": "times y"}),
    negative_side=("dy passes where x was not positive, and is cut where it was: the wrong way round, (U2).",
                   {"passes": "y <= 0"}),
    sign=("The sign is wrong: where x is positive, y = x, and dx = dy, (U2).", {"sign": -1}),
    leaks=("A hundredth of dy passes where x was not positive: that is leaky ReLU. ReLU has 0 there, (U2).", {"elsewhere": 0.01}),
    half_elsewhere=("Half of dy passes where y is 0. Not only x = 0 gives y = 0, every negative x does, and there dx is 0, (U2).",
                    {"elsewhere": 0.5}),
    above_one=("dy passes only where y is above 1. Every positive y counts, y > 0, (U2).", {"passes": "y > 1"}),
    only_below_one=("dy is cut where y is above 1. ReLU has no upper end: dy passes wherever y > 0, (U2).",
                    {"passes": "y up to 1"}),
    whole_rows=("dy passes in whole rows, where anything of the row is positive. Each number has a corner of its own, (U2).",
                {"passes": "whole rows"}),
) + written(
    ones_elsewhere=("Where x was not positive dx is 1. It is 0 there, (U2): what does np.where put in its last place?",
                    lambda dy, cache: np.where(cache[0] > 0, dy, 1.0)),
    forward_again=("It is y once more. dx is dy where y > 0, and 0 elsewhere, (U2).", lambda dy, cache: cache[0].copy()),
    zero=("It is zero everywhere. Where x was positive dy passes, (U2).", lambda dy, cache: 0 * dy),
    added=("dy and y are added. They are multiplied: dy [y > 0], (U2).", lambda dy, cache: dy + cache[0]),
    whole_numbers=("dx is cut to whole numbers: .astype(int) belongs to the mask, if anywhere, and not to dy.",
                   lambda dy, cache: np.trunc(dy) * (cache[0] > 0)),
)

RELU_FORWARD = written(
    smaller_of_both=("It is the smaller of x and 0: ReLU passes on what is positive, np.maximum(x, 0), (U1).",
                     lambda x: np.minimum(x, 0)),
    absolute_value=("It is |x|: a negative x gives 0, (U1).", lambda x: np.abs(x)),
    mask_alone=("It is 1 where x is positive and 0 elsewhere. There y is x itself, (U1).", lambda x: (x > 0) * 1.0),
    leaks=("A hundredth of x passes where x is negative: that is leaky ReLU. ReLU has 0 there, (U1).",
           lambda x: np.where(x > 0, x, 0.01 * x)),
    largest_along_an_axis=("np.max(x, 0) is the largest along axis 0. np.maximum(x, 0) compares every number with 0, (U1).",
                           lambda x: np.max(x, 0)),
    largest_of_everything=("It is the largest number of x. np.maximum(x, 0) compares every number with 0, (U1).",
                           lambda x: max(x.max(), 0.0)),
    cut_at_one=("Large numbers are cut at 1: ReLU has no upper end, (U1).", lambda x: np.clip(x, 0, 1)),
    cut_at_six=("Large numbers are cut at 6: that is ReLU6. ReLU has no upper end, (U1).", lambda x: np.clip(x, 0, 6)),
    nothing_below_one=("Numbers below 1 become 1: the corner is at 0, np.maximum(x, 0), (U1).", lambda x: np.maximum(x, 1)),
    sign=("The sign is turned: y = x where x is positive, (U1).", lambda x: -np.maximum(x, 0)),
    square=("It is the square of ReLU: y = x where x is positive, (U1).", lambda x: np.maximum(x, 0)**2),
    softplus=("It is softplus, ln(1 + exp(x)), a smooth curve near ReLU. (U1) has a corner: max(x, 0).",
              lambda x: np.logaddexp(0, x)),
    elu=("It is ELU, exp(x) - 1 where x is negative. ReLU has 0 there, (U1).",
         lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    unchanged=("It is x as it came: negative numbers become 0, (U1).", lambda x: x.copy()),
    negative_one=("Where x is negative y is -1. It is 0 there, (U1).", lambda x: np.where(x > 0, x, -1.0)),
)


def tanh_backward(dy, cache, power=2, sign="minus", value="y", upstream="dy", brackets="whole", turned="no"):
    """tanh.backward, with the switches of its mistakes."""
    (y,) = cache
    y = {"y": y, "tanh of y": np.tanh(y), "dy": dy}[value]
    square = {1: y, 2: y * y, 3: y * y * y}[power]
    slope = {"minus": 1 - square, "plus": 1 + square, "reversed": square - 1, "root": np.sqrt(1 - square),
             "logistic": y * (1 - y), "square outside": (1 - y)**2, "one forgotten": -square, "square alone": square}[sign]
    slope = {"no": slope, "over": 1 / np.where(slope == 0, 1, slope), "half": slope / 2, "twice": 2 * slope,
             "squared": slope * slope}[turned]
    d = {"dy": dy, "ones": np.ones_like(dy)}[upstream]
    return d - square if brackets == "missing" else d * slope               # (T2)


TANH_BACKWARD = ways(
    tanh_backward,
    tanh_of_the_answer=("tanh is taken of what the cache holds, but that is y already: dy (1 - y^2), (T2). It is the same with "
                        "1 / cosh(y)^2.", {"value": "tanh of y"}),
    square_forgotten=("The square is forgotten: 1 - y stands where (T2) has 1 - y^2.", {"power": 1}),
    cube_for_square=("y has the power 3 where (T2) has 1 - y^2.", {"power": 3}),
    logistic_derivative=("y (1 - y) is the derivative of the logistic function. That of tanh is 1 - y^2, (T2).",
                         {"sign": "logistic"}),
    plus_for_minus=("1 + y^2 stands where (T2) has 1 - y^2. tanh is flat where y is near 1 or -1.", {"sign": "plus"}),
    sign=("The sign is wrong: y^2 - 1 stands where (T2) has 1 - y^2. tanh rises everywhere.", {"sign": "reversed"}),
    one_minus_y_squared=("The square is outside: (1 - y)^2 is not 1 - y^2, (T2).", {"sign": "square outside"}),
    one_forgotten=("The 1 is forgotten: -y^2 stands where (T2) has 1 - y^2.", {"sign": "one forgotten"}),
    square_alone=("dy is multiplied by y^2, where (T2) has 1 - y^2.", {"sign": "square alone"}),
    root=("A root is taken: sqrt(1 - y^2) is cosine from sine. (T2) has 1 - y^2.", {"sign": "root"}),
    brackets_missing=("The brackets are missing: dy * 1 - y^2 is dy - y^2. (T2) is dy (1 - y^2).", {"brackets": "missing"}),
    divided=("dy is divided by 1 - y^2. The chain rule multiplies, (T2).", {"turned": "over"}),
    half=("It has half its size: (T2) is dy (1 - y^2), without a 1/2.", {"turned": "half"}),
    twice=("It is twice too large: (T2) is dy (1 - y^2), without a 2.", {"turned": "twice"}),
    slope_squared=("1 - y^2 is squared, or multiplied in twice: (T2) has it once.", {"turned": "squared"}),
    dy_forgotten=("dy is forgotten: it is the derivative of tanh alone. The chain rule multiplies it by dy, (T2).",
                  {"upstream": "ones"}),
    dy_for_y=("dy stands in the square where y belongs: (T2) is dy (1 - y^2).", {"value": "dy"}),
) + written(
    times_y=("dy is multiplied by y. What multiplies it is the derivative of y by x, 1 - y^2, (T2).",
             lambda dy, cache: dy * cache[0]),
    upstream_returned=("dy is returned as it came: tanh bends, and where it is flat little passes, (T2).",
                       lambda dy, cache: dy.copy()),
    relu_derivative=("It is ReLU's derivative, dy where y > 0. That of tanh is 1 - y^2, (T2).",
                     lambda dy, cache: dy * (cache[0] > 0)),
)


def difference_over_sum(x, above="-", below="+"):
    """(e^x - e^-x) / (e^x + e^-x), and its mistakes."""
    e, f = np.exp(x), np.exp(-x)
    over = e - f if above == "-" else e + f
    return over / {"+": e + f, "-": e - f, "2": 2.0, "1": 1.0}[below]


TANH_FORWARD = ways(
    difference_over_sum,
    overflows=("e^x overflows above 709, and inf / inf is NaN: far out tanh is 1 or -1. np.tanh knows; or divide top and bottom "
               "by the larger of the two powers.", {}),
    upside_down=("It is 1 / tanh: top and bottom of (T1) are exchanged.", {"above": "+", "below": "-"}),
    hyperbolic_sine=("It is the hyperbolic sine, (e^x - e^-x) / 2. tanh divides by e^x + e^-x, (T1).", {"below": "2"}),
    hyperbolic_cosine=("It is the hyperbolic cosine, (e^x + e^-x) / 2. tanh is (e^x - e^-x) / (e^x + e^-x), (T1).",
                       {"above": "+", "below": "2"}),
    division_forgotten=("It is e^x - e^-x alone. (T1) divides it by e^x + e^-x, which keeps it between -1 and 1.",
                        {"below": "1"}),
) + written(
    logistic_function=("It is the logistic function, between 0 and 1. tanh lies between -1 and 1, (T1): tanh x = 2 s(2 x) - 1.",
                       lambda x: 1 / (1 + np.exp(-x))),
    half_the_argument=("It is tanh(x / 2): (1 - e^-x) / (1 + e^-x) needs e^(-2x) in both places, (T1).",
                       lambda x: np.tanh(x / 2)),
    twice_the_argument=("It is tanh(2 x): (T1) has e^x and e^-x.", lambda x: np.tanh(2 * x)),
    logistic_not_shifted=("It is the logistic function of 2 x: tanh x = 2 s(2 x) - 1 stretches and lowers it.",
                          lambda x: 1 / (1 + np.exp(-2 * x))),
    tangent=("It is the tangent of an angle. The hyperbolic one is np.tanh, (T1).", lambda x: np.tan(x)),
    arc_tangent=("It is the arc tangent, between -1.57 and 1.57. The hyperbolic tangent is np.tanh, (T1).",
                 lambda x: np.arctan(x)),
    sign=("The sign is turned: tanh rises, and has the sign of x, (T1).", lambda x: -np.tanh(x)),
    cut_straight_line=("It is x cut at -1 and 1. tanh bends smoothly, (T1).", lambda x: np.clip(x, -1, 1)),
    derivative=("It is the derivative of tanh, 1 - tanh^2 x. forward returns tanh x, (T1).", lambda x: 1 - np.tanh(x)**2),
    softsign=("It is x / (1 + |x|), a cheaper bend. tanh is (e^x - e^-x) / (e^x + e^-x), (T1).", lambda x: x / (1 + np.abs(x))),
)


def silu_backward(dy, cache, first="s", second="x s (1 - s)", sign=1, upstream="dy", logistic="cached"):
    """silu.backward, with the switches of its mistakes."""
    x, s = cache
    if logistic == "again":
        s = 1 / (1 + np.exp(-s))
    one = {"s": s, "none": 0.0, "1": 1.0, "y": x * s}[first]
    two = {"x s (1 - s)": x * s * (1 - s), "none": 0.0, "s (1 - s)": s * (1 - s), "x (1 - s)": x * (1 - s), "x s": x * s,
           "x s (1 - x)": x * s * (1 - x), "x (1 - s^2)": x * (1 - s * s), "x s^2": x * s * s,
           "y (1 - y)": x * s * (1 - x * s), "x s (1 + s)": x * s * (1 + s), "x^2 s (1 - s)": x * x * s * (1 - s)}[second]
    return {"dy": dy, "ones": np.ones_like(dy)}[upstream] * (one + sign * two)       # (Z2)


SILU_BACKWARD = ways(
    silu_backward,
    second_term_missing=("It is dy s alone. y = x s is a product and x is in both factors: the product rule's second term, x s "
                         "(1 - s), is missing, (Z2).", {"second": "none"}),
    first_term_missing=("It is dy x s (1 - s) alone: the product rule's first term, s, is missing, (Z2).", {"first": "none"}),
    logistic_derivative=("It is the derivative of the logistic function, s (1 - s). y is x times it: (Z2) is s + x s (1 - s).",
                         {"first": "none", "second": "s (1 - s)"}),
    second_term_sign=("The second term has the wrong sign: the product rule adds, s + x s (1 - s), (Z2).", {"sign": -1}),
    x_forgotten=("The x in the second term is forgotten: y = x s gives s + x ds/dx, with ds/dx = s (1 - s), (Z2).",
                 {"second": "s (1 - s)"}),
    s_forgotten_in_second_term=("In the second term x (1 - s) stands where (Z2) has x s (1 - s).", {"second": "x (1 - s)"}),
    one_minus_s_forgotten=("The factor 1 - s is forgotten: ds/dx = s (1 - s), so the second term is x s (1 - s), (Z2).",
                           {"second": "x s"}),
    one_minus_x=("1 - x stands where (Z2) has 1 - s.", {"second": "x s (1 - x)"}),
    tanh_derivative=("ds/dx is taken as 1 - s^2, which belongs to tanh. The logistic function has s (1 - s), (Z2).",
                     {"second": "x (1 - s^2)"}),
    square_for_product=("ds/dx is taken as s^2. The logistic function has s (1 - s), (Z2).", {"second": "x s^2"}),
    derivative_of_y=("The second term is y (1 - y). 1 - s belongs there, not 1 - y: y (1 - s), (Z2). With 1 - y on the other "
                     "term, y + s (1 - y), it would be right too.", {"second": "y (1 - y)"}),
    plus_for_minus=("ds/dx is taken as s (1 + s). The logistic function has s (1 - s), (Z2).", {"second": "x s (1 + s)"}),
    x_squared=("The second term has x^2: (Z2) is s + x s (1 - s).", {"second": "x^2 s (1 - s)"}),
    first_term_one=("The first term is 1 where (Z2) has s: the derivative of x is 1, and s stays beside it.", {"first": "1"}),
    first_term_y=("The first term is y where (Z2) has s: the derivative of x is 1, which leaves s.", {"first": "y"}),
    logistic_again=("The logistic function is applied to what the cache holds, but that is s already.", {"logistic": "again"}),
    dy_forgotten=("dy is forgotten: it is the derivative of SiLU alone. The chain rule multiplies it by dy, (Z2).",
                  {"upstream": "ones"}),
) + written(
    forward_again=("It is dy times y. What multiplies dy is the derivative of y by x, s + x s (1 - s), (Z2).",
                   lambda dy, cache: dy * cache[0] * cache[1]),
    relu_derivative=("It is ReLU's derivative, dy where x > 0. SiLU is bent smoothly, (Z2).",
                     lambda dy, cache: dy * (cache[0] > 0)),
    brackets_missing=("Brackets are missing: dy * s + x * s * (1 - s) multiplies only the first term by dy. (Z2) is dy (s + x s "
                      "(1 - s)).",
                      lambda dy, cache: dy * cache[1] + cache[0] * cache[1] * (1 - cache[1])),
)

SILU_FORWARD = written(
    logistic_alone=("It is the logistic function s alone, between 0 and 1. SiLU is x times it: y = x s, (Z1).",
                    lambda x: 1 / (1 + np.exp(-x))),
    exponent_sign=("The exponent has the wrong sign: s = 1 / (1 + exp(-x)), (Z1), so that a large x passes.",
                   lambda x: x / (1 + np.exp(x))),
    overflows=("exp(x) / (1 + exp(x)) is inf / inf, NaN, where x is above 709. Divide top and bottom by exp(x): 1 / (1 + "
               "exp(-x)), (Z1).",
               lambda x: x * (np.exp(x) / (1 + np.exp(x)))),
    minus_for_plus=("1 - exp(-x) stands where (Z1) has 1 + exp(-x).", lambda x: x / (1 - np.exp(-x))),
    one_forgotten=("The 1 is forgotten: 1 / exp(-x) stands where (Z1) has 1 / (1 + exp(-x)).", lambda x: x * np.exp(x)),
    tanh_for_logistic=("x is multiplied by tanh x: (Z1) has the logistic function, 1 / (1 + exp(-x)).", lambda x: x * np.tanh(x)),
    added=("x and s are added: SiLU is their product, y = x s, (Z1).", lambda x: x + 1 / (1 + np.exp(-x))),
    relu=("It is ReLU. SiLU is bent smoothly around 0, (Z1).", lambda x: np.maximum(x, 0)),
    gelu=("It is x s(1.702 x), which is near to GELU. SiLU has s(x), (Z1).", lambda x: x / (1 + np.exp(-1.702 * x))),
    hard_swish=("It is hard swish, a SiLU made of straight pieces. (Z1) is smooth: x / (1 + exp(-x)).",
                lambda x: x * np.clip(x + 3, 0, 6) / 6),
    softplus=("It is softplus, ln(1 + exp(x)). SiLU is x / (1 + exp(-x)), (Z1).", lambda x: np.logaddexp(0, x)),
    logistic_twice=("The logistic function is applied twice: y = x s(x), (Z1).",
                    lambda x: x / (1 + np.exp(-1 / (1 + np.exp(-x))))),
    x_squared=("x is multiplied in twice: y = x s, (Z1).", lambda x: x * x / (1 + np.exp(-x))),
    logistic_of_y=("It is s(x s(x)), the logistic function of the answer: y = x s(x), (Z1).",
                   lambda x: 1 / (1 + np.exp(-x / (1 + np.exp(-x))))),
    sign=("The sign is turned: y = x s, (Z1).", lambda x: -x / (1 + np.exp(-x))),
)

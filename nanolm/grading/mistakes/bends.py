"""Wrong answers to the exercises on GELU, in both its forms; the other bends are in simple_bends.py."""
import math

import numpy as np

from nanolm.grading.exercise import ways, written
from nanolm.layers import erf, gelu

K, A = gelu.K, gelu.A


def other(form):
    return "erf" if form == "tanh" else "tanh"


def gelu_backward(dy, cache, form="as forward", first="share", second="yes", x_in_second="x", tanh="1 - tanh^2", inner="whole",
                  cube="3 a x^2", k=K, a=A, phi="normal", upstream="dy", slope="as forward"):
    """gelu.backward. Each argument is a place where people go wrong; the values given here are the right ones."""
    x, given, share = cache
    if form != "as forward":
        given = {"tanh": "tanh", "erf": "erf", "exchanged": other(given)}[form]
        share = gelu.forward(x, given)[1][2]
    if slope != "as forward":                               # one slope for both forms, beside the share of the cache
        given = "erf" if slope == "erf" else "tanh"
    if given == "tanh":
        t = np.tanh(K * (x + A * x**3)) if slope == "tanh anew" else 2 * share - 1
        du = {"whole": k * (1 + {"3 a x^2": 3 * a * x * x, "2 a x^2": 2 * a * x * x, "a x^2": a * x * x, "3 a x": 3 * a * x,
                                 "3 x^2": 3 * x * x, "none": 0 * x}[cube]), "forgotten": 1.0,
              "not multiplied out": k + 3 * a * x * x, "one forgotten": k * 3 * a * x * x}[inner]
        dshare = {"1 - tanh^2": (1 - t * t) / 2, "1 - tanh": (1 - t) / 2, "no half": 1 - t * t, "share": (1 - share * share) / 2,
                  "share (1 - share)": share * (1 - share), "plus": (1 + t * t) / 2}[tanh] * du
    else:
        dshare = {"normal": np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi), "no root": np.exp(-0.5 * x * x),
                  "no half": np.exp(-x * x) / math.sqrt(2 * math.pi), "erf": np.exp(-x * x) / math.sqrt(math.pi),
                  "inner forgotten": np.exp(-0.5 * x * x) / math.sqrt(math.pi),
                  "outer forgotten": 2 * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
                  "2 pi outside": np.exp(-0.5 * x * x) / (2 * math.pi), "sign": np.exp(0.5 * x * x) / math.sqrt(2 * math.pi)}[phi]
    one = {"share": share, "none": 0.0, "y": x * share}[first]
    two = {"yes": 1, "no": 0, "subtracted": -1}[second] * {"x": x, "forgotten": 1.0}[x_in_second] * dshare
    if upstream.startswith("first"):                        # dy multiplies the first term alone, in one form or both
        return dy * one + (two if upstream in ("first", f"first, {given}") else dy * two)
    return {"dy": dy, "ones": 1.0}[upstream] * (one + two)                  # (G3) and (G4)


GELU_BACKWARD = ways(
    gelu_backward,
    second_term_missing=("It is dy y/x alone. y = x share is a product and x is in both factors: the product rule's second term, "
                         "x times the derivative of share, is missing, (G3) and (G4).", {"second": "no"}),
    first_term_missing=("Only x times the derivative of share is there. The product rule's first term, share itself, is missing, "
                        "(G3) and (G4).", {"first": "none"}),
    second_term_sign=("The second term has the wrong sign: the product rule adds, share + x dshare, (G3) and (G4).",
                      {"second": "subtracted"}),
    x_forgotten=("The x before share's derivative is forgotten: y = x share, so dy/dx = share + x dshare, (G3) and (G4).",
                 {"x_in_second": "forgotten"}),
    first_term_y=("y stands in the first term where share belongs. In y = x share the derivative of x is 1, which leaves share, "
                  "(G3) and (G4).", {"first": "y"}),
    inner_derivative_forgotten=("In the tanh form the inner derivative is forgotten: tanh u has u = k (x + a x^3) in it, and "
                                "du/dx = k (1 + 3 a x^2) multiplies 1 - tanh^2 u, (G4).", {"inner": "forgotten"}),
    cube_two=("In the tanh form the cube is differentiated to 2 x^2: the derivative of x^3 is 3 x^2, (G4).", {"cube": "2 a x^2"}),
    cube_three_forgotten=("In the tanh form the 3 is forgotten: the derivative of a x^3 is 3 a x^2, (G4).", {"cube": "a x^2"}),
    cube_power=("In the tanh form the derivative of a x^3 is taken as 3 a x. One power less than x^3 is x^2, (G4).",
                {"cube": "3 a x"}),
    a_forgotten=("In the tanh form a = 0.044715 is forgotten in du/dx = k (1 + 3 a x^2), (G4).", {"cube": "3 x^2"}),
    cubic_term_forgotten=("In the tanh form du/dx is k alone. u = k (x + a x^3) has a cube in it: k (1 + 3 a x^2), (G4).",
                          {"cube": "none"}),
    k_not_multiplied_out=("In the tanh form k multiplies only the 1: du/dx = k (1 + 3 a x^2) needs its brackets, (G4).",
                          {"inner": "not multiplied out"}),
    one_forgotten=("In the tanh form the 1 is forgotten in du/dx = k (1 + 3 a x^2): u = k (x + a x^3) begins with x itself, "
                   "(G4).",
                   {"inner": "one forgotten"}),
    k_forgotten=("In the tanh form k = sqrt(2 / pi) is forgotten in du/dx = k (1 + 3 a x^2), (G4).", {"k": 1.0}),
    k_without_root=("In the tanh form k is 2 / pi: it is the root of that, math.sqrt(2 / math.pi), (G2).", {"k": 2 / math.pi}),
    a_misplaced_point=("In the tanh form a is 0.44715: it is 0.044715, (G2).", {"a": 0.44715}),
    a_digits=("In the tanh form a is 0.0447: all digits count, 0.044715, (G2).", {"a": 0.0447}),
    tanh_not_squared=("In the tanh form 1 - tanh u stands where (G4) has 1 - tanh^2 u.", {"tanh": "1 - tanh"}),
    half_of_second_term_forgotten=("In the tanh form the second term is twice too large: (G4) has x / 2 before 1 - tanh^2 u, "
                                   "because share is (1 + tanh u) / 2.", {"tanh": "no half"}),
    half_of_second_term_twice=("In the tanh form the second term has half its size. Its factor is (1 - tanh^2 u) / 2, and with "
                               "share = (1 + tanh u) / 2 that is 2 share (1 - share), (G4): is share (1 - share) taken, as for a "
                               "logistic function, or the 1/2 twice?", {"tanh": "share (1 - share)"}),
    share_for_tanh=("In the tanh form 1 - share^2 stands where (G4) has 1 - tanh^2 u. The cache holds share = (1 + tanh u) / 2, "
                    "so tanh u = 2 share - 1.", {"tanh": "share"}),
    tanh_plus_for_minus=("In the tanh form 1 + tanh^2 u stands where (G4) has 1 - tanh^2 u.", {"tanh": "plus"}),
    root_of_two_pi_forgotten=("In the erf form phi(x) = exp(-x^2 / 2) / sqrt(2 pi) lacks its sqrt(2 pi), (G3).",
                              {"phi": "no root"}),
    two_pi_without_root=("In the erf form exp(-x^2 / 2) is divided by 2 pi. phi(x) divides it by the root, sqrt(2 pi), (G3).",
                         {"phi": "2 pi outside"}),
    half_in_exponent_forgotten=("In the erf form the exponent is -x^2: phi(x) = exp(-x^2 / 2) / sqrt(2 pi), (G3).",
                                {"phi": "no half"}),
    erf_of_x=("In the erf form it is the derivative of erf(x) / 2, exp(-x^2) / sqrt(pi). There it is erf(x / sqrt 2): its "
              "derivative is phi(x) = exp(-x^2 / 2) / sqrt(2 pi), (G3).", {"phi": "erf"}),
    erf_inner_derivative_forgotten=("In the erf form phi is too large by sqrt 2: erf(x / sqrt 2) has the inner derivative 1 / "
                                    "sqrt 2, (G3).",
                                    {"phi": "inner forgotten"}),
    erf_half_forgotten=("In the erf form phi is twice too large: Phi(x) = (1 + erf(x / sqrt 2)) / 2, and that 1/2 stays, (G3).",
                        {"phi": "outer forgotten"}),
    exponent_sign=("In the erf form the exponent has lost its minus: phi(x) = exp(-x^2 / 2) / sqrt(2 pi), (G3).",
                   {"phi": "sign"}),
    always_tanh_form=("It is always the tanh form. The cache says which form forward used; they differ by less than a "
                      "thousandth, but they are not the same function: (G3) for erf.", {"form": "tanh"}),
    always_erf_form=("It is always the erf form. The cache says which form forward used; they differ by less than a thousandth, "
                     "but they are not the same function: (G4) for tanh.", {"form": "erf"}),
    forms_exchanged=("The two forms are exchanged: (G3) belongs to form \"erf\", (G4) to form \"tanh\".", {"form": "exchanged"}),
    tanh_slope_always=("The derivative of share is always that of the tanh form. The cache says which form forward used: in the "
                       "erf form it is phi(x) = exp(-x^2 / 2) / sqrt(2 pi), (G3).", {"slope": "tanh"}),
    tanh_slope_anew=("The derivative of share is always that of the tanh form, with tanh u computed anew. The cache says which "
                     "form forward used: in the erf form it is phi(x) = exp(-x^2 / 2) / sqrt(2 pi), (G3).",
                     {"slope": "tanh anew"}),
    erf_slope_always=("The derivative of share is always phi(x), that of the erf form. The cache says which form forward used: "
                      "in the tanh form it is (1 - tanh^2 u) / 2 times k (1 + 3 a x^2), (G4).", {"slope": "erf"}),
    dy_forgotten_in_second_term=("dy multiplies the first term alone: dy * share + x * dshare. The chain rule multiplies all of "
                                 "dy/dx, both terms of (G3) and (G4): dy * (share + x * dshare). Is a pair of brackets missing?",
                                 {"upstream": "first"}),
    dy_forgotten_in_tanh_form=("In the tanh form dy multiplies the first term alone. The chain rule multiplies both terms of "
                               "(G4): dy * (share + x * dshare). Is a pair of brackets missing?", {"upstream": "first, tanh"}),
    dy_forgotten_in_erf_form=("In the erf form dy multiplies the first term alone. The chain rule multiplies both terms of (G3): "
                              "dy * (Phi + x phi). Is a pair of brackets missing?", {"upstream": "first, erf"}),
    dy_forgotten=("dy is forgotten: it is the derivative of GELU alone. The chain rule multiplies it by dy.",
                  {"upstream": "ones"}),
) + written(
    relu_derivative=("It is ReLU's derivative, dy where x > 0. GELU is bent smoothly: (G3) and (G4).",
                     lambda dy, cache: dy * (cache[0] > 0)),
    sigmoid_form=("It is the derivative of x s(1.702 x), a third and coarser form of GELU with the logistic function s. nanolm's "
                  "are (G1) and (G2).", lambda dy, cache: dy * (lambda x, s: s + 1.702 * x * s * (1 - s))(
                      cache[0], 1 / (1 + np.exp(-1.702 * cache[0])))),
    forward_again=("It is dy times y. What multiplies dy is the derivative of y by x, share + x dshare, (G3) and (G4).",
                   lambda dy, cache: dy * cache[0] * cache[2]),
)


def gelu_forward(x, form="tanh", used="as asked", half="yes", one="yes", outside="x", power=3, k=K, a=A, inner="whole",
                 scale="root 2"):
    """gelu.forward, with the switches of its mistakes."""
    form = {"as asked": form, "tanh": "tanh", "erf": "erf", "exchanged": other(form)}[used]
    if form == "tanh":
        bent = np.tanh({"whole": k * (x + a * x**power), "not multiplied out": k * x + a * x**power,
                        "a outside": k * a * (x + x**power), "cube alone": k * a * x**power}[inner])
    else:
        bent = 1 - erf.erfc(x / {"root 2": math.sqrt(2), "forgotten": 1.0, "2": 2.0, "times": 1 / math.sqrt(2)}[scale])
    share = {"yes": 0.5, "no": 1.0}[half] * ({"yes": 1, "no": 0, "minus": -1}[one] + bent)
    return {"x": x, "forgotten": 1.0}[outside] * share                      # (G1) and (G2)


GELU_FORWARD = ways(
    gelu_forward,
    always_tanh_form=("It is always the tanh form. The argument form says which is asked for: (G1) for \"erf\".",
                      {"used": "tanh"}),
    always_erf_form=("It is always the erf form. The argument form says which is asked for: (G2) for \"tanh\".", {"used": "erf"}),
    forms_exchanged=("The two forms are exchanged: (G1) belongs to form \"erf\", (G2) to form \"tanh\".", {"used": "exchanged"}),
    half_forgotten=("The 1/2 is forgotten: tanh and erf lie between -1 and 1, and (1 + ...) / 2 makes a share between 0 and 1 of "
                    "them, (G1) and (G2).", {"half": "no"}),
    one_forgotten=("The 1 is forgotten: (1 + tanh u) / 2 and (1 + erf(x / sqrt 2)) / 2 are shares between 0 and 1, (G1) and "
                   "(G2).",
                   {"one": "no"}),
    one_subtracted=("The 1 is subtracted where (G1) and (G2) add it: 1 + tanh u, 1 + erf(x / sqrt 2).", {"one": "minus"}),
    x_forgotten=("It is the share alone, between 0 and 1. GELU is x times it: y = x Phi(x), (G1) and (G2).",
                 {"outside": "forgotten"}),
    square_for_cube=("In the tanh form x is squared: u = k (x + a x^3), (G2).", {"power": 2}),
    k_not_multiplied_out=("In the tanh form k multiplies only x: u = k (x + a x^3) needs its brackets, (G2).",
                          {"inner": "not multiplied out"}),
    a_before_both=("In the tanh form a multiplies x too: u = k (x + a x^3), a stands before the cube alone, (G2).",
                   {"inner": "a outside"}),
    cube_alone=("In the tanh form the x is missing in u = k (x + a x^3), (G2).", {"inner": "cube alone"}),
    cubic_term_forgotten=("In the tanh form the cube is missing: u = k (x + a x^3), (G2).", {"a": 0.0}),
    k_forgotten=("In the tanh form k = sqrt(2 / pi) is missing: u = k (x + a x^3), (G2).", {"k": 1.0}),
    k_without_root=("In the tanh form k is 2 / pi: it is the root of that, math.sqrt(2 / math.pi), (G2).", {"k": 2 / math.pi}),
    k_upside_down=("In the tanh form k is sqrt(pi / 2): it is sqrt(2 / pi), (G2).", {"k": math.sqrt(math.pi / 2)}),
    a_misplaced_point=("In the tanh form a is 0.44715: it is 0.044715, (G2).", {"a": 0.44715}),
    a_digits=("In the tanh form a is 0.0447: all digits count, 0.044715, (G2).", {"a": 0.0447}),
    erf_of_x=("In the erf form it is erf(x): Phi(x) has erf(x / sqrt 2), (G1).", {"scale": "forgotten"}),
    erf_of_half_x=("In the erf form x is divided by 2: Phi(x) has erf(x / sqrt 2), math.sqrt(2), (G1).", {"scale": "2"}),
    erf_of_x_times_root=("In the erf form x is multiplied by sqrt 2: Phi(x) has erf(x / sqrt 2), (G1).", {"scale": "times"}),
) + written(
    sigmoid_form=("It is x s(1.702 x), a third and coarser form of GELU with the logistic function s. nanolm's are (G1) and "
                  "(G2).",
                  lambda x, form="tanh": x / (1 + np.exp(-1.702 * x))),
    silu=("It is SiLU, x times the logistic function of x. GELU has the normal distribution in its place: (G1) and (G2).",
          lambda x, form="tanh": x / (1 + np.exp(-x))),
    relu=("It is ReLU. GELU is bent smoothly around 0: (G1) and (G2).", lambda x, form="tanh": np.maximum(x, 0)),
    density_for_share=("x is multiplied by the density phi(x) = exp(-x^2 / 2) / sqrt(2 pi). GELU has the area below it, Phi(x), "
                       "(G1); form \"tanh\" is near to it.",
                       lambda x, form="tanh": x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
)

"""Exercises on the bends, functions of one number each: GELU in both its forms, ReLU, tanh and SiLU."""
import numpy as np

from nanolm.grading.exercise import Term
from nanolm.grading.exercises import build
from nanolm.grading.mistakes import bends, simple_bends
from nanolm.layers import gelu, relu, silu, tanh


def numbers(draw):
    """Return an x (..., C), now and then with numbers whose exponentials overflow.

    Nothing in between: where all of x is about -6, the derivative of GELU is so small that only its rounding would be compared.
    """
    x = draw.array(*build.axes_before(draw), draw.whole(1, 6), scale=1.5)
    return build.as_it_may_lie(draw, draw.choice(x, x, x, 900 * np.sign(x) * (1 + np.abs(x))))


def backward_of(module):
    """Return inputs(draw) for the backward of a bend that takes x alone."""
    def inputs(draw):
        x = numbers(draw)
        return build.backward_call(module, draw, x, sizes=build.token_sizes(x))
    return inputs


def forward_of(module):
    def inputs(draw):
        x = numbers(draw)
        return build.forward_call(module, x, sizes=build.token_sizes(x))
    return inputs


def gelu_backward(draw):
    x = numbers(draw)
    return build.backward_call(gelu, draw, x, form=draw.choice("tanh", "erf"), sizes=build.token_sizes(x))


def gelu_forward(draw):
    x = numbers(draw)
    return build.forward_call(gelu, x, form=draw.choice("tanh", "erf"), sizes=build.token_sizes(x))


def gelu_terms(dy, cache):
    x, form, share = cache
    return {"dx": [Term("first_term", "the product rule's first term, dy share,", dy * share),
                   Term("second_term", "the product rule's second term, dy x times the derivative of share,",
                        gelu.backward(dy, cache) - dy * share)]}


def silu_terms(dy, cache):
    x, s = cache
    return {"dx": [Term("first_term", "the product rule's first term, dy s,", dy * s),
                   Term("second_term", "the product rule's second term, dy x s (1 - s),", dy * x * s * (1 - s))]}


def tanh_terms(dy, cache):
    (y,) = cache
    return {"dx": [Term("one", "the 1 of dy (1 - y^2)", dy + 0 * y), Term("square", "the -y^2 of dy (1 - y^2)", -dy * y * y)]}


def sizes_of(shown):
    return build.token_sizes(shown["x"])


def both(module, level, minutes, notebook, backward_task, forward_task, backward_mistakes, forward_mistakes, backward_hints,
         forward_hints, terms=None, backward_inputs=None, forward_inputs=None, imports="import numpy as np"):
    """Return the two exercises on one bend."""
    return [build.backward(module, ("dx",), backward_inputs or backward_of(module), backward_task, level=level, minutes=minutes,
                           notebook=notebook, mistakes=backward_mistakes, hints=backward_hints, terms=terms,
                           cases=build.backward_cases(module, sizes_of), imports=imports),
            build.forward(module, ("y",), forward_inputs or forward_of(module), forward_task, level=1, minutes=minutes // 2,
                          notebook=notebook, mistakes=forward_mistakes, hints=forward_hints,
                          cases=build.forward_cases(module, sizes_of), imports=imports)]


def exercises(constants):
    return [
        *both(relu, 1, 10, "19_seq2seq",
              "Write the backward of ReLU, y = max(x, 0). The cache is (y,), a tuple with one thing in it: y (...), shaped like "
              "x. Return dx, shaped like dy. At x = 0, where there is a corner, take 0.",
              "Write the forward of ReLU: numbers above 0 pass as they are, all others become 0. x has any number of axes. "
              "Return y (and a cache, if you like: it is not looked at).",
              simple_bends.RELU_BACKWARD, simple_bends.RELU_FORWARD,
              ("Where x is above 0, y = x: what is dy/dx there? And where x is below 0?",
               "x is not in the cache, but y says where x was positive.",
               "Multiply dy by a mask: dy * (y > 0)."),
              ("Compare each number with 0.", "np.maximum takes two arrays, or an array and a number, and keeps the larger of "
                                              "each two.",
               "np.maximum(x, 0), which is not np.max(x, 0).")),
        *both(tanh, 1, 10, "18_bert",
              "Write the backward of tanh. The cache is (y,), a tuple with one thing in it: the answer y = tanh(x) (..., C). "
              "Return dx, shaped like x.",
              "Write the forward of tanh, (e^x - e^-x) / (e^x + e^-x), so that it is right for large numbers too. Return y (and "
              "a cache, if you like: it is not looked at).",
              simple_bends.TANH_BACKWARD, simple_bends.TANH_FORWARD,
              ("The derivative of tanh is a function of its answer alone.",
               "By the quotient rule it is 1 minus the square of the answer.",
               "dy * (1 - y * y): the cache holds y, so no tanh is taken again."),
              ("NumPy has it.", "By hand: divide top and bottom by e^x where x is positive, by e^-x where it is negative.",
               "np.tanh(x).")),
        *both(gelu, 2, 30, "02_gelu",
              "Write the backward of GELU, y = x * share. The cache is (x, form, share): x (..., C), form \"tanh\" or \"erf\", "
              "share (..., C). In the tanh form share is (1 + tanh u) / 2 with u = k (x + a x^3), k = sqrt(2 / pi), a = "
              "0.044715. In the erf form share is Phi(x) = (1 + erf(x / sqrt 2)) / 2. Return dx, shaped like x.",
              "Write the forward of GELU. form \"tanh\": y = x (1 + tanh u) / 2 with u = k (x + a x^3), k = sqrt(2 / pi), a = "
              "0.044715. form \"erf\": y = x (1 + erf(x / sqrt 2)) / 2; nanolm.layers.erf has erfc(x) = 1 - erf(x), and Python's "
              "math.erf takes one number. Return y (and a cache, if you like: it is not looked at).",
              bends.GELU_BACKWARD, bends.GELU_FORWARD,
              ("y = x * share is a product, and x is in both factors: the product rule gives dy/dx = share + x * dshare.",
               "erf form: the derivative of Phi is phi(x) = exp(-x^2 / 2) / sqrt(2 pi).",
               "tanh form: the derivative of tanh u is (1 - tanh^2 u) du/dx, with du/dx = k (1 + 3 a x^2).",
               "With share = (1 + tanh u) / 2, tanh u is 2 share - 1, and dshare = 2 share (1 - share) du/dx."),
              ("Each form is x times a share between 0 and 1.", "math.sqrt(2 / math.pi) is k; x**3 is x * x * x.",
               "tanh form: 0.5 * x * (1 + np.tanh(k * (x + 0.044715 * x**3))).",
               "erf form: 1 + erf(z) = erfc(-z), so y = 0.5 * x * erf.erfc(-x / math.sqrt(2))."),
              terms=gelu_terms, backward_inputs=gelu_backward, forward_inputs=gelu_forward,
              imports="import math\n\nimport numpy as np\n\nfrom nanolm.layers import erf"),
        *both(silu, 1, 15, "20_after_gpt2",
              "Write the backward of SiLU, y = x * s with the logistic function s = 1 / (1 + exp(-x)). The cache is (x, s), both "
              "(...). Return dx, shaped like x.",
              "Write the forward of SiLU, y = x / (1 + exp(-x)), so that no NaN comes of large numbers. Return y (and a cache, "
              "if you like: it is not looked at).",
              simple_bends.SILU_BACKWARD, simple_bends.SILU_FORWARD,
              ("y = x * s is a product, and x is in both factors.", "The derivative of the logistic function is s * (1 - s).",
               "dx = dy * (s + x * s * (1 - s))."),
              ("x times the logistic function of x.",
               "exp(-x) may become inf: 1 / (1 + inf) is 0, which is right; inf / inf is NaN.",
               "x / (1 + np.exp(-x))."), terms=silu_terms),
    ]

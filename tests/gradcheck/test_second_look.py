"""What `check` must not be fooled by, and what it must not blame: layouts, kept gradients, steep functions, odd caches."""
import collections
import dataclasses
import types

import numpy as np
import pytest

from nanolm import gradcheck
from nanolm.layers import layernorm, linear
from nanolm.models import gpt2

rng = np.random.default_rng(0)
x = rng.standard_normal((3, 4))


def check(forward, backward, *args, **options):
    return gradcheck.check(gradcheck.pair(forward, backward), *(args or (x,)), **options)


# -------------------------------------------------------------------------------- another layout
def test_a_backward_that_assumes_a_layout_is_told_so():
    report = check(lambda x: (x * x, (x,)), lambda dy, c: 2 * dy * c[0].ravel("K").reshape(c[0].shape))
    assert not report.passed and "the gradient of x is another one for the same numbers" in " ".join(str(report).split())
    report = check(lambda x: (x.ravel("K").reshape(x.shape) * 2, ()), lambda dy, c: 2 * dy)
    assert not report.passed and "y is another one for the same numbers" in " ".join(str(report).split())


def test_a_pair_that_refuses_a_layout_is_not_blamed():
    def forward(x):
        if not x.flags.c_contiguous:
            raise ValueError("x must be contiguous")
        return x * x, (x,)
    report = check(forward, lambda dy, c: 2 * dy * c[0])
    assert report.passed and any("x must be contiguous" in note for note in report.notes)


def test_a_tensor_given_in_fortran_order_is_tried_in_c_order():
    def backward(dy, cache):
        return 2 * dy * cache[0] * (1 + cache[0].flags.c_contiguous)
    assert not check(lambda x: (x * x, (x,)), backward, np.asfortranarray(x)).passed


# -------------------------------------------------------------------------------- other numbers
def test_a_gradient_that_was_kept_is_told_so():
    kept = {}

    def backward(cache):
        key = cache[5][0][0].dtype                                           # so that the float32 run does not show it
        if key not in kept:
            kept[key] = gpt2.backward(cache)
        return kept[key]
    config = gpt2.Config(9, 5, 1, 1, 4)
    p, ids = gradcheck.cases.randomised(gpt2.init(config, rng), rng), rng.integers(0, 9, (2, 5))
    report = gradcheck.check_model(gradcheck.pair(gpt2.forward, backward), p, ids, ids, config)
    assert not report.passed and "with other numbers of the same shape" in " ".join(str(report).split())
    kept.clear()


def test_numbers_that_forward_refuses_are_not_held_against_it():
    def forward(p):
        if abs(p.sum() - 1) > 1e-3:
            raise ValueError("p must add up to one")
        return np.log(p), (p,)
    assert check(forward, lambda dy, c: dy / c[0], np.array([0.2, 0.3, 0.5])).passed


def test_a_single_number():
    assert check(lambda x: (x * x, (x,)), lambda dy, c: 2 * c[0] * dy, np.array(1.3), float32=False).passed


# -------------------------------------------------------------------------------- where the numbers are difficult
def test_a_small_part_that_the_complex_step_drops_is_seen():
    """An L1 penalty of 1e-6 beside a mean of squares: abs drops the imaginary part, and 1e-6 is easily overlooked."""
    def forward(w, x):
        e = x @ w
        return (e * e).mean() + 1e-6 * np.abs(w).sum(), (w, x, e)

    def backward(dloss, cache, l1=1e-6):
        w, x, e = cache
        de = 2 * e / e.size * dloss
        return x.T @ de + l1 * np.sign(w) * dloss, de @ w.T
    w = rng.standard_normal((4, 2))
    report = check(forward, backward, w, x, float32=False)
    assert report.passed and any("the complex step disagrees" in note for note in report.notes)
    assert not check(forward, lambda d, c: backward(d, c, 0.0), w, x, float32=False).passed


def test_steep_functions_are_not_called_wrong():
    steep = (lambda x: (np.sin(1000 * x), (x,)), lambda dy, c: 1000 * np.cos(1000 * c[0]) * dy)
    assert check(*steep).passed
    report = check(*steep, method="central")
    assert {g.verdict for g in report.gradients} == {"cannot tell"} and "step below h = 0.0001" in " ".join(str(report).split())
    assert check(*steep, method="central", h=1e-6, rtol=1e-6).passed
    assert check(steep[0], lambda dy, c: 0 * dy, method="central").gradients[0].verdict == "wrong"
    root = check(lambda x: (np.sqrt(x), (x,)), lambda dy, c: dy / (2 * np.sqrt(c[0])), np.array([1e-4, 1.0, 2e-3]))
    assert root.passed and root.gradients[0].method == "complex step"


# -------------------------------------------------------------------------------- caches and results of any kind
class Node:
    def __init__(self, cache):
        self.cache, self.me = cache, self


@dataclasses.dataclass
class Slots:
    __slots__ = ("cache",)
    cache: tuple


@pytest.mark.parametrize("wrap, unwrap", [
    (lambda c: collections.OrderedDict(c=c), lambda c: c["c"]), (lambda c: types.SimpleNamespace(c=c), lambda c: c.c),
    (lambda c: collections.deque([c]), lambda c: c[0]), (Node, lambda c: c.cache), (Slots, lambda c: c.cache),
    (lambda c: [c, np, {1, 2}, slice(2), float("nan")], lambda c: c[0]),
    (lambda c: lambda: c, lambda c: c())])
def test_a_cache_of_any_kind(wrap, unwrap):
    def forward(x, weight, bias):
        y, cache = layernorm.forward(x, weight, bias)
        return y, wrap(cache)
    args = x, rng.standard_normal(4), rng.standard_normal(4)
    check(forward, lambda dy, c: layernorm.backward(dy, unwrap(c)), *args).raise_if_failed()

    def writes(dy, cache):
        result = layernorm.backward(dy, unwrap(cache))
        unwrap(cache)[2][...] += 1e-3                                        # the mean
        return result
    assert not check(forward, writes, *args).passed


def test_gradients_in_any_dict():
    def backward(dy, cache):
        dx, dweight, dbias = linear.backward(dy, cache)
        return dx, collections.OrderedDict(bias=dbias, weight=dweight)
    p = {"weight": rng.standard_normal((4, 5)), "bias": rng.standard_normal(5)}
    check(lambda x, p: linear.forward(x, **p), backward, x, p).raise_if_failed()


def test_the_name_of_a_case_is_printed_whole():
    assert str(gradcheck.cases.of("dropout")[0].run()).startswith("dropout, rate 0.4   RIGHT")


# -------------------------------------------------------------------------------- corners
def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return dy * (x > 0)


def leaky(x):
    return np.where(x > 0, x, 0.1 * x), x


def with_zeros(shape, every):
    a = np.random.default_rng(3).standard_normal(shape)
    a.flat[::every] = 0
    return a


@pytest.mark.parametrize("at", [with_zeros((3, 4), 20), with_zeros((3, 4), 5), np.zeros((2, 3)),
                                np.maximum(with_zeros((3, 4), 20), 0), with_zeros((80, 80), 900), with_zeros((80, 80), 3),
                                np.maximum(with_zeros((80, 80), 9), 0), np.zeros((70, 60))])
def test_corners_are_not_blamed(at):
    for forward, backward in ((relu, relu_backward), (leaky, lambda dy, x: dy * np.where(x > 0, 1, x.dtype.type(0.1)))):
        report = check(forward, backward, at)
        assert report.passed, report
    assert "forward has a corner here" in " ".join(str(check(relu, relu_backward, at)).split()) or at.size == at[at == 0].size


def test_a_padded_row_of_zeros_before_relu():
    a, w = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    a[1] = 0

    def backward(dy, cache):
        a, w, y = cache
        dy = dy * (y > 0)
        return dy @ w.T, a.T @ dy
    def forward(a, w):
        y = np.maximum(a @ w, 0)
        return y, (a, w, y)
    check(forward, backward, a, w).raise_if_failed()


@pytest.mark.parametrize("shape", [(3, 4), (80, 80)])
def test_a_corner_excuses_only_what_lies_in_it(shape):
    at = with_zeros(shape, 7)
    assert not check(relu, lambda dy, x: dy * (x > 0) + 2 * dy * (x == 0), at).passed        # 2 is no slope there

    def one_off(dy, x):
        dx = dy * (x > 0)
        dx[1, 2] += 1e-5
        return dx
    g, = check(relu, one_off, at).gradients
    assert g.verdict == "wrong" and g.where == (1, 2)


# -------------------------------------------------------------------------------- large arguments
@pytest.mark.parametrize("offset, method", [(3e4, "auto"), (1e5, "auto"), (3e4, "central"), (1e5, "central"), (1e6, "central")])
def test_large_arguments_are_not_called_wrong(offset, method):
    w, b = np.random.default_rng(2).standard_normal(4), np.random.default_rng(3).standard_normal(4)
    sine = gradcheck.pair(lambda x: (np.sin(x), x), lambda dy, x: dy * np.cos(x))
    for shape in ((3, 4), (1100, 4)):
        a = np.random.default_rng(1).standard_normal(shape)
        for report in (gradcheck.check(layernorm, a + offset, w, b, method=method, float32=False),
                       gradcheck.check(sine, a * offset, method=method, float32=False)):
            assert not any(g.verdict == "wrong" for g in report.gradients) and not report.problems, report
            if method == "auto":
                assert report.passed and not any("not analytic" in note for note in report.notes), report
    double = gradcheck.check(gradcheck.pair(layernorm.forward, lambda dy, c: [1.01 * g for g in layernorm.backward(dy, c)]),
                             x + offset, w, b, method=method, float32=False)
    assert all(g.verdict == "wrong" for g in double.gradients), double


def test_float32_inside_is_one_sentence():
    def forward(x):
        return (x.astype(np.float32) ** 2).astype(x.dtype), x
    text = " ".join(str(check(forward, lambda dy, x: 2 * dy * x)).split())
    assert "forward seems to compute in float32 inside" in text
    assert "corner here" not in text and "np.zeros" not in text and "RIGHT:" not in text
    text = str(check(lambda x: (np.round(x, 6), ()), lambda dy, c: dy, rng.standard_normal((5, 6))))
    assert "float32 inside" not in text and "lambda" not in text and "your pair" in text

"""A pair: a wrong forward is told from a wrong backward."""
import numpy as np
import pytest

from nanolm.grading import grade_pair


def forward(x, weight, bias, eps=1e-5, ddof=0, gain=1.0):
    mean = x.mean(-1, keepdims=True)
    C = x.shape[-1]
    centred = x - mean
    rstd = 1 / np.sqrt((centred * centred).sum(-1, keepdims=True) / (C - ddof) + eps)
    return gain * centred * rstd * weight + bias, (x, weight, mean, rstd, ddof, gain)


def backward(dy, cache, third=1.0):
    x, weight, mean, rstd, ddof, gain = cache
    C = x.shape[-1]
    n = (x - mean) * rstd
    dn = gain * dy * weight
    axes = tuple(range(x.ndim - 1))
    dx = rstd * (dn - dn.mean(-1, keepdims=True) - third * n * (dn * n).sum(-1, keepdims=True) / (C - ddof))
    return dx, (gain * dy * n).sum(axes), dy.sum(axes)


@pytest.mark.parametrize("change, third, right, fit, words", [
    ({}, 1.0, True, True, "Both are right"), ({}, 0.0, True, False, "backward is wrong"),
    ({"ddof": 1}, 1.0, False, True, "true derivative of this forward"), ({"gain": 2.0}, 0.0, False, False, "Mend forward first")])
def test_which_of_the_two_is_wrong(change, third, right, fit, words):
    report = grade_pair("layernorm", lambda x, weight, bias, eps=1e-5: forward(x, weight, bias, eps, **change),
                        lambda dy, cache: backward(dy, cache, third))
    assert (report.forward_right, report.they_fit) == (right, fit) and words in str(report), report
    assert report.passed is (right and fit) and str(report).isascii()


def test_what_cannot_be_graded():
    with pytest.raises(TypeError, match="backward must be a function"):
        grade_pair("layernorm", forward, 3)
    with pytest.raises(ValueError, match="there are no cases for 'layer'"):
        grade_pair("layer", forward, backward)


def test_errors_are_part_of_the_report():
    def raises(*args, **kwargs):
        raise KeyError("no")
    report = grade_pair("layernorm", raises, backward)
    assert not report.passed and "KeyError" in str(report)
    report = grade_pair("layernorm", lambda x, weight, bias, eps=1e-5: forward(x, weight, bias, eps), raises)
    assert report.forward_right and not report.they_fit

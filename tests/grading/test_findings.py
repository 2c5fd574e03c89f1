"""How mistakes are told apart: several in one answer, errors in some calls only, mistakes that are right in some calls."""
import numpy as np
import pytest

from nanolm.grading import compare, grade, terms
from nanolm.grading.exercise import Term
from nanolm.grading.mistakes import norms


def names(report):
    return {part for finding in report.findings for part in finding.name.split("+")}


def test_two_mistakes_in_dx_and_another_in_dweight():
    def mine(dy, cache):
        x, weight, mean, rstd = cache
        n, rows = (x - mean) * rstd, (-1, x.shape[-1])
        dx = weight * rstd * (dy - dy.mean(axis=-1, keepdims=True))         # the gain outside, and no variance term
        return dx, (dy * n).reshape(rows).mean(axis=0), dy.reshape(rows).sum(axis=0)
    found = names(grade("layernorm.backward", mine, shrinking=0))
    assert found == {"gain_outside", "variance_term_missing", "averaged_over_tokens"}


@pytest.mark.parametrize("trouble, name", [("raise", "raises"), ("shape", "axes_kept")])
def test_a_mistake_is_named_although_some_calls_have_trouble_of_their_own(trouble, name):
    def mine(dy, cache):
        if dy.ndim == 1 and trouble == "raise":
            raise IndexError("too few axes")
        dx, dweight, dbias = norms.layernorm_backward(dy, cache, mean_term="missing")
        return (dx[None] if dy.ndim == 1 else dx), dweight, dbias
    report = grade("layernorm.backward", mine, shrinking=0)
    assert {"mean_term_missing"} < names(report) and names(report) & {name, "not_summed"}, report


def test_a_mistake_that_is_right_where_the_answer_is_wrong_is_not_named():
    """Derivatives by numbers are wrong far out only, where GELU is straight and many mistakes are right."""
    def mine(dy, cache):
        x, form, share = cache
        if form == "tanh":
            slope = 2 * share * (1 - share) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)
        else:
            slope = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
        return dy * (share + x * slope) * np.where(np.abs(x) > 100, 1 + 5e-8, 1)
    assert names(grade("gelu.backward", mine, shrinking=0)) == {"precision"}


def test_of_two_mistakes_that_fit_a_few_calls_the_one_that_fits_all_is_named():
    def mine(logits, targets, ignore_index=-100, label_smoothing=0.0):
        from nanolm.grading.mistakes.losses import cross_entropy_forward
        return cross_entropy_forward(logits, targets, ignore_index, label_smoothing, ignored="-100 only")
    report = grade("cross_entropy.forward", mine, shrinking=0)
    assert report.mistakes == ("ignore_index_fixed",) and not report.findings[0].also


def test_terms_may_differ_from_call_to_call():
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(5) for _ in range(3))
    one, two, three = Term("one", "the first term", a), Term("two", "the second term", b), Term("three", "the third term", c)
    answers = [(a + b, [one, two]), (a + b - c, [one, two, three]), (a + b, [one, two])]
    assert terms.explain(answers, [{}, {}, {}]) == [("three_sign", "the third term has the wrong sign.")]


def test_one_factor_before_all_terms_is_left_to_the_signatures():
    def mine(dy, cache):
        dx, dweight, dbias = norms.layernorm_backward(dy, cache)
        return dx * dy.shape[-1], dweight, dbias
    report = grade("layernorm.backward", mine, shrinking=0)
    assert report.mistakes == ("factor",) and "C times the right one" in str(report)


def test_a_difference_shows_enough_digits_to_be_seen():
    (difference,) = compare.differences(np.float64(1.0000001), np.float64(1.0), ("loss",))
    assert difference.sentence == "loss is 1.0000001, expected 1."


def test_rounding_of_zero_is_called_zero():
    def mine(dy, cache):
        y, axis = cache
        return y * (1 - y.sum(axis=axis, keepdims=True))
    assert grade("softmax.backward", mine, shrinking=0).mistakes == ("zero",)


def test_numpy_may_warn_of_what_a_student_does():
    def mine(x, weight, bias, eps=1e-5):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True, ddof=1) + eps) * weight + bias
    assert grade("layernorm.forward", mine, shrinking=0).mistakes == ("unbiased_variance",)


def test_small_numbers_are_not_shown_as_zeros():
    from nanolm.grading.report import shown
    assert "3.e-07" in shown("dy", np.array([3e-7, 0.0]))[0]

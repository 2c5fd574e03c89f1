"""Right backwards are accepted, however they are written; nanolm's own, and its fast twins, on every ready-made case."""
import pytest
import right_bert, right_llama, right_seq2seq  # noqa: E401, F401  (they fill RIGHT)
from right import RIGHT

from nanolm import gradcheck, kernels


@pytest.mark.parametrize("layer, forward, backward", RIGHT, ids=[f"{r[0]}-{r[2].__name__}" for r in RIGHT])
def test_right_backward_is_accepted(layer, forward, backward):
    gradcheck.check_backward(layer, backward, forward).raise_if_failed()


@pytest.mark.parametrize("layer", gradcheck.cases.names())
def test_at_least_two_right_backwards_a_layer(layer):
    assert sum(r[0] == layer for r in RIGHT) >= 2


@pytest.mark.parametrize("layer", gradcheck.cases.names())
@pytest.mark.parametrize("method", ["complex", "central"])
def test_nanolm_is_right_in_every_case(layer, method):
    report = gradcheck.check_layer(layer, method=method).raise_if_failed()
    for one in report.reports:
        assert {g.method for g in one.gradients} == {"complex step" if method == "complex" else "central differences"}


@pytest.mark.parametrize("layer", gradcheck.cases.names())
def test_cases_hold_whatever_the_numbers(layer):
    for seed in (1, 2):
        report = gradcheck.check_layer(layer, seed=seed).raise_if_failed()
        # Room to spare: no tolerance in verdict.py is near to what a right backward needs.
        worst = max((g.error / max(abs(g.expected), 1e-2) for r in report.reports for g in r.gradients
                     if g.error is not None), default=0)
        assert worst < 1e-10


@pytest.mark.parametrize("layer", gradcheck.cases.names())
@pytest.mark.skipif(not kernels.available(), reason="the fast twins need Numba")
def test_the_fast_twins_are_right_in_every_case(layer):
    """By central differences: complex numbers take the plain path. The report holds float32 against float64 as well."""
    with kernels.using("numba"):
        report = gradcheck.check_layer(layer, method="central").raise_if_failed()
    for one in report.reports:
        assert {g.method for g in one.gradients} == {"central differences"}

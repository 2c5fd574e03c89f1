"""Regression on terms: every combination of missing, doubled and turned terms of layer norm is told."""
import itertools

import numpy as np
import pytest

from nanolm.grading import terms
from nanolm.grading.exercise import Term

rng = np.random.default_rng(2)
SIZES = [{"C": 5, "T": 3}, {"C": 4, "T": 6}]
PARTS = [[Term(name, name, rng.standard_normal((s["T"], s["C"]))) for name in ("a", "b", "c")] for s in SIZES]


def explained(*coefficients):
    answers = [(sum(c(s) * term.array for c, term in zip(coefficients, parts)), parts) for s, parts in zip(SIZES, PARTS)]
    return terms.explain(answers, SIZES)


KINDS = {"right": lambda s: 1.0, "missing": lambda s: 0.0, "sign": lambda s: -1.0, "factor": lambda s: s["C"]}


@pytest.mark.parametrize("ways", [w for w in itertools.product(KINDS, repeat=3) if set(w) != {"right"}])
def test_every_combination_is_told(ways):
    if set(ways) == {"missing"}:
        return                                      # zero everywhere is a signature, not a sum
    found = explained(*(KINDS[way] for way in ways))
    assert [name for name, _ in found] == [f"{term}_{way}" for term, way in zip("abc", ways) if way != "right"]
    assert all("C times" in sentence for name, sentence in found if name.endswith("factor"))


def test_what_is_no_sum_of_them_is_not_explained():
    answers = [(np.sin(9 * parts[0].array), parts) for parts in PARTS]
    assert terms.explain(answers, SIZES) is None


def test_terms_that_cannot_be_told_apart_explain_nothing():
    one = [Term("a", "a", np.ones((2, 2))), Term("b", "b", 2 * np.ones((2, 2)))]
    assert terms.explain([(np.ones((2, 2)), one)], [{}]) is None


def test_as_many_numbers_as_terms_prove_nothing():
    rng = np.random.default_rng(0)
    for n, proves in ((2, False), (3, True)):
        one, two = rng.standard_normal(n), rng.standard_normal(n)
        found = terms.coefficients(2 * one + 3 * two, [Term("one", "one", one), Term("two", "two", two)])
        assert (found is not None) is proves and (not proves or np.allclose(found, [2, 3]))

"""Regression on the terms of the derivation: with which coefficient does each term stand in the student's answer?

Layer norm's dx is a sum of three terms, each written so that its right coefficient is 1. Least squares finds the
coefficients in what the student returned. If the sum of the terms with them is the answer to rounding, they say what was
done: (1, 0, 1) the second term is missing, (1, -1, 1) it has the wrong sign, (1, C, C) sums in the place of means.

Tested    tests/grading/test_terms.py.
"""
import numpy as np

from nanolm.grading import factors

CLOSE = 1e-6


def coefficients(got, terms):
    """Return the list of coefficients, or None if got is no sum of these terms, or if the terms are not independent.

    As many numbers as terms are always such a sum, which proves nothing: there must be more.
    """
    columns = np.stack([np.ravel(term.array) for term in terms], axis=1)
    if columns.shape[0] <= columns.shape[1] or got.shape != np.shape(terms[0].array) or not np.isfinite(got).all():
        return None
    scale = np.linalg.norm(columns, axis=0)
    if (scale == 0).any():
        return None
    found, _, rank, _ = np.linalg.lstsq(columns / scale, np.ravel(got), rcond=1e-10)
    if rank < len(terms):
        return None
    residual = np.abs(columns / scale @ found - np.ravel(got)).max()
    return list(found / scale) if residual <= CLOSE * np.abs(got).max(initial=1e-300) else None


def explain(answers, sizes):
    """Return sentences on the coefficients that are not 1, or None where terms explain nothing.

    answers: [(got, [Term])], one for each of several calls; sizes: [dict], one each.
    """
    found = [coefficients(np.asarray(got, np.float64), terms) for got, terms in answers]
    kept = [({term.name: one for term, one in zip(terms, c)}, size) for (_, terms), c, size in zip(answers, found, sizes)
            if c is not None]
    if not kept or len(kept) < len([1 for got, terms in answers if independent(terms)]):
        return None
    sentences = []
    for term in {term.name: term for _, terms in answers for term in terms}.values():       # not every call has every term
        values, where = [c[term.name] for c, _ in kept if term.name in c], [size for c, size in kept if term.name in c]
        if all(abs(v - 1) <= 1e-5 for v in values):
            continue
        if all(abs(v) <= 1e-5 for v in values):
            sentences.append((f"{term.name}_missing", f"{term.label} is missing."))
        elif factors.name_of(values, where) == "-1":
            sentences.append((f"{term.name}_sign", f"{term.label} has the wrong sign."))
        else:
            sentences.append((f"{term.name}_factor", f"{term.label} is {factors.in_words(values, where)}."))
    return sentences or None


def independent(terms):
    """Return whether the terms of one call can be told apart at all: not with a single channel, say."""
    columns = np.stack([np.ravel(term.array) for term in terms], axis=1)
    scale = np.linalg.norm(columns, axis=0)
    return columns.shape[0] > columns.shape[1] and (scale > 0).all() and \
        np.linalg.matrix_rank(columns / scale, tol=1e-10) == columns.shape[1]

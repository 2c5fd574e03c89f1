"""Every wrong backward is rejected, and the report is fit to print."""
import numpy as np
import pytest
import wrong_bert, wrong_composites, wrong_hidden, wrong_llama, wrong_rows, wrong_scores, wrong_tables  # noqa: E401, F401
import wrong_seq2seq  # noqa: F401
from wrong import WRONG

from nanolm import gradcheck
from nanolm.grading import exercises

# What these files hold are mistakes that a student's exercise has no name for; those that have one are the catalogue of
# nanolm/grading/mistakes, and gradcheck must reject them too: every third of them here, for the sake of time.
KNOWN = [(exercise.where[0].__name__.rsplit(".", 1)[-1], None, mistake.function) for exercise in exercises.all_of().values()
          if exercise.kind == "backward" and exercise.where[1] == "backward" for mistake in exercise.mistakes
          if exercise.where[0].__name__.rsplit(".", 1)[-1] in gradcheck.cases.names()]
WRONG += KNOWN[::3]

SMALL = ("linear", "gelu", "softmax", "embedding", "positions", "layernorm", "dropout", "cross_entropy", "attention")
names = [f"{layer}-{getattr(backward, '__name__', i)}" for i, (layer, _, backward) in enumerate(WRONG)]


def first_failure(layer, forward, backward, **options):
    """Return the report of the first case that fails, as check_backward would; the cases after it are not run."""
    for case in gradcheck.cases.of(layer):
        report = case.run(forward, backward, **options)
        if not report.passed:
            return report
    return None


@pytest.mark.parametrize("layer, forward, backward", WRONG, ids=names)
def test_wrong_backward_is_rejected(layer, forward, backward):
    report = first_failure(layer, forward, backward)
    assert report is not None, f"{backward} was accepted"
    assert report.problems or any(g.verdict == "wrong" for g in report.gradients)
    text = str(report)
    assert text.isascii() and max(map(len, text.splitlines())) < 100, text


@pytest.mark.parametrize("layer, forward, backward", [w for w in WRONG if w[0] in SMALL],
                         ids=[n for n, w in zip(names, WRONG) if w[0] in SMALL])
def test_central_differences_reject_it_too(layer, forward, backward):
    assert first_failure(layer, forward, backward, method="central") is not None, f"{backward} was accepted"


@pytest.mark.parametrize("layer", gradcheck.cases.names())
def test_at_least_five_wrong_backwards_a_layer(layer):
    assert sum(w[0] == layer for w in WRONG) >= 5


@pytest.mark.parametrize("layer", gradcheck.cases.names())
def test_zeros_are_rejected_in_every_case_that_has_a_gradient(layer):
    def zeros_like(tree):
        if isinstance(tree, dict):
            return {key: zeros_like(value) for key, value in tree.items()}
        if isinstance(tree, tuple):
            return tuple(map(zeros_like, tree))
        return None if tree is None else np.zeros_like(tree)

    for case in gradcheck.cases.of(layer):
        own = case.module().backward
        report = case.run(backward=lambda *a: zeros_like(own(*a))) if not case.of_model else \
            case.run(backward=lambda cache: zeros_like(own(cache)))
        assert report.passed == (case.title == "nothing counts"), str(report)

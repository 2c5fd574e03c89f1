"""Which mistake is it? Three ways to a name, from the most specific to the most general.

    1  the same output     each known mistake is run on the same arguments; equal numbers name it. A known mistake in dx
                           and another in dweight are named together, and two switches at once are tried   (matching.py)
    2  terms               the answer as a sum of the derivation's terms: which coefficient is not 1   (terms.py)
    3  signatures          a factor and what it equals, transposed, permuted, some rows, NaN           (signatures.py)

Where none gives a name, what is seen is said, and that the mistake is not known.

Tested    tests/grading/test_grader.py, and the catalogue: tests/grading/test_catalogue.py.
"""
import contextlib
import io
from collections import Counter

import numpy as np

from nanolm.grading import answers, compare, inside, signatures, summary, terms, trials
from nanolm.grading.exercise import Call
from nanolm.grading.finding import Finding
from nanolm.grading.matching import same_output, wrong_outputs

TRIALS = 8


@np.errstate(all="ignore")                          # wrong numbers may be as large as they like
def findings(exercise, function, tried):
    """Return the Findings for Trials of which at least one is wrong."""
    chosen = representative(tried)
    named = same_output(exercise, chosen, tried)
    if named.get("") is not None:                   # one mistake explains everything
        return [named[""]]
    whole = [trial for trial in tried if comparable(trial)]
    odd = [trial for trial in chosen if not comparable(trial)]
    if odd and any(not trial.right for trial in whole):     # wrong numbers with some arguments; with others an error, or a shape
        return summary.grouped(of_numbers(exercise, representative(whole), every=whole) + of_oddness(odd))
    return summary.grouped(of_oddness(odd, len(odd) == len(chosen)) if odd and odd[0].answer.trouble
                           else of_numbers(exercise, chosen, named))


def comparable(trial):
    """Return whether a trial gave outputs of the right kinds and shapes, so that numbers can be compared."""
    return not trial.answer.trouble and all(d.kind in ("value", "nan") for d in trial.differences)


def of_numbers(exercise, chosen, named=None, every=()):
    """Return the Findings for what was returned, output by output."""
    named = same_output(exercise, chosen, every) if named is None else named
    if named.get("") is not None:
        return [named[""]]
    found, unexplained = [], []
    for output in wrong_outputs(chosen):
        if output in named:
            found += [named[output]] if named[output] not in found else []
        else:
            unexplained.append(output)
    for output in unexplained:
        found += one_factor(chosen, output) or by_terms(exercise, chosen, output) or by_signature(chosen, output)
    return found


def of_oddness(odd, always=False):
    """Return the Findings for calls that raised an error, or returned something of another kind or shape."""
    troubled = [trial for trial in odd if trial.answer.trouble]
    if troubled:
        return [of_trouble(troubled[0].answer, always)]
    return [finding for output in wrong_outputs(odd) for finding in by_signature(odd, output)
            if any(d.output == output and d.kind not in ("value", "nan") for trial in odd for d in trial.differences)]


def representative(tried):
    """Return a few of the trials: wrong ones first, of different sizes, and some right ones, which a mistake must fit too.

    Those whose sizes are known come before the ready-made cases, because a factor can be named only by sizes.
    """
    seen, wrong, right = set(), [], []
    for trial in sorted(tried, key=lambda trial: not trial.call.sizes):
        key = (tuple(sorted(trial.call.sizes.items())), bool(trial.right))
        (right if trial.right else wrong).append((key in seen, trial))
        seen.add(key)
    wrong, right = [[trial for again, trial in sorted(group, key=lambda pair: pair[0])] for group in (wrong, right)]
    return alternating(wrong)[:TRIALS - min(2, len(right))] + right[:2]


def alternating(tried):
    """Return the trials so that the ways to be wrong take turns: dy @ weight is an error, unless weight is square; and dv may be
    wrong with dropout alone."""
    count, ranked = Counter(), []
    for trial in tried:
        way = trial.answer.trouble, tuple(sorted({difference.output for difference in trial.differences}))
        ranked.append((count[way], trial))
        count[way] += 1
    return [trial for _, trial in sorted(ranked, key=lambda pair: pair[0])]


def by_terms(exercise, tried, output):
    """Return Findings from the regression on the derivation's terms, [] if it explains nothing."""
    if exercise.terms is None:
        return []
    found, sizes = [], []
    for trial in tried:
        if not any(difference.output == output for difference in trial.differences):
            continue                                # it may be wrong in one branch of an if alone
        got = compare.named(trials.given(exercise, trial.answer), exercise.outputs).get(output)
        of_call = exercise.terms(*answers.copied(trial.call.args), **answers.copied(trial.call.kwargs)).get(output)
        if of_call and isinstance(got, np.ndarray) and compare.is_number(got):
            found.append((got, of_call))
            sizes.append(trial.call.sizes)
    explained = terms.explain(found, sizes) if found else None
    return [Finding(name, f"In {output}: {sentence}", "terms", output) for name, sentence in explained or ()]


def one_factor(tried, output):
    """Return the Finding that an output is right but for one factor, if it is: one sentence for all its terms."""
    return [finding for finding in by_signature(tried, output) if finding.name in ("factor", "sign", "zero")]


def by_signature(tried, output):
    """Return Findings from what the wrong array looks like."""
    for trial in tried:
        for difference in trial.differences:
            if difference.output == output and difference.kind in ("missing", "extra", "type"):
                return [Finding(difference.kind, difference.sentence, "signature", output)]
    pairs = [(d.got, d.expected, trial.call.sizes) for trial in tried for d in trial.differences
             if d.output == output and isinstance(d.got, np.ndarray)]
    pairs = [pair for pair in pairs if pair[-1]] or pairs
    if not pairs:
        sentence = next(d.sentence for trial in tried for d in trial.differences if d.output == output)
        return [Finding("other", sentence, "signature", output)]
    if all(compare.coarse(d) for trial in tried for d in trial.differences if d.output == output):
        return [Finding("precision", f"{output} is right to about six digits only. Is something computed in float32, is a small "
                        f"number added that does not belong there, or are these derivatives by numbers?", "signature", output)]
    signs = signatures.seen([(got, right) for got, right, _ in pairs], [sizes for *_, sizes in pairs], output)
    fine = sum(not any(d.output == output for d in trial.differences) for trial in tried)
    where = f" (Where it is wrong; in {fine} of {len(tried)} calls that were looked at it is right.)" if fine else ""
    return [Finding(sign.name, sign.sentence + where, "signature", output) for sign in signs]


def of_trouble(answer, always):
    """Return the Finding of an answer that is none."""
    name = {"not written": "not_written", "nothing": "not_written", "endless": "endless", "own": "library_called",
            "raised": "raises"}.get(answer.trouble, answer.trouble)
    when = "" if always or answer.trouble != "raised" else " It does so with some arguments only."
    stop = "" if not when or answer.sentence.endswith((".", "!", "?")) else "."
    return Finding(name, answer.sentence + stop + when, "behaviour")


def inside_of(exercise, function, tried):
    """Return sentences on the first intermediate gradient that goes wrong, [] where that cannot be seen."""
    if exercise.steps is None or hasattr(function, "ask") or not callable(getattr(function, "__call__", None)):
        return []
    return inside.sentences(exercise, function, tried)


def by_probes(exercise, function, seed=0):
    """Return Findings from the properties that forward must have, whatever its numbers are."""
    from nanolm.grading import draws
    found, called = [], function
    if hasattr(function, "ask"):
        def called(*args, **kwargs):
            return function.ask(Call(args, kwargs), answers.SECONDS).value
    for probe in exercise.probes:
        try:
            with answers.limit(answers.SECONDS), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                holds = probe.holds(called, draws.Random(np.random.default_rng(seed)))
        except KeyboardInterrupt:
            raise
        except BaseException:                       # raised by the student's code, or by what it returned: said elsewhere
            continue
        if holds is not True:
            found.append(Finding(probe.name, holds, "probe"))
    return found

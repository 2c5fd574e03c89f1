"""The first way to a name: a known mistake that, run on the same arguments, gives the student's very numbers.

    same_output(exercise, tried, every)     {output: Finding}, or {"": Finding} if one mistake explains all

A mistake is named if it fits the trials that were chosen, is not right in all of them, and is contradicted by none of all
that were tried. It may explain one output and leave another to another mistake; of two that explain as much, the one that
spoils less is named. Where that is not enough, two switches of a derivation are thrown at once.

Tested    tests/grading/test_findings.py, and the catalogue: tests/grading/test_catalogue.py.
"""
from dataclasses import replace
from itertools import combinations

import numpy as np

from nanolm.grading import answers, compare, trials
from nanolm.grading.exercise import Mistake
from nanolm.grading.finding import Finding

PAIRS, CLOSE = 1000, 1e-7


def same_output(exercise, tried, every=()):
    """Return {output: Finding} of known mistakes with the same numbers; {"": Finding} if one explains all outputs.

    tried: a few trials. every: all of them, to choose among several mistakes that explain the few.
    """
    given = [outputs_of(exercise, trial.answer) for trial in tried]
    right = [compare.named(trial.expected, exercise.outputs) for trial in tried]
    errors = only_errors([one for trial, one in zip(tried, given) if not trial.right])
    whole = [] if only_errors(given) or errors and not every else \
        [mistake for mistake in exercise.mistakes if gives(exercise, mistake, tried, given)]
    if not whole and not only_errors(given):
        whole = next(([other] for other in exercise.others() if gives(exercise, other, tried, given)), [])
    if whole and every:                             # they fit these few: those that fit all that was tried
        all_given = [outputs_of(exercise, trial.answer) for trial in every]
        exact = [mistake for mistake in whole if gives(exercise, mistake, every, all_given)]
        # Right but for errors: then it has to be an error in the very same calls, or the name would be a guess.
        whole = exact or [mistake for mistake in whole if not errors and not contradicted(exercise, mistake, every)]
    if whole:
        return {"": Finding(whole[0].name, whole[0].sentence, "the same output", also=tuple(m.name for m in whole[1:]))}
    if any(isinstance(one, str) for one in given):
        two = None if errors else \
            two_at_once(exercise, tried, given, {m.name: () for m in exercise.mistakes}, every=every)
        return {} if two is None else {"": two}
    named = {}
    wrong = wrong_outputs(tried)
    fits = {mistake.name: fitting(exercise, mistake, tried, given, right, wrong) for mistake in exercise.mistakes}
    spoilt = {m.name: spoiled(exercise, m, tried, right, wrong) for m in exercise.mistakes if fits[m.name]}
    by_part(exercise, fits, spoilt, every, named, clean=True)
    doubtful = set(named) != set(wrong)
    by_part(exercise, fits, spoilt, every, named, clean=False)
    unexplained = [output for output in wrong if output not in named]
    if doubtful:
        two = two_at_once(exercise, tried, given, fits, unexplained, every)
        if two is not None and not two.output:      # these two explain everything
            return {"": two}
        named.update({output: two for output in unexplained if two is not None})
    return named


def by_part(exercise, fits, spoilt, every, named, clean):
    """Add to `named` {output: Finding} of mistakes that explain some of the outputs.

    clean: those that spoil nothing that is right.
    """
    some = [m for m in exercise.mistakes if fits[m.name] and not (clean and spoilt[m.name])]
    for mistake in sorted(some, key=lambda m: (-len(fits[m.name]), spoilt[m.name])):                # that explains most first
        new = [output for output in fits[mistake.name] if output not in named and not denied(exercise, mistake, every, output)]
        for output in new:
            also = tuple(m.name for m in some if m is not mistake and fits[m.name] == fits[mistake.name]
                         and spoilt[m.name] == spoilt[mistake.name])
            named[output] = Finding(mistake.name, mistake.sentence, "the same output", ", ".join(new), also)


def gives(exercise, mistake, tried, given):
    """Return whether a known mistake gives the same in all trials, and is not right in all of them."""
    differs = False
    for trial, one in zip(tried, given):
        made = outputs_of(exercise, asked(mistake, trial.call))
        if not equal(made, one):                    # no more are run
            return False
        differs = differs or not equal(made, compare.named(trial.expected, exercise.outputs))
    return differs


def contradicted(exercise, mistake, tried):
    """Return whether some trial gave numbers that a known mistake does not give. Errors of another kind contradict nothing."""
    for trial in tried:
        one = outputs_of(exercise, trial.answer)
        if not isinstance(one, str) and not equal(outputs_of(exercise, asked(mistake, trial.call)), one):
            return True
    return False


def denied(exercise, mistake, tried, output):
    """Return whether in some trial this output came, and a known mistake does not give it so."""
    for trial in tried:
        one = outputs_of(exercise, trial.answer)
        if not isinstance(one, str) and output in one:
            made = outputs_of(exercise, asked(mistake, trial.call))
            if isinstance(made, str) or output not in made or not alike(made[output], one[output]):
                return True
    return False


def explains(exercise, mistake, tried, given, names):
    """Return whether a mistake gives the same in all trials in these outputs; the others are not looked at."""
    right = [compare.named(trial.expected, exercise.outputs) for trial in tried]
    return set(fitting(exercise, mistake, tried, given, right, names)) == set(names)


def fitting(exercise, mistake, tried, given, right, wrong):
    """Return those of the wrong outputs that a known mistake explains: in all trials the same, and not right in all of them."""
    left, differ = list(wrong), set()
    for trial, one, truth in zip(tried, given, right):
        made = outputs_of(exercise, asked(mistake, trial.call))
        left = [] if isinstance(made, str) else [name for name in left
                                                 if name in made and name in one and alike(made[name], one[name])]
        differ |= {name for name in left if name not in truth or not alike(made[name], truth[name])}
        if not left:
            break
    return [name for name in left if name in differ]


def spoiled(exercise, mistake, tried, right, wrong):
    """Return how many of the outputs that are right would be wrong by a known mistake: of two that explain as much, the one
    that spoils less is nearer to what was done."""
    found = set()
    for trial, truth in zip(tried, right):
        made = outputs_of(exercise, asked(mistake, trial.call))
        found |= {name for name in truth if name not in wrong and (isinstance(made, str) or name not in made
                                                                   or not alike(made[name], truth[name]))}
    return len(found)


def two_at_once(exercise, tried, given, fits, unexplained=(), every=()):
    """Return the Finding of two switches that, thrown together, give the student's numbers; None if there are none.

    Of a chain of many steps there are too many pairs. So those are left out that spoil what is right, or leave right what
    is unexplained. What the upper of two mistakes spoils before the lower one comes in, it explains alone; so pairs come
    first of which one explains some outputs. A pair that gives the numbers of all outputs is preferred to one that gives
    those of the unexplained outputs only.
    """
    switched = [m for m in exercise.mistakes if m.switches]
    pairs = [(a, b) for a, b in combinations(switched, 2) if not set(a.switches) & set(b.switches)]
    one = next((trial for trial, numbers in zip(tried, given) if not isinstance(numbers, str) and trial.differences), None)
    if one is not None:
        wrong = {difference.output for difference in one.differences}
        needed = wrong & set(unexplained) or wrong
        spoiled = {m.name: spoils(exercise, m, one) for m in switched}
        pairs = [(a, b) for a, b in pairs if needed <= spoiled[a.name] | spoiled[b.name] <= wrong]
    pairs.sort(key=lambda pair: -max(len(fits[m.name]) for m in pair))
    in_part = None
    for a, b in pairs[:PAIRS]:
        def both(*args, _function=a.function.func, _switches={**a.switches, **b.switches}, **kwargs):
            return _function(*args, **_switches, **kwargs)
        both = Mistake(f"{a.name}+{b.name}", "", both)
        finding = Finding(both.name, f"Two things at once. {a.sentence} And: {b.sentence}", "two at once")
        if gives(exercise, both, tried, given) and not contradicted(exercise, both, every):
            return finding
        if unexplained and in_part is None and explains(exercise, both, tried, given, unexplained) and \
                not any(denied(exercise, both, every, output) for output in unexplained):
            in_part = replace(finding, output=", ".join(unexplained))
    return in_part


def spoils(exercise, mistake, trial):
    """Return the names of the outputs that a known mistake makes wrong in this trial."""
    answer = asked(mistake, trial.call)
    if answer.trouble:
        return set()
    differences = compare.differences(trials.given(exercise, answer), trial.expected, exercise.outputs)
    return {difference.output for difference in differences}


def asked(mistake, call):
    """Return the Answer of a known mistake, which is our own code and needs no guard."""
    args, kwargs = answers.copied(call.args), answers.copied(call.kwargs)
    answer = answers.Answer(args=args, kwargs=kwargs)
    try:
        with np.errstate(all="ignore"):
            answer.value = mistake.function(*args, **kwargs)
    except Exception as error:
        answer.trouble, answer.error = "raised", type(error).__name__
    return answer


def outputs_of(exercise, answer):
    """Return {output: array}, or a word for what cannot be looked into: the error, the wrong container."""
    if answer.trouble:
        return f"{answer.trouble} {answer.error}"
    value = trials.given(exercise, answer)
    n = len(exercise.outputs)
    if n > 1 and (not isinstance(value, (tuple, list)) or len(value) != n):
        return f"container {type(value).__name__} {len(value) if isinstance(value, (tuple, list)) else ''}"
    if n == 1 and isinstance(value, (tuple, list)):
        return f"container {type(value).__name__} {len(value)}"
    return compare.named(value, exercise.outputs)


def only_errors(given):
    """Return whether every one raised: that two pieces of code raise a ValueError does not make them the same mistake."""
    return all(isinstance(one, str) and one.startswith("raised") for one in given)


def equal(a, b):
    """Return whether two answers are the same: the same word, or the same numbers in every output."""
    if isinstance(a, str) or isinstance(b, str):
        return a is b or isinstance(a, str) and isinstance(b, str) and a == b
    return a.keys() == b.keys() and all(alike(a[name], b[name]) for name in a)


def alike(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if a is None or b is None or not compare.is_number(a) or not compare.is_number(b):
        return a is b or type(a) is type(b) and not isinstance(a, np.ndarray) and a == b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or (a.dtype == bool) != (b.dtype == bool):        # 1 and 0 are no mask
        return False
    with np.errstate(all="ignore"):
        scale = np.abs(np.nan_to_num(b, posinf=0, neginf=0)).max(initial=0)
        return bool(((np.abs(a.astype(np.float64) - b) <= CLOSE * scale) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def wrong_outputs(tried):
    """Return the names of the outputs that are wrong in any of the trials, in the order in which they are returned."""
    names = dict.fromkeys(difference.output for trial in tried for difference in trial.differences)
    return list(names)

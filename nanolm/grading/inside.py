"""Where inside a composite does it go wrong? Each step's true gradient, by numbers, beside what the student's code made.

A composite is a chain: x -> q, k, v -> scores -> P -> heads -> y. An exercise may give the chain as Steps: the value
that forward computed at this place, and the rest of the way from it to y. The derivative of sum(dy y) by that value is
taken by the complex step, one step after the other from the top. Then all that the student's code made is looked
through (watching.py): what holds these numbers, whatever it is called, is right. A step is fine if it is right, or if one
below it is: then it was not needed. The first that is not, although all above it are, is where to look.

Which of the student's own numbers stand in its place? Those that are right if the true gradient is put there: the code
runs once more, with the truth in the place of one result, and the outputs turn right. That proves the place, too.

Tested    tests/grading/test_inside.py.
"""
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from nanolm.gradcheck import entries, numerical
from nanolm.grading import answers, healing, holding, signatures, watching

LIMIT = 600                                         # numbers in one intermediate: each costs a run of the rest
TRIALS, ROUNDING = 3, 1e-8                          # so many are looked into; a share of what is above that says nothing


@dataclass(frozen=True)
class Step:
    """One intermediate value of forward: its gradient's name, what students call it, and the way from it to y."""
    name: str                                       # "dscores"
    value: object = None                            # the array that forward had at this place
    rest: object = None                             # rest(value) -> y; must take complex numbers
    called: tuple = ()                              # ("ds", "dS", "dlogits"): compared without case
    after: tuple = None                             # the steps that it is made of; None: the one before in the list
    label: str = ""                                 # what it is, where the name does not say it
    gradient: object = None                         # the true gradient, where it is at hand; value and rest are not needed then


@dataclass
class Seen:
    """What became of one step. verdict: "right", "passed" (not seen, but one below is right), "first" or "below"."""
    step: Step
    truth: np.ndarray
    after: tuple                                    # the names of the steps that it is made of
    thing: object = None                            # the watching.Thing that holds it, or stands in its place
    verdict: str = ""
    healed: tuple = ()                              # the outputs that turn right with the truth in the place of thing
    instead: object = None                          # the step above whose gradient stands in its place


@dataclass
class Looked:
    """One trial that was looked into."""
    trial: object
    notes: object
    seen: list

    def find(self, name):
        """Return the Seen of that name if its gradient is not zero everywhere (that would say nothing), else None."""
        return next((one for one in self.seen if one.step.name == name and one.truth.any()), None)


def sentences(exercise, function, tried):
    """Return sentences on the intermediate gradients, [] where nothing can be seen. tried: Trials, some of them wrong."""
    try:
        with answers.limit(answers.SECONDS):
            return looked_into(exercise, function, tried)
    except answers.TooLong:                         # it may not end any more once its numbers are others
        return []


def looked_into(exercise, function, tried):
    """sentences, however long it takes."""
    looked = []
    for trial in telling(tried):
        steps = exercise.steps(*answers.copied(trial.call.args), **answers.copied(trial.call.kwargs))
        if all(np.size(step.value if step.gradient is None else step.gradient) <= LIMIT for step in steps):
            one = look(function, trial, steps)
            looked += [] if one is None else [one]
        if len(looked) == TRIALS:
            break
    looked.sort(key=lambda one: -len({step.truth.tobytes() for step in one.seen if step.truth.any()}))
    for one in looked:
        seen = judged(one.seen, looked)
        first = [step for step in seen if step.verdict == "first"]
        for i, step in enumerate(first):            # the trial in which it is wrong: in others it may be right by chance
            where = next(other for other in looked if other.find(step.step.name) and not other.find(step.step.name).thing)
            first[i] = replace(where.find(step.step.name), verdict="first")
            healing.find_place(exercise, function, where, first[i])
        if first:
            return in_words(seen, proved(first))
    return []


def telling(tried):
    """Return the wrong trials, those first that tell most: all is wrong that is wrong in any, and the sizes differ.

    Trials of different kinds take turns, with dropout and without it, say: a step may be right in one kind alone.
    """
    def tells(trial):
        sizes = [n for n in trial.call.sizes.values() if n > 1]
        return len(trial.differences), len(set(sizes)), -sum(sizes)
    wrong = sorted((trial for trial in tried if trial.differences and not trial.answer.trouble), key=tells, reverse=True)
    count, turns = Counter(), []
    for trial in wrong:
        kind = kind_of(trial.call.args)
        turns.append((count[kind], trial))
        count[kind] += 1
    return [trial for _, trial in sorted(turns, key=lambda turn: turn[0])]


def kind_of(tree):
    """Return what kind of arguments these are: where there is an array and where None, and the words among them."""
    if isinstance(tree, tuple):
        return tuple(map(kind_of, tree))
    return tree if isinstance(tree, (str, bool)) or tree is None else type(tree).__name__


def look(function, trial, steps):
    """Return the Looked of one trial: for each step, in their order, the Thing that holds its gradient. None if it raises."""
    notes, value = watching.watch(function, trial.call.args, trial.call.kwargs)
    if value is None:
        return None
    seen, wrong = truths(steps, trial.call.args[0]), {difference.output for difference in trial.differences}
    for one in seen:
        holders = [thing for thing in notes.things if one.truth.any() and holding.holds(thing.arrays, one.truth)]
        if one.step.name in wrong and not any(holding.equal(a, one.truth) for _, a in watching.arrays_of("", value)):
            holders = []                            # it was right, and was spoiled before it was returned
        below = [other for other in seen if one.step.name in other.after]
        if any(thing.numbers for thing in holders) and all(other.truth.any() for other in below) and \
                not any(healing.of_use(function, trial, value, thing) for thing in holders):
            holders = []                            # it was made, and then not used
        one.thing = next((thing for thing in holders if thing.name), holders[0] if holders else None)
    return Looked(trial, notes, seen)


def truths(steps, dy):
    """Return a Seen for each step, with its true gradient. What is rounding beside the gradients above it is zero.

    (Behind a saturated softmax little else is left.)
    """
    seen, before = [], ()
    for step in steps:
        truth = gradient(step, dy)
        after, before = before if step.after is None else step.after, (step.name,)
        above = [np.abs(one.truth).max() for one in seen if one.step.name in after]
        if above and np.abs(truth).max(initial=0) <= ROUNDING * max(above) or above and not max(above):
            truth = np.zeros_like(truth)
        seen.append(Seen(step, truth, after))
    return seen


def judged(seen, looked):
    """Return the Seen of one trial with their verdicts. A step is right only if it is so in every trial that was looked into."""
    seen = [replace(one) for one in seen]
    verdicts = {one.step.name: one for one in seen}
    for one in seen:
        again = [found for found in (other.find(one.step.name) for other in looked) if found is not None]
        if again and all(other.thing is not None for other in again):
            one.verdict, one.thing = "right", one.thing or again[0].thing
    for one in reversed(seen):                      # from the bottom: what a right step is made of was right, or not needed
        for name in one.after if one.verdict else ():
            if name in verdicts and not verdicts[name].verdict:
                verdicts[name].verdict = "passed"
    for one in seen:
        if not one.verdict:
            nothing = all(other.find(one.step.name) is None for other in looked)
            fine = all(verdicts[name].verdict in ("right", "passed") for name in one.after if name in verdicts)
            one.verdict = "passed" if nothing else "first" if fine else "below"
    return seen


def proved(first):
    """Return the first wrong steps of which the student's own numbers were found, if there are such; else all of them."""
    return [one for one in first if one.thing is not None] or first


def in_words(seen, first):
    """Return what to tell: up to where all is right, and what comes next."""
    rights = [f"{one.step.name}{f' (your {one.thing.name})' if own_name(one) else ''}" for one in seen if one.verdict == "right"]
    words = [f"Right on the way down: {', '.join(rights)}."] if rights else []
    labels = [f"{one.step.name} ({one.step.label})" if one.step.label else one.step.name for one in first]
    if first[0].thing is None:
        return [*words, f"{labels[0]} is the first that goes wrong: none of the numbers that your code makes is equal to it. The "
                        "step to it is missing, or wrong." if len(first) == 1 else
                        f"{' and '.join(labels)} are nowhere among the numbers that your code makes: one of them is the first "
                        "that goes wrong."]
    for i, (one, label) in enumerate(zip(first, labels)):
        begin = f"{label} is {'the first that goes wrong' if i == 0 else 'wrong too, on a way of its own'}"
        where = f"your {one.thing.name}, line {one.thing.line}" if one.thing.name else f"in line {one.thing.line} of your code"
        healed = [name for name in one.healed if name != one.step.name]     # that it comes out right itself says nothing
        end = f"With the true numbers in its place {', '.join(healed)} come{'s' * (len(healed) == 1)} out right." if healed else ""
        if one.instead is not None:
            other = one.instead.step.name
            other = other[0].lower() + other[1:] if other.startswith("The ") else other
            words.append(f"{begin}: the numbers of {other} stand in its place as they are ({where}). {end}")
        else:
            words.append(f"{begin} ({where}). {sign_of(one)}{end}".rstrip())
    return words


def own_name(one):
    return one.thing is not None and one.thing.name and one.thing.name != one.step.name


def sign_of(one):
    """Return the sentence on what the student's numbers look like beside the truth, "" if they are in many pieces.

    Where the truth in their place heals an output, that is enough: an array that is filled later is still zero there.
    """
    a = one.thing.arrays[0]
    if len(one.thing.arrays) > 1 or a.shape != one.truth.shape or not a.any():
        return ""
    return signatures.seen([(a, one.truth)], [{}], one.thing.name or one.step.name)[0].sentence + " "


def gradient(step, dy):
    """Return the derivative of sum(dy rest(value)) by value, by numbers."""
    if step.gradient is not None:
        return np.asarray(step.gradient)
    value = np.asarray(step.value, np.float64)
    y, f = np.asarray(step.rest(value.copy())), step.rest
    how, _ = entries.choose_method(f, value, y, "auto", np.random.default_rng(0), numerical.STEP)
    found = np.empty(value.size)
    for i in range(value.size):
        v = numerical.one_hot(value, i)
        if how == "complex step":
            column = f(value + 1j * numerical.COMPLEX_STEP * v).imag / numerical.COMPLEX_STEP
        else:
            near_by = numerical.central_pair(f, value, v, y)
            column = numerical.extrapolate(near_by.at_h, near_by.at_h10)
        found[i] = (np.asarray(dy) * column).sum()
    return found.reshape(value.shape)

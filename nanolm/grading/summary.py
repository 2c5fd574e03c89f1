"""What can be said of a wrong answer as a whole, where it has many outputs or is wrong with some arguments only.

    verdicts(...)      {"dx": "right", 'dp["attn"]': "wrong"}: a dict of gradients counts key by key
    only_where(...)    "It is wrong only where norm is 'pre'."
    grouped(...)       thirty gradients that are wrong in the same way are told in one sentence

Tested    tests/grading/test_summary.py.
"""
from dataclasses import replace

from nanolm.grading import compare

WEAK = ("near", "partly", "unrelated")              # signs that say little: mostly of what a mistake further up spoils
FEW, ENOUGH = 3, 4


def verdicts(exercise, tried, whole=False):
    """Return {output: "right" or "wrong"} over all trials, a dict's entries one by one. whole: there is no answer at all."""
    wrong = {d.output for trial in tried for d in trial.differences}
    if whole:
        return {name: "wrong" for name in exercise.outputs}
    if exercise.changes:                            # the names in an optimizer's dicts differ from call to call
        return {name: "wrong" if any(d == name or d.startswith(name + "[") for d in wrong) else "right"
                for name in exercise.outputs}
    found = {}
    for name in exercise.outputs:
        kinds = [part for part in (part_of(exercise, trial.expected, name) for trial in tried) if isinstance(part, dict)]
        keys = [f"{name}[{compare.quoted(key)}]" for key in dict.fromkeys(key for part in kinds for key in part)]
        for one in keys or [name]:
            bad = any(d == one or d.startswith(one + "[") or one.startswith(d + "[") for d in wrong)
            found[one] = "wrong" if bad else "right"
        if keys and "right" in (found[key] for key in keys) and any(strange(d, name, keys) for d in wrong):
            found[name] = "wrong"                   # a key that nobody asked for
    return found


def part_of(exercise, value, name):
    """Return the output of that name out of what a function returned."""
    return value[exercise.outputs.index(name)] if len(exercise.outputs) > 1 and isinstance(value, (tuple, list)) else value


def strange(output, name, keys):
    return output.startswith(name + "[") and not any(output == key or output.startswith(key + "[") for key in keys)


def only_where(tried):
    """Return a sentence on the one argument that tells the wrong trials from the right ones, "" if there is none."""
    groups = [[trial.call for trial in tried if trial.right is right] for right in (False, True)]
    if min(map(len, groups)) < ENOUGH:
        return ""
    for name in dict.fromkeys(name for calls in groups for call in calls for name in call.shown):
        wrong, right = ({told(call.shown.get(name)) for call in calls} for calls in groups)
        if len(wrong) == 1 and right - wrong and None not in wrong | right and (not wrong & right or len(groups[0]) > ENOUGH + 2):
            return f"It is wrong only where {name} {wrong.pop()}."
    return ""


def told(value):
    """Return a value in words, as far as arguments of exercises differ in it: an array is "given"; None: it says nothing."""
    if value is None:
        return "is not given"
    return f"is {value!r}" if isinstance(value, (str, bool, int, float)) else "is given"


def grouped(findings):
    """Return the Findings with those of the same sign joined into one, where more than a few outputs have signs.

    What the terms say of several outputs in the very same words is always joined.
    """
    findings = joined(findings)
    signs = [one for one in findings if one.way == "signature"]
    if len(signs) <= FEW:
        return findings
    found = [one for one in findings if one.way != "signature"]
    weak = [one for one in signs if one.name in WEAK]
    for name in dict.fromkeys(one.name for one in signs if one not in weak):
        first, *same = [one for one in signs if one.name == name]
        found.append(replace(first, sentence=f"{first.sentence} The same holds for {listed(same)}.") if same else first)
    if weak:
        first, *same = weak
        words = f"Wrong as well, perhaps because of the same mistake: {listed(weak if found else same)}."
        found.append(replace(first, sentence=words if found else f"{first.sentence} {words if same else ''}".strip()))
    return found


def joined(findings):
    """Return the Findings with one in the place of those that say of several outputs the same term in the same words."""
    def words(one):
        return one.way, one.name, one.sentence.removeprefix(f"In {one.output}: ")
    terms = [one for one in findings if one.way == "terms"]
    found, said = [], set()
    for one in findings:
        same = [other for other in terms if words(other) == words(one)]
        if len(same) < 2:
            found.append(one)
        elif words(one) not in said:
            said.add(words(one))
            found.append(replace(one, sentence=f"In {listed(same)}: {words(one)[2]}"))
    return found


def listed(findings):
    """Return 'dp["a"], dp["b"], dp["c"] and 3 more'."""
    names = [one.output for one in findings]
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")

"""Grading a bug hunt: which line of the given code is wrong, and what is wrong with it?

    def answer():
        return {"line": 9, "mistake": "C"}

Half of the score is the line, half the name. The letters stand in another order for every student. Once both are found, the
report tells where this very bug was shipped, and how it hid.

Tested    tests/grading/test_bugs.py.
"""
import numbers

from nanolm.grading import answers, diagnose
from nanolm.grading.exercise import Call
from nanolm.grading.report import Report

ASKED = 'The answer must be a dict with two keys: {"line": 7, "mistake": "C"}.'


def grade_bug(exercise, function, seed, seconds, shrinking):
    """Return the Report on an answer to a bug hunt."""
    call = Call((), shown={"code": exercise.source})
    answer = function.ask(call, seconds) if hasattr(function, "ask") else answers.ask(function, call, (), seconds)
    report = Report(exercise.name, tried=1, outputs={"line": "wrong", "mistake": "wrong"}, hint=exercise.hint_line())
    if answer.trouble:
        report.findings = [diagnose.of_trouble(answer, True)]
        return report
    given = answer.value
    if not isinstance(given, dict) or not {"line", "mistake"} <= set(given):
        report.findings = [diagnose.Finding("type", ASKED, "behaviour")]
        return report
    right = exercise.reference()
    line, letter = whole(given["line"]), given["mistake"]
    letter = letter.strip().upper() if isinstance(letter, str) else None
    if line in right["line"]:
        report.outputs["line"] = "right"
    else:
        sentence = about_line(exercise, line, given["line"])
        report.findings.append(diagnose.Finding("other_line", sentence, "behaviour", "line"))
    if letter == right["mistake"]:
        report.outputs["mistake"] = "right"
    else:
        sentence = about_mistake(exercise, letter, given["mistake"])
        report.findings.append(diagnose.Finding("other_mistake", sentence, "behaviour", "mistake"))
    report.score = 0.5 * list(report.outputs.values()).count("right")
    report.passed = report.score == 1
    if report.passed and exercise.story:
        report.notes.append(exercise.story)
    return report


def about_line(exercise, line, given):
    """Return a sentence on a line that is not the one."""
    lines = exercise.source.splitlines()
    if line is None or not 1 <= line <= len(lines):
        return f"line must be a whole number from 1 to {len(lines)}, but it is {shown(given)}."
    if not lines[line - 1].strip():
        return f"Line {line} is empty. The first line of the code, line 1, is: {lines[0]}"
    return f"Line {line} is not it. It is right as it stands, or only shows what went wrong elsewhere: {lines[line - 1].strip()}"


def about_mistake(exercise, letter, given):
    """Return a sentence on a letter that is not the one."""
    if letter in exercise.choices:
        return f'It is not {letter}, "{exercise.choices[letter]}" This is not true of this code. Run it, and look at the numbers.'
    return f"mistake must be one of the letters {', '.join(exercise.choices)}, but it is {shown(given)}."


def whole(value):
    """Return a line's number as an int: of 7, 7.0, NumPy's 7 or "7"; None if it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, (str, numbers.Real)):
        return None
    try:
        number = int(value)
        return number if isinstance(value, str) or number == value else None
    except (ValueError, OverflowError):                     # "seven", NaN, infinity
        return None


def shown(value):
    """Return a short text of what was given; of what is neither a number nor a text, its kind."""
    if not isinstance(value, (str, int, float)) and value is not None:
        return f"a {type(value).__name__}"
    if isinstance(value, int) and value.bit_length() > 100:     # repr refuses very long ones
        return "a very long number"
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."

"""The report on one answer: as text for a terminal, as a picture for a notebook, as JSON for programs.

Tested    tests/grading/test_grader.py.
"""
import html
import json
import textwrap
from dataclasses import dataclass, field

import numpy as np

from nanolm.grading import compare

WIDTH = 96


@dataclass
class Report:
    """What `grade` returns. Ask .passed, .score, .mistakes; print it; call .raise_if_failed()."""
    exercise: str
    passed: bool = False
    score: float = 0.0                              # 1 passed; up to 0.5 for what is right of it; 0 for none
    outputs: dict = field(default_factory=dict)     # {"dx": "right" or "wrong"}
    findings: list = field(default_factory=list)    # diagnose.Finding
    differences: list = field(default_factory=list)  # compare.Difference, with the smallest arguments
    smallest: object = None                         # trials.Trial with these arguments, or None
    shrunk: bool = False                            # whether the search for them came to its end
    inside: list = field(default_factory=list)      # sentences on the intermediate gradients
    notes: list = field(default_factory=list)       # what is worth knowing and costs nothing
    tried: int = 0                                  # how many calls were made
    hint: str = ""                                  # how to get the next hint
    seconds: float = 0.0

    @property
    def mistakes(self):
        """The names of what was found, ("mean_term_missing",)."""
        return tuple(finding.name for finding in self.findings)

    @property
    def written(self):
        """Whether there is an answer at all."""
        return "not_written" not in self.mistakes

    def __bool__(self):
        return self.passed

    def raise_if_failed(self):
        """Raise AssertionError with the text of the report unless it passed; return the report."""
        if not self.passed:
            raise AssertionError("\n" + str(self))
        return self

    def __str__(self):
        if self.passed:
            lines = [f"{self.exercise}: passed. {self.tried} calls, all right."]
        elif not self.written:
            why = self.findings[0].sentence
            lines = [f"{self.exercise}: not written yet.{'' if why == 'not written yet' else ' ' + why}"]
        else:
            lines = [f"{self.exercise}: not right yet, score {self.score:.2f} of 1.", ""]
            verdicts = ",  ".join(f"{name} {verdict}" for name, verdict in self.outputs.items())
            lines += [*textwrap.wrap(verdicts, WIDTH, initial_indent="  ", subsequent_indent="  "), ""] if self.outputs else []
            for finding in self.findings:
                lines += folded(finding.sentence) + ([""] if finding is self.findings[-1] else [])
                if finding.also:
                    lines += folded(f"(The same numbers would come from: {', '.join(finding.also).replace('_', ' ')}.)", "  ")
            lines += [line for sentence in self.inside for line in folded(sentence, "  ")] + ([""] if self.inside else [])
            lines += self.example()
        lines += [line for note in self.notes for line in folded("Note: " + note)]
        return ascii_only("\n".join(lines + ([self.hint] if self.hint and not self.passed else [])).rstrip())

    __repr__ = __str__

    def example(self):
        """Return the lines that show the smallest arguments seen, what came and what should have come."""
        if self.smallest is None:
            return []
        trouble = self.smallest.answer.trouble
        if trouble and trouble != "raised":
            return []
        lines = [f"{'The smallest arguments' if self.shrunk else 'Arguments'} that show it:"]
        for name, value in self.smallest.call.shown.items():
            lines += shown(name, value)
        lines += folded(self.smallest.answer.sentence, "  ") if trouble else []
        for difference in self.differences[:3]:
            lines += folded(difference.sentence, "  ")
            if isinstance(difference.got, np.ndarray) and 1 < difference.got.size <= 24:
                lines += shown("  got", difference.got) + shown("  expected", difference.expected)
        return lines

    def as_dict(self):
        """Return the report as a dict of plain values."""
        return {"exercise": self.exercise, "passed": self.passed, "score": round(self.score, 4), "written": self.written,
                "outputs": self.outputs, "tried": self.tried, "seconds": round(self.seconds, 3),
                "mistakes": [{"name": f.name, "sentence": f.sentence, "found_by": f.way, "output": f.output, "also": list(f.also)}
                             for f in self.findings],
                "differences": [{"output": d.output, "kind": d.kind, "sentence": d.sentence, "index": list(d.index)}
                                for d in self.differences],
                "smallest_arguments": {name: plain(value) for name, value in self.smallest.call.shown.items()}
                if self.smallest else {}, "inside": self.inside, "notes": self.notes, "text": str(self)}

    def to_json(self):
        """Return the report as JSON text."""
        return json.dumps(self.as_dict(), indent=2)

    def _repr_html_(self):
        pictures = "".join(table(d) for d in self.differences if isinstance(d.got, np.ndarray)
                           and d.wrong is not None and d.got.size <= 200)
        return f"<pre style='line-height:1.25'>{html.escape(str(self))}</pre>{pictures}"


def table(difference):
    """Return one wrong output as a small HTML table: the wrong entries in red, with a cross and what was expected."""
    got, right = np.atleast_2d(difference.got), np.atleast_2d(difference.expected)
    got, right, wrong = (a.reshape(-1, a.shape[-1]) for a in (got, right, np.atleast_2d(difference.wrong)))
    rows = []
    for g, r, w in zip(got, right, wrong):
        cells = "".join(f"<td style='padding:2px 8px;text-align:right;color:#111;background:{'#f4b6bd' if bad else '#e8e8e8'}' "
                        f"title='expected {y:.6g}'>{'&times; ' if bad else ''}{x:.4g}</td>" for x, y, bad in zip(g, r, w))
        rows.append(f"<tr>{cells}</tr>")
    return (f"<div style='display:inline-block;margin:4px 12px'><b>{html.escape(difference.output)}</b>, "
            f"wrong entries red with a cross"
            f"<table style='border-collapse:collapse'>{''.join(rows)}</table></div>")


def shown(name, value):
    """Return lines that show one value under its name: short arrays in full, long ones by their shape."""
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in shown(f"{name}[{key}]", inner)]
    if isinstance(value, np.ndarray):
        small = 0 < np.abs(np.nan_to_num(value)).max(initial=0) < 0.1       # 1e-7 must not be shown as 0
        text = np.array2string(value, precision=4, suppress_small=not small, separator=", ", max_line_width=WIDTH - 20) \
            if value.size <= 24 else f"{compare.described(value)}"
    else:
        text = repr(value)
    first, *rest = text.splitlines() or [""]
    return [f"    {name:<12} {first}"] + [" " * 17 + line for line in rest]


def plain(value):
    """Return value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= 64 else f"array of shape {value.shape}"
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def folded(sentence, indent=""):
    return textwrap.wrap(ascii_only(sentence), WIDTH, initial_indent=indent, subsequent_indent=indent) or [""]


def ascii_only(text):
    return text.encode("ascii", "backslashreplace").decode()

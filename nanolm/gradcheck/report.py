"""The report: what was checked, which gradient is wrong, where, and what it should have been.

    report.passed           True if every gradient is right and no rule of the contract is broken
    report.gradients        one Gradient a tensor: name, shape, dtype, verdict, error, where, got, expected, reason
    report.problems         sentences: broken rules that belong to no single gradient
    report.notes            sentences: weak arguments, corners, why central differences were used
    print(report)           ASCII, under 100 columns; a notebook shows a picture below it (picture.py)
"""
import textwrap
from dataclasses import dataclass, field

import numpy as np

from nanolm.gradcheck import verdict

WIDTH, EXPLAINED = 98, 5              # columns of text; wrong gradients that get a paragraph of their own


@dataclass
class Gradient:
    """What was found about the gradient of one tensor. error is |got - expected|, the largest, at the entry `where`."""

    name: str
    shape: tuple                       # of the tensor, which its gradient must have
    dtype: np.dtype
    verdict: str = "right"             # "right", "wrong" or "cannot tell"
    method: str = ""
    error: float = None
    where: tuple = None
    got: float = None
    expected: float = None
    got_shape: tuple = None
    got_dtype: np.dtype = None
    wrong: np.ndarray = None           # boolean, True at each wrong entry
    values: np.ndarray = None          # the gradient that backward returned, and the numerical one, for the picture
    expected_values: np.ndarray = None
    steps: tuple = None                # the error of the worst entry against central differences at h and at h/10
    corners: list = field(default_factory=list)
    reason: str = ""
    along_directions: bool = False

    @property
    def passed(self):
        return self.verdict == "right"

    def fail(self, reason):
        self.verdict, self.reason = "wrong", reason or self.reason

    def cannot_tell(self, reason):
        if self.verdict == "right":
            self.verdict, self.reason = "cannot tell", reason

    def worst(self, where, got, expected):
        self.where, self.got, self.expected, self.error = where, float(got), float(expected), float(abs(got - expected))

    def receive(self, got, n_upstreams):
        """Take what backward returned, one thing for each upstream gradient. True if there are numbers to compare."""
        first = got[0] if got else None
        if first is None or any(g is None for g in got):
            self.fail("backward returned no gradient for it." if first is None else "It is missing for some dy.")
            return False
        if not isinstance(first, (np.ndarray, np.generic)) and not (self.shape == () and isinstance(first, float)):
            self.fail(f"It is a {type(first).__name__}, not a NumPy array.")
            return False
        arrays = [np.asarray(g) for g in got]
        self.got_shape, self.got_dtype = arrays[0].shape, arrays[0].dtype
        for array in arrays:
            if array.shape != self.shape:
                self.got_shape = array.shape
                self.fail(f"Its shape is {array.shape}, expected {self.shape}." + _hint(array.shape, self.shape))
                return False
            if array.dtype != self.dtype:
                self.got_dtype = array.dtype
                self.fail(f"Its dtype is {array.dtype}, expected {self.dtype}.")
                if array.dtype.kind not in "fiu":
                    return False
        if len(arrays) < n_upstreams:
            self.fail("backward failed for another dy, see below.")
            return False
        return True


@dataclass
class Report:
    """The result of check and check_model."""

    name: str
    gradients: list
    problems: list
    notes: list
    inputs_written: list               # names of what forward or backward wrote to
    second_call_differs: bool
    n_upstreams: int
    h: float

    @property
    def passed(self):
        return bool(self.gradients) and not self.problems and all(g.passed for g in self.gradients)

    def __bool__(self):
        return self.passed

    def raise_if_failed(self):
        """Raise AssertionError with the whole report unless passed; return the report, so that calls chain."""
        if not self.passed:
            raise AssertionError("\n" + str(self))
        return self

    def __str__(self):
        return "\n".join(_lines(self)).encode("ascii", "backslashreplace").decode()      # a name may be Greek

    __repr__ = __str__

    def _repr_html_(self):
        from nanolm.gradcheck import picture          # matplotlib, and only where a notebook asks for it
        return picture.html(self)

    def _repr_png_(self):
        from nanolm.gradcheck import picture
        return picture.png(self)


def _lines(report):
    bad = [g for g in report.gradients if not g.passed]
    methods = sorted({g.method for g in report.gradients if g.method})
    total = len(report.gradients)
    if report.passed:
        verdict_line = f"RIGHT: {total} gradient{'s' * (total > 1)}"
    elif any(g.verdict == "wrong" for g in bad):
        verdict_line = f"WRONG: {len(bad)} of {total} gradients"
    else:
        verdict_line = "CANNOT TELL, see below" if bad else "WRONG: the numbers are right, but a rule is broken"
    upstreams = f"{report.n_upstreams} upstream gradient{'s' * (report.n_upstreams > 1)}"
    yield from _wrap(f"{report.name}   {verdict_line}", "")
    yield f"({' and '.join(methods) or 'not compared'}, float64, {upstreams})"
    yield ""
    width = max(11, *(len(_cut(g.name)) for g in report.gradients))
    yield f"  {'gradient of':<{width}}  {'shape':<13}{'dtype':<8}{'error':>8}  {'at':<11}{'got':>14}{'expected':>14}"
    for g in report.gradients:
        where = "" if g.where is None else str(list(g.where)).replace(" ", "")
        where = "direction" if g.where is None and g.along_directions else where
        shape = str(g.shape if g.got_shape is None else g.got_shape).replace(" ", "")
        dtype = str(g.got_dtype or g.dtype)
        mark = " " if g.passed else "*"
        yield (f"{mark} {_cut(g.name):<{width}}  {shape:<13}{dtype:<8}{_number(g.error, '.1e'):>8}  {where:<11}"
               f"{_number(g.got, '.7g'):>14}{_number(g.expected, '.7g'):>14}").rstrip()
    yield ""
    explained = [g for g in bad if _explain(g, report.h)]
    for g in explained[:EXPLAINED]:
        yield from _wrap(_explain(g, report.h), f"* {g.name}: ")
    if len(explained) > EXPLAINED:
        yield f"* and {len(explained) - EXPLAINED} more, marked * above."
    for problem in report.problems:
        yield from _wrap(problem, "* ")
    second = "yes" if report.second_call_differs else "no"
    written = ", ".join(report.inputs_written) or "none"
    yield from _wrap(f"inputs written to: {written}. second call different: {second}.", "  ")
    for g in report.gradients:
        if g.corners:
            more = "" if len(g.corners) == 1 else f" and {len(g.corners) - 1} more"
            yield from _wrap(f"{g.name}{list(g.corners[0])}{more}: forward has a corner here, its slope on the left is "
                             f"not that on the right, so there is no derivative. backward's value lies between the two "
                             f"and was accepted.", "  note: ")
    for note in report.notes:
        yield from _wrap(note, "  note: ")


def _explain(g, h):
    parts = []
    if g.wrong is not None and g.verdict == "wrong":
        count = int(g.wrong.sum())
        parts.append(f"found one wrong entry of {g.wrong.size} by halving." if g.along_directions else
                     f"{count} of {g.wrong.size} entries wrong.")
    parts.append(g.reason)
    if g.steps is not None and g.got_shape == g.shape:
        parts.append(f"Against central differences the worst is off by {g.steps[0]:.1e} at h = {h:g} and by "
                     f"{g.steps[1]:.1e} at h = {h / 10:g}: {verdict.behaviour(*g.steps)}.")
    return " ".join(p for p in parts if p)


def _hint(got, expected):
    """A hint where a sum over leading axes was forgotten, or broadcasting was not undone."""
    if len(got) > len(expected) and got[len(got) - len(expected):] == expected:
        first = "axis" if len(got) == len(expected) + 1 else f"{len(got) - len(expected)} axes"
        return f" Sum over the first {first}: every place there used the same numbers."
    if got == expected[::-1]:
        return " It is turned: look for a missing .T."
    if len(got) == len(expected) and all(e in (1, g) for g, e in zip(got, expected)):
        return " Sum over the axes of size 1: forward broadcast them."
    return ""


def _cut(name):
    return name if len(name) <= 25 else "..." + name[-22:]


def _number(value, form):
    return "-" if value is None else format(value, form)


def _wrap(text, first):
    text = text.encode("ascii", "backslashreplace").decode()        # before wrapping: it gets longer
    return textwrap.wrap(first + text, WIDTH, subsequent_indent="    ")

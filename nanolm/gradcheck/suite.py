"""All ready-made cases of one layer, in one call: for a student's own backward, and for nanolm's.

    gradcheck.check_backward("layernorm", mine)      your backward, after nanolm's forward
    gradcheck.check_layer("layernorm")               nanolm's own pair
"""
from dataclasses import dataclass

from nanolm import kernels
from nanolm.gradcheck import cases


@dataclass
class SuiteReport:
    """The reports of all cases of one layer. Printing it shows one line a case and the first failing report in full."""

    name: str
    reports: list

    @property
    def passed(self):
        return bool(self.reports) and all(r.passed for r in self.reports)

    @property
    def first_failed(self):
        """The report of the first case that failed, or None."""
        return next((r for r in self.reports if not r.passed), None)

    def __bool__(self):
        return self.passed

    def raise_if_failed(self):
        """Raise AssertionError with the text of the report unless all cases passed; return the report."""
        if not self.passed:
            raise AssertionError("\n" + str(self))
        return self

    def __str__(self):
        right = sum(r.passed for r in self.reports)
        lines = [f"{self.name}: {right} of {len(self.reports)} cases right"]
        lines += [f"  {'right' if r.passed else 'WRONG'}  {r.name.split(', ', 1)[-1]}" for r in self.reports]
        if not self.passed:
            lines += ["", "The first that is wrong:", "", str(self.first_failed)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        from nanolm.gradcheck import picture
        return picture.html(self if self.passed else self.first_failed, text=str(self))


def check_layer(layer, seed=0, **options):
    """Return the SuiteReport of a layer or model of nanolm, given by name or as a module, on all its cases."""
    return SuiteReport(_name(layer), [case.run(**options) for case in cases.of(_name(layer), seed)])


def check_backward(layer, backward, forward=None, seed=0, **options):
    """Return the SuiteReport of your `backward` for a layer or model of nanolm, given by name or as a module.

    Your backward gets the cache of nanolm's forward; give your own forward too if it keeps something else.
    Raises TypeError if backward is not a function, ValueError if there are no cases for that layer.
    """
    for key, function in (("backward", backward), ("forward", forward or backward)):
        if not callable(function):
            raise TypeError(f"{key} must be a function, but it is a {type(function).__name__}. "
                            f"Pass the function itself, without calling it.")
    with kernels.using("numpy"):                        # the caches that the plain files describe
        return SuiteReport(_name(layer), [case.run(forward, backward, **options) for case in cases.of(_name(layer), seed)])


def _name(layer):
    return (layer if isinstance(layer, str) else getattr(layer, "__name__", str(layer))).rsplit(".", 1)[-1]

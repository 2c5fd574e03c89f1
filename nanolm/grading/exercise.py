"""What an exercise is: a function to write, what it is called with, the right answer, and the mistakes that are known.

    Call        one set of arguments for the student's function, and what of it a person wants to see
    Mistake     a wrong answer that has a name: a function with the signature that the student's has
    Term        a part of a right answer that is a sum: for the derivation's terms, one by one
    Exercise    all that the grader, the lists and the student's copy need

An exercise is data. The files in exercises/ hold one family each, the files in mistakes/ their wrong answers; nothing
here knows of layers. An exercise whose constants depend on the student is made by a function of the student's id.

Tested    tests/grading/test_catalogue.py.
"""
import inspect
from dataclasses import dataclass, field
from functools import partial

KINDS = ("backward", "forward", "variant", "optimizer", "bug", "checker")


@dataclass
class Call:
    """The arguments of one call of the student's function."""
    args: tuple
    kwargs: dict = field(default_factory=dict)
    shown: dict = field(default_factory=dict)       # {name: value} in which a person thinks: x, weight, dy; not the cache
    sizes: dict = field(default_factory=dict)       # {"B": 2, "T": 3, ...}: what a wrong factor may be made of
    title: str = ""                                 # "square", "row 2 may attend to nothing"


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer. `sentence` says what was done wrong, in words for a student, and where to look."""
    name: str                                       # "mean_term_missing"
    sentence: str
    function: object                                # called as the student's function is
    switches: dict = field(default_factory=dict)    # the derivation's switches that make it; {} if written out


@dataclass(frozen=True)
class Term:
    """One term of an output that is a sum of terms: array is what it adds to the right answer."""
    name: str                                       # "mean_term"
    label: str                                      # "the mean term, -average(dn), (N3)"
    array: object


@dataclass(frozen=True)
class Probe:
    """A property that forward must have whatever the numbers are. holds(function, draw) returns True, or a sentence."""
    name: str                                       # "future_leak"
    holds: object


@dataclass(frozen=True)
class Exercise:
    """A function to write, and all that is needed to grade it. See the fields' comments."""
    name: str                                       # "layernorm.backward"
    kind: str                                       # one of KINDS
    task: str                                       # what to write, in plain words; constants of the student filled in
    outputs: tuple                                  # the names of what it returns, ("dx", "dweight", "dbias")
    reference: object                               # the right answer, called as the student's function is
    inputs: object                                  # inputs(draw) -> Call; draws.py
    cases: object = tuple                           # cases() -> Calls that must be among those tried
    signature: str = ""                             # "def backward(dy, cache):"
    docstring: str = ""                             # of the library where the function is the library's
    mistakes: tuple = ()
    others: object = tuple                          # others() -> more Mistakes, too many for a list: answers with
                                                    # a friend's numbers
    terms: object = None                            # terms(*args, **kwargs) -> {output: [Term]}
    steps: object = None                            # steps(*args, **kwargs) -> [inside.Step], in the order of backward
    probes: tuple = ()
    own: tuple = ()                                 # the library's functions that would be the answer itself
    changes: tuple = ()                             # names of arguments that it has to write to (optimizers), "" for others
    held: tuple = ()                                # those of them whose arrays others hold: no new array may take their place
    level: int = 1                                  # 1 a line or two, 2 a derivation, 3 a composite
    minutes: int = 15
    notebook: str = ""                              # "05_layernorm"
    hints: tuple = ()                               # from a nudge to nearly the answer
    imports: str = "import numpy as np"             # what the student's file begins with
    where: object = None                            # (module, "backward"): what train_with puts the student's function into
    source: str = ""                                # bug: the wrong code that is shown
    choices: dict = field(default_factory=dict)     # bug: {letter: sentence}
    story: str = ""                                 # bug: where it was shipped; told once it is found

    def stub(self):
        """Return the code a student begins with: imports, signature, docstring, and a line that says it is not written."""
        body = f'    """{self.docstring.rstrip()}\n    """' if "\n" in self.docstring else f'    """{self.docstring}"""'
        return f"{self.imports}\n\n\n{self.signature}\n{body}\n    raise NotImplementedError(\"not written yet\")\n"

    def hint_line(self):
        """Return the sentence that says how to get the first hint, "" if there is none."""
        n = len(self.hints)
        return f"Stuck? There {'are' if n != 1 else 'is'} {n} hint{'s' * (n != 1)}: hint({self.name!r}, 1)." if n else ""


def library(module, name):
    """Return (signature, docstring) of a function of nanolm as they stand in its file, defaults and all.

    The signature is one line, "def backward(dy, cache):"; the docstring has the indentation of the file.
    """
    function = getattr(module, name)
    function = inspect.unwrap(function)
    return f"def {name}{inspect.signature(function)}:", function.__doc__


def ways(derivation, **wrong):
    """Return Mistakes made by a derivation that has switches: name=(sentence, {"switch": "wrong way"}).

    The derivation is the right answer with keyword arguments, one for each place where people go wrong; two mistakes that
    use different switches can then be made at once, and diagnose.py tries the pairs too.
    """
    return tuple(Mistake(name, sentence, partial(derivation, **switches), switches)
                 for name, (sentence, switches) in wrong.items())


def written(**wrong):
    """Return Mistakes that are written out: name=(sentence, function)."""
    return tuple(Mistake(name, sentence, function) for name, (sentence, function) in wrong.items())

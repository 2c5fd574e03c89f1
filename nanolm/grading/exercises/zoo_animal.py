"""What an animal of the bug zoo is: code with one bug, what is wrong with it, what is not, and where experts shipped it.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Animal:
    """Code of ours with a bug that others shipped, and all that the exercise needs."""
    name: str                                       # "context": the exercise is zoo.context
    task: str                                       # what the code is meant to do, in plain words
    code: str                                       # as it is shown; line 1 is the first
    lines: tuple                                    # the numbers of the lines that may be named: mostly one
    repair: str                                     # what stands in the place of the first of these lines when it is right
    right: str                                      # the sentence of what is wrong
    others: tuple                                   # 5 to 7 sentences that one could think, each false of this code
    story: str                                      # where it was, how it hid, how one finds it; told once it is found
    checkable: bool = False                         # whether a gradient check of this code shows the bug
    level: int = 2
    notebook: str = ""
    hints: tuple = ()

    def repaired(self):
        """Return the code with its repair."""
        lines = self.code.splitlines()
        lines[self.lines[0] - 1] = self.repair
        return "\n".join(lines) + "\n"

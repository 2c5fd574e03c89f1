"""What the diagnosis finds: one thing that is wrong, in words.

Tested    tests/grading/test_findings.py.
"""
from dataclasses import dataclass


@dataclass
class Finding:
    """One thing that is wrong. way: "the same output", "two at once", "terms", "signature", "behaviour", "probe"."""
    name: str
    sentence: str
    way: str
    output: str = ""
    also: tuple = ()                                # names of other known mistakes that would give the very same numbers

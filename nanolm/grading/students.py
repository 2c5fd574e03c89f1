"""A student's own constants: drawn from the id, so that an answer copied from a friend is wrong.

    Constants("s123").real("softmax.temperature", 0.5, 2.5)         the same on every machine, for this student alone

Tested    tests/grading/test_students.py.
"""
import hashlib


class Constants:
    """Numbers that depend on the student's id and on the name under which they are asked for, and on nothing else."""

    def __init__(self, student=None):
        self.student = "example" if student is None else str(student).strip()

    def share(self, name):
        """Return a number at least 0 and below 1."""
        digest = hashlib.sha256(f"nanolm exercise {name} for {self.student}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def real(self, name, low, high, digits=2):
        """Return a number between low and high with a few digits after the point."""
        return round(low + (high - low) * self.share(name), digits)

    def whole(self, name, low, high):
        """Return a whole number, low <= n <= high."""
        return low + int(self.share(name) * (high - low + 1))

    def order(self, name, things):
        """Return the things in an order of the student's own."""
        return sorted(things, key=lambda thing: self.share(f"{name}: {thing}"))

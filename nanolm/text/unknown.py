"""The error for a tokenizer's file that is whole, but of a kind that nanolm does not have.

A damaged file is a plain ValueError. The difference matters to whoever reads published weights: a damaged file is a reason to
stop, an unknown tokenizer is not, for the weights are good without it.

Tested    tests/test_checkpoint_tokenizers.py.
"""


class Unknown(ValueError):
    """A tokenizer of a kind that nanolm does not have. The sentence says what is unknown, and in which file."""


def same(error):
    """Return the class in which to raise `error` again with more said: Unknown stays Unknown, all else is a ValueError."""
    return Unknown if isinstance(error, Unknown) else ValueError

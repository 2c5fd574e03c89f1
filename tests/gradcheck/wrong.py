"""The list of wrong backwards; the files wrong_*.py add to it, one decorator a function.

"M" in a comment there: an entry of the project's list of mistakes that people make in hand-written backward passes.
"""
WRONG = []                               # (layer, forward or None, backward)


def wrong(layer, forward=None):
    """File a backward under its layer; forward= is given where the mistake sits in what forward keeps or does."""
    def file(function):
        WRONG.append((layer, forward, function))
        return function
    return file

"""Text as bytes: UTF-8, widened just enough that every Python str has bytes of its own.

UTF-8 writes the number of a character, in base 2, where the x stand, and takes the shortest form that has room:

    0xxxxxxx  7 bits    110xxxxx 10xxxxxx  11 bits    1110xxxx and two 10xxxxxx  16    11110xxx and three  21     (TK1)

ASCII characters are one byte each, equal to their number, so English costs a byte a letter; any byte string decodes in at
most one way. That makes bytes the floor every tokenizer here stands on: there are only 256 of them, so nothing can ever
be "out of vocabulary".

Two cases need a rule.

1. A str that is not valid Unicode. Python's str may hold a lone surrogate, U+D800 to U+DFFF: half of a pair of UTF-16,
   found in damaged text and in file names. Strict UTF-8 refuses it. Here it is written as the three bytes its number
   would give ("surrogatepass"), so it comes back as it was. tiktoken differs: it joins a high and a low surrogate that
   meet into the one character they stand for, and replaces any other by U+FFFD. Two different strs are then one.
2. Bytes that are not valid UTF-8: a model may sample half a character. Each stretch that cannot be read becomes one
   U+FFFD, the replacement character, as in bytes.decode("utf-8", errors="replace"). Nothing is raised.

Both rules hold at once, so to_text(to_bytes(s)) == s for every str. To print a text that may hold a lone surrogate,
replace it first: text.encode("utf-8", "replace").decode("utf-8").

Source    The Unicode Standard, section 3.9 (UTF-8; U+FFFD for maximal subparts).  Tested  tests/test_characters.py.
"""
import codecs
import operator

import numpy as np


def to_bytes(text):
    """Return the bytes of the str `text`. Raises TypeError for anything but a str."""
    return text_checked(text).encode("utf-8", "surrogatepass")


def to_text(data):
    """Return the str that the bytes `data` spell; what spells nothing becomes U+FFFD."""
    return data.decode("utf-8", "nanolm.surrogate_or_replace")


def _surrogate_or_replace(error):
    try:
        return codecs.lookup_error("surrogatepass")(error)      # the three bytes of a lone surrogate: rule 1
    except UnicodeDecodeError:
        return codecs.lookup_error("replace")(error)            # anything else: rule 2


codecs.register_error("nanolm.surrogate_or_replace", _surrogate_or_replace)


def text_checked(text):
    """Return `text` if it is a str; raise TypeError with a sentence if not."""
    if isinstance(text, str):
        return text
    hint = " Decode the bytes first: text.decode('utf-8')." if isinstance(text, (bytes, bytearray)) else ""
    raise TypeError(f"a tokenizer reads a str, but text came as {type(text).__name__}.{hint}")


def ids_checked(ids, vocab_size):
    """Return `ids` as a list of int if each is in 0 ... vocab_size - 1.

    Raises TypeError if they are not integers, ValueError if they are not 1-D or out of range.
    """
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ValueError(f"ids must be 1-D, one sequence of tokens, but came with shape {array.shape}. "
                         f"Decode a batch row by row.")
    if array.size == 0:
        return []
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, but came as {array.dtype}.")
    outside = (array < 0) | (array >= vocab_size)
    if outside.any():
        where = int(outside.argmax())
        raise ValueError(f"ids[{where}] is {array[where]}, but this tokenizer has {vocab_size} tokens, "
                         f"with ids 0 to {vocab_size - 1}. Was the text encoded by another tokenizer?")
    return array.tolist()


def id_checked(token_id, vocab_size):
    """Return `token_id` as an int if it is in 0 ... vocab_size - 1. Raises TypeError or ValueError if it is not."""
    try:
        number = operator.index(token_id)
    except TypeError:
        raise TypeError(f"a token id must be an integer, but came as {type(token_id).__name__}.") from None
    return ids_checked([number], vocab_size)[0]

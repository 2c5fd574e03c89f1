"""Find the names of special tokens in a text, for those who ask for it: "<|im_end|>" as one token, not as ten characters.

encode takes all text as ordinary, so that no text can forge a token that has a meaning to the model. encode(text,
special=True) is for text that the program wrote itself, such as "The capital of France is [MASK].".

At each place the longest name that fits is taken.

Tested    tests/test_hf_tokenizer.py, tests/test_wordpiece.py.
"""
import re


def expression(names):
    """Return the regular expression that finds any of `names`; its `split` gives text, name, text, name, ..., text."""
    if not names:
        return re.compile("((?!))")                              # what never fits
    return re.compile("(" + "|".join([re.escape(name) for name in sorted(names, key=len, reverse=True)]) + ")")


def checked(special):
    """Return `special`, names of special tokens, if they are strs of whole characters, not empty, in some list or dict."""
    if isinstance(special, str):
        raise TypeError(f"special must be a list of names, but came as the str {special!a}. Write [{special!a}].")
    for name in special:
        if not isinstance(name, str) or not name or any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(f"the name of a special token must be a str of whole characters, but one is {name!a}.")
    return special


def id_of(special, name):
    """Return special[name]. Raises KeyError with a sentence that lists the names there are."""
    if name not in special:
        known = ", ".join(list(special)[:20]) or "none"
        raise KeyError(f"this tokenizer has no special token {name!a}. It has: {known}.")
    return special[name]

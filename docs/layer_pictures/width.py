"""How wide a text is at most, without asking a font.

The widths are those of DejaVu Sans, in twentieths of the font's size and rounded up. It is wider than Arial, Helvetica and
Liberation Sans, so what fits here fits on a machine with any of the fonts that draw.py names. Monospace: 0.602, all of them.
"""
import re

WIDTHS = {0.25: "′", 0.3: "'IJijl", 0.35: " \u00a0,./:;\\|·", 0.4: "()-[]ft", 0.45: "!r", 0.5: "\"*_`–", 0.55: "?csz",
          0.6: "FLkvxyλ",
          0.65: "$0123456789EPSTYabdeghnopqu{}√πΣσβ", 0.7: "ABCKRVXZφα", 0.75: "NU", 0.8: "&DGHOQΦ", 0.85: "#+<=>^w~−×→←≤≥∞≈",
          0.9: "M", 1.0: "%@Wm…"}
WIDTH = {character: width for width, characters in WIDTHS.items() for character in characters}
MONO, BOLD, SMALL = 0.602, 1.12, 0.78                # SMALL: an index's size, as a share of its formula's
INDEX = re.compile(r"([_^])\{([^}]*)\}")             # x_{t}, W^{T}


def of(text, size, mono=False, bold=False):
    """Return how many units `text` takes at most; it may hold indices, x_{t} or W^{T}."""
    small = sum(plain(match.group(2), mono) for match in INDEX.finditer(text))
    return size * (plain(INDEX.sub("", text), mono) + SMALL * small) * (BOLD if bold else 1)


def plain(text, mono):
    """Return the width of a text without indices, in its font's size."""
    return len(text) * MONO if mono else sum(WIDTH.get(character, 1.0) for character in text)


def wrapped(text, size, room):
    """Return the lines, each at most `room` wide, that the words of `text` fill one after the other."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if of(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

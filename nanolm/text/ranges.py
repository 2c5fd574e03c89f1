r"""Tables of characters, "41-5A AA", as unicode16.py and unicode_bert.py hold them: as integers, and for `re`.

Each entry is a code point or a range first-last, both included, in hexadecimal; between entries there is white space.
"""


def code_points(table):
    """Return the code points of a table, a list of integers: "41-43 AA" gives 65, 66, 67, 170."""
    result = []
    for entry in table.split():
        first, _, last = entry.partition("-")
        result += range(int(first, 16), int(last or first, 16) + 1)
    return result


def character_class(table):
    r"""Return a table as the inside of a regular expression's [...]: "41-43 AA" gives \U00000041-\U00000043\U000000AA."""
    return "".join(["-".join([f"\\U{int(code, 16):08X}" for code in entry.split("-")]) for entry in table.split()])

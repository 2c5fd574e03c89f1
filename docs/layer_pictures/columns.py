"""The usual picture: the arrays of forward side by side, and beneath each its gradient, of the same shape."""
from dataclasses import dataclass

import numpy as np

from layer_pictures import width
from layer_pictures.draw import BACK, EDGE, FORMULA, FORTH, GREY, W


@dataclass
class Column:
    """One array, and what goes back through it."""
    name: str                       # "weight"
    shape: str                      # "(C, F)": in letters
    values: np.ndarray
    gradient: np.ndarray = None     # None: it has none
    formula: str = ""               # how the gradient comes about
    learned: bool = False           # a thick frame
    decimals: int = 2
    back: int = None                # decimals of the gradient; None: as many
    framed: tuple = ()              # cells to point at
    colour: str = FORTH
    label: str = ""                 # of the gradient, "d" + name unless told


def draw(picture, items, top=240, road=468, below=578, cell=(100, 44), calls=("", ""), gap=0):
    """Draw Columns and the signs (texts) between them across the picture; return the left edge of each Column by its name.

    top, road, below: where the arrays, the two calls and the gradients begin. gap: the least space beside a sign.
    """
    wide = [np.atleast_2d(item.values).shape[1] * cell[0] if isinstance(item, Column) else width.of(item, 40) for item in items]
    space = (W - 2 * EDGE - sum(wide)) / max(len(items) - 1, 1)
    assert space >= gap, f"{picture.name}: the arrays are too wide by {-space * (len(items) - 1):.0f}"
    left, x = {}, EDGE
    for item, w in zip(items, wide):
        if isinstance(item, Column):
            left[item.name] = x
            one(picture, item, x, w, top, below, cell)
        else:
            picture.text(x + w / 2, top + cell[1] * 1.5 + 14, item, 40, FORTH, "middle", bold=True)
        x += w + space
    if calls[0]:
        picture.road(road, *calls)
    return left


def one(picture, column, x, w, top, below, cell):
    """Draw one Column: its array at the top, its gradient and the gradient's formula below."""
    middle = x + w / 2
    label = f"{column.name} {column.shape}"
    if width.of(label, 30, bold=True) <= w + 40:
        picture.text(within(middle, label, 30), top - 14, label, 30, anchor="middle", bold=True)
    else:
        picture.text(within(middle, column.name, 30), top - 46, column.name, 30, anchor="middle", bold=True)
        picture.text(within(middle, column.shape, 28), top - 14, column.shape, 28, GREY, "middle")
    picture.array(x, top, column.values, column.colour, cell, column.decimals, column.name, True, column.learned, column.framed)
    if column.gradient is None:
        return
    name = column.label or "d" + column.name
    picture.text(within(middle, name, 30), below - 12, name, 30, BACK, "middle", bold=True)
    decimals = column.decimals if column.back is None else column.back
    _, end = picture.array(x, below, column.gradient, BACK, cell, decimals, name, framed=column.framed)
    if column.formula:
        picture.formula(within(middle, column.formula, FORMULA), end + 40, column.formula, BACK, "middle")


def within(middle, text, size):
    """Return where a centred text must stand so that it does not leave the picture."""
    half = width.of(text, size, bold=size < FORMULA) / 2
    return min(max(middle, EDGE + half), W - EDGE - half)

"""Ways that fork and meet, and the steps of a whole model in a row."""
from dataclasses import dataclass

from layer_pictures.draw import BACK, EDGE, FORTH, GREY, INK, W

FIRST = 196                                     # where the first step begins; to the left of it stand the names of the rows


@dataclass
class Step:
    """One step of a model."""
    name: str                                   # lines, apart by /
    shape: str                                  # of what comes out
    weights: str = ""                           # how many
    gradient: str = ""                          # the name of its weights' gradient
    size: str = ""                              # and how large that is
    stack: bool = False                         # drawn as several


def plus(picture, x, y, colour):
    """Draw a plus in a circle."""
    picture.parts.append(f'<circle cx="{x}" cy="{y}" r="22" fill="#ffffff" stroke="{colour}" stroke-width="4"/>')
    picture.text(x, y + 14, "+", 40, colour, "middle", bold=True)


def highway(picture, top, colour):
    """Draw the stream x of a block, its two branches and the two plus signs; from right to left for the way back."""
    forth = colour == FORTH
    ends = [(EDGE, top + 30), (W - EDGE, top + 30)]
    picture.arrow(ends if forth else ends[::-1], colour, 6)
    for fork, first, gap, last, meet in ((210, 270, 420, 620, 680), (850, 910, 1060, 1260, 1330)):
        branch = top - 67
        if forth:
            ways = ([(fork, top + 30), (fork, branch), (first - 4, branch)], [(gap + 2, branch), (gap + 48, branch)],
                    [(last + 2, branch), (meet, branch), (meet, top + 6)])
        else:
            ways = ([(meet, top + 30), (meet, branch), (last + 4, branch)], [(gap + 48, branch), (gap + 2, branch)],
                    [(first - 2, branch), (fork, branch), (fork, top + 6)])
        for way in ways:
            picture.arrow(way, colour)
        plus(picture, meet if forth else fork, top + 30, colour)


def box(picture, x, y, w, h, name, colour, stack=False):
    """Draw a step's box, with its name in it; a stack is several boxes, one behind the other."""
    for back in (16, 8) if stack else ():
        picture.rect(x + back, y - back, w, h, "#ffffff", colour, 3, 8)
    picture.rect(x, y, w, h, "#ffffff", colour, 4, 8)
    lines = name.split("/")
    for i, line in enumerate(lines):
        picture.text(x + w / 2, y + h / 2 + 10 + 34 * (i - (len(lines) - 1) / 2), line, 28, INK, "middle", bold=True)


def model(picture, steps, rows, top=232):
    """Draw the steps of a model: above the way forth with shapes and weights, below the way back; return the boxes' middles."""
    slot = (W - EDGE - FIRST) / len(steps)
    wide, middles = slot - 30, []
    for y, row in zip((top + 130, top + 172, 616, 664), rows):
        picture.text(EDGE, y, row, 28, GREY)
    for i, step in enumerate(steps):
        x = FIRST + i * slot
        middle = x + wide / 2
        middles.append(middle)
        box(picture, x, top, wide, 84, step.name, FORTH, step.stack)
        picture.text(middle, top + 130, step.shape, 28, INK, "middle")
        picture.text(middle, top + 172, step.weights, 28, INK, "middle")
        if step.gradient:
            box(picture, x, 580, wide, 54, step.gradient, BACK)
            picture.text(middle, 672, step.size, 28, BACK, "middle", mono=True)
        if i + 1 < len(steps):
            picture.arrow([(x + wide + (20 if step.stack else 4), top + 42), (x + slot - 4, top + 42)])
            if step.gradient:
                picture.arrow([(x + slot - 4, 607), (x + wide + 4, 607)], BACK)
    return middles


def tied(picture, middles, y, text):
    """Draw the line above the boxes that says: one table, used at all these places."""
    for middle in middles:
        picture.arrow([(middle, y - 24), (middle, y)], GREY, 3, head=False)
    picture.arrow([(middles[0], y - 24), (middles[-1], y - 24)], GREY, 3, head=False)
    picture.text((middles[0] + middles[-1]) / 2, y - 32, text, 28, GREY, "middle")

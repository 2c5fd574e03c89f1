"""The bug zoo: code with a bug that experts shipped. Which line is it, and what is wrong with it?

Each animal is code of ours that has the bug, in nanolm's letters; the story tells where the bug was, with its source. The code
runs: exec it, and look at what it does.

Tested    tests/grading/test_bugs.py, tests/grading/test_zoo.py.
"""
import textwrap

from nanolm.grading.exercise import Exercise
from nanolm.grading.exercises import zoo_attention, zoo_backward, zoo_generation, zoo_optimizers, zoo_training
from nanolm.grading.exercises.zoo_animal import Animal

__all__ = ["ANIMALS", "Animal", "exercises"]

ANIMALS = (*zoo_backward.ANIMALS, *zoo_attention.ANIMALS, *zoo_optimizers.ANIMALS, *zoo_training.ANIMALS, *zoo_generation.ANIMALS)
WIDTH = 96
DOCSTRING = """Return the number of the line and the letter of the mistake: {{"line": 7, "mistake": "C"}}.

The first line of the code is line 1. If several lines could be changed, name the one that does not
do what it should. The code runs; this is its text, without the numbers:

    from nanolm.grading import exercises
    print(exercises.find("{name}").source)

The code:

{code}

What may be wrong (one of these is true, the others are not):

{choices}
"""


def exercises(constants):
    return [exercise_of(animal, constants) for animal in ANIMALS]


def exercise_of(animal, constants):
    """Return the Exercise of one Animal: its choices in an order of the student's own."""
    name = f"zoo.{animal.name}"
    choices = constants.order(name, [animal.right, *animal.others])
    letters = {"ABCDEFGH"[i]: choice for i, choice in enumerate(choices)}
    letter = next(one for one, choice in letters.items() if choice == animal.right)
    listed = "\n".join(f"{i:>3}  {line}".rstrip() for i, line in enumerate(animal.code.splitlines(), 1))
    asked = "\n".join(line for one, choice in letters.items()
                      for line in textwrap.wrap(choice, WIDTH, initial_indent=f"  {one}  ", subsequent_indent=" " * 5))
    return Exercise(name, "bug", f"{animal.task} Which line is wrong, and what is wrong with it?", ("line", "mistake"),
                    lambda: {"line": tuple(animal.lines), "mistake": letter}, None, signature="def answer():",
                    docstring=DOCSTRING.format(name=name, code=listed, choices=asked), source=animal.code, choices=letters,
                    story=animal.story, level=animal.level, minutes=15, notebook=animal.notebook, hints=animal.hints)

"""Answers to exercises, collected by decorators from the files answers_*.py."""
RIGHT, WRONG = [], []                               # (exercise, function); (exercise, function, names that are right)


def right(exercise):
    """File a right answer, written otherwise than the library's."""
    def file(function):
        RIGHT.append((exercise, function))
        return function
    return file


def wrong(exercise, *names):
    """File a wrong answer; any of `names` names the mistake rightly. None: rejected, but by no special name."""
    def file(function):
        WRONG.append((exercise, function, names))
        return function
    return file


BUILT = []                                          # (exercise, builder): right answers to variants


def built(exercise, *names, wrong=False):
    """File an answer to a variant: the decorated function takes the student's numbers (variant.numbers) and returns the answer.

    It is built here with the numbers of the example, which is what find and grade take without a student. Right ones are
    also kept as builders, so that tests/grading/test_variants.py can give them the numbers of others.
    """
    from nanolm.grading.exercises import variant
    from nanolm.grading.students import Constants

    def file(builder):
        function = builder(variant.numbers(Constants()))
        function.__name__ = builder.__name__
        if wrong:
            WRONG.append((exercise, function, names))
        else:
            RIGHT.append((exercise, function))
            BUILT.append((exercise, builder))
        return builder
    return file

"""Drawing the arguments of an exercise: at random for grading, small and whole for showing.

An exercise describes its arguments once, by a function inputs(draw) that asks for sizes, arrays and ids. Two kinds of
`draw` answer it:

    Random(rng)     sizes that differ, normal numbers, gains that are not 1: a wrong answer cannot hide
    Small(draw)     hypothesis chooses, and makes the choice smaller as long as the answer stays wrong: one token, two
                    channels, whole numbers, something that can be checked with a pencil

Tested    tests/grading/test_draws.py.
"""
import numpy as np


class Random:
    """Arguments as they come, from a numpy.random.Generator."""

    def __init__(self, rng):
        self.rng = rng

    def whole(self, low, high):
        """Return a whole number, low <= n <= high."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, *options):
        """Return one of the options."""
        return options[int(self.rng.integers(len(options)))]

    def array(self, *shape, scale=1.0, shift=0.0):
        """Return float64 numbers, normal with standard deviation `scale` around `shift`."""
        return scale * self.rng.standard_normal(shape) + shift

    def upstream(self, *shape):
        """Return a dy: normal numbers, in one of three sizes, now and then half of them zero or the columns contiguous."""
        dy = self.rng.standard_normal(shape) * self.choice(1.0, 1.0, 300.0, 1e-6)
        if self.rng.random() < 0.2:
            dy *= self.rng.random(shape) < 0.5
        return np.asfortranarray(dy) if self.rng.random() < 0.2 else dy

    def number(self):
        """Return an upstream gradient for a loss: a number that is not one."""
        return self.choice(1.7, -3e-7, 4e4, -0.6)

    def share(self, *options):
        """Return one of the options: a rate, an eps, a number that has its usual values."""
        return self.choice(*options)

    def ids(self, shape, n):
        """Return integers below n, some of them repeated where there are enough."""
        return self.rng.integers(0, n, shape)

    def booleans(self, *shape, share=0.7):
        """Return True with the probability `share`."""
        return self.rng.random(shape) < share

    def generator(self):
        """Return a numpy.random.Generator with a seed of its own."""
        return np.random.default_rng(self.whole(0, 2**31))


class Small:
    """Arguments that hypothesis draws and shrinks. draw: the function that hypothesis's composite hands over."""

    def __init__(self, draw):
        from hypothesis import strategies
        from hypothesis.extra import numpy as arrays
        self.draw, self.st, self.arrays = draw, strategies, arrays

    def whole(self, low, high):
        return self.draw(self.st.integers(low, high))

    def choice(self, *options):
        return self.draw(self.st.sampled_from(options))

    def array(self, *shape, scale=1.0, shift=0.0):
        return self.draw(self.arrays.arrays(np.int64, shape, elements=self.st.integers(-3, 3))).astype(np.float64)

    def upstream(self, *shape):
        return self.array(*shape)

    def number(self):
        return self.draw(self.st.sampled_from((2.0, -1.0, 0.5)))

    def share(self, *options):
        return self.draw(self.st.sampled_from(options))

    def ids(self, shape, n):
        return self.draw(self.arrays.arrays(np.int64, shape, elements=self.st.integers(0, n - 1)))

    def booleans(self, *shape, share=0.7):
        return self.draw(self.arrays.arrays(np.bool_, shape))

    def generator(self):
        return np.random.default_rng(self.draw(self.st.integers(0, 9)))

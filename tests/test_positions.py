"""Positions: the learned table and the computed one."""
import math

import numpy as np
import pytest

from nanolm.layers import positions

BOTH_BACKENDS = True


def test_sinusoidal_equals_the_formula():
    table = positions.sinusoidal(20, 7, np.float64)
    assert table.shape == (20, 7) and positions.sinusoidal(3, 4).dtype == np.float32
    for t in (0, 1, 19):
        for c in range(7):
            angle = t / 10000 ** ((c - c % 2) / 7)
            assert math.isclose(table[t, c], math.cos(angle) if c % 2 else math.sin(angle), rel_tol=1e-13, abs_tol=1e-15)


def test_sinusoidal_shift_is_a_rotation():
    """sin and cos of t + s follow from those of t by a rotation that depends on s alone: why the paper chose them."""
    table = positions.sinusoidal(30, 8, np.float64)
    for pair, two_i in ((slice(2, 4), 2), (slice(6, 8), 6)):
        a = 5 / 10000 ** (two_i / 8)
        turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        np.testing.assert_allclose(table[5:30, pair], table[0:25, pair] @ turn.T, atol=1e-14)


def test_offset_takes_later_rows():
    x, table = np.zeros((2, 3, 4)), np.arange(24.0).reshape(6, 4)
    y, cache = positions.forward(x, table, offset=3)
    assert np.array_equal(y[1], table[3:6])
    _, dweight = positions.backward(np.ones((2, 3, 4)), cache)
    assert (dweight[:3] == 0).all() and (dweight[3:] == 2).all()


def test_wrong_arguments_are_named():
    x, table = np.zeros((2, 3, 4)), np.zeros((6, 4))
    with pytest.raises(ValueError, match="x has 3 tokens from position 4 on, but the table weight knows the positions 0 to 5"):
        positions.forward(x, table, offset=4)
    with pytest.raises(ValueError, match=r"weight must have the shape \(positions, C\) = \(positions, 4\)"):
        positions.forward(x, np.zeros((6, 5)))
    with pytest.raises(ValueError, match="n_positions must be at least 1, but it is 0"):
        positions.sinusoidal(0, 4)

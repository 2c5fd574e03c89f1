"""Right or wrong, and where: rounding is forgiven, a ten-millionth is not."""
import numpy as np
import pytest

from nanolm.grading import compare

RIGHT = (np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([5.0, 6.0]))
NAMES = ("dx", "dweight")


def differ(*got, expected=RIGHT, names=NAMES):
    return compare.differences(got if len(names) > 1 else got[0], expected, names)


def test_rounding_is_forgiven():
    assert differ(RIGHT[0] * (1 + 1e-14), RIGHT[1] + 1e-13) == []
    assert differ(np.asfortranarray(RIGHT[0]), list(RIGHT[1])[0:0] or RIGHT[1][::1]) == []


@pytest.mark.parametrize("change", [lambda a: a * (1 + 1e-7), lambda a: a + 1e-7, lambda a: np.where(a == 3, 3.0000001, a),
                                    lambda a: a * 0, lambda a: np.where(a == 0, 1e-8, a)])
def test_a_ten_millionth_is_not(change):
    found = differ(change(RIGHT[0]), RIGHT[1])
    assert [d.output for d in found] == ["dx"] and found[0].kind == "value" and found[0].wrong.any()


def test_the_worst_entry_is_named():
    wrong = RIGHT[0].copy()
    wrong[1, 0] = -3
    (found,) = differ(wrong, RIGHT[1])
    assert found.index == (1, 0) and found.sentence == "dx[1, 0] is -3, expected 3."


def test_a_true_zero_may_be_rounding_of_what_else_there_is():
    expected = (np.array([1e4, -1e4]), np.array([3e-13, 0.0]))
    assert compare.differences((expected[0], np.array([0.0, -2e-10])), expected, NAMES) == []
    assert compare.differences((expected[0], np.array([0.0, 1e-7])), expected, NAMES)


@pytest.mark.parametrize("got, words", [
    ((RIGHT[0],), "returned 1 value"), (RIGHT[0], "an array of shape (2, 2) alone"), ((*RIGHT, 1), "returned 3 values"),
    ({"dx": 1}, "a dict alone"), ((RIGHT[0].T[:1], RIGHT[1]), "must have the shape (2, 2), but it has (1, 2)"),
    ((None, RIGHT[1]), "dx is None"),
    ((RIGHT[0].tolist(), RIGHT[1]), "dx must be an array, but it is a list"), (("x", RIGHT[1]), "'x'")])
def test_the_container_is_told(got, words):
    found = compare.differences(got, RIGHT, NAMES)
    assert found and words in found[0].sentence


def test_a_tuple_of_one_for_an_array():
    (found,) = compare.differences((RIGHT[0],), RIGHT[0], ("dx",))
    assert "Leave out the comma" in found.sentence


def test_nested_dicts_are_compared_entry_by_entry():
    right = (RIGHT[0], {"c_fc": {"weight": RIGHT[1], "bias": RIGHT[1] * 2}})
    got = (RIGHT[0], {"c_fc": {"weight": RIGHT[1] + 1}, "c_proj": 3.0})
    found = compare.differences(got, right, ("dx", "dp"))
    assert [(d.output, d.kind) for d in found] == [('dp["c_fc"]["weight"]', "value"), ('dp["c_fc"]["bias"]', "missing"),
                                                   ('dp["c_proj"]', "extra")]


def test_nan_is_wrong_except_where_it_is_right():
    nan = np.where(RIGHT[0] == 3, np.nan, RIGHT[0])
    assert differ(nan, RIGHT[1])[0].kind == "nan"
    assert compare.differences((nan, RIGHT[1]), (nan, RIGHT[1]), NAMES) == []
    assert differ(RIGHT[0], RIGHT[1], expected=(nan, RIGHT[1]))


def test_six_digits_are_coarse():
    (found,) = differ(RIGHT[0].astype(np.float32) * np.float32(1.0000002), RIGHT[1])
    assert compare.coarse(found)
    (found,) = differ(RIGHT[0] * 1.01, RIGHT[1])
    assert not compare.coarse(found)


def test_infinity_is_no_licence():
    """With an infinite entry the others are still held to their digits, and the infinite one to itself."""
    right = np.array([np.inf, 1.0])
    assert compare.differences(np.array([np.inf, 1.0]), right, ("y",)) == []
    for got in ([0.0, 1.0], [np.inf, 1.5], [-np.inf, 1.0], [np.nan, 1.0]):
        assert compare.differences(np.array(got), right, ("y",)), got
    assert compare.differences(0.0, np.inf, ("error",)) and not compare.differences(np.inf, np.inf, ("error",))

"""What is seen of a wrong array: each signature is told from the others, on arrays made for it."""
import numpy as np
import pytest

from nanolm.grading import factors, signatures

rng = np.random.default_rng(8)
SIZES = [{"B": 2, "T": 3, "C": 4}, {"B": 3, "T": 5, "C": 2}]
RIGHT = [rng.standard_normal((s["B"], s["T"], s["C"])) for s in SIZES]
SQUARE = [rng.standard_normal((4, 4)), rng.standard_normal((3, 3))]


def seen(change, right=RIGHT):
    return signatures.seen([(change(a, s), a) for a, s in zip(right, SIZES)], SIZES, "dx")[0]


@pytest.mark.parametrize("name, words, change", [
    ("zero", "zero everywhere", lambda a, s: a * 0), ("sign", "other sign", lambda a, s: -a),
    ("factor", "C times", lambda a, s: a * s["C"]),
    ("factor", "1/(B T) times", lambda a, s: a / (s["B"] * s["T"])), ("factor", "2 times", lambda a, s: a * 2),
    ("factor", "0.37 times", lambda a, s: a * 0.37), ("factor", "C/(C-1)", lambda a, s: a * s["C"] / (s["C"] - 1)),
    ("nan", "NaN", lambda a, s: np.where(a == a.max(), np.nan, a)),
    ("permuted", "other places", lambda a, s: a.reshape(-1)[::-1].reshape(a.shape)),
    ("reversed", "last axis", lambda a, s: a[..., ::-1]),
    ("factor_by_row", "Each row", lambda a, s: a * (1 + np.arange(s["T"]))[:, None]),
    ("factor_by_column", "Each column", lambda a, s: a * (1 + np.arange(s["C"]))),
    ("some_rows", "the others are zero", lambda a, s: a * (np.arange(s["T"]) > 0)[:, None]),
    ("offset", "same number", lambda a, s: a + 0.5),
    ("wrong_shape", "has the shape", lambda a, s: a[0]), ("axes_kept", "right numbers in the shape", lambda a, s: a[None]),
    ("not_summed", "axes too many", lambda a, s: np.stack([a, a])), ("near", "example below", lambda a, s: a + 0.1 * np.sin(7 * a)),
    ("unrelated", "little to do", lambda a, s: np.cos(1000 * np.arange(a.size) ** 2).reshape(a.shape))])
def test_each_is_told(name, words, change):
    sign = seen(change)
    assert sign.name == name and words in sign.sentence, sign


def test_a_transpose_is_told_square_or_not():
    assert seen(lambda a, s: a.T, SQUARE).name == "transposed"
    assert seen(lambda a, s: a.T, [a[:2] for a in SQUARE]).name == "transposed"


def test_one_number_proves_nothing():
    assert factors.name_of([6.0, 6.0], [{"C": 6}, {"C": 4}]) is None
    assert factors.name_of([6.0, 8.0], [{"C": 6, "B": 2, "T": 3}, {"C": 8, "B": 3, "T": 2}]) == "C"
    assert factors.name_of([6.0, 10.0], [{"C": 6, "B": 2, "T": 3}, {"C": 4, "B": 2, "T": 5}]) == "B T"

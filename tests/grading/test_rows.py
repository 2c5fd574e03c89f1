"""Linear, tables, dropout, rotary, masks and LoRA: what their exercises must reach, and what a report on them must not claim."""
import numpy as np
import pytest

from nanolm.grading import draws, exercises, grade
from nanolm.layers import masks
from nanolm.params import flatten

NAMES = [name for name in exercises.names() if name.split(".")[0] in
         ("linear", "embedding", "positions", "dropout", "rotary", "masks", "lora", "masking")]


def drawn(name, n=200):
    exercise, rng = exercises.find(name), np.random.default_rng(3)
    return [exercise.inputs(draws.Random(rng)) for _ in range(n)]


def test_there_are_seventeen():
    assert len(NAMES) == 17


@pytest.mark.parametrize("name", NAMES)
def test_each_has_enough_mistakes_and_hints(name):
    exercise = exercises.find(name)
    assert len(exercise.mistakes) >= (20 if exercise.kind == "backward" else 13) and 3 <= len(exercise.hints) <= 5
    assert len({mistake.sentence for mistake in exercise.mistakes}) == len(exercise.mistakes)


def test_what_linear_is_called_with():
    calls = drawn("linear.backward")
    shapes = [(call.args[1][0].shape, call.args[1][1].shape, call.args[1][2]) for call in calls]
    assert {len(x) for x, _, _ in shapes} == {2, 3, 4} and {has_bias for _, _, has_bias in shapes} == {True, False}
    assert any(i == o > 1 for _, (i, o), _ in shapes) and any(i != o for _, (i, o), _ in shapes)
    assert any(np.prod(x[:-1]) > 8 for x, _, _ in shapes)
    assert any(not call.args[1][0].flags.c_contiguous for call in calls)
    assert any(not call.args[0].flags.c_contiguous for call in calls)


def test_what_the_embedding_is_called_with():
    for name in ("embedding.backward", "embedding.backward_tied"):
        ids = [(call.args[1][0], call.args[1][1]) for call in drawn(name)]
        assert any(len(np.unique(i)) < i.size for i, _ in ids) and any(len(np.unique(i)) < V for i, V in ids)
        assert any(i.max() < V - 1 for i, V in ids) and any((i == V - 1).any() for i, V in ids)


def test_what_positions_and_rotary_are_called_with():
    caches = [(call.args[1], call.args[0].shape) for call in drawn("positions.backward")]
    assert {len(shape) for _, shape in caches} == {2, 3, 4} and max(offset for (_, offset), _ in caches) > 2
    assert any(rows > offset + shape[-2] for (rows, offset), shape in caches)
    assert any(rows == offset + shape[-2] for (rows, offset), shape in caches)
    assert {call.kwargs["offset"] > 0 for call in drawn("rotary.forward")} == {True, False}


def test_what_the_masks_are_called_with():
    sizes = [call.args for call in drawn("masks.causal")]
    assert {len(args) for args in sizes} == {1, 2} and any(args[1] > args[0] for args in sizes if len(args) == 2)
    assert {type(call.args[0]) for call in drawn("masks.padding")} == {list, np.ndarray}


def test_dropout_is_called_with_and_without_a_generator():
    assert {call.args[2] is None for call in drawn("dropout.forward")} == {True, False}
    assert any(call.args[1] == 0 for call in drawn("dropout.forward"))
    assert {call.args[1][0] is None for call in drawn("dropout.backward")} == {True, False}


def test_to_draw_from_a_generator_is_not_to_write_to_an_argument():
    def mine(x, rate, rng):
        return x if rng is None or rate == 0 else x * (rng.random(x.shape, dtype=np.float32) >= rate) / (1 - rate)
    assert grade("dropout.forward", mine).passed


def test_ones_and_zeros_are_no_mask():
    report = grade("masks.causal", lambda T, S=None: np.tri(T, S or T, (S or T) - T))
    assert not report.passed and report.mistakes == ("as_numbers",) and "boolean" in str(report)


def test_a_mask_that_leaks_is_said_to_leak_with_numbers():
    report = grade("masks.causal", lambda T, S=None: np.tri(T, S or T, (S or T) - T + 3, dtype=bool))
    assert "future_leak" in report.mistakes and "moved by" in str(report)


def test_a_probe_that_cannot_be_held_says_nothing():
    """The probes call with T = 4 and S = 6; the report must survive what is raised there."""
    def mine(T, S=None):
        if (T, S) == (4, 6):
            raise IndexError("here")
        return ~masks_by_hand(T, S)

    def masks_by_hand(T, S):
        S = T if S is None else S
        return np.arange(S)[None] <= np.arange(T)[:, None] + S - T
    assert (masks_by_hand(3, 5) == masks.causal(3, 5)).all()
    report = grade("masks.causal", mine)
    assert not report.passed and "future_leak" not in report.mistakes


def test_a_mistake_of_square_weights_alone_gets_no_name_that_is_wrong_elsewhere():
    """Right unless weight is square. weight_reshaped gives the same there, but not in general: it must not be named."""
    def mine(dy, cache):
        x, weight, has_bias = cache
        rows = dy.reshape(-1, weight.shape[1])
        return (dy @ (weight if weight.shape[0] == weight.shape[1] else weight.T), x.reshape(-1, len(weight)).T @ rows,
                rows.sum(axis=0) if has_bias else None)
    report = grade("linear.backward", mine)
    assert not report.passed and not set(report.mistakes) & {m.name for m in exercises.find("linear.backward").mistakes}


def test_an_error_in_every_call_is_not_named_after_a_mistake_that_raises():
    def mine(dy, cache):
        raise ValueError("shapes do not fit")
    assert {grade("linear.backward", mine, seed=seed, shrinking=0.05).mistakes for seed in range(12)} == {("raises",)}


def test_a_mistake_that_raises_unless_square_is_the_only_thing_said():
    """Whichever arguments are drawn: errors and wrong numbers are both looked at, and one name explains them."""
    def mine(dp, adapters, alpha=16.0):
        found = {}
        for name in [name[:-1] for name in adapters if name.endswith("lora_a")]:
            a, b = adapters[name + "a"], adapters[name + "b"]
            dw, s = flatten(dp)[name[:-6]], alpha / len(b)
            found |= {name + "a": s * dw @ b, name + "b": s * a.T @ dw}
        return found
    assert {grade("lora.backward", mine, seed=seed, shrinking=0.05).mistakes for seed in range(6)} == {("b_not_turned",)}


def test_a_table_without_float_arguments_gets_no_note_on_float32():
    def mine(n_positions, n_channels):
        c = np.arange(n_channels)
        angle = np.arange(n_positions)[:, None] / 10000.0 ** (c // 2 * 2 / n_channels)
        return np.where(c % 2 == 0, np.sin(angle), np.cos(angle))
    report = grade("positions.sinusoidal", mine)
    assert report.passed and not report.notes


def test_two_mistakes_in_one_output_are_both_named():
    def mine(dy, cache):
        ids, V = cache
        dweight = np.zeros((V, dy.shape[-1]))
        dweight[ids] = -dy
        return dweight
    assert set(grade("embedding.backward", mine).mistakes[0].split("+")) == {"wrong_sign", "repeats_lost"}

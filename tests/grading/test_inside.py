"""Inside a composite: the report says truly which intermediate gradient is the first that goes wrong, however it is written."""
import importlib
import sys

import numpy as np
import pytest
from collected import RIGHT

from nanolm.grading import exercises, grade, healing, holding, inside, trials, watching
from nanolm.layers import attention, dropout, linear, silu, softmax
from nanolm.layers.multihead import merge, split

for name in ("attention", "heads", "cross", "grouped", "widths", "gates", "pooler"):
    importlib.import_module(f"answers_{name}")


def first_wrong(report):
    """Return the names of the steps that are said to go wrong, the first one first."""
    return [words.partition(" is ")[0].partition(" (")[0].partition(" and ")[0] for words in report.inside
            if "goes wrong" in words or "wrong too" in words]


# ---------------------------------------------------------------------------------------- attention.backward, three styles
def names_that_say_nothing(dy, cache):
    """dscores wrong: the diagonal of the softmax alone."""
    one, two, three, four, five, (six, _), seven = cache
    apple = dy @ three.swapaxes(-1, -2)
    pear = dropout.backward(apple, seven)
    plum = six * (1 - six)
    cherry = plum * pear
    cherry = cherry * five
    return cherry @ two, cherry.swapaxes(-1, -2) @ one, four.swapaxes(-1, -2) @ dy


def query_after_query(dy, cache):
    """dP wrong: the weights that dropout keeps are not divided by 1 - rate."""
    q, k, v, A, scale, (P, _), (keep, more) = cache
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for n in np.ndindex(q.shape[:-2]):
        for t in range(q.shape[-2]):
            w = v[n] @ dy[n][t]
            w = w if keep is None else w * keep[n][t]
            z = P[n][t] * (w - w @ P[n][t]) * scale
            dq[n][t] += z @ k[n]
            dk[n] += np.outer(z, q[n][t])
            dv[n] += np.outer(A[n][t], dy[n][t])
    return dq, dk, dv


def no_names_at_all(dy, cache):
    """dproducts wrong: no scale."""
    return (*(np.einsum(where, softmax.backward(dropout.backward(np.einsum("...te,...se->...ts", dy, cache[2]), cache[6]),
                                                cache[5]), other)
              for where, other in (("...ts,...sd->...td", cache[1]), ("...ts,...td->...sd", cache[0]))),
            np.einsum("...ts,...te->...se", cache[3], dy))


# ---------------------------------------------------------------------------------------- multihead.backward, three styles
def one_name_for_all(dy, cache):
    """dheads wrong: reshaped, not transposed."""
    _, n_head, c_in, c_heads, c_out = cache
    d, dW_out, db_out = linear.backward(dy, c_out)
    B, T, C = d.shape
    d = d.reshape(B, n_head, T, C // n_head)
    d = attention.backward(d, c_heads)
    d = np.concatenate([merge(one) for one in d], axis=-1)
    d, dW, db = linear.backward(d, c_in)
    return d, {"c_attn": {"weight": dW, "bias": db}, "c_proj": {"weight": dW_out, "bias": db_out}}


def with_helpers_of_its_own(dy, cache):
    """dscores wrong: P is forgotten in front."""
    _, n_head, (x, W, _), (q, k, v, A, scale, (P, _), c_drop), (merged, W_out, _) = cache

    def scores_of(g):
        return g - (g * P).sum(axis=-1, keepdims=True)

    def flat(a):
        return a.transpose(0, 2, 1, 3).reshape(dy.shape)
    heads = (dy @ W_out.T).reshape(*dy.shape[:2], n_head, -1).transpose(0, 2, 1, 3)
    z = scale * scores_of(dropout.backward(heads @ v.swapaxes(-1, -2), c_drop))
    g = np.concatenate([flat(z @ k), flat(z.swapaxes(-1, -2) @ q), flat(A.swapaxes(-1, -2) @ heads)], axis=-1)
    return g @ W.T, {"c_attn": {"weight": np.einsum("btc,bto->co", x, g), "bias": g.sum((0, 1))},
                     "c_proj": {"weight": np.einsum("btc,bto->co", merged, dy), "bias": dy.sum((0, 1))}}


def head_by_head(dy, cache):
    """dx wrong: all that goes before it is right, and the way by the values is not added."""
    _, n_head, (x, W, _), c_heads, (merged, W_out, _) = cache
    C = x.shape[-1]
    D = C // n_head
    all_heads = attention.backward(split(dy @ W_out.T, n_head), c_heads)
    sides = [np.concatenate([side[:, h] for h in range(n_head)], axis=-1) for side in all_heads]
    dx = np.zeros_like(x)
    for i, side in enumerate(sides[:2]):
        for h in range(n_head):
            dx += side[..., h * D:(h + 1) * D] @ W[:, i * C + h * D:i * C + (h + 1) * D].T
    return dx, {"c_attn": {"weight": np.hstack([np.einsum("btc,bto->co", x, side) for side in sides]),
                           "bias": np.hstack([side.sum((0, 1)) for side in sides])},
                "c_proj": {"weight": np.einsum("btc,bto->co", merged, dy), "bias": dy.sum((0, 1))}}


# ---------------------------------------------------------------------------------------- swiglu.backward, three styles
def rows(a):
    return a.reshape(-1, a.shape[-1])


def letters(dy, cache):
    """da wrong: s + 1 for s."""
    r, s, c_gate, c_up, c_silu, c_down = cache
    w, dW3, _ = linear.backward(dy, c_down)
    m, n = w * (s + 1), w * r
    m = silu.backward(m, c_silu)
    i, dW1, _ = linear.backward(m, c_gate)
    j, dW2, _ = linear.backward(n, c_up)
    return i + j, {"gate_proj": {"weight": dW1}, "up_proj": {"weight": dW2}, "down_proj": {"weight": dW3}}


def channel_after_channel(dy, cache):
    """dg wrong: the slope of the logistic function."""
    a, u, (x, gate, _), (_, up, _), (g, s), (h, down, _) = cache
    dx, one, two = np.zeros_like(x), np.zeros_like(gate), np.zeros_like(up)
    for f in range(gate.shape[1]):
        t = dy @ down[f]
        down_u = t * a[..., f]
        down_g = t * u[..., f] * s[..., f] * (1 - s[..., f])
        dx = dx + down_g[..., None] * gate[:, f] + down_u[..., None] * up[:, f]
        one[:, f] = rows(x).T @ down_g.ravel()
        two[:, f] = rows(x).T @ down_u.ravel()
    return dx, {"gate_proj": {"weight": one}, "up_proj": {"weight": two}, "down_proj": {"weight": rows(h).T @ rows(dy)}}


def one_wide_line(dy, cache):
    """dx wrong: the two ways are right, and one is subtracted."""
    a, u, (x, gate, _), (_, up, _), c_silu, (h, down, _) = cache
    return (silu.backward(dy @ down.T * u, c_silu) @ gate.T - dy @ down.T * a @ up.T,
            {"gate_proj": {"weight": rows(x).T @ rows(silu.backward(dy @ down.T * u, c_silu))},
             "up_proj": {"weight": rows(x).T @ rows(dy @ down.T * a)}, "down_proj": {"weight": rows(h).T @ rows(dy)}})


WRONG = [("attention.backward", names_that_say_nothing, ["dscores"]), ("attention.backward", query_after_query, ["dP"]),
         ("attention.backward", no_names_at_all, ["dproducts"]), ("multihead.backward", one_name_for_all, ["dheads"]),
         ("multihead.backward", with_helpers_of_its_own, ["dscores"]), ("multihead.backward", head_by_head, ["dx"]),
         ("swiglu.backward", letters, ["da"]), ("swiglu.backward", channel_after_channel, ["dg"]),
         ("swiglu.backward", one_wide_line, ["dx"])]


@pytest.mark.parametrize("exercise, function, steps", WRONG, ids=[f"{e}-{f.__name__}" for e, f, _ in WRONG])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_first_that_goes_wrong_is_named_whatever_it_is_called(exercise, function, steps, seed):
    report = grade(exercise, function, seed=seed, shrinking=0.1)
    assert not report.passed and first_wrong(report) == steps, str(report)


def test_the_students_own_name_and_line_are_told():
    words = " ".join(grade("attention.backward", names_that_say_nothing, shrinking=0.1).inside)
    assert "dP (your pear)" in words and "your cherry, line" in words and "dq, dk come out right" in words, words
    line = int(words.split("your cherry, line ")[1].split(")")[0])
    source = open(__file__).read().splitlines()
    assert source[line - 1].strip() == "cherry = plum * pear"


def test_a_step_that_is_left_out_is_told_by_what_stands_in_its_place():
    words = " ".join(grade("attention.backward", no_names_at_all, shrinking=0.1).inside)
    assert "the numbers of dscores stand in its place" in words, words


def test_a_step_that_is_wrong_in_one_kind_of_call_alone_is_wrong():
    def mine(dy, cache):
        """Wrong twice: the weights after dropout stand in the softmax, which shows with dropout alone; and 1/D for the scale."""
        q, k, v, A, _, _, c_drop = cache
        g = dropout.backward(dy @ v.swapaxes(-1, -2), c_drop)
        g = A * (g - (A * g).sum(-1, keepdims=True))
        g = g / q.shape[-1]
        return g @ k, g.swapaxes(-1, -2) @ q, A.swapaxes(-1, -2) @ dy
    report = grade("attention.backward", mine, shrinking=0.1)
    assert first_wrong(report) == ["dscores"], str(report)


def test_what_is_left_of_a_gradient_by_rounding_says_nothing():
    a = np.ones(3)
    steps = [inside.Step("one", gradient=a), inside.Step("two", gradient=1e-12 * a), inside.Step("three", gradient=1e-12 * a),
             inside.Step("four", gradient=1e-5 * a, after=("one",))]
    assert [bool(one.truth.any()) for one in inside.truths(steps, a)] == [True, False, False, True]


def test_a_gradient_doubles_with_dy_and_a_value_of_forward_does_not():
    def mine(dy, w):
        share = w * w
        return dy * share
    dy, w = np.array([1.0, -2.0]), np.array([3.0, 5.0])
    (one, _), (two, _) = (watching.watch(mine, (factor * dy, w), {}) for factor in (1, 2))
    doubling = {thing.name: healing.doubles(thing, twice) for thing, twice in zip(one.things, two.things) if thing.numbers}
    assert doubling == {"share": False, "": True}


STEPS = {"scale": {"dproducts", "dq", "dk"}, "softmax": {"dscores"}, "dropout": {"dP"}, "mask": {"dscores"}, "rows": {"dscores"},
         "dy": {"dkept"}, "dP": {"dkept"}, "dv": {"dv"}, "dq": {"dq", "dk"}, "dk": {"dk"}}


@pytest.mark.parametrize("mistake", exercises.find("attention.backward").mistakes, ids=lambda mistake: mistake.name)
def test_every_known_mistake_of_attention_begins_at_its_own_step(mistake):
    report = grade("attention.backward", mistake.function, shrinking=0.1)
    if "exchanged" in mistake.name:                 # every gradient is right there, only returned in another's place
        assert first_wrong(report) == []
    elif report.inside:                             # with whole calls that fail there is nothing to look into
        assert first_wrong(report)[0] in STEPS[mistake.name.partition("_")[0]], str(report)
    else:
        assert any(trial.answer.trouble for trial in trials.run(exercises.find("attention.backward"), mistake.function))


LAYERS = ("attention", "multihead", "swiglu", "grouped", "mlp", "pooler")
LOOKED = [(name, function) for name, function in RIGHT if name.partition(".")[0] in LAYERS and "backward" in name]


@pytest.mark.parametrize("name, function", LOOKED, ids=[f"{name}-{function.__name__}" for name, function in LOOKED])
def test_in_a_right_answer_no_step_is_called_wrong(name, function):
    """All that is wrong about it is what the grader compares it with: a fault of the grader's, were a step blamed."""
    exercise = exercises.find(name)
    looked = []
    for trial in trials.run(exercise, function):
        steps = exercise.steps(*trial.call.args)
        if max(np.size(step.value) for step in steps) <= 60 and len(set(trial.call.sizes.values())) > 2:
            looked.append(inside.look(function, trial, steps))
        if len(looked) == 6:
            break
    assert len(looked) > 3
    for one in looked:
        verdicts = [step.verdict for step in inside.judged(one.seen, [one])]
        assert "first" not in verdicts, [(step.step.name, step.verdict) for step in inside.judged(one.seen, [one])]
        assert verdicts[-1] in ("right", "passed") and "right" in verdicts


# ---------------------------------------------------------------------------------------- watching
def test_what_has_no_name_is_seen_and_the_answer_is_the_same():
    def mine(a, b):
        return (a * b + 1).sum(axis=0), [a[0].T, {"c": np.concatenate([a, b])}]
    a, b = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    notes, value = watching.watch(mine, (a, b), {})
    plain = mine(a, b)
    assert np.array_equal(value[0], plain[0]) and np.array_equal(value[1][1]["c"], plain[1][1]["c"])
    assert type(value[0]) is np.ndarray and type(value[1][0]) is np.ndarray
    assert any(np.array_equal(one, a * b) for thing in notes.things for one in thing.arrays)


def test_history_can_be_changed():
    def mine(a):
        b = a * 2
        c = b + 1
        return c * c
    notes, value = watching.watch(mine, (np.ones(2),), {})
    assert value.tolist() == [9, 9]
    thing = next(thing for thing in notes.things if thing.name == "c" and thing.numbers)
    _, value = watching.watch(mine, (np.ones(2),), {}, {thing.numbers[0]: np.array([1.0, 5.0])})
    assert value.tolist() == [1, 25]


def test_arguments_are_copies_and_tracing_is_undone():
    def mine(a):
        a += 1
        raise ValueError("no")
    a, before = np.zeros(3), sys.gettrace()
    _, value = watching.watch(mine, (a,), {})
    assert value is None and not a.any() and sys.gettrace() is before


def test_a_loop_that_never_ends_when_its_numbers_change_is_ended(monkeypatch):
    def mine(dy, cache):
        q, k, v, kept, scale, (P, _), (keep, more) = cache
        dP = dropout.backward(dy @ v.swapaxes(-1, -2), cache[6])
        while not (dP * 1).any():                   # no end once zeros are put there
            pass
        ds = P * dP * scale
        return ds @ k, ds.swapaxes(-1, -2) @ q, kept.swapaxes(-1, -2) @ dy
    monkeypatch.setattr(inside.answers, "SECONDS", 0.5)
    report = grade("attention.backward", mine, shrinking=0.1)
    assert "softmax_average_missing" in report.mistakes and report.inside == [] and report.seconds < 5


def test_a_loops_pieces_are_one_array():
    def mine(a):
        return [row * 3 for row in a], [[float(one) * 7 for one in row] for row in a]
    a = np.arange(12.0).reshape(3, 4) + 1
    notes, _ = watching.watch(mine, (a,), {})
    assert any(holding.holds(thing.arrays, 3 * a) for thing in notes.things)
    assert not any(holding.holds(thing.arrays, 5 * a) for thing in notes.things)


def test_a_turned_array_counts_only_where_its_shape_shows_it():
    a = np.arange(6.0).reshape(2, 3)
    square = np.arange(9.0).reshape(3, 3)
    assert holding.holds([a.T.copy()], a) and not holding.holds([square.T.copy()], square)
    heads = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    assert holding.holds([heads.swapaxes(1, 2).copy()], heads) and not holding.holds([heads.reshape(2, 4, 3, 5)[::-1]], heads)


def test_a_gradient_by_numbers_is_the_gradient():
    a = np.array([0.3, -0.7, 1.1])
    step = inside.Step("da", a, np.exp)
    assert np.allclose(inside.gradient(step, np.array([1.0, 2.0, 3.0])), np.exp(a) * [1, 2, 3], rtol=1e-12, atol=0)
    corner = inside.Step("da", a, lambda a: np.abs(a.real))                  # takes no complex numbers: central differences
    assert np.allclose(inside.gradient(corner, np.ones(3)), [1, -1, 1], rtol=1e-8, atol=0)

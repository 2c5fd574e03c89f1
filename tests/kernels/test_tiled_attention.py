"""Tiled attention against the plain one: every kind of mask, sizes that fill no tile, NaN and inf, threads, memory."""
import tracemalloc

import numpy as np
import pytest
from compare import assert_close, assert_same_bits, awkward, both, frozen

from nanolm import kernels, threads
from nanolm.layers import attention, masks

pytest.importorskip("numba")

from nanolm.kernels import attention as fast
from nanolm.kernels import tiles

SIZES = [(2, 1), (2, 2), (3, 5), (5, 3), (63, 64), (64, 64), (65, 65), (64, 65), (65, 64), (2, 129), (129, 1), (127, 63),
         (128, 128), (70, 200), (200, 70), (130, 130)]                      # T, S; one query alone is the plain layer's
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def no_way_out(monkeypatch):
    """Let the twin not call the plain function."""
    def refuse(twin, name):
        raise AssertionError(f"{twin}.{name} went to the plain function")
    monkeypatch.setattr(fast, "plain", refuse)


def run(q, k, v, mask=None, dy=None, **options):
    y, cache = attention.forward(q, k, v, mask, **options)
    if dy is None:
        dy = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    return y, *attention.backward(dy, cache)


def draw(seed, dtype, lead, T, S, D, E, layout="plain"):
    rng = np.random.default_rng(seed)
    return [awkward(rng, (*lead, *shape), dtype, layout) for shape in ((T, D), (S, D), (S, E))]


def of_tiles(rng, lead, T, S):
    """Return a mask most of whose tiles of 64 x 64 are all True or all False: other ones for each of `lead`."""
    tiles = rng.random((*lead, -(-T // 64), -(-S // 64))) < 0.5
    return tiles.repeat(64, axis=-2).repeat(64, axis=-1)[..., :T, :S]


MASKS = {
    "none": lambda rng, lead, T, S: None,
    "window": lambda rng, lead, T, S: masks.causal(T, S) if T <= S else masks.causal(T)[:, :S],
    "tril": lambda rng, lead, T, S: np.tril(np.ones((T, S), bool)),
    "random": lambda rng, lead, T, S: rng.random((T, S)) < 0.5,
    "random for each head": lambda rng, lead, T, S: rng.random((*lead, T, S)) < 0.5,
    "for each head, not each sequence": lambda rng, lead, T, S: rng.random((*lead[1:], T, S)) < 0.5,
    "for each sequence, not each head": lambda rng, lead, T, S: rng.random((*lead[:1], *(1 for _ in lead[1:]), T, S)) < 0.5,
    "padding": lambda rng, lead, T, S: np.broadcast_to(np.arange(S) < rng.integers(0, S + 1), (*lead[:1], *(1 for _ in lead[1:]),
                                                                                                 1, S)),
    "keys alone": lambda rng, lead, T, S: rng.random(S) < 0.5,
    "queries alone": lambda rng, lead, T, S: rng.random((T, 1)) < 0.5,
    "nothing": lambda rng, lead, T, S: np.zeros((T, S), bool),
    "one bit": lambda rng, lead, T, S: np.array(True),
    "rows of nothing": lambda rng, lead, T, S: (rng.random((T, S)) < 0.5) & (rng.random((T, 1)) < 0.5),
    "the future": lambda rng, lead, T, S: np.triu(np.ones((T, S), bool)),
    "fortran": lambda rng, lead, T, S: np.asfortranarray(rng.random((T, S)) < 0.5),
    "sliced": lambda rng, lead, T, S: (rng.random((2 * T, 3 * S)) < 0.5)[::2, 1::3],
    "upside down": lambda rng, lead, T, S: (rng.random((T, S)) < 0.5)[::-1, ::-1],
    "read-only": lambda rng, lead, T, S: frozen(rng.random((T, S)) < 0.5)[0],
    "another window": lambda rng, lead, T, S: np.lib.stride_tricks.sliding_window_view(rng.random(T + S - 1) < 0.6, S)[::-1],
    "a window the other way": lambda rng, lead, T, S: np.lib.stride_tricks.sliding_window_view(rng.random(T + S - 1) < 0.6, S),
    "tiles": lambda rng, lead, T, S: of_tiles(rng, (), T, S),
    "tiles for each head": of_tiles,
    "tiles for each head, not each sequence": lambda rng, lead, T, S: of_tiles(rng, lead[1:], T, S),
    "tiles for each sequence, not each head": lambda rng, lead, T, S: of_tiles(rng, (*lead[:1], *(1 for _ in lead[1:])), T, S),
    "bands": lambda rng, lead, T, S: np.abs(np.arange(T)[:, None] - np.arange(S)) < 20,
}


@pytest.mark.parametrize("kind", MASKS)
@dtypes
def test_any_mask_and_any_size(kind, dtype, no_way_out):
    for seed, (T, S) in enumerate(SIZES):
        rng = np.random.default_rng(seed)
        lead = [(), (2,), (2, 3), (1, 3), (3, 1)][seed % 5]
        D, E = rng.choice([1, 2, 5, 16, 33, 64], 2)
        D, E = (D, D) if seed % 2 else (D, E)
        mask = MASKS[kind](rng, lead, T, S)
        q, k, v = draw(seed, dtype, lead, T, S, D, E)
        plain, ours = both(lambda: run(q, k, v, mask))
        assert_close(ours, plain)
        seen = np.ones(q.shape[:-1], bool) if mask is None else np.broadcast_to(mask, (*lead, T, S)).any(-1)
        assert not ours[0][~seen].any() and not ours[1][~seen].any()


@pytest.mark.parametrize("layout", ["fortran", "sliced", "reversed", "turned", "broadcast"])
@dtypes
def test_any_layout_in_memory(layout, dtype, no_way_out):
    q, k, v = draw(1, dtype, (2, 3), 70, 81, 5, 7, layout)
    dy = awkward(np.random.default_rng(2), (2, 3, 70, 7), dtype, layout)
    plain, ours = both(lambda: run(q, k, v, masks.causal(70, 81), dy))
    assert_close(ours, plain)


@dtypes
def test_heads_inside_one_packed_array(dtype, no_way_out):
    """As multihead hands them over: views into (B, T, 3 C); nothing is copied for them, and nothing outside is read."""
    packed = np.random.default_rng(0).standard_normal((2, 90, 3, 4, 8)).astype(dtype)
    q, k, v = frozen(*packed.transpose(2, 0, 3, 1, 4))
    plain, ours = both(lambda: run(q, k, v, masks.causal(90)))
    assert_close(ours, plain)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["q", "k", "v", "dy"])
@pytest.mark.parametrize("mask", [None, "causal"])
@dtypes
def test_nan_and_infinity_come_out_at_the_same_places(which, value, mask, dtype, no_way_out):
    """The one exception, which the docstring names: behind the mask the plain layer has 0 * NaN, and the twin nothing.

    From inf may come inf here and inf - inf there (the average of (S2) is summed in another order): not finite is what counts.
    """
    q, k, v = draw(3, dtype, (2,), 90, 90, 4, 4)
    dy = np.random.default_rng(5).standard_normal(q.shape).astype(dtype)
    given = {"q": q, "k": k, "v": v, "dy": dy}
    given[which][0, 40, 1] = value
    mask = None if mask is None else masks.causal(90)
    plain, ours = both(lambda: run(q, k, v, mask, dy))
    for name, a, b in zip(("y", "dq", "dk", "dv"), ours, plain):
        a_bad, b_bad = (np.isnan(a), np.isnan(b)) if np.isnan(value) else (~np.isfinite(a), ~np.isfinite(b))
        if mask is None:
            assert np.array_equal(a_bad, b_bad), name
        else:
            assert not (a_bad & ~b_bad).any(), name                         # never a NaN that the plain layer has not
            future = np.zeros(a.shape, bool)
            future[0, :40] = name in ("y", "dq")                            # queries before the bad token
            future[0, 41:] = name in ("dk", "dv")                           # keys after it
            assert np.array_equal(a_bad[~future], b_bad[~future]), name
        assert not a_bad[1].any()
        both_good = np.isfinite(a) & np.isfinite(b)
        assert_close(a[both_good], b[both_good])


@dtypes
def test_huge_scores(dtype, no_way_out):
    q, k, v = draw(4, dtype, (2,), 70, 70, 4, 4)
    for size in (30, 1e4, 1e15):
        plain, ours = both(lambda: run(size * q, k, v, masks.causal(70), dropout=0.0))
        limit = 1.0 if size < 1e5 or dtype == np.float64 else 100.0
        assert np.isfinite(ours[0]).all()
        if size < 1e3:
            assert_close(ours, plain, scale=limit * size)
        else:                                                               # one weight is 1, the others 0
            np.testing.assert_allclose(ours[0], plain[0], atol=2e-2)


@dtypes
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_nothing_is_written_to_and_backward_can_be_called_twice(dtype, dropout, no_way_out):
    q, k, v = frozen(*draw(5, dtype, (2, 2), 70, 80, 6, 6))
    mask, = frozen(np.ascontiguousarray(masks.causal(70, 80)))
    with kernels.using("numba"):
        y, cache = attention.forward(q, k, v, mask, dropout, np.random.default_rng(1))
        frozen(y, [a for a in cache if isinstance(a, np.ndarray)])
        dy, = frozen(np.random.default_rng(2).standard_normal(y.shape).astype(dtype))
        before = [a.tobytes() for a in (q, k, v, mask, y, dy)]
        first = attention.backward(dy, cache)
        frozen(first)
        assert_same_bits(first, attention.backward(dy, cache))
        assert before == [a.tobytes() for a in (q, k, v, mask, y, dy)]


@dtypes
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_same_bits_on_any_number_of_threads(dtype, dropout, no_way_out):
    q, k, v = draw(6, dtype, (3, 3), 200, 200, 8, 8)
    results = []
    for n in (1, 2, 3, 4):
        with kernels.using("numba"), threads.limited(n):
            results.append(run(q, k, v, masks.causal(200), dropout=dropout, rng=np.random.default_rng(3)))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@dtypes
def test_dropout_is_that_of_the_definition_for_some_mask(dtype, no_way_out):
    """With v = identity y is the weights after dropout: from what was kept, forward and backward follow by the formulas."""
    q, k, _ = draw(7, dtype, (2, 2), 70, 70, 4, 4)
    v = np.broadcast_to(np.eye(70, dtype=dtype), (2, 2, 70, 70))
    dy = np.random.default_rng(8).standard_normal((2, 2, 70, 70)).astype(dtype)
    P = attention.forward(q, k, v, masks.causal(70))[0]
    with kernels.using("numba"):
        kept, dq, dk, dv = run(q, k, v, masks.causal(70), dy, dropout=0.3, rng=np.random.default_rng(1))
    factor = np.where((kept != 0) | (P == 0), 1 / 0.7, 0).astype(dtype)
    assert_close(kept, P * factor)
    share = (kept == 0)[P > 1e-4].mean()
    assert abs(share - 0.3) < 5 * np.sqrt(0.21 / (P > 1e-4).sum())
    dP = dy * factor
    ds = P * (dP - (dP * P).sum(-1, keepdims=True)) / 2                     # sqrt(D) = 2
    assert_close((dq, dk, dv), (ds @ k, ds.swapaxes(-1, -2) @ q, (P * factor).swapaxes(-1, -2) @ dy))


def test_one_seed_one_draw_and_every_head_another():
    q, k, v = draw(8, np.float32, (2, 2), 64, 64, 4, 4)
    v = np.broadcast_to(np.eye(64, dtype=np.float32), (2, 2, 64, 64))
    with kernels.using("numba"):
        first, again, other = (attention.forward(q, k, v, None, 0.5, np.random.default_rng(seed))[0] == 0 for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    patterns = [*first.reshape(4, -1), *other.reshape(4, -1)]
    for i, a in enumerate(patterns):
        for b in patterns[:i]:
            assert abs((a == b).mean() - 0.5) < 5 * 0.5 / 64                # 64 x 64 independent coins


def test_a_causal_mask_for_8192_tokens_costs_no_t_by_t_memory(no_way_out):
    mask = masks.causal(8192)
    tracemalloc.start()
    kinds, flat, steps = tiles.of(mask, 8192, 8192)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000 and flat.size == 2 * 8192 - 1
    expected = np.where(np.tri(128, k=-1), tiles.ALL, np.where(np.eye(128), tiles.SOME, tiles.NONE))
    assert np.array_equal(kinds.reshape(128, 128), expected)


def test_nothing_of_size_t_by_t_is_made(no_way_out):
    q, k, v = draw(9, np.float32, (1, 2), 1500, 1500, 8, 8)
    with kernels.using("numba"):
        run(q[:, :, :70], k[:, :, :70], v[:, :, :70], masks.causal(70))     # compiled before we look
        tracemalloc.start()
        run(q, k, v, masks.causal(1500))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 * q.nbytes < 1500 * 1500 * 4                           # the plain layer: 14 MB a head, many times

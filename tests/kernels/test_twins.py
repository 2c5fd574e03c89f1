"""The fast twins of the layers against the plain ones: shapes and memory layouts drawn, NaN and inf, threads, rule 4.

The twins' way back to the plain function is blocked where a case is theirs, so that nothing is compared with itself.
"""
import types

import numpy as np
import pytest
from compare import CLOSE, LAYOUTS, arrays, assert_close, assert_same_bits, awkward, both, frozen

from nanolm import gradcheck, kernels, threads
from nanolm.layers import (cross_entropy, dropout, embedding, gelu, layernorm, linear, mlp, multihead, rmsnorm, rotary, silu,
                           swiglu)
from nanolm.models import bert, bert_sequence, llama

pytest.importorskip("numba")

from nanolm.kernels import attention as fast_attention
from nanolm.kernels import cross_entropy as fast_cross_entropy
from nanolm.kernels import dropout as fast_dropout
from nanolm.kernels import embedding as fast_embedding
from nanolm.kernels import gelu as fast_gelu
from nanolm.kernels import layernorm as fast_layernorm
from nanolm.kernels import linear as fast_linear
from nanolm.kernels import mlp as fast_mlp
from nanolm.kernels import rmsnorm as fast_rmsnorm
from nanolm.kernels import rotary as fast_rotary
from nanolm.kernels import swiglu as fast_swiglu
from nanolm.kernels.tile_product import LARGE_TOO

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
TWINS = {layernorm: fast_layernorm, linear: fast_linear, gelu: fast_gelu, mlp: fast_mlp, rmsnorm: fast_rmsnorm,
         swiglu: fast_swiglu, rotary: fast_rotary, cross_entropy: fast_cross_entropy, dropout: fast_dropout,
         embedding: fast_embedding}


def with_erf(layer):
    """Return a layer with BERT's form of GELU; its functions are looked up at the call."""
    return types.SimpleNamespace(__name__=layer.__name__ + "_erf", forward=lambda *args: layer.forward(*args, form="erf"),
                                 backward=lambda dy, cache: layer.backward(dy, cache))


gelu_erf, mlp_erf = with_erf(gelu), with_erf(mlp)


@pytest.fixture
def no_way_out(monkeypatch):
    """Let no twin call the plain function."""
    def refuse(twin, name):
        raise AssertionError(f"{twin}.{name} went to the plain function")
    for twin in TWINS.values():
        monkeypatch.setattr(twin, "plain", refuse)


def forward_and_backward(layer, args, kwargs=None, upstream=None, seed=9):
    """Return y and the gradients; upstream defaults to random numbers shaped like y."""
    y, cache = layer.forward(*args, **(kwargs or {}))
    if upstream is None:
        upstream = np.random.default_rng(seed).standard_normal(np.shape(y)).astype(y.dtype)
    return y, layer.backward(upstream, cache)


def example(layer, rng, dtype, shape=(5, 3, 7), layout="plain"):
    """Return args and kwargs of a layer whose input has this shape, and all arrays this layout.

    A matrix that BLAS could not read where it is stays the plain layer's business: such weights get another layout.
    """
    def n(*shape, **scale):
        return awkward(rng, shape, dtype, layout, **scale)

    def w(*shape):
        return awkward(rng, shape, dtype, layout if layout in ("fortran", "turned", "unaligned") else "plain")
    C = shape[-1]
    if layer is layernorm:
        return (n(*shape, scale=3, shift=1), n(C), n(C)), {"eps": 1e-3}
    if layer is linear:
        return (n(*shape), w(C, 5), n(5)), {}
    if layer is rmsnorm:
        return (n(*shape, scale=3, shift=1), n(C)), {"eps": 1e-3}
    if layer in (gelu, gelu_erf):
        return (n(*shape, scale=4),), {}
    if layer in (mlp, mlp_erf):
        return (n(*shape), {"c_fc": {"weight": w(C, 9), "bias": n(9)}, "c_proj": {"weight": w(9, C), "bias": n(C)}}), {}
    if layer is swiglu:
        p = {"gate_proj": {"weight": w(C, 9)}, "up_proj": {"weight": w(C, 9)}, "down_proj": {"weight": w(9, C)}}
        return (n(*shape), p), {}
    if layer is rotary:                                                     # (..., T, D) of the last axes, D even
        return (n(*(shape[:-1] if len(shape) > 1 else (3,)), C + C % 2),), {"base": 100.0, "offset": int(rng.integers(0, 9))}
    if layer is dropout:
        return (n(*shape), 0.3, np.random.default_rng(5)), {}
    targets = np.where(rng.random(shape[:-1]) < 0.3, -100, rng.integers(0, C, shape[:-1]))
    return (n(*shape, scale=4), targets), {"label_smoothing": float(rng.choice([0.0, 0.2]))}


DRAWN = [layernorm, linear, gelu, gelu_erf, mlp, mlp_erf, cross_entropy, rmsnorm, swiglu, rotary]
names = dict(ids=lambda layer: layer.__name__.rsplit(".", 1)[-1])


@dtypes
@pytest.mark.parametrize("layer", DRAWN, **names)
def test_any_shape_and_any_layout(layer, dtype, no_way_out):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lead = [int(rng.choice([1, 2, 3, 17, 64, 129, 300])), 1 + seed % 3, 2][:seed % 4]       # one to four axes, (..., C)
        C, layout, layout_dy = int(rng.choice([1, 2, 3, 5, 17, 64, 130])), *rng.choice(LAYOUTS, 2)
        args, kwargs = example(layer, rng, dtype, (*lead, C), layout)
        y_shape = layer.forward(*args, **kwargs)[0].shape
        dy = np.asarray(1.3, dtype) if y_shape == () else awkward(rng, y_shape, dtype, layout_dy)
        plain, ours = both(lambda: forward_and_backward(layer, args, kwargs, dy))
        # Of a token whose channels are equal, layer norm makes (rounding) / sqrt(eps).
        assert_close(ours, plain, scale=30 if layer is layernorm and layout == "broadcast" else 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20, -1e20, 1e-42])
@dtypes
@pytest.mark.parametrize("layer", DRAWN, **names)
def test_nan_and_infinity_in_every_input_come_out_at_the_same_places(layer, dtype, value, no_way_out):
    args, kwargs = example(layer, np.random.default_rng(0), dtype)
    floating = [a for a in arrays(args) if a.dtype == dtype]
    dy = np.random.default_rng(1).standard_normal(layer.forward(*args, **kwargs)[0].shape).astype(dtype)
    dy = np.asarray(dy)
    for array in floating + [dy]:
        where = tuple(n // 2 for n in array.shape)
        before = array[where]
        array[where] = value
        plain, ours = both(lambda: forward_and_backward(layer, args, kwargs, dy))
        for a, b in zip(arrays(ours), arrays(plain), strict=True):
            assert np.array_equal(np.isnan(a), np.isnan(b))
            ordinary = np.isfinite(b) & (np.abs(b) < 1e6)                   # 1e20 and ordinary numbers: only the latter
            np.testing.assert_allclose(a[ordinary], b[ordinary], rtol=1e-3, atol=1e-3)
            assert np.array_equal(np.isinf(a), np.isinf(b))
        array[where] = before


@dtypes
@pytest.mark.parametrize("layer", [*DRAWN, dropout], **names)
def test_nothing_is_written_to_and_backward_can_be_called_twice(layer, dtype, no_way_out):
    args, kwargs = example(layer, np.random.default_rng(3), dtype)
    frozen(args)
    with kernels.using("numba"):
        y, cache = layer.forward(*args, **kwargs)
        frozen(y, cache)
        dy, = frozen(np.random.default_rng(1).standard_normal(y.shape).astype(dtype))
        before = [a.tobytes() for a in arrays((args, y, cache, dy)) if a.dtype != object]
        first = layer.backward(dy, cache)
        frozen(first)
        assert_same_bits(first, layer.backward(dy, cache))
        assert before == [a.tobytes() for a in arrays((args, y, cache, dy)) if a.dtype != object]
        assert not any(np.shares_memory(g, a) for g in arrays(first) for a in arrays((args, y)) if a.dtype == dtype)


@pytest.mark.parametrize("layer", [*DRAWN, dropout], **names)
def test_the_same_bits_on_any_number_of_threads(layer, no_way_out, monkeypatch):
    seen = []
    original = threads.split

    def split(function, n, least=1):
        def counted(start, stop):
            seen.append((start, stop))
            function(start, stop)
        original(counted, n, least)

    monkeypatch.setattr(threads, "split", split)
    shape = (2, 12000, 65) if layer in (mlp, mlp_erf, swiglu) else (2, 2300, 65)            # two parts at least, four mostly
    results, parts = [], []
    for n in (1, 2, 3, 4):
        args, kwargs = example(layer, np.random.default_rng(4), np.float32, shape)
        if layer is linear:
            args = (args[0], np.random.default_rng(6).standard_normal((65, 300)).astype(np.float32), None)
        seen.clear()
        with kernels.using("numba"), threads.limited(n):
            results.append(forward_and_backward(layer, args, kwargs))
        parts.append(len(seen))
    assert parts[0] < parts[1], "the example is too small to be cut into parts"
    for other in results[1:]:                                               # BLAS promises no such thing
        (assert_same_bits if layer is not linear or LARGE_TOO else assert_close)(results[0], other)


@dtypes
def test_linear_takes_a_weight_that_came_turned_and_returns_its_gradient_so(dtype, no_way_out):
    rng = np.random.default_rng(0)
    x, table = rng.standard_normal((2, 5, 6)).astype(dtype), rng.standard_normal((11, 6)).astype(dtype)
    plain, ours = both(lambda: forward_and_backward(linear, (x, table.T)))
    assert_close(ours[0], plain[0])
    assert_close(ours[1], plain[1])
    assert ours[1][1].T.flags.c_contiguous and ours[1][2] is None


@pytest.mark.parametrize("layout", LAYOUTS)
@dtypes
def test_linear_with_a_weight_of_any_layout(dtype, layout):
    rng = np.random.default_rng(0)
    args = rng.standard_normal((2, 5, 6)).astype(dtype), awkward(rng, (6, 7), dtype, layout), None
    plain, ours = both(lambda: forward_and_backward(linear, args))
    assert_close(ours, plain)


@dtypes
def test_cross_entropy_at_its_edges(dtype, no_way_out):
    z = np.random.default_rng(0).standard_normal((6, 5)).astype(dtype)
    ignored = np.full(6, -100)
    for logits, targets in ((1e4 * z, np.arange(6) % 5), (z - 3e4, np.arange(6) % 5), (z, ignored),
                            (z[:, :1], np.zeros(6, int)), (z, np.where(np.arange(6) < 5, -100, 2)),
                            (z, np.arange(6, dtype=np.uint8) % 5), (np.where(z > 0, z, -np.inf).astype(dtype), z.argmax(1))):
        for s in (0.0, 0.1):
            plain, ours = both(lambda: forward_and_backward(cross_entropy, (logits, targets), {"label_smoothing": s}, 1.7))
            assert_close(ours, plain)
    with kernels.using("numba"):
        loss, cache = cross_entropy.forward(z, ignored)
        assert loss == 0 and not cross_entropy.backward(1.0, cache).any()


def test_cross_entropy_does_not_read_what_is_ignored(no_way_out):
    z, targets = np.random.default_rng(0).standard_normal((4, 5)), np.array([1, -100, 2, -100])
    with kernels.using("numba"):
        expected = forward_and_backward(cross_entropy, (z, targets), upstream=1.0)
        z[1], z[3, 2] = np.nan, np.inf
        assert_same_bits(forward_and_backward(cross_entropy, (z, targets), upstream=1.0), expected)


@dtypes
def test_embedding_adds_up_repeated_ids(dtype, no_way_out):
    rng = np.random.default_rng(0)
    for shape, V, C in (((), 3, 4), ((7,), 1, 5), ((3, 40), 6, 1), ((2, 3, 4), 50, 17)):
        for kind in (np.int64, np.int32, np.uint8):
            ids, weight = rng.integers(0, V, shape).astype(kind), rng.standard_normal((V, C)).astype(dtype)
            dy = awkward(rng, shape + (C,), dtype, "turned")
            plain, ours = both(lambda: forward_and_backward(embedding, (ids, weight), upstream=dy))
            assert_close(ours, plain)
            plain, ours = both(lambda: embedding.backward_tied(dy, (ids, V), weight.copy()))
            assert_close(ours, plain)


@dtypes
def test_the_mask_of_dropout_is_the_same_going_back_and_whatever_the_layout(dtype, no_way_out):
    x = awkward(np.random.default_rng(0), (6, 5, 8), dtype, "plain") + 9
    with kernels.using("numba"):
        y, cache = dropout.forward(x, 0.4, np.random.default_rng(1))
        assert set(np.unique((y / x).round(5))) == {0, np.round(dtype(1 / 0.6), 5)}
        assert_close(dropout.backward(x, cache), y)
        assert_same_bits(dropout.backward(np.asfortranarray(x), cache), y)
        x[y == 0] = np.nan                                                  # a NaN that is dropped is 0 * NaN, as in NumPy
        assert np.isnan(dropout.forward(x, 0.4, np.random.default_rng(1))[0][y == 0]).all()


@pytest.mark.parametrize("G", [1, 3])
@dtypes
def test_rotary_leaves_heads_where_they_lie(dtype, G, no_way_out):
    """Heads as multihead.split gives them: turned where a token's heads lie side by side, so that merge copies nothing."""
    packed = np.random.default_rng(0).standard_normal((2, 5, 8 * G)).astype(dtype)
    heads = multihead.split(packed, G)
    plain, ours = both(lambda: forward_and_backward(rotary, (heads,), {"offset": 3}, upstream=heads[::-1]))
    assert_close(ours, plain)
    assert np.shares_memory(multihead.merge(ours[0]), ours[0]) and not np.shares_memory(ours[0], packed)


@pytest.mark.parametrize("name", ["forward", "backward"])
@pytest.mark.parametrize("lower", [silu, linear], **names)
def test_swiglu_calls_what_a_student_puts_in_the_place_of_its_parts(lower, name):
    args, calls = example(swiglu, np.random.default_rng(0), np.float64)[0], []
    plain = getattr(lower, name)

    def students(*arguments, **options):
        calls.append(name)
        return plain(*arguments, **options)

    expected = forward_and_backward(swiglu, args)
    with kernels.using("numba"):
        with gradcheck.swap(lower, **{name: students}):
            assert_close(forward_and_backward(swiglu, args), expected)
        assert len(calls) == (1 if lower is silu else 3)
        assert_close(forward_and_backward(swiglu, args), expected)
    assert len(calls) == (1 if lower is silu else 3)                        # put back: the twin computes silu by itself


@pytest.mark.parametrize("layer", [*DRAWN, dropout], **names)
def test_what_is_not_usual_goes_to_the_plain_function(layer):
    """Complex numbers (the complex step), subclasses of arrays, empty batches: the very result of the plain layer."""
    args, kwargs = example(layer, np.random.default_rng(2), np.float64)
    for x in (args[0] + 1e-3j, args[0][:0]):
        plain, ours = both(lambda: forward_and_backward(layer, (x, *args[1:2], *args[2:]) if layer is not cross_entropy else
                                                        (x, args[1][:len(x)]), {k: v for k, v in kwargs.items()},
                                                        upstream=1.0 if layer is cross_entropy else None)
                           if layer is not dropout else dropout.forward(x, 0.3, np.random.default_rng(5))[0])
        assert_same_bits(ours, plain)


@pytest.mark.parametrize("layer", [*DRAWN, dropout], **names)
def test_numbers_at_odd_addresses(layer):
    args, kwargs = example(layer, np.random.default_rng(2), np.float32, layout="unaligned")
    assert not args[0].flags.aligned
    if layer is dropout:
        kwargs, args = {}, (args[0], 0.3, None)
    plain, ours = both(lambda: forward_and_backward(layer, args, kwargs))
    assert_close(ours, plain)


@dtypes
def test_tolerances_would_see_a_small_mistake(dtype):
    """One number in a hundred thousand off by ten times the tolerance: assert_close must fail."""
    x = np.random.default_rng(0).standard_normal((300, 340)).astype(dtype)
    wrong = x.copy()
    wrong[7, 7] += 10 * CLOSE[x.dtype]["atol"] * np.abs(x).max()
    with pytest.raises(AssertionError):
        assert_close(wrong, x)


def models_step(name):
    """Return the loss and all gradients of a small model that came after GPT-2: BERT on padded texts, Llama with shared keys."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 30, (3, 70))
    if name == "bert":
        config = bert.Config(vocab_size=30, block_size=80, n_layer=2, n_head=2, n_embd=8)
        loss, cache = bert_sequence.forward(bert_sequence.init(config, rng), ids, np.array([0, 1, 1]), config,
                                            segments=ids % 2, mask=np.array([70, 9, 33]))
        return loss, bert_sequence.backward(cache)
    config = llama.Config(vocab_size=30, block_size=80, n_layer=2, n_head=4, n_kv_head=2, n_embd=16, n_hidden=24)
    loss, cache = llama.forward(llama.init(config, rng), ids, ids, config)
    return loss, llama.backward(cache)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_whole_models_run_on_the_twins_alone(name, no_way_out, monkeypatch):
    """Padding masks, segments, keys that several heads share, tied tables: no case for the plain functions."""
    monkeypatch.setattr(fast_attention, "plain", fast_linear.plain)         # it refuses
    monkeypatch.setattr(fast_dropout, "plain", kernels.plain)               # which has nothing to do: no dropout here
    plain, ours = both(lambda: models_step(name))
    assert_close(ours, plain)

"""A kernel does not look at shapes, so what calls it must: a wrong dy, cache or table is refused, never read beyond its end."""
import numpy as np
import pytest

from nanolm import kernels
from nanolm.generation import kv_cache
from nanolm.layers import attention, dropout, embedding, gelu, linear, mlp, rmsnorm, rotary, swiglu
from nanolm.models import gpt2

pytestmark = pytest.mark.skipif(not kernels.available(), reason="Numba is not installed")


def ones(*shape):
    return np.ones(shape, np.float32)


def caches():
    rng = np.random.default_rng(0)
    heads = [rng.standard_normal((2, 2, 70, 8)).astype(np.float32) for _ in range(3)]
    p = {"c_fc": {"weight": ones(4, 8), "bias": ones(8)}, "c_proj": {"weight": ones(8, 4), "bias": ones(4)}}
    gates = {"gate_proj": {"weight": ones(4, 8)}, "up_proj": {"weight": ones(4, 8)}, "down_proj": {"weight": ones(8, 4)}}
    return [(gelu, gelu.forward(ones(50, 20))[1], [ones(10), ones(1), ones(50, 19)]),
            (gelu, gelu.forward(ones(50, 20), "erf")[1], [ones(10), ones(1), ones(50, 19)]),
            (swiglu, swiglu.forward(ones(4, 4), gates)[1], [ones(2, 4), ones(4)]),
            (rmsnorm, rmsnorm.forward(ones(50, 20), ones(20))[1], [ones(50, 19), ones(49, 20)]),
            (rotary, rotary.forward(ones(2, 50, 20))[1], [ones(2, 49, 20), ones(2, 50, 18)]),
            (attention, attention.forward(*heads)[1], [ones(2, 2, 7, 8), ones(8), ones(2, 2, 70, 7)]),
            (mlp, mlp.forward(ones(4, 4), p)[1], [ones(2, 4), ones(4)]),
            (dropout, dropout.forward(ones(40), 0.5, rng)[1], [ones(39), ones(1)]),
            (linear, linear.forward(ones(400, 6), ones(6, 7))[1], [ones(2, 7), ones(399, 7)])]


def test_a_gradient_of_another_shape_is_refused():
    with kernels.using("numba"):
        for layer, cache, wrong in caches():
            for dy in wrong:
                with pytest.raises(ValueError):
                    layer.backward(dy, cache)


def test_a_gradient_of_another_precision_is_refused_in_a_sentence():
    with kernels.using("numba"):
        _, cache = gelu.forward(ones(5, 3))
        with pytest.raises(TypeError, match="dy must hold float32, as forward's answer does, but it holds float64"):
            gelu.backward(np.ones((5, 3)), cache)


def test_an_id_outside_the_table_is_refused():
    with kernels.using("numba"):
        with pytest.raises(IndexError):
            embedding.backward(ones(1, 5), (np.array([99]), 8))
        with pytest.raises((IndexError, ValueError)):
            embedding.backward_tied(ones(1, 5), (np.array([7]), 8), ones(3, 5))


def test_a_cache_of_another_model_is_refused_and_nothing_is_written():
    large, small = (gpt2.Config(vocab_size=50, block_size=32, n_layer=n, n_head=2, n_embd=16) for n in (3, 1))
    p, kv = gpt2.init(large, np.random.default_rng(0)), kv_cache.empty(gpt2.init(small, np.random.default_rng(0)), small)
    with kernels.using("numba"), pytest.raises(IndexError):
        kv_cache.extend(p, np.array([[1]]), kv, large)
    other = kv_cache.empty(p, large)
    other.values = other.values[:, :, :, :16]
    other.length = 20
    with kernels.using("numba"), pytest.raises((ValueError, IndexError)):
        kv_cache.extend(p, np.array([[1]]), other, large)


def test_a_cache_that_does_not_lie_in_one_piece_keeps_its_tokens():
    config = gpt2.Config(vocab_size=50, block_size=32, n_layer=2, n_head=2, n_embd=16)
    p = gpt2.init(config, np.random.default_rng(0))
    answers = []
    for backend in ("numpy", "numba"):
        kv = kv_cache.empty(p, config)
        kv.keys, kv.values = np.asfortranarray(kv.keys), np.asfortranarray(kv.values)
        with kernels.using(backend):
            kv_cache.extend(p, np.array([[1, 2, 3]]), kv, config)
            answers.append(kv_cache.extend(p, np.array([[4, 5]]), kv, config))
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-6)


def test_a_mask_written_to_after_forward_changes_nothing():
    q, k, v = (np.random.default_rng(n).standard_normal((70, 8)) for n in range(3))
    mask = np.random.default_rng(3).random((70, 70)) < 0.5
    with kernels.using("numba"):
        _, cache = attention.forward(q, k, v, mask)
        before = attention.backward(v, cache)
        mask[:] = False
        for a, b in zip(before, attention.backward(v, cache)):
            np.testing.assert_array_equal(a, b)

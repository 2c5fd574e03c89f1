"""swap puts a function in a layer's place, for as long as the with statement lasts, and refuses what cannot work."""
import numpy as np
import pytest

from nanolm import gradcheck
from nanolm.layers import embedding, layernorm, linear
from nanolm.models import gpt2

own_forward, own_backward = layernorm.forward, layernorm.backward


def zero(dy, cache):
    return tuple(0 * g for g in own_backward(dy, cache))


def double(dy, cache):
    return tuple(2 * g for g in own_backward(dy, cache))


def test_restored_on_leaving():
    with gradcheck.swap(layernorm, backward=zero) as module:
        assert module is layernorm and layernorm.backward is zero and layernorm.forward is own_forward
    assert layernorm.backward is own_backward


def test_restored_on_an_exception():
    with pytest.raises(KeyError), gradcheck.swap(layernorm, backward=zero, forward=lambda *a: None):
        raise KeyError
    assert layernorm.backward is own_backward and layernorm.forward is own_forward


def test_swaps_nest():
    with gradcheck.swap(layernorm, backward=zero):
        with gradcheck.swap(layernorm, backward=double):
            assert layernorm.backward is double
        assert layernorm.backward is zero
    assert layernorm.backward is own_backward


def test_gpt2_trains_on_the_swapped_function():
    rng, config = np.random.default_rng(0), gpt2.Config(11, 6, 2, 2, 6)
    p, ids = gpt2.init(config, rng, np.float64), rng.integers(0, 11, (2, 6))
    with gradcheck.swap(layernorm, backward=zero):
        dp = gpt2.backward(gpt2.forward(p, ids, ids, config)[1])
    assert not dp["ln_f"]["weight"].any() and not dp["h"]["0"]["mlp"]["c_fc"]["weight"].any()
    dp = gpt2.backward(gpt2.forward(p, ids, ids, config)[1])
    assert dp["ln_f"]["weight"].any() and dp["h"]["0"]["mlp"]["c_fc"]["weight"].any()


def test_check_sees_the_swapped_function():
    with gradcheck.swap(layernorm, backward=double):
        assert not gradcheck.check_layer("layernorm").passed
        assert not gradcheck.check_layer("gpt2").passed
    assert gradcheck.check_layer("layernorm").passed


@pytest.mark.parametrize("make, words", [
    (lambda: gradcheck.swap(layernorm, backwards=zero), ("backwards", "forward and backward")),
    (lambda: gradcheck.swap(layernorm, np=zero), ("np",)),
    (lambda: gradcheck.swap(layernorm), ("no function", "backward=")),
    (lambda: gradcheck.swap(layernorm, backward=(1, 2, 3)), ("backward", "tuple", "without calling")),
    (lambda: gradcheck.swap(layernorm, backward=lambda dy: dy), ("(dy)", "(dy, cache)")),
    (lambda: gradcheck.swap("layernorm", backward=zero), ("backward",)),
])
def test_refused_before_anything_is_changed(make, words):
    with pytest.raises(TypeError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), caught.value
    assert layernorm.backward is own_backward and linear.backward.__module__ == "nanolm.layers.linear"
    assert embedding.forward.__module__ == "nanolm.layers.embedding"

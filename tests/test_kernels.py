"""Choosing the backend: what stands where, what is refused, what a student's function in between does."""
import functools
import os
import subprocess
import sys

import numpy as np
import pytest

from nanolm import gradcheck, kernels
from nanolm.layers import attention, dropout, embedding, gelu, layernorm, linear, masks, mlp, softmax
from nanolm.models import gpt2
from nanolm.params import flatten

needs_numba = pytest.mark.skipif(not kernels.available(), reason="Numba is not installed")


def homes():
    """Return {twin.function: the module of the function that stands there now}."""
    import importlib
    return {f"{twin}.{name}": getattr(importlib.import_module(module), name).__module__
            for twin, (module, names, _) in kernels.TWINS.items() for name in names}


def python(code, **environment):
    """Run code in a process of its own; return (return code, standard output, standard error)."""
    env = {**{k: v for k, v in os.environ.items() if k not in ("NANOLM_KERNELS", "NUMBA_DISABLE_JIT")}, **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout.strip(), done.stderr


@needs_numba
def test_use_puts_every_twin_in_place_and_takes_it_away():
    plain = homes()
    assert kernels.in_use() == "numpy" and not any("kernels" in home for home in plain.values())
    try:
        kernels.use("numba")
        kernels.use("numba")                            # twice is once
        assert kernels.in_use() == "numba"
        assert homes() == {place: f"nanolm.kernels.{place.split('.')[0]}" for place in plain}
        assert kernels.plain("gelu", "forward").__module__ == "nanolm.layers.gelu"
    finally:
        kernels.use("numpy")
    kernels.use("numpy")
    assert homes() == plain and kernels.in_use() == "numpy" and kernels.plain("gelu", "forward") is gelu.forward


@needs_numba
def test_using_nests_and_restores_on_an_exception():
    with kernels.using("numba"):
        with kernels.using("numpy"):
            assert kernels.in_use() == "numpy" and gelu.forward.__module__ == "nanolm.layers.gelu"
        assert kernels.in_use() == "numba" and gelu.forward.__module__ == "nanolm.kernels.gelu"
    with pytest.raises(KeyError), kernels.using("numba"):
        raise KeyError
    assert kernels.in_use() == "numpy" and gelu.forward.__module__ == "nanolm.layers.gelu"


@pytest.mark.parametrize("name", ["cuda", "", None, "Numba", 1])
def test_unknown_backends_are_refused(name):
    with pytest.raises(ValueError, match='kernels.use takes "numba" or "numpy", but got'):
        kernels.use(name)
    with pytest.raises(ValueError), kernels.using(name):
        pass
    assert kernels.in_use() == "numpy"


def test_without_numba_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)
    with pytest.raises(ImportError, match="pip install numba.*NANOLM_KERNELS=numpy"):
        kernels.use("numba")
    monkeypatch.delenv("NANOLM_KERNELS", raising=False)
    assert kernels.in_use() == "numpy" and kernels.default() == "numpy"
    kernels.use("numpy")


def test_default_is_what_the_environment_says(monkeypatch):
    for word in ("numba", "numpy"):
        monkeypatch.setenv("NANOLM_KERNELS", word)
        assert kernels.default() == word
    monkeypatch.setenv("NANOLM_KERNELS", "")
    assert kernels.default() == ("numba" if kernels.available() else "numpy")
    monkeypatch.setenv("NANOLM_KERNELS", "torch")       # `import nanolm` has said that it is ignored
    assert kernels.default() == ("numba" if kernels.available() else "numpy")


def test_kernels_that_are_not_compiled_are_not_chosen(monkeypatch):
    """As plain Python they would be hundreds of times slower than NumPy; asked for by name they run, with a warning."""
    monkeypatch.delenv("NANOLM_KERNELS", raising=False)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert kernels.default() == kernels.choose() == "numpy"
    if kernels.available():
        with pytest.warns(UserWarning, match="NUMBA_DISABLE_JIT is set, so the fast kernels are not compiled"):
            assert kernels.choose("numba") == "numba"


@needs_numba
def test_the_environment_decides_from_the_first_import_on():
    code = "from nanolm.layers import gelu; from nanolm import kernels; print(kernels.in_use(), gelu.forward.__module__)"
    assert python(code)[1] == "numpy nanolm.layers.gelu"
    assert python(code, NANOLM_KERNELS="numpy")[1] == "numpy nanolm.layers.gelu"
    assert python(code, NANOLM_KERNELS="numba")[1] == "numba nanolm.kernels.gelu"
    failed, used, error = python(code, NANOLM_KERNELS="fast")
    assert not failed and used == "numpy nanolm.layers.gelu" and "NANOLM_KERNELS is 'fast'" in error


def test_asking_imports_no_numba():
    code = "import sys; from nanolm import kernels as k; k.available(), k.default(), k.in_use(); print('numba' in sys.modules)"
    assert python(code)[1] == "False"


@needs_numba
@pytest.mark.parametrize("wrapped", [False, True])
def test_no_change_of_backend_while_a_students_function_stands_in_a_twins_place(wrapped):
    def student(own):
        def mine(dy, cache):
            return own(dy, cache)
        return functools.wraps(own)(mine) if wrapped else mine
    for before, after in (("numpy", "numba"), ("numba", "numpy")):
        with kernels.using(before):
            with gradcheck.swap(layernorm, backward=student(layernorm.backward)):
                places = homes()
                with pytest.raises(RuntimeError, match=r"nanolm.layers.layernorm.(for|back)ward is not .* at present.*swap"):
                    kernels.use(after)
                with pytest.raises(RuntimeError), kernels.using(after):
                    pass
                assert homes() == places and kernels.in_use() == before
            kernels.use(after)                          # put back: now it may change
            kernels.use(before)
    assert kernels.in_use() == "numpy" and layernorm.backward.__module__ == "nanolm.layers.layernorm"


def counted(function, calls, wrap=False):
    """Return a function that does the same and notes that it was called; wrap: with the name and module of the other."""
    def mine(*args, **kwargs):
        calls.append(function)
        return function(*args, **kwargs)
    return functools.wraps(function)(mine) if wrap else mine


@needs_numba
@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("lower", [gelu, softmax, dropout, linear])
@pytest.mark.parametrize("name", ["forward", "backward"])
@pytest.mark.parametrize("theirs", ["plain", "twin"])
def test_a_students_function_under_a_fast_composite_is_called(lower, name, wrap, theirs):
    """mlp's twin computes gelu by itself, and attention's softmax and dropout: but not where a student's function stands."""
    rng, plain = np.random.default_rng(0), getattr(lower, name)
    x, p = rng.standard_normal((2, 5, 6)), {"c_fc": {"weight": rng.standard_normal((6, 7)), "bias": rng.standard_normal(7)},
                                            "c_proj": {"weight": rng.standard_normal((7, 6)), "bias": rng.standard_normal(6)}}

    def run():
        if lower in (gelu, linear):
            y, cache = mlp.forward(x, p)
            dx, dp = mlp.backward(x, cache)
            return [y, dx, *flatten(dp).values()]
        rate = 0.3 if lower is dropout else 0.0
        y, cache = attention.forward(x, x, x, masks.causal(5), rate, np.random.default_rng(1))
        return [y, *attention.backward(x, cache)]
    expected, calls = run(), []
    with kernels.using("numba"):
        function = plain if theirs == "plain" else getattr(lower, name)
        with gradcheck.swap(lower, **{name: counted(function, calls, wrap)}):
            got = run()
        assert calls
        if lower is not dropout or theirs == "plain" and name == "forward":     # dropout's twin drops others
            for a, b in zip(got, expected):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)
        calls.clear()
        run()
        assert not calls


@needs_numba
def test_a_students_half_gets_the_plain_layers_cache():
    seen = {}

    def backward(dy, cache):
        x, form, share = cache                          # what layers/gelu.py keeps; the twin keeps x alone
        seen["backward"] = form
        return dy * 0
    with kernels.using("numba"):
        with gradcheck.swap(gelu, backward=backward):
            y, cache = gelu.forward(np.ones((2, 3)))
            assert not gelu.backward(y, cache).any() and seen == {"backward": "tanh"}
        with gradcheck.swap(gelu, forward=lambda x, form="tanh": (x + 1, (x, form, np.ones_like(x)))):
            y, cache = gelu.forward(np.ones((2, 3)))
            np.testing.assert_allclose(gelu.backward(y, cache), 2.0)        # share = 1: the plain formula gives dy
        assert gelu.forward.__module__ == gelu.backward.__module__ == "nanolm.kernels.gelu"


@needs_numba
def test_gpt2_calls_a_students_embedding_backward_though_the_twin_adds_into_the_tied_table():
    rng, config = np.random.default_rng(0), gpt2.Config(11, 6, 1, 2, 6)
    p, ids, calls = gpt2.init(config, rng), rng.integers(0, 11, (2, 6)), []
    with kernels.using("numba"):
        expected = gpt2.backward(gpt2.forward(p, ids, ids, config)[1])
        with gradcheck.swap(embedding, backward=counted(embedding.backward, calls)):
            got = gpt2.backward(gpt2.forward(p, ids, ids, config)[1])
    assert len(calls) == 1
    np.testing.assert_allclose(got["wte"]["weight"], expected["wte"]["weight"], rtol=1e-5, atol=1e-7)


TRAIN = """
import warnings
import numpy as np, numba
from nanolm import kernels, params
from nanolm.models import gpt2
from nanolm.training import clipping, step
from nanolm.training.optimizers import adamw

warnings.simplefilter("error")
config = gpt2.Config(11, 70, 2, 2, 8)

def train():
    rng = np.random.default_rng(0)
    p = gpt2.init(config, rng)
    flat = params.flatten(p)
    state, losses = adamw.init(flat), []
    for _ in range(2):
        ids, targets = rng.integers(0, 11, (2, 3, 70))
        loss, grads = step.loss_and_gradients(gpt2, p, ids, targets, config, shards=2, workers=2)
        clipping.clip(grads, 0.1)
        adamw.step(flat, grads, state, lr=1e-3)
        losses.append(loss)
    return losses + [a for a in flat.values()]

plain = train()
kernels.use("numba")
fast = train()
for a, b in zip(fast, plain):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
rng = np.random.default_rng(1)
ids = rng.integers(0, 11, (2, 70))
loss, cache = gpt2.forward(gpt2.init(gpt2.Config(11, 70, 1, 2, 8, dropout=0.2), rng), ids, ids,
                           gpt2.Config(11, 70, 1, 2, 8, dropout=0.2), rng=rng)
gpt2.backward(cache)                                    # random bits without the compiler: no warning either
from nanolm.kernels import attention, compiled
print(numba.config.DISABLE_JIT, compiled.ENTRIES, type(attention.gather).__name__, np.isfinite(loss))
"""


@needs_numba
def test_with_the_compiler_switched_off_the_kernels_are_python_and_compute_the_same():
    failed, out, error = python(TRAIN, NUMBA_DISABLE_JIT="1")
    assert not failed, error
    assert out == "1 [] function True"

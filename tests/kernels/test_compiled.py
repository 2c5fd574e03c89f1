"""The two decorators: fixed kinds of arguments, a form for each precision, made once, on any number of threads."""
import threading

import numpy as np
import pytest

numba = pytest.importorskip("numba")
if numba.config.DISABLE_JIT:
    pytest.skip("Numba is switched off", allow_module_level=True)

from numba import types

from nanolm import kernels
from nanolm.kernels import compiled

MODULES = [__import__(f"nanolm.kernels.{twin}", fromlist=[twin]) for twin in kernels.TWINS]     # defines all entries


def scaled(x, factor, y, n):
    """Write x * factor to y."""
    for i in range(n):
        y[i] = x[i] * factor / x.dtype.type(2)


@pytest.fixture
def kernel(monkeypatch):
    """An Entry that no other test has used, and that nobody warms up."""
    monkeypatch.setattr(compiled, "ENTRIES", [])
    return compiled.entry("in1", "real", "out1", "int")(scaled)


def run(kernel, dtype, n=5):
    x, y = np.arange(n, dtype=dtype), np.empty(n, dtype)
    kernel(x, 3.0, y, n)
    return y


def test_a_form_for_each_precision_is_made_when_it_is_first_needed(kernel):
    assert compiled.ENTRIES == [kernel] and kernel.forms == {}
    assert kernel.__name__ == "scaled" and kernel.__doc__ == "Write x * factor to y."
    for dtype in (np.float32, np.float64, np.float32):
        y = run(kernel, dtype)
        assert y.dtype == dtype and np.array_equal(y, 1.5 * np.arange(5))
    assert set(kernel.forms) == {np.dtype(np.float32), np.dtype(np.float64)}
    assert all(len(form.signatures) == 1 for form in kernel.forms.values())


def test_what_a_kernel_only_reads_may_be_read_only_and_what_it_writes_may_not(kernel):
    x, y = np.arange(5.0), np.empty(5)
    x.flags.writeable = False
    kernel(x, 2.0, y, 5)
    assert np.array_equal(x, y)
    y.flags.writeable = False
    with pytest.raises(TypeError):
        kernel(x, 2.0, y, 5)


@pytest.mark.parametrize("x, y", [(np.arange(5.0), np.empty(5, np.float32)), (np.arange(10.0)[::2], np.empty(5)),
                                  (np.ones((1, 5)), np.empty(5)), (np.arange(5), np.empty(5))])
def test_other_arrays_are_refused_and_nothing_is_compiled_for_them(kernel, x, y):
    run(kernel, np.float64)
    with pytest.raises((TypeError, KeyError)):
        kernel(x, 2.0, y, 5)
    assert len(kernel.forms[np.dtype(np.float64)].signatures) == 1


def test_words_for_kinds():
    real = types.float32
    assert compiled.numba_type("real", real) == real and compiled.numba_type("int", real) == types.int64
    for word, element, axes, mutable in (("in1", real, 1, False), ("out2", real, 2, True), ("in3", real, 3, False),
                                         ("in64", types.int64, 1, False), ("out64", types.int64, 1, True),
                                         ("bytes", types.uint8, 1, False)):
        kind = compiled.numba_type(word, real)
        assert (kind.dtype, kind.ndim, kind.mutable, kind.layout) == (element, axes, mutable, "C"), word


def test_several_threads_that_need_a_form_at_once_get_one(kernel):
    start, results = threading.Barrier(4, timeout=30), []

    def work():
        start.wait()
        results.append(run(kernel, np.float32))
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4 and all(np.array_equal(y, 1.5 * np.arange(5)) for y in results)
    assert len(kernel.forms) == 1


def test_a_kernel_lets_go_of_pythons_lock_and_is_kept_on_disk(kernel):
    run(kernel, np.float32)
    form, = kernel.forms.values()
    assert form.targetoptions["nogil"] is True and form.targetoptions["error_model"] == "numpy"
    assert not form.targetoptions.get("parallel") and not form.targetoptions.get("fastmath")
    if compiled.folder() is not None:
        assert any("scaled" in path.name for path in compiled.folder().rglob("*.nbi"))


def test_division_by_zero_is_inf_as_in_numpy():
    @compiled.compiled
    def quotient(a, b):
        return a / b
    assert quotient(1.0, 0.0) == np.inf and np.isnan(quotient(0.0, 0.0))


def test_no_kernel_may_assume_that_there_is_no_nan():
    for kernel in compiled.ENTRIES:
        flags = kernel.flags.get("fastmath", set())
        assert flags is not True and set(flags) <= {"reassoc", "contract"}, kernel.__name__


def test_every_entry_writes_somewhere_or_returns_and_has_a_kind_for_each_argument():
    assert len(compiled.ENTRIES) >= 15
    for kernel in compiled.ENTRIES:
        assert len(kernel.kinds) == kernel.function.__code__.co_argcount, kernel.__name__

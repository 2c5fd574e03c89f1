"""The same tests for the plain functions and for their fast twins.

A module that says

    BOTH_BACKENDS = True

at its top has each of its tests run twice: with kernels.using("numpy") and with kernels.using("numba"); the second is
skipped where Numba is missing. A test, or a module's fixture, that wants to know which takes `backend`.
A test marked @pytest.mark.plain_only looks at what only the plain file has (its cache, the numbers that its generator
draws), and runs once.
"""
import pytest

from nanolm import kernels


def pytest_configure(config):
    config.addinivalue_line("markers", "plain_only: in a module with BOTH_BACKENDS, a test of the plain functions alone")


def pytest_generate_tests(metafunc):
    if getattr(metafunc.module, "BOTH_BACKENDS", False):
        alone = metafunc.definition.get_closest_marker("plain_only") is not None
        metafunc.parametrize("backend", ["numpy"] if alone else ["numpy", "numba"], indirect=True)


@pytest.fixture(autouse=True)
def backend(request):
    """The backend that is in use during the test, "numpy" or "numba"; None: the module has not asked for both."""
    name = getattr(request, "param", None)
    if name is None:
        yield None
        return
    if name == "numba" and not kernels.available():
        pytest.skip("the fast twins need Numba, which is not installed")
    # Not the fixture monkeypatch: what a test puts into a module by it must be gone before the twins are taken away.
    with pytest.MonkeyPatch.context() as patch, kernels.using(name):
        patch.setenv("NANOLM_KERNELS", name)            # the trainer and the command line choose for themselves: this one
        yield name

"""Hold BLAS, the library behind NumPy's matrix products, to one thread.

BLAS starts threads of its own. For the small products of one token they cost more than they bring, and beside worker
threads (training/parallel.py) they would be more threads than cores, each waiting for the others.

    with threads.one_for_blas():
        y = x @ weight
"""
import functools
import sys

import threadpoolctl


def one_for_blas():
    """Return a context manager inside which BLAS uses one thread; what it was before comes back on leaving."""
    return _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")


@functools.cache
def _libraries(with_scipy):
    """Return threadpoolctl's handle on BLAS. Found once: looking through all loaded libraries takes milliseconds.

    with_scipy: SciPy brings a BLAS of its own, which Numba's np.dot uses; once it is loaded, look again.
    """
    return threadpoolctl.ThreadpoolController()

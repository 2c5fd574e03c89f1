"""Run one function on several shards of a batch at once, in threads, and get the results in order.

Python runs one thread at a time, but NumPy lets go of Python's lock (the GIL) while it computes on arrays, so two
threads keep two cores busy. No layer keeps state, so two shards need nothing from each other.

BLAS, the library behind NumPy's matrix products, has threads of its own. Both kinds at once would be more threads
than cores, so BLAS is held to one thread here: parallel over the batch beats parallel inside each product, because
everything between the products (softmax, GELU, layer norm) then runs in parallel as well.

Measured  a step of GPT-2, 4 layers x 128 channels, 32 rows of 128 tokens, on two cores: one thread 536 ms, two
          threads inside BLAS 459 ms, two workers 277 ms. On a busy machine BLAS's threads also wait by spinning: where
          two workers used 0.6 s of processor time for a step, they used 3.2 s for the same work.
Tested    tests/test_step.py.
"""
from concurrent.futures import ThreadPoolExecutor

from nanolm import threads


def ordered_map(function, items, workers):
    """Yield function(item) for each item, in the order of items, computing `workers` of them at a time.

    Which thread computes what, and which ends first, never shows in the results. With one worker nothing is
    computed ahead of its use, so that only one result needs to be in memory at a time.
    """
    with threads.one_for_blas():
        if workers == 1 or len(items) == 1:
            with threads.limited(workers):              # one at a time: inside it, the fast kernels may use them all
                yield from map(function, items)
        else:
            with ThreadPoolExecutor(workers) as pool:
                yield from pool.map(alone(function), items)


def alone(function):
    """Return function, such that its kernels use no other thread than the one it is called on."""
    def called(item):
        with threads.limited(1):
            return function(item)
    return called

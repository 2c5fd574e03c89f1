"""The ways to do one thing, before a trick and after it: what a worker (worker.py) of `nanolm bench tricks` runs.

The functions that make the ways stand in tricks_numbers.py, tricks_passes.py, tricks_products.py and tricks_models.py;
each of them returns

    Ways({"plain NumPy": function, "one pass": function}, count=numbers that a call goes through)

Tested    tests/test_bench_tricks.py: before and after give the same answer, for every trick.
"""
import contextlib
import importlib
from dataclasses import dataclass

from nanolm import kernels, threads
from nanolm.bench import machine
from nanolm.bench.ours_layers import counted
from nanolm.training import memory


@dataclass
class Ways:
    """Functions without arguments that compute the same, each its own way; a call returns the answer."""
    functions: dict             # {what this way is: function}; the last one is where the trick leads
    count: float = 1            # how many numbers, or operations, a call goes through
    twins: tuple = ()           # the ways that run with the fast twins in place; the others with the plain functions
    alone: bool = True          # on one thread, BLAS on one too
    pairs: list = None          # [(before, after)]; None: each of the others, and the last one

    def run(self, name, repeats=1):
        """Call a way so often; return its last answer."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(kernels.using("numba" if name in self.twins else "numpy"))
            if self.alone:
                stack.enter_context(threads.one_for_blas())
                stack.enter_context(threads.limited(1))
            for _ in range(repeats):
                answer = self.functions[name]()
        return answer

    def about(self):
        """Return what the table needs to know, as JSON can hold it; the processor's name for NumPy's BLAS too."""
        names = list(self.functions)
        pairs = [(name, names[-1]) for name in names[:-1]] if self.pairs is None else self.pairs
        return {"ways": names, "count": self.count, "pairs": pairs, "blas": machine.blas()}


def prepare(make, keep=True, measures="time", **sizes):
    """Return {way: function} for the worker; a run repeats a short way and returns how often, or returns bytes.

    make: "nanolm.bench.tricks_numbers:exponential"; sizes: its arguments; keep: keep freed memory, as the trainer does.
    """
    if keep:
        memory.keep_freed()
    module, name = make.split(":")
    ways = getattr(importlib.import_module(module), name)(**sizes)
    if measures == "time":
        found = {name: counted(lambda repeats, name=name: ways.run(name, repeats)) for name in ways.functions}
    else:
        found = {name: lambda name=name: ways.run(name) for name in ways.functions}
    return {**found, "about": ways.about}

"""A meeting point for threads inside a kernel: nobody goes on before all have come.

Two threads that share the work of one token wait for each other 24 times in GPT-2 small (decode.py). Going back to Python
each time would cost 70 microseconds a wait, a tenth of the token. So they meet in shared memory: one number, which every
thread raises by one when it comes, and looks at until all have raised it:

    arrive(counter)         counter + 1, as one indivisible step ("atomic"): two at once raise it by two
    arrived(counter)        read it so that everything that the others wrote before they came is seen as well

Who waits looks some thousand times, a few microseconds, and then lets other threads have the core before each further
look: on a machine with other work, the one that is waited for may need that very core. Nobody waits while there is no
token to compute. What is computed does not depend on who comes first.

If a thread cannot come any more (an exception, Ctrl-C), abandon(counter) lets the others go; what they compute then is
thrown away.

With Numba switched off these are plain functions, for one thread: it is always the last to come.

Tested    tests/kernels/test_decode.py.
"""
import os

import numpy as np

from nanolm.kernels.compiled import compiled
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LOOKS = 4000                                            # a look is about a nanosecond
ABANDONED = 2**62


def counter():
    """Return a new meeting point, (16,) int64: the number stands in the middle, alone in its line of the cache."""
    return np.zeros(16, np.int64)


def abandon(counter):
    """Let everybody pass, now and later."""
    counter[8] = ABANDONED


@compiled
def meet(counter, n, due):
    """Come to the meeting of n threads, and go on when all have come. due: the counter then, n times the number of meetings."""
    if n == 1:
        return
    arrive(counter)
    looks = 0
    while arrived(counter) < due:
        looks += 1
        if looks > LOOKS:
            step_aside()


def arrive(counter):
    counter[8] += 1


def arrived(counter):
    return counter[8]


def step_aside():
    pass


@intrinsic
def _add_one(typing_context, counter):
    def code(context, builder, signature, arguments):
        address = _eighth(context, builder, signature, arguments)
        return builder.atomic_rmw("add", address, ir.Constant(ir.IntType(64), 1), "acq_rel")
    return types.int64(counter), code


@intrinsic
def _read(typing_context, counter):
    def code(context, builder, signature, arguments):
        return builder.load_atomic(_eighth(context, builder, signature, arguments), "acquire", 8)
    return types.int64(counter), code


@intrinsic
def _yield(typing_context):
    def code(context, builder, signature, arguments):
        if os.name == "posix":                          # elsewhere: look again at once
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
            builder.call(function, [])
        return context.get_dummy_value()
    return types.none(), code


def _eighth(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [ir.Constant(ir.IntType(64), 8)])


@overload(arrive)
def _compiled_arrive(counter):
    return lambda counter: _add_one(counter)


@overload(arrived)
def _compiled_arrived(counter):
    return lambda counter: _read(counter)


@overload(step_aside)
def _compiled_step_aside():
    return lambda: _yield()

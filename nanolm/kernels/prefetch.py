"""Four rows of a weight for several rows of x, while the next four are on their way from memory.

    y[r] = y[r] + x[r, 0] w[0] + x[r, 1] w[1] + x[r, 2] w[2] + x[r, 3] w[3]        r = 0 ... R - 1,  R = 8, 4 or 1

A processor guesses what will be read next and fetches it early, but its guesses end with a page (4,096 bytes), and the
more arithmetic lies between two reads, the later it guesses. Here it is told: beside each register that is loaded from a
row stands an instruction, prefetch, for the same place four rows further on. It loads nothing into a register, waits for
nothing, and may point past the end of the array. LLVM's language has it, Numba's has not: hence the intrinsic. A weight
that has been loaded serves all R rows of x; their numbers wait in registers, copied to all places.

Measured  the twelve blocks of GPT-2 small (340 MB), two cores of a Zen 5, GB/s, loops that LLVM made wide before / this file:
          3 rows 32 / 38, 4 rows 31 / 36, 8 rows 23 / 35, 16 rows 15 / 25. One row gained nothing (45 / 40: the processor's
          guesses are enough), so reading.py keeps its loop for that. Eight rows of the weight at a time, not four: 8 rows
          of x lost a third, because 64 of their numbers do not fit into 32 registers.
Tested    tests/kernels/test_prefetch.py.
"""
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from nanolm.kernels.compiled import compiled
from nanolm.kernels.tile_product import BYTES

ROWS = 4                                                # of the weight
INTO_L1 = 3                                             # prefetch's words for how near the cache is that it fills


def pass_over(R, wide):
    """Return the intrinsic for R rows of x: n columns, a register of them at a time if wide, else one by one."""

    @intrinsic
    def four_rows(typing, w, at, step, x, x_at, x_row, y, y_at, y_row, n):
        signature = types.void(w, types.int64, types.int64, x, types.int64, types.int64, y, *[types.int64] * 3)

        def generate(context, builder, signature, arguments):
            real, stored = context.get_value_type(y.dtype), context.get_value_type(w.dtype)
            lanes = BYTES * 8 // y.dtype.bitwidth if wide else 1
            register, loaded = ir.VectorType(real, lanes), ir.VectorType(stored, lanes)
            index, i32, i8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
            _, at, step, _, x_at, x_row, _, y_at, y_row, n = arguments
            w_data, x_data, y_data = (context.make_array(kind)(context, builder, value).data
                                      for kind, value in ((w, arguments[0]), (x, arguments[3]), (y, arguments[6])))
            prefetch = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32]), "llvm.prefetch.p0i8")

            def place(data, at, row, k, j):
                return builder.gep(data, [builder.add(builder.add(at, builder.mul(row, index(k))), j)])

            def in_all_lanes(number):
                one = builder.insert_element(ir.Constant(register, ir.Undefined), number, i32(0))
                return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))

            numbers = [[in_all_lanes(builder.load(place(x_data, x_at, x_row, r, index(q)))) for q in range(ROWS)]
                       for r in range(R)]
            before, loop, after = builder.block, builder.append_basic_block("columns"), builder.append_basic_block("after")
            builder.cbranch(builder.icmp_signed(">", n, index(0)), loop, after)
            builder.position_at_end(loop)
            j = builder.phi(index)
            j.add_incoming(index(0), before)
            weights = []
            for q in range(ROWS):
                weight = builder.load(builder.bitcast(place(w_data, at, step, q, j), loaded.as_pointer()), align=1)
                weights.append(weight if stored == real else builder.sitofp(weight, register))          # int8 becomes a float
                if wide:
                    ahead = builder.bitcast(place(w_data, at, step, q + ROWS, j), i8.as_pointer())
                    builder.call(prefetch, [ahead, i32(0), i32(INTO_L1), i32(1)])                       # to read; of data
            for r in range(R):
                pointer = builder.bitcast(place(y_data, y_at, y_row, r, j), register.as_pointer())
                total = builder.load(pointer, align=1)
                for q in range(ROWS):
                    product = builder.fmul(numbers[r][q], weights[q], flags=("contract",))
                    total = builder.fadd(total, product, flags=("contract",))
                builder.store(total, pointer, align=1)
            following = builder.add(j, index(lanes))
            j.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, n), loop, after)
            builder.position_at_end(after)
            return context.get_dummy_value()

        return signature, generate

    return four_rows


eight, four, one = (pass_over(R, wide=True) for R in (8, 4, 1))
eight_narrow, four_narrow, one_narrow = (pass_over(R, wide=False) for R in (8, 4, 1))


def add_four_rows(weights, at, step, x, column, y, left, n):
    """Add to y[:, left:left + n] the four numbers x[:, column:column + 4] times four rows of a flat weight.

    weights   floats like x's, or int8; the rows begin at `at` and are `step` numbers apart.  x, y  matrices, contiguous
    The bits of a column do not depend on which others are asked for. (These lines run when Numba is switched off.)
    """
    for r in range(ROWS):
        row = weights[at + r * step:at + r * step + n]
        y[:, left:left + n] += x[:, column + r:column + r + 1] * row.astype(y.dtype)


@compiled
def add_by_registers(weights, at, step, x, column, y, left, n):
    N, O, X = y.shape[0], y.shape[1], x.shape[1]
    lanes = BYTES // y.itemsize
    whole = n - n % lanes
    r = 0
    while r < N:
        x_at, y_at = r * X + column, r * O + left
        if r + 8 <= N:
            eight(weights, at, step, x, x_at, X, y, y_at, O, whole)
            eight_narrow(weights, at + whole, step, x, x_at, X, y, y_at + whole, O, n - whole)
            r += 8
        elif r + 4 <= N:
            four(weights, at, step, x, x_at, X, y, y_at, O, whole)
            four_narrow(weights, at + whole, step, x, x_at, X, y, y_at + whole, O, n - whole)
            r += 4
        else:
            one(weights, at, step, x, x_at, X, y, y_at, O, whole)
            one_narrow(weights, at + whole, step, x, x_at, X, y, y_at + whole, O, n - whole)
            r += 1


@overload(add_four_rows)
def _compiled_add_four_rows(weights, at, step, x, column, y, left, n):
    return lambda weights, at, step, x, column, y, left, n: add_by_registers(weights, at, step, x, column, y, left, n)

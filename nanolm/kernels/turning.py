"""Turn a small matrix, rows to columns, a square of 16 x 16 at a time in registers.

Written number by number, the copy b[d, r] = a[r, d] makes one narrow store for each number. In registers: load 16 rows of
16 numbers, and let pairs of registers exchange halves, four times,

    step 1, 2, 4, 8:    rows i and i + step exchange the places where (place & step) differs from (i & step)

after which register d holds column d. 64 exchanges and 16 stores for 256 numbers.

Tested    tests/kernels/test_turning.py.
"""
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from nanolm.kernels.compiled import compiled
from nanolm.kernels.tile_product import BYTES


@intrinsic
def turn_square(typing, a, a_at, a_row, b, b_at, b_row):
    """b[b_at + d b_row + r] = a[a_at + r a_row + d] for a square of as many r and d as a register has places."""
    signature = types.void(a, types.int64, types.int64, b, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        real = context.get_value_type(a.dtype)
        size = a.dtype.bitwidth // 8
        n = BYTES // size
        register, index = ir.VectorType(real, n), ir.IntType(64)
        _, a_at, a_row, _, b_at, b_row = arguments
        a_data, b_data = (context.make_array(kind)(context, builder, value).data
                          for kind, value in ((a, arguments[0]), (b, arguments[3])))

        def place(data, at, row, i):
            return builder.bitcast(builder.gep(data, [builder.add(at, builder.mul(row, index(i)))]), register.as_pointer())

        rows = [builder.load(place(a_data, a_at, a_row, i), align=size) for i in range(n)]
        step = 1
        while step < n:
            for i in range(n):
                if i & step == 0:
                    upper, lower = rows[i], rows[i + step]                  # places 0 ... n - 1, and n ... 2 n - 1
                    keep = [j if j & step == 0 else n + j - step for j in range(n)]
                    give = [j + step if j & step == 0 else n + j for j in range(n)]
                    rows[i], rows[i + step] = (builder.shuffle_vector(upper, lower, ir.Constant(
                        ir.VectorType(ir.IntType(32), n), chosen)) for chosen in (keep, give))
            step *= 2
        for d in range(n):
            builder.store(rows[d], place(b_data, b_at, b_row, d), align=size)
        return context.get_dummy_value()

    return signature, generate


def turn(a, a_at, a_row, rows, columns, b):
    """Write into the first columns of b (its rows contiguous) rows of a, which lie a_row apart from a_at on: b[d, r] = a[r, d].

    a flat, b (at least columns, at least rows). (These lines run when Numba is switched off.)
    """
    for r in range(rows):
        b[:columns, r] = a[a_at + r * a_row:a_at + r * a_row + columns]


@compiled
def turn_tiles(a, a_at, a_row, rows, columns, b):
    n = BYTES // b.itemsize
    whole_rows, whole_columns = rows // n * n, columns // n * n
    for r in range(0, whole_rows, n):
        for d in range(0, whole_columns, n):
            turn_square(a, a_at + r * a_row + d, a_row, b, d * b.shape[1] + r, b.shape[1])
    for r in range(rows):                                                   # what does not fill a square
        first = whole_columns if r < whole_rows else 0
        row = a[a_at + r * a_row:a_at + r * a_row + columns]
        for d in range(first, columns):
            b[d, r] = row[d]


@overload(turn)
def _compiled_turn(a, a_at, a_row, rows, columns, b):
    return lambda a, a_at, a_row, rows, columns, b: turn_tiles(a, a_at, a_row, rows, columns, b)

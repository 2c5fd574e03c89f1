"""The product of two small matrices that lie in the nearest cache: what BLAS is too large for.

A BLAS call looks at its arguments, copies both matrices into an order of its own, multiplies, and cleans up: for
64 x 64 x 64 half of the time is not multiplying. Tiles of attention are small, contiguous and in the cache already, so
what is left is the innermost part of every BLAS, the micro-kernel. It computes R rows by W registers of C at once:

    for k in 0 ... K - 1:
        b_0 ... b_(W-1) = W registers of row k of B             16 float32 each, with AVX-512
        for r in 0 ... R - 1:
            x = a[r, k], copied to all places of a register
            c_rw += x b_w                                       for the W of them: one instruction each

The R W sums stay in registers during the whole loop. A processor starts two such instructions in a cycle, and each takes
four cycles, so at least 8 sums must be on their way; 16 leave room. A value loaded from B is used R times, one from A W
times, which is why loading does not hold it up. Numba's language has no registers, so the loop is written in the
language beneath it (LLVM's), which an intrinsic of Numba lets one do.

Measured  64 x 64 x 64 float32, one core of a Zen 5: this file 252 GFLOP/s; OpenBLAS, by np.dot, 136 to 237 with its
          AVX-512 kernels, 85 with those for AVX2. Held to AVX2 as well, this file reaches 117.
Source    the micro-kernel: Goto, van de Geijn 2008, "Anatomy of high-performance matrix multiplication", section 4.
Tested    tests/kernels/test_tile_product.py.
"""
import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from nanolm.kernels.compiled import compiled

WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
BYTES = 64 if WIDE else 32                              # of a register
LARGE_TOO = WIDE and not numba.config.DISABLE_JIT       # is this the fastest way for large products as well (matmul.py)?
MULTIPLE = 16                                           # C's columns must be a multiple of this, in float64 as well


def micro_kernel(R, W):
    """Return the intrinsic for R rows by W registers of C."""

    @intrinsic
    def micro(typing, a, a_at, a_row, a_step, K, b, b_at, b_row, c, c_at, c_row, add):
        signature = types.void(a, *[types.int64] * 4, b, types.int64, types.int64, c, types.int64, types.int64, types.boolean)

        def generate(context, builder, signature, arguments):
            real = context.get_value_type(a.dtype)
            register = ir.VectorType(real, BYTES * 8 // a.dtype.bitwidth)
            size, lanes = a.dtype.bitwidth // 8, register.count
            index = ir.IntType(64)
            _, a_at, a_row, a_step, K, _, b_at, b_row, _, c_at, c_row, add = arguments
            a_data, b_data, c_data = (context.make_array(kind)(context, builder, value).data
                                      for kind, value in ((a, arguments[0]), (b, arguments[5]), (c, arguments[8])))

            def place(data, at, more=0):
                return builder.gep(data, [builder.add(at, index(more))])

            def register_at(pointer):
                return builder.bitcast(pointer, register.as_pointer())

            def in_all_lanes(x):
                one = builder.insert_element(ir.Constant(register, ir.Undefined), x, ir.IntType(32)(0))
                return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))

            zero = ir.Constant(register, [0.0] * lanes)
            c_places = [[register_at(place(c_data, builder.add(c_at, builder.mul(c_row, index(r))), w * lanes))
                         for w in range(W)] for r in range(R)]
            begin = [[builder.select(add, builder.load(c_places[r][w], align=size), zero) for w in range(W)] for r in range(R)]
            before, loop = builder.block, builder.append_basic_block("k")
            after = builder.append_basic_block("after")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(index)
            k.add_incoming(index(0), before)
            sums = [[builder.phi(register) for _ in range(W)] for _ in range(R)]
            b_first = builder.add(b_at, builder.mul(k, b_row))
            b_row_k = [builder.load(register_at(place(b_data, b_first, w * lanes)), align=size) for w in range(W)]
            a_first = builder.add(a_at, builder.mul(k, a_step))
            for r in range(R):
                x = in_all_lanes(builder.load(place(a_data, builder.add(a_first, builder.mul(a_row, index(r))))))
                for w in range(W):
                    product = builder.fmul(x, b_row_k[w], flags=("contract",))      # contract: with the sum, in one go
                    total = builder.fadd(sums[r][w], product, flags=("contract",))
                    sums[r][w].add_incoming(begin[r][w], before)
                    sums[r][w].add_incoming(total, loop)
                    sums[r][w] = total
            next_k = builder.add(k, index(1))
            k.add_incoming(next_k, loop)
            builder.cbranch(builder.icmp_signed("<", next_k, K), loop, after)
            builder.position_at_end(after)
            for r in range(R):
                for w in range(W):
                    builder.store(sums[r][w], c_places[r][w], align=size)
            return context.get_dummy_value()

        return signature, generate

    return micro


WIDTH = 4 if WIDE else 2                                # registers of C in a row; 4 rows of them: 16 sums, or 8 of AVX2's 16
large, small = micro_kernel(4, WIDTH), micro_kernel(8 if WIDE else 4, 1)
SMALL_ROWS = 8 if WIDE else 4


def product(a, turned, b, c, add):
    """Write a b into c, or add it to c. b (K, N), c (M, N); M a multiple of 8 and N of 16.

    a is (M, K), or (K, M) if turned is true; more rows and columns than these are not looked at. All are contiguous.
    (These lines run when Numba is switched off.)
    """
    rows = a.T if turned else a
    c[:] = rows[:c.shape[0], :b.shape[0]] @ b + (c if add else 0)


@compiled
def product_of_tiles(a, turned, b, c, add):
    (K, N), M = b.shape, c.shape[0]
    a_row, a_step = (1, a.shape[1]) if turned else (a.shape[1], 1)
    lanes = BYTES // c.itemsize
    n = 0
    while n + WIDTH * lanes <= N:
        for m in range(0, M, 4):
            large(a, m * a_row, a_row, a_step, K, b, n, N, c, m * N + n, N, add)
        n += WIDTH * lanes
    while n < N:
        for m in range(0, M, SMALL_ROWS):
            small(a, m * a_row, a_row, a_step, K, b, n, N, c, m * N + n, N, add)
        n += lanes


@overload(product)
def _compiled_product(a, turned, b, c, add):
    return lambda a, turned, b, c, add: product_of_tiles(a, turned, b, c, add)

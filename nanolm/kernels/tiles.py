"""Which tiles of the scores a mask forbids: all of it (skip the tile), nothing (no look at the mask), or some.

A tile is TILE queries by TILE keys. The mask comes as the attention layer takes it, boolean, True = may attend,
broadcasting to (..., T, S); here it becomes a flat array of bytes and five numbers,

    mask[b, h, i, j] = flat[offset + b s_b + h s_h + i s_i + j s_j]

where a step s is 0 along an axis that the mask does not have. The causal mask of layers/masks.py is a window that slides
along one row of T + S - 1 booleans (steps -1 and 1), and stays one here: a mask for 8,192 tokens is 16 KB, not 67 MB.

Tested    tests/kernels/test_tiled_attention.py: random masks of every shape against the plain layer.
"""
import numpy as np

from nanolm.kernels.compiled import compiled

TILE = 64
NONE, SOME, ALL = 0, 1, 2


def of(mask, T, S):
    """Return kinds, flat, steps for a mask (or None) over T queries and S keys.

    kinds: uint8, one for each tile, flat; steps: int64 (offset, s_b, s_h, s_i, s_j, k_b, k_h), the last two the steps
    in kinds from sequence to sequence and from head to head.
    """
    n_i, n_j = -(-T // TILE), -(-S // TILE)
    if mask is None:
        flat, steps, lead = np.ones(1, np.uint8), (0, 0, 0, 0, 0), (1, 1)
    else:
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
        lead = mask.shape[:2]
        if mask.strides[2:] == (-1, 1) and lead == (1, 1):              # a sliding window: mask[i, j] depends on j - i alone
            flat, steps = np.concatenate([mask[0, 0, :0:-1, 0], mask[0, 0, 0]]), (T - 1, 0, 0, -1, 1)
        else:
            flat = np.array(mask, order="C").reshape(-1)                 # a copy: who gave the mask may write to it
            sizes = np.cumprod((1,) + mask.shape[:0:-1])[::-1]
            steps = (0, *(int(size) if n > 1 else 0 for size, n in zip(sizes, mask.shape)))
        flat = flat.view(np.uint8)
    flat.flags.writeable = False                                            # always: else Numba compiles for both
    k_b, k_h = (lead[1] * n_i * n_j if lead[0] > 1 else 0), (n_i * n_j if lead[1] > 1 else 0)
    steps = np.array((*steps, k_b, k_h), np.int64)
    kinds = np.empty(lead[0] * lead[1] * n_i * n_j, np.uint8)
    classify(flat, steps, lead[0], lead[1], T, S, kinds)
    return kinds, flat, steps


@compiled
def classify(flat, steps, B, H, T, S, kinds):
    """Write the kind of every tile. Keys beyond S, in the last tile of a row, count as forbidden."""
    offset, s_b, s_h, s_i, s_j = steps[0], steps[1], steps[2], steps[3], steps[4]
    tile = 0
    for b in range(B):
        for h in range(H):
            for i in range(0, T, TILE):
                for j in range(0, S, TILE):
                    rows, columns = min(TILE, T - i), min(TILE, S - j)
                    seen = 0
                    if s_i == -1 and s_j == 1:                          # the tile's two edges hold all of its values
                        start = offset + (i + rows - 1) * s_i + j
                        for d in range(rows + columns - 1):
                            seen += np.int64(flat[start + d])           # uint8 would end at 255 without the compiler
                        total = rows + columns - 1
                    else:
                        for r in range(rows):
                            start = offset + b * s_b + h * s_h + (i + r) * s_i + j * s_j
                            for c in range(columns):
                                seen += np.int64(flat[start + c * s_j])
                        total = rows * columns
                    kinds[tile] = NONE if seen == 0 else ALL if seen == total and columns == TILE else SOME
                    tile += 1


@compiled
def forbid(s, flat, steps, b, h, i, j, rows, S):
    """Put -inf where the scores s (TILE, TILE) of tile (i, j) are forbidden by the mask, or belong to no key."""
    start = steps[0] + b * steps[1] + h * steps[2] + i * TILE * steps[3] + j * TILE * steps[4]
    columns = min(TILE, S - j * TILE)
    never = s.dtype.type(-np.inf)
    for r in range(rows):
        row, first = s[r], start + r * steps[3]
        if steps[4] == 1:                                               # bytes side by side: wide instructions
            seen = flat[first:first + columns]
            for c in range(columns):
                row[c] = row[c] if seen[c] != 0 else never
        else:
            for c in range(columns):
                if flat[first + c * steps[4]] == 0:
                    row[c] = never
        row[columns:] = never

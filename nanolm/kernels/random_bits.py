"""Random numbers that need no memory: a function of the seed and of the place.

Dropout must drop in backward what it dropped in forward. The plain layer keeps a boolean for every number. A function
that scrambles (seed, place) into 32 bits which look random gives the same answer whenever it is asked, so there is
nothing to keep, and rows can be done in any order.

    z = place * 0x9E3779B9 + seed,    then twice: z ^= z >> 16, z *= an odd constant;    z ^= z >> 16

Every step can be undone, so different places give different z; multiplying carries low bits up, shifting carries high
bits down. Dropped is what falls below rate 2^32.

Source    the constants: Chris Wellons 2018, "Prospecting for hash functions" (lowbias32), which measures how evenly a
          change of one bit of the place changes the bits of the answer.
Tested    tests/kernels/test_random_bits.py: shares, and no correlation between neighbours.
"""
import numpy as np

from nanolm.kernels.compiled import compiled


def seed_from(rng):
    """Return a seed, 31 bits, drawn from a numpy.random.Generator (which moves on by one draw)."""
    return int(rng.integers(1, 2**31))


@compiled
def bits(seed, place):
    """Return 32 bits (uint32) for a place, a number of 0 or more; places 2^32 apart are told apart by their high part."""
    low, high = np.uint32(place & 0xFFFFFFFF), np.uint32(place >> 32)
    z = np.uint32(np.uint32(low * np.uint32(0x9E3779B9)) + np.uint32(np.uint32(seed) ^ np.uint32(high * np.uint32(0x85EBCA6B))))
    z = np.uint32(z ^ np.uint32(z >> np.uint32(16)))
    z = np.uint32(z * np.uint32(0x7FEB352D))
    z = np.uint32(z ^ np.uint32(z >> np.uint32(15)))
    z = np.uint32(z * np.uint32(0x846CA68B))
    return np.uint32(z ^ np.uint32(z >> np.uint32(16)))

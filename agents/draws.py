"""Uniforms of many actors at once: the same numbers as `randomness.uniforms`, four times as fast.

The rounds of the generator are the outer loop, so that the inner loop over actors is vectorised.
"""

import numpy as np

from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import (
    MASK,
    MULTIPLIER_0,
    MULTIPLIER_1,
    SCALE,
    SHIFT,
    SPARE_BITS,
    WEYL_0,
    WEYL_1,
)

__all__ = ["ROUNDS", "uniforms_of_rows"]

ROUNDS = 10


@kernel
def uniforms_of_rows(key, step, rows, first, last, work, out):
    """Fill ``out[:, k]`` with the two uniforms of (step, account, instrument) of row ``first + k``.

    Parameters
    ----------
    key : uint64
    step : int
    rows : ndarray of records with fields "account" and "instrument"
    first, last : int
    work : ndarray of shape (4, >= last - first), uint64
        Scratch, modified.
    out : ndarray of shape (2, >= last - first), float64
    """
    n = last - first
    c0, c1, c2, c3 = work[0], work[1], work[2], work[3]
    low = np.uint64(step) & MASK
    high = np.uint64(step) >> SHIFT
    for k in range(n):
        c0[k] = low
        c1[k] = np.uint64(rows[first + k]["account"])
        c2[k] = np.uint64(rows[first + k]["instrument"])
        c3[k] = high
    k0 = key & MASK
    k1 = key >> SHIFT
    for _ in range(ROUNDS):
        for k in range(n):
            product_0 = MULTIPLIER_0 * (c0[k] & MASK)  # the mask tells the compiler that 32 bits suffice
            product_1 = MULTIPLIER_1 * (c2[k] & MASK)
            c0[k] = (product_1 >> SHIFT) ^ c1[k] ^ k0
            c2[k] = (product_0 >> SHIFT) ^ c3[k] ^ k1
            c1[k] = product_1 & MASK
            c3[k] = product_0 & MASK
        k0 = (k0 + WEYL_0) & MASK
        k1 = (k1 + WEYL_1) & MASK
    for k in range(n):
        out[0, k] = (np.float64(np.int64(((c0[k] << SHIFT) | c1[k]) >> SPARE_BITS)) + 0.5) * SCALE
        out[1, k] = (np.float64(np.int64(((c2[k] << SHIFT) | c3[k]) >> SPARE_BITS)) + 0.5) * SCALE
    return n

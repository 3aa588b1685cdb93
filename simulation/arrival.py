"""Order of play: arrival time, then a random tie, then the row of the batch.

Arrival times are resolved to 1/2048 of a step. The tie is a hash of (step, account), so the order
of two accounts never depends on who else is there, and the orders of one account keep the order in
which it sent them.
"""

import numpy as np

from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import hash_key

__all__ = ["SLOTS", "arrival_sequence"]

SLOTS = 2048
TIE_BITS = 22
KEY_BITS = 33
TIE_MASK = (1 << TIE_BITS) - 1


@kernel
def arrival_sequence(orders, n_orders, step_us, key, step, out_sequence, work):
    """Write the processing order of the first `n_orders` orders to `out_sequence`.

    Parameters
    ----------
    orders : ndarray of shape (>= n_orders,), ORDER
    step_us : int
        Length of a step [us].
    key : uint64
        Stream key of the ties.
    out_sequence : ndarray of shape (>= n_orders,), int64
    work : ndarray of shape (3, >= n_orders), int64
        Scratch, modified.
    """
    keys, swap_keys, swap_rows = work[0], work[1], work[2]
    for k in range(n_orders):
        slot = min(orders[k]["arrival"] * SLOTS // step_us, SLOTS - 1)
        keys[k] = (slot << TIE_BITS) | (hash_key(key, step, orders[k]["account"]) & TIE_MASK)
        out_sequence[k] = k
    bits = 11 if n_orders > 512 else 8  # small batches: fewer counters to clear
    counts = np.zeros(1 << bits, np.int64)
    mask = (1 << bits) - 1
    shift = 0
    while shift < KEY_BITS:
        counts[:] = 0
        for k in range(n_orders):
            counts[(keys[k] >> shift) & mask] += 1
        first = (keys[0] >> shift) & mask if n_orders else 0
        if n_orders and counts[first] < n_orders:  # else: all digits equal, nothing to move
            total = 0
            for digit in range(mask + 1):
                count = counts[digit]
                counts[digit] = total
                total += count
            for k in range(n_orders):
                digit = (keys[k] >> shift) & mask
                swap_keys[counts[digit]] = keys[k]
                swap_rows[counts[digit]] = out_sequence[k]
                counts[digit] += 1
            for k in range(n_orders):
                keys[k] = swap_keys[k]
                out_sequence[k] = swap_rows[k]
        shift += bits
    return n_orders

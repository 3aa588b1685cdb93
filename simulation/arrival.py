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
    bits, passes = (11, 3) if n_orders > 512 else (8, 5)  # small batches: fewer counters to clear
    mask = (1 << bits) - 1
    counts = np.zeros((passes, mask + 1), np.int64)
    keys = work[0]
    for k in range(n_orders):
        slot = min(orders[k]["arrival"] * SLOTS // step_us, SLOTS - 1)
        keys[k] = (slot << TIE_BITS) | (hash_key(key, step, orders[k]["account"]) & TIE_MASK)
        for digit in range(passes):
            counts[digit, (keys[k] >> digit * bits) & mask] += 1
        out_sequence[k] = k
    for digit in range(passes):
        start = counts[digit]
        shift = digit * bits
        if n_orders == 0 or start[(keys[0] >> shift) & mask] == n_orders:
            continue  # all alike: nothing to move
        total = 0
        for value in range(mask + 1):
            count = start[value]
            start[value] = total
            total += count
        for k in range(n_orders):
            row = out_sequence[k]
            place = (keys[row] >> shift) & mask
            work[1, start[place]] = row
            start[place] += 1
        for k in range(n_orders):
            out_sequence[k] = work[1, k]
    return n_orders

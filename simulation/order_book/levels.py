"""Which price levels hold orders: a tree of 64-bit words, so that the next level is found in O(1).

The lowest row has one bit per tick; a word that is not zero sets one bit in the row above, and so on
up to a single word. With at most 2,097,151 ticks there are at most four rows. A tick holds orders of one
side only (the best bid is below the best ask), so one tree serves both sides.

All kernels take `start` (first word of the instrument's tree) and `n_words` (words of its lowest row).
"""

import numpy as np

from spirals.simulation.kernel import inlined

__all__ = ["clear_level", "level_below", "level_from", "mark_level", "tree_size"]

ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
LAST_BIT = np.uint64(63)
PRIME = np.uint64(67)

# 2 is a primitive root of 67: the remainders of 2**0 .. 2**63 differ, so they index the exponent.
EXPONENT = np.zeros(67, np.int64)
for _exponent in range(64):
    EXPONENT[2**_exponent % 67] = _exponent


def tree_size(n_ticks: int) -> tuple[int, int]:
    """Return the words of the lowest row and of the whole tree for ticks 0 .. n_ticks - 1."""
    rows = [(n_ticks + 63) // 64]
    while rows[-1] > 1:
        rows.append((rows[-1] + 63) // 64)
    return rows[0], sum(rows)


@inlined
def lowest_bit(word):
    """Return the index of the lowest set bit of a uint64 that is not zero."""
    return EXPONENT[np.int64((word & (~word + ONE)) % PRIME)]


@inlined
def highest_bit(word):
    """Return the index of the highest set bit of a uint64 that is not zero."""
    word |= word >> np.uint64(1)
    word |= word >> np.uint64(2)
    word |= word >> np.uint64(4)
    word |= word >> np.uint64(8)
    word |= word >> np.uint64(16)
    word |= word >> np.uint64(32)
    return EXPONENT[np.int64((word ^ (word >> ONE)) % PRIME)]


@inlined
def mark_level(words, start, n_words, tick):
    """Note that `tick` holds orders; the rows above change only when a word was zero."""
    while True:
        word = start + (tick >> 6)
        old = words[word]
        words[word] = old | (ONE << np.uint64(tick & 63))
        if old != 0 or n_words == 1:
            return
        tick >>= 6
        start += n_words
        n_words = (n_words + 63) >> 6


@inlined
def clear_level(words, start, n_words, tick):
    """Note that `tick` holds no orders any more."""
    while True:
        word = start + (tick >> 6)
        left = words[word] & ~(ONE << np.uint64(tick & 63))
        words[word] = left
        if left != 0 or n_words == 1:
            return
        tick >>= 6
        start += n_words
        n_words = (n_words + 63) >> 6


@inlined
def row_start(start, n_words, row):
    """Return the first word of a row of the tree."""
    for _ in range(row):
        start += n_words
        n_words = (n_words + 63) >> 6
    return start


@inlined
def level_from(words, start, n_words, tick, none):
    """Return the lowest tick >= `tick` that holds orders, or `none`."""
    row = 0
    at = start
    length = n_words
    place = tick
    while True:
        word = place >> 6
        if word < length:
            found = words[at + word] & (ALL << np.uint64(place & 63))
            if found != 0:
                break
        if length == 1:
            return none
        place = word + 1
        at += length
        length = (length + 63) >> 6
        row += 1
    place = (word << 6) + lowest_bit(found)
    while row > 0:
        row -= 1
        place = (place << 6) + lowest_bit(words[row_start(start, n_words, row) + place])
    return place


@inlined
def level_below(words, start, n_words, tick, none):
    """Return the highest tick <= `tick` that holds orders, or `none`."""
    row = 0
    at = start
    length = n_words
    place = tick
    while True:
        word = place >> 6
        found = words[at + word] & (ALL >> (LAST_BIT - np.uint64(place & 63)))
        if found != 0:
            break
        if word == 0:
            return none
        place = word - 1
        at += length
        length = (length + 63) >> 6
        row += 1
    place = (word << 6) + highest_bit(found)
    while row > 0:
        row -= 1
        place = (place << 6) + highest_bit(words[row_start(start, n_words, row) + place])
    return place

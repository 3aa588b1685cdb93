"""Places of a resting order: its slot in the pool, its level's queue, its owner's list.

Called by the kernels of `matching_kernels.py`, which see to it that a buffer is large enough. On exit
of each kernel the level total, the tree of levels, the best prices and the owner's totals agree.
`pool` holds: slots ever used (with slot 0), first free slot, resting orders.
"""

import numpy as np

from spirals.simulation.kernel import inlined
from spirals.simulation.order_book.levels import clear_level, level_below, level_from, mark_level
from spirals.simulation.order_book.records import NEW_GENERATION, NONE, SLOT_MASK

__all__ = ["find_slot", "free_slot", "join_level", "leave_level", "new_slot", "remove_order", "shrink_order"]

USED, FREE, LIVE = range(3)


@inlined
def find_slot(slots, pool, order_id):
    """Return the slot of a resting order, or NONE when no order of that id rests."""
    slot = order_id & SLOT_MASK if order_id > 0 else np.int64(NONE)
    order = slots[slot if slot < pool[USED] else NONE]
    return slot if order["order_id"] == order_id and order["lots"] > 0 else np.int64(NONE)


@inlined
def new_slot(slots, resting, pool, account, instrument):
    """Take a free slot and put it first in its owner's list; return the slot."""
    slot = pool[FREE]
    if slot == NONE:
        slot = pool[USED]
        pool[USED] = slot + 1
        order = slots[slot]
        order["order_id"] = slot
        order["next"] = NONE
    else:
        order = slots[slot]
        pool[FREE] = order["next"]
    pool[LIVE] += 1
    order["account"] = account
    order["instrument"] = instrument
    owner = resting[account, instrument]
    head = owner["head"]
    order["owner_next"] = head
    order["owner_previous"] = NONE
    slots[head]["owner_previous"] = slot
    owner["head"] = slot
    owner["orders"] += 1
    return slot


@inlined
def free_slot(slots, resting, pool, slot):
    """Take an order that has left its level out of its owner's list; its id becomes unknown."""
    order = slots[slot]
    owner = resting[order["account"], order["instrument"]]
    following = order["owner_next"]
    preceding = order["owner_previous"]
    slots[preceding]["owner_next"] = following
    slots[following]["owner_previous"] = preceding
    if preceding == NONE:
        owner["head"] = following
    owner["orders"] -= 1
    order["lots"] = 0
    order["order_id"] += NEW_GENERATION
    order["next"] = pool[FREE]
    pool[FREE] = slot
    pool[LIVE] -= 1


@inlined
def add_resting(resting, order, lots):
    """Add to the owner's total of resting lots on the order's side."""
    owner = resting[order["account"], order["instrument"]]
    if order["side"] > 0:
        owner["buy_lots"] += lots
    else:
        owner["sell_lots"] += lots


@inlined
def join_level(slots, ladder, words, tops, resting, slot):
    """Put the order last in the queue of its price."""
    order = slots[slot]
    top = tops[order["instrument"]]
    tick = np.int64(order["price_ticks"])
    level = ladder[top["level_start"] + tick]
    tail = level["tail"]
    order["previous"] = tail
    order["next"] = NONE
    slots[tail]["next"] = slot
    if tail == NONE:
        level["head"] = slot
        mark_level(words, top["word_start"], top["n_words"], tick)
        if order["side"] > 0:
            top["best_bid"] = max(top["best_bid"], tick)
        else:
            top["best_ask"] = min(top["best_ask"], tick)
    level["tail"] = slot
    level["lots"] += order["lots"]
    add_resting(resting, order, order["lots"])


@inlined
def leave_level(slots, ladder, words, tops, resting, slot):
    """Take the order with its open lots out of the queue of its price."""
    order = slots[slot]
    top = tops[order["instrument"]]
    tick = np.int64(order["price_ticks"])
    level = ladder[top["level_start"] + tick]
    following = order["next"]
    preceding = order["previous"]
    slots[preceding]["next"] = following
    slots[following]["previous"] = preceding
    if preceding == NONE:
        level["head"] = following
    if following == NONE:
        level["tail"] = preceding
    level["lots"] -= order["lots"]
    add_resting(resting, order, -order["lots"])
    if level["head"] == NONE:
        start = top["word_start"]
        n_words = top["n_words"]
        clear_level(words, start, n_words, tick)
        if tick == top["best_bid"]:
            top["best_bid"] = level_below(words, start, n_words, tick, 0)
        elif tick == top["best_ask"]:
            top["best_ask"] = level_from(words, start, n_words, tick, top["n_ticks"])


@inlined
def remove_order(slots, ladder, words, tops, resting, pool, slot):
    """Take the order out of the book."""
    leave_level(slots, ladder, words, tops, resting, slot)
    free_slot(slots, resting, pool, slot)


@inlined
def shrink_order(slots, ladder, tops, resting, slot, lots):
    """Take `lots` off the order, fewer than are open; it keeps its place in the queue."""
    order = slots[slot]
    order["lots"] -= lots
    ladder[tops[order["instrument"]]["level_start"] + order["price_ticks"]]["lots"] -= lots
    add_resting(resting, order, -lots)

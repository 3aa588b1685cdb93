"""The records of the book: resting order, price level, instrument row, totals per account.

Slot 0 of the pool never holds an order, so zero means "none" in every link and fresh memory is an empty
book. Links of a neighbour that does not exist are written into slot 0 (no branch) and never read.

An order id is ``generation * 2**24 + slot``: the slot finds the order without a search, the generation
grows each time the slot is freed, so the id of an order that is gone is never taken for another one.
"""

import numpy as np

__all__ = ["LEVEL", "MAX_SLOTS", "NEW_GENERATION", "NONE", "RESTING", "SLOT", "SLOT_MASK", "TOP"]

NONE = 0
NEW_GENERATION = 1 << 24
SLOT_MASK = NEW_GENERATION - 1
MAX_SLOTS = NEW_GENERATION

SLOT = np.dtype([                  # one resting order: one cache line
    ("lots", "i8"),                # open lots; 0 in a free slot
    ("event", "i8"),
    ("order_id", "i8"),            # of the occupant; in a free slot, of the next one
    ("next", "i4"),                # queue of the level; in a free slot, the next free one
    ("previous", "i4"),
    ("owner_next", "i4"),          # the account's other orders in the instrument
    ("owner_previous", "i4"),
    ("account", "i4"),
    ("price_ticks", "i4"),
    ("instrument", "i4"),
    ("side", "i1"),
    ("reduce_only", "i1"),
    ("cause", "i1"),
    ("origin", "i1"),
    ("pad", "i8"),
])

LEVEL = np.dtype([                 # one price level
    ("lots", "i8"),
    ("head", "i4"),                # slot of the oldest order
    ("tail", "i4"),
])

TOP = np.dtype([                   # one instrument
    ("best_bid", "i8"),            # [ticks] 0 when the side is empty
    ("best_ask", "i8"),            # [ticks] n_ticks when the side is empty
    ("last_ticks", "i8"),          # [ticks] of the last trade, 0 before the first
    ("n_ticks", "i8"),
    ("level_start", "i8"),         # row of tick 0 in the ladder
    ("word_start", "i8"),          # first word of the tree
    ("n_words", "i8"),             # words of the lowest row of the tree
    ("pad", "i8"),
    ("tick_size", "f8"),           # [quote]
    ("lot_size", "f8"),            # [base]
])

RESTING = np.dtype([               # one account and instrument
    ("buy_lots", "i8"),            # open lots of all resting buy orders
    ("sell_lots", "i8"),
    ("head", "i4"),                # slot of the newest order
    ("orders", "i4"),              # how many orders rest
])

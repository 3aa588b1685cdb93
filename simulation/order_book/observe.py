"""What can be seen in a book without touching it: top, depth in bands, cost of a hypothetical order."""

import math

import numpy as np

from spirals.simulation.kernel import inlined, lean
from spirals.simulation.order_book.levels import level_below, level_from
from spirals.simulation.state import BUY

__all__ = ["BANDS", "observe_books", "walk"]

BANDS = (0.001, 0.005, 0.01)       # fractions of the mid: 10 bp, 50 bp, 1 %
NARROW, MIDDLE, WIDE = BANDS
ROUNDING = 1e-6                    # [ticks] a level on the edge of a band counts as inside


@lean
def observe_books(ladder, words, tops, out_market):
    """Fill the book's columns of `out_market` (MARKET, one row per instrument) from the books as they stand.

    O(non-empty levels within 1 % of the mid).
    """
    for instrument in range(len(tops)):
        top = tops[instrument]
        market = out_market[instrument]
        tick_size = top["tick_size"]
        bid = top["best_bid"]
        ask = top["best_ask"]
        has_bid = bid > 0
        has_ask = ask < top["n_ticks"]
        market["best_bid"] = bid * tick_size if has_bid else math.nan
        market["best_ask"] = ask * tick_size if has_ask else math.nan
        market["spread"] = (ask - bid) * tick_size if has_bid and has_ask else math.nan
        if has_bid and has_ask:
            market["mid"] = 0.5 * (bid + ask) * tick_size
        if top["last_ticks"] > 0:
            market["last"] = top["last_ticks"] * tick_size
        mid_ticks = market["mid"] / tick_size
        quote = tick_size * top["lot_size"]
        depth_bid = market["depth_bid"]
        depth_ask = market["depth_ask"]
        bids, asks = depth(ladder, words, top, mid_ticks)
        for band in range(3):
            depth_bid[band] = bids[band] * quote
            depth_ask[band] = asks[band] * quote


@inlined
def depth(ladder, words, top, mid_ticks):
    """Return ticks * lots of bids and of asks within the three bands around `mid_ticks`."""
    start = top["word_start"]
    n_words = top["n_words"]
    if not mid_ticks > 0.0:
        return (0, 0, 0), (0, 0, 0)
    near = mid = far = 0
    tick = top["best_bid"]
    while tick > 0 and tick >= mid_ticks * (1.0 - WIDE) - ROUNDING:
        value = tick * ladder[top["level_start"] + tick]["lots"]
        far += value
        mid += value if tick >= mid_ticks * (1.0 - MIDDLE) - ROUNDING else 0
        near += value if tick >= mid_ticks * (1.0 - NARROW) - ROUNDING else 0
        tick = level_below(words, start, n_words, tick - 1, 0)
    bids = (near, mid, far)
    near = mid = far = 0
    n_ticks = top["n_ticks"]
    tick = top["best_ask"]
    while tick < n_ticks and tick <= mid_ticks * (1.0 + WIDE) + ROUNDING:
        value = tick * ladder[top["level_start"] + tick]["lots"]
        far += value
        mid += value if tick <= mid_ticks * (1.0 + MIDDLE) + ROUNDING else 0
        near += value if tick <= mid_ticks * (1.0 + NARROW) + ROUNDING else 0
        tick = level_from(words, start, n_words, tick + 1, n_ticks)
    return bids, (near, mid, far)


@lean
def walk(ladder, words, tops, instrument, side, lots, skip_lots, worst_ticks):
    """Return what an order would fill against the other side, which stays as it is.

    Parameters
    ----------
    ladder, words, tops : ndarray
        Arrays of the book, read only.
    instrument : int
    side : int
        BUY walks up the asks, SELL down the bids.
    lots : int
        Size of the order [lots].
    skip_lots : int
        Lots at the front of the other side that count as taken already: the shadow of earlier orders.
    worst_ticks : int
        Worst price [ticks], 0 for none.

    Returns
    -------
    filled_lots, tick_lots : int
        Lots filled, and their sum of price [ticks] * lots. O(levels passed).
    """
    top = tops[instrument]
    start = top["word_start"]
    n_words = top["n_words"]
    n_ticks = top["n_ticks"]
    tick = top["best_ask"] if side == BUY else top["best_bid"]
    filled = np.int64(0)
    tick_lots = np.int64(0)
    while filled < lots and 0 < tick < n_ticks:
        if worst_ticks > 0 and (tick > worst_ticks if side == BUY else tick < worst_ticks):
            break
        here = ladder[top["level_start"] + tick]["lots"]
        skipped = min(here, skip_lots)
        skip_lots -= skipped
        taken = min(here - skipped, lots - filled)
        filled += taken
        tick_lots += taken * tick
        if side == BUY:
            tick = level_from(words, start, n_words, tick + 1, n_ticks)
        else:
            tick = level_below(words, start, n_words, tick - 1, 0)
    return filled, tick_lots

"""Matching in price-time priority, compiled; `OrderBook.match` is the public face.

The rule: an incoming order trades at resting prices, best price first, at one price the oldest first,
until it is filled or the best price is worse than its limit; then it rests, or its remainder is cancelled.
On exit of every event the best bid is below the best ask and all totals agree.

On entry of `match_batch`: `slots` holds at least 1 + resting orders + batch rows, `trades` at least
resting orders + 2 * batch rows (a trade uses up a resting order or the incoming one).
"""

import numpy as np

from spirals.simulation.kernel import inlined, lean
from spirals.simulation.order_book.queue_kernels import (
    find_slot,
    free_slot,
    join_level,
    leave_level,
    new_slot,
    remove_order,
    shrink_order,
)
from spirals.simulation.order_book.records import NONE, SLOT_MASK
from spirals.simulation.prefetch import prefetch
from spirals.simulation.state import BUY, SELL, OrderKind, OrderStatus, Reject

__all__ = ["match_batch"]

MARKET, IOC, POST_ONLY = OrderKind.MARKET, OrderKind.IOC, OrderKind.POST_ONLY
CANCEL, REPLACE, CANCEL_ALL = OrderKind.CANCEL, OrderKind.REPLACE, OrderKind.CANCEL_ALL
RESTING, FILLED, CANCELLED, REJECTED = (
    OrderStatus.RESTING, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED,
)
ACCEPTED = Reject.NONE
PRICE_RANGE, NO_LOTS, WOULD_CROSS = Reject.PRICE_RANGE, Reject.NO_LOTS, Reject.WOULD_CROSS
UNKNOWN_ORDER, REDUCE_ONLY = Reject.UNKNOWN_ORDER, Reject.REDUCE_ONLY
NO_ORDER = -1
FAR_AHEAD, AHEAD = 16, 8   # orders after this one whose row, and whose target, are asked for


@lean
def match_batch(orders, sequence, positions, slots, ladder, words, tops, resting, pool, trades):
    """Process `orders[sequence]` one after another.

    Changed in place: results in `orders`, `positions` (signed lots per account and instrument, current
    as fills happen) and all arrays of the book. Trades are written from row 0 of `trades`. Returns the number of
    trades, or -1 - k, with nothing changed, when the k-th order cannot be read. O(1) per event, trade
    and removed order.
    """
    n_accounts, n_instruments = positions.shape
    for k in range(len(sequence)):
        row = sequence[k]
        if row < 0 or row >= len(orders) or not readable(orders[row], n_accounts, n_instruments):
            return -1 - k
    n_trades = 0
    for k in range(len(sequence)):
        if k + FAR_AHEAD < len(sequence):   # memory in order of arrival is random: ask for it early
            prefetch(orders, sequence[k + FAR_AHEAD])
            prefetch(slots, orders[sequence[k + AHEAD]]["target"] & SLOT_MASK)
        row = sequence[k]
        order = orders[row]
        order["order_id"] = NO_ORDER
        order["filled_lots"] = 0
        order["resting_lots"] = 0
        if order["status"] == REJECTED:
            continue
        kind = order["kind"]
        if kind == CANCEL:
            cancel(order, slots, ladder, words, tops, resting, pool)
        elif kind == CANCEL_ALL:
            cancel_all(order, slots, ladder, words, tops, resting, pool)
        else:
            n_trades = submit(
                order, row, positions, slots, ladder, words, tops, resting, pool, trades, n_trades
            )
    return n_trades


@inlined
def readable(order, n_accounts, n_instruments):
    """Tell whether account, instrument, kind and side of the order mean something."""
    kind = order["kind"]
    return (
        0 <= order["account"] < n_accounts
        and 0 <= order["instrument"] < n_instruments
        and 0 <= kind <= CANCEL_ALL
        and (kind in (CANCEL, CANCEL_ALL) or order["side"] == BUY or order["side"] == SELL)
    )


@inlined
def own_target(order, slots, pool):
    """Return the slot of the order's target if it rests and has the same owner and instrument."""
    slot = find_slot(slots, pool, order["target"])
    if slot != NONE:
        target = slots[slot]
        if target["account"] == order["account"] and target["instrument"] == order["instrument"]:
            return slot
    return NONE


@inlined
def cancel(order, slots, ladder, words, tops, resting, pool):
    """Cancel the target."""
    slot = own_target(order, slots, pool)
    if slot == NONE:
        reject(order, UNKNOWN_ORDER)
    else:
        remove_order(slots, ladder, words, tops, resting, pool, slot)
        order["status"] = CANCELLED


@inlined
def cancel_all(order, slots, ladder, words, tops, resting, pool):
    """Cancel all resting orders of the account in the instrument."""
    owner = resting[order["account"], order["instrument"]]
    while owner["head"] != NONE:
        remove_order(slots, ladder, words, tops, resting, pool, np.int64(owner["head"]))
    order["status"] = CANCELLED


@inlined
def reject(order, reason):
    """Refuse the order; the book stays as it is."""
    order["status"] = REJECTED
    order["reason"] = reason


@inlined
def reducible_lots(positions, account, instrument, side):
    """Return how many lots on `side` bring the position nearer to zero without crossing it."""
    return max(0, -side * positions[account, instrument])


@inlined
def fault(order, top, slot, reducible):
    """Return why a submitted order must be rejected, or ACCEPTED."""
    kind = order["kind"]
    price = order["price_ticks"]
    if kind == REPLACE and slot == NONE:
        return UNKNOWN_ORDER
    if order["lots"] <= 0:
        return NO_LOTS
    if kind != MARKET and not (kind == IOC and price == 0) and not 1 <= price < top["n_ticks"]:
        return PRICE_RANGE
    if order["reduce_only"] != 0 and reducible == 0:
        return REDUCE_ONLY
    if kind == POST_ONLY and (price >= top["best_ask"] if order["side"] == BUY else price <= top["best_bid"]):
        return WOULD_CROSS
    return ACCEPTED


@inlined
def submit(order, row, positions, slots, ladder, words, tops, resting, pool, trades, n_trades):
    """Trade and rest one order (limit, market, IOC, post-only, replace); return the trade count."""
    kind = order["kind"]
    account = np.int64(order["account"])
    instrument = np.int64(order["instrument"])
    side = np.int64(order["side"])
    price = np.int64(order["price_ticks"])
    top = tops[instrument]
    slot = NONE
    if kind == REPLACE:
        slot = own_target(order, slots, pool)
    lots = order["lots"]
    if order["reduce_only"] != 0:
        lots = min(lots, reducible_lots(positions, account, instrument, side))
    reason = fault(order, top, slot, lots)
    if reason != ACCEPTED:
        reject(order, reason)
        return n_trades
    if lots < order["lots"]:
        order["reason"] = REDUCE_ONLY
    if slot != NONE:
        target = slots[slot]
        if target["side"] == side and target["price_ticks"] == price and lots <= target["lots"]:
            # nothing worse for the others: time priority is kept
            shrink_order(slots, ladder, tops, resting, slot, target["lots"] - lots)
            describe(target, order, lots)
            report_resting(order, target, lots)
            return n_trades
        leave_level(slots, ladder, words, tops, resting, slot)

    if kind == MARKET or price == 0:
        price = top["n_ticks"] if side == BUY else np.int64(0)
    left = lots
    if (price >= top["best_ask"]) if side == BUY else (price <= top["best_bid"]):
        left, n_trades = take(
            order, row, price, lots, positions, slots, ladder, words, tops, resting, pool, trades, n_trades
        )
    order["filled_lots"] = lots - left
    if left > 0 and kind != MARKET and kind != IOC:
        if slot == NONE:
            slot = new_slot(slots, resting, pool, account, instrument)
        rest = slots[slot]
        describe(rest, order, left)
        rest["price_ticks"] = price
        join_level(slots, ladder, words, tops, resting, slot)
        report_resting(order, rest, left)
        return n_trades
    if slot != NONE:
        free_slot(slots, resting, pool, slot)
    order["status"] = FILLED if order["filled_lots"] == order["lots"] else CANCELLED
    return n_trades


@inlined
def describe(resting_order, order, lots):
    """Write what does not touch a queue or a total from the incoming order to the resting one."""
    resting_order["lots"] = lots
    resting_order["event"] = order["event"]
    resting_order["side"] = order["side"]
    resting_order["reduce_only"] = order["reduce_only"]
    resting_order["cause"] = order["cause"]
    resting_order["origin"] = order["origin"]


@inlined
def report_resting(order, resting_order, lots):
    """Tell the sender under which id how many lots rest."""
    order["status"] = RESTING
    order["order_id"] = resting_order["order_id"]
    order["resting_lots"] = lots


@inlined
def take(order, row, limit, lots, positions, slots, ladder, words, tops, resting, pool, trades, n_trades):
    """Trade against the other side up to `limit` [ticks]; return the lots left and the trade count.

    A resting order of the same account is cancelled, not traded (self-trade prevention). A resting
    reduce-only order is first cut to what still reduces its owner's position, or cancelled.
    """
    taker = np.int64(order["account"])
    instrument = np.int64(order["instrument"])
    side = np.int64(order["side"])
    top = tops[instrument]
    left = lots
    while left > 0:
        tick = top["best_ask"] if side == BUY else top["best_bid"]
        if tick == 0 or tick == top["n_ticks"] or (tick > limit if side == BUY else tick < limit):
            break
        slot = np.int64(ladder[top["level_start"] + tick]["head"])
        maker = slots[slot]
        owner = np.int64(maker["account"])
        if owner == taker:
            remove_order(slots, ladder, words, tops, resting, pool, slot)
            continue
        if maker["reduce_only"] != 0:
            allowed = reducible_lots(positions, owner, instrument, -side)
            if allowed == 0:
                remove_order(slots, ladder, words, tops, resting, pool, slot)
                continue
            if allowed < maker["lots"]:
                shrink_order(slots, ladder, tops, resting, slot, maker["lots"] - allowed)
        traded = min(left, maker["lots"])
        record_trade(trades[n_trades], order, row, maker, tick, traded)
        n_trades += 1
        left -= traded
        positions[taker, instrument] += side * traded
        positions[owner, instrument] -= side * traded
        top["last_ticks"] = tick
        if traded == maker["lots"]:
            remove_order(slots, ladder, words, tops, resting, pool, slot)
        else:
            shrink_order(slots, ladder, tops, resting, slot, traded)
    return left, n_trades


@inlined
def record_trade(trade, order, row, maker, tick, lots):
    """Write one row of the trades."""
    trade["lots"] = lots
    trade["taker_event"] = order["event"]
    trade["maker_event"] = maker["event"]
    trade["arrival"] = order["arrival"]
    trade["taker_order"] = row
    trade["maker_order"] = maker["order_id"]
    trade["price_ticks"] = tick
    trade["instrument"] = order["instrument"]
    trade["taker"] = order["account"]
    trade["maker"] = maker["account"]
    trade["round"] = order["round"]
    trade["side"] = order["side"]
    trade["taker_cause"] = order["cause"]
    trade["maker_cause"] = maker["cause"]
    trade["taker_origin"] = order["origin"]

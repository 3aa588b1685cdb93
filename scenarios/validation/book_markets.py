"""Small markets inside the simulation's own order book: every order, fill and cancellation goes through its matching.

Kernels call the compiled matching directly, one order at a time; account 0 rests, account 1 takes. Books have
lots of one unit.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument
from spirals.simulation.kernel import kernel
from spirals.simulation.order_book import OrderBook
from spirals.simulation.order_book.matching_kernels import match_batch
from spirals.simulation.order_book.records import SLOT_MASK
from spirals.simulation.randomness import exponential, uniforms
from spirals.simulation.state import BUY, ORDER, SELL, TRADE, OrderKind

__all__ = ["Book", "best_queue_race", "quoting_paths", "zero_intelligence"]

LIMIT, MARKET, IOC, CANCEL, CANCEL_ALL = (
    OrderKind.LIMIT, OrderKind.MARKET, OrderKind.IOC, OrderKind.CANCEL, OrderKind.CANCEL_ALL,
)
RESTER, TAKER = 0, 1


class Book:
    """The arrays of a book with `n_ticks` prices and room for `capacity` resting orders."""

    def __init__(self, n_ticks: int, capacity: int, tick: float = 1.0) -> None:
        instrument = Instrument(tick_size=tick, lot_size=1.0, atom=tick, max_price=tick * (n_ticks - 1))
        self.book = OrderBook([instrument], 2, capacity)
        self.positions = np.zeros((2, 1), np.int64)
        self.order = np.zeros(1, ORDER)
        self.order["event"] = -1
        self.trades = np.zeros(capacity, TRADE)
        self.row = np.zeros(1, np.int64)

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return what the kernels pass on to the matching, in its order."""
        b = self.book
        return (self.order, self.row, self.positions, b.slots, b.ladder, b.words, b.tops, b.resting, b.pool,
                self.trades)


@kernel
def send(arrays, account, kind, side, price, lots, target):
    """Send one order; return the number of trades."""
    order = arrays[0][0]
    order["account"] = account
    order["kind"] = kind
    order["side"] = side
    order["price_ticks"] = price
    order["lots"] = lots
    order["target"] = target
    order["status"] = 0
    order["reason"] = 0
    return match_batch(*arrays)


@kernel
def clear_book(arrays):
    """Cancel everything that rests."""
    send(arrays, RESTER, CANCEL_ALL, BUY, 0, 0, 0)


@kernel
def best_queue_race(key, arrays, bids, asks, limit_rate, market_rate, cancel_rate, trials, centre):
    """Return how often the ask queue empties before the bid queue, of `trials`, and the time that the races take.

    Two queues of one-lot orders at neighbouring ticks. On each side: limit orders at `limit_rate`, market orders at
    `market_rate`, each resting order cancelled at `cancel_rate`. Which event comes next follows from the queues
    that the book shows; the time of a race is the sum of the mean waits for its events, one over the sum of rates.
    Returns the number of rises, the sum of times and the sum of their squares.
    """
    ladder = arrays[4]
    rises = 0
    waited, squared = 0.0, 0.0
    ids = np.zeros((2, 10_000), np.int64)
    for trial in range(trials):
        clear_book(arrays)
        for side in range(2):
            for _ in range(bids if side == 0 else asks):
                send(arrays, RESTER, LIMIT, BUY if side == 0 else SELL, centre + side, 1, 0)
        block = 0
        time = 0.0
        while True:
            held = (ladder[centre]["lots"], ladder[centre + 1]["lots"])
            if held[0] == 0 or held[1] == 0:
                rises += held[1] == 0
                waited += time
                squared += time * time
                break
            first, second = uniforms(key, trial, 0, block)
            block += 1
            rates = (limit_rate + market_rate + cancel_rate * held[0], limit_rate + market_rate + cancel_rate * held[1])
            time += 1.0 / (rates[0] + rates[1])
            place = first * (rates[0] + rates[1])
            side = 0 if place < rates[0] else 1
            place -= 0.0 if side == 0 else rates[0]
            if place < limit_rate:
                send(arrays, RESTER, LIMIT, BUY if side == 0 else SELL, centre + side, 1, 0)
            elif place < limit_rate + market_rate:
                send(arrays, TAKER, MARKET, SELL if side == 0 else BUY, 0, 1, 0)
            else:
                count = resting_at(arrays, centre + side, ids[side])
                send(arrays, RESTER, CANCEL, BUY, 0, 0, ids[side, min(int(second * count), count - 1)])
    return rises, waited, squared


@kernel
def resting_at(arrays, tick, ids):
    """Write the ids of the orders at `tick` into `ids`; return how many."""
    slots, level = arrays[3], arrays[4][tick]
    slot = np.int64(level["head"])
    count = 0
    while slot != 0:
        ids[count] = slots[slot]["order_id"]
        count += 1
        if slot == level["tail"]:
            break
        slot = np.int64(slots[slot]["next"])
    return count


@kernel
def zero_intelligence(key, arrays, deposit, market_rate, cancel_rate, window, events, dropped, parts):
    """Return time-weighted mean spreads [ticks] of `parts` equal stretches of the zero-intelligence market.

    One-lot orders. On each side: limit orders at `deposit` per tick and unit of time on the `window` ticks behind
    the best price of the other side, market orders at `market_rate`; every resting order is cancelled at
    `cancel_rate`. An empty side counts as if its best price were the middle of the book less (plus) half a window.
    """
    slots, tops = arrays[3], arrays[6]
    trades = arrays[9]
    middle = tops[0]["n_ticks"] // 2
    ids = np.zeros(len(slots), np.int64)
    places = np.zeros(len(slots), np.int64)     # of a slot in ids
    live = 0
    spreads, times = np.zeros(parts), np.zeros(parts)
    for side in range(2):
        sign = BUY if side == 0 else SELL
        for k in range(window // 2):
            send(arrays, RESTER, LIMIT, sign, middle - sign * (k + 1), 1, 0)
            live = remember(arrays[0][0]["order_id"], ids, places, live)
    for event in range(dropped + events):
        top = tops[0]
        bid = top["best_bid"] if top["best_bid"] > 0 else middle - window // 2
        ask = top["best_ask"] if top["best_ask"] < top["n_ticks"] else middle + window // 2
        arrivals, takes, cancels = 2.0 * deposit * window, 2.0 * market_rate, cancel_rate * live
        total = arrivals + takes + cancels
        first, second = uniforms(key, event, 0, 0)
        if event >= dropped:
            wait = exponential(uniforms(key, event, 0, 1)[0]) / total
            part = (event - dropped) * parts // events
            spreads[part] += wait * (ask - bid)
            times[part] += wait
        place = first * total
        side = BUY if second < 0.5 else SELL
        second = 2.0 * second - (0.0 if side == BUY else 1.0)
        if place < arrivals:
            behind = 1 + min(int(second * window), window - 1)
            tick = ask - behind if side == BUY else bid + behind
            send(arrays, RESTER, LIMIT, side, tick, 1, 0)
            live = remember(arrays[0][0]["order_id"], ids, places, live)
        elif place < arrivals + takes:
            if send(arrays, TAKER, MARKET, side, 0, 1, 0) > 0:
                live = forget(trades[0]["maker_order"], ids, places, live)
        elif live > 0:
            chosen = ids[min(int((place - arrivals - takes) / cancels * live), live - 1)]
            send(arrays, RESTER, CANCEL, BUY, 0, 0, chosen)
            live = forget(chosen, ids, places, live)
    return spreads / times


@kernel
def remember(order_id, ids, places, live):
    """Add a resting order to the list from which cancellations are drawn."""
    if order_id < 0:
        return live
    ids[live] = order_id
    places[order_id & SLOT_MASK] = live
    return live + 1


@kernel
def forget(order_id, ids, places, live):
    """Take an order that no longer rests from the list."""
    place = places[order_id & SLOT_MASK]
    last = ids[live - 1]
    ids[place] = last
    places[last & SLOT_MASK] = place
    return live - 1


@kernel
def quoting_paths(key, arrays, gamma, skew, volatility, k, rate, steps, paths, opening, tick):
    """Let a market maker quote through the book; return P&L, inventory and mean quoted spread, shape (paths, 3).

    Time runs from 0 to 1. In each step the maker posts a bid and an ask of one lot around the reservation price, mid
    less ``skew * inventory * gamma * volatility^2 * time left``; an order arrives from each side with a limit at a
    distance from the mid that makes it reach a quote at distance d with probability ``min(1, rate dt exp(-k d))``;
    then the mid moves by ``volatility sqrt(dt)`` up or down. The skew is 1 for the inventory strategy, 0 for the
    symmetric one.
    """
    dt = 1.0 / steps
    results = np.zeros((paths, 3))
    n_ticks = arrays[6][0]["n_ticks"]
    for path in range(paths):
        mid, cash, held, quoted = opening, 0.0, 0, 0.0
        for step in range(steps):
            left = 1.0 - step * dt
            spread = gamma * volatility**2 * left + 2.0 / gamma * math.log(1.0 + gamma / k)
            centre = mid - skew * held * gamma * volatility**2 * left
            bid = min(max(int(round((centre - 0.5 * spread) / tick)), 1), n_ticks - 2)
            ask = min(max(int(round((centre + 0.5 * spread) / tick)), bid + 1), n_ticks - 1)
            quoted += (ask - bid) * tick
            send(arrays, RESTER, LIMIT, BUY, bid, 1, 0)
            send(arrays, RESTER, LIMIT, SELL, ask, 1, 0)
            sell, buy = uniforms(key, path, 0, step)
            low = int(round((mid + math.log(sell / (rate * dt)) / k) / tick))
            high = int(round((mid - math.log(buy / (rate * dt)) / k) / tick))
            if send(arrays, TAKER, IOC, SELL, min(max(low, 1), n_ticks - 1), 1, 0) > 0:
                held += 1
                cash -= bid * tick
            if send(arrays, TAKER, IOC, BUY, min(max(high, 1), n_ticks - 1), 1, 0) > 0:
                held -= 1
                cash += ask * tick
            clear_book(arrays)
            move = uniforms(key, path, 1, step)[0]
            mid += volatility * math.sqrt(dt) * (1.0 if move < 0.5 else -1.0)
        results[path, 0] = cash + held * mid
        results[path, 1] = held
        results[path, 2] = quoted / steps
    return results

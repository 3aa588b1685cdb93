"""A limit order book in plain Python: dictionaries, lists and the rules written out one after another.

It keeps no totals and no links: what it is asked, it counts. Compare `OrderBook.match` for the rules in words.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument
from spirals.simulation.state import BUY, SELL, TRADE, OrderKind, OrderStatus, Reject

__all__ = ["ReferenceBook", "ReferenceOrder"]


@dataclasses.dataclass(eq=False)
class ReferenceOrder:
    """An order that rests or is about to."""

    order_id: int
    account: int
    instrument: int
    side: int
    price: int
    lots: int
    reduce_only: bool
    cause: int
    origin: int
    event: int


class ReferenceBook:
    """Price-time priority for several instruments, one order at a time.

    Order ids count up from 1 and are never used again; they differ from those of `OrderBook`.

    Parameters
    ----------
    instruments : sequence of Instrument
    n_accounts : int
        Not needed here; accepted so that the class can stand in for `OrderBook`.
    """

    def __init__(self, instruments: Sequence[Instrument], n_accounts: int = 0) -> None:
        self.instruments = tuple(instruments)
        self.orders: dict[int, ReferenceOrder] = {}
        # queues[instrument][side][price] lists the orders at a price, oldest first
        self.queues: list[dict[int, dict[int, list[ReferenceOrder]]]] = [{BUY: {}, SELL: {}} for _ in instruments]
        self.last_ticks = [0 for _ in instruments]
        self.last_id = 0
        self.trades: list[tuple[Any, ...]] = []

    def match(self, orders: NDArray[Any], sequence: Any, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Process a batch; arguments, effects and result as of ``OrderBook.match``."""
        self.trades = []
        for row in sequence:
            order = orders[row]
            order["order_id"], order["filled_lots"], order["resting_lots"] = -1, 0, 0
            if order["status"] == OrderStatus.REJECTED:
                continue
            if order["kind"] == OrderKind.CANCEL:
                self._cancel(order)
            elif order["kind"] == OrderKind.CANCEL_ALL:
                self._cancel_all(order)
            else:
                self._submit(order, int(row), positions)
        return np.array(self.trades, TRADE)

    def best(self, instrument: int, side: int) -> int | None:
        """Return the best price of a side [ticks], None when the side is empty."""
        prices = self.queues[instrument][side]
        if not prices:
            return None
        return max(prices) if side == BUY else min(prices)

    def orders_of(self, account: int, instrument: int) -> list[ReferenceOrder]:
        """Return the resting orders of an account in an instrument."""
        return [o for o in self.orders.values() if o.account == account and o.instrument == instrument]

    def resting_lots(self, account: int, instrument: int, side: int) -> int:
        """Return the open lots of an account's resting orders on one side."""
        return sum(order.lots for order in self.orders_of(account, instrument) if order.side == side)

    def levels(self, instrument: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the best `n` levels of bids and asks as rows of price [ticks] and total [lots]."""
        sides = []
        for side in (BUY, SELL):
            queues = self.queues[instrument][side]
            rows = [(price, sum(o.lots for o in queues[price])) for price in sorted(queues, reverse=side == BUY)]
            sides.append(np.array(rows[:n], np.int64).reshape(-1, 2))
        return sides[0], sides[1]

    def cost_of(
        self, instrument: int, side: int, lots: int, skip_lots: int = 0, worst_ticks: int = 0
    ) -> tuple[int, int]:
        """Return lots filled and sum of price [ticks] * lots of a hypothetical market order."""
        bids, asks = self.levels(instrument, self.instruments[instrument].n_ticks)
        prices = [int(price) for price, total in (asks if side == BUY else bids) for _ in range(total)]
        prices = prices[skip_lots:][:lots]
        if worst_ticks:
            prices = [price for price in prices if side * price <= side * worst_ticks]
        return len(prices), sum(prices)

    def observe(self, market: NDArray[Any]) -> None:
        """Fill best prices, spread, mid, last price and depth of `market`, as ``OrderBook.observe``."""
        for i, instrument in enumerate(self.instruments):
            bid, ask = self.best(i, BUY), self.best(i, SELL)
            market[i]["best_bid"] = math.nan if bid is None else bid * instrument.tick_size
            market[i]["best_ask"] = math.nan if ask is None else ask * instrument.tick_size
            market[i]["spread"] = math.nan
            if bid is not None and ask is not None:
                market[i]["spread"] = (ask - bid) * instrument.tick_size
                market[i]["mid"] = (ask + bid) / 2 * instrument.tick_size
            if self.last_ticks[i]:
                market[i]["last"] = self.last_ticks[i] * instrument.tick_size
            mid = market[i]["mid"] / instrument.tick_size
            for side, field in ((BUY, "depth_bid"), (SELL, "depth_ask")):
                for k, band in enumerate((0.001, 0.005, 0.01)):
                    inside = [o for o in self.orders.values() if o.instrument == i and o.side == side
                              and side * (mid - o.price) <= band * mid + 1e-6]
                    value = sum(o.price * o.lots for o in inside) if mid > 0 else 0
                    market[i][field][k] = value * (instrument.tick_size * instrument.lot_size)

    def _target(self, order: Any) -> ReferenceOrder | None:
        target = self.orders.get(int(order["target"]))
        if target is None or target.account != order["account"] or target.instrument != order["instrument"]:
            return None
        return target

    def _cancel(self, order: Any) -> None:
        target = self._target(order)
        if target is None:
            self._reject(order, Reject.UNKNOWN_ORDER)
        else:
            self._remove(target)
            order["status"] = OrderStatus.CANCELLED

    def _cancel_all(self, order: Any) -> None:
        for resting in self.orders_of(order["account"], order["instrument"]):
            self._remove(resting)
        order["status"] = OrderStatus.CANCELLED

    @staticmethod
    def _reject(order: Any, reason: int) -> None:
        order["status"], order["reason"] = OrderStatus.REJECTED, reason

    def _submit(self, order: Any, row: int, positions: NDArray[np.int64]) -> None:
        incoming = ReferenceOrder(
            0, int(order["account"]), int(order["instrument"]), int(order["side"]), int(order["price_ticks"]),
            int(order["lots"]), bool(order["reduce_only"]), int(order["cause"]), int(order["origin"]),
            int(order["event"]),
        )
        target = None
        if order["kind"] == OrderKind.REPLACE:
            target = self._target(order)
            if target is None:
                return self._reject(order, Reject.UNKNOWN_ORDER)
        if incoming.lots <= 0:
            return self._reject(order, Reject.NO_LOTS)
        never_rests = order["kind"] in (OrderKind.MARKET, OrderKind.IOC)
        any_price = order["kind"] == OrderKind.MARKET or (order["kind"] == OrderKind.IOC and incoming.price == 0)
        if not any_price and not 1 <= incoming.price <= self.instruments[incoming.instrument].n_ticks - 1:
            return self._reject(order, Reject.PRICE_RANGE)
        if incoming.reduce_only:
            reducible = self._reducible(incoming, positions)
            if reducible == 0:
                return self._reject(order, Reject.REDUCE_ONLY)
        if order["kind"] == OrderKind.POST_ONLY and self._crosses(incoming, any_price):
            return self._reject(order, Reject.WOULD_CROSS)
        if incoming.reduce_only and reducible < incoming.lots:
            incoming.lots = reducible
            order["reason"] = Reject.REDUCE_ONLY

        if target is not None:
            incoming.order_id = target.order_id
            if (incoming.side == target.side and incoming.price == target.price
                    and incoming.lots <= target.lots):
                self._change_in_place(target, incoming)
                return self._report_resting(order, incoming)
            self._remove(target)
        accepted = incoming.lots
        self._trade(order, row, incoming, any_price, positions)
        order["filled_lots"] = accepted - incoming.lots
        if incoming.lots > 0 and not never_rests:
            if incoming.order_id == 0:
                self.last_id += 1
                incoming.order_id = self.last_id
            self.queues[incoming.instrument][incoming.side].setdefault(incoming.price, []).append(incoming)
            self.orders[incoming.order_id] = incoming
            return self._report_resting(order, incoming)
        everything = order["filled_lots"] == order["lots"]
        order["status"] = OrderStatus.FILLED if everything else OrderStatus.CANCELLED

    def _change_in_place(self, target: ReferenceOrder, incoming: ReferenceOrder) -> None:
        """Put the new version where the old one stood in the queue."""
        queue = self.queues[target.instrument][target.side][target.price]
        queue[queue.index(target)] = incoming
        self.orders[target.order_id] = incoming

    @staticmethod
    def _report_resting(order: Any, resting: ReferenceOrder) -> None:
        order["status"] = OrderStatus.RESTING
        order["order_id"], order["resting_lots"] = resting.order_id, resting.lots

    @staticmethod
    def _reducible(order: ReferenceOrder, positions: NDArray[np.int64]) -> int:
        """Return the lots that bring the owner's position to zero, 0 if the order would increase it."""
        position = int(positions[order.account, order.instrument])
        if order.side == BUY:
            return -position if position < 0 else 0
        return position if position > 0 else 0

    def _crosses(self, order: ReferenceOrder, any_price: bool) -> bool:
        """Tell whether the order reaches the best price of the other side."""
        best = self.best(order.instrument, -order.side)
        if best is None:
            return False
        return any_price or (order.price >= best if order.side == BUY else order.price <= best)

    def _trade(
        self, order: Any, row: int, incoming: ReferenceOrder, any_price: bool, positions: NDArray[np.int64]
    ) -> None:
        while incoming.lots > 0 and self._crosses(incoming, any_price):
            price = self.best(incoming.instrument, -incoming.side)
            assert price is not None
            resting = self.queues[incoming.instrument][-incoming.side][price][0]
            if resting.account == incoming.account:
                self._remove(resting)
                continue
            if resting.reduce_only:
                reducible = self._reducible(resting, positions)
                if reducible == 0:
                    self._remove(resting)
                    continue
                resting.lots = min(resting.lots, reducible)
            lots = min(incoming.lots, resting.lots)
            self.trades.append((
                lots, incoming.event, resting.event, order["arrival"], row, resting.order_id, price,
                incoming.instrument, incoming.account, resting.account, order["round"], incoming.side,
                incoming.cause, resting.cause, incoming.origin,
            ))
            self.last_ticks[incoming.instrument] = price
            positions[incoming.account, incoming.instrument] += incoming.side * lots
            positions[resting.account, resting.instrument] += resting.side * lots
            incoming.lots -= lots
            resting.lots -= lots
            if resting.lots == 0:
                self._remove(resting)

    def _remove(self, order: ReferenceOrder) -> None:
        queues = self.queues[order.instrument][order.side]
        queues[order.price] = [other for other in queues[order.price] if other is not order]
        if not queues[order.price]:
            del queues[order.price]
        del self.orders[order.order_id]

"""Short ways to write orders and books in tests."""

import numpy as np

from spirals.simulation.contracts import Instrument
from spirals.simulation.order_book import OrderBook
from spirals.simulation.state import BUY, ORDER, SELL, OrderKind

__all__ = ["Venue", "instrument", "orders_from", "sent"]


def instrument(n_ticks=1000, name="X"):
    """A book with ticks 1 .. n_ticks - 1 of 1 quote, lots of 1 base."""
    return Instrument(name=name, tick_size=1.0, lot_size=1.0, atom=1.0, max_price=n_ticks - 1.0)


def sent(account, side, lots, price=0, kind=OrderKind.LIMIT, **fields):
    """One order as a dictionary of its fields; side is "buy" or "sell"."""
    return {"account": account, "side": BUY if side == "buy" else SELL, "lots": lots, "price_ticks": price,
            "kind": kind, "event": -1, **fields}


def orders_from(rows):
    """ORDER array of the given dictionaries."""
    orders = np.zeros(len(rows), ORDER)
    for order, row in zip(orders, rows, strict=True):
        for name, value in row.items():
            order[name] = value
    return orders


class Venue:
    """A book with positions that are carried from one order to the next, checked after each batch."""

    def __init__(self, n_accounts=10, n_ticks=1000, n_instruments=1, book=None):
        instruments = [instrument(n_ticks, f"X{k}") for k in range(n_instruments)]
        self.book = book or OrderBook(instruments, n_accounts)
        self.positions = np.zeros((n_accounts, n_instruments), np.int64)
        self.fills = []

    def send(self, *rows):
        """Match the orders in the given order; return them."""
        orders = orders_from(rows)
        trades = self.book.match(orders, np.arange(len(orders)), self.positions)
        self.fills = [(int(t["taker"]), int(t["maker"]), int(t["price_ticks"]), int(t["lots"])) for t in trades]
        self.book.check()
        return orders

    def limit(self, account, side, lots, price, **fields):
        return self.send(sent(account, side, lots, price, **fields))[0]

    def market(self, account, side, lots, **fields):
        return self.send(sent(account, side, lots, kind=OrderKind.MARKET, **fields))[0]

    def ioc(self, account, side, lots, worst=0, **fields):
        return self.send(sent(account, side, lots, worst, kind=OrderKind.IOC, **fields))[0]

    def post(self, account, side, lots, price, **fields):
        return self.send(sent(account, side, lots, price, kind=OrderKind.POST_ONLY, **fields))[0]

    def cancel(self, account, order_id, **fields):
        return self.send({"account": account, "target": order_id, "kind": OrderKind.CANCEL, **fields})[0]

    def replace(self, account, order_id, side, lots, price, **fields):
        return self.send(sent(account, side, lots, price, kind=OrderKind.REPLACE, target=order_id, **fields))[0]

    def ladder(self, n=10, instrument=0):
        bids, asks = self.book.levels(instrument, n)
        return bids.tolist(), asks.tolist()

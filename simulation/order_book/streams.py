"""Random order flow near the touch, for measuring speed and for tests; not a model of a market."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument
from spirals.simulation.order_book.book import OrderBook
from spirals.simulation.order_book.queue_kernels import USED
from spirals.simulation.randomness import generator
from spirals.simulation.state import BUY, ORDER, SELL, OrderKind

__all__ = ["MIX", "measure_events", "random_orders"]

# Shares of the kinds of events; cancels and replaces keep the number of resting orders steady.
MIX = {
    OrderKind.LIMIT: 0.40, OrderKind.POST_ONLY: 0.06, OrderKind.MARKET: 0.04, OrderKind.IOC: 0.05,
    OrderKind.REPLACE: 0.15, OrderKind.CANCEL: 0.295, OrderKind.CANCEL_ALL: 0.005,
}
AGGRESSIVE_SHARE = 0.15            # limit orders priced through the centre
MEAN_DISTANCE = 12.0               # [ticks] of passive prices from the centre
MEAN_LOTS = 20.0


def random_orders(
    draws: np.random.Generator,
    n: int,
    book: OrderBook,
    centre: int,
    *,
    mix: Mapping[int, float] = MIX,
    mean_distance: float = MEAN_DISTANCE,
    mean_lots: float = MEAN_LOTS,
    reduce_only_share: float = 0.02,
    steady_orders: int = 0,
) -> NDArray[Any]:
    """Return a mixed batch of orders around a price, given what rests in the book.

    Parameters
    ----------
    draws : numpy.random.Generator
    n : int
        Number of orders.
    book : OrderBook
        Cancels and replaces aim at its resting orders; it is not changed. Within the batch some of them have gone
        when their turn comes, as in real flow.
    centre : int
        Price around which buys and sells are placed [ticks].
    mix : mapping of OrderKind to float
        Relative frequency of each kind.
    mean_distance : float
        Mean distance of passive prices from the centre [ticks], geometric.
    mean_lots : float
        Mean size [lots], geometric.
    reduce_only_share : float
        Share of submitted orders that are reduce-only.
    steady_orders : int
        If positive, cancels become more frequent in proportion to resting orders / `steady_orders`.

    Returns
    -------
    ndarray of shape (n,), dtype ORDER
    """
    n_accounts, n_instruments = book.resting.shape
    orders = np.zeros(n, ORDER)
    weights = np.array([mix.get(kind, 0.0) for kind in range(OrderKind.CANCEL_ALL + 1)])
    if steady_orders > 0:
        weights[OrderKind.CANCEL] *= book.n_orders / steady_orders
    kinds = np.searchsorted(np.cumsum(weights) / weights.sum(), draws.random(n), side="right")
    orders["kind"] = np.minimum(kinds, OrderKind.CANCEL_ALL)
    orders["account"] = draws.integers(0, n_accounts, n)
    orders["instrument"] = draws.integers(0, n_instruments, n)
    orders["side"] = np.where(draws.random(n) < 0.5, BUY, SELL)
    orders["lots"] = draws.geometric(1.0 / mean_lots, n)
    orders["reduce_only"] = draws.random(n) < reduce_only_share
    orders["event"] = -1
    orders["arrival"] = np.arange(n)
    _aim(orders, draws, book)
    distance = draws.geometric(1.0 / mean_distance, n)
    through = (draws.random(n) < AGGRESSIVE_SHARE) & (orders["kind"] != OrderKind.POST_ONLY)
    through |= orders["kind"] == OrderKind.IOC
    away = np.where(through, -(distance // 2), distance)
    price = centre - orders["side"] * away
    orders["price_ticks"] = np.clip(price, 1, int(book.tops["n_ticks"].min()) - 1)
    return orders


def _aim(orders: NDArray[Any], draws: np.random.Generator, book: OrderBook) -> None:
    """Point cancels and replaces at resting orders, each at most once, of the account that owns them."""
    slots = book.slots[: book.pool[USED]]
    rows = np.flatnonzero((orders["kind"] == OrderKind.CANCEL) | (orders["kind"] == OrderKind.REPLACE))
    live = np.flatnonzero(slots["lots"] > 0)
    aimed = rows[: len(live)]
    picked = slots[draws.choice(live, len(aimed), replace=False)] if len(aimed) else slots[:0]
    orders["target"][aimed] = picked["order_id"]
    for name in ("account", "instrument", "side"):
        orders[name][aimed] = picked[name]


def measure_events(
    n_events: int, batch: int = 1000, steady_orders: int = 5000, n_accounts: int = 1000, seed: int = 0
) -> float:
    """Return how many book events per second one core matches, orders made beforehand.

    An event is one order of any kind. The flow is a steady mixed stream near the touch whose centre
    wanders. The time is the CPU time of the calls of :meth:`OrderBook.match` alone, after compilation.
    Other load on the machine still shows, through shared caches and clocks.

    Parameters
    ----------
    n_events : int
        Events measured.
    batch : int
        Orders per call.
    steady_orders : int
        About how many orders rest.
    n_accounts : int
    seed : int
    """
    book = OrderBook([Instrument()], n_accounts)
    draws = generator(seed, "order_book.measure_events")
    positions = np.zeros((n_accounts, 1), np.int64)
    sequence = np.arange(batch)
    centre = book.instruments[0].n_ticks // 2
    warm_up = -(-4 * steady_orders // batch)
    seconds = 0.0
    for k in range(warm_up + -(-n_events // batch)):
        orders = random_orders(draws, batch, book, centre, steady_orders=steady_orders)
        started = time.thread_time()
        book.match(orders, sequence, positions)
        if k >= warm_up:
            seconds += time.thread_time() - started
        centre += int(draws.integers(-2, 3))
    return -(-n_events // batch) * batch / seconds

"""OrderBook: several instruments in one set of arrays, one compiled call per batch of orders."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.order_book.invariants import check_book
from spirals.simulation.order_book.levels import tree_size
from spirals.simulation.order_book.matching_kernels import match_batch
from spirals.simulation.order_book.observe import observe_books, walk
from spirals.simulation.order_book.queue_kernels import LIVE, USED
from spirals.simulation.order_book.records import LEVEL, MAX_SLOTS, NONE, RESTING, SLOT, SLOT_MASK, TOP
from spirals.simulation.state import BUY, MARKET, ORDER, SELL, TRADE, OrderKind

__all__ = ["OrderBook", "RestingOrder"]

CACHE_LINE = 64


@dataclasses.dataclass(frozen=True)
class RestingOrder:
    """A resting order, for inspection."""

    order_id: int
    account: int
    instrument: int
    side: int
    price_ticks: int
    lots: int
    reduce_only: bool
    cause: int
    origin: int
    event: int


class OrderBook:
    """A limit order book with price-time priority for several instruments.

    Parameters
    ----------
    instruments : sequence of Instrument
        Tick sizes, lot sizes and number of price levels. Prices are ticks 1 .. n_ticks - 1.
    n_accounts : int
        Rows of accounts that may send orders.
    capacity : int
        Resting orders for which memory is taken at once; it grows by doubling when needed.

    Attributes
    ----------
    resting : ndarray of shape (n_accounts, n_instruments), dtype RESTING
        Per account the open lots of its resting orders, ``buy_lots`` and ``sell_lots``, and their number,
        ``orders``; exact after every event. Read only for callers.
    slots, ladder, words, tops : ndarray
        Pool of resting orders, price levels, tree of non-empty levels, one row per instrument
        (see `records.py`); `ladder`, `words` and `tops` are never replaced.

    Notes
    -----
    Memory: 16 bytes per tick, 64 per resting order at the peak, 24 per account and instrument. It does
    not grow with the number of events. The cost of an event does not depend on what happened before.
    """

    def __init__(self, instruments: Sequence[Instrument], n_accounts: int, capacity: int = 4096) -> None:
        problems = []
        if len(instruments) == 0:
            problems.append("OrderBook: instruments must hold at least one instrument")
        if n_accounts < 1:
            problems.append(f"OrderBook: n_accounts must be at least 1, was {n_accounts}")
        if not 1 <= capacity < MAX_SLOTS:
            problems.append(f"OrderBook: capacity must lie in [1, {MAX_SLOTS - 1}], was {capacity}")
        if problems:
            raise InputError(problems)
        self.instruments = tuple(instruments)
        self.tops, n_levels, n_words = _tops(self.instruments)
        self.ladder = np.zeros(n_levels, LEVEL)
        self.words = np.zeros(n_words, np.uint64)
        self.resting = np.zeros((n_accounts, len(instruments)), RESTING)
        self.slots = _cache_aligned(capacity + 1)
        self.pool = np.array([1, NONE, 0], np.int64)
        self._trades = np.empty(capacity, TRADE)

    @property
    def n_orders(self) -> int:
        """Number of resting orders."""
        return int(self.pool[LIVE])

    def match(
        self, orders: NDArray[Any], sequence: NDArray[Any], positions: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Process a batch of orders in the given order and return the trades.

        Parameters
        ----------
        orders : ndarray of shape (n,), dtype ORDER
            Modified in place: ``status``, ``reason``, ``order_id`` (-1 when nothing rests), ``filled_lots`` and
            ``resting_lots``, all as of the moment after the order was processed. ``reason`` is
            left alone when the book has nothing to add. Orders that are REJECTED already are passed over.
        sequence : ndarray of shape (k,), int
            Rows of `orders` in order of processing; other rows are not read.
        positions : ndarray of shape (n_accounts, n_instruments), int64
            Signed lots that reduce-only orders may reduce. Modified in place: it follows the fills of the
            batch. The book never reads the ledger.

        Returns
        -------
        ndarray of shape (n_trades,), dtype TRADE
            Trades in order of execution; a view that is valid until the next call.

        Raises
        ------
        InputError
            If an order has an account, instrument, kind or side that does not exist; nothing is changed then.

        Notes
        -----
        - LIMIT trades up to its price and rests with the remainder. POST_ONLY is rejected (WOULD_CROSS) if its
          price reaches the best price of the other side, whoever owns that.
        - MARKET and IOC never rest; an IOC's price is the worst price it accepts (0: any).
        - CANCEL and REPLACE need the id of a resting order of the same account and instrument, else
          UNKNOWN_ORDER. CANCEL_ALL takes all resting orders of the account in the instrument.
        - REPLACE gives the target the side, price, open lots and flags of the new row; it keeps its id.
          With the same side and price and no more lots than are open it keeps its time priority,
          else it is treated as a new limit order. A rejected REPLACE leaves its target as it was.
        - A reduce-only order is cut to the lots that bring the position to zero (reason REDUCE_ONLY) and rejected
          if there are none. A resting one is cut, or cancelled, at the moment it would be hit, so
          it never increases a position; until then its lots stand in the book.
        - Self-trade prevention: an own resting order in the way is cancelled; the incoming one goes on.
        - FILLED means that all lots asked for were filled; a remainder that does not rest is CANCELLED, which
          is also the status of a CANCEL or CANCEL_ALL that was done.
        """
        n_accounts, n_instruments = self.resting.shape
        if orders.dtype != ORDER or orders.ndim != 1 or not orders.flags.c_contiguous:
            raise InputError([f"orders must be a contiguous array of ORDER records, was {orders.dtype}"])
        if positions.shape != self.resting.shape or positions.dtype != np.int64 or not positions.flags.c_contiguous:
            raise InputError([
                f"positions must be a contiguous int64 array of shape {(n_accounts, n_instruments)}, "
                f"was {positions.dtype} of shape {positions.shape}"
            ])
        order_of_play = np.require(sequence, np.int64, ["C", "W"])
        self._make_room(len(order_of_play))
        count = match_batch(
            orders, order_of_play, positions, self.slots, self.ladder, self.words, self.tops,
            self.resting, self.pool, self._trades,
        )
        if count < 0:
            raise InputError(_unreadable(orders, order_of_play, n_accounts, n_instruments))
        return self._trades[:count]

    def observe(self, market: NDArray[Any]) -> None:
        """Fill the columns of `market` that the book knows; modified in place.

        Parameters
        ----------
        market : ndarray of shape (n_instruments,), dtype MARKET
            ``best_bid``, ``best_ask`` and ``spread`` become NaN when a side is empty; ``mid`` and ``last``
            keep their value when there is no new one. ``depth_bid`` and ``depth_ask`` [quote notional]
            count resting orders within 10 bp, 50 bp and 1 % of ``mid``, the kept one if a side is empty.
        """
        if market.dtype != MARKET or market.shape != self.tops.shape:
            raise InputError([f"market must be an array of {len(self.tops)} MARKET records"])
        observe_books(self.ladder, self.words, self.tops, market)

    def cost_of(
        self, instrument: int, side: int, lots: int, skip_lots: int = 0, worst_ticks: int = 0
    ) -> tuple[int, int]:
        """Return what a market order would fill, without touching the book.

        Parameters
        ----------
        instrument : int
        side : int
            BUY or SELL of the hypothetical order.
        lots : int
            Its size [lots].
        skip_lots : int
            Lots at the front of the other side that count as taken already (a shadow book).
        worst_ticks : int
            Worst price it accepts [ticks], 0 for any.

        Returns
        -------
        filled_lots, tick_lots : int
            Lots filled; sum of price [ticks] * lots. Own and reduce-only orders count like others.
        """
        filled, tick_lots = walk(
            self.ladder, self.words, self.tops, instrument, side, lots, skip_lots, worst_ticks
        )
        return int(filled), int(tick_lots)

    def order(self, order_id: int) -> RestingOrder | None:
        """Return the resting order of that id, or None when it does not rest any more."""
        slot = order_id & SLOT_MASK
        known = 0 < slot < self.pool[USED] and self.slots[slot]["order_id"] == order_id
        return self._record(slot) if known and self.slots[slot]["lots"] > 0 else None

    def orders_of(self, account: int, instrument: int) -> list[RestingOrder]:
        """Return the resting orders of an account in an instrument, the last one accepted first."""
        found = []
        slot = int(self.resting[account, instrument]["head"])
        while slot != NONE:
            found.append(self._record(slot))
            slot = int(self.slots[slot]["owner_next"])
        return found

    def levels(self, instrument: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the best `n` levels of the bids and of the asks, best first.

        Returns
        -------
        bids, asks : ndarray of shape (k, 2), int64
            Columns price [ticks] and total [lots]; k is at most `n`.
        """
        top = self.tops[instrument]
        start, bid, ask = int(top["level_start"]), int(top["best_bid"]), int(top["best_ask"])
        lots = self.ladder["lots"][start : start + int(top["n_ticks"])]
        bids = np.flatnonzero(lots[: bid + 1])[::-1][:n]
        asks = ask + np.flatnonzero(lots[ask:])[:n]
        return np.column_stack([bids, lots[bids]]), np.column_stack([asks, lots[asks]])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the complete state: live references, valid until the next `match` or `restore`."""
        return {
            "slots": self.slots[: self.pool[USED]], "ladder": self.ladder, "words": self.words,
            "tops": self.tops, "resting": self.resting, "pool": self.pool,
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over a state made by :meth:`arrays` of a book of the same instruments and accounts.

        Raises
        ------
        InputError
            If an array is missing or has another shape or dtype; nothing is changed then.
        """
        own = self.arrays()
        problems = [f"order book state lacks {name!r}" for name in own if name not in arrays]
        for name, mine in own.items():
            if name in arrays and (arrays[name].dtype != mine.dtype or arrays[name].shape[1:] != mine.shape[1:]
                                   or (name != "slots" and len(arrays[name]) != len(mine))):
                problems.append(f"order book state {name!r} must be {mine.dtype} of shape {mine.shape}, "
                                f"was {arrays[name].dtype} of shape {arrays[name].shape}")
        if problems:
            raise InputError(problems)
        used = len(arrays["slots"])
        if used > len(self.slots):
            self.slots = _cache_aligned(used)
        own["slots"] = self.slots[:used]
        for name, mine in own.items():
            # as bytes: NumPy copies records field by field, at a sixteenth of the speed
            mine.view(np.uint8)[...] = np.ascontiguousarray(arrays[name]).view(np.uint8)

    def copy_into(self, other: "OrderBook") -> None:
        """Make `other`, a book of the same instruments and accounts, equal to this one."""
        other.restore(self.arrays())

    def check(self) -> None:
        """Recompute all totals, links and best prices in plain Python.

        Raises
        ------
        AssertionError
            If they differ from what the book holds: a bug. Slow; for tests.
        """
        check_book(self.arrays())

    def _make_room(self, n_orders: int) -> None:
        """Grow the buffers so that the kernel, which cannot, never runs out."""
        live = int(self.pool[LIVE])
        if live + n_orders >= len(self.slots):
            size = min(max(live + n_orders + 1, 2 * len(self.slots)), MAX_SLOTS)
            if live + n_orders >= size:
                raise InputError([f"the book holds at most {MAX_SLOTS - 1} orders, would be {live + n_orders}"])
            grown = _cache_aligned(size)
            grown[: self.pool[USED]] = self.slots[: self.pool[USED]]
            self.slots = grown
        if live + 2 * n_orders > len(self._trades):
            self._trades = np.empty(max(live + 2 * n_orders, 2 * len(self._trades)), TRADE)

    def _record(self, slot: int) -> RestingOrder:
        row = self.slots[slot]
        return RestingOrder(
            int(row["order_id"]), int(row["account"]), int(row["instrument"]), int(row["side"]),
            int(row["price_ticks"]), int(row["lots"]), bool(row["reduce_only"]), int(row["cause"]),
            int(row["origin"]), int(row["event"]),
        )


def _tops(instruments: Sequence[Instrument]) -> tuple[NDArray[Any], int, int]:
    """Return one empty row per instrument, the number of levels and the number of tree words."""
    tops = np.zeros(len(instruments), TOP)
    n_levels = n_words = 0
    for top, instrument in zip(tops, instruments, strict=True):
        lowest, whole = tree_size(instrument.n_ticks)
        top["best_ask"] = top["n_ticks"] = instrument.n_ticks
        top["level_start"], top["word_start"], top["n_words"] = n_levels, n_words, lowest
        top["tick_size"], top["lot_size"] = instrument.tick_size, instrument.lot_size
        n_levels += instrument.n_ticks
        n_words += whole
    return tops, n_levels, n_words


def _cache_aligned(n_slots: int) -> NDArray[Any]:
    """Return zeroed slots that start on a cache line, so that each occupies exactly one."""
    raw = np.zeros(n_slots * SLOT.itemsize + CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % CACHE_LINE
    return raw[offset : offset + n_slots * SLOT.itemsize].view(SLOT)


def _unreadable(orders: NDArray[Any], sequence: NDArray[Any], n_accounts: int, n_instruments: int) -> list[str]:
    """Return one line per order that names something that does not exist."""
    outside = (sequence < 0) | (sequence >= len(orders))
    problems = [f"sequence must hold rows in [0, {len(orders) - 1}], was {row}" for row in sequence[outside]]
    rows = np.unique(sequence[~outside])
    batch = orders[rows]
    removes = (batch["kind"] == OrderKind.CANCEL) | (batch["kind"] == OrderKind.CANCEL_ALL)
    allowed = (
        ("account", f"[0, {n_accounts - 1}]", (batch["account"] >= 0) & (batch["account"] < n_accounts)),
        ("instrument", f"[0, {n_instruments - 1}]", (batch["instrument"] >= 0) & (batch["instrument"] < n_instruments)),
        ("kind", f"[0, {OrderKind.CANCEL_ALL}]", (batch["kind"] >= 0) & (batch["kind"] <= OrderKind.CANCEL_ALL)),
        ("side", "{-1, 1}", removes | (batch["side"] == BUY) | (batch["side"] == SELL)),
    )
    for name, words, good in allowed:
        problems += [f"order {row}: {name} must lie in {words}, was {batch[name][k]}"
                     for k, row in enumerate(rows) if not good[k]]
    return problems

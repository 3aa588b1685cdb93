"""The book behind an L2 stream: replay it change by change and keep what the estimates need.

Between the lowest bid and the highest ask of the snapshot every level is known; outside, only levels that
changed since. Depth at a distance is therefore used only while that distance lies inside the window.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.l2 import L2Stream
from spirals.simulation.errors import InputError

__all__ = ["DISTANCES_BP", "Replay", "replay"]

DISTANCES_BP = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0)
"""Distances from the mid [bp] at which cumulative depth is measured; the edges of the bands between them."""

REACH = 0.02   # log distance around the opening mid that is kept; the rest of the book is ignored


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a replay leaves behind.

    Attributes
    ----------
    time_ms : ndarray of shape (n,), int64
        Times of the changes.
    mid : ndarray of shape (n,)
        [quote] After each change, from the book.
    spread : ndarray of shape (n,)
        [quote]
    depth : ndarray of shape (n, 2, n_distances)
        [quote] Cumulative notional of bids and asks within ``DISTANCES_BP``, after each change; NaN where
        the distance lies outside the window.
    added, removed, filled : ndarray of shape (n_distances,)
        [quote] Notional that arrived, was cancelled, was traded in each band, both sides, known levels.
    seconds : ndarray of shape (n,)
        [s] Time until the next change: the weight of a row of `depth`.
    repairs : tuple of str
    """

    time_ms: NDArray[np.int64]
    mid: NDArray[np.float64]
    spread: NDArray[np.float64]
    depth: NDArray[np.float64]
    added: NDArray[np.float64]
    removed: NDArray[np.float64]
    filled: NDArray[np.float64]
    seconds: NDArray[np.float64]
    repairs: tuple[str, ...] = ()

    @property
    def bands(self) -> NDArray[np.float64]:
        """Notional [quote] between neighbouring distances, shape (n, 2, n_distances); NaN where unknown."""
        return np.diff(self.depth, axis=2, prepend=0.0)


def replay(stream: L2Stream, *, repair: bool = False) -> Replay:
    """Return mid, spread, depth and flow of a stream.

    Arrivals and cancellations are what is left of the change of a level once the trades at its price
    are taken out. Both are net within one message (about 50 ms): lower bounds.

    Raises
    ------
    InputError
        The book is crossed or one-sided after a change; with `repair` the older level gives way.
    """
    work = _Book(stream)
    n = len(stream.diff_ms)
    mid, spread = np.full(n, np.nan), np.full(n, np.nan)
    depth = np.full((n, 2, len(DISTANCES_BP)), np.nan)
    flows = np.zeros((3, len(DISTANCES_BP)))
    traded = _traded_by_change(stream, work)
    problems: list[str] = []
    for k in range(n):
        rows = stream.levels[stream.diff_rows[k] : stream.diff_rows[k + 1]]
        work.apply(rows, traded[k], flows)
        fault = work.fault(rows, repair)
        if fault:
            problems.append(f"{stream.file}: {fault} after the change at {stream.diff_ms[k]} ms")
        if work.bid >= 0 and work.ask < work.size:
            work.measure(depth[k])
            mid[k], spread[k] = work.mid, (work.ask - work.bid) * stream.tick_size
    if problems and not repair:
        raise InputError(problems[:20] + [f"{stream.file}: {len(problems) - 20} more"] * (len(problems) > 20))
    repairs = (f"{len(problems)} x crossed or one-sided book; first: {problems[0]}",) if problems else ()
    seconds = np.diff(stream.diff_ms, append=stream.diff_ms[-1]) / 1e3
    return Replay(stream.diff_ms, mid, spread, depth, flows[0], flows[1], flows[2], seconds, repairs)


class _Book:
    """Quantities by tick on both sides, in a window around the opening mid."""

    def __init__(self, stream: L2Stream) -> None:
        self.tick = stream.tick_size
        middle = 0.5 * (stream.snapshot_bids[0, 0] + stream.snapshot_asks[0, 0])
        self.base = round(middle * (1 - REACH) / self.tick)
        self.size = round(2 * middle * REACH / self.tick) + 2
        self.price = (self.base + np.arange(self.size)) * self.tick
        self.sides = {1: np.zeros(self.size), -1: np.zeros(self.size)}
        for side, levels in ((1, stream.snapshot_bids), (-1, stream.snapshot_asks)):
            places = self.place(levels[:, 0])
            inside = (places >= 0) & (places < self.size)
            self.sides[side][places[inside]] = levels[inside, 1]
        self.low, self.high = (int(place) for place in self.place(np.array(stream.window)))
        self._find_best()

    def place(self, price: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the index of each price."""
        return np.asarray(np.rint(price / self.tick), np.int64) - self.base

    def apply(self, rows: NDArray[np.float64], traded: dict[int, NDArray[np.float64]],
              out_flows: NDArray[np.float64]) -> None:
        """Apply one change; add arrivals, cancellations and trades by band to `out_flows` (3, n_bands)."""
        places = self.place(rows[:, 1])
        inside = (places >= 0) & (places < self.size)
        for side in (1, -1):
            mine = inside & (rows[:, 0] == side)
            at, new = places[mine], rows[mine, 2]
            change = np.zeros(len(at)) if not len(at) else new - self.sides[side][at]
            sold = traded.get(side, np.zeros((0, 2)))
            filled = _matched(at, sold)
            net = change + filled
            known = (at >= self.low) & (at <= self.high)
            if np.isfinite(self.mid) and known.any():
                band = np.searchsorted(DISTANCES_BP, side * np.log(self.mid / self.price[at]) * 1e4)
                value = self.price[at] * known * (band < len(DISTANCES_BP))
                band = np.minimum(band, len(DISTANCES_BP) - 1)
                for row, amount in enumerate((np.maximum(net, 0.0), np.maximum(-net, 0.0), filled)):
                    out_flows[row] += np.bincount(band, amount * value, len(DISTANCES_BP))
            self.sides[side][at] = new
        self._find_best()

    def fault(self, rows: NDArray[np.float64], repair: bool) -> str:
        """Return what is wrong with the book; with `repair`, drop levels that a newer one crosses."""
        if self.bid < 0 or self.ask >= self.size:
            return "one-sided book"
        if self.bid < self.ask:
            return ""
        told = f"crossed book (bid {self.price[self.bid]:g}, ask {self.price[self.ask]:g})"
        if repair:
            fresh = self.place(rows[rows[:, 0] == 1, 1])
            if self.bid in fresh:
                self.sides[-1][: self.bid + 1] = 0.0
            else:
                self.sides[1][self.ask :] = 0.0
            self._find_best()
        return told

    def measure(self, out_depth: NDArray[np.float64]) -> None:
        """Write cumulative notional within each distance, shape (2, n_distances)."""
        for s, side in enumerate((1, -1)):
            exact = self.mid * np.exp(-side * 1e-4 * np.array(DISTANCES_BP)) / self.tick - self.base
            inward = np.ceil(exact - 1e-6) if side == 1 else np.floor(exact + 1e-6)
            far = np.clip(inward, 0, self.size - 1).astype(np.int64).tolist()
            if side == 1:
                value = (self.sides[1][far[-1] : self.bid + 1] * self.price[far[-1] : self.bid + 1])[::-1].cumsum()
                counts = [self.bid - place for place in far]
                known = [place >= self.low for place in far]
            else:
                value = (self.sides[-1][self.ask : far[-1] + 1] * self.price[self.ask : far[-1] + 1]).cumsum()
                counts = [place - self.ask for place in far]
                known = [place <= self.high for place in far]
            for d, (count, seen) in enumerate(zip(counts, known, strict=True)):
                if seen:
                    out_depth[s, d] = value[count] if count >= 0 else 0.0

    def _find_best(self) -> None:
        bids, asks = np.flatnonzero(self.sides[1]), np.flatnonzero(self.sides[-1])
        self.bid = int(bids[-1]) if len(bids) else -1
        self.ask = int(asks[0]) if len(asks) else self.size
        both = self.bid >= 0 and self.ask < self.size
        self.mid = 0.5 * (self.price[self.bid] + self.price[self.ask]) if both else np.nan


def _traded_by_change(stream: L2Stream, book: _Book) -> list[dict[int, NDArray[np.float64]]]:
    """Return, per change, place and quantity traded against each side since the change before."""
    places = book.place(stream.trades["price"])
    change = np.searchsorted(stream.diff_ms, stream.trades["time_ms"])
    found: list[dict[int, NDArray[np.float64]]] = [{} for _ in stream.diff_ms]
    hit = -stream.trades["side"]      # a buyer takes asks
    order = np.lexsort((places, hit, change))
    keys = np.stack([change[order], hit[order]])
    starts = np.flatnonzero(np.r_[True, (np.diff(keys) != 0).any(axis=0)]) if len(order) else np.zeros(0, np.int64)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        if change[rows[0]] < len(found):
            found[change[rows[0]]][int(hit[rows[0]])] = np.stack([places[rows], stream.trades["quantity"][rows]], 1)
    return found


def _matched(at: NDArray[np.int64], sold: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantity traded at each of the places `at`."""
    if not len(at) or not len(sold):
        return np.zeros(len(at))
    order = np.argsort(at, kind="stable")
    where = np.minimum(np.searchsorted(at[order], sold[:, 0]), len(at) - 1)
    hit = at[order][where] == sold[:, 0]
    return np.asarray(np.bincount(order[where[hit]], sold[hit, 1], len(at)))


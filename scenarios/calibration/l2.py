"""L2 streams: read a recorded order-book stream of Binance futures, check it, and refuse or repair it.

A file holds one message per line, ``<local time in ns> <JSON>``, plain or compressed with gzip. Messages are
those of the venue's public streams: ``depthUpdate`` (changes of aggregated levels, with the ids ``U``,
``u`` of its first and last event and ``pu``, the last of the message before), ``bookTicker``, ``trade`` and a
snapshot of the book. A book is known from the snapshot on, as long as every ``pu`` equals the ``u`` before it.

Times are the venue's transaction times: the local clock of a recording may be off by seconds.
"""

import dataclasses
import gzip
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError

__all__ = ["L2Stream", "read_l2"]

MOST_TOLD = 20   # problems of one kind that are told one by one
LAST_MS = 10**14  # year 5138: a time beyond it counts microseconds
DEPTH_FIELDS = {"T", "U", "u", "b", "a"}
QUOTE_FIELDS = {"T", "b", "B", "a", "A"}
TRADE_FIELDS = {"T", "t", "p", "q", "m"}
QUOTE = np.dtype([("time_ms", "i8"), ("bid", "f8"), ("ask", "f8")])
TRADED = np.dtype([("time_ms", "i8"), ("price", "f8"), ("quantity", "f8"), ("side", "i8"), ("id", "i8")])


@dataclasses.dataclass(frozen=True)
class L2Stream:
    """A checked stream of one instrument.

    Attributes
    ----------
    file, symbol : str
    tick_size : float
        [quote] Largest step of which every price is a multiple.
    snapshot_bids, snapshot_asks : ndarray of shape (n, 2)
        Price [quote] and quantity [base], best first: the book from which the changes start.
    snapshot_ms : int
        Time of the snapshot.
    diff_ms : ndarray of shape (n_diffs,), int64
        Times of the changes after the snapshot.
    diff_rows : ndarray of shape (n_diffs + 1,), int64
        Rows ``diff_rows[k]:diff_rows[k + 1]`` of `levels` belong to change k.
    levels : ndarray of shape (n, 3)
        Side (1 bid, -1 ask), price [quote], new quantity [base] of a level.
    quotes : ndarray, (time_ms, bid, ask)
    trades : ndarray, (time_ms, price, quantity, side, id)
        `side` is the taker's: 1 buys, -1 sells.
    repairs : tuple of str
        What was dropped; empty unless repair was asked for.
    """

    file: str
    symbol: str
    tick_size: float
    snapshot_bids: NDArray[np.float64]
    snapshot_asks: NDArray[np.float64]
    snapshot_ms: int
    diff_ms: NDArray[np.int64]
    diff_rows: NDArray[np.int64]
    levels: NDArray[np.float64]
    quotes: NDArray[Any]
    trades: NDArray[Any]
    repairs: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Time from the snapshot to the last change [s]."""
        return float(self.diff_ms[-1] - self.snapshot_ms) / 1e3

    @property
    def window(self) -> tuple[float, float]:
        """Lowest bid and highest ask of the snapshot: between them every level is known."""
        return float(self.snapshot_bids[-1, 0]), float(self.snapshot_asks[-1, 0])


def read_l2(file: str | Path, *, repair: bool = False) -> L2Stream:
    """Return the stream of a file.

    Parameters
    ----------
    file : str or Path
    repair : bool
        Drop what is at fault instead of refusing the file: unreadable, repeated and crossed messages; after a
        gap in the update ids everything up to the next snapshot, of which the longest unbroken stretch is
        kept. What was dropped stands in `repairs`.

    Raises
    ------
    InputError
        With every problem found: unreadable or cut-off lines, repeated or missing updates, no snapshot, a
        snapshot that no update continues, crossed or one-sided books and quotes, prices or sizes that
        are not positive, several symbols. With `repair`, only when nothing usable is left.
    """
    faults = _Faults(str(file))
    messages = _Messages(faults)
    for number, text in _lines(file, faults):
        messages.add(number, text)
    stretch = _longest(_stretches(messages, faults))
    if stretch is None:
        faults.fatal.append(f"{file}: no snapshot that updates continue; nothing to build a book from")
    faults.raise_if_any(repair)
    assert stretch is not None
    return _stream(str(file), messages, stretch, faults)


class _Faults:
    """Collects what is wrong with a file, few examples of each kind."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.kinds: dict[str, list[str]] = {}
        self.fatal: list[str] = []

    def add(self, kind: str, line: int, detail: str) -> None:
        self.kinds.setdefault(kind, []).append(f"{self.file}, line {line}: {kind}{': ' * bool(detail)}{detail}")

    def lines(self) -> list[str]:
        found = []
        for kind, told in self.kinds.items():
            found += told[:MOST_TOLD]
            if len(told) > MOST_TOLD:
                found.append(f"{self.file}: {kind}: {len(told) - MOST_TOLD} more")
        return found

    def summary(self) -> tuple[str, ...]:
        return tuple(f"dropped {len(told)} x {kind}; first: {told[0]}" for kind, told in self.kinds.items())

    def raise_if_any(self, repair: bool) -> None:
        found = self.fatal if repair else self.lines() + self.fatal
        if found:
            raise InputError(found)


def _lines(file: str | Path, faults: _Faults) -> Iterator[tuple[int, bytes]]:
    """Yield number and text of each line; a file cut off inside its compression ends early, as a fault."""
    path = Path(file)
    if not path.is_file():
        raise InputError([f"L2 file must exist, was {str(file)!r}"])
    number = 0
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if packed else raw as stream:
            try:
                for number, text in enumerate(stream, start=1):
                    yield number, text
            except (EOFError, OSError, zlib.error) as error:
                faults.add("compressed file is cut off or damaged", number + 1, str(error))
    if number == 0:
        faults.fatal.append(f"{file}: must have at least one line")


class _Messages:
    """The messages of a file, sorted into kinds; what is at fault in itself is left out."""

    def __init__(self, faults: _Faults) -> None:
        self.faults = faults
        self.updates: list[tuple[int, dict[str, Any]]] = []       # diffs and snapshots, in order
        self.quotes: list[tuple[int, float, float]] = []
        self.trades: list[tuple[int, float, float, int, int]] = []
        self.symbol = ""
        self.last_ms = 0

    def add(self, number: int, text: bytes) -> None:
        """Sort one line in."""
        try:
            local, _, body = text.partition(b" ")
            int(local)
            message = json.loads(body)
            data = message.get("data", message)
            self._sort(number, data)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            self.faults.add("unreadable line", number, f"{type(error).__name__}: {error}")

    def _sort(self, number: int, data: dict[str, Any]) -> None:
        kind = data.get("e", "snapshot" if "lastUpdateId" in data else "")
        symbol = data.get("s", "")
        if symbol and self.symbol and symbol != self.symbol:
            self.faults.add("another symbol", number, f"{symbol} after {self.symbol}")
            return
        self.symbol = self.symbol or symbol
        if "T" in data and not 0 <= int(data["T"]) < LAST_MS:
            self.faults.add("time out of range", number, f"{data['T']}, must be milliseconds since 1970")
        elif kind == "depthUpdate":
            _need(data, DEPTH_FIELDS)
            levels = _levels(data["b"], 1) + _levels(data["a"], -1)
            if self.last_ms > int(data["T"]):
                self.faults.add("update out of order", number, f"{data['T']} after {self.last_ms}")
            elif all(0 < row[1] < math.inf and 0 <= row[2] < math.inf for row in levels):
                self.last_ms = int(data["T"])
                self.updates.append((number, {**data, "levels": levels}))
            else:
                self.faults.add("price or size of a level out of range", number, "price above 0, size at least 0")
        elif kind == "snapshot":
            self._add_snapshot(number, data)
        elif kind == "bookTicker":
            _need(data, QUOTE_FIELDS)
            self._add_quote(number, data)
        elif kind == "trade":
            _need(data, TRADE_FIELDS)
            self._add_trade(number, data)
        else:
            self.faults.add("unknown message", number, repr(kind))

    def _add_snapshot(self, number: int, data: dict[str, Any]) -> None:
        _need(data, {"lastUpdateId", "T", "bids", "asks"})
        bids, asks = (np.array([row[1:] for row in _levels(data[side], 0)]).reshape(-1, 2) for side in ("bids", "asks"))
        if not len(bids) or not len(asks):
            self.faults.add("one-sided snapshot", number, f"{len(bids)} bids, {len(asks)} asks")
        elif bids[:, 0].max() >= asks[:, 0].min():
            self.faults.add("crossed snapshot", number, f"bid {bids[:, 0].max():g}, ask {asks[:, 0].min():g}")
        elif not (min(bids.min(), asks.min()) > 0 and max(bids.max(), asks.max()) < math.inf):
            self.faults.add("price or size of a level out of range", number, "price and size above 0")
        else:
            bids, asks = bids[np.argsort(-bids[:, 0], kind="stable")], asks[np.argsort(asks[:, 0], kind="stable")]
            self.updates.append((number, {**data, "bids": bids, "asks": asks}))

    def _add_quote(self, number: int, data: dict[str, Any]) -> None:
        bid, ask, sizes = float(data["b"]), float(data["a"]), (float(data["B"]), float(data["A"]))
        if not (0 < bid < math.inf and 0 < ask < math.inf and min(sizes) > 0):
            self.faults.add("one-sided quote", number, f"{data['B']} at {data['b']}, {data['A']} at {data['a']}")
        elif bid >= ask:
            self.faults.add("crossed quote", number, f"bid {bid:g}, ask {ask:g}")
        elif self.quotes and int(data["T"]) < self.quotes[-1][0]:
            self.faults.add("quote out of order", number, f"{data['T']} after {self.quotes[-1][0]}")
        else:
            self.quotes.append((int(data["T"]), bid, ask))

    def _add_trade(self, number: int, data: dict[str, Any]) -> None:
        trade = (int(data["T"]), float(data["p"]), float(data["q"]), -1 if data["m"] else 1, int(data["t"]))
        expected = self.trades[-1][4] + 1 if self.trades else trade[4]
        if not (0 < trade[1] < math.inf and 0 < trade[2] < math.inf):
            self.faults.add("price or size of a trade out of range", number, f"{data['q']} at {data['p']}")
            return
        if trade[4] < expected:
            self.faults.add("repeated trade", number, f"id {trade[4]} after {expected - 1}")
            return
        if self.trades and trade[0] < self.trades[-1][0]:
            self.faults.add("trade out of order", number, f"{trade[0]} after {self.trades[-1][0]}")
            return
        if trade[4] > expected:
            self.faults.add("missing trades", number, f"ids {expected} to {trade[4] - 1}")
        if data.get("X", "MARKET") == "MARKET":   # not the venue's own transfers
            self.trades.append(trade)


def _need(data: dict[str, Any], names: set[str]) -> None:
    missing = sorted(names - set(data))
    if missing:
        raise KeyError(f"missing {', '.join(missing)}")


def _levels(rows: list[list[str]], side: int) -> list[tuple[int, float, float]]:
    return [(side, float(price), float(quantity)) for price, quantity in rows]


@dataclasses.dataclass
class _Stretch:
    """A snapshot and the unbroken updates after it."""

    snapshot: dict[str, Any]
    updates: list[tuple[int, dict[str, Any]]]


def _stretches(messages: _Messages, faults: _Faults) -> Iterator[_Stretch]:
    """Yield every snapshot with the updates that continue it without a gap."""
    diffs = _in_sequence(messages.updates, faults)
    for number, snapshot in messages.updates:
        if "lastUpdateId" not in snapshot:
            continue
        last = int(snapshot["lastUpdateId"])
        # The snapshot answers a request and may overtake the stream: the update that contains it may stand before.
        start = next((k for k, (_, d, _) in enumerate(diffs) if int(d["u"]) >= last), len(diffs))
        first = diffs[start][1] if start < len(diffs) else None
        if first is None or int(first.get("pu", int(first["U"]) - 1)) > last:
            faults.add("snapshot that no update continues", number, f"lastUpdateId {last}")
            continue
        stop = next((k for k in range(start + 1, len(diffs)) if diffs[k][2]), len(diffs))
        if int(diffs[stop - 1][1]["T"]) <= int(snapshot["T"]):
            faults.add("snapshot that no update continues", number, f"lastUpdateId {last}")
            continue
        yield _Stretch(snapshot, [(line, diff) for line, diff, _ in diffs[start:stop]])


def _in_sequence(
    updates: list[tuple[int, dict[str, Any]]], faults: _Faults
) -> list[tuple[int, dict[str, Any], bool]]:
    """Return line, update and whether a gap lies before it, without repeats."""
    found: list[tuple[int, dict[str, Any], bool]] = []
    for number, diff in updates:
        if "lastUpdateId" in diff:
            continue
        broken = False
        if found:
            before = int(found[-1][1]["u"])
            if int(diff["u"]) <= before:
                faults.add("repeated update", number, f"u {diff['u']} after {before}")
                continue
            broken = int(diff["pu"]) != before if "pu" in diff else int(diff["U"]) > before + 1
            if broken:
                faults.add("gap in update ids", number, f"follows {diff.get('pu', int(diff['U']) - 1)}, "
                                                        f"the update before ended at {before}")
        found.append((number, diff, broken))
    return found


def _longest(stretches: Iterator[_Stretch]) -> _Stretch | None:
    return max(stretches, key=lambda s: int(s.updates[-1][1]["T"]) - int(s.snapshot["T"]), default=None)


def _stream(file: str, messages: _Messages, stretch: _Stretch, faults: _Faults) -> L2Stream:
    start, stop = int(stretch.snapshot["T"]), int(stretch.updates[-1][1]["T"])
    counts = [len(diff["levels"]) for _, diff in stretch.updates]
    levels = np.array([row for _, diff in stretch.updates for row in diff["levels"]], np.float64).reshape(-1, 3)
    quotes = np.array([q for q in messages.quotes if start <= q[0] <= stop], QUOTE)
    trades = np.array([t for t in messages.trades if start <= t[0] <= stop], TRADED)
    prices = np.concatenate([levels[:, 1], stretch.snapshot["bids"][:, 0], stretch.snapshot["asks"][:, 0]])
    steps = np.unique(np.rint(prices * 1e8).astype(np.int64))
    return L2Stream(
        file, messages.symbol, float(np.gcd.reduce(steps)) / 1e8, stretch.snapshot["bids"], stretch.snapshot["asks"],
        start, np.array([int(diff["T"]) for _, diff in stretch.updates], np.int64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), levels, quotes, trades, faults.summary(),
    )

"""Bars: open, high, low and close of equal intervals, read from a CSV file and checked as a whole."""

import csv
import dataclasses
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError

__all__ = ["Bars", "load_bars"]

COLUMNS = ("open_time_ms", "open", "high", "low", "close")
SHOWN = 5  # rows named per kind of fault; the others are counted

MOST = 1e12   # beyond it money no longer fits into whole atoms


@dataclasses.dataclass(frozen=True)
class Bars:
    """Price bars without gaps, in order of time.

    Attributes
    ----------
    open_time_ms : ndarray of shape (n_bars,), int64
        [ms since 1970 UTC] Start of the bar; the bar covers ``[start, start + seconds)``.
    price : ndarray of shape (n_bars, 4), float64
        [quote] Open, high, low, close; ``0 < low <= open, close <= high``.
    seconds : float
        [s] Length of a bar.
    """

    open_time_ms: NDArray[np.int64]
    price: NDArray[np.float64]
    seconds: float

    @property
    def n_bars(self) -> int:
        return len(self.open_time_ms)

    @property
    def start_ms(self) -> int:
        return int(self.open_time_ms[0])

    @property
    def end_ms(self) -> int:
        """End of the last bar [ms since 1970 UTC]."""
        return int(self.open_time_ms[-1] + round(self.seconds * 1000.0))

    def window(self, start_ms: int, end_ms: int) -> "Bars":
        """Return the bars that overlap ``[start_ms, end_ms)``."""
        length = round(self.seconds * 1000.0)
        keep = (self.open_time_ms + length > start_ms) & (self.open_time_ms < end_ms)
        return Bars(self.open_time_ms[keep], self.price[keep], self.seconds)

    def merged(self, size: int) -> "Bars":
        """Return bars of `size` consecutive bars each; the last one also takes the remainder."""
        starts = np.arange(0, max(1, self.n_bars // size)) * size
        price = np.empty((len(starts), 4))
        price[:, 0] = self.price[starts, 0]
        price[:, 1] = np.maximum.reduceat(self.price[:, 1], starts)
        price[:, 2] = np.minimum.reduceat(self.price[:, 2], starts)
        price[:, 3] = self.price[np.append(starts[1:], self.n_bars) - 1, 3]
        return Bars(self.open_time_ms[starts], price, self.seconds * size)


def load_bars(path: str | Path, gap_tolerance: int = 0) -> Bars:
    """Return the bars of a CSV file with a header and at least the columns of ``COLUMNS``.

    The bar length is the median spacing of ``open_time_ms``. Up to `gap_tolerance` missing bars in a
    row are filled with flat bars at the last close; nothing else is repaired.

    Parameters
    ----------
    path : str or Path
        CSV file; further columns are ignored.
    gap_tolerance : int
        [bars] Longest gap that is filled.

    Raises
    ------
    InputError
        With every problem of the file: missing columns, values that are no positive numbers, high
        below low, open or close outside them, unsorted or repeated times, gaps, fewer than two bars.
    """
    path = Path(path)
    try:
        stamp = path.stat()
    except OSError:
        raise InputError([f"{path}: file of price bars must exist and be readable"]) from None
    return _load(path, stamp.st_mtime_ns, stamp.st_size, gap_tolerance)


@lru_cache(maxsize=8)
def _load(path: Path, _time: int, _size: int, gap_tolerance: int) -> Bars:
    # A sweep reads the same file in every run: cached by path, time of change and size.
    rows = _read(path)
    problems = _price_problems(path, rows) + _time_problems(path, rows[:, 0], gap_tolerance)
    if problems:
        raise InputError(problems)
    times = rows[:, 0].astype(np.int64)
    length = int(np.median(np.diff(times)))
    position = (times - times[0]) // length
    every = np.searchsorted(position, np.arange(position[-1] + 1), side="right") - 1
    price = rows[every, 1:]
    filled = np.ones(len(every), bool)
    filled[position] = False
    price[filled] = price[filled, 3:4]
    times = times[0] + length * np.arange(len(every), dtype=np.int64)
    for array in (times, price):
        array.flags.writeable = False  # shared by all callers
    return Bars(times, price, length / 1000.0)


def _read(path: Path) -> NDArray[np.float64]:
    """Return shape (n_bars, 5), NaN where a value is no number; raise when the columns are not there."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError([
                    f"{path}: columns must include {', '.join(COLUMNS)}; missing {', '.join(missing)}"
                ])
            rows = [[_number(row[name]) for name in COLUMNS] for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError([f"{path}: file of price bars must be readable CSV text, gave {error}"]) from None
    if len(rows) < 2:
        raise InputError([f"{path}: must hold at least 2 bars, had {len(rows)}"])
    return np.array(rows)


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan


def _listed(path: Path, what: str, bad: NDArray[np.bool_], shown: NDArray[np.float64]) -> list[str]:
    """Return lines for the rows where `bad`; line 1 of the file is the header."""
    rows = np.flatnonzero(bad)
    lines = [f"{path}, line {row + 2}: {what}, was {shown[row].tolist()}" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f"{path}: the same in {len(rows) - SHOWN} further lines")
    return lines


def _price_problems(path: Path, rows: NDArray[np.float64]) -> list[str]:
    price = rows[:, 1:]
    wrong = np.asarray(~((price > 0.0) & (price < MOST)).all(axis=1))
    opening, high, low, close = price.T
    crossed = ~wrong & (high < low)
    inside = (opening <= high) & (opening >= low) & (close <= high) & (close >= low)
    return (
        _listed(path, "open, high, low, close must be positive numbers below 1e12", wrong, price)
        + _listed(path, "high must be at least low (open, high, low, close)", crossed, price)
        + _listed(path, "open and close must lie in [low, high] (open, high, low, close)",
                  ~wrong & ~crossed & ~inside, price)
    )


def _time_problems(path: Path, times: NDArray[np.float64], gap_tolerance: int) -> list[str]:
    whole = np.isfinite(times) & (times == np.floor(times))
    if not whole.all():
        return _listed(path, "open_time_ms must be a whole number of milliseconds", ~whole, times)
    spacing = np.diff(times)
    after = np.append(0.0, spacing)
    found = _listed(path, "open_time_ms must not repeat", np.append(False, spacing == 0.0), times)
    found += _listed(path, "open_time_ms must rise", np.append(False, spacing < 0.0), times)
    length = float(np.median(spacing))
    if length <= 0.0:
        return found
    missing = after / length - 1.0
    off = np.append(False, spacing > 0.0) & (missing != np.round(missing))
    gap = np.logical_not(off) & (missing > gap_tolerance)
    regular = f"open_time_ms must follow the line before by the bar length of {length / 1000.0:g} s"
    return (
        found
        + _listed(path, regular, off, times)
        + _listed(path, f"{regular}, or by at most {gap_tolerance} missing bars (gap_tolerance)", gap, times)
    )

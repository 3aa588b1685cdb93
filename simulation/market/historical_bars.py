"""HistoricalBars: a real price history, filled in between its bars by a seeded bridge."""

import dataclasses
import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.bars import FAULTS, Bars, load_bars
from spirals.simulation.market.bridge import fill_bars
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.market.outside_world import SECONDS_PER_DAY, OutsidePath, OutsideWorld
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import stream_key

__all__ = ["HistoricalBars", "bars_in_rows", "bridge"]

FEWEST_ROWS = 4  # a bar of four rows can show open, high, low and close


@dataclasses.dataclass(frozen=True)
class HistoricalBars(OutsideWorld):
    """Prices of a file of bars of any length, interpolated by a bridge conditional on open, high, low, close.

    The rows of the path that fall into a bar begin with its open, end with its close, visit high and
    low exactly and never leave them: resampling the path gives the bars back. Order and time of high
    and low and the noise between them are drawn by seed (:mod:`spirals.simulation.market.bridge`). Bars
    with fewer than four steps are merged first. The bar length is the median spacing of the file.

    Replaying a crash as the outside price counts the venue's own impact twice wherever the history
    already contains it; results say so.

    Attributes
    ----------
    file : str or tuple of str
        CSV with open_time_ms, open, high, low, close: a path or the name of a shipped file; one per
        instrument.
    start, end : str
        ISO time in UTC, e.g. ``"2020-03-12T10:30"``; the bar that contains `start` is the first. Empty:
        the whole file.
    minutes : float
        [min] Length of the window instead of `end`; 0: up to `end`.
    gap_tolerance : int
        [bars] Longest run of missing bars that is filled with flat bars.
    faults : {"refuse", "repair"}
        Refuse a file with bad, unsorted or repeated lines, or drop and sort them. What was repaired or filled, and
        bars without volume, stand in the `stop_reason` of every run.
    """

    file: str | tuple[str, ...] = parameter(help="CSV file of bars, one per instrument")
    start: str = parameter("", help="first bar contains this UTC time; empty: first of the file")
    end: str = parameter("", help="UTC time at which the window ends; empty: end of the file")
    minutes: float = parameter(0.0, unit="min", low=0, help="length of the window instead of end; 0: use end")
    gap_tolerance: int = parameter(0, unit="bars", low=0, help="longest gap filled with flat bars")
    faults: str = parameter("refuse", choices=FAULTS, help="bad, unsorted, repeated lines: refuse, or drop and sort")

    def problems(self) -> list[str]:
        found = super().problems()
        if not self.file:
            found.append("file must name a CSV file of bars, was empty")
        for name in ("start", "end"):
            text = getattr(self, name)
            if text and not _is_time(text):
                found.append(f"{name} must be an ISO time such as 2020-03-12T10:30, was {text!r}")
        if self.end and self.minutes:
            found.append(f"only one of end and minutes may be given, were {self.end!r} and {self.minutes!r}")
        if not found and self.start and self.end and not _at(self.start) < _at(self.end):
            found.append(f"end must be after start {self.start!r}, was {self.end!r}")
        return found

    def bars(self) -> tuple[Bars, ...]:
        """Return the bars of the window, one record per file; raise InputError with every problem."""
        found: list[str] = []
        loaded: list[Bars] = []
        for file in self.files:
            try:
                loaded.append(self._windowed(file))
            except InputError as error:
                found.extend(error.problems)
        if not found and len({(bars.start_ms, bars.end_ms) for bars in loaded}) > 1:
            names = ", ".join(self.files)
            found.append(f"files must cover the same window, {names} do not: give start and end")
        if found:
            raise InputError(found)
        return tuple(loaded)

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,) if isinstance(self.file, str) else tuple(self.file)

    def available_steps(self, step_seconds: float) -> int:
        bars = self.bars()[0]
        return int((bars.end_ms - bars.start_ms) / 1000.0 / step_seconds + 1e-9)

    def notes(self) -> tuple[str, ...]:
        return tuple(note for bars in self.bars() for note in bars.notes)

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        bars = self.bars()
        available = self.available_steps(step_seconds)
        found = []
        if len(bars) != n_instruments:
            found.append(f"file must name {n_instruments} files, one per instrument, had {len(bars)}")
        if n_steps > available:
            found.append(f"steps must be at most {available}, what the bars of {', '.join(self.files)} "
                         f"cover at {step_seconds:g} s a step, was {n_steps}")
        if available < FEWEST_ROWS:
            found.append(f"step_seconds must be at most a quarter of the window, was {step_seconds:g}")
        if found:
            raise InputError([f"HistoricalBars: {line}" for line in found])
        price = np.empty((n_steps + 1, n_instruments))
        key = stream_key(seed, "outside.bars")
        for instrument, record in enumerate(bars):
            price[:, instrument] = bridge(record, n_steps, step_seconds, key, instrument)
        return OutsidePath(price, step_seconds, bars[0].start_ms / 1000.0 % SECONDS_PER_DAY)

    def _windowed(self, file: str) -> Bars:
        bars = load_bars(resolve_data_file(file), self.gap_tolerance, self.faults)
        start = _at(self.start) if self.start else bars.start_ms
        end = _at(self.end) if self.end else bars.end_ms
        if self.minutes:
            end = start + round(self.minutes * 60000.0)
        if start < bars.start_ms or end > bars.end_ms or start >= end:
            raise InputError([f"{file}: window must lie in {_text(bars.start_ms)} to {_text(bars.end_ms)} "
                              f"(UTC), was {_text(start)} to {_text(end)}"])
        return bars.window(start, end)


def bridge(
    bars: Bars, n_steps: int, step_seconds: float, key: np.uint64, instrument: int = 0
) -> NDArray[np.float64]:
    """Return a price path through `bars`, shape (n_steps + 1,) [quote]; row 0 is the first open.

    A row at the very end of the last bar repeats its close. `key` is a stream key; the draws of row k
    have counter (k, instrument), so a longer path begins with the shorter one.
    """
    shown, first_rows = bars_in_rows(bars, step_seconds)
    price = np.full(n_steps + 1, bars.price[-1, 3])
    fill_bars(key, instrument, first_rows, np.ascontiguousarray(shown.price), price)
    return price


def bars_in_rows(bars: Bars, step_seconds: float) -> tuple[Bars, NDArray[np.int64]]:
    """Return the bars that a path at `step_seconds` can show, and the row at which each begins.

    Bars of fewer than four rows are merged. Bar b covers the rows ``first[b]`` to ``first[b + 1] - 1``; the
    last entry is the row at which the last bar has ended.
    """
    shown = bars.merged(max(1, math.ceil(FEWEST_ROWS * step_seconds / bars.seconds - 1e-9)))
    seconds = np.append(shown.open_time_ms, bars.end_ms) - bars.start_ms
    return shown, np.ceil(seconds / 1000.0 / step_seconds - 1e-9).astype(np.int64)


def _at(text: str) -> int:
    """Return an ISO time as ms since 1970; UTC unless it names another zone."""
    time = datetime.fromisoformat(text)
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000.0)


def _is_time(text: str) -> bool:
    try:
        _at(text)
    except ValueError:
        return False
    return True


def _text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000.0, UTC).strftime("%Y-%m-%dT%H:%M:%S")

"""Bars: open, high, low and close of equal intervals, read from a CSV file and checked as a whole."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.csv_file import csv_number, read_csv, shortened

__all__ = ["FAULTS", "Bars", "load_bars"]

COLUMNS = ("open_time_ms", "open", "high", "low", "close")
VOLUME = "volume"       # optional
FAULTS = ("refuse", "repair")

MOST = 1e12          # beyond it money no longer fits into whole atoms
LAST_MS = 1e14       # year 5138: a time beyond it counts microseconds
SHORTEST_MS = 1000.0    # bars closer than this are stamped in seconds
HINT = 'faults = "repair" drops lines at fault and puts the others in order; gap_tolerance fills gaps'


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
    notes : tuple of str
        What was repaired or filled as asked, and how many bars have no volume; of the whole file.
    """

    open_time_ms: NDArray[np.int64]
    price: NDArray[np.float64]
    seconds: float
    notes: tuple[str, ...] = ()

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
        return Bars(self.open_time_ms[keep], self.price[keep], self.seconds, self.notes)

    def merged(self, size: int) -> "Bars":
        """Return bars of `size` consecutive bars each; the last one also takes the remainder."""
        starts = np.arange(0, max(1, self.n_bars // size)) * size
        price = np.empty((len(starts), 4))
        price[:, 0] = self.price[starts, 0]
        price[:, 1] = np.maximum.reduceat(self.price[:, 1], starts)
        price[:, 2] = np.minimum.reduceat(self.price[:, 2], starts)
        price[:, 3] = self.price[np.append(starts[1:], self.n_bars) - 1, 3]
        return Bars(self.open_time_ms[starts], price, self.seconds * size, self.notes)


def load_bars(path: str | Path, gap_tolerance: int = 0, faults: str = "refuse") -> Bars:
    """Return the bars of a CSV file with a header and at least the columns of ``COLUMNS``.

    The bar length is the median spacing of ``open_time_ms``. Whatever is repaired or filled is told in the
    `notes` of the bars. A bar without volume is legal (nobody traded: the price stood still) and told as well.

    Parameters
    ----------
    path : str or Path
        CSV file; ``volume``, where it is there, must be at least 0; further columns are ignored.
    gap_tolerance : int
        [bars] Longest run of missing bars that is filled, with flat bars at the last close.
    faults : {"refuse", "repair"}
        With ``"repair"`` lines at fault are dropped, the others put in order of time, and of several lines
        of one time the last in the file is kept. What is missing then is a gap like any other.

    Raises
    ------
    InputError
        With every problem of the file: missing columns, lines of another length, values that are no positive
        numbers, high below low, open or close outside them, times not in ms, unsorted or repeated times, gaps,
        fewer than two bars. With ``"repair"``: whatever cannot be repaired.
    """
    path = Path(path)
    try:
        stamp = path.stat()
    except OSError:
        raise InputError([f"{path}: file of price bars must exist and be readable"]) from None
    return _load(path, stamp.st_mtime_ns, stamp.st_size, gap_tolerance, faults)


@lru_cache(maxsize=8)
def _load(path: Path, _time: int, _size: int, gap_tolerance: int, faults: str) -> Bars:
    # A sweep reads the same file in every run: cached by path, time of change and size.
    lines, rows, volume, problems = _read(path)
    wrong, told = _line_problems(path, lines, rows, volume)
    problems += told
    notes: list[str] = []
    if faults == "repair":
        keep, notes = _repaired(path, lines, rows, wrong, problems)
        lines, rows, volume, problems = lines[keep], rows[keep], volume[keep], []
    if len(rows) < 2:
        problems.append(f"{path}: must hold at least 2 bars, had {len(rows)}")
    else:
        problems += _time_problems(path, lines, rows[:, 0], gap_tolerance)
    if problems:
        raise InputError(problems + [HINT] * (faults == "refuse"))
    times = rows[:, 0].astype(np.int64)
    length = int(np.median(np.diff(times)))
    position = (times - times[0]) // length
    every = np.searchsorted(position, np.arange(position[-1] + 1), side="right") - 1
    price = rows[every, 1:]
    filled = np.ones(len(every), bool)
    filled[position] = False
    price[filled] = price[filled, 3:4]
    if filled.any():
        before = lines[every[filled][0]]
        notes.append(f"{path.name}: {filled.sum()} missing bars filled at the last close; first after line {before}")
    silent = np.flatnonzero(volume == 0.0)
    if silent.size:
        notes.append(f"{path.name}: {silent.size} bars without volume; first in line {lines[silent[0]]}")
    times = times[0] + length * np.arange(len(every), dtype=np.int64)
    for array in (times, price):
        array.flags.writeable = False  # shared by all callers
    return Bars(times, price, length / 1000.0, tuple(notes))


def _read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return line numbers, times and prices (n_bars, 5), volumes (NaN: not given) and lines of another length."""
    table = read_csv(path, "file of price bars")
    missing = [name for name in COLUMNS if name not in table.names]
    if missing:
        raise InputError([f"{path}: columns must include {', '.join(COLUMNS)}; missing {', '.join(missing)}"])
    rows = [[csv_number(row[name]) for name in COLUMNS] for row in table.rows]
    volume = [_volume(row.get(VOLUME, "")) for row in table.rows]
    return (np.array(table.lines, np.int64), np.array(rows, np.float64).reshape(-1, 5), np.array(volume, np.float64),
            list(table.problems))


def _volume(text: str) -> float:
    """Return the volume of a bar; NaN where none is given, -1 for what is none."""
    value = csv_number(text)
    return np.nan if not text else value if value >= 0.0 else -1.0


def _listed(path: Path, what: str, bad: NDArray[np.bool_], lines: NDArray[np.int64], shown: NDArray[np.float64]
            ) -> list[str]:
    """Return lines of text for the rows where `bad`."""
    return shortened([f"{path}, line {lines[row]}: {what}, was {shown[row].tolist()}" for row in np.flatnonzero(bad)],
                     path)


def _line_problems(
    path: Path, lines: NDArray[np.int64], rows: NDArray[np.float64], volume: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which lines are at fault in themselves, and the words for it."""
    times, price = rows[:, 0], rows[:, 1:]
    untimely = _untimely(times)
    wrong = np.asarray(~((price > 0.0) & (price < MOST)).all(axis=1))
    opening, high, low, close = price.T
    crossed = ~wrong & (high < low)
    outside = ~wrong & ~crossed & ~((opening <= high) & (opening >= low) & (close <= high) & (close >= low))
    drained = volume < 0.0
    told = (
        _listed(path, "open_time_ms must be a whole number of milliseconds, below 1e14", untimely, lines, times)
        + _listed(path, "open, high, low, close must be positive numbers below 1e12", wrong, lines, price)
        + _listed(path, "high must be at least low (open, high, low, close)", crossed, lines, price)
        + _listed(path, "open and close must lie in [low, high] (open, high, low, close)", outside, lines, price)
        + shortened([f"{path}, line {lines[row]}: volume must be a number of at least 0" for row in
                     np.flatnonzero(drained)], path)
    )
    return untimely | wrong | crossed | outside | drained, told


def _repaired(
    path: Path, lines: NDArray[np.int64], rows: NDArray[np.float64], wrong: NDArray[np.bool_], problems: list[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the rows to keep, in order of time, and what was done."""
    notes = []
    if problems:
        notes.append(f"{path.name}: lines at fault dropped; first: {problems[0].removeprefix(str(path)).lstrip(', :')}"
                     f"; {int(wrong.sum())} with wrong values")
    good = np.flatnonzero(~wrong)
    times = rows[good, 0]
    moved = np.flatnonzero(np.diff(times) < 0.0)
    if moved.size:
        first = lines[good[moved[0] + 1]]
        notes.append(f"{path.name}: put in order of time; {moved.size} steps back, first in line {first}")
    good = good[np.argsort(times, kind="stable")]
    last = np.append(np.diff(rows[good, 0]) != 0.0, True)[: len(good)]
    if not last.all():
        first = lines[good[np.flatnonzero(~last)[0]]]
        repeats = int((~last).sum())
        notes.append(f"{path.name}: {repeats} lines of a repeated time dropped, the last kept; first line {first}")
    return good[last], notes


def _time_problems(
    path: Path, lines: NDArray[np.int64], times: NDArray[np.float64], gap_tolerance: int
) -> list[str]:
    if _untimely(times).any():
        return []   # told already; what follows from it is not
    spacing = np.diff(times)
    after = np.append(0.0, spacing)
    found = _listed(path, "open_time_ms must not repeat", np.append(False, spacing == 0.0), lines, times)
    found += _listed(path, "open_time_ms must rise", np.append(False, spacing < 0.0), lines, times)
    length = float(np.median(spacing))
    if length <= 0.0:
        return found
    if length < SHORTEST_MS:
        return [*found, f"{path}: open_time_ms must be milliseconds and bars at least 1 s long; the median spacing of "
                        f"{length:g} looks like seconds"]
    missing = after / length - 1.0
    off = np.append(False, spacing > 0.0) & (missing != np.round(missing))
    gap = np.logical_not(off) & (missing > gap_tolerance)
    regular = f"open_time_ms must follow the line before by the bar length of {length / 1000.0:g} s"
    return (
        found
        + _listed(path, regular, off, lines, times)
        + _listed(path, f"{regular}, or by at most {gap_tolerance} missing bars (gap_tolerance)", gap, lines, times)
    )


def _untimely(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(~(np.isfinite(times) & (times == np.floor(times)) & (np.abs(times) < LAST_MS)))

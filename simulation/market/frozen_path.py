"""FrozenPath: exogenous prices read step by step from a file, the same in every run that names it.

The file is what a deconvolution writes: with it, counterfactual policies on the exogenous path of a crash are
ordinary scenarios and studies.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.csv_file import csv_number, read_csv, shortened
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.market.outside_world import SECONDS_PER_DAY, OutsidePath, OutsideWorld
from spirals.simulation.parameters import parameter

__all__ = ["FrozenPath", "GivenPath", "path_text", "read_path_file"]

CLOCK = "seconds"
SHOWN = 5  # faults named per file; the others are counted
SAME_SPACING = 1e-6


@dataclasses.dataclass(frozen=True)
class FrozenPath(OutsideWorld):
    """Recorded exogenous prices at the resolution of the steps.

    The file is CSV. Its first column is ``seconds``, the time of day of each row in UTC [s], going on beyond
    midnight; row 0 is the opening, row k the end of step k. The other columns are prices [quote], either

    - one per instrument, under any names: the same path for every seed; or
    - one per seed, named ``seed_<number>``: each run takes the column of its own seed, one instrument only.

    Prices are given with all digits, so a run on the file is the run on the recorded path bit for bit. Price
    shocks of the scenario act on top; a recorded path already contains its own.

    Attributes
    ----------
    file : str
        Path of the CSV file.
    """

    file: str = parameter(help="CSV file: seconds, then a price per instrument or per seed")

    def problems(self) -> list[str]:
        found = super().problems()
        if not found:
            try:
                self._table()
            except InputError as error:
                found += error.problems
        return found

    def available_steps(self, step_seconds: float) -> int:
        return len(self._table()[1]) - 1

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        names, seconds, price = self._table()
        found = []
        spacing = seconds[1] - seconds[0]
        if abs(spacing - step_seconds) > SAME_SPACING:
            found.append(f"step_seconds must be {spacing:g}, the spacing of {self.file}, was {step_seconds:g}")
        if n_steps > len(seconds) - 1:
            found.append(f"steps must be at most {len(seconds) - 1}, what {self.file} covers, was {n_steps}")
        columns = list(range(len(names)))
        if _by_seed(names):
            columns = [k for k, name in enumerate(names) if name == f"seed_{seed}"]
            if not columns:
                found.append(f"seed must be one of {', '.join(name[5:] for name in names[:SHOWN])}"
                             f"{', ...' if len(names) > SHOWN else ''}, the columns of {self.file}, was {seed}")
        if len(columns) != n_instruments and not found:
            found.append(f"{self.file} must hold prices of {n_instruments} instruments, had {len(columns)}")
        if found:
            raise InputError([f"FrozenPath: {line}" for line in found])
        return OutsidePath(np.ascontiguousarray(price[: n_steps + 1, columns]), step_seconds,
                           float(seconds[0]) % SECONDS_PER_DAY)

    def _table(self) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
        return read_path_file(resolve_data_file(self.file))


@dataclasses.dataclass(frozen=True, eq=False)
class GivenPath(OutsideWorld):
    """Exogenous prices from memory, for runs that no file describes.

    Attributes
    ----------
    price : ndarray of shape (n_steps + 1, n_instruments), float64
        [quote]
    opening_seconds : float or None
        [s] Time of day (UTC) of row 0.
    """

    price: NDArray[np.float64]
    opening_seconds: float | None = None

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        return OutsidePath(np.array(self.price[: n_steps + 1], np.float64, order="C"), step_seconds,
                           self.opening_seconds)


def path_text(columns: Mapping[str, NDArray[np.float64]], step_seconds: float, opening_seconds: float) -> str:
    """Return the text of a path file.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n_steps + 1,)
        [quote] Name of the column and its prices.
    step_seconds : float
        [s]
    opening_seconds : float
        [s] Time of day (UTC) of row 0.
    """
    lines = [",".join((CLOCK, *columns))]
    for row, prices in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
        lines.append(",".join(map(repr, (opening_seconds + row * step_seconds, *prices))))
    return "\n".join(lines) + "\n"


def read_path_file(path: Path) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Return names of the price columns, seconds (n_rows,) and prices (n_rows, n_columns) of a path file.

    Raises
    ------
    InputError
        With every fault: no ``seconds`` first, no price column, fewer than two rows, something that is no
        positive number, rows that are not evenly spaced. Nothing is repaired: the file is the recorded path bit
        for bit or it is not that path.
    """
    stamp = path.stat()
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _time: int, _size: int) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    table = read_csv(path, "path file")
    names = table.names
    if len(names) < 2 or names[0] != CLOCK:
        raise InputError([f"{path}: columns must be {CLOCK} and one or more prices of different names, "
                          f"were {', '.join(names)}"])
    values = np.array([[csv_number(row[name]) for name in names] for row in table.rows]).reshape(-1, len(names))
    bad = ~(np.isfinite(values).all(axis=1) & (values[:, 1:] > 0.0).all(axis=1))
    found = table.problems + shortened(
        [f"{path}, line {table.lines[k]}: must hold {len(names)} numbers, prices above 0, was "
         f"{','.join(table.rows[k].values())}" for k in np.flatnonzero(bad)], path)
    if len(values) < 2:
        found.append(f"{path}: must hold at least 2 rows, had {len(values)}")
    elif not found:
        spacing = np.diff(values[:, 0])
        off = np.flatnonzero(~(np.abs(spacing - spacing[0]) <= SAME_SPACING) | (spacing <= 0.0))
        found = shortened([f"{path}, line {table.lines[k + 1]}: {CLOCK} must rise evenly, by {spacing[0]:g} after the "
                           f"first row, rose by {spacing[k]:g}" for k in off], path)
    if found:
        raise InputError(found)
    seconds, prices = values[:, 0], values[:, 1:]
    for array in (seconds, prices):
        array.flags.writeable = False   # shared by all callers
    return names[1:], seconds, prices


def _by_seed(names: tuple[str, ...]) -> bool:
    return all(name.startswith("seed_") and name[5:].isdigit() for name in names)

"""Read a depth file: cumulative notional by distance from the mid, as CSV."""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.csv_file import csv_number, read_csv

__all__ = ["DEPTH_COLUMNS", "read_depth_file"]

MOST = 1e15   # [quote] beyond it lots no longer fit
DEPTH_COLUMNS = ("distance_bp", "bid_notional", "ask_notional")


def read_depth_file(file: str) -> NDArray[np.float64]:
    """Return the rows of a depth file with (0, 0, 0) before them, shape (n_rows + 1, 3).

    Raises
    ------
    InputError
        With every fault of the file: missing columns, not a number, not increasing, negative, one side empty.
        Nothing is repaired.
    """
    path = Path(file)
    if not file or not path.is_file():
        raise InputError([f"depth file must exist, was {file!r}"])
    return _read_depth(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _read_depth(path: Path, _time: int) -> NDArray[np.float64]:
    table = read_csv(path, "depth file")
    missing = [name for name in DEPTH_COLUMNS if name not in table.names]
    if missing:
        raise InputError([f"{path}: columns must be {', '.join(DEPTH_COLUMNS)}; missing {', '.join(missing)}"])
    found = list(table.problems)
    rows = [[0.0, 0.0, 0.0]]
    for line, record in zip(table.lines, table.rows, strict=True):
        values = [csv_number(record[name]) for name in DEPTH_COLUMNS]
        for name, value in zip(DEPTH_COLUMNS, values, strict=True):
            if not 0 <= value < MOST:
                found.append(f"{path}, line {line}: {name} must be a number of at least 0, below 1e15, "
                             f"was {record[name]!r}")
        if values[0] <= rows[-1][0]:
            found.append(f"{path}, line {line}: distance_bp must increase, was {values[0]:g} after {rows[-1][0]:g}")
        for name, value, last in zip(DEPTH_COLUMNS[1:], values[1:], rows[-1][1:], strict=True):
            if value < last:
                found.append(f"{path}, line {line}: {name} is cumulative and must not fall, "
                             f"was {value:g} after {last:g}")
        rows.append(values)
    if len(rows) < 2:
        found.append(f"{path}: must have at least one row")
    elif min(rows[-1][1:]) <= 0:
        found.append(f"{path}: both sides must have some notional")
    if found:
        raise InputError(found)
    profile = np.array(rows, np.float64)
    profile.flags.writeable = False
    return profile
